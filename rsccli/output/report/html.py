"""The report as one HTML page: no script, no network, styles by hash, pictures as data."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import jinja2
from markupsafe import Markup

from rsccli.output.report import numbers
from rsccli.output.report.compared import pair_rows, shared_rows
from rsccli.output.report.thumbnails import Thumbnails, data_uri
from rsccli.output.report.words import STATUS_WORDS, headline, lead, ranked_title
from rsccli.output.summary import RankedTile, Summary
from rsccli.types import RunFacts, Status

_BAR_WIDTH = 1000


@dataclass(frozen=True)
class _Segment:
    """One part of the bar of statuses, in units of the drawing."""

    status: Status
    label: str
    count: int
    share: float
    x: float
    width: float


@dataclass(frozen=True)
class _Card:
    """One of the strongest changes, with its pictures where there are any."""

    tile: RankedTile
    pre: str | None
    post: str | None


@dataclass(frozen=True)
class _Word:
    """One keyword and the length of its bar, in units of the drawing."""

    word: str
    count: int
    width: float


def render_html(summary: Summary, facts: RunFacts | None, thumbnails: Thumbnails) -> str:
    """The page; every text of a model, a file name or a tag is escaped."""
    style = _asset("report.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return _template().render(
        style=Markup(style),
        policy=f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
        headline=headline(summary, facts),
        lead=lead(summary),
        ranked_title=ranked_title(summary),
        summary=summary,
        facts=facts,
        segments=_segments(summary),
        cards=[_card(tile, thumbnails) for tile in summary.ranked],
        words=_words(summary),
        pair=pair_rows(facts) if facts else [],
        shared=shared_rows(facts) if facts else [],
        pre_day=numbers.day(summary.pre_datetime),
        post_day=numbers.day(summary.post_datetime),
        number=numbers,
        status_words=STATUS_WORDS,
    )


def _segments(summary: Summary) -> list[_Segment]:
    found, x = [], 0.0
    for status, count in summary.by_status:
        if count:
            width = _BAR_WIDTH * count / summary.tiles
            label = STATUS_WORDS[status]
            found.append(_Segment(status, label, count, count / summary.tiles, round(x, 2), round(width, 2)))
            x += width
    return found


def _card(tile: RankedTile, thumbnails: Thumbnails) -> _Card:
    pixels = thumbnails.get(tile.tile_id)
    if pixels is None:
        return _Card(tile, None, None)
    return _Card(tile, data_uri(pixels[0]), data_uri(pixels[1]))


def _words(summary: Summary) -> list[_Word]:
    most = max((count for _, count in summary.keywords), default=1)
    return [_Word(word, count, round(100 * count / most, 1)) for word, count in summary.keywords]


@lru_cache(maxsize=1)
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_asset("report.html.j2"))


def _asset(name: str) -> str:
    return (files("rsccli.output") / "assets" / name).read_text(encoding="utf-8")
