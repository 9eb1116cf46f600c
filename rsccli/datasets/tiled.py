"""A pair of GeoTIFFs with outlines of buildings to a data set of the same kind as xBD's: tile by tile.

Alignment, plan and reading are those of ``rsccli caption``; counts and outlines those of its ``--labels``.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from affine import Affine

from rsccli import __version__
from rsccli.datasets.collection.build import DatasetBuild, Unit
from rsccli.datasets.collection.facts import DatasetFacts
from rsccli.datasets.collection.folder import ANNOTATED, IMAGES
from rsccli.datasets.collection.images import Raster, png_bytes, tif_bytes, write_whole
from rsccli.datasets.collection.pair import UNKNOWN_DISASTER, LabelledPair
from rsccli.datasets.collection.problem import Problem
from rsccli.datasets.collection.progress import Progress, silent
from rsccli.errors import StoppedError, UsageProblem
from rsccli.geo.engine import TileFailure, TileRead
from rsccli.geo.footprint import footprints
from rsccli.geo.grid import grid_gsd_m
from rsccli.geo.identity import Watch
from rsccli.geo.pair import PairOptions, PreparedPair, prepare_pair
from rsccli.models.outlines import draw
from rsccli.run.labels import Labels, Rule, read_labels
from rsccli.run.prefetch import read_blocks
from rsccli.run.signals import StopRequest
from rsccli.types import U8, Bool, Tile, TilePair

TileFormat = Literal["tif", "png"]
#: Side of the squares whose tiles are of one place, pixels.
PLACE_PX = 2048


@dataclass(frozen=True)
class TilesJob:
    """One ``rsccli dataset tiles``.

    Attributes:
        pre, post: paths or URLs. labels: vector file with one polygon for each building. output: of the data set.
        geometry: see `PairOptions`. labels_field: column of the levels, or None to find it.
        rule: where a building counts.
        disaster: its type, before the one in the labels. name: of the place, the beginning of every file name.
        form: of the tiles. min_valid: tiles with a smaller share of valid pixels are left out.
        jobs: reader threads; they do not change the result. overwrite: replace a finished data set.
    """

    pre: str
    post: str
    labels: str
    output: Path
    geometry: PairOptions = field(default_factory=lambda: PairOptions(tile_size=512))
    labels_field: str | None = None
    rule: Rule = "centroid"
    disaster: str | None = None
    name: str | None = None
    form: TileFormat = "tif"
    min_valid: float = 0.5
    jobs: int = 2
    overwrite: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.min_valid <= 1:
            raise UsageProblem(f"--min-valid {self.min_valid:g}: give a share from 0 to 1")
        if self.name is not None and not re.fullmatch(r"[\w.+-]+", self.name):
            raise UsageProblem(f"--name {self.name!r}: file names begin with it: give letters, digits, - and _")


@dataclass(frozen=True)
class _Work:
    """What every tile needs."""

    job: TilesJob
    pair: PreparedPair
    labels: Labels
    name: str

    @property
    def dates(self) -> tuple[str | None, str | None]:
        return self.pair.pre.datetime, self.pair.post.datetime


def build_tiles(job: TilesJob, progress: Progress = silent) -> tuple[DatasetFacts, tuple[Problem, ...]]:
    """Make the data set, or go on with one that was cut.

    Returns:
        Facts of the data set, and what was found on the way.

    Raises:
        InputError: images or labels that cannot be used. OutputError: it cannot be written, or something is in the way.
        StoppedError: a signal asked to stop; what is finished is kept.
    """
    pair = prepare_pair(job.pre, job.post, job.geometry)
    labels = read_labels(job.labels, pair.grid, field=job.labels_field, rule=job.rule)
    work = _Work(job, pair, labels, job.name or _stem(pair.pre.name))
    blocks = {f"block {block.index}": block.index for block in pair.plan.blocks()}
    units = [Unit(name, "") for name in blocks]
    notes = [Problem(f"{job.pre}, {job.post}", warning, left_out=False) for warning in pair.warnings]
    notes += [Problem(job.labels, warning, left_out=False) for warning in labels.warnings]
    watch = Watch(pair.identities)
    with StopRequest() as stop, DatasetBuild(job.output, _spec(work), units, job.overwrite) as build:
        total, left = len(pair.plan), build.left()
        old = total - sum(len(pair.plan.block(blocks[unit.name]).tiles) for unit in left)
        if old:
            progress(old, True, total)
        by_block = {blocks[unit.name]: unit for unit in left}
        reads = read_blocks(pair, (pair.plan.block(index) for index in by_block), job.jobs)
        for block, tiles in reads:
            watch.check()
            pairs, problems, skipped = _tiles(work, tiles)
            build.commit(by_block[block.index], pairs, problems, skipped)
            progress(len(block.tiles), False, total)
            if stop.name and build.done < len(units):
                raise StoppedError(f"stopped by {stop.name}; run the same command again to go on")
        watch.check()
        return build.finish("tiles", (job.pre, job.post, job.labels), job.rule, notes)


def _stem(name: str) -> str:
    """Of a file name or an address, fit to begin others with."""
    return re.sub(r"[^\w.+-]+", "_", Path(name.split("?", 1)[0]).stem) or "pair"


def _spec(work: _Work) -> dict[str, Any]:
    pair, job = work.pair, work.job
    plan, grid, tables = pair.plan, pair.grid, pair.survey.radiometry
    return {
        "made by": f"rsccli dataset tiles {__version__}",
        "pre": {"name": pair.pre.name, "identity": pair.pre.identity, "bands": pair.pre.bands},
        "post": {"name": pair.post.name, "identity": pair.post.identity, "bands": pair.post.bands},
        "values": tables.to_json(),
        "nodata": (pair.pre.nodata, pair.post.nodata),
        "shift": pair.shift_px,
        "grid": {"crs": grid.crs, "transform": tuple(grid.transform)[:6], "size": (grid.width, grid.height)},
        "tiles": {"size": plan.tile_size, "stride": plan.stride, "edge": plan.edge},
        "area of interest": None if plan.wanted is None else hashlib.sha256(plan.wanted.tobytes()).hexdigest()[:16],
        "min valid": job.min_valid,
        "labels": work.labels.identity,
        "disaster": job.disaster,
        "name": work.name,
        "format": job.form,
    }


def _tiles(work: _Work, reads: list[TileRead | TileFailure]) -> tuple[list[LabelledPair], list[Problem], int]:
    """Write the tiles of a superblock; returns them, what could not be read, and how many are too empty."""
    pairs, problems, skipped = [], [], 0
    for read in reads:
        if isinstance(read, TileFailure):
            problems.append(Problem(f"tile {read.tile.id}", read.reason))
            continue
        problems += [Problem(f"tile {read.pair.tile.id}", f"reading: {note}", left_out=False) for note in read.notes]
        share = float(read.pair.valid.mean())
        if share == 0 or share < work.job.min_valid:
            skipped += 1
            continue
        pairs.append(_tile(work, read.pair, share))
    return pairs, problems, skipped


def _tile(work: _Work, seen: TilePair, share: float) -> LabelledPair:
    job, tile = work.job, seen.tile
    found = work.labels.of(tile)
    names = [f"{work.name}_{tile.id}_{which}.{job.form}" for which in ("pre", "post")]
    for pixels, name in zip((seen.pre, seen.post), names, strict=True):
        write_whole(job.output / IMAGES / name, _image(work, pixels, seen.valid, tile))
    annotated = f"{IMAGES}/{names[1]}"
    if found.outlines:
        annotated = f"{ANNOTATED}/{names[1]}"
        write_whole(job.output / annotated, _image(work, draw(seen.post, found.outlines), seen.valid, tile))
    pre_date, post_date = work.dates
    grid = work.pair.grid
    return LabelledPair(
        id=f"{work.name}_{tile.id}",
        pre=f"{IMAGES}/{names[0]}",
        post=f"{IMAGES}/{names[1]}",
        annotated=annotated,
        place=_place(work, tile),
        disaster_type=job.disaster or found.disaster or UNKNOWN_DISASTER,
        counts=dict(found.counts),
        count_rule=job.rule,
        counts_from=found.source,
        px_window=tile.px_window,
        gsd_m=round(grid_gsd_m(grid), 4),
        pre_date=pre_date,
        post_date=post_date,
        valid_fraction=round(share, 6),
        footprint=footprints(grid, [tile.px_window])[0].polygons,
    )


def _place(work: _Work, tile: Tile) -> str:
    """Tiles of one place stay on one side of a split: those of a square, and all where tiles share pixels."""
    plan = work.pair.plan
    if plan.stride < plan.tile_size or plan.edge == "shift":
        return work.name
    return f"{work.name} {tile.px_window.row // PLACE_PX} {tile.px_window.col // PLACE_PX}"


def _image(work: _Work, pixels: U8, valid: Bool, tile: Tile) -> bytes:
    if work.job.form == "png":
        return png_bytes(pixels)
    grid = work.pair.grid
    transform = grid.transform @ Affine.translation(tile.px_window.col, tile.px_window.row)
    return tif_bytes(Raster(pixels, grid.crs, transform, mask=None if valid.all() else valid))
