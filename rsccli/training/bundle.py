"""A finished training run to a bundle: choose the checkpoint, polish its decoder, calibrate it, export it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer

from rsccli.models.small.export import Calibration, Checkpoint, export_bundle
from rsccli.training.calibrate import calibrate
from rsccli.training.development import Figures, measure, read_held_out
from rsccli.training.loop import best_checkpoint, load_state, model_of, save_state
from rsccli.training.polish import polish

FINAL = "final.pt"
POLISH_STEPS = 1000

TRAINING_DATA = (
    "Generated (synthetic) changes drawn over real NAIP image pairs of four Californian cities (US public domain; "
    "tree points CC BY 4.0, Ventura et al., urban-tree-detection-data) and over NAIP of one prairie quad in 2009 and "
    "2010; captions from a grammar of the project. See docs/models/rsccli-small.md."
)
LIMITS = (
    "Trained on drawn changes, not on labelled real ones: what it calls a change and how it names it is often wrong "
    "on real pairs; read its sentences as hints, not as findings.",
    "Damage and flood were learnt from drawings alone.",
    "It knows aerial images of 0.3 to 1.2 m of dry Californian cities, and 4 to 10 m of one prairie; elsewhere, and on "
    "false colours, expect worse.",
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


def _polished(data: Path, path: Path, final: Path, steps: int, say: Callable[[str], None]) -> Path:
    """The checkpoint with its decoder polished; made once, then found again."""
    origin = _sha256(path)
    if final.exists() and load_state(final)["origin"] == [origin, steps]:
        return final
    state = load_state(path)
    model = model_of(state)
    tokenizer = Tokenizer.from_str(state["tokenizer"])
    torch.manual_seed(state["seed"])
    polish(model, tokenizer, data, seed=state["seed"], pairs=max(8, steps // 2), steps=steps, say=say)
    save_state({**state, "average": model.state_dict(), "origin": [origin, steps]}, final)
    return final


def export_run(
    data: Path,
    run: Path,
    folder: Path,
    *,
    development_pairs: int,
    polish_steps: int = POLISH_STEPS,
    overwrite: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Exported:
    """Export the best checkpoint of a training run as a bundle.

    Args:
        data: folder with the imagery. run: folder of checkpoints. folder: of the bundle to write.
        development_pairs: generated development pairs that thresholds come from.
        polish_steps: steps in which the decoder alone learns to follow facts; 0: none.
        overwrite: replace a bundle that is there. say: takes lines of progress.

    Raises:
        InputError: the run has no checkpoint. OutputError: the bundle cannot be written.
        BundleError: the graphs do not say what PyTorch says.
    """
    path = best_checkpoint(run)
    final = _polished(data, path, run / FINAL, polish_steps, say)
    state = load_state(final)
    model = model_of(state)
    held_out = read_held_out(data, "development", development_pairs)
    figures, real, generated = measure(model, held_out)
    calibration = calibrate(held_out, real, generated)
    checkpoint = Checkpoint(
        model=model,
        tokenizer=Tokenizer.from_str(state["tokenizer"]),
        calibration=calibration,
        revision=_sha256(final),
        training_data=TRAINING_DATA,
    )
    export_bundle(checkpoint, folder, limits=LIMITS, overwrite=overwrite)
    return Exported(folder, path, calibration, figures)
