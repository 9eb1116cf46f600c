"""The inputs of an earlier run, described again and read as it read them: by the facts in its output."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import get_args

import rasterio

from rsccli.errors import InputChangedError, InputError
from rsccli.geo.linked import check_recorded
from rsccli.geo.radiometry import Radiometry, RadiometryMode
from rsccli.geo.raster import RasterInfo, RasterOptions, describe_raster, gdal_options
from rsccli.geo.reader import listen_to_gdal
from rsccli.geo.survey import survey_pair
from rsccli.types import InputFacts, RunFacts


@dataclass(frozen=True, eq=False)
class RunInputs:
    """Both dates of a run.

    Attributes:
        pre, post: the sources. radiometry: lookup tables of both.
        shift_px: of post against pre, corrected when it is read, pixels of the run's grid.
        notes: what a reader should know, sentences.
    """

    pre: RasterInfo
    post: RasterInfo
    radiometry: Radiometry
    shift_px: tuple[float, float]
    notes: tuple[str, ...] = ()


@contextmanager
def opened_inputs(facts: RunFacts) -> Iterator[RunInputs]:
    """The inputs of a run, within GDAL's settings for reading them.

    Args:
        facts: of its output. Paths are those that were typed then, relative to the folder of that time.

    Raises:
        InputError: an input is gone. InputChangedError: it is no longer the file that was captioned.
    """
    listen_to_gdal()
    for date in (facts.pre, facts.post):
        check_recorded(date.path)
    with rasterio.Env(**gdal_options()):
        pre, post = described(facts.pre), described(facts.post)
        radiometry, notes = _radiometry(facts, pre, post)
        shift = facts.registration
        moved = (shift.dx_px or 0.0, shift.dy_px or 0.0) if shift.applied else (0.0, 0.0)
        yield RunInputs(pre, post, radiometry, moved, notes)


def described(date: InputFacts, options: RasterOptions | None = None) -> RasterInfo:
    """An input of a run, described again.

    Args:
        options: what was said of it then; without them what its facts tell of it.

    Raises:
        InputError: it is gone. InputChangedError: it is no longer the file that was captioned.
    """
    try:
        info = describe_raster(date.path, options or RasterOptions(bands=date.bands, crs=date.crs))
    except InputError as error:
        raise InputError(
            f"{date.path}: the image that was captioned cannot be read again: call from the folder where rsccli "
            "caption was called, and put the file back if it was moved"
        ) from error
    if info.identity != date.identity:
        raise InputChangedError(
            f"{date.path}: it is no longer the file that was captioned ({info.identity}, not {date.identity}): run "
            "rsccli caption again, then this command"
        )
    return info


def _radiometry(facts: RunFacts, pre: RasterInfo, post: RasterInfo) -> tuple[Radiometry, tuple[str, ...]]:
    """Lookup tables of the run: facts name them in words, and the rule that gives these words is the run's."""
    wanted = (facts.pre.lut, facts.post.lut)
    first: Radiometry | None = None
    for mode in get_args(RadiometryMode):
        found = survey_pair(facts.grid, pre, post, mode).radiometry
        if (found.pre.describe(), found.post.describe()) == wanted:
            return found, ()
        first = first or found
    assert first is not None
    return first, ("The values of the images could not be brought to 8 bit exactly as the run did (--nodata?).",)
