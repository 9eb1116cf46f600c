"""A checkpoint as torch modules, with the settings that its bundle needs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from rsccli.errors import ModelError
from rsccli.models.dual import openclip
from rsccli.models.dual.checkpoint import DualSource
from rsccli.models.dual.manifest import RESAMPLINGS, PictureSpec, TextSpec
from rsccli.models.dual.texts import CLIP_VOCABULARY, clip_tokenizer, folder_tokenizer
from rsccli.models.large.checkpoint import load_whole, quiet_transformers
from rsccli.models.large.images import SETTINGS

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True, eq=False)
class LoadedDual:
    """A checkpoint in memory, float32.

    Attributes:
        architecture: ``clip`` or ``siglip``. model: of transformers. tokenizer: as it goes into the bundle.
        processor: its image processor, for the comparison. picture, text, logit_scale, logit_bias: of the manifest.
        activation: of its layers. folder: where its own tokenizer lies, or None where it has none.
    """

    architecture: str
    model: Any
    tokenizer: Tokenizer
    processor: Any
    picture: PictureSpec
    text: TextSpec
    width: int
    logit_scale: float
    logit_bias: float | None
    activation: str
    folder: Path | None = None


def load_dual(source: DualSource, tokenizer: Path | None = None, activation: str | None = None) -> LoadedDual:
    """Load a checkpoint.

    Args:
        source: from `rsccli.models.dual.checkpoint.find_dual`. tokenizer: folder of another tokenizer.
        activation: of OpenCLIP weights, where nothing else tells.

    Raises:
        ModelError: a part of it is missing, damaged, or of another kind.
    """
    if source.layout == "open_clip":
        return _load_open_clip(source, tokenizer, activation)
    words = folder_tokenizer(tokenizer or source.folder)
    model = load_whole("CLIPModel" if source.layout == "clip" else "SiglipModel", source.folder, torch.float32)
    processor = _processor(source.folder)
    config = model.config
    vision, text = config.vision_config, config.text_config
    width = config.projection_dim if source.layout == "clip" else text.projection_size
    picture = picture_spec(processor, int(vision.image_size), str(source.folder / SETTINGS))
    spec = _text_spec(words, source.layout, int(text.max_position_embeddings), int(text.vocab_size), source.folder)
    own = source.folder if tokenizer is None else None
    scale, bias = _scale(model)
    act = str(vision.hidden_act)
    return LoadedDual(source.layout, model, words, processor, picture, spec, int(width), scale, bias, act, own)


def _load_open_clip(source: DualSource, tokenizer: Path | None, activation: str | None) -> LoadedDual:
    where = str(source.weights[0])
    told = openclip.activation_of(source, activation)
    state = openclip.load_state(source.weights[0])
    config = openclip.config_of(state, told, where)
    text, side = config["text_config"], config["vision_config"]["image_size"]
    if tokenizer is not None:
        words = folder_tokenizer(tokenizer)
    elif text["vocab_size"] == CLIP_VOCABULARY:
        words = clip_tokenizer()
    else:
        raise ModelError(
            f"{where}: a vocabulary of {text['vocab_size']} words is not CLIP's own ({CLIP_VOCABULARY}): name the "
            "folder of its tokenizer with --tokenizer"
        )
    end = int(words.encode("a").ids[-1])
    model = openclip.converted(state, config, end, where)
    processor = _open_clip_processor(source.settings, side, where)
    picture = picture_spec(processor, side, where)
    spec = _text_spec(words, "clip", text["max_position_embeddings"], text["vocab_size"], source.folder)
    return LoadedDual("clip", model, words, processor, picture, spec, config["projection_dim"], *_scale(model), told)


def _scale(model: Any) -> tuple[float, float | None]:  # noqa: ANN401 - transformers is not typed
    bias = getattr(model, "logit_bias", None)
    return model.logit_scale.item(), None if bias is None else bias.item()


def _text_spec(words: Tokenizer, architecture: str, length: int, vocabulary: int, folder: Path) -> TextSpec:
    ids = words.encode("a new house").ids
    if words.get_vocab_size() > vocabulary or len(ids) < 2:
        raise ModelError(
            f"{folder}: a tokenizer of {words.get_vocab_size()} words for {vocabulary} embeddings: it belongs to "
            "another checkpoint, name the right one with --tokenizer"
        )
    # Behind the end of a text CLIP reads nothing, whatever stands there. SigLIP reads the padding: its tokenizers have
    # </s> (SigLIP) or <pad> (Gemma's, SigLIP 2).
    pad = ids[-1]
    if architecture == "siglip":
        named = _pad_token(folder)
        found = None if named is None else words.token_to_id(named)
        pad = pad if found is None else found
    return TextSpec(length, int(pad), architecture == "siglip")


def _pad_token(folder: Path) -> str | None:
    path = folder / "tokenizer_config.json"
    if not path.is_file():
        return None
    told = json.loads(path.read_text(encoding="utf-8")).get("pad_token")
    return str(told["content"]) if isinstance(told, dict) else told


def _processor(folder: Path) -> Any:  # noqa: ANN401 - transformers is not typed
    from transformers import AutoImageProcessor

    try:
        with quiet_transformers():
            return AutoImageProcessor.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False, use_fast=False
            )
    except (OSError, ValueError, KeyError, ImportError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"{folder}: its image processor cannot be loaded ({first}): copy {SETTINGS} beside its config.json"
        ) from error


def _open_clip_processor(settings: Mapping[str, Any], side: int, where: str) -> Any:  # noqa: ANN401
    """The processor that does what OpenCLIP's own transform does at inference."""
    from transformers import CLIPImageProcessor

    told = settings.get("preprocess_cfg", {})
    mode, interpolation = told.get("resize_mode", "shortest"), told.get("interpolation", "bicubic")
    if mode not in ("shortest", "squash") or interpolation not in ("bicubic", "bilinear"):
        raise ModelError(f"{where}: preprocessing {mode!r} with {interpolation!r} is not exported")
    return CLIPImageProcessor(
        size={"shortest_edge": side} if mode == "shortest" else {"height": side, "width": side},
        crop_size={"height": side, "width": side},
        resample=RESAMPLINGS.index(interpolation),
        image_mean=list(told.get("mean", openclip.MEAN)),
        image_std=list(told.get("std", openclip.STD)),
    )


