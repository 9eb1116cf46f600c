"""The pictures that a report may show, as pixels; a report goes without those that are None."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rsccli.types import U8, MapBounds


@dataclass(frozen=True, eq=False)
class Overview:
    """One date of the whole run as one picture in Web Mercator.

    Attributes:
        pixels: uint8 (4, H, W), red, green, blue, opacity; opacity is 0 where the date has no data.
        map_bounds: its outer edges, metres of EPSG:3857.
    """

    pixels: U8
    map_bounds: MapBounds


@dataclass(frozen=True)
class MaskKind:
    """One kind of change in a mask.

    Attributes:
        name: e.g. ``building``. rgb: its colour.
    """

    name: str
    rgb: tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class TilePictures:
    """One tile at both dates.

    Attributes:
        pre, post: uint8 (3, H, W).
        mask: uint8 (H, W), 0 where nothing changed, n for the n-th kind of the mask; None where nobody kept it.
    """

    pre: U8
    post: U8
    mask: U8 | None = None


@dataclass(frozen=True, eq=False)
class Detail:
    """One tile for the map, sharper than the overviews there; a date without data is None."""

    pre: Overview | None
    post: Overview | None


@dataclass(frozen=True, eq=False)
class Pictures:
    """All pictures of a report.

    Attributes:
        pre, post: overviews of both dates. mask: the same of what changed, in the colours of its kinds.
        kinds: of the mask. buildings: changed ones as it counts them; None where nobody can say.
        tiles: the strongest changes, by tile id. details: tiles for the map, by tile id; the strongest first.
        notes: what a reader should know of them, e.g. why some are missing; sentences.
    """

    pre: Overview | None = None
    post: Overview | None = None
    mask: Overview | None = None
    kinds: tuple[MaskKind, ...] = ()
    buildings: int | None = None
    tiles: Mapping[str, TilePictures] = field(default_factory=dict)
    details: Mapping[str, Detail] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
