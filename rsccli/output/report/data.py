"""The tiles as one compact block of JSON inside the page, read by its scripts.

Columns instead of objects, each different text once, whole numbers for places: some 100 bytes a tile beside its
caption. The block stands in a script element of a type that no browser runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rsccli.output import numbers
from rsccli.output.features import Feature
from rsccli.output.report.basemap import Basemap
from rsccli.output.report.encode import detail_uri
from rsccli.output.report.pictures import Overview, Pictures
from rsccli.output.report.places import Places, places
from rsccli.output.report.words import STATUS_WORDS
from rsccli.output.summary import Summary
from rsccli.output.text import json_bytes
from rsccli.types import STATUSES, MapBounds


@dataclass(frozen=True)
class DataBlock:
    """The block, and how many tiles it holds.

    Attributes:
        text: JSON without any character that could end a script element.
        tiles: of these features, from the first on, the block holds so many. has_map: their places are known.
    """

    text: str
    tiles: int
    has_map: bool


def data_block(
    features: Sequence[Feature],
    summary: Summary,
    pictures: Pictures,
    basemap: Basemap | None,
    most_bytes: int,
) -> DataBlock:
    """The block of a page.

    Args:
        features: those that matter most first; the last ones are left out where the block grows too large.
    """
    count = len(features)
    details = _details(pictures)
    while True:
        kept = features[:count]
        where = places(kept)
        shown = None if where is None else _map(kept, where, pictures, details, basemap)
        text = _script_safe(json_bytes(_content(kept, where, shown, summary)))
        if len(text) <= most_bytes or count <= 1:
            return DataBlock(text.decode("utf-8"), count, where is not None)
        count = max(1, min(count - 1, int(count * most_bytes / len(text) * 0.98)))


def _content(
    features: Sequence[Feature], where: Places | None, shown: dict[str, object] | None, summary: Summary
) -> dict[str, object]:
    captions, words, reasons = _Texts(), _Texts(), _Texts()
    columns: dict[str, object] = {
        "id": [feature.id for feature in features],
        "row": [feature.tile_row for feature in features],
        "col": [feature.tile_col for feature in features],
        "status": [STATUSES.index(feature.status) for feature in features],
        "score": [feature.change_score for feature in features],
        "area": [feature.changed_area_m2 for feature in features],
        "share": [feature.changed_fraction for feature in features],
        "caption": [captions.place(feature.caption) for feature in features],
        "reason": [reasons.place(feature.reason) for feature in features],
        "keywords": [[words.place(word) for word in feature.keywords] for feature in features],
        "rings": [] if where is None else where.rings,
    }
    return {
        "total": summary.tiles,
        "dates": [numbers.day(summary.pre_datetime), numbers.day(summary.post_datetime)],
        "statuses": [[status, STATUS_WORDS[status]] for status in STATUSES],
        "captions": captions.texts,
        "words": words.texts,
        "reasons": reasons.texts,
        "tiles": columns,
        "map": shown,
    }


def _map(
    features: Sequence[Feature],
    where: Places,
    pictures: Pictures,
    details: Mapping[str, dict[str, object]],
    basemap: Basemap | None,
) -> dict[str, object]:
    sharp = [(number, details[feature.id]) for number, feature in enumerate(features) if feature.id in details]
    return {
        "left": round(where.left_m, 3),
        "bottom": round(where.bottom_m, 3),
        "step": where.step_m,
        "bounds": _rounded(where.bounds),
        "pre": _bounds_of(pictures.pre),
        "post": _bounds_of(pictures.post),
        "mask": _bounds_of(pictures.mask),
        "details": [{"tile": number, **detail} for number, detail in sharp],
        "basemap": None if basemap is None else {"url": basemap.url, "credit": basemap.credit},
    }


def _details(pictures: Pictures) -> dict[str, dict[str, object]]:
    """Pictures of single tiles on the map, by tile id."""
    found: dict[str, dict[str, object]] = {}
    for tile_id, detail in pictures.details.items():
        overview = detail.pre or detail.post
        if overview is not None:
            found[tile_id] = {
                "box": _rounded(overview.map_bounds),
                "pre": detail_uri(detail.pre) if detail.pre else None,
                "post": detail_uri(detail.post) if detail.post else None,
            }
    return found


def _bounds_of(overview: Overview | None) -> list[float] | None:
    return None if overview is None else _rounded(overview.map_bounds)


def _rounded(bounds: MapBounds) -> list[float]:
    return [round(value, 3) for value in bounds]


class _Texts:
    """Different texts, each once."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}

    def place(self, text: str | None) -> int:
        """Index of a text; -1 for None."""
        return -1 if text is None else self._places.setdefault(text, len(self._places))

    @property
    def texts(self) -> Iterable[str]:
        return list(self._places)


def _script_safe(text: bytes) -> bytes:
    """The same JSON, with nothing that HTML or old JavaScript could take for its own.

    Outside of strings JSON has none of these characters, so each can be written as an escape wherever it stands.
    """
    for character, escape in (
        (b"<", b"\\u003c"),
        (b">", b"\\u003e"),
        (b"&", b"\\u0026"),
        ("\u2028".encode(), b"\\u2028"),
        ("\u2029".encode(), b"\\u2029"),
    ):
        text = text.replace(character, escape)
    return text
