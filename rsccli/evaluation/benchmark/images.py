"""Pixels of one pair, also where its two pictures are not quite of one size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rsccli.evaluation.probes.images import FileImages
from rsccli.geo.pair import PairOptions
from rsccli.geo.raster import open_dataset, raster_errors
from rsccli.types import PxWindow, TilePair


@dataclass(frozen=True)
class Reading:
    """How the images of pairs are read.

    Attributes:
        gsd_m: metres per pixel of images that do not say. geometry: of georeferenced images.
        size_tolerance_px: sides of images without a georeference may differ by so many pixels; their common upper left
            part is taken then.
    """

    gsd_m: float | None
    geometry: PairOptions
    size_tolerance_px: int = 0

    def read(self, pre: Path, post: Path, index: int, gsd_m: float | None) -> tuple[TilePair, bool]:
        """Read both dates; see `rsccli.evaluation.probes.images.FileImages`.

        Args:
            index: number in the list of pairs. gsd_m: what the pair's record says.

        Returns:
            The pair, and whether it was cut.

        Raises:
            InputError: they cannot be read, or their sizes differ by more.
        """
        metres = gsd_m or self.gsd_m
        if self.size_tolerance_px and self._nearly_equal(pre, post):
            dates = [FileImages(date, date, index, metres, self.geometry).read() for date in (pre, post)]
            return _common_part(*dates), True
        return FileImages(pre, post, index, metres, self.geometry).read(), False

    def _nearly_equal(self, pre: Path, post: Path) -> bool:
        sizes = [_plain_size(path) for path in (pre, post)]
        if sizes[0] is None or sizes[1] is None or sizes[0] == sizes[1]:
            return False
        return all(abs(a - b) <= self.size_tolerance_px for a, b in zip(*sizes, strict=True))


def _plain_size(path: Path) -> tuple[int, int] | None:
    """Width and height; None with a georeference, which says itself what lies where."""
    with open_dataset(str(path)) as source, raster_errors(str(path), "read the header of"):
        return None if source.crs else (source.width, source.height)


def _common_part(pre: TilePair, post: TilePair) -> TilePair:
    height, width = (min(sides) for sides in zip(pre.valid.shape, post.valid.shape, strict=True))
    bounds = pre.tile.map_bounds._replace(right=width * pre.gsd_m, top=height * pre.gsd_m)
    return replace(
        pre,
        tile=replace(pre.tile, px_window=PxWindow(0, 0, width, height), map_bounds=bounds),
        pre=np.ascontiguousarray(pre.pre[:, :height, :width]),
        post=np.ascontiguousarray(post.post[:, :height, :width]),
        valid=np.ones((height, width), bool),
    )
