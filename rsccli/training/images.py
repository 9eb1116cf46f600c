"""The two images of a labelled pair, on one grid."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rsccli.errors import InputError
from rsccli.geo.engine import PairAligner, TileFailure
from rsccli.geo.grid import grid_gsd_m
from rsccli.geo.pair import PairOptions, PreparedPair, match_pair, prepare_pair
from rsccli.geo.raster import open_dataset, raster_errors
from rsccli.geo.tiles import Superblock
from rsccli.training.records import PairRecord
from rsccli.types import U8, Bool, Grid, PxWindow, Tile

#: A whole pair is read at once: beyond this side it is not one pair but a scene.
MAX_SIDE = 4096


@dataclass(frozen=True, eq=False)
class PairImages:
    """Both dates of a record.

    Attributes:
        pre, post: uint8 (3, H, W), red, green, blue; 0 where not valid. valid: bool (H, W).
        grid: of both; None for images without a georeference.
        gsd_m: metres per pixel; None where nobody knows.
    """

    pre: U8
    post: U8
    valid: Bool
    grid: Grid | None
    gsd_m: float | None


def read_images(record: PairRecord, max_side: int | None = None) -> PairImages:
    """Read a record's pair, aligned as ``rsccli caption`` aligns it.

    Args:
        max_side: a larger pair is averaged down to this side; its ``grid`` then is None unless nothing was changed.

    Raises:
        InputError: a file cannot be used, or the pair is larger than ``MAX_SIDE``.
    """
    try:
        images = _plain(record) if record.box is None else _georeferenced(record)
    except InputError as error:
        raise InputError(f"{record.where}: {error}") from error.__cause__
    side = max(images.valid.shape)
    if max_side is None or side <= max_side:
        return images
    return _smaller(images, max_side / side)


@lru_cache(maxsize=8)
def _prepared(pre: Path, post: Path) -> PreparedPair:
    # The whole pair, also where a record is about a part of it: its lookup tables are those of a caption run.
    return prepare_pair(pre, post)


def _georeferenced(record: PairRecord) -> PairImages:
    pair = _prepared(record.pre, record.post)
    grid = pair.grid
    if record.area is not None:
        with pair.env():
            grid = match_pair(record.pre, record.post, PairOptions(bbox=record.area))[2]
    height, width = grid.height, grid.width
    _refuse_scene(record, height, width)
    # One tile that holds the whole grid: padded where it is not square.
    window = PxWindow(0, 0, max(height, width), max(height, width))
    block = Superblock(0, (Tile("", 0, 0, window, grid.window_bounds(window)),), window)
    luts = (pair.survey.radiometry.pre, pair.survey.radiometry.post)
    with pair.env(), PairAligner(grid, pair.pre, pair.post, luts) as aligner:
        (read,) = aligner.read(block)
    if isinstance(read, TileFailure):
        raise InputError(f"{record.pre}, {record.post}: {read.reason}")
    valid = read.pair.valid[:height, :width]
    if not valid.any():
        raise InputError(f"{record.pre}, {record.post}: no pixel that has data in both dates")
    pre, post = read.pair.pre[:, :height, :width], read.pair.post[:, :height, :width]
    return PairImages(np.ascontiguousarray(pre), np.ascontiguousarray(post), valid, grid, grid_gsd_m(grid))


def _plain(record: PairRecord) -> PairImages:
    pre, post = _read_plain(record.pre, record), _read_plain(record.post, record)
    if pre.shape != post.shape:
        raise InputError(
            f"{record.pre} has {pre.shape[2]}x{pre.shape[1]} pixels, {record.post} {post.shape[2]}x{post.shape[1]}: "
            "images without a georeference must have one size; crop or resample one of them"
        )
    return PairImages(pre, post, np.ones(pre.shape[1:], bool), None, None)


def _read_plain(path: Path, record: PairRecord) -> U8:
    with open_dataset(str(path)) as source, raster_errors(str(path), "read"):
        _refuse_scene(record, source.height, source.width)
        if source.dtypes[0] != "uint8":
            raise InputError(
                f"{path}: {source.dtypes[0]} values without a georeference; make it 8-bit red, green, blue"
            )
        bands: npt.NDArray[Any] = source.read([1, 2, 3] if source.count >= 3 else [1, 1, 1])
        if source.count < 3 and source.colorinterp[0].name == "palette":
            table = np.zeros((256, 3), np.uint8)
            for value, colour in source.colormap(1).items():
                table[value] = colour[:3]
            bands = np.moveaxis(table[bands[0]], 2, 0)
    return np.ascontiguousarray(bands)


def _refuse_scene(record: PairRecord, height: int, width: int) -> None:
    if max(height, width) > MAX_SIDE:
        raise InputError(
            f"{record.pre} and {record.post} share {width}x{height} pixels; a labelled pair has at most {MAX_SIDE} a "
            "side: cut tiles, or give records as GeoJSON whose geometries are parts of the pair"
        )


def _smaller(images: PairImages, scale: float) -> PairImages:
    import cv2

    height, width = images.valid.shape
    size = (max(1, round(width * scale)), max(1, round(height * scale)))

    def shrink(image: U8) -> U8:
        small = cv2.resize(np.moveaxis(image, 0, 2), size, interpolation=cv2.INTER_AREA)
        return np.ascontiguousarray(np.moveaxis(small, 2, 0))

    valid = cv2.resize(images.valid.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    gsd_m = None if images.gsd_m is None else images.gsd_m / scale
    return PairImages(shrink(images.pre), shrink(images.post), np.asarray(valid), None, gsd_m)
