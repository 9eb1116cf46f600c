"""A look at both dates before the run: windows at full resolution, spread over what both images cover.

From them come the lookup tables (radiometry), the measured shift (registration) and a warning of fill that no
tag declares. The windows are chosen by the plan alone, so the same inputs always give the same tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from rsccli.errors import RasterReadError
from rsccli.geo.engine import PairAligner
from rsccli.geo.radiometry import Radiometry, RadiometryMode, fit_radiometry
from rsccli.geo.raster import RasterInfo
from rsccli.geo.reader import NATIVE, RasterReader
from rsccli.geo.registration import measure_shift
from rsccli.geo.tiles import plan_tiles
from rsccli.types import Bool, Grid, PxWindow, Registration

#: Windows that are wanted, and how many candidates are decoded or looked at to find them.
WINDOWS, MAX_DECODED, MAX_CONSIDERED = 24, 72, 6000
#: Sides that are tried, largest first: small windows find data in sparse mosaics and small images.
SIDES = (512, 256, 128, 64)
MIN_VALID = 0.7


@dataclass(frozen=True)
class Survey:
    """What was measured before the run; it decides pixel values and is part of the run's spec."""

    radiometry: Radiometry
    registration: Registration
    windows: int
    window_px: int
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Sample:
    pre: npt.NDArray[Any]
    post: npt.NDArray[Any]
    valid: Bool


def survey_pair(
    grid: Grid, pre: RasterInfo, post: RasterInfo, mode: RadiometryMode = "auto", allow_no_data: bool = True
) -> Survey:
    """Read up to 24 windows of both dates and measure them.

    Damaged windows are passed over: the run marks their tiles. Where no window has data at both dates the tables
    are fitted on nothing but zeros, and a warning says so.
    """
    side, samples = _collect(grid, pre, post)
    warnings = [*fill_warnings(pre, "pre"), *fill_warnings(post, "post")]
    if not samples:
        warnings.append("no window with data at both dates was found: brightness and shift could not be measured")
        bands = [1 if len(i.bands) == 1 and not i.palette else 3 for i in (pre, post)]
        blank = [np.zeros((b, 8, 8), _native(i)) for b, i in zip(bands, (pre, post), strict=True)]
        bands_seen = max(bands)
        blank = [np.broadcast_to(b, (bands_seen, 8, 8)) for b in blank]
        samples = [_Sample(blank[0], blank[1], np.ones((8, 8), bool))]
    bands_seen = max(max(s.pre.shape[0], s.post.shape[0]) for s in samples)
    values = [[np.broadcast_to(v, (bands_seen, *v.shape[1:])) for v in (s.pre, s.post)] for s in samples]
    registration = measure_shift((_grey(s.pre), _grey(s.post), s.valid) for s in samples)
    shift = (0, 0)
    if registration.trusted and registration.dx_px is not None and registration.dy_px is not None:
        shift = (round(registration.dx_px), round(registration.dy_px))
    radiometry = fit_radiometry([v[0] for v in values], [v[1] for v in values], [s.valid for s in samples], mode, shift)
    return Survey(radiometry, registration, len(samples), side, (*warnings, *radiometry.warnings))


def _native(info: RasterInfo) -> str:
    return "uint8" if info.palette else info.dtype if info.dtype in NATIVE else "float32"


def _grey(values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    grey: npt.NDArray[np.float32] = values.mean(axis=0, dtype=np.float32)
    return grey


def _collect(grid: Grid, pre: RasterInfo, post: RasterInfo) -> tuple[int, list[_Sample]]:
    """The largest windows of which at least eight have data; else the most that any size gave."""
    best: tuple[int, list[_Sample]] = (0, [])
    with PairAligner(grid, pre, post, luts=None) as aligner:
        for side in SIDES:
            if side > min(grid.width, grid.height) and side != SIDES[-1]:
                continue
            found = _windows(aligner, grid, side)
            if len(found) > len(best[1]):
                best = (side, found)
            if len(best[1]) >= 8:
                break
    return best


def _windows(aligner: PairAligner, grid: Grid, side: int) -> list[_Sample]:
    # Half-overlapping windows where the image is small, so that there are enough of them.
    crowded = (grid.width // side) * (grid.height // side) < WINDOWS
    side = min(side, grid.width, grid.height) if min(grid.width, grid.height) >= 32 else max(side, 32)
    fits = min(grid.width, grid.height) >= side
    plan = plan_tiles(grid, side, stride=side // 2 if crowded else side, edge="drop" if fits else "pad")
    order = np.random.default_rng(0).permutation(plan.rows * plan.cols)[:MAX_CONSIDERED]
    tiles = [plan.tile(*divmod(int(index), plan.cols)) for index in order]
    # A few at a time: dense images need only the first ones, sparse ones thousands.
    candidates = chain.from_iterable(aligner.may_hold(tiles[i : i + 64]) for i in range(0, len(tiles), 64))
    found: list[_Sample] = []
    decoded = 0
    for tile in candidates:
        decoded += 1
        try:
            ((_, pre, post, valid),) = aligner.sample((tile,))
        except RasterReadError:
            continue
        if pre is not None and post is not None and valid.mean() >= MIN_VALID:
            found.append(_Sample(pre, post, valid))
        if len(found) == WINDOWS or decoded == MAX_DECODED:
            break
    return found


def fill_warnings(info: RasterInfo, which: str) -> list[str]:
    """Look for one constant value along the border that no nodata tag, mask or option declares."""
    if info.nodata is not None or info.mask != "none":
        return []
    side = 64
    right, bottom = max(0, info.width - side), max(0, info.height - side)
    places = [
        (c, r) for c in (0, right // 2, right) for r in (0, bottom // 2, bottom) if (c, r) != (right // 2, bottom // 2)
    ]
    constant: dict[float, int] = {}
    with RasterReader(info) as reader:
        for col, row in dict.fromkeys(places):
            try:
                source = reader.read(PxWindow(col, row, side, side))
            except RasterReadError:
                continue
            if source is None or source.valid is not None:
                continue
            first = source.values[:, :1, :1]
            if (source.values == first).all() and len(set(first.ravel().tolist())) == 1:
                value = float(first.ravel()[0])
                constant[value] = constant.get(value, 0) + 1
    return [
        f"{which}: {count} of {len(places)} places along the border hold nothing but {value:g}, and no nodata value is "
        f"declared: if that is fill, say --nodata {value:g}"
        for value, count in constant.items()
        if value in (0.0, 255.0, 65535.0, -9999.0, -32768.0, 32767.0, 1.0)
    ]
