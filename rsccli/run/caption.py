"""A whole run: prepare, resume, loop, write. ``run_caption`` is what the command calls.

The output appears only when it is whole. Until then the journal beside it holds every finished tile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Literal

from rsccli import __version__
from rsccli.errors import InputChangedError, StoppedError, UsageProblem
from rsccli.geo.grid import grid_gsd_m
from rsccli.geo.identity import local_path
from rsccli.geo.pair import PairOptions, PreparedPair, prepare_pair
from rsccli.models.captioner import CaptionerInfo, CaptionerOptions
from rsccli.models.devices import worker_devices
from rsccli.models.registry import DEFAULT_CAPTIONER, describe_captioner, fitting_batch_size
from rsccli.output.features import Feature, build_features
from rsccli.output.report import Pictures, ShownTiles, write_reports
from rsccli.output.report.basemap import Basemap
from rsccli.output.style import write_style
from rsccli.output.summary import Summary, summarise
from rsccli.output.writers import check_output, stream_geojsonseq, write_features
from rsccli.run.captioners import AskingOptions, Crew, LoadedModels, captioner_of, describe_crew, load_crew
from rsccli.run.detect.caption_mask import caption_legend, write_caption_mask
from rsccli.run.detect.rasters import check_raster
from rsccli.run.journal import Journal, journal_batch_size, journal_path
from rsccli.run.loop import caption_tiles
from rsccli.run.phrase import SummaryModel, phrase_summary
from rsccli.run.pictures import pair_pictures, worth_a_look
from rsccli.run.signals import StopRequest
from rsccli.run.spec import RunSpec, make_spec
from rsccli.types import FAILED, RunFacts, Tile, TileRecord

#: (tiles that a step finished, of them from an earlier run): for progress bars.
Progress = Callable[[int, bool], None]
#: Models of a crew for batches of a size: of a series, which loads them once.
Models = Callable[[Crew, int], LoadedModels]


@dataclass(frozen=True)
class CaptionJob:
    """One ``rsccli caption``.

    Attributes:
        pre, post: paths or URLs. output: a file, or None for a stream. geometry: see ``PairOptions``.
        model: name, bundle folder or object path. captioner: how it runs. asking: what it is told beside pixels.
        batch_size: tiles per model call, None for what the model likes, "auto" for what fits into memory.
        min_valid: see ``caption_tiles``.
        jobs: reader threads. overwrite: replace an output. resume: go on from a journal.
        report: write the reports and the style beside the output. summary_model: who phrases its paragraph, or None.
        basemap: a background map of the report, or None.
        mask: a GeoTIFF for the kinds of change of every pixel, or None.
    """

    pre: str
    post: str
    output: Path | None = None
    geometry: PairOptions = field(default_factory=PairOptions)
    model: str = DEFAULT_CAPTIONER
    captioner: CaptionerOptions = field(default_factory=CaptionerOptions)
    asking: AskingOptions = field(default_factory=AskingOptions)
    batch_size: int | Literal["auto"] | None = None
    min_valid: float = 0.1
    jobs: int = 2
    overwrite: bool = False
    resume: bool = True
    report: bool = True
    basemap: Basemap | None = None
    summary_model: SummaryModel | None = None
    mask: Path | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.min_valid <= 1:
            raise UsageProblem(f"--min-valid {self.min_valid:g}: give a share from 0 to 1")
        if self.jobs < 1:
            raise UsageProblem(f"--jobs {self.jobs}: at least 1")
        if isinstance(self.batch_size, int) and self.batch_size < 1:
            raise UsageProblem(f"--batch-size {self.batch_size}: at least 1")
        if self.summary_model is not None and not (self.report and self.output):
            raise UsageProblem("--summary-model phrases a paragraph of the report: write one (-o FILE, no --no-report)")
        if self.mask is not None and self.output is None:
            raise UsageProblem("--mask goes with a map in a file: name one with -o FILE")


@dataclass(frozen=True)
class PreparedJob:
    """A job whose inputs were checked and measured; no model is loaded yet."""

    job: CaptionJob
    pair: PreparedPair
    crew: Crew
    batch_size: int
    spec: RunSpec
    facts: RunFacts

    @property
    def info(self) -> CaptionerInfo:
        """Of the captioner."""
        return self.crew.info

    @property
    def tiles_at_once(self) -> int:
        """Tiles of a batch: as many for each worker as fit."""
        return self.batch_size * len(self.crew.devices)


def prepare_job(job: CaptionJob) -> PreparedJob:
    """Check the output, describe the model, prepare the pair. Everything that can be refused early is refused here."""
    if job.output is not None:
        # A journal is the trace of a cut run of the same command: its output may be replaced.
        replaced = job.overwrite or (job.resume and journal_path(job.output).exists())
        check_output(job.output, replaced)
        if job.mask is not None:
            check_raster(job.mask, "--mask", replaced)
    # A model that cannot be had is told before minutes are spent on measuring a large pair.
    describe_captioner(job.model, replace(job.captioner, device=worker_devices(job.captioner.device)[0]))
    if job.summary_model is not None:
        job.summary_model.describe()
    pair = prepare_pair(job.pre, job.post, job.geometry)
    crew = describe_crew(job.model, job.captioner, job.asking, pair)
    batch_size = _batch_size(job, crew)
    spec = make_spec(pair, crew, batch_size, job.min_valid)
    if job.mask is not None:
        # A journal without masks cannot be gone on with.
        asked = "; ".join(filter(None, (spec.model.asked, "masks")))
        spec = replace(spec, model=replace(spec.model, asked=asked))
    return PreparedJob(job, pair, crew, batch_size, spec, _facts(pair, crew, spec))


def _batch_size(job: CaptionJob, crew: Crew) -> int:
    if job.batch_size != "auto":
        return job.batch_size or crew.info.batch_size
    if job.output is not None and job.resume:
        # What fitted when the run began decides its batches: a resumed run must not choose again.
        started = journal_batch_size(journal_path(job.output))
        if started is not None:
            return started
    return fitting_batch_size(job.model, crew.options, job.geometry.tile_size) or crew.info.batch_size


def run_caption(
    prepared: PreparedJob, progress: Progress = lambda tiles, old: None, models: Models | None = None
) -> Summary:
    """Caption a pair into ``job.output``; go on from a journal where there is one.

    Args:
        models: where loaded models come from; they stay open. Without it they are loaded and closed here.

    Raises:
        StoppedError: a signal asked to stop; the journal is kept.
        InputError, ModelError: see the messages; the journal is kept where there is one.
    """
    job, pair = prepared.job, prepared.pair
    if job.output is None:
        raise UsageProblem("run_caption writes a file: use stream_caption for a stream")
    with StopRequest() as stop, Journal(journal_path(job.output), prepared.spec, fresh=not job.resume) as journal:
        if journal.tiles:
            progress(journal.tiles, True)
        if journal.tiles < len(pair.plan):
            captioner = (
                load_crew(prepared.crew, pair, prepared.batch_size)
                if models is None
                else captioner_of(prepared.crew, pair, models(prepared.crew, prepared.batch_size))
            )
            try:
                batches = caption_tiles(
                    pair,
                    captioner,
                    batch_size=prepared.tiles_at_once,
                    min_valid=job.min_valid,
                    jobs=job.jobs,
                    done=journal.done,
                    masks=job.mask is not None,
                )
                for batch in batches:
                    journal.commit(batch.block, batch.batch, batch.records)
                    progress(len(batch.records), False)
                    if stop.name and journal.tiles < len(pair.plan):
                        batches.close()
                        raise StoppedError(
                            f"stopped by {stop.name} after {journal.tiles} of {len(pair.plan)} tiles; run the same "
                            "command again to go on"
                        )
            finally:
                if models is None:
                    captioner.close()
        summary = _write(prepared, journal)
        journal.remove()
    return summary


def stream_caption(
    prepared: PreparedJob, stream: BinaryIO, progress: Progress = lambda tiles, old: None
) -> dict[str, int]:
    """Caption a pair as GeoJSONSeq on a stream, in the order of superblocks; returns tiles by status."""
    counts: dict[str, int] = {}
    with StopRequest() as stop:

        def results() -> Iterator[tuple[TileRecord, Tile]]:
            for record, tile in _results(prepared, progress):
                counts[record.status] = counts.get(record.status, 0) + 1
                yield record, tile
                if stop.name:
                    raise StoppedError(
                        f"stopped by {stop.name}; a stream cannot be resumed: write a file with -o FILE to be able to"
                    )

        stream_geojsonseq(stream, _in_batches(results(), prepared))
    return counts


def _in_batches(results: Iterator[tuple[TileRecord, Tile]], prepared: PreparedJob) -> Iterator[Feature]:
    """Features as soon as their batch is done, not after the thousands that ``build_features`` gathers."""
    from itertools import islice

    while chunk := list(islice(results, prepared.tiles_at_once)):
        yield from build_features(chunk, prepared.facts)


def caption_pair(
    pre: str | Path,
    post: str | Path,
    *,
    model: str = DEFAULT_CAPTIONER,
    geometry: PairOptions | None = None,
    captioner: CaptionerOptions | None = None,
    batch_size: int | None = None,
    jobs: int = 2,
) -> Iterator[tuple[TileRecord, Tile]]:
    """Caption a pair from Python: tiles come lazily, superblock by superblock.

    Args:
        pre, post: GeoTIFFs (anything that GDAL reads). The rest is as in ``CaptionJob``.

    Yields:
        The result of a tile and its place.
    """
    job = CaptionJob(
        str(pre),
        str(post),
        model=model,
        geometry=geometry or PairOptions(),
        captioner=captioner or CaptionerOptions(),
        batch_size=batch_size,
        jobs=jobs,
    )
    yield from _results(prepare_job(job), lambda tiles, old: None)


def _results(prepared: PreparedJob, progress: Progress) -> Iterator[tuple[TileRecord, Tile]]:
    job, pair = prepared.job, prepared.pair
    captioner = load_crew(prepared.crew, pair, prepared.batch_size)
    try:
        for batch in caption_tiles(
            pair, captioner, batch_size=prepared.tiles_at_once, min_valid=job.min_valid, jobs=job.jobs
        ):
            progress(len(batch.records), False)
            for record in batch.records:
                yield record, pair.plan.tile(record.row, record.col)
    finally:
        captioner.close()


def _write(prepared: PreparedJob, journal: Journal) -> Summary:
    job, pair, facts = prepared.job, prepared.pair, prepared.facts
    assert job.output is not None

    def features() -> Iterator[Feature]:
        return build_features(((r, pair.plan.tile(r.row, r.col)) for r in journal.records()), facts)

    write_features(job.output, features(), facts, _newest_input(pair))
    if job.mask is not None:
        write_caption_mask(job.mask, pair.plan, journal.records(), caption_legend(prepared.info), facts)
    shown = ShownTiles()
    summary = phrase_summary(summarise(shown.of(features()), facts), job.summary_model)
    if job.report:
        tiles = shown.strongest()
        try:
            pictures = pair_pictures(pair, [tile.tile_id for tile in summary.ranked], worth_a_look(tiles), job.mask)
        except InputChangedError:
            pictures = Pictures(notes=("The images are not shown: one of them was replaced after it was captioned.",))
        write_reports(job.output, summary, facts, pictures, tiles, job.basemap)
        write_style(job.output)
    return summary


def _newest_input(pair: PreparedPair) -> str:
    """For formats that must carry a date of writing: the newer input's, so that equal runs write equal bytes."""
    local = [local_path(info.path) for info in (pair.pre, pair.post)]
    times = [Path(path).stat().st_mtime for path in local if path is not None and Path(path).exists()]
    newest = datetime.fromtimestamp(max(times, default=0), UTC)
    return newest.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _facts(pair: PreparedPair, crew: Crew, spec: RunSpec) -> RunFacts:
    info = crew.info
    pre, post = pair.facts()
    gsd = grid_gsd_m(pair.grid)
    warnings = list(pair.warnings)
    if info.gsd_m is not None and not info.gsd_m[0] <= gsd <= info.gsd_m[1]:
        warnings.append(
            f"the grid has {gsd:.2g} m per pixel; {info.name} was made for {info.gsd_m[0]:g} to {info.gsd_m[1]:g} m: "
            "its captions are not to be trusted here"
        )
    limits = list(info.limits)
    if crew.labels is not None:
        warnings += crew.labels.warnings
        limits.append(f"Its prompt ({info.prompt}) tells it counts from {crew.labels.source}: it repeats them.")
    if crew.screen is not None and crew.asked.from_mask:
        limits.append(f"Its prompt ({info.prompt}) tells it counts from the mask of {crew.screen.name}.")
    if crew.screen is not None and crew.asked.skip_unchanged:
        limits.append(
            f"Tiles that {crew.screen.name} calls unchanged were not captioned by {info.name}; every change_score is "
            f"that of {crew.screen.name} {crew.screen.revision}."
        )
    return RunFacts(
        version=__version__,
        pre=pre,
        post=post,
        grid=pair.grid,
        gsd_m=gsd,
        tile_size=pair.plan.tile_size,
        stride=pair.plan.stride,
        edge=pair.plan.edge,
        tiles=len(pair.plan),
        registration=pair.registration,
        radiometry=pair.survey.radiometry.text,
        model=info.name,
        model_revision=info.revision,
        spec_hash=spec.hash,
        limits=tuple(limits),
        warnings=tuple(warnings),
    )


def failed_tiles(summary: Summary) -> int:
    """Tiles that could not be read or captioned."""
    return sum(count for status, count in summary.by_status if status in FAILED)
