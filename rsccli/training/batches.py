"""Generated pairs as tensors, made in worker processes in an order that the seed and a counter fix."""

from __future__ import annotations

import itertools
import multiprocessing
import pickle
from collections import deque
from collections.abc import Generator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from rsccli.datasets.generated import GeneratedPair, Sources, generate, read_sources
from rsccli.datasets.grammar import random_facts, sentence
from rsccli.models.small.export import MEAN, STD
from rsccli.models.small.facts import EXTENTS, KEYWORDS, PLACES, STATUS_NAMES, Facts
from rsccli.models.small.network import MASK_STRIDE, FactTensors
from rsccli.types import U8

LONGEST_SENTENCE = 46
SIDES = (128, 128, 192, 128, 256)
TOLD_SHARE = 0.15
PADDED_SHARE = 0.1
AHEAD = 6
MAP_STRIDE = 16


class Batch(NamedTuple):
    """Tensors of one step; N pairs of one size.

    Attributes:
        pre, post: normalised (N, 3, S, S). valid: (N, 1, S, S).
        change: (N,) 0 or 1. keywords: (N, K) 0 or 1. mask: (N, 1, S/4, S/4), covered share 0-1.
        maps: (N, K, S/16, S/16), covered share by keyword.
        facts: what the sentences say. ids: (N, L), from BOS on, padded. told: (N,) 1 where facts and
            sentence belong to no image.
    """

    pre: Tensor
    post: Tensor
    valid: Tensor
    change: Tensor
    keywords: Tensor
    mask: Tensor
    maps: Tensor
    facts: FactTensors
    ids: Tensor
    told: Tensor


def normalise(images: U8) -> Tensor:
    """uint8 (..., 3, H, W) to what the encoder reads."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    return (torch.from_numpy(images).float() / 255.0 - mean) / std


def fact_tensors(facts: list[Facts]) -> FactTensors:
    """Facts as the decoder reads them."""
    keywords = torch.zeros(len(facts), len(KEYWORDS))
    for row, fact in enumerate(facts):
        keywords[row, list(fact.keywords)] = 1.0

    def one_hot(values: list[int], size: int) -> Tensor:
        return torch.nn.functional.one_hot(torch.tensor(values), size).float()

    return FactTensors(
        one_hot([f.status for f in facts], len(STATUS_NAMES)),
        one_hot([f.extent for f in facts], len(EXTENTS)),
        one_hot([f.place for f in facts], len(PLACES)),
        keywords,
    )


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


def collate(pairs: list[GeneratedPair], tokenizer: Tokenizer, rng: np.random.Generator) -> Batch:
    """One batch; a share of the sentences is told from random facts, a share of the images has borders."""
    side = pairs[0].mask.shape[0]
    cells = side // MASK_STRIDE
    valid = torch.ones(len(pairs), 1, side, side)
    for row in range(len(pairs)):
        if rng.random() < PADDED_SHARE:
            valid[row, :, side - int(rng.integers(1, side // 2)) :, :] = 0.0
        if rng.random() < PADDED_SHARE:
            valid[row, :, :, side - int(rng.integers(1, side // 2)) :] = 0.0
    facts, sentences, told = [], [], []
    bordered = valid.flatten(1).amin(1) == 0.0
    for row, pair in enumerate(pairs):
        # With a border the part that is left may show another place and extent: those pairs tell too.
        tell = bool(bordered[row]) or rng.random() < TOLD_SHARE
        told.append(float(tell))
        facts.append(random_facts(rng) if tell else pair.facts)
        sentences.append(sentence(rng, facts[-1]) if tell else pair.caption)
    masks = np.stack([p.mask.reshape(cells, MASK_STRIDE, cells, MASK_STRIDE).mean((1, 3)) for p in pairs])
    mask = torch.from_numpy(masks).float().unsqueeze(1)
    visible = torch.nn.functional.avg_pool2d(valid, MASK_STRIDE)
    blocks = side // MAP_STRIDE
    maps = torch.zeros(len(pairs), len(KEYWORDS), blocks, blocks)
    for row, pair in enumerate(pairs):
        for layer in np.unique(pair.layers[pair.layers > 0]):
            there = (pair.layers == layer).reshape(blocks, MAP_STRIDE, blocks, MAP_STRIDE).mean((1, 3))
            maps[row, int(layer) - 1] = torch.from_numpy(there)
    keywords = fact_tensors([pair.facts for pair in pairs]).keywords
    # A change under the border cannot be seen; where half of it is hidden, what kind it was is not asked.
    seen = (mask * visible).sum((1, 2, 3)) / mask.sum((1, 2, 3)).clamp(min=1e-6)
    change = torch.tensor([float(p.facts.status == 2) for p in pairs])
    hidden = (change > 0) & (seen < 0.3)
    change = torch.where(hidden, 0.0, change)
    keywords = torch.where((bordered & (change > 0) & (seen < 0.95)).unsqueeze(1), torch.nan, keywords)
    keywords = torch.where(hidden.unsqueeze(1), 0.0, keywords)
    return Batch(
        pre=normalise(np.stack([p.pre for p in pairs])) * valid,
        post=normalise(np.stack([p.post for p in pairs])) * valid,
        valid=valid,
        change=change,
        keywords=keywords,
        mask=mask * visible,
        maps=maps,
        facts=fact_tensors(facts),
        ids=token_ids(tokenizer, sentences),
        told=torch.tensor(told),
    )


class GeneratedDataset:
    """Batch number to batch; sources are read once in each worker, on first use."""

    def __init__(self, data: Path, seed: int, tokenizer_json: str, batch_size: int) -> None:
        self._data, self._seed, self._tokenizer_json, self._batch_size = data, seed, tokenizer_json, batch_size
        self._ready: tuple[Sources, Tokenizer] | None = None

    def size(self, number: int) -> tuple[int, int]:
        """Pairs in a batch and their side; every size costs about the same time."""
        side = SIDES[number % len(SIDES)]
        return max(2, self._batch_size * 128 * 128 // (side * side)), side

    def __getitem__(self, number: int) -> Batch:
        """The batch with this number."""
        if self._ready is None:
            self._ready = read_sources(self._data, "train"), Tokenizer.from_str(self._tokenizer_json)
        sources, tokenizer = self._ready
        count, side = self.size(number)
        first = number * self._batch_size
        pairs = [generate(sources, self._seed, first + i, side) for i in range(count)]
        return collate(pairs, tokenizer, np.random.default_rng([self._seed, number]))


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
    torch.set_num_threads(1)
    _in_worker[:] = [dataset]


def _generate(number: int) -> bytes:
    return pickle.dumps(_in_worker[0][number])
