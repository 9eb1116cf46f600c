"""Generated pairs as tensors, made in worker processes in an order that the seed and a counter fix."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import pickle
import threading
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from torch import Tensor

from rsccli.datasets.backgrounds import REAL_CHANGE_SHARE, Sources, read_sources
from rsccli.datasets.generated import GeneratedPair, generate, reversed_in_time, turned
from rsccli.models.small.export import MEAN, STD
from rsccli.models.small.facts import KEYWORDS, Facts, Register, prompt_words
from rsccli.models.small.network import CLOUD_STRIDE, MASK_STRIDE
from rsccli.types import U8

LONGEST_SENTENCE = 80
SIDES = (128, 128, 192, 128, 256, 128, 128, 192, 128, 256)
AHEAD = 6
NO_CLASS = -1


class Batch(NamedTuple):
    """Tensors of one step; N pairs of one size. What nobody knows is nan.

    Attributes:
        pre, post: normalised (N, 3, S, S). valid: (N, 1, S, S). gsd: (N,), metres per pixel.
        change: (N,) 0, 1 or nan. keywords: (N, K) 0, 1 or nan.
        mask: (N, 1, S/4, S/4), changed share 0-1. known: the same shape, 1 where the mask is certain.
        classes: (N, S/4, S/4) int64, keyword of each changed cell, else ``NO_CLASS``.
        cloud: (N, 2, S/16, S/16), hidden share of pre and of post.
    """

    pre: Tensor
    post: Tensor
    valid: Tensor
    gsd: Tensor
    change: Tensor
    keywords: Tensor
    mask: Tensor
    known: Tensor
    classes: Tensor
    cloud: Tensor


def normalise(images: U8) -> Tensor:
    """uint8 (..., 3, H, W) to what the encoder reads."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    return (torch.from_numpy(images).float() / 255.0 - mean) / std


def token_ids(tokenizer: Tokenizer, sentences: list[str]) -> Tensor:
    """BOS, words, EOS, padding: (N, L) int64.

    Raises:
        ValueError: a word is not known, or a sentence is longer than the decoder may write.
    """
    unknown = tokenizer.token_to_id("<unk>")
    rows = []
    for text in sentences:
        ids = tokenizer.encode(text).ids
        if unknown in ids or len(ids) > LONGEST_SENTENCE:
            raise ValueError(f"the tokenizer cannot say: {text}")
        rows.append([1, *ids, 2])
    longest = max(map(len, rows))
    return torch.tensor([row + [0] * (longest - len(row)) for row in rows])


def prompt_ids(tokenizer: Tokenizer, facts: Sequence[Facts], register: Register = "short") -> Tensor:
    """Facts as the decoder reads them: (N, PROMPT_TOKENS) int64."""
    return torch.tensor([[tokenizer.token_to_id(word) for word in prompt_words(f, register)] for f in facts])


def collate(pairs: Sequence[GeneratedPair]) -> Batch:
    """One batch of pairs of one size."""
    side = pairs[0].mask.shape[0]
    cells, blocks = side // MASK_STRIDE, side // CLOUD_STRIDE
    change = torch.tensor([float("nan") if pair.changed is None else float(pair.changed) for pair in pairs])
    keywords = torch.zeros(len(pairs), len(KEYWORDS))
    for row, pair in enumerate(pairs):
        if pair.keywords is None:
            keywords[row] = torch.nan
        else:
            keywords[row, list(pair.unasked)] = torch.nan
            keywords[row, list(pair.keywords)] = 1.0
    # The middle pixel of a cell speaks for what it became; its share of change is the mean.
    classes = np.stack(
        [pair.layers[MASK_STRIDE // 2 :: MASK_STRIDE, MASK_STRIDE // 2 :: MASK_STRIDE] for pair in pairs]
    )
    valid = torch.from_numpy(np.stack([pair.valid for pair in pairs])).float().unsqueeze(1)
    return Batch(
        pre=normalise(np.stack([pair.pre for pair in pairs])) * valid,
        post=normalise(np.stack([pair.post for pair in pairs])) * valid,
        valid=valid,
        gsd=torch.tensor([pair.gsd_m for pair in pairs], dtype=torch.float32),
        change=change,
        keywords=keywords,
        mask=_shares([pair.mask for pair in pairs], cells),
        known=(_shares([pair.known & pair.valid for pair in pairs], cells) > 0.5).float(),
        classes=torch.from_numpy(classes.astype(np.int64) - 1),
        cloud=torch.cat([_shares([pair.cloud[date] for pair in pairs], blocks) for date in (0, 1)], 1),
    )


def _shares(masks: Sequence[npt.NDArray[np.bool_]], cells: int) -> Tensor:
    stack = np.stack([cv2.resize(m.astype(np.float32), (cells, cells), interpolation=cv2.INTER_AREA) for m in masks])
    return torch.from_numpy(stack).unsqueeze(1)


class GeneratedDataset:
    """Batch number to batch; sources are read once in each worker, on first use."""

    def __init__(self, data: Path, seed: int, batch_size: int, real_share: float = REAL_CHANGE_SHARE) -> None:
        self._data, self._seed, self._batch_size, self._real_share = data, seed, batch_size, real_share
        self._sources: Sources | None = None

    def size(self, number: int) -> tuple[int, int]:
        """Pairs in a batch and their side; every size costs about the same time."""
        side = SIDES[number % len(SIDES)]
        return max(2, self._batch_size * 128 * 128 // (side * side) // 2 * 2), side

    def __getitem__(self, number: int) -> Batch:
        """The batch with this number."""
        if self._sources is None:
            self._sources = read_sources(self._data, "train", self._real_share)
        count, side = self.size(number)
        first = number * self._batch_size
        rng = np.random.default_rng([self._seed, number])
        pairs = []
        for index in range((count + 1) // 2):
            pair = generate(self._sources, self._seed, first + index, side)
            # Drawing costs as much as learning: each pair is shown twice, in both orders of time where it has both.
            back = reversed_in_time(pair) or pair
            pairs += [pair, turned(back, int(rng.integers(4)), bool(rng.random() < 0.5))]
        return collate(pairs)


def batches(dataset: GeneratedDataset, first: int, workers: int) -> Generator[Batch, None, None]:
    """Batches in order from a number on, without end, generated ahead in worker processes (0: in this one)."""
    if workers == 0:
        for number in itertools.count(first):
            yield dataset[number]
    pool = ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), initializer=_begin, initargs=(dataset,)
    )
    try:
        ahead = deque(pool.submit(_generate, number) for number in range(first, first + AHEAD * workers))
        for number in itertools.count(first + len(ahead)):
            made = ahead.popleft().result()
            ahead.append(pool.submit(_generate, number))
            # Bytes, not tensors: tensors would travel in shared memory that dies with its worker.
            batch: Batch = pickle.loads(made)
            yield batch
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_in_worker: list[GeneratedDataset] = []


def _begin(dataset: GeneratedDataset) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    _in_worker[:] = [dataset]


def _end_with_parent() -> None:
    """A worker waits on a queue that it holds open itself: without this it would outlive a run that was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _generate(number: int) -> bytes:
    return pickle.dumps(_in_worker[0][number])
