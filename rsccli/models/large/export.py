"""A checkpoint to a bundle: checked before the work starts, compared with PyTorch, and whole or not there at all."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rsccli.errors import BundleError, ModelError, OutputError, UsageProblem
from rsccli.models.bundle import DECODER, EMBED, ENCODER, TOKENIZER, check_replaced
from rsccli.models.captioner import CaptionerOptions
from rsccli.models.large.chat import Chat
from rsccli.models.large.checkpoint import Checkpoint, end_tokens, find_checkpoint, read_checkpoint
from rsccli.models.large.families import family_of
from rsccli.models.large.family import DecoderExport, Family
from rsccli.models.large.revision import revision_of
from rsccli.models.manifest import DTYPES, FORMAT, MANIFEST_NAME
from rsccli.models.prompts import REGIMES
from rsccli.peak_memory import peak_memory_bytes
from rsccli.types import TilePair

OPSET = 20
MAX_NEW_TOKENS = 256
STAC_ITEM = "stac-item.json"
#: The exporter holds the model and, for a moment, a second copy of the largest graph's weights.
MEMORY_FACTOR, MEMORY_BASE = 2.2, 1.2e9
DISK_FACTOR = 1.15
BYTES = {"fp32": 4, "fp16": 2, "bf16": 2}

Say = Callable[[str], None]


@dataclass(frozen=True)
class ExportJob:
    """One ``rsccli export-onnx`` of a large model.

    Attributes:
        model: folder or hub id. output: the bundle's folder. revision: of a hub id.
        dtype: ``fp32``, ``fp16`` or ``bf16``. opset: of ONNX. quantize: ``int8`` or None.
        prompt: regime that the bundle is asked in by default. crops: see `Family`.
        max_new_tokens: longest caption by default.
        verify: compare the bundle with PyTorch. overwrite: replace a bundle that is there.
        name: of the bundle, or None for the folder's.
    """

    model: str
    output: Path
    revision: str | None = None
    dtype: str = "fp32"
    opset: int = OPSET
    quantize: str | None = None
    prompt: str = "naive"
    crops: bool = False
    max_new_tokens: int = MAX_NEW_TOKENS
    verify: bool = True
    overwrite: bool = False
    name: str | None = None

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise UsageProblem(f"--dtype {self.dtype!r}: choose one of {', '.join(DTYPES)}")
        if self.quantize not in (None, "int8"):
            raise UsageProblem(f"--quantize {self.quantize!r}: only int8 is known")
        if self.quantize and self.dtype != "fp32":
            raise UsageProblem("--quantize int8 starts from fp32 weights: leave --dtype out")
        if not 18 <= self.opset <= 23:
            raise UsageProblem(f"--opset {self.opset}: give 18 to 23 (23 has attention as one operator)")
        if self.prompt not in REGIMES:
            raise UsageProblem(f"--prompt-regime {self.prompt!r}: choose one of {', '.join(REGIMES)}")
        if self.max_new_tokens < 1:
            raise UsageProblem(f"--max-new-tokens {self.max_new_tokens}: at least 1")


@dataclass(frozen=True)
class Plan:
    """What an export will do and take; nothing is loaded yet.

    Attributes:
        memory_bytes: about how much it will take. disk_bytes: the same on the disk.
    """

    job: ExportJob
    checkpoint: Checkpoint
    family: Family
    memory_bytes: int
    disk_bytes: int


def plan_export(job: ExportJob) -> Plan:
    """Check everything that can be checked before the work starts.

    Raises:
        ModelError: no such checkpoint, an unknown family, missing or damaged files, too little memory.
        OutputError: something is at the output, it cannot be written, or the disk has too little room.
    """
    output = job.output.absolute()
    if output.exists() and not job.overwrite:
        raise OutputError(f"{job.output} exists already: give --overwrite to replace it, or another -o")
    check_replaced(output)
    folder = find_checkpoint(job.model, job.revision)
    checkpoint = read_checkpoint(folder)
    family = family_of(checkpoint.config, str(folder))
    if job.crops and family.crops is None:
        raise UsageProblem(f"--crops: {family.title} has no choice there; leave it out")
    if job.crops:
        family.crops = True
    memory = int(checkpoint.parameters * BYTES[job.dtype] * MEMORY_FACTOR + MEMORY_BASE)
    disk = int(checkpoint.parameters * BYTES[job.dtype] * DISK_FACTOR * (1.3 if job.quantize else 1))
    check_memory(memory, folder, job.dtype)
    check_disk(disk, output)
    return Plan(job, checkpoint, family, memory, disk)


def check_memory(wanted: int, folder: Path, dtype: str) -> None:
    """Refuse an export that needs more bytes of memory than are free.

    Raises:
        ModelError: says how much is missing.
    """
    from rsccli.models.devices import Device
    from rsccli.models.memory import available_mb

    free = available_mb(Device("cpu"))
    if free is not None and wanted > free * 2**20:
        raise ModelError(
            f"exporting {folder} takes about {wanted / 1e9:.1f} GB of memory and {free * 2**20 / 1e9:.1f} GB are free: "
            f"use a machine with more{', or --dtype fp16 (half of it)' if dtype == 'fp32' else ''}"
        )


def check_disk(wanted: int, output: Path) -> None:
    """Refuse an export whose bundle has no place.

    Raises:
        OutputError: the folder cannot be written, or its disk has too little room.
    """
    there = output.parent
    while not there.exists():
        there = there.parent
    if not os.access(there, os.W_OK):
        raise OutputError(f"cannot write to {there}: name a folder that can be written with -o")
    free = shutil.disk_usage(there).free
    if wanted > free:
        raise OutputError(
            f"the bundle takes about {wanted / 1e9:.1f} GB and {there} has {free / 1e9:.1f} GB free: "
            "make room, or name another disk with -o"
        )


def export(plan: Plan, pairs: Sequence[TilePair], say: Say = lambda _: None) -> Path:
    """Write the bundle: beside its place first, moved there when everything holds.

    Args:
        plan: from `plan_export`. pairs: real tile pairs for the comparison with PyTorch. say: takes lines of progress.

    Raises:
        ModelError: the checkpoint is not what it says. BundleError: the graphs do not say what PyTorch says.
        OutputError: the bundle cannot be written.
    """
    with whole_bundle(plan.job.output, say) as work:
        _write(plan, work, pairs, say)
    return plan.job.output.absolute()


@contextmanager
def whole_bundle(asked: Path, say: Say) -> Iterator[Path]:
    """A folder beside the output to write a bundle in; on success it takes the output's place, else nothing is left.

    Raises:
        OutputError: the bundle cannot be written.
    """
    output = asked.absolute()
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{output.name}.part-", dir=output.parent))
    except OSError as error:
        raise OutputError(f"cannot write to {output.parent}: {error}; name another folder with -o") from error
    try:
        yield work
        work.chmod(0o755)
        if output.exists():
            shutil.rmtree(output)
        os.replace(work, output)
    except OSError as error:
        raise OutputError(f"{output}: cannot be written: {error}; make room and run the command again") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    size = sum(path.stat().st_size for path in output.iterdir())
    say(f"{asked}: {size / 1e6:.1f} MB, peak memory {peak_mb():.0f} MB")


def _write(plan: Plan, work: Path, pairs: Sequence[TilePair], say: Say) -> None:
    import torch

    from rsccli.models.large.graphs import DTYPES as TORCH_TYPES
    from rsccli.models.large.graphs import write_decoder, write_embedding, write_encoder

    job, family = plan.job, plan.family
    started = time.monotonic()

    def told(what: str) -> None:
        say(f"{time.monotonic() - started:6.1f} s  {what}")

    told(f"reading {plan.checkpoint.parameters / 1e6:.1f} M weights of {plan.checkpoint.folder} ({family.title})")
    torch.manual_seed(0)
    processor = family.processor(plan.checkpoint.folder)
    chat = family.chat(processor)
    model = family.model(plan.checkpoint.folder, TORCH_TYPES[job.dtype])
    model.requires_grad_(False)
    ends = end_tokens(model, processor.tokenizer)
    told("writing the encoder's graph")
    write_encoder(family.encoder(model), job.dtype, job.opset, work / ENCODER)
    gc.collect()
    told("writing the embedding's graph")
    write_embedding(family.embedding(model), job.dtype, job.opset, work / EMBED)
    told("writing the decoder's graph")
    decoder = family.decoder(model)
    write_decoder(decoder, job.dtype, job.opset, work / DECODER)
    gc.collect()
    processor.tokenizer.backend_tokenizer.save(str(work / TOKENIZER))
    family.files(processor, work)
    content = _content(plan, model, processor, decoder, chat, ends)
    seal(work, content)
    if job.verify:
        from rsccli.models.large.verify import compare

        told(f"comparing with PyTorch on {len(pairs)} tile pairs")
        content["parity"] = compare(work, family, model, processor, pairs, job, told)
        seal(work, content)
    del model
    gc.collect()
    if job.quantize:
        from rsccli.models.large.quantize import quantize

        told("8-bit weights")
        content["parity"] = {**content["parity"], "int8": quantize(work, pairs, told)}
        content["dtype"] = "int8"
        seal(work, content)
    from rsccli.models.large.stac import item

    (work / STAC_ITEM).write_text(json.dumps(item(content, plan.checkpoint.parameters), indent=1) + "\n")
    seal(work, content)


def _content(
    plan: Plan,
    model: Any,  # noqa: ANN401
    processor: Any,  # noqa: ANN401
    decoder: DecoderExport,
    chat: Chat,
    ends: Sequence[int],
) -> dict[str, Any]:
    """The manifest without its files."""
    from rsccli import __version__

    job, checkpoint = plan.job, plan.checkpoint
    published = {each.id: each for each in plan.family.published}
    known = published.get(job.model)
    pad = processor.tokenizer.pad_token_id
    vision = plan.family.vision(model, processor)
    return {
        "format": FORMAT,
        "family": plan.family.name,
        "name": job.name or job.output.name,
        "version": __version__,
        "source": {"id": job.model if known else checkpoint.folder.name, "revision": revision_of(checkpoint)},
        "axes": decoder.axes,
        "tokens": {
            "ends": list(ends),
            "pad": ends[0] if pad is None else pad,
            "image": vision["image_token"],
            "max_new_tokens": job.max_new_tokens,
            "repetition_penalty": float(model.generation_config.repetition_penalty or 1.0),
        },
        "decoder": {
            **{name: getattr(decoder, name) for name in ("layers", "heads", "head_dim", "width", "vocab")},
            "dtype": job.dtype,
        },
        "chat": asdict(chat),
        "prompt": job.prompt,
        "vision": vision,
        "dtype": job.dtype,
        "opset": job.opset,
        "licence": licence_of(checkpoint.folder, known.licence if known else None),
        "training_data": "See the card of the checkpoint; not trained by this project.",
        "parity": {},
        "limits": [
            "Its words are its own: no score, no mask; whether a tile counts as changed is read off its words.",
            "What it was trained on and how it errs on satellite images is not measured by this project.",
        ],
    }


def licence_of(folder: Path, known: str | None) -> str:
    """Licence by the model card beside the weights, or by our table."""
    card = folder / "README.md"
    if card.is_file():
        for line in card.read_text(encoding="utf-8", errors="replace").splitlines()[:60]:
            if line.startswith("license:"):
                return line.removeprefix("license:").strip() or known or "unknown"
    return known or "unknown: see where the checkpoint came from"


def seal(work: Path, content: dict[str, Any]) -> None:
    """Write the manifest over the files that are there now."""
    files = {path.name: _entry(path, path.stat()) for path in sorted(work.iterdir()) if path.name != MANIFEST_NAME}
    content["files"] = files
    text = json.dumps(content, indent=1, ensure_ascii=False)
    (work / MANIFEST_NAME).write_text(text + "\n", encoding="utf-8")


_hashed: dict[tuple[str, int, int, int], str] = {}


def _entry(path: Path, stat: os.stat_result) -> dict[str, Any]:
    """A file's line in the manifest; what did not change since the last time is not read again."""
    key = (str(path), stat.st_ino, stat.st_size, stat.st_mtime_ns)
    if key not in _hashed:
        with path.open("rb") as stream:
            _hashed[key] = hashlib.file_digest(stream, "sha256").hexdigest()
    return {"sha256": _hashed[key], "bytes": stat.st_size}


def peak_mb() -> float:
    """Largest resident set of this process so far, 10^6 bytes."""
    return peak_memory_bytes() / 1e6


def options_for_comparison() -> CaptionerOptions:
    """Greedy, on the CPU, without the guard against repetition: as ``generate()`` does; asked what needs no counts."""
    return CaptionerOptions(device="cpu", decoder="lean", repetition_guard=False, prompt="naive")


def damaged(output: Path, what: str) -> BundleError:
    """The error of a bundle that does not say what PyTorch says."""
    return BundleError(f"the graphs for {output} differ from PyTorch: {what}; nothing was written")
