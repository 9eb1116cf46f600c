"""How much ground each pixel covers, on the WGS 84 ellipsoid."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rsccli.geo.footprint import window_areas_m2
from rsccli.types import Grid, PxWindow

F64 = npt.NDArray[np.float64]
# Between pixels whose area is worked out it is interpolated: over so few that it bends by less than a ten-thousandth,
# even on a grid of tenths of a degree.
_ROWS, _COLS = 16, 64


def pixel_areas_m2(grid: Grid, window: PxWindow) -> F64:
    """Area of every pixel of a window, (h, w), square metres.

    Raises:
        CrsError: part of the window lies outside of what the grid's CRS can express.
    """
    rows, cols = _nodes(window.height, _ROWS), _nodes(window.width, _COLS)
    places = [PxWindow(window.col + int(col), window.row + int(row), 1, 1) for row in rows for col in cols]
    nodes = window_areas_m2(grid, places).reshape(len(rows), len(cols))
    areas: F64 = _between(rows, window.height) @ nodes @ _between(cols, window.width).T
    return areas


def _nodes(length: int, step: int) -> npt.NDArray[np.int64]:
    """Indices of pixels, the first and the last among them."""
    return np.unique(np.append(np.arange(0, length, step), length - 1))


def _between(nodes: npt.NDArray[np.int64], length: int) -> F64:
    """Weights (length, nodes) of linear interpolation."""
    weights = np.empty((length, len(nodes)))
    for index in range(len(nodes)):
        unit = np.zeros(len(nodes))
        unit[index] = 1.0
        weights[:, index] = np.interp(np.arange(length), nodes, unit)
    return weights
