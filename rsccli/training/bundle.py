"""A finished training run to a bundle: choose the checkpoint, polish its decoder, calibrate it, export it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer

from rsccli.datasets.backgrounds import read_sources
from rsccli.datasets.generated import generate
from rsccli.models.small.export import Calibration, Checkpoint, export_bundle
from rsccli.models.small.network import SmallCaptioner
from rsccli.training.calibrate import calibrate, fit_looks
from rsccli.training.development import Figures, measure, read_held_out, score, score_generated
from rsccli.training.loop import best_checkpoint, load_state, model_of, save_state
from rsccli.training.polish import FIRST_INDEX, polish

FINAL = "final.pt"
POLISH_STEPS = 1200
POLISH_PAIRS = 600
# Dates that tell what training looked like: generated pairs of two sizes, and real chips.
LOOK_PAIRS = {128: 400, 256: 120}

TRAINING_DATA = (
    "Real changes marked by eye in NAIP image pairs of Long Beach, Palm Springs and Santa Monica, California, and "
    "generated (synthetic) ones drawn over these pairs, over single dates of Bishop and Eureka (US public domain; tree "
    "points CC BY 4.0, Ventura et al., urban-tree-detection-data) and over NAIP of one prairie quad in 2009 and 2010; "
    "captions from a grammar of the project. See docs/model-card.md."
)
LIMITS = (
    "Read its sentences as hints, not as findings: docs/model-card.md counts how often they are wrong on real pairs.",
    "Damage, flood, fire, snow and mud were learnt from drawings alone.",
    "It knows colour aerial images of 0.3 to 10 m of dry Californian towns and one prairie; what looks unlike them is "
    "called unsure, and the reason is given.",
    "Re-roofing, resurfaced streets, parked cars and the season of plants are no change to it, or should not be.",
    "Counts, places and extents in sentences are coarse.",
)


@dataclass(frozen=True)
class Exported:
    """A written bundle: where, from which checkpoint, with which thresholds and development figures."""

    folder: Path
    checkpoint: Path
    calibration: Calibration
    development: Figures


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def training_looks(model: SmallCaptioner, data: Path, seed: int) -> npt.NDArray[np.float32]:
    """What training dates look like to a network: (n, D), of generated pairs and of real chips."""
    sources = read_sources(data, "train")
    looks = []
    for side, number in LOOK_PAIRS.items():
        drawn = [generate(sources, seed, FIRST_INDEX - 1 - index, side) for index in range(number)]
        looks.append(score_generated(model, [pair for pair in drawn if not pair.cloud.any()]).looks)
    chips = [(place.chips[0].image, place.chips[-1].image) for place in sources.places]
    real = [tuple(np.ascontiguousarray(np.moveaxis(date, 2, 0)) for date in pair) for pair in chips]
    looks.append(score(model, [(pre, post, 0.6) for pre, post in real]).looks)
    return np.concatenate([each.reshape(-1, each.shape[2]) for each in looks])


def _finished(data: Path, path: Path, final: Path, steps: int, say: Callable[[str], None]) -> Path:
    """The checkpoint with its decoder polished and the looks of its training data; made once, then found again."""
    origin = _sha256(path)
    if final.exists() and load_state(final)["origin"] == [origin, steps]:
        return final
    state = load_state(path)
    model = model_of(state)
    tokenizer = Tokenizer.from_str(state["tokenizer"])
    torch.manual_seed(state["seed"])
    looks = fit_looks(training_looks(model, data, state["seed"]))
    model.encoder.domain_mean.copy_(torch.from_numpy(looks.mean))
    model.encoder.domain_white.copy_(torch.from_numpy(looks.white))
    if steps:
        polish(model, tokenizer, data, seed=state["seed"], pairs=min(POLISH_PAIRS, 8 * steps), steps=steps, say=say)
    save_state({**state, "average": model.state_dict(), "origin": [origin, steps]}, final)
    return final


def export_run(
    data: Path,
    run: Path,
    folder: Path,
    *,
    development_pairs: int,
    polish_steps: int = POLISH_STEPS,
    words: str = "decoder",
    overwrite: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Exported:
    """Export the best checkpoint of a training run as a bundle.

    Args:
        data: folder with the imagery. run: folder of checkpoints. folder: of the bundle to write.
        development_pairs: generated development pairs, for keywords that too few real ones have.
        polish_steps: steps in which the decoder alone learns to follow facts; 0: none.
        words: who words captions by default, ``decoder`` or ``grammar``.
        overwrite: replace a bundle that is there. say: takes lines of progress.

    Raises:
        InputError: the run has no checkpoint. OutputError: the bundle cannot be written.
        BundleError: the graphs do not say what PyTorch says.
    """
    path = best_checkpoint(run)
    final = _finished(data, path, run / FINAL, polish_steps, say)
    state = load_state(final)
    model = model_of(state)
    held_out = read_held_out(data, "development", development_pairs)
    measured = measure(model, held_out)
    calibration = calibrate(held_out, measured)
    checkpoint = Checkpoint(
        model=model,
        tokenizer=Tokenizer.from_str(state["tokenizer"]),
        calibration=calibration,
        revision=_sha256(final),
        training_data=TRAINING_DATA,
        words=words,
    )
    export_bundle(checkpoint, folder, limits=LIMITS, overwrite=overwrite)
    return Exported(folder, path, calibration, measured.figures)
