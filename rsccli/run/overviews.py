"""Both dates of a run as one picture each in Web Mercator, at a budgeted size, for the map of a report.

The pixels come through the same reader as those of the tiles: own masks, lookup tables, decimation by area, blocks of
sparse files that were never written passed over. Nothing larger than a few megapixels is decoded at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from collections.abc import Mapping as MappingType

import numpy as np
from affine import Affine

from rsccli.errors import InputError
from rsccli.geo.engine import SourceAligner
from rsccli.geo.geometry import WGS84, transform
from rsccli.geo.grid import Mapping
from rsccli.geo.identity import is_remote
from rsccli.geo.lut import Lut
from rsccli.geo.mercator import centre_longitude, mercator_grid, mercator_pixel_m, to_mercator
from rsccli.geo.raster import RasterInfo
from rsccli.output.report.pictures import Detail, Overview
from rsccli.run.opened import RunInputs
from rsccli.types import U8, Bool, Grid, PxWindow, Tile

#: Pixels of one overview: two of them are 8 MB of a page at most, and light enough for a phone's memory.
MAX_PX = 4 * 2**20
#: Side of a tile's own picture; and how much coarser than the grid the overviews may be before tiles get one.
DETAIL_PX, SHARP_ENOUGH = 384, 1.5
#: Source pixels that are decoded at once: few, since holes of sparse files are passed over part by part; more of
#: files in strips, which are decoded in whole strips however small the part.
_AT_ONCE_PX, _AT_ONCE_STRIPED_PX = 2**19, 2**21
#: Remote pixels that are fetched for one overview; more would fetch a large image a second time.
MAX_REMOTE_PX = 64 * 2**20


def read_overviews(
    grid: Grid, inputs: RunInputs, max_px: int = MAX_PX
) -> tuple[Overview | None, Overview | None, tuple[str, ...]]:
    """Overviews of both dates over the run's grid, and notes for the reader.

    Call it within GDAL's settings. A date that cannot be shown is None; a note says why.

    Args:
        max_px: pixels of one overview at most.
    """
    target = mercator_grid(grid, max_px)
    if target is None:
        return None, None, ("The map has no images: its projection, Web Mercator, has no place for this area.",)
    shift_px = _shift_on(target, grid, inputs.shift_px)
    found: list[Overview | None] = []
    notes: list[str] = []
    for which, info, lut, shift in (
        ("before", inputs.pre, inputs.radiometry.pre, (0.0, 0.0)),
        ("after", inputs.post, inputs.radiometry.post, shift_px),
    ):
        overview, note = _overview(Mapping(target, info, shift), lut, which)
        found.append(overview)
        notes += [note] if note else []
    return found[0], found[1], tuple(notes)


def read_details(grid: Grid, inputs: RunInputs, tiles: Iterable[Tile]) -> MappingType[str, Detail]:
    """Tiles as sharp as the grid itself, in Web Mercator; nothing where the overviews are as sharp.

    Call it within GDAL's settings. What cannot be read is left out.
    """
    whole = mercator_grid(grid, MAX_PX)
    if whole is None or whole.transform.a < SHARP_ENOUGH * mercator_pixel_m(grid):
        return {}
    found = {}
    for tile in tiles:
        part = _on_grid(grid, tile.px_window)
        target = mercator_grid(part, DETAIL_PX**2)
        if target is None:
            continue
        shift_px = _shift_on(target, part, inputs.shift_px)
        pre, _ = _overview(Mapping(target, inputs.pre), inputs.radiometry.pre, "before")
        post, _ = _overview(Mapping(target, inputs.post, shift_px), inputs.radiometry.post, "after")
        if pre is not None or post is not None:
            found[tile.id] = Detail(pre, post)
    return found


def _on_grid(grid: Grid, window: PxWindow) -> Grid:
    """The part of the grid under a window, as a grid of its own."""
    left, top = max(0, window.col), max(0, window.row)
    right, bottom = min(grid.width, window.col + window.width), min(grid.height, window.row + window.height)
    return Grid(grid.crs, grid.transform @ Affine.translation(left, top), right - left, bottom - top)


def _shift_on(target: Grid, grid: Grid, shift_px: tuple[float, float]) -> tuple[float, float]:
    """A shift in pixels of the run's grid as pixels of the overview, at the middle of the grid."""
    if shift_px == (0.0, 0.0):
        return shift_px
    x, y = grid.transform @ (grid.width / 2, grid.height / 2)
    xs = np.array([x, x + shift_px[0] * grid.transform.a])
    ys = np.array([y, y + shift_px[1] * grid.transform.e])
    lon, lat = transform(grid.crs, WGS84, xs, ys)
    lon = lon - 360 * np.round((lon - centre_longitude(grid)) / 360)
    mx, my = to_mercator(lon, lat)
    return float((mx[1] - mx[0]) / target.transform.a), float((my[1] - my[0]) / target.transform.e)


