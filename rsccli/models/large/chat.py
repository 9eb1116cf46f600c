"""How a model is asked: the turns of its chat template around pictures and words, as plain text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from rsccli.errors import ModelError

#: Where the pictures stand in a prompt; a prompt without them has the pictures first.
PRE, POST = "{pre}", "{post}"
_WORDS = "\ue000"


@dataclass(frozen=True)
class Chat:
    """One question with its pictures.

    Attributes:
        head: what comes before. image: what stands for a picture. tail: what comes after, where the answer begins.
        bare: whether the tokenizer must add no special tokens, because the text has its own.
        lead: what stands before the words, behind pictures that come first.
        edge: what ``image`` begins and ends with, if it stands once between pictures that touch, and without spaces.
    """

    head: str
    image: str
    tail: str
    bare: bool = True
    lead: str = ""
    edge: str = ""

    def text(self, prompt: str, pictures: int = 2) -> str:
        """The whole prompt with one placeholder for each picture.

        Args:
            prompt: what is asked; ``{pre}`` and ``{post}`` in it are the places of the pictures.
            pictures: 2, or 1 where both dates are one picture (then its place is that of ``{pre}``).
        """
        if PRE in prompt:
            second = self.image if pictures == 2 else ""
            asked = self.lead + prompt.replace(PRE, self.image, 1).replace(POST, second, 1)
        else:
            asked = self.image * pictures + self.lead + prompt
        if self.edge:
            asked = re.sub(rf"(?: *{re.escape(self.edge)} *)+", self.edge, asked)
        return f"{self.head}{asked}{self.tail}"


def chat_of(processor: Any) -> Chat:  # noqa: ANN401 - transformers is not typed
    """The chat of a processor's own template.

    Raises:
        ModelError: it has none, or one that puts words before the pictures that it is given.
    """
    one, two = (_render(processor, pictures) for pictures in (1, 2))
    before_one, _, tail = one.partition(_WORDS)
    before_two, _, tail_two = two.partition(_WORDS)
    # Behind the pictures there may be something that belongs to the words, such as a new line.
    both = zip(before_one, before_two, strict=False)
    same = next((place for place, (one_s, two_s) in enumerate(both) if one_s != two_s), len(before_one))
    lead = before_one[same:]
    image = before_two[same : len(before_two) - len(lead)]
    first = before_one[:same]
    # A template that knows text alone writes the turn's parts down as they are, without the image token.
    token = getattr(processor, "image_token", None) or ""
    if (
        tail != tail_two
        or not image
        or token not in image
        or not first.endswith(image)
        or first + image + lead != before_two
    ):
        raise ModelError("the checkpoint's chat template does not put one picture after another and then the words")
    bos = processor.tokenizer.bos_token
    head = first.removesuffix(image)
    bare = bool(bos and head.startswith(bos)) or not _adds_tokens(processor.tokenizer)
    return Chat(head, image, tail, bare, lead)


def _render(processor: Any, pictures: int) -> str:  # noqa: ANN401
    from jinja2 import TemplateError

    has = getattr(processor, "chat_template", None) or getattr(processor.tokenizer, "chat_template", None)
    if not has:
        raise ModelError(
            "the checkpoint has no chat template, so nobody knows how it is asked: "
            "copy the chat_template.json of the published checkpoint beside its config.json"
        )
    content = [*[{"type": "image"}] * pictures, {"type": "text", "text": _WORDS}]
    messages = [{"role": "user", "content": content}]
    try:
        return str(processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False))
    except (TemplateError, TypeError, ValueError, KeyError, AttributeError) as error:
        raise ModelError(f"the checkpoint's chat template cannot be used for pictures and words: {error}") from error


def _adds_tokens(tokenizer: Any) -> bool:  # noqa: ANN401
    return list(tokenizer("a")["input_ids"]) != list(tokenizer("a", add_special_tokens=False)["input_ids"])
