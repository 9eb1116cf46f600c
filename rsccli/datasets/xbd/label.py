"""A label file of xBD: buildings in pixels, and what its metadata say of the image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import shapely

from rsccli.errors import InputError
from rsccli.geo.geometry import F64, WGS84, pixel_size_m
from rsccli.run.labels import Labels, Rule, Shapes, pixel_labels

#: How far off a place from the label may be before it is not believed, pixels.
FIT_PX = 2.0


@dataclass(frozen=True, eq=False)
class XbdLabel:
    """What a label file says.

    Attributes:
        labels: buildings. event: name of the disaster. disaster_type: xBD's word. date: of the image, ISO 8601.
        gsd_m: metres per pixel, from buildings that are given in pixels and in degrees; None where that cannot be told.
        notes: what a person should know.
    """

    labels: Labels
    event: str | None
    disaster_type: str | None
    date: str | None
    gsd_m: float | None
    notes: tuple[str, ...]


def read_label(path: Path, size_px: tuple[int, int], rule: Rule = "centroid") -> XbdLabel:
    """Read the label of a post-disaster image.

    Args:
        size_px: width and height of the image. rule: where a building is counted.

    Raises:
        InputError: not JSON, no label of xBD, of an image of another size, or without levels of damage.
    """
    data = _bytes(path)
    content = _content(path, data)
    features = _member(content, "features")
    metadata = _member(content, "metadata")
    told = tuple(metadata.get(side) for side in ("width", "height"))
    if all(isinstance(side, int) for side in told) and told != size_px:
        raise InputError(
            f"{path}: it is of an image of {told[0]}x{told[1]} pixels, but the image has {size_px[0]}x{size_px[1]}"
        )
    buildings = features.get("xy")
    if not isinstance(buildings, list):
        raise InputError(f"{path}: no list features.xy: it does not say where the buildings are, in pixels")
    rows = [each if isinstance(each, dict) else {} for each in buildings]
    levels = [_member(row, "properties").get("subtype") for row in rows]
    if rows and all(level is None for level in levels):
        raise InputError(f"{path}: none of its {len(rows)} buildings has a subtype: is it the label of the pre image?")
    shapes = _shapes(rows)
    kind = _text(metadata, "disaster_type")
    try:
        labels = pixel_labels(path.name, data, shapes, levels, size_px, rule=rule, disaster=kind)
    except shapely.errors.GEOSException as error:
        raise InputError(f"{path}: outlines that are no polygons: {error}") from error
    return XbdLabel(
        labels=labels,
        event=_text(metadata, "disaster"),
        disaster_type=kind,
        date=_text(metadata, "capture_date"),
        gsd_m=_gsd_m(rows, shapes, features.get("lng_lat"), size_px),
        notes=labels.warnings,
    )


def read_date(path: Path) -> str | None:
    """When the image of a label was taken, ISO 8601.

    Raises:
        InputError: not JSON, or no label of xBD.
    """
    return _text(_member(_content(path, _bytes(path)), "metadata"), "capture_date")


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error


def _content(path: Path, data: bytes) -> Mapping[str, Any]:
    try:
        content = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise InputError(f"{path}: damaged, not JSON: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("features"), dict):
        raise InputError(f"{path}: no label file of xBD: it has no features with xy and lng_lat")
    return content


def _member(row: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = row.get(name)
    return value if isinstance(value, dict) else {}


def _text(row: Mapping[str, Any], name: str) -> str | None:
    value = row.get(name)
    return value.strip() if isinstance(value, str) and value.strip() else None


def _uid(row: Mapping[str, Any]) -> str:
    return str(_member(row, "properties").get("uid"))


def _shapes(rows: Sequence[Mapping[str, Any]]) -> Shapes:
    texts = [row.get("wkt") if isinstance(row.get("wkt"), str) else None for row in rows]
    out = np.empty(len(texts), object)
    out[:] = shapely.from_wkt(texts, on_invalid="ignore") if texts else []
    return out


def _gsd_m(rows: Sequence[Mapping[str, Any]], px: Shapes, degrees: object, size_px: tuple[int, int]) -> float | None:
    """Metres per pixel from an affine between both lists of outlines; xBD's own gsd is that of the sensor, not this."""
    if not isinstance(degrees, list):
        return None
    others = [row if isinstance(row, dict) else {} for row in degrees]
    placed = dict(zip(map(_uid, others), _shapes(others), strict=True))
    sources, targets = [], []
    for row, shape in zip(rows, px, strict=True):
        there = placed.get(_uid(row))
        if shape is None or there is None or shapely.get_num_coordinates(shape) != shapely.get_num_coordinates(there):
            continue
        sources.append(shapely.get_coordinates(shape))
        targets.append(shapely.get_coordinates(there))
    if not sources:
        return None
    points, lonlat = np.concatenate(sources), np.concatenate(targets)
    columns = np.column_stack([points, np.ones(len(points))])
    if not (np.isfinite(points).all() and np.isfinite(lonlat).all()):
        return None
    fit, _, rank, _ = np.linalg.lstsq(columns, lonlat, rcond=None)
    size = abs(float(np.linalg.det(fit[:2]))) ** 0.5
    if rank < 3 or size == 0 or not np.abs(columns @ fit - lonlat).max() <= FIT_PX * size:
        return None
    x, y = size_px[0] / 2, size_px[1] / 2
    around: F64 = np.array([[x, y, 1], [x + 1, y, 1], [x, y + 1, 1]]) @ fit
    across, down = pixel_size_m(WGS84, tuple(around[:, 0]), tuple(around[:, 1]))
    return round(float((across * down) ** 0.5), 4)
