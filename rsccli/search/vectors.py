"""Vectors on the disk and the nearest of them: all of them where they are few, by compressed codes where they are many.

Vectors are kept as float16, a row each, and read through the page cache. From `MANY` rows on there are codes beside
them: a product quantiser of 4 bits for each pair of numbers (Jégou et al. 2011; the fast scan of André et al. 2015 as
faiss has it), an eighth of the vectors' size. A question reads every code, takes the best `CANDIDATES`, and ranks these
by their true vectors. Unlike a graph (HNSW) this is built in seconds, costs the same for every question, and loses
little even where neighbours are no nearer than strangers.
"""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rsccli.errors import InputError
from rsccli.models.cores import usable_cores
from rsccli.search.codes import codes_fit

logger = logging.getLogger(__name__)

F16 = npt.NDArray[np.float16]
F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

#: Rows from which codes are worth their building; below, all vectors are read for a question.
MANY = 50_000
#: Candidates of a question that are ranked by their true vectors.
CANDIDATES = 1000
#: Rows that the quantiser learns from: more change nothing at 16 centroids.
_TRAINED_ON = 20_000
#: Rows that are made float32 at a time: a megabyte of them, which stays in the processor's cache.
_BLOCK = 512
#: So few rows are looked at whatever there is: quicker than to read all codes.
_FEW = 16_384
_NO_CARRY = np.uint32(0x8FFFE000).view(np.int32)


def vector_path(folder: Path, name: str) -> Path:
    """Where the vectors of a kind lie."""
    return folder / f"{name}.vectors.npy"


def rows_path(folder: Path, name: str) -> Path:
    """Where it is written which tile or caption each vector is of."""
    return folder / f"{name}.rows.npy"


def codes_path(folder: Path, name: str) -> Path:
    """Where the codes of a kind lie, if there are many."""
    return folder / f"{name}.codes.faiss"


def has_faiss() -> bool:
    """Whether the library that makes and reads codes is installed."""
    return importlib.util.find_spec("faiss") is not None


