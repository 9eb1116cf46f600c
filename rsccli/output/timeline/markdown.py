"""The timeline as Markdown, for messages and repositories."""

from __future__ import annotations

from rsccli.output import numbers
from rsccli.output.report.markdown import plain_text
from rsccli.output.timeline.seasonal import Judged, Verdict
from rsccli.output.timeline.summary import KINDS_SHOWN, PairSummary, TileHistory, Timeline
from rsccli.output.timeline.words import SEASON_RULE, headline, lead, pair_kind, pair_name, rate, season
from rsccli.output.wording import kind_name


def timeline_markdown(timeline: Timeline) -> str:
    """The timeline as text; what a model or a file name says cannot become markup."""
    facts = timeline.facts
    lines = [
        f"# {headline(timeline)}",
        "",
        lead(timeline),
        "",
        "## Images",
        "",
        "| date | file | dated by |",
        "|---|---|---|",
    ]
    lines += [
        f"| {numbers.moment(image.date)} | {plain_text(image.path)} | {plain_text(image.dated_by)} |"
        for image in facts.images
    ]
    lines += [
        "",
        "## Pairs",
        "",
        "| from, to | time between | | changed tiles | unsure | changed ground | a year | seasonal |",
    ]
    lines += ["|---|---|---|---:|---:|---:|---:|---:|"]
    lines += [_row(pair) for pair in timeline.pairs]
    lines += ["", SEASON_RULE, ""]
    if timeline.kinds:
        shown = timeline.kinds[:KINDS_SHOWN]
        lines += ["## Kinds of change over time", "", "Tiles that carry the kind; seasonal ones in parentheses.", ""]
        lines += ["| kind | " + " | ".join(pair_name(pair.pair) for pair in timeline.pairs) + " |"]
        lines += ["|---|" + "---:|" * len(timeline.pairs)]
        lines += [
            f"| {plain_text(kind_name(kind))} | " + " | ".join(cell_text(pair, kind) for pair in timeline.pairs) + " |"
            for kind in shown
        ]
        lines += [""]
    if timeline.histories:
        lines += ["## Tiles that changed most often", ""]
        lines += [f"- `{each.tile_id}`: {_story(each, timeline)}" for each in timeline.histories]
        lines += [""]
    lines += ["## Each pair in short", ""]
    for pair in timeline.pairs:
        lines += [f"**{pair_name(pair.pair)}.** {plain_text(pair.paragraph)}", ""]
    for title, texts in (("Limits", facts.limits), ("Warnings", timeline.warnings)):
        if texts:
            lines += [f"## {title}", "", *(f"- {plain_text(text)}" for text in texts), ""]
    lines += [f"rsccli {facts.version}, {plain_text(facts.model)} {plain_text(facts.model_revision)}.", ""]
    return "\n".join(lines)


def history_texts(history: TileHistory, timeline: Timeline) -> list[str]:
    """What each pair that calls the tile changed says of it."""
    found = []
    for pair, state, verdict in zip(timeline.facts.pairs, history.states, history.verdicts, strict=True):
        if state is not None and state.status == "changed":
            found.append(f"{pair_name(pair)}: {state_text(state, verdict)}")
    return found


def state_text(state: Judged, verdict: Verdict) -> str:
    """Kinds of a change with those that are seasonal marked."""
    return ", ".join(
        f"{kind_name(kind)} (seasonal)" if kind in verdict.keywords else kind_name(kind) for kind in state.kinds
    )


def _story(history: TileHistory, timeline: Timeline) -> str:
    return plain_text("; ".join(history_texts(history, timeline)))


def _row(pair: PairSummary) -> str:
    cells = [
        pair_name(pair.pair),
        pair.pair.interval,
        pair_kind(pair.pair),
        f"{numbers.count(pair.changed)} of {numbers.count(pair.tiles)}",
        numbers.count(dict(pair.by_status)["unsure"]),
        numbers.area(pair.changed_area_m2),
        rate(pair),
        season(pair),
    ]
    return f"| {' | '.join(cells)} |"


def cell_text(pair: PairSummary, kind: str) -> str:
    """How many tiles of a pair carry a kind, seasonal ones in parentheses."""
    for count in pair.kinds:
        if count.keyword == kind:
            return f"{count.tiles} ({count.seasonal})" if count.seasonal else str(count.tiles)
    return "0"
