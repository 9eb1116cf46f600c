"""Questions to an index: in words, by captions or by what pictures show, within a box and a status."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from rsccli.errors import InputError, ModelError, UsageProblem
from rsccli.search.features import TileTable
from rsccli.search.freshness import check_fresh
from rsccli.search.layout import CAPTION_VECTORS, read_facts
from rsccli.search.places import Filter, Places, load_places
from rsccli.search.vectors import VectorIndex
from rsccli.search.words import ranked_captions
from rsccli.types import RunFacts

if TYPE_CHECKING:
    from rsccli.models.dual.encoder import DualEncoder

Bool = npt.NDArray[np.bool_]
F32 = npt.NDArray[np.float32]

By = Literal["caption", "meaning", "pre", "post", "change"]
BY: tuple[By, ...] = get_args(By)


@dataclass(frozen=True)
class Question:
    """What is asked.

    Attributes:
        text: in plain words. k: most tiles that are wanted.
        by: ``caption``: words of the captions. With a dual encoder ``meaning``: captions by their vectors; ``pre``,
            ``post``: what the picture of a date shows; ``change``: what post shows more than pre.
        only: which tiles may be found.
    """

    text: str
    k: int = 20
    by: By = "caption"
    only: Filter = field(default_factory=Filter)

    def __post_init__(self) -> None:
        if self.k < 1:
            raise UsageProblem(f"-k {self.k}: at least 1")
        if self.by not in BY:
            raise UsageProblem(f"--by {self.by}: choose one of {', '.join(BY)}")


@dataclass(frozen=True, eq=False)
class Hit:
    """One tile that was found.

    Attributes:
        rank: from 1. score: higher is better: BM25, a cosine, or a difference of cosines. feature: GeoJSON.
    """

    rank: int
    score: float
    feature: Mapping[str, Any]


class SearchIndex:
    """An open index; close it.

    Args:
        folder: of the index. model: folder of the dual encoder, where it is not where it was; device: for it.
        allow_stale: search although the map or its images were changed since.

    Raises:
        InputError: no index, or a damaged one. InputChangedError: it is stale.
    """

    def __init__(
        self, folder: Path, *, model: Path | None = None, device: str = "auto", allow_stale: bool = False
    ) -> None:
        self.folder, self.facts = folder, read_facts(folder)
        if not allow_stale:
            check_fresh(folder, self.facts)
        self._places: Places = load_places(folder)
        self._table = TileTable(folder)
        self._vectors: dict[str, VectorIndex] = {}
        self._model, self._device = model, device
        self._encoder: DualEncoder | None = None

    def __enter__(self) -> SearchIndex:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close files and model."""
        self._table.close()
        if self._encoder is not None:
            self._encoder.close()

    def run_facts(self) -> RunFacts | None:
        """Facts of the run that made the map."""
        return self._table.facts()

    def search(self, question: Question) -> list[Hit]:
        """The best tiles for a question, at most ``question.k``.

        Raises:
            UsageProblem: no word in the question, or vectors are asked of an index without. ModelError: the dual
                encoder is gone, or another one. InputError: the index is damaged.
        """
        allowed = self._places.allowed(question.only)
        try:
            if question.by == "caption":
                found = self._by_words(question, allowed)
            else:
                found = self.nearest(self.vector_of(question.text, question.by), question.k, question.by, allowed)
            features = self._table.features([row for row, _ in found])
        except sqlite3.DatabaseError as error:
            raise InputError(f"{self.folder}: its tiles cannot be read ({error}): make the index again") from error
        return [
            Hit(rank, score, feature)
            for rank, ((_, score), feature) in enumerate(zip(found, features, strict=True), start=1)
        ]

    def nearest(self, vector: F32, k: int, by: By, allowed: Bool | None = None) -> list[tuple[int, float]]:
        """Rows and scores of the tiles nearest to a vector (width,).

        Args:
            by: ``meaning``, ``pre``, ``post`` or ``change``. allowed: (tiles,) which may be found, or None.
        """
        index = self._index(by)
        if by == CAPTION_VECTORS:
            usable = None if allowed is None else self._places.captions_in(allowed)[index.rows]
            places, scores = index.nearest(vector, k, usable)
            captions = zip(index.rows[places].tolist(), scores.tolist(), strict=True)
            return self._tiles_of(captions, k, allowed)
        places, scores = index.nearest(vector, k, None if allowed is None else allowed[index.rows])
        return list(zip(index.rows[places].tolist(), scores.tolist(), strict=True))

    def vector_of(self, text: str, by: By) -> F32:
        """Vector of a question, (width,)."""
        self._index(by)
        found: F32 = self._open_encoder().texts([text])[0]
        return found

    def _by_words(self, question: Question, allowed: Bool | None) -> list[tuple[int, float]]:
        usable = None if allowed is None else self._places.captions_in(allowed)
        # Every caption has a tile: without a filter k captions are enough.
        found = ranked_captions(self._table.database, question.text, question.k if usable is None else None)
        # Taken one by one, and no more than are needed: a common word is in half of all captions.
        wanted = (each for each in found if usable is None or usable[each[0]])
        return self._tiles_of(wanted, question.k, allowed)

    def _tiles_of(self, captions: Iterable[tuple[int, float]], k: int, allowed: Bool | None) -> list[tuple[int, float]]:
        """Tiles of captions with their scores, in that order; of one caption the strongest changes first."""
        found: list[tuple[int, float]] = []
        for caption, score in captions:
            rows = self._places.tiles_of(caption)
            rows = rows if allowed is None else rows[allowed[rows]]
            found += [(int(row), float(score)) for row in rows[: k - len(found)]]
            if len(found) >= k:
                break
        return found

    def _index(self, by: By) -> VectorIndex:
        if self.facts.encoder is None:
            raise UsageProblem(
                f"--by {by}: {self.folder} holds captions as words alone. Make it with a dual encoder: rsccli index "
                f"{self.facts.source.path} -o {self.folder} --model BUNDLE (rsccli export-onnx makes the bundle from a "
                "CLIP or SigLIP checkpoint)"
            )
        if by not in self._vectors:
            self._vectors[by] = VectorIndex(self.folder, by)
        return self._vectors[by]

    def _open_encoder(self) -> DualEncoder:
        if self._encoder is None:
            from rsccli.models.dual.encoder import open_dual

            told = self.facts.encoder
            assert told is not None
            folder = self._model or Path(told.folder)
            if not folder.is_dir():
                raise ModelError(
                    f"{folder} is gone: the index was made with the dual encoder {told.name} {told.revision}; say "
                    "where it is with --model"
                )
            encoder = open_dual(folder, self._device)
            if encoder.bundle.digest != told.digest:
                raise ModelError(
                    f"{folder} is {encoder.manifest.name} {encoder.bundle.revision}, but the index was made with "
                    f"{told.name} {told.revision}: name that one with --model, or make the index again"
                )
            self._encoder = encoder
        return self._encoder
