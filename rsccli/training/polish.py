"""The last stage of training: the decoder alone learns to say exactly the facts that it is told.

While the encoder learns, most of a step's time is the encoder's, and the decoder sees few combinations of facts.
Here the encoder is fixed, its tokens are computed once for a few hundred pairs, and every step shows the decoder as
many sentences told from random facts as sentences of pairs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor

from rsccli.datasets.generated import GeneratedPair, generate, read_sources
from rsccli.datasets.grammar import random_facts, sentence
from rsccli.models.small.facts import Facts
from rsccli.models.small.network import SmallCaptioner
from rsccli.training.batches import fact_tensors, normalise, token_ids

# Far above the indices that training itself comes to.
FIRST_INDEX = 2**30
HALF_BATCH = 24
RATE = 1.5e-3


def grid_tokens(model: SmallCaptioner, pairs: list[GeneratedPair], at_once: int = 16) -> Tensor:
    """Grid and scene tokens of pairs of one size: (n, GRID_CELLS**2 + 1, D)."""
    tokens = []
    with torch.inference_mode():
        for start in range(0, len(pairs), at_once):
            some = pairs[start : start + at_once]
            pre, post = (normalise(np.stack(dates)) for dates in zip(*((p.pre, p.post) for p in some), strict=True))
            tokens.append(model.encoder(pre, post, torch.ones(len(some), 1, *pre.shape[2:])).grid)
    return torch.cat(tokens).clone()


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
    """Train decoder and fact tokens of a network in place; the rest of it stays as it is.

    Args:
        model: with a trained encoder. data: folder with the imagery.
        seed: of pairs and sentences. pairs: generated pairs to draw on. steps: of 48 sentences each.

    Returns:
        Mean loss of the last steps, nats a token.
    """
    sources = read_sources(data, "train")
    drawn = [generate(sources, seed, FIRST_INDEX + index) for index in range(pairs)]
    model.eval()
    grid = grid_tokens(model, drawn)
    rng = np.random.default_rng([seed, FIRST_INDEX])
    weights = [*model.decoder.parameters(), *model.facts.parameters()]
    optimizer = torch.optim.AdamW(weights, RATE, weight_decay=0.01)
    recent: list[float] = []
    for step in range(steps):
        rate = RATE * 0.5 * (1.0 + math.cos(math.pi * step / steps)) * min(1.0, (step + 1) / 20)
        for group in optimizer.param_groups:
            group["lr"] = rate
        own = rng.integers(pairs, size=HALF_BATCH)
        told: list[Facts] = [random_facts(rng) for _ in range(HALF_BATCH)]
        facts = [*(drawn[i].facts for i in own), *told]
        sentences = [*(drawn[i].caption for i in own), *(sentence(rng, fact) for fact in told)]
        rows = torch.from_numpy(np.concatenate([own, rng.integers(pairs, size=HALF_BATCH)]))
        ids = token_ids(tokenizer, sentences)
        with torch.autocast("cpu", torch.bfloat16):
            tokens = torch.cat([grid[rows], model.facts(fact_tensors(facts))], 1)
            logits = model.sentence_logits(tokens, ids[:, :-1])
        loss = F.cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten(), ignore_index=0)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        recent = [*recent[-29:], float(loss.detach())]
        if (step + 1) % 100 == 0:
            say(f"polish step {step + 1} of {steps}: {np.mean(recent):.3f}")
    return float(np.mean(recent))
