"""Log-probabilities of chosen tokens, and random choice of tokens that depends on seeds alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rsccli.models.decoding.tokens import Sampling

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]


def log_probabilities(logits: F32, chosen: I64, rows: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Log-probability of one token of each row, (N), by the model as it is (whatever the temperature).

    Args:
        logits: (N, V). chosen: (N). rows: which are wanted; the others get 0.
    """
    result = np.zeros(len(logits))
    for row in np.flatnonzero(rows):
        peak = logits[row].max()
        # Summed in float64: the probability of a sure token is 1 minus less than float32 can tell.
        total = np.exp(logits[row] - peak).sum(dtype=np.float64)
        result[row] = float(logits[row, chosen[row]]) - float(peak) - np.log(total)
    return result


def choose(logits: F32, rows: npt.NDArray[np.bool_], seeds: npt.NDArray[Any], step: int, sampling: Sampling) -> I64:
    """Draw a token for each row (nucleus sampling).

    Args:
        logits: (N, V). rows: which still run. seeds: (N), of the rows. step: number of the token.
        sampling: temperature above 0, share of the nucleus, seed of the run.

    Returns:
        (N) tokens. A row's draw depends on its own logits and seed, so that its neighbours do not matter.
    """
    chosen: I64 = logits.argmax(axis=1).astype(np.int64)
    for row in np.flatnonzero(rows):
        below = logits[row].astype(np.float64) - logits[row].max()
        # The best token has 0 whatever the temperature; near 0 the others may become minus infinity, a share of 0.
        with np.errstate(over="ignore"):
            shares = np.exp(below / sampling.temperature)
        shares /= shares.sum()
        order = np.argsort(-shares, kind="stable")
        above = np.cumsum(shares[order])
        # The token that crosses the bound belongs to the nucleus.
        nucleus = order[: int(np.searchsorted(above, sampling.top_p)) + 1]
        bounds = np.cumsum(shares[nucleus])
        draw = np.random.default_rng([sampling.seed, int(seeds[row]), step]).random() * bounds[-1]
        chosen[row] = nucleus[min(int(np.searchsorted(bounds, draw, side="right")), len(nucleus) - 1)]
    return chosen
