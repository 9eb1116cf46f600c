"""BLIP-2 (Li et al. 2023): a picture becomes a few query tokens, which a language model reads before the words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rsccli.errors import ModelError
from rsccli.models.large.chat import Chat
from rsccli.models.large.family import (
    U8,
    DecoderExport,
    EncoderExport,
    Family,
    GraphInput,
    Picture,
    Published,
    Reader,
)

if TYPE_CHECKING:
    import torch

PAIRING = (
    "The query tokens of both dates stand one after another before the words, as InstructBLIP's form for videos has "
    "them; the published weights saw one image at a time."
)


class BlipReader(Reader):
    """Reader of both BLIPs.

    Args:
        vision: ``image_token`` and ``queries`` (tokens of a picture). folder: of the bundle.
    """

    inputs: tuple[str, ...] = ("pixel_values",)

    def __init__(self, vision: Mapping[str, Any], folder: Path) -> None:
        from rsccli.models.large.images import load_image_processor

        self.image_token, self._queries = int(vision["image_token"]), int(vision["queries"])
        self._processor = load_image_processor(folder)

    def picture(self, image: U8) -> Picture:
        """See `Reader.picture`."""
        pixels = np.asarray(self._processor(images=[image], return_tensors="np")["pixel_values"][0], np.float32)
        return Picture({"pixel_values": pixels}, {}, pixels.shape[1:], (self.image_token,) * self._queries)


class Blip2(Family):
    """BLIP-2 with OPT."""

    name: ClassVar[str] = "blip-2"
    title: ClassVar[str] = "BLIP-2"
    model_class: ClassVar[str] = "Blip2ForConditionalGeneration"
    published: ClassVar[tuple[Published, ...]] = (
        Published("Salesforce/blip2-opt-2.7b", "MIT", "The OPT weights in it have Meta's own licence, for research."),
        Published("Salesforce/blip2-opt-6.7b", "MIT", "The OPT weights in it have Meta's own licence, for research."),
    )
    pairing: ClassVar[str] = PAIRING
    #: Kind of language model that is supported, and words around what is asked.
    language: ClassVar[str] = "opt"
    around: ClassVar[tuple[str, str]] = ("Question: ", " Answer:")

    def reads(self, config: Mapping[str, Any]) -> bool:
        """See `Family.reads`."""
        return config.get("model_type") == "blip-2"

    def check(self, config: Mapping[str, Any]) -> str | None:
        """See `Family.check`."""
        kind = config.get("text_config", {}).get("model_type")
        if kind != self.language:
            return (
                f"{self.title} with a language model of type {kind!r} is not supported, only with {self.language!r}: "
                "one with an encoder of its own (T5) would need a fourth graph. Use another checkpoint of the family"
            )
        if config.get("image_token_index") is None:
            return (
                "its config.json names no 'image_token_index', as published ones have since 2024: "
                "download the checkpoint again"
            )
        return None

    def model(self, folder: Path, dtype: torch.dtype) -> Any:  # noqa: ANN401
        """See `Family.model`."""
        from rsccli.models.large.checkpoint import load_whole

        # The Q-Former of transformers has one kind of attention, the other parts have the usual one.
        model = load_whole(self.model_class, folder, dtype, attention=None)
        if model.language_model.generation_config.eos_token_id is not None:
            # generate() hands over to the language model, whose settings then count.
            model.generation_config = model.language_model.generation_config
        return model

    def encoder(self, model: Any) -> EncoderExport:  # noqa: ANN401
        """See `Family.encoder`."""
        import torch

        from rsccli.models.families.modules.blip import Blip2Vision

        side = model.config.vision_config.image_size
        return EncoderExport(Blip2Vision(model), {"pixel_values": GraphInput(torch.randn(2, 3, side, side), (0,))})

    def decoder(self, model: Any) -> DecoderExport:  # noqa: ANN401
        """See `Family.decoder`."""
        from rsccli.models.large.graphs import LanguageModel

        language = model.language_model
        config = language.config
        return DecoderExport(
            LanguageModel(language.model.decoder, language.lm_head),
            layers=config.num_hidden_layers,
            heads=config.num_attention_heads,
            head_dim=config.hidden_size // config.num_attention_heads,
            width=config.word_embed_proj_dim,
            vocab=language.lm_head.weight.shape[0],
        )

    def vision(self, model: Any, processor: Any) -> dict[str, Any]:  # noqa: ANN401
        """See `Family.vision`."""
        return {"image_token": model.config.image_token_index, "queries": model.config.num_query_tokens}

    def reader(self, vision: Mapping[str, Any], folder: Path) -> Reader:
        """See `Family.reader`."""
        return BlipReader(vision, folder)

    def chat(self, processor: Any) -> Chat:  # noqa: ANN401
        """No template: the words of its card around what is asked, and the first token behind the pictures."""
        before, after = self.around
        return Chat("", _image(processor), after, bare=True, lead=_begin(processor.tokenizer) + before)

    def reference(
        self,
        processor: Any,  # noqa: ANN401
        images: Sequence[Sequence[U8]],
        texts: Sequence[str],
    ) -> Mapping[str, torch.Tensor]:
        """See `Family.reference`.

        The processor knows prompts of one picture: the words are its work, queries of further pictures are put here.
        """
        import torch
        from PIL import Image

        image, queries = _image(processor), processor.num_query_tokens
        padded: dict[str, Any] = {"padding": True, "padding_side": "left", "return_tensors": "pt"}
        leading = [image * len(own) for own in images]
        first = all(text.startswith(head) for text, head in zip(texts, leading, strict=True))
        words = [text[len(head) :] for text, head in zip(texts, leading, strict=True)] if first else []
        if first and len({len(own) for own in images}) == 1 and not any(image in each for each in words):
            begin = _begin(processor.tokenizer)
            made = dict(processor.tokenizer([each.removeprefix(begin) for each in words], **padded))
            token = processor.tokenizer.convert_tokens_to_ids(image)
            places = torch.full((len(texts), queries * len(images[0])), token)
            made["input_ids"] = torch.cat([places, made["input_ids"]], dim=1)
            made["attention_mask"] = torch.cat([torch.ones_like(places), made["attention_mask"]], dim=1)
        else:
            whole = [text.replace(image, image * queries) for text in texts]
            made = dict(processor.tokenizer(whole, add_special_tokens=False, **padded))
        flat = [Image.fromarray(each) for own in images for each in own]
        pixels = processor.image_processor(images=flat, return_tensors="pt")["pixel_values"]
        return {"input_ids": made["input_ids"], "attention_mask": made["attention_mask"], "pixel_values": pixels}


def _image(processor: Any) -> str:  # noqa: ANN401 - transformers is not typed
    token = processor.image_token
    return str(getattr(token, "content", token))


def _begin(tokenizer: Any) -> str:  # noqa: ANN401 - as above
    """Tokens that the tokenizer puts before a text, as text."""
    whole, bare = (tokenizer("a", add_special_tokens=special)["input_ids"] for special in (True, False))
    begin = whole[: len(whole) - len(bare)]
    if begin + bare != whole:
        raise ModelError("the checkpoint's tokenizer puts a token behind the words: it is of another model")
    return "".join(tokenizer.convert_ids_to_tokens(begin))
