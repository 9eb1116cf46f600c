"""The mask of what changed, read from a raster beside a run: a run itself keeps no masks.

The raster is what ``rsccli detect`` writes: 0 unchanged, a code for each kind of change (tag ``CODES``), 254 not
judged, 255 no data. Any other one will do in which 0 means unchanged.
"""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from rsccli.errors import InputError
from rsccli.geo.raster import check_size, open_dataset, raster_errors
from rsccli.output.report.pictures import MaskKind
from rsccli.types import U8, Grid, PxWindow

NOT_JUDGED = 254
#: The kind of a mask that names none.
ANY = MaskKind("changed", (255, 0, 110))
#: Larger masks are not searched for buildings: their spots are counted in memory.
_MOST_COUNTED_PX = 32 * 2**20
#: Smaller spots of a mask are noise.
_LEAST_BUILDING_PX = 16
_CODE = re.compile(r"\s*(\d+)=([^;]+)")


class MaskRaster:
    """A mask on the run's grid, or on any other. Use it in a ``with`` statement.

    Attributes:
        kinds: of change, in the order of its codes.

    Args:
        path: of the raster. grid: of the run.

    Raises:
        InputError: it cannot be opened, has no place on the Earth, or holds fractions instead of whole numbers.
    """

    def __init__(self, path: Path, grid: Grid) -> None:
        self._path = str(path)
        self._grid = grid
        self._open = ExitStack()
        self._dataset = self._open.enter_context(open_dataset(self._path))
        try:
            self._check()
            self.kinds, self._places = self._read_kinds()
            self._aligned = self._warped(grid, Resampling.nearest)
        except BaseException:
            self._open.close()
            raise

    def __enter__(self) -> MaskRaster:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._open.close()

    def tile(self, window: PxWindow) -> U8:
        """A window of the run's grid, uint8 (H, W): 0 unchanged, n the n-th kind; 0 beyond the grid.

        Raises:
            InputError: the pixels cannot be read.
        """
        found = np.zeros((window.height, window.width), np.uint8)
        left, top = max(0, window.col), max(0, window.row)
        right = min(self._grid.width, window.col + window.width)
        bottom = min(self._grid.height, window.row + window.height)
        if right > left and bottom > top:
            part = rasterio.windows.Window(left, top, right - left, bottom - top)
            place = np.s_[top - window.row : bottom - window.row, left - window.col : right - window.col]
            found[place] = self._kinds_of(self._aligned, part)
        return found

    def overview(self, target: Grid) -> U8:
        """The same on a coarser grid: a pixel shows one of the kinds that it holds, so that small spots are seen, too.

        Raises:
            InputError: the pixels cannot be read.
        """
        return self._kinds_of(self._warped(target, Resampling.max), None)

    def buildings(self) -> int | None:
        """Separate spots of the kind ``building`` of at least 16 pixels: buildings that touch count once.

        Returns:
            None where the mask has no such kind, or is too large to be searched.
        """
        names = [kind.name for kind in self.kinds]
        if "building" not in names or self._dataset.width * self._dataset.height > _MOST_COUNTED_PX:
            return None
        found = self._kinds_of(self._dataset, None)
        spots = (found == names.index("building") + 1).astype(np.uint8)
        _, _, stats, _ = cv2.connectedComponentsWithStats(spots, connectivity=8)
        return int((stats[1:, cv2.CC_STAT_AREA] >= _LEAST_BUILDING_PX).sum())

    def _check(self) -> None:
        dataset = self._dataset
        check_size(self._path, dataset)
        if np.dtype(dataset.dtypes[0]).kind not in "ui":
            raise InputError(
                f"{self._path}: its values are {dataset.dtypes[0]}, a mask holds whole numbers (0: unchanged): name "
                "the mask that rsccli detect wrote, not its scores"
            )
        if dataset.crs is None or dataset.transform.is_identity:
            raise InputError(f"{self._path}: nothing says where it lies: name the mask that rsccli detect wrote")

    def _warped(self, grid: Grid, resampling: Resampling) -> WarpedVRT:
        with raster_errors(self._path, "be brought to the grid of the run"):
            return self._open.enter_context(
                WarpedVRT(
                    self._dataset,
                    crs=grid.crs,
                    transform=grid.transform,
                    width=grid.width,
                    height=grid.height,
                    resampling=resampling,
                )
            )

    def _read_kinds(self) -> tuple[tuple[MaskKind, ...], U8]:
        """The kinds, and for each value of the raster which one it means, uint8 (256,)."""
        places = np.ones(256, np.uint8)
        places[[0, NOT_JUDGED]] = 0
        codes = {int(code): name.strip() for code, name in _CODE.findall(self._dataset.tags().get("CODES", ""))}
        known = {code: name for code, name in codes.items() if 0 < code < NOT_JUDGED}
        if not known:
            return (ANY,), places
        colours = self._colours()
        places[:] = 0
        for place, code in enumerate(sorted(known), 1):
            places[code] = place
        return tuple(MaskKind(known[code], colours.get(code, ANY.rgb)) for code in sorted(known)), places

    def _colours(self) -> dict[int, tuple[int, int, int]]:
        try:
            return {code: tuple(colour[:3]) for code, colour in self._dataset.colormap(1).items()}
        except ValueError:  # it has none
            return {}

    def _kinds_of(self, source: WarpedVRT | rasterio.DatasetReader, window: rasterio.windows.Window | None) -> U8:
        with raster_errors(self._path, "read"):
            values = source.read(1, window=window, masked=True).filled(0)
        if values.dtype != np.uint8:
            values = (values != 0).astype(np.uint8)
        kinds: U8 = self._places[values]
        return kinds