def write_codes(folder: Path, name: str, many: int = MANY) -> bool:
    """Make the codes of vectors that lie in a folder, if they are many.

    Args:
        many: rows from which on; see `MANY`.

    Returns:
        Whether there are codes now. Without faiss there are none: searching is then slower, and finds the same.
    """
    vectors: F16 = np.load(vector_path(folder, name), mmap_mode="r", allow_pickle=False)
    if len(vectors) < many:
        return False
    if not has_faiss():
        logger.warning(
            "faiss is not installed: %d vectors are searched without codes (pip install faiss-cpu)", len(vectors)
        )
        return False
    import faiss

    # Training is thousands of tiny steps: threads would wait for each other, minutes where seconds do on a busy node.
    faiss.omp_set_num_threads(1)
    width = vectors.shape[1] + vectors.shape[1] % 2
    index = faiss.IndexPQFastScan(width, width // 2, 4, faiss.METRIC_INNER_PRODUCT)
    index.pq.cp.seed = 0
    some = np.sort(np.random.default_rng(0).permutation(len(vectors))[:_TRAINED_ON])
    index.train(_even(vectors[some]))
    faiss.omp_set_num_threads(usable_cores())
    for start in range(0, len(vectors), _FEW):
        index.add(_even(vectors[start : start + _FEW]))
    faiss.write_index(index, str(codes_path(folder, name)))
    return True


class VectorIndex:
    """Vectors of one kind, open for questions.

    Args:
        folder: of the index. name: of the kind.

    Raises:
        InputError: a file is missing or damaged.
    """

    def __init__(self, folder: Path, name: str) -> None:
        try:
            self._vectors: F16 = np.load(vector_path(folder, name), mmap_mode="r", allow_pickle=False)
            self.rows: npt.NDArray[np.int32] = np.load(rows_path(folder, name), allow_pickle=False)
            if self._vectors.ndim != 2 or len(self.rows) != len(self._vectors):
                raise ValueError("vectors and rows differ in number")
            if self._vectors.dtype != np.float16 or self.rows.dtype != np.int32 or (self.rows < 0).any():
                raise ValueError("numbers of another type")
        except (OSError, ValueError, EOFError) as error:
            raise InputError(
                f"{vector_path(folder, name)} cannot be read ({error}): make the index again with rsccli index"
            ) from error
        self._codes: Any = None
        if codes_path(folder, name).is_file() and has_faiss():
            if not codes_fit(codes_path(folder, name), self.width + self.width % 2, len(self)):
                logger.warning(
                    "%s holds no codes of these vectors: they are searched without", codes_path(folder, name)
                )
                return
            import faiss

            faiss.omp_set_num_threads(1)
            self._codes = faiss.read_index(str(codes_path(folder, name)))

    def __len__(self) -> int:
        return len(self._vectors)

    @property
    def width(self) -> int:
        """Numbers in a vector."""
        return int(self._vectors.shape[1])

    def at(self, places: I64) -> F16:
        """Vectors (n, width) at some places."""
        return self._vectors[places]

    def nearest(self, question: F32, k: int, allowed: Bool | None = None) -> tuple[I64, F32]:
        """The vectors with the largest product with a question.

        Args:
            question: (width,). k: how many. allowed: (len,) which may be found, or None for all.

        Returns:
            Places of at most k vectors, the best first (equal ones in their order), and their products.
        """
        count = len(self) if allowed is None else int(allowed.sum())
        k = min(k, count)
        if k == 0:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        wanted = max(CANDIDATES, 10 * k)
        # Codes give what is nearest of all; where few are allowed, it is quicker to look at these alone.
        if self._codes is None or count <= max(_FEW, wanted):
            places = np.arange(len(self)) if allowed is None else np.flatnonzero(allowed)
        else:
            places = self._candidates(question, wanted, count, allowed)
        return self._best(question, places, k)

    def _candidates(self, question: F32, wanted: int, count: int, allowed: Bool | None) -> I64:
        """At least ``wanted`` places that are allowed; all of these where that is quicker."""
        asked = min(len(self), int(1.1 * wanted * len(self) / count))
        while asked < len(self) // 4:
            _, found = self._codes.search(_even(question[None]), asked)
            places: I64 = found[0][found[0] >= 0]
            if allowed is not None:
                places = places[allowed[places]]
            if len(places) >= wanted:
                return np.sort(places)
            # What is allowed lies far from the question: look further.
            asked *= 4
        return np.arange(len(self)) if allowed is None else np.flatnonzero(allowed)

    def _best(self, question: F32, places: I64, k: int) -> tuple[I64, F32]:
        """The k best of some places, by their true vectors."""
        whole = len(places) == len(self)
        scores = np.empty(len(places), np.float32)
        for start in range(0, len(places), _BLOCK):
            part = slice(start, start + _BLOCK)
            scores[part] = _products(self._vectors[part] if whole else self._vectors[places[part]], question)
        if len(scores) > k:
            least = np.partition(scores, len(scores) - k)[len(scores) - k]
            kept = np.flatnonzero(scores >= least)
        else:
            kept = np.arange(len(scores))
        order = kept[np.argsort(-scores[kept], kind="stable")][:k]
        return places[order], scores[order]


def _products(block: F16, question: F32) -> F32:
    """Products of float16 rows (n, width) with a float32 question; every number finite.

    The bits of a half are moved to where a float has them, which leaves the exponent short of 112: that is made good in
    the question. NumPy's own conversion takes four times as long, and would be nearly all of the time.
    """
    wide = block.view(np.int16).astype(np.int32)
    wide <<= 13
    # The sign was carried into the three bits below its place.
    wide &= _NO_CARRY
    products: F32 = wide.view(np.float32) @ (question * np.float32(2.0**112))
    return products


def _even(vectors: npt.NDArray[Any]) -> F32:
    """float32 with an even number of columns: codes are of pairs."""
    made = np.ascontiguousarray(vectors, np.float32)
    return made if made.shape[1] % 2 == 0 else np.pad(made, ((0, 0), (0, 1)))
