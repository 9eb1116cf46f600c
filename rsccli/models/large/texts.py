"""A large model asked in words alone, without a picture: to phrase what is known already."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from rsccli.errors import ModelError
from rsccli.models.captioner import Captioner
from rsccli.models.families.idefics import PICTURES
from rsccli.models.large.captioner import LargeCaptioner, Seen
from rsccli.models.large.family import IMAGE_TOKENS
from rsccli.models.large.question import Question
from rsccli.models.prompts import PromptTemplate
from rsccli.types import MapBounds, PxWindow, Tile, TilePair

#: Side of the grey pictures for a decoder that cannot run without any.
GREY_PX = 64


@runtime_checkable
class AnswersText(Protocol):
    """What a captioner of another package offers where it can be asked in words alone."""

    def answer_text(self, prompt: str, max_new_tokens: int) -> str:
        """Words in answer to a prompt; greedy, so that the same prompt gives the same words.

        Raises:
            ModelError: the model failed.
        """
        ...


def answer_text(captioner: Captioner, prompt: str, max_new_tokens: int) -> str:
    """Ask a loaded captioner something that has no picture.

    Bundles of large models read the prompt through their own chat template with no picture in it. Where the decoder
    takes features of pictures as an input of its own (Idefics, Qwen3-VL), it gets two grey ones.

    Args:
        prompt: plain text. max_new_tokens: at most.

    Raises:
        ModelError: it cannot be asked in words, or it failed. UsageProblem: the prompt holds a token that stands for a
            picture.
    """
    if isinstance(captioner, AnswersText):
        return captioner.answer_text(prompt, max_new_tokens)
    if not isinstance(captioner, LargeCaptioner):
        raise ModelError(f"{captioner.info.name} cannot be asked in words alone: give a bundle of a large model")
    context = captioner.reader.context
    if IMAGE_TOKENS in context:
        raise ModelError(
            f"{captioner.info.name} describes pictures and hears no words: give a bundle of another family"
        )
    if PICTURES in context or len(captioner.reader.outputs) > 1:
        plain = prompt.replace("{", "{{").replace("}", "}}")
        seen = captioner.see([_grey()], PromptTemplate("question", plain, "asked"))
    else:
        seen = [Seen(_grey(), (), Question(prompt, captioner.manifest.chat.text(prompt, pictures=0), None))]
    (words,) = captioner.decode(seen, max_new_tokens)
    text: str = captioner.tokenizer.decode(list(words.tokens), skip_special_tokens=True).strip()
    return text


def _grey() -> TilePair:
    pixels = np.full((3, GREY_PX, GREY_PX), 128, np.uint8)
    tile = Tile("r00000c00000", 0, 0, PxWindow(0, 0, GREY_PX, GREY_PX), MapBounds(0.0, 0.0, 1.0, 1.0))
    return TilePair(tile, pixels, pixels, np.ones((GREY_PX, GREY_PX), bool), 1.0)
