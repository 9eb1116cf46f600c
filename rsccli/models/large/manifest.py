"""The manifest of a large model's bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsccli.models.fields import Fields
from rsccli.models.large.chat import Chat
from rsccli.models.manifest import Head, parse_head, parse_root
from rsccli.models.prompts import REGIMES


@dataclass(frozen=True)
class LargeTokens:
    """Special tokens.

    Attributes:
        ends: any of them ends a caption. pad: of finished rows. image: stands for one image token in a prompt.
        max_new_tokens: longest caption by default.
        repetition_penalty: of the checkpoint's own settings; 1: none.
    """

    ends: tuple[int, ...]
    pad: int
    image: int
    max_new_tokens: int
    repetition_penalty: float = 1.0


@dataclass(frozen=True)
class LargeManifest(Head):
    """Everything that ``rsccli.json`` of a large model says.

    Attributes:
        axes: 1, or 3 where positions have time, height and width.
        chat: how it is asked. prompt: regime that is used where none is asked for.
        vision: what the family's reader needs, free in form.
    """

    axes: int
    tokens: LargeTokens
    chat: Chat
    prompt: str
    vision: Mapping[str, Any]


def parse_large(text: str | bytes, path: Path) -> LargeManifest:
    """Parse the text of a manifest.

    Raises:
        BundleError: no JSON, another format, or a field that is missing, unknown or wrong.
    """
    root = parse_root(text, path)
    head = parse_head(root)
    manifest = LargeManifest(
        **head,
        axes=root.integer("axes", low=1),
        tokens=_tokens(root.child("tokens"), head["decoder"].vocab),
        chat=_chat(root.child("chat")),
        prompt=root.text("prompt"),
        vision=root.child("vision").raw(),
    )
    root.done()
    if manifest.axes not in (1, 3):
        raise root.problem("axes", f"must be 1 or 3, not {manifest.axes}")
    if manifest.prompt not in REGIMES:
        raise root.problem("prompt", f"must be one of {', '.join(REGIMES)}, not {manifest.prompt!r}")
    return manifest


def _tokens(fields: Fields, vocab: int) -> LargeTokens:
    spec = LargeTokens(
        ends=fields.integers("ends", low=0),
        pad=fields.integer("pad", low=0),
        image=fields.integer("image", low=0),
        max_new_tokens=fields.integer("max_new_tokens", low=1),
        repetition_penalty=fields.number("repetition_penalty", low=0.01) if fields.has("repetition_penalty") else 1.0,
    )
    fields.done()
    if not spec.ends:
        raise fields.problem("ends", "names no token")
    for name, tokens in (("ends", spec.ends), ("pad", (spec.pad,))):
        if max(tokens) >= vocab:
            raise fields.problem(name, f"holds {max(tokens)}, outside of 'decoder.vocab' {vocab}")
    return spec


def _chat(fields: Fields) -> Chat:
    lead, edge = (fields.text(name) if fields.has(name) else "" for name in ("lead", "edge"))
    chat = Chat(fields.text("head"), fields.text("image"), fields.text("tail"), fields.boolean("bare"), lead, edge)
    fields.done()
    return chat
