"""Damage labels of buildings: how many of each level a tile holds, and where their outlines run.

Any vector file that pyogrio reads with one polygon per building and a column that names its level, or a label file of
xBD (Gupta et al. 2019) itself. A building is counted in the tile that holds its centroid, or, as RSCC does, in every
tile that it touches.
"""

from __future__ import annotations

import hashlib
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import shapely

from rsccli.errors import CrsError, InputError, NoOverlapError
from rsccli.geo.footprint import grid_footprint
from rsccli.geo.geometry import F64, WGS84, AffineGeometry, parse_crs, transform, wrap_lon
from rsccli.geo.identity import local_path
from rsccli.models.outlines import LEVELS, Level
from rsccli.types import Grid, Outline, Tile

Rule = Literal["centroid", "touch"]
#: Columns that are looked for where nobody names one.
FIELDS: tuple[str, ...] = ("subtype", "damage")
DISASTER_FIELD = "disaster_type"
#: Square pixels of a building in a tile; less is the rounding error of an edge that both have in common.
LEAST_SHARED_PX2 = 1e-3

_UNCLASSIFIED: Level = "un-classified"
_WORDS: dict[str, Level] = {
    **{level: level for level in LEVELS},
    "minor": "minor-damage",
    "major": "major-damage",
    "unclassified": _UNCLASSIFIED,
}
# The words of xBD's label files, and those that its captions were asked for with.
_DISASTERS: Mapping[str, str] = MappingProxyType({"volcano": "volcano eruption", "fire": "wildfire", "wind": "storm"})

Shapes = npt.NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class TileLabels:
    """The labels of one tile.

    Attributes:
        counts: buildings of each of `LEVELS`, zeros included.
        outlines: of every building that touches the tile, cut at its edges, in pixels of the tile; courtyards, too.
        source: file and rule, as results name it. disaster: see `Labels`.
    """

    counts: Mapping[str, int]
    outlines: tuple[Outline, ...]
    source: str
    disaster: str | None = None


class _Buildings(NamedTuple):
    """Buildings on a grid, in its pixels: (Multi)Polygons (N,), levels, centroids (N, 2), and an index of both."""

    shapes: Shapes
    levels: tuple[Level, ...]
    centroids: F64
    shape_tree: shapely.STRtree
    centroid_tree: shapely.STRtree


@dataclass(frozen=True, eq=False)
class Labels:
    """The buildings of a labels file that lie on a grid.

    Attributes:
        name: of the file, without its folder. digest: sha256 of its bytes, hexadecimal.
        column: holds the levels. rule: where a building is counted.
        disaster: type that the file names, or None. warnings: what was left out or guessed.
        size_px: width and height of the grid.
    """

    name: str
    digest: str
    column: str
    rule: Rule
    disaster: str | None
    warnings: tuple[str, ...]
    size_px: tuple[int, int]
    _buildings: _Buildings = field(repr=False)

    def __len__(self) -> int:
        return len(self._buildings.levels)

    @property
    def source(self) -> str:
        """What results say of where counts come from."""
        return f"labels: {self.name} ({self.rule})"

    @property
    def identity(self) -> str:
        """All of it that decides a result: for the spec of a run."""
        return f"sha256={self.digest} column={self.column} rule={self.rule}"

    def of(self, tile: Tile) -> TileLabels:
        """Counts and outlines of one tile; where it reaches beyond the grid there are none.

        Of the edges of a tile only the left and the upper one belong to it: without overlap each centroid lies in
        one tile. Tiles that overlap each count what they hold.
        """
        col, row, width, height = tile.px_window
        left, top = max(col, 0), max(row, 0)
        right, bottom = min(col + width, self.size_px[0]), min(row + height, self.size_px[1])
        window = shapely.box(left, top, right, bottom)
        buildings = self._buildings
        near = np.sort(buildings.shape_tree.query(window, predicate="intersects"))
        parts = shapely.intersection(buildings.shapes[near], window)
        # What shares no more than an edge with the tile has no pixel in it.
        inside = shapely.area(parts) > LEAST_SHARED_PX2
        touching, parts = near[inside], parts[inside]
        counted = touching
        if self.rule == "centroid":
            counted = buildings.centroid_tree.query(window, predicate="intersects")
            xs, ys = buildings.centroids[counted].T
            counted = counted[(xs < right) & (ys < bottom)]
        counts: dict[str, int] = dict.fromkeys(LEVELS, 0)
        for index in counted:
            counts[buildings.levels[index]] += 1
        outlines = tuple(
            Outline(ring, buildings.levels[index])
            for index, part in zip(touching, parts, strict=True)
            for ring in _rings(part, (col, row), (width, height))
        )
        return TileLabels(MappingProxyType(counts), outlines, self.source, self.disaster)


