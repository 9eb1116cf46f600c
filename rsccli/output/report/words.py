"""The sentences of the report: made of counts and areas, never by a model."""

from __future__ import annotations

from dataclasses import dataclass

from rsccli.output import numbers
from rsccli.output.summary import Summary
from rsccli.types import RunFacts, Status

STATUS_WORDS: dict[Status, str] = {
    "changed": "changed",
    "unchanged": "unchanged",
    "unsure": "unsure",
    "skipped": "skipped",
    "nodata": "no data",
    "read_error": "could not be read",
    "model_error": "could not be captioned",
}


@dataclass(frozen=True)
class KeyFigure:
    """One number at the top of the report, and what it counts."""

    number: str
    what: str


def key_figures(summary: Summary, buildings: int | None = None) -> list[KeyFigure]:
    """The numbers at the top; what nobody knows is left out, not shown as nought.

    Args:
        buildings: spots of changed building in the mask, or None where nobody counted.
    """
    found = [
        KeyFigure(numbers.count(summary.count("changed")), f"of {numbers.count(summary.tiles)} tiles called changed")
    ]
    if summary.changed_area_m2 is not None:
        found.append(KeyFigure(numbers.area(summary.changed_area_m2), "of changed ground in their masks"))
    if summary.changed_share is not None:
        covered = f"of the {numbers.area(summary.compared_area_m2)} covered by both dates"
        found.append(KeyFigure(numbers.percent(summary.changed_share), covered))
    if buildings is not None:
        spot = "spot" if buildings == 1 else "spots"
        what = f"separate {spot} of changed building in the mask"
        found.append(KeyFigure(numbers.count(buildings), what))
    if summary.count("unsure"):
        found.append(KeyFigure(numbers.count(summary.count("unsure")), "tiles that the captioner is unsure about"))
    if summary.failed_total:
        what = "tile failed" if summary.failed_total == 1 else "tiles failed"
        found.append(KeyFigure(numbers.count(summary.failed_total), what))
    return found


def headline(summary: Summary, facts: RunFacts | None) -> str:
    """What the report is about."""
    pre, post = numbers.day(summary.pre_datetime), numbers.day(summary.post_datetime)
    if pre and post and pre != post:
        return f"What changed between {pre} and {post}"
    if facts is not None:
        return f"What changed between {facts.pre.name} and {facts.post.name}"
    return "What changed"


def lead(summary: Summary) -> str:
    """The main result in one or two sentences."""
    changed, unsure = summary.count("changed"), summary.count("unsure")
    text = f"{numbers.count(changed)} of {numbers.count(summary.tiles)} tiles {_are(changed)} called changed"
    if summary.changed_area_m2 is not None and changed:
        text += f", {numbers.area(summary.changed_area_m2)} of ground in their masks"
        if summary.changed_share is not None:
            text += (
                f" ({numbers.percent(summary.changed_share)} of the "
                f"{numbers.area(summary.compared_area_m2)} that both dates cover)"
            )
    text += "."
    if unsure:
        text += f" The captioner is unsure about {numbers.count(unsure)}{' more' if changed else ''}."
    if summary.failed_total:
        failed = summary.failed_total
        text += f" {numbers.count(failed)} {'tile' if failed == 1 else 'tiles'} failed."
    return text


def ranked_title(summary: Summary) -> str:
    """The heading of the list of strongest changes."""
    if summary.ranked and summary.ranked[0].status == "unsure":
        return "No tile is called changed; the most likely ones"
    return "Strongest changes"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
