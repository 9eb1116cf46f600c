"""A whole detection: look at every tile, then trace polygons and write them with their rasters.

Outputs appear when they are whole, the polygons last. Until then everything lies in a hidden folder beside them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import rasterio
from rasterio.windows import Window

from rsccli.errors import OutputError, StoppedError, UsageProblem
from rsccli.models.captioner import Detects
from rsccli.models.registry import load_captioner
from rsccli.output.located import Located, stream_located
from rsccli.output.located_parquet import write_rows
from rsccli.output.writers.atomic import sync
from rsccli.run.caption import Progress
from rsccli.run.detect.codes import CHANGE, NOT_JUDGED, SCORE_STEPS, Legend
from rsccli.run.detect.folder import work_journal
from rsccli.run.detect.found import Found, Kind
from rsccli.run.detect.ground import F64, pixel_areas_m2
from rsccli.run.detect.job import PreparedDetect, check_free
from rsccli.run.detect.place import place_regions
from rsccli.run.detect.polygons import Region, Tracer
from rsccli.run.detect.rasters import WorkRaster, run_tags, told, write_mask, write_score
from rsccli.run.detect.scan import block_counts, row_file, scan, tiles_before
from rsccli.run.line_journal import LineJournal
from rsccli.run.lock import OutputLock
from rsccli.run.metrics.meter import Meter, metered
from rsccli.run.metrics.observe import Watched
from rsccli.run.signals import StopRequest
from rsccli.stages import STAGES, stage
from rsccli.types import U8, PxWindow

# Columns that are traced at once.
_WINDOW_PX = 2048


def run_detect(prepared: PreparedDetect, progress: Progress = lambda tiles, old: None) -> Found:
    """Detect into ``job.output``; go on from what a stopped run has left.

    Raises:
        StoppedError: a signal asked to stop. UsageProblem: the captioner cannot detect, or not what was asked for.
        InputError, ModelError: see the messages.
    """
    with detected(prepared, prepared.watched, progress) as found:
        return found


@contextmanager
def detected(prepared: PreparedDetect, watched: Watched, progress: Progress) -> Iterator[Found]:
    """Detect into ``job.output``, see `run_detect`, for a run that goes on with its polygons.

    Args:
        watched: the run; it is told to be finished when the block is.
    """
    job, folder = prepared.job, prepared.folder
    if job.output is None or folder is None:
        raise UsageProblem("run_detect writes a file: use stream_detect for a stream")
    with StopRequest() as stop, OutputLock(job.output):
        # Once more, now that nobody else writes: another process may have finished this output in the meantime.
        check_free(job)
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder}: cannot be made: {error.strerror}. Choose another place with -o") from error
        with (
            _journal(prepared, folder) as journal,
            _metered(prepared, watched, journal) as meter,
        ):
            yield _detect_into(prepared, journal, job.output, stop, progress, meter)


def _metered(prepared: PreparedDetect, watched: Watched, journal: LineJournal) -> AbstractContextManager[Meter]:
    base = prepared.base
    return metered(base, watched, watched.output, len(base.pair.plan), tiles_before(journal))


def _detect_into(
    prepared: PreparedDetect, journal: LineJournal, output: Path, stop: StopRequest, progress: Progress, meter: Meter
) -> Found:
    """The same with the lock held."""
    folder = journal.path.parent
    part = folder / output.name
    try:
        seen = _look(prepared, journal, stop, progress, meter)
    except BaseException:
        if not journal.entries:
            # Nothing to go on from.
            shutil.rmtree(folder, ignore_errors=True)
        raise
    with stage("write"):
        with _rasters(prepared, folder, seen.legend) as rasters:
            write_rows(part, _rows(prepared, folder, seen, rasters, stop), prepared.sheet(seen.legend))
        try:
            os.replace(part, output)
            sync(output.parent)
        except OSError as error:
            raise OutputError(f"cannot write {output}: {error.strerror}; name another place with -o") from error
    shutil.rmtree(folder, ignore_errors=True)
    return seen.found


def stream_detect(prepared: PreparedDetect, stream: BinaryIO, progress: Progress = lambda tiles, old: None) -> Found:
    """The same as GeoJSON lines on a stream; they begin when every tile was seen."""
    with tempfile.TemporaryDirectory(prefix="rsccli-detect-") as name, StopRequest() as stop:
        folder = Path(name)
        with _journal(prepared, folder) as journal, _metered(prepared, prepared.watched, journal) as meter:
            seen = _look(prepared, journal, stop, progress, meter)
            with _rasters(prepared, folder, seen.legend) as rasters:
                rows = _rows(prepared, folder, seen, rasters, stop)
                stream_located(stream, rows, prepared.sheet(seen.legend))
    return seen.found


@dataclass(frozen=True)
class _Seen:
    """What stands when every tile was seen.

    Attributes:
        codes: code of the mask of each class of the detector, (256,), by its place.
    """

    found: Found
    legend: Legend
    codes: U8


@dataclass(frozen=True)
class _Rasters:
    """Work files of the rasters that are wanted."""

    mask: WorkRaster | None
    score: WorkRaster | None


def _journal(prepared: PreparedDetect, folder: Path) -> LineJournal:
    told = {"planned": len(prepared.base.pair.plan)}
    return LineJournal(work_journal(folder), prepared.spec(), not prepared.job.resume, "--no-resume", told)


def _look(prepared: PreparedDetect, journal: LineJournal, stop: StopRequest, progress: Progress, meter: Meter) -> _Seen:
    """Let the model see what it has not seen."""
    base = prepared.base
    begun = time.perf_counter()
    captioner = load_captioner(base.job.model, base.crew.options)
    seconds = time.perf_counter() - begun
    STAGES.add("load", seconds)
    try:
        if not isinstance(captioner, Detects):
            raise UsageProblem(
                f"{base.info.name} does not tell which pixels changed: take another one, -m rsccli-small"
            )
        longest, size = captioner.longest_tile_px, base.pair.plan.tile_size
        if longest is not None and size > longest:
            raise UsageProblem(
                f"--tile-size {size}: {base.info.name} sees {longest} pixels at once, and borders would show inside of "
                f"longer tiles: give at most {longest}"
            )
        legend, names = prepared.legend(captioner), captioner.class_names
        meter.loaded(seconds)
        looked = scan(prepared, captioner, journal, stop, progress, meter)
    finally:
        captioner.close()
    codes = np.zeros(256, np.uint8)
    binary = legend.classes == (CHANGE,)
    for place, name in enumerate(names or (CHANGE,), 1):
        if binary or name in legend.classes:
            codes[place] = 1 if binary else legend.code(name)
    return _Seen(Found(looked, {name: Kind() for name in legend.classes}), legend, codes)


@contextmanager
def _rasters(prepared: PreparedDetect, folder: Path, legend: Legend) -> Iterator[_Rasters]:
    """Work files to fill; on success they become the rasters."""
    job, grid = prepared.job, prepared.base.pair.grid
    tags = run_tags(prepared.base.facts)
    mask = WorkRaster(folder / "mask.tif", grid) if job.mask else None
    score = WorkRaster(folder / "score.tif", grid) if job.score else None
    try:
        yield _Rasters(mask, score)
    finally:
        for raster in (mask, score):
            if raster is not None:
                raster.close()
    if job.mask is not None:
        threshold = {"RSCCLI_THRESHOLD": f"{prepared.threshold:g}"}
        write_mask(folder / "mask.tif", job.mask, legend, tags | threshold)
    if job.score is not None:
        write_score(folder / "score.tif", job.score, tags)


def _rows(
    prepared: PreparedDetect, folder: Path, seen: _Seen, rasters: _Rasters, stop: StopRequest
) -> Iterator[Located]:
    """Trace the finished pixels window by window; the rasters are filled on the way."""
    grid, found = prepared.base.pair.grid, seen.found
    tracer = Tracer(grid, prepared.min_area_m2, found.dropped)
    top = 0
    for block_row in range(block_counts(prepared.base.pair.plan)[0]):
        with told(row_file(folder, block_row)), rasterio.open(row_file(folder, block_row)) as file:
            for left in range(0, grid.width, _WINDOW_PX):
                if stop.name:
                    raise StoppedError(
                        f"stopped by {stop.name} while polygons were traced; run the same command again: what the "
                        "model saw is kept"
                    )
                window = PxWindow(left, top, min(_WINDOW_PX, grid.width - left), file.height)
                score, kind = file.read(window=Window(left, 0, window.width, window.height))
                mask = _mask(score, kind, seen.codes, prepared.job.least_score)
                found.judged_px += int((kind < NOT_JUDGED).sum())
                found.not_judged_px += int((kind == NOT_JUDGED).sum())
                if rasters.mask is not None:
                    rasters.mask.write(window, mask)
                if rasters.score is not None:
                    rasters.score.write(window, score)
                traced = np.where(mask >= NOT_JUDGED, 0, mask).astype(np.uint8)
                areas = _areas(prepared, window, traced)
                yield from _located(prepared, seen, list(tracer.add(window, traced, score, areas)))
            top += file.height


def _mask(score: U8, kind: U8, codes: U8, least: int) -> U8:
    """Codes of the mask: of the classes where the score reaches the least one, 254 and 255 as they are."""
    judged = kind < NOT_JUDGED
    changed = judged & (score >= least) & (score <= SCORE_STEPS)
    return np.where(changed, codes[kind], np.where(judged, 0, kind)).astype(np.uint8)


def _areas(prepared: PreparedDetect, window: PxWindow, traced: U8) -> F64:
    """Area of each pixel; nothing is worked out where nothing is traced."""
    if not traced.any():
        return np.zeros(traced.shape)
    return pixel_areas_m2(prepared.base.pair.grid, window)


def _located(prepared: PreparedDetect, seen: _Seen, regions: list[Region]) -> Iterator[Located]:
    """Rows of finished regions."""
    if not regions:
        return
    facts = prepared.base.facts
    for region, polygons, bbox in place_regions(facts.grid, regions, prepared.job.simplify_px):
        name = seen.legend.classes[region.code - 1]
        kind = seen.found.classes[name]
        kind.polygons += 1
        kind.area_m2 += region.area_m2
        row, col = region.first
        yield Located(
            f"y{row:06d}x{col:06d}",
            polygons,
            bbox,
            (
                name,
                round(region.area_m2, 2),
                round(region.score_sum / region.pixels / SCORE_STEPS, 4),
                round(region.score_max / SCORE_STEPS, 4),
                region.pixels,
                facts.pre.datetime,
                facts.post.datetime,
                facts.model,
                facts.model_revision,
            ),
        )
