"""The last stage of training: the decoder alone learns to say exactly the facts that it is told.

The encoder is fixed; its features are computed once for some hundred pairs. Half of the sentences are of these
pairs, half are told from random facts against whatever the image shows. Of the facts of pairs a share is
withheld (number, place or extent unknown) while the sentence still says them: there the decoder has to look.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor

from rsccli.datasets.backgrounds import read_sources
from rsccli.datasets.generated import GeneratedPair, generate
from rsccli.models.small.facts import NOWHERE, REGISTERS, Facts, Finding
from rsccli.models.small.grammar import random_facts, sentence
from rsccli.models.small.network import GRID_CELLS, Scores, SmallCaptioner, pool_grid
from rsccli.training.batches import collate, prompt_ids, token_ids

# Far above the indices that training itself comes to.
FIRST_INDEX = 2**30
HALF_BATCH = 24
RATE = 1.5e-3
WITHHELD = 0.2


def pooled_features(model: SmallCaptioner, pairs: list[GeneratedPair], at_once: int = 16) -> tuple[Tensor, Tensor]:
    """What image tokens are made from: grid (n, cells, C) and scene (n, S)."""
    grids, scenes = [], []
    with torch.inference_mode():
        for start in range(0, len(pairs), at_once):
            batch = collate(pairs[start : start + at_once])
            scores: Scores = model.encoder(batch.pre, batch.post, batch.valid, batch.gsd)
            grids.append(pool_grid(scores.rich, GRID_CELLS))
            scenes.append(scores.scene)
    return torch.cat(grids).clone(), torch.cat(scenes).clone()


def withheld(facts: Facts, rng: np.random.Generator) -> Facts:
    """Facts of which some numbers, places and extents are not told."""

    def some(finding: Finding) -> Finding:
        place = NOWHERE if rng.random() < WITHHELD else finding.place
        return replace(
            finding,
            count=0 if rng.random() < WITHHELD else finding.count,
            place=place,
            extent=0 if place == NOWHERE else finding.extent,
        )

    return replace(facts, findings=tuple(some(finding) for finding in facts.findings))


def polish(
    model: SmallCaptioner,
    tokenizer: Tokenizer,
    data: Path,
    *,
    seed: int,
    pairs: int,
    steps: int,
    say: Callable[[str], None] = lambda _: None,
) -> float:
    """Train the decoder and what makes image tokens of a network in place; the rest of it stays as it is.

    Args:
        model: with a trained encoder. data: folder with the imagery.
        seed: of pairs and sentences. pairs: generated pairs to draw on. steps: of 48 sentences each.

    Returns:
        Mean loss of the last steps, nats a token.
    """
    sources = read_sources(data, "train")
    drawn: list[GeneratedPair] = []
    index = FIRST_INDEX
    while len(drawn) < pairs:
        pair = generate(sources, seed, index)
        index += 1
        if pair.changed and pair.keywords:
            drawn.append(pair)
    model.eval()
    grid, scene = pooled_features(model, drawn)
    rng = np.random.default_rng([seed, FIRST_INDEX])
    encoder = model.encoder
    makers = [*encoder.grid_head.parameters(), *encoder.scene_head.parameters(), encoder.grid_place]
    weights = [*model.decoder.parameters(), *makers]
    optimizer = torch.optim.AdamW(weights, RATE, weight_decay=0.01)
    recent: list[float] = []
    for step in range(steps):
        rate = RATE * 0.5 * (1.0 + math.cos(math.pi * step / steps)) * min(1.0, (step + 1) / 20)
        for group in optimizer.param_groups:
            group["lr"] = rate
        own = rng.integers(pairs, size=HALF_BATCH)
        register = REGISTERS[step % len(REGISTERS)]
        told = [random_facts(rng) for _ in range(HALF_BATCH)]
        said = [*(drawn[i].facts for i in own), *told]
        known = [*(withheld(drawn[i].facts, rng) for i in own), *told]
        rows = torch.from_numpy(np.concatenate([own, rng.integers(pairs, size=HALF_BATCH)]))
        ids = token_ids(tokenizer, [sentence(facts, register, rng) for facts in said])
        prompt = prompt_ids(tokenizer, known, register)
        tokens = encoder.tokens_of(grid[rows], scene[rows])
        logits = model.sentence_logits(tokens, torch.cat([prompt, ids[:, :-1]], 1))[:, prompt.shape[1] :]
        loss = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), ignore_index=0)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        recent = [*recent[-29:], float(loss.detach())]
        if (step + 1) % 100 == 0:
            say(f"polish step {step + 1} of {steps}: {np.mean(recent):.3f}")
    return float(np.mean(recent))
