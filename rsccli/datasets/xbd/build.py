"""A whole xBD folder to a data set: pair by pair, in threads, each damaged one alone."""

from __future__ import annotations

import os
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

import rasterio

from rsccli import __version__
from rsccli.datasets.collection.build import DatasetBuild, Unit
from rsccli.datasets.collection.facts import DatasetFacts
from rsccli.datasets.collection.problem import Problem
from rsccli.datasets.collection.progress import Progress, silent
from rsccli.datasets.xbd.cut import Cut, CutOptions, ImageFormat, cut_pair
from rsccli.datasets.xbd.disasters import read_disasters
from rsccli.datasets.xbd.find import ImagePair, find_pairs
from rsccli.errors import InputError, OutputError, StoppedError
from rsccli.geo.identity import identify
from rsccli.geo.raster import gdal_options
from rsccli.geo.reader import listen_to_gdal
from rsccli.run.labels import Rule
from rsccli.run.signals import StopRequest


@dataclass(frozen=True)
class XbdJob:
    """One ``rsccli dataset xbd``.

    Attributes:
        folder: of xBD. output: of the data set. rule: where a building counts. form: see `CutOptions`.
        disasters: a file that adds to the types of disaster, or None. bands: of GeoTIFFs.
        jobs: threads; they do not change the result. overwrite: replace a finished data set.
    """

    folder: Path
    output: Path
    rule: Rule = "centroid"
    form: ImageFormat = "keep"
    disasters: Path | None = None
    bands: tuple[int, ...] | None = None
    jobs: int = 2
    overwrite: bool = False


def build_xbd(job: XbdJob, progress: Progress = silent) -> tuple[DatasetFacts, tuple[Problem, ...]]:
    """Make the data set, or go on with one that was cut.

    Returns:
        Facts of the data set, and what was found on the way.

    Raises:
        InputError: there is nothing to use. OutputError: it cannot be written, or something is in the way.
        StoppedError: a signal asked to stop; what is finished is kept.
    """
    disasters = read_disasters(job.disasters)
    if job.output.resolve() == job.folder.resolve():
        raise OutputError(f"{job.output} is the folder of xBD itself; name another one with -o")
    found = find_pairs(job.folder)
    pairs = {pair.name: pair for pair in found.pairs}
    options = CutOptions(job.output, job.rule, disasters, job.form, job.bands)
    spec = {
        "made by": f"rsccli dataset xbd {__version__}",
        "count rule": job.rule,
        "format": job.form,
        "bands": job.bands,
        "disaster types": disasters.digest,
    }
    listen_to_gdal()
    units = [Unit(pair.name, _identity(pair)) for pair in found.pairs]
    with StopRequest() as stop, DatasetBuild(job.output, spec, units, job.overwrite) as build:
        if build.done:
            progress(build.done, True, len(units))
        todo = iter(build.left())
        with ThreadPoolExecutor(max(1, job.jobs), "rsccli-xbd") as pool:
            running: dict[Future[Cut], Unit] = {}
            while True:
                while len(running) < 2 * job.jobs and not stop.name and (unit := next(todo, None)):
                    running[pool.submit(_cut, pairs[unit.name], options)] = unit
                if not running:
                    break
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    unit = running.pop(future)
                    cut = future.result()
                    build.commit(unit, cut.pairs, cut.problems)
                    progress(1, False, len(units))
        if stop.name and build.done < len(units):
            raise StoppedError(
                f"stopped by {stop.name} after {build.done} of {len(units)} image pairs; run the same command again "
                "to go on"
            )
        return build.finish("xbd", (str(job.folder),), job.rule, found.problems)


def _cut(source: ImagePair, options: CutOptions) -> Cut:
    """Cut one pair; what is wrong with it is told, and costs no other."""
    try:
        with rasterio.Env(**gdal_options(16)):
            return cut_pair(source, options)
    except OutputError:
        raise
    except InputError as error:
        return Cut((), (Problem(source.name, str(error)),))


def _identity(pair: ImagePair) -> str:
    """Of all files of a pair; changes when one is mended."""
    files = (pair.pre, pair.post, pair.label, *([pair.pre_label] if pair.pre_label else []))
    told = []
    for path in files:
        try:
            told.append(f"{path.name} {identify(str(path))}")
        except InputError:
            told.append(f"{path.name} {os.path.basename(path)} unreadable")
    return "; ".join(told)
