"""One xBD image pair to parts: images, the annotated later date, counts."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rsccli.datasets.collection.folder import ANNOTATED, IMAGES
from rsccli.datasets.collection.images import TIF, Raster, png_bytes, tif_bytes, write_whole
from rsccli.datasets.collection.pair import LabelledPair
from rsccli.datasets.collection.problem import Problem
from rsccli.datasets.xbd.disasters import DisasterMap
from rsccli.datasets.xbd.find import ImagePair
from rsccli.datasets.xbd.image import SourceImage, footprint_of, gsd_of, open_image
from rsccli.datasets.xbd.label import XbdLabel, read_date, read_label
from rsccli.datasets.xbd.parts import parts_of
from rsccli.errors import InputError
from rsccli.geo.lut import Lut
from rsccli.geo.pair import PairOptions, prepare_pair
from rsccli.geo.raster import RasterOptions
from rsccli.models.outlines import draw
from rsccli.run.labels import Rule
from rsccli.types import U8, PxWindow, Tile

ImageFormat = Literal["keep", "png"]


@dataclass(frozen=True)
class CutOptions:
    """How parts are made.

    Attributes:
        folder: of the data set. rule: where a building counts. disasters: what they are called.
        form: ``keep`` (a GeoTIFF gives GeoTIFFs) or ``png``. bands: of GeoTIFFs, read as red, green, blue.
    """

    folder: Path
    rule: Rule
    disasters: DisasterMap
    form: ImageFormat = "keep"
    bands: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Cut:
    """The parts of one pair, and what is worth knowing of it."""

    pairs: tuple[LabelledPair, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class _Date:
    """One date being cut."""

    image: SourceImage
    table: Lut | None
    bands: tuple[int, ...] | None

    def colours(self, window: PxWindow) -> U8:
        return self.image.colours(window, self.table, self.bands)


def cut_pair(source: ImagePair, options: CutOptions) -> Cut:
    """Write the parts of a pair.

    Raises:
        InputError: an image or the label cannot be used. OutputError: a part cannot be written.
    """
    with ExitStack() as stack:
        pre, post = (stack.enter_context(open_image(path, options.bands)) for path in (source.pre, source.post))
        for image in (pre, post):
            try:
                parts = parts_of(*image.size_px)
            except InputError as error:
                raise InputError(f"{image.path}: {error}") from None
        if pre.size_px != post.size_px:
            raise InputError(
                f"{post.path}: it has {post.size_px[0]}x{post.size_px[1]} pixels, {pre.path.name} "
                f"{pre.size_px[0]}x{pre.size_px[1]}"
            )
        label = read_label(source.label, post.size_px, options.rule)
        notes = [Problem(source.label.name, note, left_out=False) for note in label.notes]
        pre_date, problems = _pre_date(source)
        dates = _dates(pre, post, options.bands)
        pairs = tuple(_part(source, dates, label, tile, pre_date, options) for tile in parts)
        return Cut(pairs, (*notes, *problems))


def _pre_date(source: ImagePair) -> tuple[str | None, list[Problem]]:
    if source.pre_label is None:
        return None, []
    try:
        return read_date(source.pre_label), []
    except InputError as error:
        # Nothing but a date is taken from it.
        return None, [Problem(source.pre_label.name, f"its date is not known: {error}", left_out=False)]


def _dates(pre: SourceImage, post: SourceImage, bands: tuple[int, ...] | None) -> tuple[_Date, _Date]:
    """Both dates, with lookup tables where they are not 8-bit: those of a run over this pair."""
    if pre.is_8bit and post.is_8bit:
        return _Date(pre, None, None), _Date(post, None, None)
    raster = RasterOptions(bands=bands)
    pair = prepare_pair(pre.path, post.path, PairOptions(pre=raster, post=raster))
    tables = pair.survey.radiometry
    return _Date(pre, tables.pre, pair.pre.bands), _Date(post, tables.post, pair.post.bands)


def _part(
    source: ImagePair,
    dates: tuple[_Date, _Date],
    label: XbdLabel,
    tile: Tile,
    pre_date: str | None,
    options: CutOptions,
) -> LabelledPair:
    window = tile.px_window
    keep = options.form == "keep" and source.pre.suffix.lower() in TIF
    suffix = ".tif" if keep else ".png"
    names = [f"{source.id}_{which}_disaster_{tile.id}{suffix}" for which in ("pre", "post")]
    for date, name in zip(dates, names, strict=True):
        data = tif_bytes(date.image.raster(window)) if keep else png_bytes(date.colours(window))
        write_whole(options.folder / IMAGES / name, data)
    found = label.labels.of(tile)
    post = f"{IMAGES}/{names[1]}"
    annotated = post
    if found.outlines:
        annotated = f"{ANNOTATED}/{names[1]}"
        drawn = draw(dates[1].colours(window), found.outlines)
        data = png_bytes(drawn)
        if keep:
            place = dates[1].image.raster(window)
            data = tif_bytes(Raster(drawn, place.crs, place.transform))
        write_whole(options.folder / annotated, data)
    grid = dates[0].image.grid
    return LabelledPair(
        id=f"{source.id}_{tile.id}",
        pre=f"{IMAGES}/{names[0]}",
        post=post,
        annotated=annotated,
        place=source.id,
        disaster_type=options.disasters.type_of(label.event or source.event, label.disaster_type),
        counts=dict(found.counts),
        count_rule=options.rule,
        counts_from=found.source,
        px_window=window,
        split=source.split,
        event=label.event or source.event,
        gsd_m=gsd_of(dates[0].image) or label.gsd_m,
        pre_date=pre_date,
        post_date=label.date,
        footprint=None if grid is None else footprint_of(grid, window).polygons,
    )
