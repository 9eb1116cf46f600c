"""A box in a model's view of a tile becomes pixels of the run's grid."""

from __future__ import annotations

import math

from rsccli.models.captioner import Captioner
from rsccli.models.large.boxes import Box, View
from rsccli.models.large.captioner import LargeCaptioner
from rsccli.models.large.pictures import covered
from rsccli.types import Grid, PxWindow, TilePair


def view_of(captioner: Captioner, pair: TilePair) -> View:
    """What a captioner sees of a tile: of the part that both dates cover, as large models are shown it."""
    rows, cols = covered(pair.valid)
    height, width = pair.valid[rows, cols].shape
    if isinstance(captioner, LargeCaptioner):
        return captioner.reader.view(height, width)
    return View(0, 0, width, height, width, height)


def box_window(box: Box, view: View, pair: TilePair, grid: Grid) -> PxWindow | None:
    """Whole pixels of the grid that a box covers or touches, or None where nothing of it is on the grid."""
    rows, cols = covered(pair.valid)
    window = pair.tile.px_window
    left = window.col + (cols.start or 0) + view.left
    top = window.row + (rows.start or 0) + view.top
    # A millionth of a pixel is no pixel: shares are not exact.
    west = max(0, math.floor(left + box.left * view.width + 1e-6))
    north = max(0, math.floor(top + box.top * view.height + 1e-6))
    east = min(grid.width, math.ceil(left + box.right * view.width - 1e-6))
    south = min(grid.height, math.ceil(top + box.bottom * view.height - 1e-6))
    return PxWindow(west, north, east - west, south - north) if east > west and south > north else None
