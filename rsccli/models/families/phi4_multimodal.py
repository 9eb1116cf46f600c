"""Phi-4-multimodal (Abouelenin et al. 2025): pictures as a whole and in crops, ends of lines between their tokens."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rsccli.errors import ModelError
from rsccli.models.families.modules.phi4_images import Settings, crops, fit, gathered, positions, read_settings, visible
from rsccli.models.large.family import (
    I64,
    U8,
    DecoderExport,
    Embed,
    EncoderExport,
    Family,
    Features,
    GraphInput,
    Picture,
    Published,
    Reader,
    Row,
)

if TYPE_CHECKING:
    import torch

LORA = "vision-lora"
LONG = "long_positions"
IMAGE_INPUTS = ("image_pixel_values", "image_attention_mask", "image_sizes")
_LOAD_ERRORS = (OSError, ValueError, KeyError, ImportError, TypeError, AttributeError)


class Phi4Reader(Reader):
    """Reader of Phi-4-multimodal.

    Args:
        vision: ``image_token``, ``images`` (settings of pictures) and ``short`` (longest prompt, in tokens, of the
            kind of positions for short ones).
    """

    inputs = ("pixel_values", "patch_positions", "visible", "gathered")
    context = (LONG,)

    def __init__(self, vision: Mapping[str, Any]) -> None:
        self.image_token, self._short = int(vision["image_token"]), int(vision["short"])
        self._settings = Settings.of(vision["images"])

    def picture(self, image: U8) -> Picture:
        """See `Reader.picture`."""
        return prepared(image, self._settings, self.image_token)

    def row(self, ids: I64, features: Sequence[Features], embed: Embed) -> Row:
        """See `Reader.row`.

        What a caption adds does not change the kind of positions: keys that are kept have turned already.
        """
        row = super().row(ids, features, embed)
        return Row(row.embeds, row.positions, context={LONG: np.array(len(ids) > self._short, np.int64)})


def prepared(image: U8, settings: Settings, token: int) -> Picture:
    """A picture in its crops."""
    place = fit(image.shape[1], image.shape[0], settings)
    seen = visible(place, settings)
    order = gathered(seen, place)
    shared = {"patch_positions": positions(seen), "visible": seen.reshape(len(seen), -1), "gathered": order}
    shape = (place.rows, place.columns, place.height, place.width)
    pixels = crops(image, place, settings)
    return Picture({"pixel_values": pixels}, shared, shape, (token,) * len(order), tiles=len(pixels))


@dataclass(frozen=True)
class Phi4Processor:
    """What transformers' processor does, which cannot be made without torchvision."""

    tokenizer: Any
    images: Settings
    image_token: str

    def apply_chat_template(self, messages: Sequence[Mapping[str, Any]], **options: Any) -> Any:  # noqa: ANN401
        """A conversation as text; published templates take plain text, with the image token in it."""
        plain = [
            {**each, "content": "".join(part.get("text", self.image_token) for part in each["content"])}
            for each in messages
        ]
        return self.tokenizer.apply_chat_template(plain, **options)


