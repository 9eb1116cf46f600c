"""The scene's answers as a Markdown page."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rsccli.run.ask.scene import SceneAnswer
from rsccli.run.caption import PreparedJob

_SPECIAL = re.compile(r"[\\`*_|~!#]")


def render_page(answers: Sequence[SceneAnswer], prepared: PreparedJob, output: str) -> str:
    """Questions and answers; what a user or a model wrote cannot become markup."""
    facts = prepared.facts
    dates = [date.datetime[:10] for date in (facts.pre, facts.post) if date.datetime]
    when = f" between {dates[0]} and {dates[1]}" if len(dates) == 2 else ""
    lines = [f"# Questions about what changed{when}", ""]
    lines += [f"{_text(facts.pre.name)} and {_text(facts.post.name)}, {facts.tiles:,} tiles, {_text(facts.model)}.", ""]
    for each in answers:
        lines += [f"## {_text(each.question)}", "", _text(each.text), ""]
        counts = ", ".join(f"{count:,} {status.replace('_', ' ')}" for status, count in each.by_status)
        lines += [f"Tiles by status of the answer: {counts}.", ""]
    lines += [f"The answers of single tiles are in {_text(output)}; ids in brackets name tiles there.", ""]
    for title, items in (("Limits", facts.limits), ("Warnings", facts.warnings)):
        if items:
            lines += [f"## {title}", "", *(f"- {_text(item)}" for item in items), ""]
    lines += [f"rsccli {facts.version}, run {facts.spec_hash[:12]}.", ""]
    return "\n".join(lines)


def _text(value: str) -> str:
    """Any text as plain words within a line."""
    flat = " ".join(value.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(r"\\\g<0>", flat)
