"""The images of a series and their dates: from the command line, a folder, or a STAC item collection."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rsccli.errors import InputError, UsageProblem
from rsccli.geo.raster import RasterInfo, RasterOptions, describe_raster
from rsccli.output.timeline.dates import Moment, parse_moment
from rsccli.run.series.stac import is_collection_file, read_item_collection

RASTERS = frozenset((".tif", ".tiff", ".vrt", ".jp2", ".img"))
#: A month in a file name, where no day stands behind it.
_MONTH_IN_NAME = re.compile(r"(?<!\d)(19[5-9]\d|20\d\d)-?(0[1-9]|1[0-2])(?!\d|-?\d\d(?!\d))")


@dataclass(frozen=True)
class DatedImage:
    """One image of a series, described.

    Attributes:
        info: as it is read, with ``datetime`` as below. moment: its date. label: for names of files.
        dated_by: where the date comes from, in words.
    """

    info: RasterInfo
    moment: Moment
    label: str
    dated_by: str


@dataclass(frozen=True)
class _Found:
    """A path with the date that a catalogue or an option gives it."""

    path: str
    date: str | None = None
    dated_by: str = ""


def is_series(images: Sequence[str]) -> bool:
    """Whether what was typed is a series: three images or more, one folder, or one collection file."""
    if len(images) == 1:
        return Path(images[0]).is_dir() or is_collection_file(images[0])
    return len(images) > 2


def find_images(
    typed: Sequence[str], options: RasterOptions, dates: Sequence[str] | None = None, asset: str | None = None
) -> list[DatedImage]:
    """Find, describe and date the images, in the order of their dates.

    Args:
        typed: images, or one folder, or one collection. options: how each is read.
        dates: of the images in the order as typed (a folder: of their names; a collection: its own), or None.
        asset: of a collection.

    Raises:
        InputError: an image cannot be used, has no date, or has that of another one; fewer than two images.
        UsageProblem: dates that do not fit the images.
    """
    found = _with_dates(_paths(typed, asset), dates)
    if len(found) < 2:
        raise InputError(f"{typed[0]}: a series takes two images or more, there {'is one' if found else 'are none'}")
    described = [(each, describe_raster(each.path, options)) for each in found]
    images, undated = [], []
    for each, info in described:
        date, dated_by = _date_of(each, info)
        moment = parse_moment(date) if date else None
        if moment is None:
            undated.append(f"{info.path}: {'no date' if date is None else f'{date!r} is no date'}")
        else:
            images.append(DatedImage(replace(info, datetime=moment.iso), moment, moment.label, dated_by))
    if undated:
        raise InputError(
            "\n  ".join([f"{len(undated)} of {len(found)} images cannot be put in order:", *undated])
            + "\nPut the date into the names (NAME_2020-07-31.tif), or give those of all images in their order, "
            "separated by commas: --dates 2020-07-31,2021-07,..."
        )
    return _labelled(sorted(images, key=lambda image: image.moment.order))


def _paths(typed: Sequence[str], asset: str | None) -> list[_Found]:
    if len(typed) == 1 and Path(typed[0]).is_dir():
        folder = Path(typed[0])
        paths = sorted(
            path for path in folder.iterdir() if path.suffix.lower() in RASTERS and not path.name.startswith(".")
        )
        if not paths:
            raise InputError(
                f"{folder}: no images in it ({' '.join(sorted(RASTERS))}); folders in it are not looked into"
            )
        return [_Found(str(path)) for path in paths]
    if len(typed) == 1:
        items = read_item_collection(Path(typed[0]), asset)
        return [_Found(item.href, item.datetime, f"STAC item {item.item}") for item in items]
    if asset is not None:
        raise UsageProblem("--asset names an asset of a STAC item collection: give its file, or leave the option out")
    twice = [path for path, count in Counter(typed).items() if count > 1]
    if twice:
        raise InputError(f"{twice[0]}: named twice")
    return [_Found(path) for path in typed]


def _with_dates(found: list[_Found], dates: Sequence[str] | None) -> list[_Found]:
    if dates is None:
        return found
    if len(dates) != len(found):
        names = ", ".join(Path(each.path).name for each in found)
        raise UsageProblem(f"--dates gives {len(dates)} dates for {len(found)} images: one for each of {names}")
    wrong = [text for text in dates if parse_moment(text) is None]
    if wrong:
        raise UsageProblem(f"--dates {wrong[0]!r}: give dates as 2020, 2020-07 or 2020-07-31")
    return [_Found(each.path, date, "--dates") for each, date in zip(found, dates, strict=True)]


def _date_of(found: _Found, info: RasterInfo) -> tuple[str | None, str]:
    """The date and where it comes from."""
    if found.date is not None:
        return found.date, found.dated_by
    month = _MONTH_IN_NAME.search(info.name)
    if month is not None:
        named = f"{month[1]}-{month[2]}"
        if info.datetime is None or not info.datetime.startswith(named):
            return named, "its name"
    return info.datetime, "its tags or name"


def _labelled(images: list[DatedImage]) -> list[DatedImage]:
    """Labels that differ: the date, with its clock where two images share a day.

    Raises:
        InputError: two images have the same date.
    """
    days = Counter(image.moment.label for image in images)
    labelled = []
    for image in images:
        label = image.moment.label
        if days[label] > 1 and image.moment.clock:
            label += "T" + image.moment.clock.replace(":", "")
        labelled.append(replace(image, label=label))
    same = [label for label, count in Counter(image.label for image in labelled).items() if count > 1]
    if same:
        paths = [image.info.path for image in labelled if image.label == same[0]]
        raise InputError(
            f"{paths[0]} and {paths[1]} have the same date ({same[0]}): merge them (gdal_merge, gdalbuildvrt), leave "
            "one out, or tell their dates with --dates"
        )
    return labelled
