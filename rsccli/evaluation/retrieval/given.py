"""Vectors or similarities that somebody else computed, from a file."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rsccli.errors import InputError
from rsccli.evaluation.retrieval.measure import Tally, Task, measure
from rsccli.evaluation.retrieval.references import References, task_of
from rsccli.evaluation.retrieval.result import Row

Array = npt.NDArray[np.floating]
TEXTS = "texts"


def vector_rows(path: Path, references: References, samples: int, seed: int) -> tuple[list[Row], Task]:
    """Rows from a ``.npz`` with ``texts`` (T, D) and any other arrays (N, D), each of which stands for the pairs.

    N pairs in the order of the references; T texts: all their captions in order, or the first of each. Vectors are
    compared by their cosine, but those named ``change`` by their product (one near 0 says that little changed).

    Raises:
        InputError: the file cannot be read, or sizes do not fit.
    """
    arrays = _arrays(path)
    texts = arrays.pop(TEXTS, None)
    if texts is None or not arrays:
        raise InputError(f"{path}: an array named {TEXTS} and at least one other, of the pairs, are needed")
    task = _task(path, TEXTS, len(texts), references)
    rows = []
    for name, items in sorted(arrays.items()):
        if items.ndim != 2 or texts.ndim != 2 or items.shape != (len(task.captions), texts.shape[1]):
            raise InputError(
                f"{path}: {name} has the shape {items.shape}; {len(task.captions)} pairs and vectors as {TEXTS} "
                f"{texts.shape} are needed"
            )
        rows += matrix_rows(name, _unit(texts) @ (items if name == "change" else _unit(items)).T, task, samples, seed)
    return rows, task


def similarity_rows(path: Path, references: References, samples: int, seed: int) -> tuple[list[Row], Task]:
    """Rows from a ``.npy`` of similarities (T, N): texts by pairs, in the order of `vector_rows`.

    Raises:
        InputError: the file cannot be read, or sizes do not fit.
    """
    try:
        scores: Array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: not an array of numpy ({error})") from error
    if not isinstance(scores, np.ndarray) or scores.ndim != 2 or scores.shape[1] != len(references.captions):
        found = getattr(scores, "shape", type(scores).__name__)
        raise InputError(f"{path}: similarities are (texts, {len(references.captions)} pairs), not {found}")
    task = _task(path, "rows", len(scores), references)
    return matrix_rows("similarity", _finite(path, "similarity", scores), task, samples, seed), task


def matrix_rows(by: str, scores: Array, task: Task, samples: int, seed: int) -> list[Row]:
    """Rows of both ways from scores (T, N)."""
    tallies = (Tally(by, "text to change"), Tally(by, "change to text"))
    measure(task, tallies, lambda text: scores[text], lambda pair: scores[:, pair])
    return [row for tally in tallies for row in tally.rows(samples, seed)]


def _task(path: Path, name: str, count: int, references: References) -> Task:
    whole = task_of(references.captions, references.changed)
    if count == len(whole.texts):
        return whole
    if count == len(references.captions):
        firsts = [own[0] for own in references.captions]
        return Task(references.captions, firsts, range(count), references.changed)
    raise InputError(
        f"{path}: {name} are {count}, but {references.path} has {len(whole.texts)} captions of "
        f"{len(references.captions)} pairs: give one for each caption, or one for each pair"
    )


def _arrays(path: Path) -> dict[str, Array]:
    try:
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            raise ValueError("a single array, .npy")
        with found:
            return {name: _finite(path, name, found[name]) for name in found.files}
    except (OSError, ValueError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: not an archive of arrays (.npz) of numpy ({error})") from error


def _finite(path: Path, name: str, array: npt.NDArray[np.generic]) -> Array:
    if not np.issubdtype(array.dtype, np.number) or np.issubdtype(array.dtype, np.complexfloating):
        raise InputError(f"{path}: {name} holds {array.dtype}, not numbers")
    made = array.astype(np.float32)
    if not np.isfinite(made).all():
        raise InputError(f"{path}: {name} holds values that are no numbers (NaN or infinite)")
    return made


def _unit(vectors: Array) -> Array:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    made: Array = vectors / np.maximum(length, 1e-12)
    return made
