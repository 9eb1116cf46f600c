"""What a detection is told, and what can be refused before a model is loaded."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rsccli.errors import OutputError, UsageProblem
from rsccli.geo.grid import grid_gsd_m
from rsccli.geo.pair import PairOptions
from rsccli.geo.tiles import TilePlan
from rsccli.models.captioner import Detects
from rsccli.output.located import Sheet
from rsccli.output.located_parquet import check_rows_suffix
from rsccli.output.qgis.looks import changes_look
from rsccli.run.caption import CaptionJob, PreparedJob, prepare_inputs, tell_prepared
from rsccli.run.detect.codes import CHANGE, MOST_CLASSES, SCORE_STEPS, Legend
from rsccli.run.detect.folder import work_folder, work_journal
from rsccli.run.detect.rasters import check_raster
from rsccli.run.detect.stitch import check_overlap
from rsccli.run.estimate import estimate
from rsccli.run.metrics.observe import Watched
from rsccli.run.spec import make_spec, spec_hash

LAYER = "changes"
#: What may become of a tile.
DETECT_STATUSES = ("judged", "not_judged", "nodata", "failed")
#: Columns of the polygons, in order.
COLUMNS: dict[str, type] = {
    "class": str,
    "area_m2": float,
    "mean_probability": float,
    "max_probability": float,
    "pixels": int,
    "pre_datetime": str,
    "post_datetime": str,
    "model": str,
    "model_revision": str,
}
#: Smaller changes are left out where nothing is said: one cell of the bundled captioner's network.
LEAST_PX = 16
#: Of a tile: neighbours share so much where nothing else is said.
OVERLAP_SHARE = 0.25
# Side of a superblock, pixels: smaller than a caption run's, as sums of every class are kept beside its pixels.
_BLOCK_PX = 1024
# Over files in full-width strips: pixels of a row of tiles.
_STRIPED_BLOCK_PX = 2 * 2**20


def overlapped(geometry: PairOptions) -> PairOptions:
    """Tiles that share a quarter with their neighbours, where nothing else is said: marks of a mask have no seams."""
    if geometry.stride is not None:
        return geometry
    return replace(geometry, stride=geometry.tile_size - int(OVERLAP_SHARE * geometry.tile_size))


@dataclass(frozen=True)
class DetectJob:
    """One ``rsccli detect``.

    Attributes:
        pair: inputs, geometry and captioner; its output is not used.
        output: polygons, a file, or None for a stream. mask, score: rasters, or None.
        threshold: least probability of a changed pixel, in steps of 0.004.
        classes: names of the classes that are told apart; ``("change",)`` tells none apart; None: all of the detector.
        min_area_m2: smaller polygons are left out; None: those of fewer than 16 pixels.
        simplify_px: how far an outline may move, in pixels of the grid; 0 keeps every pixel's corner.
        judge_anyway: also where the detector says that it should not judge.
        overwrite: replace outputs. resume: go on from what a stopped run has left.
    """

    pair: CaptionJob
    output: Path | None
    mask: Path | None = None
    score: Path | None = None
    threshold: float = 0.5
    classes: tuple[str, ...] | None = None
    min_area_m2: float | None = None
    simplify_px: float = 1.0
    judge_anyway: bool = False
    overwrite: bool = False
    resume: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise UsageProblem(f"--threshold {self.threshold:g}: give a probability above 0, at most 1")
        if self.min_area_m2 is not None and not self.min_area_m2 >= 0:
            raise UsageProblem(f"--min-area {self.min_area_m2:g}: give square metres, 0 or more")
        if not self.simplify_px >= 0:
            raise UsageProblem(f"--simplify {self.simplify_px:g}: give pixels, 0 or more")
        if self.classes is not None and CHANGE in self.classes and len(self.classes) > 1:
            raise UsageProblem(f"--classes {','.join(self.classes)}: {CHANGE} is everything: give it alone")
        self.pair.observe.refuse_stream(self.output)

    @property
    def least_score(self) -> int:
        """The threshold in steps of a score."""
        return max(1, round(SCORE_STEPS * self.threshold))


@dataclass(frozen=True)
class PreparedDetect:
    """A job whose inputs were checked and measured; no model is loaded yet.

    Attributes:
        base: pair, captioner, facts; its plan has the superblocks of a detection.
        min_area_m2: the one that is used.
    """

    job: DetectJob
    base: PreparedJob
    min_area_m2: float

    @property
    def threshold(self) -> float:
        """The one that is used: a whole number of steps."""
        return self.job.least_score / SCORE_STEPS

    @property
    def folder(self) -> Path | None:
        """Where a run keeps what it has not finished, beside the output; None for a stream."""
        output = self.job.output
        return None if output is None else work_folder(output)

    def legend(self, detector: Detects) -> Legend:
        """The classes of the mask.

        Raises:
            UsageProblem: a class that the detector does not know.
        """
        known, wanted = detector.class_names, self.job.classes
        if wanted == (CHANGE,) or (wanted is None and not known):
            return Legend((CHANGE,))
        unknown = [name for name in wanted or () if name not in known]
        if unknown:
            tells = f"it knows {', '.join(known)}" if known else "it tells no classes apart"
            raise UsageProblem(f"--classes {','.join(unknown)}: {self.base.info.name} does not know it; {tells}")
        if len(known) > MOST_CLASSES:
            raise UsageProblem(f"{self.base.info.name} tells {len(known)} classes apart, a mask holds {MOST_CLASSES}")
        return Legend(tuple(name for name in known if wanted is None or name in wanted))

    def sheet(self, legend: Legend) -> Sheet:
        """What all polygons share."""
        told = {
            "threshold": self.threshold,
            "min_area_m2": self.min_area_m2,
            "simplify_px": self.job.simplify_px,
            "classes": list(legend.classes),
            "judge_anyway": self.job.judge_anyway,
        }
        look = changes_look({name: legend.colours[legend.code(name)] for name in legend.classes})
        return Sheet(LAYER, COLUMNS, self.base.facts, {"detect": told}, look)

    def spec(self) -> dict[str, Any]:
        """All that decides the probabilities, as JSON has it; thresholds and areas do not."""
        return {**self.base.spec.to_dict(), "detect": {"judge_anyway": self.job.judge_anyway, "steps": SCORE_STEPS}}

    def result_spec(self) -> dict[str, Any]:
        """All that decides the polygons: a run that is gone on with may have another one than the run that was cut."""
        polygons = {
            "least_score": self.job.least_score,
            "classes": self.job.classes,
            "min_area_m2": self.min_area_m2,
            "simplify_px": self.job.simplify_px,
        }
        return {**self.spec(), "polygons": polygons}

    @property
    def watched(self) -> Watched:
        """The run, for those who tell of it."""
        return Watched(self.job.output, spec_hash(self.result_spec()), self.job.pair.observe, DETECT_STATUSES)

    def plan_facts(self) -> dict[str, Any]:
        """What a run would do and take: JSON values, for ``--dry-run``."""
        plan = self.base.pair.plan
        told = estimate(self.base)
        # Sums of eight classes and their weights, over a row of tiles of one superblock.
        sums_mb = plan.block_cols * plan.stride * plan.tile_size * 9 * 4 / 2**20
        told["expected_memory_mb"] = round(told["expected_memory_mb"] + 2 * sums_mb)
        told.update(
            overlap_px=plan.tile_size - plan.stride,
            threshold=self.threshold,
            min_area_m2=round(self.min_area_m2, 2),
            simplify_px=self.job.simplify_px,
        )
        return told


def prepare_detect(job: DetectJob) -> PreparedDetect:
    """Check the outputs, describe the captioner, prepare the pair.

    Raises:
        UsageProblem, OutputError: outputs that cannot be written. InputError, ModelError: see `prepare_inputs`.
    """
    prepared = prepare_part(job)
    tell_prepared(prepared.base, prepared.watched)
    return prepared


def prepare_part(job: DetectJob) -> PreparedDetect:
    """The same for a run of which the detection is a part, and which tells when it is prepared."""
    check_free(job)
    given = [path.absolute() for path in (job.output, job.mask, job.score) if path is not None]
    if len(set(given)) < len(given):
        raise UsageProblem("polygons, mask and score must be different files")
    base = prepare_inputs(replace(job.pair, output=None))
    if len(base.crew.devices) > 1:
        raise UsageProblem(f"--device {job.pair.captioner.device}: detect runs on one GPU: give one, e.g. cuda:0")
    pair = replace(base.pair, plan=_smaller_blocks(base.pair.plan))
    check_overlap(pair.plan.tile_size, pair.plan.stride)
    spec = make_spec(pair, base.crew, base.batch_size, job.pair.min_valid)
    base = replace(base, pair=pair, spec=spec, facts=replace(base.facts, spec_hash=spec.hash))
    least = job.min_area_m2 if job.min_area_m2 is not None else LEAST_PX * grid_gsd_m(pair.grid) ** 2
    return PreparedDetect(job, base, least)


def check_free(job: DetectJob) -> None:
    """Find out whether all outputs can be written; those of a stopped run of the same command may be replaced.

    Raises:
        UsageProblem, OutputError: outputs that cannot be written.
    """
    started = job.output is not None and job.resume and work_journal(work_folder(job.output)).exists()
    if job.output is not None:
        _check_output(job.output, job.overwrite or started)
    for path, flag in ((job.mask, "--mask"), (job.score, "--score")):
        if path is not None:
            check_raster(path, flag, job.overwrite or started)


def _check_output(path: Path, overwrite: bool) -> None:
    check_rows_suffix(path)
    if path.is_dir():
        raise OutputError(f"{path} is a folder; name a file in it with -o")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists; add --overwrite to replace it, or name another file with -o")
    if not path.parent.is_dir():
        raise OutputError(
            f"the folder {path.parent} of the output does not exist; make it with: mkdir -p {path.parent}"
        )
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise OutputError(f"the folder {path.parent} of the output is not writable; name another one with -o")


def _smaller_blocks(plan: TilePlan) -> TilePlan:
    """The plan in superblocks of a size that leaves room for the sums."""
    if plan.block_rows == 1 and plan.block_cols > 1:
        return replace(plan, block_cols=min(plan.block_cols, max(1, _STRIPED_BLOCK_PX // plan.stride**2)))
    side = max(1, _BLOCK_PX // plan.stride)
    return replace(plan, block_rows=side, block_cols=side)
