"""Our reader of WordNet's files against nltk's, and where it finds them."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from metric_cases import DEBIAN, WORDS, needs_wordnet, nltk_data

from rsccli.errors import ModelError
from rsccli.evaluation.metrics.wordnet import find_wordnet

FIND = "from rsccli.evaluation.metrics.wordnet import find_wordnet as f; w = f(); print(w.where, w.version)"


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return nltk_data(tmp_path_factory.mktemp("nltk") / "data")


def found(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", FIND], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


@needs_wordnet
def test_synonyms_are_those_of_nltk(data_folder: Path) -> None:
    # The reference is nltk's WordNetCorpusReader, without its map to other versions, which wants a file more.
    nltk = pytest.importorskip("nltk")
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    class Reader(WordNetCorpusReader):
        def map_wn(self, version: str = "wordnet") -> None:
            return None

    nltk.data.path.append(str(data_folder))
    with pytest.warns(UserWarning, match="multilingual"):
        theirs = Reader(nltk.data.find("corpora/wordnet"), None)
    ours = find_wordnet(DEBIAN)
    lemmas = sorted(theirs._lemma_pos_offset_map)[::151]
    endings = [lemma + ending for lemma in lemmas[::7] for ending in ("s", "es", "ed", "ing", "er", "men", "ies")]
    words = [
        *WORDS,
        *lemmas,
        *endings,
        "geese",
        "men",
        "axes",
        "better",
        "best",
        "worse",
        "built",
        "was",
        "Paris",
        "zzz",
    ]
    for word in words:
        names = (lemma.name() for synset in theirs.synsets(word) for lemma in synset.lemmas())
        assert ours.synonyms(word) == {name for name in names if "_" not in name} | {word}, word
    nltk.data.path.remove(str(data_folder))


@needs_wordnet
def test_known_synonyms() -> None:
    wordnet = find_wordnet(DEBIAN)
    assert "street" not in wordnet.synonyms("road")
    assert {"road", "route"} <= wordnet.synonyms("roads")
    assert {"construct", "make", "build"} <= wordnet.synonyms("built")
    assert wordnet.synonyms("nosuchword") == {"nosuchword"}
    assert wordnet.version == "3.0"


@needs_wordnet
def test_no_synset_holds_two_numbers_so_word_ids_have_no_synonyms() -> None:
    wordnet = find_wordnet(DEBIAN)
    numbers = {str(number) for number in range(2000)}
    assert all(wordnet.synonyms(number) & numbers == {number} for number in numbers)


@needs_wordnet
def test_nltk_data_comes_first(data_folder: Path) -> None:
    done = found(NLTK_DATA=f"/nowhere{os.pathsep}{data_folder}")
    assert done.stdout.split() == [str(data_folder / "corpora" / "wordnet"), "3.0"], done.stderr


@needs_wordnet
def test_a_zip_as_nltk_downloads_it_is_read_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / "corpora").mkdir()
    with zipfile.ZipFile(tmp_path / "corpora" / "wordnet.zip", "w") as archive:
        for path in DEBIAN.iterdir():
            archive.write(path, f"wordnet/{path.name}")
    done = found(NLTK_DATA=str(tmp_path))
    assert done.stdout.split() == [str(tmp_path / "corpora" / "wordnet.zip"), "3.0"], done.stderr


def test_a_folder_without_wordnet_is_refused_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no data\.noun; install Debian's wordnet-base"):
        find_wordnet(tmp_path)


def test_a_damaged_wordnet_is_named(tmp_path: Path) -> None:
    (tmp_path / "data.noun").write_text("  WordNet 3.0\n")
    with pytest.raises(ModelError, match="cannot be read"):
        find_wordnet(tmp_path)


def test_no_wordnet_anywhere_says_what_to_install(tmp_path: Path) -> None:
    hidden = f"import rsccli.evaluation.metrics.wordnet as w; w.SYSTEM_FOLDERS = (); w.data_folders = list; {FIND}"
    done = subprocess.run([sys.executable, "-c", hidden], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "there is none on this machine: install Debian's wordnet-base" in done.stderr