class Phi4Multimodal(Family):
    """Phi-4-multimodal; what it does with sounds is left out."""

    name: ClassVar[str] = "phi-4-multimodal"
    title: ClassVar[str] = "Phi-4-multimodal"
    model_class: ClassVar[str] = "Phi4MultimodalForCausalLM"
    published: ClassVar[tuple[Published, ...]] = (
        Published(
            "microsoft/Phi-4-multimodal-instruct",
            "MIT",
            "Of its revision refs/pr/70, which is in the layout of transformers; the main one runs its own code.",
        ),
    )

    def reads(self, config: Mapping[str, Any]) -> bool:
        """See `Family.reads`."""
        return config.get("model_type") == "phi4_multimodal"

    def processor(self, folder: Path) -> Any:  # noqa: ANN401
        """See `Family.processor`."""
        from transformers import AutoConfig, AutoTokenizer

        from rsccli.models.large.checkpoint import quiet_transformers

        try:
            with quiet_transformers():
                config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
                tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        except _LOAD_ERRORS as error:
            raise ModelError(f"{folder}: its tokenizer cannot be loaded: {error}") from error
        token = tokenizer.convert_ids_to_tokens(config.vision_config.image_token_id)
        return Phi4Processor(tokenizer, read_settings(folder), str(token))

    def model(self, folder: Path, dtype: torch.dtype) -> Any:  # noqa: ANN401
        """See `Family.model`; the adapter for pictures is merged where the checkpoint has one."""
        from rsccli.models.families.modules.beams import keep_prompts_together

        model = super().model(folder, dtype)
        for layer in model.model.embed_tokens_extend.image_embed.img_processor.encoder.layers:
            # A patch sees all others, as it was trained. Transformers 4.57 says otherwise, and then lets it see only
            # those before it, unless some picture of the batch has padding.
            layer.self_attn.is_causal = False
        if (folder / LORA).is_dir():
            merge_adapter(model, folder / LORA)
        return keep_prompts_together(model, IMAGE_INPUTS)

    def encoder(self, model: Any) -> EncoderExport:  # noqa: ANN401
        """See `Family.encoder`."""
        import torch

        from rsccli.models.families.modules.phi4 import Phi4Vision

        vision = model.config.vision_config
        side, patches = vision.image_size, (vision.image_size // vision.patch_size) ** 2
        every, count = torch.arange(patches).repeat(3, 1), 3
        return EncoderExport(
            Phi4Vision(model.model.embed_tokens_extend.image_embed),
            {
                "pixel_values": GraphInput(torch.randn(2, count, 3, side, side), (0, 1)),
                "patch_positions": GraphInput(every, (0,)),
                "visible": GraphInput(torch.ones_like(every), (0,)),
                "gathered": GraphInput(torch.arange(7), (0,)),
            },
        )

    def decoder(self, model: Any) -> DecoderExport:  # noqa: ANN401
        """See `Family.decoder`."""
        import torch

        from rsccli.models.families.modules.phi4 import Phi4Language

        config = model.config
        return DecoderExport(
            Phi4Language(model.model, model.lm_head),
            layers=config.num_hidden_layers,
            heads=config.num_key_value_heads,
            head_dim=model.model.layers[0].self_attn.head_dim,
            width=config.hidden_size,
            vocab=model.lm_head.weight.shape[0],
            further={LONG: GraphInput(torch.tensor([0, 1]), (0,))},
        )

    def vision(self, model: Any, processor: Any) -> dict[str, Any]:  # noqa: ANN401
        """See `Family.vision`."""
        config = model.config
        if config.vision_config.crop_size != processor.images.side:
            raise ModelError(
                f"the checkpoint's crops are of {config.vision_config.crop_size} pixels in config.json and of "
                f"{processor.images.side} in preprocessor_config.json: one of both is of another checkpoint"
            )
        return {
            "image_token": config.vision_config.image_token_id,
            "short": config.original_max_position_embeddings,
            "images": processor.images.as_dict(),
        }

    def files(self, processor: Any, folder: Path) -> None:  # noqa: ANN401
        """See `Family.files`; everything is in the manifest."""

    def reader(self, vision: Mapping[str, Any], folder: Path) -> Reader:
        """See `Family.reader`."""
        return Phi4Reader(vision)

    def reference(
        self,
        processor: Any,  # noqa: ANN401
        images: Sequence[Sequence[U8]],
        texts: Sequence[str],
    ) -> Mapping[str, torch.Tensor]:
        """See `Family.reference`; pictures of fewer crops are filled up with empty ones that are seen whole."""
        import torch

        settings, token = processor.images, processor.image_token
        made = [prepared(each, settings, 0) for own in images for each in own]
        counts = iter(len(each.tokens) for each in made)
        whole = []
        for text in texts:
            first, *others = text.split(token)
            whole.append(first + "".join(token * next(counts) + other for other in others))
        most = max(len(each.arrays["pixel_values"]) for each in made)
        pixels = np.zeros((len(made), most, 3, settings.side, settings.side), np.float32)
        masks = np.ones((len(made), most, settings.grid, settings.grid), np.int64)
        for row, each in enumerate(made):
            values, seen = each.arrays["pixel_values"], each.shared["visible"]
            pixels[row, : len(values)] = values
            masks[row, : len(seen)] = seen.reshape(-1, settings.grid, settings.grid)
        sizes = [[each.shape[0] * settings.side, each.shape[1] * settings.side] for each in made]
        words = processor.tokenizer(whole, padding=True, padding_side="left", return_tensors="pt")
        return {
            "input_ids": words["input_ids"],
            "attention_mask": words["attention_mask"],
            "image_pixel_values": torch.from_numpy(pixels),
            "image_attention_mask": torch.from_numpy(masks),
            "image_sizes": torch.tensor(sizes),
        }


def merge_adapter(model: Any, folder: Path) -> None:  # noqa: ANN401 - transformers is not typed
    """Add a low-rank adapter, in PEFT's layout, to the weights that it adapts.

    Raises:
        ModelError: it is damaged, of another kind, or for another model.
    """
    import torch
    from safetensors.torch import load_file

    try:
        told = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        parts = load_file(folder / "adapter_model.safetensors")
        rank, alpha = int(told["r"]), float(told["lora_alpha"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{folder}: the adapter cannot be read ({error}): copy the checkpoint again") from error
    special = [name for name in ("use_dora", "rank_pattern", "alpha_pattern", "modules_to_save") if told.get(name)]
    if told.get("peft_type") != "LORA" or special or told.get("bias", "none") != "none":
        raise ModelError(f"{folder}: the adapter is no plain LoRA ({', '.join(special) or told.get('peft_type')})")
    scale = alpha / (math.sqrt(rank) if told.get("use_rslora") else rank)
    ends = (".lora_A.weight", ".lora_B.weight")
    names = sorted(name.removesuffix(ends[0]) for name in parts if name.endswith(ends[0]))
    if not names or len(parts) != 2 * len(names):
        raise ModelError(f"{folder}: the adapter holds other weights than pairs of lora_A and lora_B")
    for name in names:
        try:
            layer = model.get_submodule(name.removeprefix("base_model.model."))
            low, high = (parts[name + end].float() for end in ends)
            with torch.no_grad():
                layer.weight.copy_(layer.weight.float() + scale * (high @ low))
        except (AttributeError, KeyError, RuntimeError) as error:
            raise ModelError(f"{folder}: the adapter does not fit this checkpoint at {name}: {error}") from error