def read_labels(path: str, grid: Grid, *, field: str | None = None, rule: Rule = "centroid") -> Labels:
    """Read a labels file and bring its buildings to the pixels of a grid.

    Args:
        path: a local file: GeoJSON, GeoPackage, Shapefile, ...; or JSON of xBD with ``features.lng_lat``.
        grid: of the images. field: column of the levels; the default is the first of `FIELDS` that there is.
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
    table = _read_xbd(path, field) or _read_ogr(path, field)
    shapes, kept, notes = _polygonal(path, table.shapes)
    levels, unknown = _levels(table.values[kept])
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
        _buildings=buildings,
    )


class _Table(NamedTuple):
    """What a file holds: geometries (or None), levels and disaster types as they stand there, one per feature."""

    crs: str
    shapes: Shapes
    column: str
    values: Shapes
    disasters: Shapes
    notes: tuple[str, ...] = ()


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


def _read_xbd(path: str, field: str | None) -> _Table | None:
    """A label file of xBD, or None where it is something else."""
    import orjson

    if Path(path).suffix.lower() != ".json":
        return None
    try:
        data = orjson.loads(Path(path).read_bytes())
    except (OSError, ValueError):
        return None  # GDAL knows other files that are called .json
    features = data.get("features") if isinstance(data, dict) else None
    if not isinstance(features, dict):
        return None
    buildings = features.get("lng_lat")
    if not isinstance(buildings, list):
        raise InputError(
            f"{path}: a label file of xBD without features.lng_lat: pixels alone do not say where the buildings lie; "
            "take xBD's original label file, or a georeferenced one such as GeoJSON"
        )
    if not buildings:
        raise InputError(_no_polygon(path, 0))
    rows = [each if isinstance(each, dict) else {} for each in buildings]
    properties = [_member(row, "properties") for row in rows]
    there = sorted({name for each in properties for name in each})
    column = _column(path, field, there, "properties of features, which tell no damage before the disaster")
    metadata = _member(data, "metadata")
    return _Table(
        crs=WGS84,
        shapes=np.asarray(shapely.from_wkt([_text(row.get("wkt")) for row in rows], on_invalid="ignore"), object),
        column=column,
        values=_objects([each.get(column) for each in properties]),
        disasters=_objects([each.get(DISASTER_FIELD, metadata.get(DISASTER_FIELD)) for each in properties]),
    )


def _member(row: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = row.get(name)
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _read_ogr(path: str, field: str | None) -> _Table:
    import pyogrio
    from pyogrio.errors import DataLayerError, DataSourceError

    try:
        with warnings.catch_warnings():
            # What pyogrio warns of (odd members of GeoJSON, say) does not change where a building lies.
            warnings.simplefilter("ignore")
            # Layers of points, or without geometry such as the styles of QGIS, are not meant.
            kinds = [(str(name), str(kind)) for name, kind in pyogrio.list_layers(path) if kind is not None]
            layers = [name for name, kind in kinds if "Point" not in kind and "LineString" not in kind]
            if not layers:
                raise InputError(_no_polygon(path, None))
            infos = {name: pyogrio.read_info(path, layer=name) for name in layers}
            if all(info["features"] == 0 for info in infos.values()):
                raise InputError(_no_polygon(path, 0))
            columns = {name: [str(column) for column in info["fields"]] for name, info in infos.items()}
            layer = next((name for name in layers if _find(field, columns[name])), layers[0])
            column = _column(path, field, columns[layer], f"columns of the layer {layer}")
            disaster = _find(DISASTER_FIELD, columns[layer])
            wanted = [column, *([disaster] if disaster and disaster != column else [])]
            meta, _, wkb, data = pyogrio.raw.read(path, layer=layer, columns=wanted, force_2d=True)
    except (DataSourceError, DataLayerError, OSError, ValueError) as error:
        raise InputError(f"{path}: the labels cannot be read: {error}") from error
    by_name = dict(zip((str(name) for name in meta["fields"]), data, strict=True))
    values = _objects(by_name[column])
    notes = () if len(layers) == 1 else (f"of its {len(layers)} layers only {layer!r} was read",)
    return _Table(
        crs=_crs(path, meta["crs"]),
        shapes=np.asarray(shapely.from_wkb(wkb, on_invalid="ignore"), object),
        column=column,
        values=values,
        disasters=_objects(by_name[disaster]) if disaster else _objects([None] * len(values)),
        notes=notes,
    )


def _objects(values: Sequence[object] | npt.NDArray[Any]) -> Shapes:
    out = np.empty(len(values), object)
    out[:] = list(values)
    return out


def _crs(path: str, crs: str | None) -> str:
    way_out = "assign the right one, for example: ogr2ogr -a_srs EPSG:32633 placed.gpkg " + Path(path).name
    if not crs:
        raise CrsError(f"{path}: it has no CRS, so nobody knows where its buildings lie: {way_out}")
    try:
        parse_crs(crs)
    except CrsError as error:
        raise CrsError(f"{path}: its CRS has no place on the Earth ({crs[:60]}): {way_out}") from error
    return crs


def _find(wanted: str | None, columns: Sequence[str]) -> str | None:
    """A column by its name or by one of `FIELDS`; upper and lower case are the same unless both are there."""
    for name in FIELDS if wanted is None else (wanted,):
        for column in (*(c for c in columns if c == name), *(c for c in columns if c.casefold() == name.casefold())):
            return column
    return None


def _column(path: str, wanted: str | None, columns: Sequence[str], where: str) -> str:
    column = _find(wanted, columns)
    if column is None:
        raise InputError(
            f"{path}: no column {' or '.join(FIELDS) if wanted is None else wanted} among the {where}: there is "
            f"{', '.join(columns[:12]) or 'none'}. Name the one that holds {', '.join(LEVELS)} with --labels-field"
        )
    return column


def _no_polygon(path: str, features: int | None) -> str:
    among = "in it" if features is None else f"among its {features} features"
    return f"{path}: no polygon {among}: labels are outlines of buildings, drawn as polygons"


def _polygonal(path: str, given: Shapes) -> tuple[Shapes, npt.NDArray[np.bool_], tuple[str, ...]]:
    """Valid polygons, which rows they come from, and what was left out."""
    shapes = _only_polygons(given)
    kept = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    if not kept.any():
        raise InputError(_no_polygon(path, len(given)))
    left_out = int((~kept).sum())
    notes = (f"{left_out} of {len(given)} features have no polygon and were left out",) if left_out else ()
    return shapes[kept], kept, notes


def _only_polygons(given: Shapes) -> Shapes:
    """Each shape made valid and reduced to its polygons: where an outline crosses itself lines may be left over."""
    shapes = shapely.force_2d(shapely.make_valid(given))
    plain = shapely.is_missing(shapes) | (shapely.get_type_id(shapes) == shapely.GeometryType.POLYGON)
    for index in np.flatnonzero(~plain):
        shapes[index] = shapely.MultiPolygon(_polygons(shapes[index]))
    return np.asarray(shapes, object)


def _polygons(shape: shapely.Geometry) -> list[shapely.Geometry]:
    """The polygons of a shape of any kind."""
    parts = shapely.get_parts(shapely.get_parts([shape]))  # a collection may hold collections
    return [part for part in parts if part.geom_type == "Polygon" and not part.is_empty]


def _place(shapes: Shapes, levels: Sequence[Level], crs: str, grid: Grid) -> _Buildings:
    """Buildings with a part or their centroid on the grid; none where its CRS has no place for them."""
    size = (grid.width, grid.height)
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
    px_shapes = _only_polygons(px_shapes)
    centroids = shapely.centroid(px_shapes)
    px_centroids = np.stack([shapely.get_x(centroids), shapely.get_y(centroids)], axis=1)
    there = shapely.area(shapely.clip_by_rect(px_shapes, 0, 0, *size)) > LEAST_SHARED_PX2
    there |= ((px_centroids >= 0) & (px_centroids < size)).all(axis=1)
    px_shapes, px_centroids = px_shapes[there], px_centroids[there]
    return _Buildings(
        px_shapes,
        tuple(levels[row] for row in rows[there]),
        px_centroids,
        shapely.STRtree(px_shapes),
        shapely.STRtree(shapely.points(px_centroids)),
    )


def _levels(values: Shapes) -> tuple[list[Level], tuple[str, ...]]:
    """One level per building, and a warning where a value is none."""
    unknown: Counter[str] = Counter()
    levels: list[Level] = []
    for value in values:
        word = "-".join(str(value).replace("_", " ").replace("-", " ").split()).casefold()
        level = _WORDS.get(word)
        if level is None:
            unknown["empty" if value is None or value != value else repr(str(value))[:40]] += 1
        levels.append(level or _UNCLASSIFIED)
    if not unknown:
        return levels, ()
    told = ", ".join(f"{value} ({times} times)" for value, times in unknown.most_common(5))
    more = f" and {len(unknown) - 5} more values" if len(unknown) > 5 else ""
    return levels, (f"counted as {_UNCLASSIFIED}, because it is no level of damage: {told}{more}",)


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


def _rings(
    part: shapely.Geometry, origin: tuple[int, int], size: tuple[int, int]
) -> list[tuple[tuple[float, float], ...]]:
    """Every ring of a shape in pixels of a tile, without the repeated end."""
    rings = shapely.get_rings(_polygons(part))
    # The clip leaves the edge by a rounding error at most.
    each = (np.clip(shapely.get_coordinates(ring)[:-1] - origin, 0, size) for ring in rings)
    return [tuple((float(x), float(y)) for x, y in points) for points in each]
