"""A dual encoder's checkpoint to a bundle of two graphs and a tokenizer, compared with PyTorch."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rsccli.errors import OutputError, UsageProblem
from rsccli.models.bundle import check_replaced
from rsccli.models.dual.checkpoint import DualSource
from rsccli.models.dual.manifest import FAMILY, FEATURES, IMAGE, PIXELS, TEXT, TOKENIZER, TOKENS
from rsccli.models.dual.openclip import ACTIVATIONS, activation_of
from rsccli.models.large.export import OPSET, check_disk, check_memory, licence_of, seal, whole_bundle
from rsccli.models.manifest import FORMAT
from rsccli.types import TilePair

Say = Callable[[str], None]

#: Bytes of a weight, and what the exporter holds beside the model, see `rsccli.models.large.export`.
BYTES = {"fp32": 4, "fp16": 2}
MEMORY_FACTOR, MEMORY_BASE, DISK_FACTOR = 3.0, 0.8e9, 1.1


@dataclass(frozen=True)
class DualJob:
    """One ``rsccli export-onnx`` of a dual encoder.

    Attributes:
        model: as it was given. output: the bundle's folder. dtype: ``fp32`` or ``fp16``. opset: of ONNX.
        tokenizer: folder with another tokenizer than the checkpoint's. activation: of OpenCLIP weights, see
            `rsccli.models.dual.openclip`.
        verify: compare with PyTorch. overwrite: replace a bundle. name: of the bundle, or None for the folder's.
    """

    model: str
    output: Path
    dtype: str = "fp32"
    opset: int = OPSET
    tokenizer: Path | None = None
    activation: str | None = None
    verify: bool = True
    overwrite: bool = False
    name: str | None = None

    def __post_init__(self) -> None:
        if self.dtype not in BYTES:
            raise UsageProblem(f"--dtype {self.dtype!r}: dual encoders are exported as {' or '.join(BYTES)}")
        if not 18 <= self.opset <= 23:
            raise UsageProblem(f"--opset {self.opset}: give 18 to 23")
        if self.activation not in (None, *ACTIVATIONS):
            raise UsageProblem(f"--activation {self.activation!r}: choose one of {', '.join(ACTIVATIONS)}")


@dataclass(frozen=True)
class DualPlan:
    """What an export will do and take; no weight is loaded yet.

    Attributes:
        memory_bytes, disk_bytes: about how much it will take.
    """

    job: DualJob
    source: DualSource
    memory_bytes: int
    disk_bytes: int


def plan_dual(job: DualJob, source: DualSource) -> DualPlan:
    """Check everything that can be checked before the work starts.

    Raises:
        ModelError: too little memory, or nothing tells the activation. OutputError: something is at the output, it
            cannot be written, or the disk has too little room. UsageProblem: an option for other checkpoints.
    """
    output = job.output.absolute()
    if output.exists() and not job.overwrite:
        raise OutputError(f"{job.output} exists already: give --overwrite to replace it, or another -o")
    check_replaced(output)
    if source.layout == "open_clip":
        activation_of(source, job.activation)
    elif job.activation is not None:
        raise UsageProblem("--activation is for OpenCLIP weights: a checkpoint of transformers names its own")
    memory = int(source.stored_bytes * MEMORY_FACTOR + MEMORY_BASE)
    # Weights may be stored in half precision.
    disk = int(source.stored_bytes * DISK_FACTOR * (2 if job.dtype == "fp32" else 1))
    check_memory(memory, source.folder, job.dtype)
    check_disk(disk, output)
    return DualPlan(job, source, memory, disk)


def export_dual(plan: DualPlan, pairs: Sequence[TilePair], say: Say = lambda _: None) -> Path:
    """Write the bundle: beside its place first, moved there when everything holds.

    Args:
        plan: from `plan_dual`. pairs: real tile pairs for the comparison with PyTorch. say: takes lines of progress.

    Raises:
        ModelError: the checkpoint is not what it says. BundleError: the graphs do not say what PyTorch says.
        OutputError: the bundle cannot be written.
    """
    with whole_bundle(plan.job.output, say) as work:
        _write(plan, work, pairs, say)
    return plan.job.output.absolute()


def _write(plan: DualPlan, work: Path, pairs: Sequence[TilePair], say: Say) -> None:
    import torch

    from rsccli.models.dual.graphs import image_graph, text_graph
    from rsccli.models.dual.loading import load_dual
    from rsccli.models.large.graphs import write_encoder

    job, started = plan.job, time.monotonic()

    def told(what: str) -> None:
        say(f"{time.monotonic() - started:6.1f} s  {what}")

    torch.manual_seed(0)
    told(f"reading {plan.source.stored_bytes / 1e6:.1f} MB of weights of {plan.source.name}")
    loaded = load_dual(plan.source, job.tokenizer, job.activation)
    told(f"writing {IMAGE}")
    write_encoder(image_graph(loaded, job.dtype, PIXELS, FEATURES), job.dtype, job.opset, work / IMAGE)
    gc.collect()
    told(f"writing {TEXT}")
    write_encoder(text_graph(loaded, job.dtype, TOKENS, FEATURES), job.dtype, job.opset, work / TEXT)
    gc.collect()
    loaded.tokenizer.save(str(work / TOKENIZER))
    content = _content(plan, loaded)
    seal(work, content)
    if job.verify:
        from rsccli.models.dual.parity import compare_dual

        told(f"comparing with PyTorch on {2 * len(pairs)} pictures and some texts")
        content["parity"] = compare_dual(work, loaded, pairs, job, told)
        seal(work, content)


def _content(plan: DualPlan, loaded: Any) -> dict[str, Any]:  # noqa: ANN401 - LoadedDual, which needs torch
    """The manifest without its files."""
    from rsccli import __version__

    job, source = plan.job, plan.source
    return {
        "format": FORMAT,
        "family": FAMILY,
        "name": job.name or job.output.name,
        "version": __version__,
        "source": {"id": source.name if Path(job.model).exists() else job.model, "revision": source.revision()},
        "architecture": loaded.architecture,
        "width": loaded.width,
        "picture": asdict(loaded.picture),
        "text": asdict(loaded.text),
        "logit_scale": loaded.logit_scale,
        "logit_bias": loaded.logit_bias,
        "dtype": job.dtype,
        "opset": job.opset,
        "licence": licence_of(source.folder, None),
        "training_data": "See the card of the checkpoint; not trained by this project.",
        "parity": {},
        "limits": [
            "How well it tells satellite images and changes apart is not measured by this project.",
            *([f"Its activation was taken to be {loaded.activation}."] if source.layout == "open_clip" else []),
        ],
    }
