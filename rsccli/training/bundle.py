"""A finished training run to a bundle: choose the checkpoint, calibrate it, export it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from rsccli.models.small.export import Calibration, Checkpoint, export_bundle
from rsccli.training.calibrate import calibrate
from rsccli.training.development import Figures, measure, read_held_out
from rsccli.training.loop import best_checkpoint, load_state, model_of

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


def export_run(data: Path, run: Path, folder: Path, *, development_pairs: int, overwrite: bool = False) -> Exported:
    """Export the best checkpoint of a training run as a bundle.

    Args:
        data: folder with the imagery. run: folder of checkpoints. folder: of the bundle to write.
        development_pairs: generated development pairs that thresholds come from.
        overwrite: replace a bundle that is there.

    Raises:
        InputError: the run has no checkpoint. OutputError: the bundle cannot be written.
        BundleError: the graphs do not say what PyTorch says.
    """
    path = best_checkpoint(run)
    state = load_state(path)
    model = model_of(state)
    held_out = read_held_out(data, "development", development_pairs)
    figures, real, generated = measure(model, held_out)
    calibration = calibrate(held_out, real, generated)
    checkpoint = Checkpoint(
        model=model,
        tokenizer=Tokenizer.from_str(state["tokenizer"]),
        calibration=calibration,
        revision=hashlib.sha256(path.read_bytes()).hexdigest(),
        training_data=TRAINING_DATA,
    )
    export_bundle(checkpoint, folder, limits=LIMITS, overwrite=overwrite)
    return Exported(folder, path, calibration, figures)
