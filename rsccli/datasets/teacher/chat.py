"""OpenAI's chat completions: the body of a question with two images, and the caption in an answer."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Any

import orjson

from rsccli.output.text import storable

_THOUGHTS = re.compile(r"^\s*<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL)
_UNENDED = re.compile(r"^\s*<think(?:ing)?>", re.DOTALL)


@dataclass(frozen=True)
class Sampling:
    """What an endpoint is told of decoding; None: its own default, and nothing is sent.

    Attributes:
        temperature: 0 is greedy. max_new_tokens: longest answer, thoughts included.
    """

    temperature: float | None = None
    max_new_tokens: int | None = None


@dataclass(frozen=True)
class Answer:
    """A caption, and what it cost in tokens."""

    text: str
    prompt_tokens: int
    answer_tokens: int


class NoCaptionError(Exception):
    """An answer that is no caption.

    Attributes:
        again: whether asking again may help.
    """

    def __init__(self, reason: str, again: bool) -> None:
        super().__init__(reason)
        self.again = again


def question(model: str, prompt: str, pre_png: bytes, post_png: bytes, sampling: Sampling) -> bytes:
    """Body of a request: the words, then the earlier and the later image as data URLs."""
    content: list[dict[str, Any]] = [{"type": "text", "text": prompt}]
    for image in (pre_png, post_png):
        url = "data:image/png;base64," + base64.b64encode(image).decode("ascii")
        content.append({"type": "image_url", "image_url": {"url": url}})
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": content}]}
    if sampling.temperature is not None:
        body["temperature"] = sampling.temperature
    if sampling.max_new_tokens is not None:
        body["max_tokens"] = sampling.max_new_tokens
    return orjson.dumps(body)


def read_answer(data: bytes) -> Answer:
    """The caption in the body of an answer.

    Raises:
        NoCaptionError: there is none in it.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise NoCaptionError("the answer is not JSON", again=True) from None
    choices = value.get("choices") if isinstance(value, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise NoCaptionError("the answer holds no choices[0].message", again=True)
    if choice.get("finish_reason") == "length":
        raise NoCaptionError("the answer was cut at the longest length: raise --max-new-tokens", again=False)
    if choice.get("finish_reason") == "content_filter" or message.get("refusal"):
        raise NoCaptionError("the model refused to answer", again=False)
    text = _THOUGHTS.sub("", _content(message.get("content")))
    if _UNENDED.match(text):
        raise NoCaptionError("the answer ends in the model's thoughts: raise --max-new-tokens", again=False)
    text = storable(" ".join(text.split()))
    if not text:
        raise NoCaptionError("the answer holds no text", again=True)
    usage = value.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return Answer(text, _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens")))


def _content(value: object) -> str:
    """Text of a message, which some servers give in parts."""
    if isinstance(value, list):
        parts = [part.get("text") for part in value if isinstance(part, dict)]
        return "".join(part for part in parts if isinstance(part, str))
    return value if isinstance(value, str) else ""


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def said_in_error(data: bytes) -> str:
    """What the body of an error says, in at most 200 characters."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return ""
    error = value.get("error", value) if isinstance(value, dict) else value
    text = error.get("message", error.get("detail")) if isinstance(error, dict) else error
    return storable(" ".join(text.split()))[:200] if isinstance(text, str) else ""
