"""Words as RSCC parts them, against sacrebleu and nltk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsccli.evaluation.metrics.tokens import mteval_words, nltk_words

PIECES = [
    "a",
    "B",
    "3",
    "1.5",
    "1,000",
    ".",
    ",",
    "-",
    "(",
    ")",
    "'s",
    '"',
    "&",
    "&amp;",
    "&quot;",
    "%",
    "/",
    "\n",
    "-\n",
]


def test_words_of_mteval() -> None:
    assert mteval_words("Two houses, 3.5 m apart (new).") == "Two houses , 3.5 m apart ( new ) .".split()
    assert mteval_words("1990-2000 well-built &amp; new") == "1990 - 2000 well-built & new".split()


@given(st.lists(st.sampled_from([*PIECES, " "]), max_size=25).map("".join))
@settings(max_examples=200, deadline=None)
def test_words_are_those_of_sacrebleu(text: str) -> None:
    tokenizer = pytest.importorskip("sacrebleu.tokenizers.tokenizer_13a").Tokenizer13a()
    assert mteval_words(text) == tokenizer(text).split()


def test_words_of_nltk_without_its_download(tmp_path: Path) -> None:
    # In a fresh process whose data folders are empty: sentences end before words are parted, so points stand alone.
    ask = (
        "import nltk; nltk.data.path[:] = []; from rsccli.evaluation.metrics.tokens import nltk_words;"
        "words, note = nltk_words(); print(words('Two houses appear. A road (new) is built.')); print(note)"
    )
    environment = {**os.environ, "NLTK_DATA": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", ask], env=environment, capture_output=True, text=True, check=True)
    words, note = done.stdout.splitlines()
    assert words == str("Two houses appear . A road ( new ) is built .".split())
    assert note == "words of nltk, sentences without punkt_tab's abbreviations"


SAID = [
    "a",
    "Two",
    "U.S.",
    "3.5",
    "1,200",
    "cannot",
    "Gonna",
    "well-built",
    "weren't",
    "villa's",
    "(new)",
    "--",
    "it's",
]
MARKED = ["houses,", "gone!", "road.", "road?", "...", "km.", "A.", "etc.", '"lost"', "&", ",", ".", " ", "\n"]


@given(st.lists(st.sampled_from([*SAID, *MARKED]), max_size=25).map(" ".join))
@settings(max_examples=300, deadline=None)
def test_words_are_those_of_nltk(text: str) -> None:
    from nltk.tokenize import NLTKWordTokenizer
    from nltk.tokenize.punkt import PunktSentenceTokenizer

    parted, note = nltk_words()
    if note != "words of nltk, sentences without punkt_tab's abbreviations":
        from nltk.tokenize import word_tokenize

        assert parted(text) == word_tokenize(text)
        return
    words = NLTKWordTokenizer()
    assert parted(text) == [word for each in PunktSentenceTokenizer().tokenize(text) for word in words.tokenize(each)]


def test_words_of_a_sentence_by_hand() -> None:
    parted, _ = nltk_words()
    assert parted("About 3.5 km, or 1,200 (new) houses, weren't lost.") == (
        "About 3.5 km , or 1,200 ( new ) houses , were n't lost .".split()
    )
    assert parted("Roads cannot appear, houses do.") == "Roads can not appear , houses do .".split()
    assert parted("") == []
