"""Synonyms from WordNet's own files, wherever they are: nltk's data, Debian's package, or a folder that is named.

nltk's reader wants a file (``lexnames``) that Debian's ``wordnet-base`` lacks and spends two seconds on what is not
needed here. This one reads the same index, data and exception files, documented in wndb(5WN) and morphy(7WN), and finds
the same synonyms.
"""

from __future__ import annotations

import os
import sys
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from rsccli.errors import ModelError

PARTS_OF_SPEECH = ("noun", "verb", "adj", "adv")
# Endings that may be exchanged to reach a base form (morphy(7WN)).
ENDINGS: dict[str, tuple[tuple[str, str], ...]] = {
    "noun": (
        ("s", ""),
        ("ses", "s"),
        ("ves", "f"),
        ("xes", "x"),
        ("zes", "z"),
        ("ches", "ch"),
        ("shes", "sh"),
        ("men", "man"),
        ("ies", "y"),
    ),
    "verb": (("s", ""), ("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", "")),
    "adj": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    "adv": (),
}
SYSTEM_FOLDERS = (
    Path("/usr/share/wordnet"),
    Path("/usr/share/wordnet-3.0/dict"),
    Path("/usr/local/WordNet-3.0/dict"),
    Path("/opt/homebrew/opt/wordnet/dict"),
)
WAY_OUT = (
    "install Debian's wordnet-base, or unpack nltk's wordnet under corpora/ of a folder and name that folder in "
    "NLTK_DATA, or give a folder with data.noun with --wordnet"
)


class WordNet:
    """WordNet 3.x.

    Args:
        read: name of a file ("index.noun") to its bytes.
        where: for notes and messages.
    """

    def __init__(self, read: Callable[[str], bytes], where: str) -> None:
        self.where = where
        self._data = {part: read(f"data.{part}") for part in PARTS_OF_SPEECH}
        self._index = {part: _index(read(f"index.{part}")) for part in PARTS_OF_SPEECH}
        self._irregular = {part: _exceptions(read(f"{part}.exc")) for part in PARTS_OF_SPEECH}
        self._kept: dict[str, frozenset[str]] = {}

    @property
    def version(self) -> str:
        """As the files' heading says, e.g. ``"3.0"``; "of unknown version" where it does not."""
        _, found, rest = self._data["noun"][:2000].partition(b"WordNet ")
        return rest.split(maxsplit=1)[0].decode("ascii", "replace") if found else "of unknown version"

    def synonyms(self, word: str) -> frozenset[str]:
        """Single words of every synset that the word or one of its base forms is in, and the word itself."""
        known = self._kept.get(word)
        if known is None:
            lower = word.lower()
            names = {name for part in PARTS_OF_SPEECH for name in self._names(lower, part) if "_" not in name}
            known = self._kept[word] = frozenset(names | {word})
        return known

    def _names(self, word: str, part: str) -> set[str]:
        names: set[str] = set()
        for form in self._base_forms(word, part):
            fields = self._index[part][form].split()
            count = int(fields[2])
            for offset in fields[-count:]:
                names.update(self._synset(part, int(offset)))
        return names

    def _base_forms(self, word: str, part: str) -> list[str]:
        """The word and what it may be a form of, where the index has it (an irregular form has its own list)."""
        forms = self._irregular[part].get(word)
        if forms is None:
            forms = [word[: -len(old)] + new for old, new in ENDINGS[part] if word.endswith(old)]
        return [form for form in dict.fromkeys([word, *forms]) if form in self._index[part]]

    def _synset(self, part: str, offset: int) -> list[str]:
        data = self._data[part]
        fields = data[offset : data.index(b"|", offset)].split()
        count = int(fields[3], 16)
        names = (field.decode("ascii") for field in fields[4 : 4 + 2 * count : 2])
        # Where an adjective may stand is written behind it: "out(p)".
        return [name.partition("(")[0] if name.endswith(")") else name for name in names]


def _index(data: bytes) -> dict[str, bytes]:
    lines = (line for line in data.split(b"\n") if line and not line.startswith(b" "))
    return {line[: line.index(b" ")].decode("utf-8"): line for line in lines}


def _exceptions(data: bytes) -> dict[str, list[str]]:
    parted = (line.split() for line in data.decode("utf-8").split("\n"))
    return {fields[0]: fields[1:] for fields in parted if fields}


def _from_folder(folder: Path) -> WordNet | None:
    if not (folder / "data.noun").is_file():
        return None
    return WordNet(lambda name: (folder / name).read_bytes(), str(folder))


def _from_zip(path: Path) -> WordNet | None:
    if not path.is_file():
        return None
    with zipfile.ZipFile(path) as archive:
        return WordNet(lambda name: archive.read(f"wordnet/{name}"), str(path))


def data_folders() -> list[Path]:
    """Where nltk looks for its data, without importing it: NLTK_DATA, the home folder, the usual places."""
    named = [Path(part) for part in os.environ.get("NLTK_DATA", "").split(os.pathsep) if part]
    here = [Path(sys.prefix) / folder for folder in ("nltk_data", "share/nltk_data", "lib/nltk_data")]
    usual = ("/usr/share/nltk_data", "/usr/local/share/nltk_data", "/usr/lib/nltk_data", "/usr/local/lib/nltk_data")
    return [*named, Path.home() / "nltk_data", *here, *(Path(folder) for folder in usual)]


@cache
def find_wordnet(folder: Path | None = None) -> WordNet:
    """WordNet of the folder, else of the first place that has it.

    Raises:
        ModelError: the folder has none, or none is found anywhere, or its files are damaged.
    """
    try:
        if folder is not None:
            found = _from_folder(folder) or _from_folder(folder / "corpora" / "wordnet")
            if found is None:
                raise ModelError(f"{folder} is no WordNet: it has no data.noun; {WAY_OUT}")
            return found
        for data in data_folders():
            corpora = data / "corpora"
            found = _from_folder(corpora / "wordnet") or _from_zip(corpora / "wordnet.zip")
            if found is not None:
                return found
        for system in SYSTEM_FOLDERS:
            found = _from_folder(system)
            if found is not None:
                return found
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ModelError(f"WordNet cannot be read ({error}); {WAY_OUT}") from error
    raise ModelError(f"METEOR of nltk needs WordNet, and there is none on this machine: {WAY_OUT}")
