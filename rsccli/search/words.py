"""Captions as words: the full-text index of SQLite (FTS5) with Porter's stems and the ranking BM25.

BM25 (Robertson and Zaragoza 2009) with FTS5's k1 = 1.2 and b = 0.75: a rare word of the question counts more than a
common one, and a short caption that holds it more than a long one. "houses" finds "house"; "building" does not: words
that mean the same are not known.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence

from rsccli.errors import RsccliError, UsageProblem

TOKENIZER = "porter unicode61 remove_diacritics 2"
_WORD = re.compile(r"[^\W_]+")
#: Words of grammar: nearly every caption has them, and to rank by them costs time and tells nothing.
_GRAMMAR = frozenset(
    "a an and are as at be been being by for from had has have in into is it its of on or that the their there these "
    "this those to was were which with".split()
)


def match_expression(question: str) -> str:
    """A question as FTS5 wants it: any of its words, words of grammar left out unless there are no others.

    Raises:
        UsageProblem: there is no word in it.
    """
    words = list(dict.fromkeys(_WORD.findall(question.lower())))
    if not words:
        raise UsageProblem(f"{question!r} has no word in it: ask for something in words")
    telling = [word for word in words if word not in _GRAMMAR] or words
    # Quoted: bare, some words are operators of FTS5.
    return " OR ".join(f'"{word}"' for word in telling)


def make_words(database: sqlite3.Connection) -> None:
    """The tables: different captions, each once, and their words.

    Raises:
        RsccliError: this Python's SQLite has no full-text search.
    """
    database.execute("CREATE TABLE captions (caption INTEGER PRIMARY KEY, text TEXT NOT NULL)")
    try:
        database.execute(
            "CREATE VIRTUAL TABLE words USING fts5(text, content='captions', content_rowid='caption', "
            f"tokenize='{TOKENIZER}')"
        )
    except sqlite3.OperationalError as error:
        raise RsccliError(
            f"the SQLite {sqlite3.sqlite_version} of this Python has no full-text search (FTS5): use a Python from "
            "python.org, conda or a distribution"
        ) from error


def fill_words(database: sqlite3.Connection, captions: Iterable[tuple[int, str]]) -> None:
    """Put captions with their numbers into the tables, and finish them."""
    database.executemany("INSERT INTO captions VALUES (?, ?)", captions)
    database.execute("INSERT INTO words (words) VALUES ('rebuild')")
    # One tree instead of many: a question then reads each word's list once.
    database.execute("INSERT INTO words (words) VALUES ('optimize')")


def ranked_captions(
    database: sqlite3.Connection, question: str, limit: int | None = None
) -> Iterator[tuple[int, float]]:
    """Captions with a word of the question and their BM25 score, the best first.

    Args:
        limit: the most that is wanted; None: as many as the caller takes.
    """
    rows = database.execute(
        "SELECT rowid, rank FROM words WHERE words MATCH ? ORDER BY rank, rowid LIMIT ?",
        (match_expression(question), -1 if limit is None else limit),
    )
    # FTS5 gives the better the smaller.
    return ((int(row), -float(score)) for row, score in rows)


class TextIndex:
    """A full-text index in memory, of a list of texts; the same words and ranking as an index on the disk.

    Args:
        texts: documents; equal ones stay apart.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._database = sqlite3.connect(":memory:")
        make_words(self._database)
        fill_words(self._database, enumerate(texts))

    def scores(self, question: str) -> Iterator[tuple[int, float]]:
        """Numbers of the texts with a word of the question and their scores; the others have none."""
        yield from ranked_captions(self._database, question)

    def close(self) -> None:
        """Give the memory back."""
        self._database.close()
