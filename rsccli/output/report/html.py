"""The report as one HTML page: everything within it, nothing fetched, its own styles and scripts by hash."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import jinja2
from markupsafe import Markup

from rsccli.output import numbers
from rsccli.output.features import Feature
from rsccli.output.report import assets
from rsccli.output.report.areas import scene_notes
from rsccli.output.report.basemap import Basemap
from rsccli.output.report.charts import HEIGHT, WIDTH, area_chart, score_chart
from rsccli.output.report.compared import pair_rows, shared_rows
from rsccli.output.report.data import data_block
from rsccli.output.report.encode import mask_overview_uri, mask_uri, overview_uri, tile_uri
from rsccli.output.report.pictures import Pictures
from rsccli.output.report.policy import content_policy
from rsccli.output.report.still import still_map
from rsccli.output.report.words import STATUS_WORDS, headline, key_figures, lead, ranked_title
from rsccli.output.summary import RankedTile, Summary
from rsccli.types import RunFacts, Status

#: A page is never larger: pictures have their budgets, tiles take what these leave.
PAGE_BYTES = 24_500_000
#: Scripts, styles, the still map, what the summary says.
_REST_BYTES = 1_500_000
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
    mask: str | None

    @property
    def addresses(self) -> tuple[str | None, ...]:
        """Of its pictures."""
        return self.pre, self.post, self.mask


@dataclass(frozen=True)
class _Word:
    """One keyword and the length of its bar, in units of the drawing."""

    word: str
    count: int
    width: float


def render_html(
    summary: Summary,
    facts: RunFacts | None,
    pictures: Pictures,
    features: Sequence[Feature] = (),
    basemap: Basemap | None = None,
) -> str:
    """The page; every text of a model, a file name or a tag is escaped.

    Args:
        features: tiles that it shows one by one, those that matter most first; none: no map, no table.
        basemap: a background map, the one host that the page may ask.
    """
    overview = pictures.post or pictures.pre
    pre_overview = overview_uri(pictures.pre) if pictures.pre else None
    post_overview = overview_uri(pictures.post) if pictures.post else None
    mask_overview = mask_overview_uri(pictures.mask) if pictures.mask else None
    cards = [_card(tile, pictures) for tile in summary.ranked]
    addresses = [pre_overview, post_overview, mask_overview, *(a for card in cards for a in card.addresses)]
    room = PAGE_BYTES - _REST_BYTES - sum(len(address or "") for address in addresses)
    block = data_block(features, summary, pictures, basemap, room)
    script, style = assets.page_script(), assets.page_style()
    return _template().render(
        policy=content_policy([style], [assets.leaflet_script(), script], basemap),
        referrer="no-referrer" if basemap is None else "strict-origin-when-cross-origin",
        style=Markup(style),
        leaflet=Markup(assets.leaflet_script()),
        script=Markup(script),
        data=Markup(block.text),
        shown=block.tiles,
        has_map=block.has_map,
        still=still_map(features[: block.tiles], overview.map_bounds if overview else None),
        pre_overview=pre_overview,
        post_overview=post_overview,
        mask_overview=mask_overview,
        kinds=[(kind.name, _hex(kind.rgb)) for kind in pictures.kinds] if pictures.mask else [],
        basemap=basemap,
        headline=headline(summary, facts),
        lead=lead(summary),
        figures=key_figures(summary, pictures.buildings),
        ranked_title=ranked_title(summary),
        summary=summary,
        scene_notes=scene_notes(summary.scene),
        facts=facts,
        picture_notes=pictures.notes,
        segments=_segments(summary),
        cards=cards,
        words=_words(summary),
        charts=[chart for chart in (score_chart(summary), area_chart(summary)) if chart is not None],
        chart_width=WIDTH,
        chart_height=HEIGHT,
        pair=pair_rows(facts) if facts else [],
        shared=shared_rows(facts) if facts else [],
        pre_day=numbers.day(summary.pre_datetime),
        post_day=numbers.day(summary.post_datetime),
        number=numbers,
        status_words=STATUS_WORDS,
    )


def _hex(rgb: tuple[int, int, int]) -> str:
    red, green, blue = rgb
    return f"#{red:02x}{green:02x}{blue:02x}"


def _segments(summary: Summary) -> list[_Segment]:
    found, x = [], 0.0
    for status, count in summary.by_status:
        if count:
            width = _BAR_WIDTH * count / summary.tiles
            label = STATUS_WORDS[status]
            found.append(_Segment(status, label, count, count / summary.tiles, round(x, 2), round(width, 2)))
            x += width
    return found


def _card(tile: RankedTile, pictures: Pictures) -> _Card:
    pixels = pictures.tiles.get(tile.tile_id)
    if pixels is None:
        return _Card(tile, None, None, None)
    mask = None if pixels.mask is None else mask_uri(pixels.post, pixels.mask, pictures.kinds)
    return _Card(tile, tile_uri(pixels.pre), tile_uri(pixels.post), mask)


def _words(summary: Summary) -> list[_Word]:
    most = max((count for _, count in summary.keywords), default=1)
    return [_Word(word, count, round(100 * count / most, 1)) for word, count in summary.keywords]


@lru_cache(maxsize=1)
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: assets.read_asset(f"report/{name}")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2")
