"""Labels files with a CRS: their buildings are brought to the pixels of a grid."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import shapely

from rsccli.errors import InputError, NoOverlapError
from rsccli.geo.footprint import grid_footprint
from rsccli.geo.geometry import F64, WGS84, AffineGeometry, parse_crs, transform, wrap_lon
from rsccli.geo.identity import local_path
from rsccli.models.outlines import Level
from rsccli.run.labels.buildings import Buildings, Shapes, levels_of, on_image, only_polygons, with_polygon
from rsccli.run.labels.table import no_polygon, read_table
from rsccli.run.labels.tile_labels import Labels, Rule
from rsccli.types import Grid

# The words of xBD's label files, and those that its captions were asked for with.
_DISASTERS: Mapping[str, str] = MappingProxyType({"volcano": "volcano eruption", "fire": "wildfire", "wind": "storm"})


def read_labels(path: str, grid: Grid, *, field: str | None = None, rule: Rule = "centroid") -> Labels:
    """Read a labels file and bring its buildings to the pixels of a grid.

    Args:
        path: a local file: GeoJSON, GeoPackage, Shapefile, ...; or JSON of xBD with ``features.lng_lat``.
        grid: of the images. field: column of the levels; the default is the first of `table.FIELDS` that there is.
        rule: ``centroid`` (a building counts once) or ``touch`` (in every tile that it shares area with).

    Raises:
        InputError: unreadable, no such column, no polygon. CrsError: no CRS, or none of the Earth.
        NoOverlapError: none of it lies on the grid.
    """
    local = local_path(path)
    if local is None:
        raise InputError(f"{path}: labels are read from a local file: download or unpack it first")
    path = local
    digest = _digest(path)
    table = read_table(path, field)
    shapes, kept, notes = with_polygon(table.shapes)
    if not kept.any():
        raise InputError(no_polygon(path, len(kept)))
    levels, unknown = levels_of(table.values[kept])
    disaster, several = _disaster(table.disasters[kept])
    buildings = _place(shapes, levels, table.crs, grid)
    if not buildings.levels:
        raise NoOverlapError(_no_overlap(path, table.crs, shapes, grid))
    return Labels(
        name=Path(path).name,
        digest=digest,
        column=table.column,
        rule=rule,
        disaster=disaster,
        warnings=tuple(f"{path}: {note}" for note in (*table.notes, *notes, *unknown, *several)),
        size_px=(grid.width, grid.height),
        buildings=buildings,
    )


def _digest(path: str) -> str:
    """sha256 of a file with what belongs to it: the other files of a Shapefile, all files of a folder."""
    main = Path(path)
    try:
        if main.is_dir():
            files = sorted(each for each in main.rglob("*") if each.is_file())
        elif main.suffix.lower() == ".shp":
            belongs = (".shp", ".dbf", ".shx", ".prj", ".cpg")
            files = sorted(f for f in main.parent.iterdir() if f.stem == main.stem and f.suffix.lower() in belongs)
        else:
            files = [main]
        digest = hashlib.sha256()
        for each in files:
            with each.open("rb") as opened:
                while block := opened.read(1 << 20):
                    digest.update(block)
    except OSError as error:
        raise InputError(f"{path}: the labels cannot be read: {error.strerror or error}") from error
    return digest.hexdigest()


def _disaster(values: Shapes) -> tuple[str | None, tuple[str, ...]]:
    """The type that most buildings name, in the words of RSCC, and a warning where there are several."""
    named = Counter(" ".join(str(v).split()) for v in values if isinstance(v, str) and v.strip())
    if not named:
        return None, ()
    first = min(named, key=lambda name: (-named[name], name))
    told = _DISASTERS.get(first.casefold(), first)
    if len(named) == 1:
        return told, ()
    return told, (f"it names several disasters ({', '.join(sorted(named)[:5])}): the prompt says {told}",)


def _place(shapes: Shapes, levels: Sequence[Level], crs: str, grid: Grid) -> Buildings:
    """Buildings with a part or their centroid on the grid; none where its CRS has no place for them."""
    map_points, owners = shapely.get_coordinates(shapes, return_index=True)
    px_points = _to_px(map_points, crs, grid)
    lost = np.bincount(owners, ~np.isfinite(px_points).all(axis=1), len(shapes)) > 0
    rows = np.flatnonzero(~lost)
    px_shapes = shapely.set_coordinates(shapes[rows], px_points[~lost[owners]])
    if parse_crs(grid.crs).is_geographic:
        # On the far side of the Earth an outline may be torn apart: half of it left, half of it right of the grid.
        left, _, right, _ = shapely.bounds(px_shapes).T
        whole = (right - left) * grid.transform.a < 180
        rows, px_shapes = rows[whole], px_shapes[whole]
    return on_image(only_polygons(px_shapes), [levels[row] for row in rows.tolist()], (grid.width, grid.height))


def _to_px(points: F64, crs: str, grid: Grid) -> F64:
    """Map coordinates (N, 2) to pixels of the grid. The edges of a building are too short to bend on the way."""
    xs, ys = transform(crs, grid.crs, points[:, 0], points[:, 1])
    if parse_crs(grid.crs).is_geographic:
        bounds = grid.map_bounds
        xs = wrap_lon(xs, (bounds.left + bounds.right) / 2)
    with np.errstate(invalid="ignore"):
        return np.stack(AffineGeometry(grid.transform).to_px(xs, ys), axis=1)


def _no_overlap(path: str, crs: str, shapes: Shapes, grid: Grid) -> str:
    left, bottom, right, top = shapely.total_bounds(shapes)
    west, south, east, north = grid_footprint(grid).bbox
    images = f"lon {west:.5f} to {east:.5f}, lat {south:.5f} to {north:.5f}"
    if parse_crs(crs).is_geographic and (max(abs(left), abs(right)) > 360 or max(abs(bottom), abs(top)) > 90):
        return (
            f"{path}: its coordinates (x {left:g} to {right:g}, y {bottom:g} to {top:g}) are no degrees, but its CRS "
            "says so: if they are pixels, give a georeferenced file; else name the CRS that they are in, for example: "
            f"ogr2ogr -a_srs EPSG:32633 placed.gpkg {Path(path).name}"
        )
    xs, ys = transform(crs, WGS84, np.array([left, right]), np.array([bottom, top]))
    return (
        f"{path}: none of its buildings lies on the images:\n"
        f"  labels lon {xs[0]:.5f} to {xs[1]:.5f}, lat {ys[0]:.5f} to {ys[1]:.5f}\n  images {images}\n"
        "Check that they are of the same place, and that the CRS of the labels is right"
    )