def picture_spec(processor: Any, side: int, where: str) -> PictureSpec:  # noqa: ANN401 - transformers is not typed
    """What an image processor of transformers does, as the bundle keeps it.

    Args:
        processor: of CLIP or SigLIP. side: of the model's input. where: for messages.

    Raises:
        ModelError: it does something else, or to another size than the model reads.
    """
    size = dict(processor.size)
    crop = dict(processor.crop_size) if getattr(processor, "do_center_crop", False) else None
    shortest = size.get("shortest_edge")
    height, width = (crop or size).get("height"), (crop or size).get("width")
    steps = all(getattr(processor, name, False) for name in ("do_resize", "do_rescale", "do_normalize"))
    exact = shortest is None and (size.get("height"), size.get("width")) == (height, width)
    cut = shortest is not None and crop is not None
    if not steps or (height, width) != (side, side) or not (exact or cut) or (shortest or side) < side:
        raise ModelError(
            f"{where}: resizing to {size}, cut to {crop}, for an input of {side} pixels is not exported: dual encoders "
            "of one square size are"
        )
    mean, std = (tuple(map(float, values)) for values in (processor.image_mean, processor.image_std))
    return PictureSpec(
        height=side,
        width=side,
        resize="shortest" if cut else "exact",
        side=int(shortest or side),
        resample=RESAMPLINGS[int(processor.resample)],
        scale=float(processor.rescale_factor),
        mean=mean,
        std=std,
    )
