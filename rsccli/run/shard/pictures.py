"""The pictures of a merged report: from the inputs, where they still are what the shards read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import rasterio

from rsccli.errors import InputError
from rsccli.geo.lut import Lut
from rsccli.geo.radiometry import Radiometry
from rsccli.geo.raster import gdal_options
from rsccli.geo.reader import listen_to_gdal
from rsccli.geo.tiles import TilePlan
from rsccli.output.report import Pictures
from rsccli.run.finish import ReadPictures
from rsccli.run.opened import RunInputs, described
from rsccli.run.pictures import inputs_pictures, not_shown
from rsccli.run.shard.file import ShardHead


def shard_pictures(head: ShardHead, plan: TilePlan, mask: Path | None) -> ReadPictures:
    """A reader of pictures that reads as the shards did.

    Args:
        head: of any shard of the run. mask: raster of what changed, see ``MaskRaster``, or None.
    """

    def read(tile_ids: Sequence[str], detail_ids: Sequence[str]) -> Pictures:
        listen_to_gdal()
        with rasterio.Env(**gdal_options()):
            try:
                inputs = _inputs(head)
            except InputError as error:
                return not_shown(error)
            return inputs_pictures(plan, inputs, tile_ids, detail_ids, mask)

    return read


def _inputs(head: ShardHead) -> RunInputs:
    facts = head.facts
    pre, post = (described(date, options) for date, options in zip((facts.pre, facts.post), head.reading, strict=True))
    try:
        luts = [Lut.from_json(head.spec[date]["lut"]) for date in ("pre", "post")]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"the lookup tables of the run are damaged: {error}") from error
    moved = facts.registration
    return RunInputs(
        pre,
        post,
        Radiometry("auto", luts[0], luts[1], (), (), facts.radiometry),
        (moved.dx_px or 0.0, moved.dy_px or 0.0) if moved.applied else (0.0, 0.0),
    )
