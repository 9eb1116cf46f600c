"""The pairs that a probe looks at: where they come from, what is known of them, and which of them are taken.

A pair is a line of a file of pairs, two images in a folder, or a tile of two large rasters. Pixels are read when they
are needed, so that memory does not grow with the number of pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from rsccli.errors import InputError, UsageProblem
from rsccli.evaluation.probes.images import FileImages, TileImages
from rsccli.evaluation.probes.listing import Listed, is_listing, read_listing
from rsccli.geo.engine import TileFailure
from rsccli.geo.pair import PairOptions, prepare_pair
from rsccli.geo.tiles import Superblock
from rsccli.models.large.answer import status_of
from rsccli.types import TilePair

LIMIT, SEED = 200, 0


@dataclass(frozen=True)
class PairLabel:
    """What is known of a pair beside its pixels.

    Attributes:
        name: unique in its set. place: pairs of one place are drawn together for intervals.
        region: for `domain`. changed: whether it changed, None where nobody says. captions: of people, may be empty.
        split: ``train``, ``val``, ``test`` or what its file calls it; None: it does not say.
    """

    name: str
    place: str
    region: str
    changed: bool | None = None
    captions: tuple[str, ...] = ()
    split: str | None = None


class Images(Protocol):
    """Where the pixels of a pair are."""

    def read(self) -> TilePair:
        """Read both dates, aligned.

        Raises:
            InputError: they cannot be read.
        """
        ...


@dataclass(frozen=True)
class Pair:
    """A pair that a probe may look at."""

    label: PairLabel
    images: Images


@dataclass(frozen=True)
class PairSet:
    """The pairs of a probe.

    Attributes:
        pairs: in the order of their sources. found: how many there were before some were drawn.
        inputs: what the user named. notes: what a reader should know.
    """

    pairs: tuple[Pair, ...]
    found: int
    inputs: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[PairLabel, ...]:
        """Of every pair."""
        return tuple(pair.label for pair in self.pairs)


@dataclass(frozen=True)
class PairChoice:
    """Which pairs are taken, and how they are read.

    Attributes:
        limit: most pairs, drawn with ``seed``; 0: all. split: only those of this split. regions: only of these.
        gsd_m: metres per pixel of images without a georeference that do not say theirs.
        geometry: of georeferenced images. min_valid: tiles with a smaller share of valid pixels are left out.
        references: captions of people for pairs whose file has none, see `rsccli.evaluation.records`.
    """

    limit: int = LIMIT
    seed: int = SEED
    split: str | None = None
    regions: tuple[str, ...] = ()
    gsd_m: float | None = None
    geometry: PairOptions = field(default_factory=PairOptions)
    min_valid: float = 0.1
    references: Path | None = None

    def __post_init__(self) -> None:
        if self.limit < 0:
            raise UsageProblem(f"--limit {self.limit}: give the largest number of pairs, or 0 for all")
        if self.gsd_m is not None and not self.gsd_m > 0:
            raise UsageProblem(f"--gsd {self.gsd_m:g}: give metres per pixel, above 0")
        if not 0 <= self.min_valid <= 1:
            raise UsageProblem(f"--min-valid {self.min_valid:g}: give a share from 0 to 1")


def find_pairs(inputs: Sequence[str], choice: PairChoice) -> PairSet:
    """Find the pairs of what a user named.

    Args:
        inputs: files or folders of pairs, or exactly two rasters (before, after).

    Raises:
        InputError: nothing there, or not usable. UsageProblem: neither files of pairs nor two rasters.
    """
    listings = [is_listing(Path(each)) for each in inputs]
    if inputs and all(listings):
        return _listed([Path(each) for each in inputs], choice)
    if len(inputs) == 2 and not any(listings):
        if choice.references is not None:
            raise UsageProblem("--references joins captions to listed pairs: tiles of two rasters have none")
        return _tiled(inputs[0], inputs[1], choice)
    raise UsageProblem(
        f"{' '.join(inputs) or 'nothing'}: give files of pairs (.csv, .json, .jsonl) or folders with one, or two "
        "rasters, before and after"
    )


def _listed(paths: Sequence[Path], choice: PairChoice) -> PairSet:
    listed, notes = [], []
    for path in paths:
        found, told = read_listing(path, choice.references)
        listed += found
        notes += told
    kept = [each for each in listed if _wanted(each, choice)]
    if not kept:
        asked = ", ".join(filter(None, (choice.split, *choice.regions)))
        raise InputError(f"{', '.join(map(str, paths))}: none of {len(listed)} pairs is of {asked}; leave --split out")
    names = [each.name for each in kept]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{', '.join(map(str, paths))}: two pairs are named {twice}; give each an id of its own")
    chosen = _drawn(len(kept), choice)
    pairs = tuple(_pair(kept[index], index, choice) for index in chosen)
    guessed = sum(pair.label.changed is not None and not kept[i].flagged for i, pair in zip(chosen, pairs, strict=True))
    if guessed:
        notes.append(f"whether a pair changed is read from its captions for {guessed} of {len(pairs)} pairs")
    return PairSet(pairs, len(kept), tuple(map(str, paths)), tuple(dict.fromkeys(notes)))


def _wanted(each: Listed, choice: PairChoice) -> bool:
    return (choice.split is None or each.split == choice.split) and (
        not choice.regions or each.region in choice.regions
    )


def _pair(each: Listed, index: int, choice: PairChoice) -> Pair:
    changed = each.changed if each.flagged else changed_by_captions(each.captions)
    label = PairLabel(each.name, each.place or each.name, each.region, changed, each.captions, each.split)
    return Pair(label, FileImages(each.pre, each.post, index, each.gsd_m or choice.gsd_m, choice.geometry))


def changed_by_captions(captions: Sequence[str]) -> bool | None:
    """What most captions of a pair say; None without captions, or where as many say one as the other."""
    said = [status_of(caption)[0] for caption in captions]
    changed, unchanged = said.count("changed"), said.count("unchanged")
    return None if changed == unchanged else changed > unchanged


def _drawn(number: int, choice: PairChoice) -> list[int]:
    """Indices of the pairs that are taken, in their own order; every pair where the limit allows."""
    order = np.random.default_rng(choice.seed).permutation(number)
    return sorted(int(index) for index in (order[: choice.limit] if choice.limit else order))


def _tiled(pre: str, post: str, choice: PairChoice) -> PairSet:
    scene = prepare_pair(pre, post, choice.geometry)
    tiles = [tile for block in scene.plan.blocks() for tile in block.tiles]
    order = np.random.default_rng(choice.seed).permutation(len(tiles))
    kept: list[int] = []
    looked = failed = 0
    with scene.env(), scene.aligner() as aligner:
        for index in map(int, order):
            if choice.limit and len(kept) == choice.limit:
                break
            looked += 1
            if not aligner.may_hold((tiles[index],)):
                continue
            (read,) = aligner.read(Superblock(0, (tiles[index],), tiles[index].px_window))
            if isinstance(read, TileFailure):
                failed += 1
            elif read.pair.valid.mean() >= max(choice.min_valid, 1e-9):
                kept.append(index)
    if not kept:
        raise InputError(
            f"{pre}, {post}: none of {looked} tiles has {choice.min_valid:.0%} of its pixels at both dates; see rsccli "
            "info"
        )
    notes = list(scene.warnings)
    if failed:
        notes.append(f"{failed} tiles could not be read and were passed over")
    region = Path(pre).stem
    pairs = tuple(
        Pair(PairLabel(tiles[index].id, tiles[index].id, region), TileImages(scene, tiles[index]))
        for index in sorted(kept)
    )
    return PairSet(pairs, len(tiles), (pre, post), tuple(notes))
