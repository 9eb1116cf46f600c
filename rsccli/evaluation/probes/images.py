"""Pixels of one pair: two image files, or a tile of two aligned rasters."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rsccli.errors import CrsError, InputError
from rsccli.geo.engine import PairAligner, TileFailure
from rsccli.geo.grid import grid_gsd_m
from rsccli.geo.pair import PairOptions, PreparedPair, prepare_pair
from rsccli.geo.raster import open_dataset, raster_errors
from rsccli.geo.tiles import Superblock
from rsccli.types import U8, MapBounds, PxWindow, Tile, TilePair

#: A listed pair is seen at once: beyond this side it is not one pair but a scene.
MAX_SIDE = 2048


@dataclass(frozen=True)
class TileImages:
    """One tile of a prepared pair of rasters."""

    scene: PreparedPair
    tile: Tile

    def read(self) -> TilePair:
        """Read the tile; see `rsccli.evaluation.probes.pairs.Images`."""
        block = Superblock(0, (self.tile,), self.tile.px_window)
        with self.scene.env(), self.scene.aligner() as aligner:
            (read,) = aligner.read(block)
        if isinstance(read, TileFailure):
            raise InputError(f"tile {self.tile.id}: {read.reason}")
        return read.pair


@dataclass(frozen=True)
class FileImages:
    """Two files that show the same ground.

    Attributes:
        pre, post: the files. index: number in the list of pairs, which draws of a model depend on.
        gsd_m: metres per pixel where the files do not say it. geometry: how georeferenced files are read.
    """

    pre: Path
    post: Path
    index: int
    gsd_m: float | None
    geometry: PairOptions

    def read(self) -> TilePair:
        """Read both, aligned as ``rsccli caption`` aligns them where they have a georeference.

        Raises:
            InputError: a file cannot be read, sizes differ, or nobody says how many metres a pixel has.
        """
        placed = [_has_place(path) for path in (self.pre, self.post)]
        if placed[0] != placed[1]:
            without = self.post if placed[0] else self.pre
            raise InputError(f"{without} has no georeference but the other date has; give both one, or neither")
        return self._aligned() if placed[0] else self._plain()

    def _aligned(self) -> TilePair:
        scene = prepare_pair(self.pre, self.post, self.geometry)
        height, width = scene.grid.height, scene.grid.width
        _refuse_scene(self.pre, height, width)
        # One tile that holds the whole grid: padded where it is not square, and cut again.
        side = max(height, width)
        tile = self._tile(PxWindow(0, 0, side, side), scene.grid.window_bounds(PxWindow(0, 0, side, side)))
        luts = (scene.survey.radiometry.pre, scene.survey.radiometry.post)
        with scene.env(), PairAligner(scene.grid, scene.pre, scene.post, luts, scene.shift_px) as aligner:
            (read,) = aligner.read(Superblock(0, (tile,), tile.px_window))
        if isinstance(read, TileFailure):
            raise InputError(f"{self.pre}, {self.post}: {read.reason}")
        valid = np.ascontiguousarray(read.pair.valid[:height, :width])
        if not valid.any():
            raise InputError(f"{self.pre}, {self.post}: no pixel has data at both dates")
        window = PxWindow(0, 0, width, height)
        return TilePair(
            self._tile(window, scene.grid.window_bounds(window)),
            np.ascontiguousarray(read.pair.pre[:, :height, :width]),
            np.ascontiguousarray(read.pair.post[:, :height, :width]),
            valid,
            grid_gsd_m(scene.grid),
        )

    def _plain(self) -> TilePair:
        if self.gsd_m is None:
            raise InputError(
                f"{self.pre}: nothing says how many metres a pixel has; add a column gsd_m to the pairs, or give --gsd"
            )
        pre, post = _read_plain(self.pre), _read_plain(self.post)
        if pre.shape != post.shape:
            raise InputError(
                f"{self.pre} has {pre.shape[2]}x{pre.shape[1]} pixels, {self.post} {post.shape[2]}x{post.shape[1]}: "
                "images without a georeference must have one size"
            )
        height, width = pre.shape[1:]
        bounds = MapBounds(0.0, 0.0, width * self.gsd_m, height * self.gsd_m)
        tile = self._tile(PxWindow(0, 0, width, height), bounds)
        return TilePair(tile, pre, post, np.ones((height, width), bool), self.gsd_m)

    def _tile(self, window: PxWindow, bounds: MapBounds) -> Tile:
        return Tile(f"p{self.index:06d}", 0, self.index, window, bounds)


def _has_place(path: Path) -> bool:
    with open_dataset(str(path)) as source, raster_errors(str(path), "read the header of"):
        try:
            return bool(source.crs) and not (source.transform.is_identity and not source.gcps[0])
        except CrsError:
            return False


def _read_plain(path: Path) -> U8:
    with open_dataset(str(path)) as source, raster_errors(str(path), "read"):
        _refuse_scene(path, source.height, source.width)
        if source.dtypes[0] != "uint8":
            raise InputError(f"{path}: {source.dtypes[0]} values without a georeference; make it 8-bit")
        bands: npt.NDArray[Any] = source.read([1, 2, 3] if source.count >= 3 else [1, 1, 1])
        if source.count < 3 and source.colorinterp[0].name == "palette":
            table = np.zeros((256, 3), np.uint8)
            for value, colour in source.colormap(1).items():
                table[value] = colour[:3]
            bands = np.moveaxis(table[bands[0]], 2, 0)
    return np.ascontiguousarray(bands)


def _refuse_scene(path: Path, height: int, width: int) -> None:
    if max(height, width) > MAX_SIDE:
        raise InputError(
            f"{path}: {width}x{height} pixels; a listed pair has at most {MAX_SIDE} a side: give the two rasters "
            "instead, and their tiles are the pairs"
        )
