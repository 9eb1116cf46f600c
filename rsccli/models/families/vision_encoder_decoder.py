"""Image captioners of a vision transformer and a language model that looks at it in every layer, without a prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from rsccli.errors import ModelError
from rsccli.models.large.chat import Chat
from rsccli.models.large.family import (
    I64,
    IMAGE_TOKENS,
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

ENCODERS, DECODERS = ("vit", "swin"), ("gpt2", "bert")


class CaptionerReader(Reader):
    """Reader of a captioner without a prompt: the row is the token that begins every caption.

    Args:
        vision: ``image_token``, which is that first token. folder: of the bundle.
    """

    inputs = ("pixel_values",)
    context = (IMAGE_TOKENS,)
    mosaic = True

    def __init__(self, vision: Mapping[str, Any], folder: Path) -> None:
        from rsccli.models.large.images import load_image_processor

        self.image_token = int(vision["image_token"])
        self._processor = load_image_processor(folder)

    def picture(self, image: U8) -> Picture:
        """See `Reader.picture`."""
        pixels = np.asarray(self._processor(images=[image], return_tensors="np")["pixel_values"][0], np.float32)
        return Picture({"pixel_values": pixels}, {}, pixels.shape[1:], (self.image_token,))

    def row(self, ids: I64, features: Sequence[Features], embed: Embed) -> Row:
        """See `Reader.row`; the words of a prompt are not heard."""
        start = embed(np.array([[self.image_token]], np.int64))[0]
        return Row(start, np.zeros(1, np.int64), context={IMAGE_TOKENS: features[0].outputs[IMAGE_TOKENS]})


@dataclass(frozen=True)
class Parts:
    """What other checkpoints have a processor for."""

    image_processor: Any
    tokenizer: Any


class VisionEncoderDecoder(Family):
    """ViT or Swin, and GPT-2 or BERT."""

    name: ClassVar[str] = "vision-encoder-decoder"
    title: ClassVar[str] = "Vision encoder-decoder (ViT or Swin with GPT-2 or BERT)"
    model_class: ClassVar[str] = "VisionEncoderDecoderModel"
    published: ClassVar[tuple[Published, ...]] = (
        Published("nlpconnect/vit-gpt2-image-captioning", "Apache-2.0", "Captions of everyday photographs."),
        Published("Abdou/vit-swin-base-224-gpt2-image-captioning", "see its card", "Captions of everyday photographs."),
    )
    pairing: ClassVar[str] = (
        "Both dates side by side are one image, and what is asked is not heard: published weights describe the image, "
        "they were never asked for a change."
    )
    mosaic: ClassVar[bool] = True

    def reads(self, config: Mapping[str, Any]) -> bool:
        """See `Family.reads`."""
        return config.get("model_type") == "vision-encoder-decoder"

    def check(self, config: Mapping[str, Any]) -> str | None:
        """See `Family.check`."""
        for part, known in (("encoder", ENCODERS), ("decoder", DECODERS)):
            kind = config.get(part, {}).get("model_type")
            if kind not in known:
                return f"its {part} is of type {kind!r}, supported are {' and '.join(known)}"
        if config["decoder"].get("position_embedding_type", "absolute") != "absolute":
            return "its decoder has relative positions, supported are absolute ones"
        return None

    def processor(self, folder: Path) -> Any:  # noqa: ANN401
        """See `Family.processor`; there is no class of both in transformers."""
        from transformers import AutoImageProcessor, AutoTokenizer

        from rsccli.models.large.checkpoint import quiet_transformers

        try:
            with quiet_transformers():
                images = AutoImageProcessor.from_pretrained(
                    folder, local_files_only=True, trust_remote_code=False, use_fast=False
                )
                return Parts(
                    images, AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
                )
        except (OSError, ValueError, KeyError, ImportError, TypeError, AttributeError) as error:
            raise ModelError(f"{folder}: its image processor or tokenizer cannot be loaded: {error}") from error

    def model(self, folder: Path, dtype: torch.dtype) -> Any:  # noqa: ANN401
        """See `Family.model`."""
        from rsccli.models.large.checkpoint import load_whole

        # Swin's windows have one kind of attention in transformers.
        model = load_whole(self.model_class, folder, dtype, attention=None)
        # No decoder here has what such configurations may hold beside, and the words of a prompt that is not heard are
        # no repetition.
        model.generation_config.update(repetition_penalty=1.0, no_repeat_ngram_size=0, length_penalty=1.0)
        return model

    def encoder(self, model: Any) -> EncoderExport:  # noqa: ANN401
        """See `Family.encoder`."""
        import torch

        from rsccli.models.families.modules.cross_attention import ProjectedEncoder

        config = model.config.encoder
        side = config.image_size if isinstance(config.image_size, int) else None
        rows, cols = (side, side) if side else config.image_size
        pixels = GraphInput(torch.randn(2, config.num_channels, rows, cols), (0,))
        return EncoderExport(ProjectedEncoder(model), {"pixel_values": pixels})

    def decoder(self, model: Any) -> DecoderExport:  # noqa: ANN401
        """See `Family.decoder`."""
        import torch

        from rsccli.models.families.modules.cross_attention import CrossLanguageModel

        config = model.config.decoder
        seen = config.cross_attention_hidden_size or config.hidden_size
        return DecoderExport(
            CrossLanguageModel(model.decoder),
            layers=config.num_hidden_layers,
            heads=config.num_attention_heads,
            head_dim=config.hidden_size // config.num_attention_heads,
            width=config.hidden_size,
            vocab=model.decoder.get_output_embeddings().weight.shape[0],
            further={IMAGE_TOKENS: GraphInput(torch.randn(2, 4, seen), (0, 1))},
        )

    def embedding(self, model: Any) -> torch.Tensor:  # noqa: ANN401
        """See `Family.embedding`."""
        table: torch.Tensor = model.decoder.get_input_embeddings().weight
        return table

    def vision(self, model: Any, processor: Any) -> dict[str, Any]:  # noqa: ANN401
        """See `Family.vision`."""
        told = model.generation_config
        start = told.bos_token_id if told.decoder_start_token_id is None else told.decoder_start_token_id
        if not isinstance(start, int):
            raise ModelError("the checkpoint names no token that begins a caption (decoder_start_token_id)")
        return {"image_token": start}

    def reader(self, vision: Mapping[str, Any], folder: Path) -> Reader:
        """See `Family.reader`."""
        return CaptionerReader(vision, folder)

    def chat(self, processor: Any) -> Chat:  # noqa: ANN401
        """See `Family.chat`; there is none."""
        return Chat("", "", "")

    def reference(
        self,
        processor: Any,  # noqa: ANN401
        images: Sequence[Sequence[U8]],
        texts: Sequence[str],
    ) -> Mapping[str, torch.Tensor]:
        """See `Family.reference`."""
        from PIL import Image

        flat = [Image.fromarray(each) for own in images for each in own]
        return {"pixel_values": processor.image_processor(images=flat, return_tensors="pt")["pixel_values"]}

    def generated(self, sequences: torch.Tensor, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """See `Family.generated`; the first token is given."""
        return sequences[:, 1:]
