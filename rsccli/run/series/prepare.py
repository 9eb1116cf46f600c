"""A series, checked and measured: images, one grid, pairs; no model is loaded and nothing is written yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from rsccli import __version__
from rsccli.errors import OutputError, UsageProblem
from rsccli.geo.grid import common_grid, grid_gsd_m
from rsccli.geo.pair import PairOptions, grid_options
from rsccli.models.captioner import CaptionerInfo
from rsccli.models.devices import worker_devices
from rsccli.models.registry import describe_captioner, fitting_batch_size
from rsccli.output.timeline.facts import SeriesImage
from rsccli.output.timeline.pairs import PairChoice, SeriesPair, choose_pairs
from rsccli.output.writers import WRITERS
from rsccli.run.caption import CaptionJob
from rsccli.run.contents import name_and_content
from rsccli.run.series.images import DatedImage, find_images
from rsccli.types import Grid

JOURNAL = "series.journal"
TIMELINE = "timeline.geojson"
#: A common area smaller than this share of the first image is worth a warning.
_SMALL_SHARE = 0.5


@dataclass(frozen=True)
class SeriesJob:
    """One ``rsccli caption`` of a series.

    Attributes:
        images: as typed. folder: of all outputs. pairs: which are compared.
        dates: of the images, or None to read them. asset: of a STAC collection.
        template: how every pair is captioned; its pre, post and output do not matter.
    """

    images: tuple[str, ...]
    folder: Path
    template: CaptionJob
    pairs: PairChoice = "both"
    dates: tuple[str, ...] | None = None
    asset: str | None = None


@dataclass(frozen=True, eq=False)
class PreparedSeries:
    """A series whose inputs were checked.

    Attributes:
        images: in the order of their dates. grid: of all pairs. pairs: in the order in which they are captioned.
        info: of the captioner. batch_size: of every pair. warnings: of the series as a whole.
        spec: all that decides the result, for the journal.
    """

    job: SeriesJob
    images: tuple[DatedImage, ...]
    grid: Grid
    pairs: tuple[SeriesPair, ...]
    info: CaptionerInfo
    batch_size: int
    warnings: tuple[str, ...]
    spec: dict[str, Any]

    def output(self, pair: SeriesPair) -> Path:
        """Where the map of a pair is written."""
        return self.job.folder / f"{pair.label}.geojson"

    def pair_job(self, pair: SeriesPair) -> CaptionJob:
        """The job of one pair, on the grid of the series."""
        pre, post = self.images[pair.pre], self.images[pair.post]
        geometry = self.job.template.geometry
        return replace(
            self.job.template,
            pre=pre.info.path,
            post=post.info.path,
            output=self.output(pair),
            geometry=replace(
                geometry,
                grid=self.grid,
                pre=replace(geometry.pre, datetime=pre.moment.iso),
                post=replace(geometry.post, datetime=post.moment.iso),
            ),
            batch_size=self.batch_size,
            # The journal of the series says which outputs are of this series.
            overwrite=True,
        )

    def image_facts(self) -> tuple[SeriesImage, ...]:
        """The images for the timeline."""
        return tuple(SeriesImage(i.info.path, i.info.name, i.moment, i.dated_by) for i in self.images)


def prepare_series(job: SeriesJob) -> PreparedSeries:
    """Find and date the images, choose grid and pairs, and refuse early what must be refused.

    Raises:
        InputError: see `find_images`; no common ground. OutputError: the folder cannot be used.
        UsageProblem, ModelError: as for a pair.
    """
    if job.folder.suffix.lower() in WRITERS or str(job.folder) == "-":
        raise UsageProblem(f"-o {job.folder}: a series writes many files: name a folder, e.g. -o series")
    template = job.template
    options = replace(template.captioner, device=worker_devices(template.captioner.device)[0])
    info = describe_captioner(template.model, options)
    if template.summary_model is not None:
        template.summary_model.describe()
    images = find_images(job.images, template.geometry.pre, job.dates, job.asset)
    grid = common_grid([image.info for image in images], grid_options(template.geometry))
    pairs = choose_pairs([image.moment for image in images], [image.label for image in images], job.pairs)
    batch_size = template.batch_size
    if batch_size == "auto":
        started = _started_batch_size(job.folder / JOURNAL) if template.resume else None
        fitting = fitting_batch_size(template.model, options, template.geometry.tile_size)
        batch_size = started or fitting or info.batch_size
    series = PreparedSeries(
        job,
        tuple(images),
        grid,
        pairs,
        info,
        batch_size or info.batch_size,
        tuple(_warnings(job, images, grid)),
        {},
    )
    series = replace(series, spec=_spec(series))
    _check_folder(series)
    return series


def _warnings(job: SeriesJob, images: Sequence[DatedImage], grid: Grid) -> list[str]:
    found = []
    first = images[0].info
    own = first.width * first.height * first.gsd_m[0] * first.gsd_m[1]
    share = grid.width * grid.height * grid_gsd_m(grid) ** 2 / own
    if share < _SMALL_SHARE and not (job.template.geometry.bbox or job.template.geometry.aoi):
        found.append(f"all images together cover {share:.0%} of {first.name} alone: only that is compared")
    if any(image.moment.month is None for image in images):
        found.append("the month of an image is not known: what comes and goes with the season cannot be told")
    return found


def _check_folder(series: PreparedSeries) -> None:
    """Whether the folder can be written, and holds nothing that would be lost."""
    folder, template = series.job.folder, series.job.template
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file: a series writes a folder; name another with -o")
    if not folder.parent.is_dir():
        raise OutputError(f"the folder {folder.parent} does not exist; make it with: mkdir -p {folder.parent}")
    going_on = template.resume and (folder / JOURNAL).exists()
    if going_on or template.overwrite or not folder.exists():
        return
    there = [path for path in (folder / TIMELINE, *(series.output(pair) for pair in series.pairs)) if path.exists()]
    if there:
        raise OutputError(f"{there[0]} exists; add --overwrite to replace it, or name another folder with -o")


def _spec(series: PreparedSeries) -> dict[str, Any]:
    """All that decides the result; two series with equal specs write the same files."""
    template = series.job.template
    captioner = asdict(replace(template.captioner, threads=None))
    return {
        "version": __version__,
        "images": {image.label: [image.info.name, image.info.identity, image.moment.iso] for image in series.images},
        "pairs": [pair.label for pair in series.pairs],
        "geometry": _geometry(template.geometry, series.grid),
        "model": {"name": series.info.name, "revision": series.info.revision},
        "captioner": {**captioner, "prompt": name_and_content(template.captioner.prompt)},
        "asking": {**asdict(template.asking), "labels": name_and_content(template.asking.labels)},
        "batch_size": series.batch_size,
        "min_valid": template.min_valid,
        "report": template.report,
        "summary_model": None if template.summary_model is None else template.summary_model.model,
    }


def _geometry(options: PairOptions, grid: Grid) -> dict[str, Any]:
    made = asdict(replace(options, cache_mb=0, grid=None))
    made["aoi"] = name_and_content(options.aoi)
    made["grid"] = [grid.crs, *(float(v) for v in tuple(grid.transform)[:6]), grid.width, grid.height]
    return made


def _started_batch_size(journal: Path) -> int | None:
    """What a cut run of the series began with."""
    try:
        with journal.open("rb") as file:
            size = orjson.loads(file.readline())["spec"]["batch_size"]
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError):
        return None
    return size if isinstance(size, int) else None
