"""The small captioner's graphs again from its checkpoint, thresholds as its bundle has them."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from pickle import PickleError

import torch
from tokenizers import Tokenizer

from rsccli.errors import BundleError
from rsccli.models.bundle import check_replaced, open_bundle
from rsccli.models.small.captioner import BUNDLED
from rsccli.models.small.export import WEIGHTS, Calibration, Checkpoint, export_bundle
from rsccli.models.small.network import SmallCaptioner, SmallConfig


def checkpoint_of(folder: Path = BUNDLED) -> Checkpoint:
    """The checkpoint inside a bundle, with the bundle's own calibration.

    The weights are kept in half precision there: graphs made from them differ from the bundle's own by that rounding.

    Raises:
        BundleError: the bundle holds no checkpoint, or a damaged one.
    """
    bundle = open_bundle(folder, "full")
    path = bundle.path(WEIGHTS)
    if not path.is_file():
        raise BundleError(f"{folder} holds no {WEIGHTS}: it was exported without its checkpoint")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        model = SmallCaptioner(SmallConfig(**state["config"]))
        model.load_state_dict(
            {name: each.float() if each.is_floating_point() else each for name, each in state["average"].items()}
        )
        tokenizer = Tokenizer.from_str(state["tokenizer"])
    except PickleError as error:
        raise BundleError(f"{path}: not a checkpoint: more than numbers and texts in it, not loaded") from error
    except (OSError, RuntimeError, EOFError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise BundleError(f"{path}: not a checkpoint of this version's captioner ({error})") from error
    manifest = bundle.manifest
    found = {**vars(manifest.calibration), **vars(manifest.thresholds)}
    calibration = Calibration(**{field.name: found[field.name] for field in fields(Calibration)})
    return Checkpoint(
        model=model.eval(),
        tokenizer=tokenizer,
        calibration=calibration,
        revision=manifest.source.revision,
        training_data=manifest.training_data,
        words=manifest.words,
    )


def reexport(output: Path, *, overwrite: bool = False, folder: Path = BUNDLED) -> Path:
    """Export the bundled captioner (or the one in another bundle) from its checkpoint.

    Raises:
        BundleError: no checkpoint, or the graphs do not say what PyTorch says. OutputError: see `export_bundle`.
    """
    if overwrite:
        check_replaced(output.absolute())
    limits = open_bundle(folder, "size").manifest.limits
    return export_bundle(checkpoint_of(folder), output, limits=limits, overwrite=overwrite)