def _overview(mapping: Mapping, lut: Lut, which: str) -> tuple[Overview | None, str | None]:
    info, target = mapping.source, mapping.grid
    if is_remote(info.path) and _fetched_px(mapping) > MAX_REMOTE_PX:
        return None, (
            f"The image {which} is not shown on the map: it is remote and has no overviews, and would have to be "
            "fetched whole once more. Give it overviews (gdaladdo), or make the report from a local copy."
        )
    pixels = np.zeros((4, target.height, target.width), np.uint8)
    aligner = SourceAligner(mapping, lut)
    lost = 0
    try:
        for row in _rows(mapping):
            nodes = aligner.nodes(row)
            # Strips are as wide as the image: a whole row of parts is decoded once. Blocks need only their own part.
            groups = [list(range(len(row)))] if info.striped else [[index] for index in range(len(row))]
            for group in groups:
                try:
                    source = aligner.fetch(nodes[group])
                except InputError:
                    lost += len(group)
                    continue
                for index in group:
                    values, valid = aligner.cut(source, nodes[index], row[index].px_window.width)
                    if values is not None:
                        _put(pixels, row[index], values, valid)
    finally:
        aligner.close()
    if not pixels[3].any():
        return None, f"The image {which} is not shown on the map: none of its pixels could be read."
    note = f"Parts of the image {which} could not be read; the map is empty there." if lost else None
    return Overview(pixels, target.map_bounds), note


def _put(pixels: U8, part: Tile, values: U8, valid: Bool) -> None:
    """Write one part where it lies; what reaches beyond the overview is cut off."""
    left, top, side, _ = part.px_window
    high, wide = min(side, pixels.shape[1] - top), min(side, pixels.shape[2] - left)
    seen = valid[:high, :wide]
    # One band stands for all three.
    pixels[:3, top : top + high, left : left + wide] = np.where(seen, values[:, :high, :wide], 0)
    pixels[3, top : top + high, left : left + wide] = np.where(seen, 255, 0)


def _rows(mapping: Mapping) -> list[list[Tile]]:
    """Rows of square parts of the overview, each small enough to be decoded at once."""
    target = mapping.grid
    side = _side(mapping)
    return [
        [_part(target, row, col, side) for col in range(math.ceil(target.width / side))]
        for row in range(math.ceil(target.height / side))
    ]


def _part(target: Grid, row: int, col: int, side: int) -> Tile:
    window = PxWindow(col * side, row * side, side, side)
    return Tile(f"{row}/{col}", row, col, window, target.window_bounds(window))


def _side(mapping: Mapping) -> int:
    info, target = mapping.source, mapping.grid
    step = max(1.0, *mapping.scale()) / _reduced(info, max(mapping.scale()))
    if info.striped:
        return max(8, min(256, int(_AT_ONCE_STRIPED_PX / (target.width * step) / step)))
    return max(32, min(512, int(math.sqrt(_AT_ONCE_PX) / step)))


def _fetched_px(mapping: Mapping) -> float:
    """Source pixels, at the overview that is read, under the whole picture."""
    step = max(1.0, *mapping.scale()) / _reduced(mapping.source, max(mapping.scale()))
    return mapping.grid.width * mapping.grid.height * step**2


def _reduced(info: RasterInfo, scale: float) -> int:
    """Factor of the file's own overview that the reader will take."""
    return max((factor for factor in info.overviews if factor <= scale + 0.5), default=1)
