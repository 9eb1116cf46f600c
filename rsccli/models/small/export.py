"""A trained small captioner to a bundle folder: three graphs, tokenizer, manifest, parity figures."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers.cache_utils import DynamicCache

from rsccli.errors import BundleError, OutputError
from rsccli.models.small.captioner import ENCODER_INPUTS, ENCODER_OUTPUTS
from rsccli.models.small.facts import KEYWORDS
from rsccli.models.small.network import MULTIPLE, SmallCaptioner, SmallConfig

OPSET = 17
FORMAT = "rsccli-bundle/1"
MAX_NEW_TOKENS = 80
WEIGHTS = "weights.pt"
MEAN = (0.42, 0.43, 0.40)
STD = (0.20, 0.18, 0.17)
# Said of unchanged tiles without running the decoder, which would only choose among ways of saying it.
UNCHANGED_TEXT = "No lasting change can be seen between the two dates."


@dataclass(frozen=True)
class Calibration:
    """How scores become answers; measured on real development pairs.

    Attributes:
        scale, bias, vectors, size, spot: of the score, see `rsccli.models.manifest.Calibration`.
        changed: at or above this score a pair is changed.
        unchanged: at or below, unchanged. keywords: one probability per keyword, at or above which it is named.
        keyword_scale, keyword_spot, keyword_size, keyword_bias: make that probability.
        mask: probability at or above which a cell of the mask is changed.
        domain: squared distance from the training data above which a date is foreign; None: never.
    """

    scale: float = 1.0
    bias: float = 0.0
    changed: float = 0.5
    unchanged: float = 0.35
    keywords: tuple[float, ...] = (0.5,) * len(KEYWORDS)
    mask: float = 0.5
    vectors: float = 0.0
    domain: float | None = None
    size: float = 0.0
    spot: float = 0.0
    keyword_scale: tuple[float, ...] = (1.0,) * len(KEYWORDS)
    keyword_spot: tuple[float, ...] = (0.0,) * len(KEYWORDS)
    keyword_size: tuple[float, ...] = (0.0,) * len(KEYWORDS)
    keyword_bias: tuple[float, ...] = (0.0,) * len(KEYWORDS)


@dataclass(frozen=True)
class Checkpoint:
    """A network with what it needs to be understood.

    Attributes:
        model: in eval mode. tokenizer: of its sentences. calibration: of its scores.
        revision: sha256 of the file it came from. training_data: one or two sentences.
        words: who words captions by default, ``decoder`` or ``grammar``.
    """

    model: SmallCaptioner
    tokenizer: Tokenizer
    calibration: Calibration
    revision: str
    training_data: str
    words: str = "decoder"


class EncoderGraph(nn.Module):
    """The encoder, outputs in the order of the contract."""

    def __init__(self, model: SmallCaptioner) -> None:
        super().__init__()
        self.encoder = model.encoder

    def forward(self, pre: Tensor, post: Tensor, valid: Tensor, gsd: Tensor) -> tuple[Tensor, ...]:
        """Pixels and metres per pixel to ``ENCODER_OUTPUTS``."""
        scores = self.encoder(pre, post, valid, gsd)
        tokens = self.encoder.image_tokens(scores)
        maps = (scores.mask, scores.classes, scores.cloud, scores.domain)
        return (tokens, scores.change, scores.vectors, scores.keywords, *maps)


class DecoderGraph(nn.Module):
    """The decoder with keys and values as flat inputs and outputs, logits of the last position."""

    def __init__(self, model: SmallCaptioner) -> None:
        super().__init__()
        self.decoder = model.decoder
        self.layers = model.config.layers

    def forward(
        self, inputs_embeds: Tensor, attention_mask: Tensor, position_ids: Tensor, *past: Tensor
    ) -> tuple[Tensor, ...]:
        """Past keys and values come layer by layer, key before value; so do the present ones."""
        pairs = tuple((past[2 * i], past[2 * i + 1]) for i in range(self.layers))
        cache = DynamicCache.from_legacy_cache(pairs)
        total = torch._shape_as_tensor(attention_mask)[1]
        length = torch._shape_as_tensor(inputs_embeds)[1]
        seen = torch.arange(total).view(1, 1, 1, -1)  # type: ignore[call-overload]
        own = torch.arange(length).view(1, 1, -1, 1) + (total - length)  # type: ignore[call-overload]
        allowed = (seen <= own) & (attention_mask[:, None, None, :] > 0)
        blocked = torch.where(allowed, 0.0, torch.finfo(torch.float32).min)
        out = self.decoder(
            inputs_embeds=inputs_embeds,
            attention_mask=blocked,
            position_ids=position_ids,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        present: list[Tensor] = []
        for key, value in out.past_key_values.to_legacy_cache():
            present += [key, value]
        return (out.logits, *present)


def past_names(layers: int, prefix: str) -> list[str]:
    """``prefix.0.key``, ``prefix.0.value``, ``prefix.1.key`` and so on."""
    return [f"{prefix}.{i}.{part}" for i in range(layers) for part in ("key", "value")]


def _trace(
    module: nn.Module,
    args: tuple[Tensor, ...],
    path: Path,
    names: tuple[list[str], list[str]],
    axes: dict[str, dict[int, str]],
) -> None:
    with warnings.catch_warnings(), torch.no_grad():
        # The tracer warns of every Python branch on a shape; parity on other shapes is measured below.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            args,
            str(path),
            input_names=names[0],
            output_names=names[1],
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )


def write_graphs(model: SmallCaptioner, folder: Path) -> None:
    """Write ``encoder.onnx``, ``embed.onnx`` and ``decoder.onnx`` (fp32) into a folder."""
    config = model.config
    image = {0: "n", 2: "h", 3: "w"}
    pixels = torch.randn(2, 3, 128, 192)
    _trace(
        EncoderGraph(model),
        (pixels, pixels.flip(0), torch.ones(2, 1, 128, 192), torch.ones(2)),
        folder / "encoder.onnx",
        (list(ENCODER_INPUTS), list(ENCODER_OUTPUTS)),
        {
            "pre": image,
            "post": image,
            "valid": image,
            "gsd": {0: "n"},
            **{name: {0: "n"} for name in ENCODER_OUTPUTS},
            "mask_logits": {0: "n", 2: "mask_h", 3: "mask_w"},
            "class_logits": {0: "n", 2: "mask_h", 3: "mask_w"},
            "cloud_logits": {0: "n", 2: "cloud_h", 3: "cloud_w"},
        },
    )
    ids = {0: "n", 1: "length"}
    _trace(
        model.decoder.get_input_embeddings(),
        (torch.ones(2, 3, dtype=torch.int64),),
        folder / "embed.onnx",
        (["input_ids"], ["inputs_embeds"]),
        {"input_ids": ids, "inputs_embeds": ids},
    )
    past = [torch.randn(2, config.heads, 5, config.head_dim) for _ in range(2 * config.layers)]
    inputs, outputs = past_names(config.layers, "past_key_values"), past_names(config.layers, "present")
    axes = {
        "inputs_embeds": ids,
        "position_ids": ids,
        "attention_mask": {0: "n", 1: "total"},
        "logits": {0: "n"},
    }
    axes.update({name: {0: "n", 2: "past"} for name in inputs})
    axes.update({name: {0: "n", 2: "total"} for name in outputs})
    _trace(
        DecoderGraph(model),
        (
            torch.randn(2, 3, config.width),
            torch.ones(2, 8, dtype=torch.int64),
            torch.arange(5, 8).repeat(2, 1),
            *past,
        ),
        folder / "decoder.onnx",
        (["inputs_embeds", "attention_mask", "position_ids", *inputs], ["logits", *outputs]),
        axes,
    )


def manifest(checkpoint: Checkpoint, folder: Path, parity: dict[str, Any], limits: tuple[str, ...]) -> dict[str, Any]:
    """The content of ``rsccli.json`` for the files that lie in a folder."""
    config: SmallConfig = checkpoint.model.config
    tokenizer, calibration = checkpoint.tokenizer, checkpoint.calibration
    files = {
        path.name: {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "bytes": path.stat().st_size}
        for path in sorted(folder.iterdir())
    }
    return {
        "format": FORMAT,
        "family": "rsccli-small",
        "name": "rsccli-small",
        "version": "0.1.0",
        "source": {"id": "rsccli train", "revision": checkpoint.revision},
        "files": files,
        "input": {
            "bands": ["red", "green", "blue"],
            "min_side": MULTIPLE,
            "max_side": 384,
            "multiple": MULTIPLE,
            "window": 256,
            "mean": list(MEAN),
            "std": list(STD),
            "gsd_m": [0.3, 10.0],
        },
        "tokens": {
            "bos": tokenizer.token_to_id("<bos>"),
            "eos": tokenizer.token_to_id("<eos>"),
            "pad": tokenizer.token_to_id("<pad>"),
            "image_tokens": config.image_tokens,
            "max_new_tokens": MAX_NEW_TOKENS,
        },
        "decoder": {
            "layers": config.layers,
            "heads": config.heads,
            "head_dim": config.head_dim,
            "width": config.width,
            "vocab": config.vocab,
        },
        "keywords": list(KEYWORDS),
        "calibration": {
            **{name: getattr(calibration, name) for name in ("scale", "bias", "vectors", "size", "spot")},
            **{
                name: list(getattr(calibration, name))
                for name in ("keyword_scale", "keyword_spot", "keyword_size", "keyword_bias")
            },
        },
        "thresholds": {
            "changed": calibration.changed,
            "unchanged": calibration.unchanged,
            "keywords": list(calibration.keywords),
            "mask": calibration.mask,
            "domain": calibration.domain,
        },
        "unchanged_text": UNCHANGED_TEXT,
        "words": checkpoint.words,
        "prompts": {"naive": ""},
        "dtype": "fp32",
        "opset": OPSET,
        "licence": "MIT",
        "training_data": checkpoint.training_data,
        "parity": parity,
        "limits": list(limits),
    }


def _save_weights(checkpoint: Checkpoint, path: Path) -> None:
    """The network itself in half precision: what fine-tuning starts from."""
    state = {
        name: value.half() if value.is_floating_point() else value
        for name, value in checkpoint.model.state_dict().items()
    }
    content = {"config": checkpoint.model.config.as_dict(), "average": state}
    torch.save({**content, "tokenizer": checkpoint.tokenizer.to_str()}, path)


def export_bundle(
    checkpoint: Checkpoint, folder: Path, *, limits: tuple[str, ...] = (), overwrite: bool = False
) -> Path:
    """Write a whole bundle beside its final place, check it against PyTorch, then move it there.

    Args:
        checkpoint: what to export.
        folder: the bundle folder to make. overwrite: replace a bundle that is there.
        limits: sentences on what the model cannot do.

    Raises:
        OutputError: something is at ``folder`` already, or it cannot be written.
        BundleError: the graphs do not say what PyTorch says.
    """
    from rsccli.models.small.parity import measure_parity

    folder = folder.absolute()
    if folder.exists() and not overwrite:
        raise OutputError(f"{folder} exists already; pass --overwrite to replace it, or name another folder")
    checkpoint.model.eval()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise OutputError(f"cannot write to {folder.parent}: {error}; name a folder that can be written") from error
    try:
        write_graphs(checkpoint.model, work)
        checkpoint.tokenizer.save(str(work / "tokenizer.json"))
        _save_weights(checkpoint, work / WEIGHTS)
        parity = measure_parity(checkpoint.model, work)
        if not parity.good:
            raise BundleError(f"the graphs for {folder} differ from PyTorch: {parity}; nothing was written")
        content = manifest(checkpoint, work, parity.as_dict(), limits)
        (work / "rsccli.json").write_text(json.dumps(content, indent=1) + "\n")
        work.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(work, folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder
