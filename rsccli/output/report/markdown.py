"""The report as Markdown, for messages and repositories."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rsccli.output import numbers
from rsccli.output.report.areas import scene_lines
from rsccli.output.report.compared import pair_rows, shared_rows
from rsccli.output.report.words import STATUS_WORDS, headline, lead, ranked_title
from rsccli.output.summary import RankedTile, Summary
from rsccli.types import RunFacts

_SPECIAL = re.compile(r"[\\`*_\[\]|~!]")
#: What many programs make a link of by themselves.
_ADDRESS = re.compile(r"\b(https?|ftp|mailto|xmpp|www)([:.])", re.IGNORECASE)


def render_markdown(summary: Summary, facts: RunFacts | None) -> str:
    """The page as text; what a model or a file name says cannot become markup."""
    lines = [f"# {plain_text(headline(summary, facts))}", "", lead(summary), ""]
    lines += scene_lines(summary.scene, summary.change_areas, plain_text)
    if facts is not None:
        lines += ["## What was compared", "", "| | before | after |", "|---|---|---|"]
        lines += [f"| {row.label} | {plain_text(row.pre)} | {plain_text(row.post)} |" for row in pair_rows(facts)]
        lines += ["", *(f"- {row.label}: {plain_text(row.text)}" for row in shared_rows(facts)), ""]
    lines += ["## Tiles by status", "", "| status | tiles | share |", "|---|---:|---:|"]
    lines += [
        f"| {STATUS_WORDS[status]} | {numbers.count(number)} | {numbers.percent(number / summary.tiles)} |"
        for status, number in summary.by_status
        if number
    ]
    lines += ["", "## Changed area", "", f"- called changed: {numbers.area(summary.changed_area_m2)}"]
    lines += [f"- called unsure: {numbers.area(summary.unsure_area_m2)}"]
    lines += [f"- covered by both dates: {numbers.area(summary.compared_area_m2)}", ""]
    if summary.ranked:
        lines += [f"## {ranked_title(summary)}", ""]
        lines += [_ranked(place, tile) for place, tile in enumerate(summary.ranked, start=1)]
        lines += [""]
    if summary.keywords:
        lines += ["## Keywords", "", "| keyword | tiles |", "|---|---:|"]
        lines += [f"| {plain_text(word)} | {numbers.count(number)} |" for word, number in summary.keywords]
        lines += [""]
    if summary.failed:
        lines += [f"## Failed tiles ({numbers.count(summary.failed_total)})", ""]
        lines += [
            f"- `{tile.tile_id}` {STATUS_WORDS[tile.status]}: {plain_text(tile.reason or 'no reason given')}"
            for tile in summary.failed
        ]
        if summary.failed_total > len(summary.failed):
            lines += [f"- and {numbers.count(summary.failed_total - len(summary.failed))} more"]
        lines += [""]
    lines += _list("Limits", summary.limits) + _list("Warnings", (*summary.warnings, *summary.notes))
    if facts is not None:
        lines += [f"rsccli {facts.version}, run {facts.spec_hash[:12]}.", ""]
    return "\n".join(lines)


def _ranked(place: int, tile: RankedTile) -> str:
    score = "no score" if tile.change_score is None else f"score {tile.change_score:.2f}"
    facts = f"{score}, {numbers.area(tile.changed_area_m2)}, {numbers.place(tile.lonlat)}"
    words = f"; {plain_text(', '.join(tile.keywords))}" if tile.keywords else ""
    return f"{place}. {_item(tile.caption)} [{tile.tile_id}] ({facts}{words})"


def _list(title: str, items: Iterable[str]) -> list[str]:
    lines = [f"- {_item(item)}" for item in items]
    return [f"## {title}", "", *lines, ""] if lines else []


def plain_text(value: str) -> str:
    """Any text as plain words within a line: on one line, markup escaped."""
    flat = " ".join(value.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _ADDRESS.sub(r"\1\\\2", _SPECIAL.sub(r"\\\g<0>", flat))


def _item(value: str) -> str:
    """The same at the start of a list item, where "1. text" or "# text" would begin another block."""
    text = plain_text(value)
    text = re.sub(r"^(\d+)(?=[.)])", r"\1\\", text)
    return "\\" + text if text.startswith(("#", "+", "-")) else text
