"""The pictures of a report, from the inputs of the run: at its end, or later by the facts in its output.

A report without pictures is better than none, and better than one with the wrong pictures: whatever is missing is told
in a note.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import numpy as np

from rsccli.errors import InputError
from rsccli.geo.engine import PairAligner
from rsccli.geo.mercator import mercator_grid
from rsccli.geo.pair import PreparedPair
from rsccli.geo.tiles import TilePlan, plan_tiles
from rsccli.output.features import Feature
from rsccli.output.report.pictures import Overview, Pictures
from rsccli.run.masks import MaskRaster
from rsccli.run.opened import RunInputs, opened_inputs
from rsccli.run.overviews import MAX_PX, read_details, read_overviews
from rsccli.run.thumbnails import read_tiles, tiles_of
from rsccli.types import Grid, RunFacts

#: Tiles that are sharp on the map of a large run.
DETAILS = 60
NO_MASK = (
    "The masks are not shown: a run keeps their areas, not their pixels. rsccli detect writes them as a raster, and "
    "rsccli report --mask FILE shows it."
)


def pair_pictures(
    pair: PreparedPair, tile_ids: Iterable[str], detail_ids: Iterable[str] = (), mask: Path | None = None
) -> Pictures:
    """Pictures of a prepared pair.

    Args:
        tile_ids: tiles to show one by one. detail_ids: tiles to show sharp on the map, the strongest first.
        mask: raster of what changed, see ``MaskRaster``, or None.

    Raises:
        InputError: the mask cannot be read. InputChangedError: an input is no longer what it was.
    """
    with pair.env():
        inputs = RunInputs(pair.pre, pair.post, pair.survey.radiometry, pair.shift_px)
        return inputs_pictures(pair.plan, inputs, tile_ids, detail_ids, mask)


def read_pictures(
    facts: RunFacts, tile_ids: Iterable[str], detail_ids: Iterable[str] = (), mask: Path | None = None
) -> Pictures:
    """The same from the facts of an output; without pictures where the inputs are gone or are no longer the same.

    Raises:
        InputError: the mask cannot be read.
    """
    edge = facts.edge if facts.edge in ("shift", "drop") else "pad"
    plan = plan_tiles(facts.grid, facts.tile_size, stride=facts.stride, edge=edge)  # type: ignore[arg-type]
    with ExitStack() as stack:
        try:
            inputs = stack.enter_context(opened_inputs(facts))
        except InputError as error:
            return not_shown(error)
        return inputs_pictures(plan, inputs, tile_ids, detail_ids, mask)


def worth_a_look(tiles: Iterable[Feature]) -> list[str]:
    """Ids of the tiles that should be sharp on the map: changed and unsure ones, in their order."""
    return [tile.id for tile in tiles if tile.status in ("changed", "unsure")][:DETAILS]


def inputs_pictures(
    plan: TilePlan, inputs: RunInputs, tile_ids: Iterable[str], detail_ids: Iterable[str], mask: Path | None
) -> Pictures:
    """Pictures from inputs that are open; call it within GDAL's settings. The rest is as for `pair_pictures`."""
    pre, post, notes = read_overviews(plan.grid, inputs)
    details = read_details(plan.grid, inputs, tiles_of(plan, islice(detail_ids, DETAILS)))
    luts = (inputs.radiometry.pre, inputs.radiometry.post)
    with PairAligner(plan.grid, inputs.pre, inputs.post, luts, inputs.shift_px) as aligner:
        if mask is None:
            tiles = read_tiles(aligner, plan, tile_ids)
            return Pictures(pre, post, tiles=tiles, details=details, notes=(*inputs.notes, *notes, NO_MASK))
        with MaskRaster(mask, plan.grid) as raster:
            return Pictures(
                pre,
                post,
                _mask_overview(raster, plan.grid),
                raster.kinds,
                raster.buildings(),
                read_tiles(aligner, plan, tile_ids, raster),
                details,
                (*inputs.notes, *notes),
            )


def _mask_overview(raster: MaskRaster, grid: Grid) -> Overview | None:
    target = mercator_grid(grid, MAX_PX)
    if target is None:
        return None
    colours = np.zeros((len(raster.kinds) + 1, 4), np.uint8)
    for place, kind in enumerate(raster.kinds, 1):
        colours[place] = (*kind.rgb, 255)
    pixels = np.ascontiguousarray(colours[raster.overview(target)].transpose(2, 0, 1))
    return Overview(pixels, target.map_bounds)


def not_shown(error: InputError) -> Pictures:
    """No pictures, and why."""
    text = str(error)
    return Pictures(notes=(f"The images are not shown. {text if text.endswith('.') else text + '.'}",))
