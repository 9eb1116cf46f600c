"""Pairs for detections with a detector whose answer is known for every pixel, and what is asked of the outputs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import detectors
import numpy as np
import rasterio
import shapely
from pyproj import Geod
from rasters import make_raster

from rsccli.geo.pair import PairOptions
from rsccli.run.caption import CaptionJob
from rsccli.run.detect.found import Found
from rsccli.run.detect.job import DetectJob, prepare_detect
from rsccli.run.detect.run import run_detect

GEOD = Geod(ellps="WGS84")
SIZE = (700, 600)
Marks = list[tuple[slice, slice, float, int]]
BUILDING, ROAD, VEGETATION, WATER = range(4)


def make_scene(
    folder: Path, marks: Marks, size: tuple[int, int] = SIZE, blue: Sequence[Any] = (), **options: Any
) -> tuple[Path, Path]:
    """Two rasters; a mark is rows, columns, probability and class of the detector."""
    width, height = size
    rng = np.random.default_rng(5)
    pre = rng.integers(20, 90, (3, height, width)).astype(np.uint8)
    post = np.stack([np.ones((height, width)), np.zeros((height, width)), np.full((height, width), 10)])
    for rows, cols, probability, kind in marks:
        post[0, rows, cols] = 1 + round(probability * detectors.STEPS)
        post[1, rows, cols] = kind
    for rows, cols, _, _ in blue:
        post[2, rows, cols] = 255
    paths = [
        make_raster(folder / f"{name}.tif", size=size, values=values.astype(np.uint8), **options)
        for name, values in (("pre", pre), ("post", post))
    ]
    return paths[0], paths[1]


def job_of(pair: tuple[Path, Path], output: Path | None, model: str = "marked", **options: Any) -> DetectJob:
    geometry = options.pop("geometry", PairOptions(tile_size=128, stride=96))
    base = CaptionJob(str(pair[0]), str(pair[1]), geometry=geometry, model=model, min_valid=0.0, jobs=1)
    return DetectJob(base, output, **options)


def detect(pair: tuple[Path, Path], output: Path, **options: Any) -> tuple[Found, list[dict[str, Any]]]:
    found = run_detect(prepare_detect(job_of(pair, output, **options)))
    features = json.loads(output.read_text())["features"]
    return found, features


def read(path: Path) -> Any:
    with rasterio.open(path) as file:
        return file.read(1)


def ellipsoid_area(geometry: dict[str, Any]) -> float:
    shape = shapely.geometry.shape(geometry)
    assert shape.is_valid
    parts = getattr(shape, "geoms", [shape])
    total = 0.0
    for part in parts:
        rings = [part.exterior, *part.interiors]
        areas = [abs(GEOD.polygon_area_perimeter(*shapely.get_coordinates(ring).T)[0]) for ring in rings]
        total += areas[0] - sum(areas[1:])
    return total


def shapes(features: list[dict[str, Any]]) -> dict[str, Any]:
    """Geometries by id; a file has its polygons in the order in which they were finished."""
    return {feature["id"]: feature["geometry"] for feature in sorted(features, key=lambda each: each["id"])}
