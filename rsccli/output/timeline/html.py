"""The timeline as one HTML page: no script, no network, styles by hash, drawings as SVG."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import jinja2
from markupsafe import Markup

from rsccli.output import numbers
from rsccli.output.timeline.drawing import MARK_WORDS, MARKS, Run, axis, map_runs
from rsccli.output.timeline.markdown import cell_text, history_texts
from rsccli.output.timeline.summary import KINDS_SHOWN, PairSummary, SeriesJudge, Timeline
from rsccli.output.timeline.words import SEASON_RULE, headline, lead, pair_kind, pair_name, rate, season
from rsccli.output.wording import kind_name


@dataclass(frozen=True)
class _Row:
    """One pair as the page shows it."""

    name: str
    short: str
    link: str | None
    interval: str
    kind: str
    changed: str
    unsure: str
    area: str
    rate: str
    season: str
    paragraph: str


@dataclass(frozen=True)
class _Map:
    """One small map."""

    name: str
    told: str
    runs: list[Run]


@dataclass(frozen=True)
class _Kind:
    """One kind over time."""

    name: str
    cells: list[str]


@dataclass(frozen=True)
class _History:
    """One tile over time."""

    tile_id: str
    changes: int
    texts: list[str]


def timeline_html(timeline: Timeline, judged: SeriesJudge, linked: bool) -> str:
    """The page; every text of a model, a file name or a tag is escaped.

    Args:
        linked: whether the reports of the pairs lie beside the page.
    """
    style = _asset("timeline.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    maps = [
        _Map(pair_name(pair.pair), _told(pair), map_runs(timeline, judged, index))
        for index, pair in enumerate(timeline.pairs)
    ]
    used = {run.mark for each in maps for run in each.runs}
    shown = timeline.kinds[:KINDS_SHOWN]
    return _template().render(
        style=Markup(style),
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
        headline=headline(timeline),
        lead=lead(timeline),
        facts=timeline.facts,
        axis=axis(timeline),
        rows=[_row(pair, linked) for pair in timeline.pairs],
        rule=SEASON_RULE,
        maps=maps,
        marks=[mark for mark in MARKS if mark in used],
        mark_words=MARK_WORDS,
        kinds=[_Kind(kind_name(kind), [cell_text(pair, kind) for pair in timeline.pairs]) for kind in shown],
        kinds_left=len(timeline.kinds) - len(shown),
        histories=[_History(h.tile_id, h.changes, history_texts(h, timeline)) for h in timeline.histories],
        warnings=timeline.warnings,
        number=numbers,
    )


def _row(pair: PairSummary, linked: bool) -> _Row:
    return _Row(
        name=pair_name(pair.pair),
        # With hyphens that do not break: a date is not torn over two lines.
        short=f"{pair.pair.pre_date.label} to {pair.pair.post_date.label}".replace("-", "\u2011"),
        link=f"{pair.pair.label}.report.html" if linked else None,
        interval=pair.pair.interval,
        kind=pair_kind(pair.pair),
        changed=f"{numbers.count(pair.changed)} of {numbers.count(pair.tiles)}",
        unsure=numbers.count(dict(pair.by_status)["unsure"]),
        area=numbers.area(pair.changed_area_m2),
        rate=rate(pair),
        season=season(pair),
        paragraph=pair.paragraph,
    )


def _told(pair: PairSummary) -> str:
    return f"{numbers.count(pair.changed)} of {numbers.count(pair.tiles)} changed, {season(pair)} seasonal"


@lru_cache(maxsize=1)
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_asset("timeline.html.j2"))


def _asset(name: str) -> str:
    return (files("rsccli.output") / "assets" / name).read_text(encoding="utf-8")
