"""Idefics (Laurençon et al. 2023), after Flamingo: words look at pictures through gated layers of cross-attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

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

IMAGE, AROUND, TURN_ENDS = "<image>", "<fake_token_around_image>", "<end_of_utterance>"
#: The decoder's further inputs: which pictures a word looks at, (N, L, K), and the pictures, (N, K, T, C).
LOOKS, PICTURES = "image_attention_mask", "image_states"
LICENCE = "other: that of LLaMA 1 (not for commercial use); weights that were added: MIT"


class IdeficsReader(Reader):
    """Reader of Idefics.

    Args:
        vision: ``image_token``. folder: of the bundle.
    """

    inputs = ("pixel_values",)
    per_token = (LOOKS,)
    context = (PICTURES,)

    def __init__(self, vision: Mapping[str, Any], folder: Path) -> None:
        from rsccli.models.large.images import load_image_processor

        self.image_token = int(vision["image_token"])
        self._processor = load_image_processor(folder)

    def picture(self, image: U8) -> Picture:
        """See `Reader.picture`."""
        from PIL import Image

        pixels = np.asarray(self._processor([Image.fromarray(image)], return_tensors="np")[0], np.float32)
        return Picture({"pixel_values": pixels}, {}, pixels.shape, (self.image_token,))

    def row(self, ids: I64, features: Sequence[Features], embed: Embed) -> Row:
        """See `Reader.row`; a word looks at the last picture before it alone, and so does all that is generated."""
        last = np.cumsum(ids == self.image_token) - 1
        looks = (last[:, None] == np.arange(len(features))).astype(np.int64)
        pictures = np.stack([each.outputs[IMAGE_TOKENS] for each in features])
        return Row(embed(ids[None])[0], self.positions(ids, []), {LOOKS: (looks, looks[-1:])}, {PICTURES: pictures})


class Idefics(Family):
    """Idefics."""

    name: ClassVar[str] = "idefics"
    title: ClassVar[str] = "Idefics"
    model_class: ClassVar[str] = "IdeficsForVisionText2Text"
    published: ClassVar[tuple[Published, ...]] = tuple(
        Published(f"HuggingFaceM4/idefics-{size}", LICENCE) for size in ("9b", "9b-instruct", "80b", "80b-instruct")
    )
    pairing: ClassVar[str] = (
        "Both dates are two images of one prompt; a word looks at the last image before it, "
        "and knows of others through the words before."
    )

    def reads(self, config: Mapping[str, Any]) -> bool:
        """See `Family.reads`."""
        return config.get("model_type") == "idefics"

    def model(self, folder: Path, dtype: torch.dtype) -> Any:  # noqa: ANN401
        """See `Family.model`."""
        model = super().model(folder, dtype)
        # Beam search of transformers counts words by this number, which leaves those out that were added to LLaMA's.
        model.config.vocab_size += model.config.additional_vocab_size
        processor = self.processor(folder)
        if _knows_turns(processor):
            # Published with </s> alone; what answers a question ends its turn instead, and would go on as the user.
            ends = [model.generation_config.eos_token_id, processor.tokenizer.convert_tokens_to_ids(TURN_ENDS)]
            model.generation_config.eos_token_id = ends
        return model

    def encoder(self, model: Any) -> EncoderExport:  # noqa: ANN401
        """See `Family.encoder`; its output is in the vision encoder's width."""
        import torch

        from rsccli.models.families.modules.idefics import IdeficsVision

        side = model.config.vision_config.image_size
        return EncoderExport(
            IdeficsVision(model.model), {"pixel_values": GraphInput(torch.randn(2, 3, side, side), (0,))}
        )

    def decoder(self, model: Any) -> DecoderExport:  # noqa: ANN401
        """See `Family.decoder`."""
        import torch

        from rsccli.models.families.modules.idefics import IdeficsLanguage
        from rsccli.models.large.graphs import LENGTH, ROWS

        config, count = model.config, 4
        tokens = (
            config.perceiver_config.resampler_n_latents
            if config.use_resampler
            else model.model.vision_model.embeddings.num_positions
        )
        pictures = torch.randn(ROWS, count, tokens, config.vision_config.embed_dim)
        return DecoderExport(
            IdeficsLanguage(model.model, model.lm_head),
            layers=config.num_hidden_layers,
            heads=config.num_attention_heads,
            head_dim=config.hidden_size // config.num_attention_heads,
            width=config.hidden_size,
            vocab=model.lm_head.weight.shape[0] + model.lm_head.out_additional_features,
            further={
                LOOKS: GraphInput(torch.ones(ROWS, LENGTH, count, dtype=torch.int64), (0, 1, 2)),
                PICTURES: GraphInput(pictures, (0, 1)),
            },
        )

    def embedding(self, model: Any) -> torch.Tensor:  # noqa: ANN401
        """See `Family.embedding`; tokens that Idefics added to LLaMA's have a table of their own."""
        import torch

        table = model.get_input_embeddings()
        if not table.num_additional_embeddings:
            return super().embedding(model)
        return torch.cat([table.weight, table.additional_embedding.weight])

    def vision(self, model: Any, processor: Any) -> dict[str, Any]:  # noqa: ANN401
        """See `Family.vision`."""
        return {"image_token": processor.image_token_id}

    def reader(self, vision: Mapping[str, Any], folder: Path) -> Reader:
        """See `Family.reader`."""
        return IdeficsReader(vision, folder)

    def chat(self, processor: Any) -> Chat:  # noqa: ANN401
        """See `Family.chat`; published without a template, asked as its processor's documentation asks."""
        turn = TURN_ENDS if _knows_turns(processor) else ""
        head = f"{processor.tokenizer.bos_token}User:"
        return Chat(head, f"{AROUND}{IMAGE}{AROUND}", f"{turn}\nAssistant:", edge=AROUND)

    def reference(
        self,
        processor: Any,  # noqa: ANN401
        images: Sequence[Sequence[U8]],
        texts: Sequence[str],
    ) -> Mapping[str, torch.Tensor]:
        """See `Family.reference`; the processor takes words and pictures as one list, and writes what is around."""
        from PIL import Image

        prompts = []
        for pictures, text in zip(images, texts, strict=True):
            words = text.removeprefix(processor.tokenizer.bos_token).replace(AROUND, "").split(IMAGE)
            prompt: list[Any] = [words[0]]
            for picture, following in zip(pictures, words[1:], strict=True):
                prompt += [Image.fromarray(picture), following]
            prompts.append([part for part in prompt if part != ""])
        made: Mapping[str, torch.Tensor] = processor(text=prompts, padding_side="left", return_tensors="pt")
        return made


def _knows_turns(processor: Any) -> bool:  # noqa: ANN401
    """Whether it was taught to answer; the base model knows no such token."""
    return bool(processor.tokenizer_was_trained_with_end_of_utterance_token)
