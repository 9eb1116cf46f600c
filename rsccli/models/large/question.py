"""What one pair is asked: a template's words with the tile's facts in them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rsccli.models.large.chat import Chat
from rsccli.models.outlines import draw
from rsccli.models.prompts import PromptFields, PromptTemplate, render
from rsccli.types import TilePair


@dataclass(frozen=True)
class Question:
    """One prompt.

    Attributes:
        prompt: the words alone. text: with the turns of the chat and one placeholder for each picture.
        source: where its counts come from, or None.
    """

    prompt: str
    text: str
    source: str | None


def shown(template: PromptTemplate, pair: TilePair) -> TilePair:
    """The pair as the model sees it: in the visual regime with outlines drawn on post."""
    if template.regime != "visual" or pair.context is None or not pair.context.outlines:
        return pair
    return replace(pair, post=draw(pair.post, pair.context.outlines))


def question_of(template: PromptTemplate, pair: TilePair, chat: Chat, mosaic: bool) -> Question:
    """The question about one pair.

    Raises:
        UsageProblem: the template needs counts and there are none.
    """
    context = pair.context
    values = PromptFields(gsd=round(pair.gsd_m, 3))
    if context is not None:
        values = PromptFields(
            disaster=context.disaster,
            counts=context.counts,
            pre_date=context.pre_date,
            post_date=context.post_date,
            place=context.place,
            gsd=round(pair.gsd_m, 3),
        )
    prompt = render(template, values)
    uses_counts = template.uses("counts") and context is not None and context.counts is not None
    source = f"counts from {context.source}" if uses_counts and context is not None else None
    return Question(prompt, chat.text(prompt, 1 if mosaic else 2), source)
