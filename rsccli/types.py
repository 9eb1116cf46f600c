"""The frozen values that pass between layers.

Variables say their space: ``px_`` (pixels of the grid, column right, row down), ``map_`` (units of the
grid's CRS), ``lonlat_`` (degrees, WGS 84). Bounds are (left, bottom, right, top). Arrays are (band, row,
column) with a mask. Nothing here imports a raster or model library.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from affine import Affine

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
Bool = npt.NDArray[np.bool_]

CaptionStatus = Literal["changed", "unchanged", "unsure"]
Status = Literal["changed", "unchanged", "unsure", "skipped", "nodata", "read_error", "model_error"]
STATUSES: tuple[Status, ...] = (
    "changed",
    "unchanged",
    "unsure",
    "skipped",
    "nodata",
    "read_error",
    "model_error",
)
FAILED: frozenset[str] = frozenset({"read_error", "model_error"})


class PxWindow(NamedTuple):
    """A rectangle of whole pixels; may reach beyond its grid where a tile is padded."""

    col: int
    row: int
    width: int
    height: int


class MapBounds(NamedTuple):
    """Bounds in units of the grid's CRS."""

    left: float
    bottom: float
    right: float
    top: float


@dataclass(frozen=True)
class Grid:
    """The one pixel grid that both dates are brought to: always north-up, pixels may be anisotropic.

    Attributes:
        crs: ``AUTHORITY:CODE`` where there is one, else WKT2.
        transform: pixel corner to map coordinates; ``a > 0``, ``e < 0``, ``b == d == 0``.
        width: columns. height: rows.
    """

    crs: str
    transform: Affine
    width: int
    height: int

    @property
    def map_bounds(self) -> MapBounds:
        """Outer bounds of the grid."""
        return self.window_bounds(PxWindow(0, 0, self.width, self.height))

    def window_bounds(self, window: PxWindow) -> MapBounds:
        """Map bounds of a pixel window (which may reach beyond the grid)."""
        left, top = self.transform @ (window.col, window.row)
        right, bottom = self.transform @ (window.col + window.width, window.row + window.height)
        return MapBounds(left, bottom, right, top)


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile of the plan.

    Attributes:
        id: ``r00012c00034`` from row and column: sorts in reading order.
        row: tile row from the top of the grid. col: tile column from its left.
        px_window: pixels in the grid. map_bounds: the same in map units.
    """

    id: str
    row: int
    col: int
    px_window: PxWindow
    map_bounds: MapBounds


@dataclass(frozen=True, slots=True)
class Outline:
    """One closed ring on a tile.

    Attributes:
        points: (x, y) in pixels of the tile, corner based, the first one not repeated at the end.
        level: of xBD's damage scale, or ``changed``; see `rsccli.models.outlines.COLOURS`.
    """

    points: tuple[tuple[float, float], ...]
    level: str


@dataclass(frozen=True, slots=True)
class TileContext:
    """What is known of a tile beside its pixels, for models that are asked in words. None: nobody knows.

    Attributes:
        counts: of buildings or changed areas, words without a full stop. outlines: of the same.
        source: where both come from, e.g. ``labels: damage.geojson (centroid)`` or ``mask of rsccli-small``.
        disaster: type, e.g. ``wildfire``. pre_date, post_date: ISO 8601. place: name or coordinates.
    """

    counts: str | None = None
    outlines: tuple[Outline, ...] = ()
    source: str | None = None
    disaster: str | None = None
    pre_date: str | None = None
    post_date: str | None = None
    place: str | None = None


@dataclass(frozen=True, slots=True)
class TilePair:
    """Aligned pixels of one tile at both dates.

    Attributes:
        tile: which tile.
        pre: uint8 (3, H, W), red, green, blue (or what ``--bands`` names); 0 where not valid.
        post: the same, on the same grid.
        valid: bool (H, W): both dates have data there.
        gsd_m: ground sampling distance, metres per pixel (geometric mean of both axes).
        context: for models that are asked in words, or None.
    """

    tile: Tile
    pre: U8
    post: U8
    valid: Bool
    gsd_m: float
    context: TileContext | None = None


@dataclass(frozen=True, slots=True)
class Caption:
    """What a captioner says of one tile pair.

    Attributes:
        text: one sentence or a few.
        status: what the captioner answers.
        change_score: calibrated probability of change, 0-1, or None where the model has none.
        logprob: mean token log-probability of ``text`` (<= 0), or None.
        keywords: names of what changed, strongest first.
        mask: bool (H, W), changed pixels at the tile's own size, or None where the model has none.
        reason: why the answer is ``unsure``, in a few words, or None.
    """

    text: str
    status: CaptionStatus
    change_score: float | None = None
    logprob: float | None = None
    keywords: tuple[str, ...] = ()
    mask: Bool | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Detection:
    """What a detector says of every pixel of one tile pair.

    Attributes:
        probability: float32 (H, W), 0-1, that the pixel changed, at the tile's own size.
        classes: float32 (K, H, W), 0-1, sum 1 over K: what kind of thing changed if the pixel did, in the order of the
            detector's ``class_names``; or None where it tells no kinds.
        reason: why the detector should not judge this tile, in a few words; else None. The numbers are there anyway.
    """

    probability: F32
    classes: F32 | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class TileRecord:
    """The result of one tile: a journal line, and all that a feature needs beside its footprint.

    Attributes:
        reason: why a tile is skipped, unsure or failed, and warnings of its reading; else None.
        changed_area_m2: area of the mask on the ellipsoid, or None where there is no mask.
        changed_fraction: changed share of the valid pixels, 0-1.
        valid_fraction: share of the tile's pixels (padding included) that both dates cover, 0-1.
        mask: codes of the tile's pixels (see `rsccli.run.detect.packed`), where a run writes a mask; else None.
    """

    tile_id: str
    row: int
    col: int
    status: Status
    valid_fraction: float
    caption: str | None = None
    change_score: float | None = None
    logprob: float | None = None
    keywords: tuple[str, ...] = ()
    changed_area_m2: float | None = None
    changed_fraction: float | None = None
    reason: str | None = None
    mask: str | None = None

    @property
    def change(self) -> bool | None:
        """True, False, or None where nobody can say."""
        return {"changed": True, "unchanged": False}.get(self.status)


@dataclass(frozen=True)
class InputFacts:
    """One input as a person should see it in a report.

    Attributes:
        path: as the user typed it. name: the last part of it.
        datetime: acquisition, ISO 8601, from tags or the file name; None where unknown.
        size_px: (width, height). bands: 1-based band numbers used as red, green, blue.
        gsd_m: ground sampling distance in metres at the middle of the image.
        lut: how values became 8 bit, e.g. ``identity`` or ``linear 212..1830 per band``.
        identity: what tells this file from another (size, mtime, ... or ETag), for resuming.
    """

    path: str
    name: str
    datetime: str | None
    crs: str
    size_px: tuple[int, int]
    dtype: str
    bands: tuple[int, ...]
    gsd_m: float
    lut: str
    identity: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Registration:
    """Shift of post against pre, measured in windows over the overlap, pixels of the grid.

    Attributes:
        dx_px: positive: post's content lies to the right (east) of pre's. dy_px: positive: below (south).
        mad_px: median absolute deviation over the windows. response: median correlation
            coefficient of the windows after the shift is taken out, 0-1.
        windows: how many windows were usable.
        trusted: whether the measurement is good enough to correct with.
        applied: whether ``--coregister`` corrected it.
        reason: why it is not trusted, or None.
    """

    dx_px: float | None
    dy_px: float | None
    mad_px: float | None
    response: float | None
    windows: int
    trusted: bool
    applied: bool = False
    reason: str | None = None

    @property
    def shift_px(self) -> float | None:
        """Length of the measured shift."""
        if self.dx_px is None or self.dy_px is None:
            return None
        return float(np.hypot(self.dx_px, self.dy_px))


@dataclass(frozen=True)
class RunFacts:
    """The facts of one run: they stand once, under the collection's foreign member ``rsccli``, and in reports.

    Attributes:
        grid: the common grid. gsd_m: metres per pixel at its middle.
        tiles: number of tiles in the plan; each of them is a feature.
        stride: pixels from one tile to the next.
        radiometry: one sentence on how post was brought to pre's values.
        limits: what the model says that it cannot do. warnings: of the inputs and the pair.
        spec_hash: hash of everything that decides the result.
    """

    version: str
    pre: InputFacts
    post: InputFacts
    grid: Grid
    gsd_m: float
    tile_size: int
    stride: int
    edge: str
    tiles: int
    registration: Registration
    radiometry: str
    model: str
    model_revision: str
    spec_hash: str
    limits: tuple[str, ...] = ()
    warnings: tuple[str, ...] = field(default=())
