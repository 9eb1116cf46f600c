"""Cosine of sentence embeddings: RSCC's ST5-SCS (cubed) and the plain one, with any sentence-transformers folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rsccli.errors import ModelError
from rsccli.evaluation.metrics.base import F64, Measured, Metric, check_pairs, hundred_means

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

# sentence-transformers itself takes any encoder without this file and pools it as it likes.
MARK = "modules.json"
KEPT = 200_000


def load(folder: Path, device: str) -> SentenceTransformer:
    """The model of a local folder; nothing is downloaded.

    Raises:
        ModelError: no such folder, no sentence-transformers model in it, or the library is missing.
    """
    if not (folder / MARK).is_file():
        what = f"it has no {MARK}" if folder.is_dir() else "there is no such folder"
        raise ModelError(
            f"{folder} is no sentence-transformers model: {what}; save one there with "
            f"SentenceTransformer(...).save({str(folder)!r}) on a machine that has it"
        )
    _refuse_other_classes(folder)
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise ModelError("sentence embeddings need sentence-transformers: pip install 'rsccli[neural]'") from error
    try:
        model: SentenceTransformer = SentenceTransformer(
            str(folder), device=device, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # whatever the files make it raise
        raise ModelError(f"{folder} cannot be loaded as a sentence-transformers model: {error}") from error
    return model


def _refuse_other_classes(folder: Path) -> None:
    """The parts of a model are classes by name: any class of any module that is installed, were it not for this.

    Raises:
        ModelError: a part that is none of the library's own.
    """
    path = folder / MARK
    try:
        kinds = [str(part["type"]) for part in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(f"{path} cannot be read ({error}): save the model again") from error
    other = [kind for kind in kinds if not kind.startswith("sentence_transformers.")]
    if other:
        raise ModelError(f"{path} names {other[0][:80]!r}, which is no part of sentence-transformers: not loaded")


class SentenceCosine(Metric):
    """Mean of |cos³| (ST5-SCS, Chen et al. 2025) and of the cosine, of normalised embeddings.

    ST5-SCS is published with sentence-t5-xxl; with another model it is another scale, so the note names the folder.
    Of several references the most similar counts.

    Raises:
        ModelError: the folder cannot be used.
    """

    name = "sentence cosine"
    keys = ("st5_scs", "cosine")

    def __init__(self, folder: Path, device: str = "cpu", batch_size: int = 32) -> None:
        self._model = load(folder, device)
        self._batch_size = batch_size
        self._kept: dict[str, F64] = {}
        self._notes = (f"st5_scs and cosine with {folder.resolve().name}",)

    def measure(self, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Measured:
        """See `Metric`."""
        check_pairs(predictions, references)
        self._embed([*predictions, *(text for texts in references for text in texts)])
        kept = self._kept
        best = np.array(
            [
                max(float(kept[prediction] @ kept[text]) for text in texts)
                for prediction, texts in zip(predictions, references, strict=True)
            ],
            np.float64,
        )
        return Measured(self.keys, np.stack([np.abs(best**3), best], axis=1), hundred_means, self._notes)

    def _embed(self, texts: Sequence[str]) -> None:
        if len(self._kept) > KEPT:
            self._kept.clear()
        new = [text for text in dict.fromkeys(texts) if text not in self._kept]
        if new:
            vectors = self._model.encode(
                new, batch_size=self._batch_size, normalize_embeddings=True, show_progress_bar=False
            )
            self._kept.update(zip(new, np.asarray(vectors, np.float64), strict=True))
