"""What every section of the model card shares: pairs captioned once, aims, tables."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import card_copies as copies
import numpy as np
import numpy.typing as npt
from card_sets import (
    Imagery,
    Item,
    chips,
    copied,
    drawn,
    harvey,
    light_changed,
    prairie,
    quarters,
    some_chips,
    swapped,
)
from card_stats import F64, vector_map
from common import note

from rsccli.models.captioner import BundleBacked, Captioner, CaptionerOptions, WordsName
from rsccli.models.manifest import Manifest
from rsccli.models.registry import find_factory, load_captioner
from rsccli.types import Caption, MapBounds, PxWindow, Tile, TilePair

BATCH = 16
BUILDING = ("new house", "new building", "building removed", "construction site")
WATER = ("flood", "water gain")


@dataclass(frozen=True)
class Aim:
    """A figure that the captioner should reach: at least ``wanted``, or at most."""

    what: str
    wanted: float
    got: float
    n: int
    at_least: bool = True
    percent: bool = True
    unit: str = ""

    @property
    def met(self) -> bool:
        """Whether it is reached; not where nothing was measured."""
        return bool(self.got >= self.wanted if self.at_least else self.got <= self.wanted)

    def line(self) -> str:
        """One line of the list of aims that are missed."""
        if np.isnan(self.got):
            return f"{self.what}: not measured (n = {self.n})"

        unit = " points" if self.percent and not self.unit else f" {self.unit}".rstrip()
        gap = self.told(abs(self.got - self.wanted)).split(" ")[0]
        word = "at least" if self.at_least else "at most"
        return (
            f"{self.what}: {self.told(self.got)}, aim {word} {self.told(self.wanted)}; missed by {gap}{unit} "
            f"(n = {self.n})"
        )

    def told(self, value: float) -> str:
        """A value as this aim counts."""
        if np.isnan(value):
            return "-"
        if self.unit:
            return f"{value:.1f} {self.unit}"
        return f"{100 * value:.1f} %" if self.percent else f"{value:.3f}"


@dataclass(frozen=True)
class Section:
    """One part of the page, with the aims that it measured."""

    title: str
    body: str
    aims: tuple[Aim, ...] = ()


@dataclass(frozen=True)
class Seen:
    """Pairs with what the captioner says of them."""

    items: tuple[Item, ...]
    captions: tuple[Caption, ...]

    @cached_property
    def scores(self) -> F64:
        """Change scores; 0.5 where the captioner gives none."""
        return np.array([0.5 if c.change_score is None else c.change_score for c in self.captions], np.float64)

    @cached_property
    def vectors(self) -> F64:
        """Mean change vectors: the trivial score."""
        return np.array([float(vector_map(item.pre, item.post).mean()) for item in self.items], np.float64)

    @property
    def places(self) -> list[str]:
        """Of each pair."""
        return [item.place for item in self.items]

    def are(self, status: str) -> npt.NDArray[np.bool_]:
        """Which pairs are answered so."""
        return np.array([caption.status == status for caption in self.captions], bool)

    def where(self, keep: Callable[[Item, Caption], bool]) -> Seen:
        """Some of the pairs."""
        kept = [(i, c) for i, c in zip(self.items, self.captions, strict=True) if keep(i, c)]
        return Seen(tuple(i for i, _ in kept), tuple(c for _, c in kept))

    def labelled(self, *seen: str) -> Seen:
        """Pairs with one of these labels."""
        return self.where(lambda item, _: item.seen in seen)

    def ranked(self) -> tuple[F64, F64, list[str]]:
        """Scores, change vectors and places, for `card_stats.ranking`."""
        return self.scores, self.vectors, self.places


def tile_pair(item: Item) -> TilePair:
    """A pair as the captioner takes it."""
    height, width = item.pre.shape[1:]
    tile = Tile("r00000c00000", 0, 0, PxWindow(0, 0, width, height), MapBounds(0, 0, width, height))
    valid = np.ones((height, width), bool) if item.valid is None else item.valid
    return TilePair(tile, item.pre * valid, item.post * valid, valid, item.gsd_m)


def look(captioner: Captioner, items: Sequence[Item]) -> Seen:
    """Caption pairs, a few at a time."""
    captions: list[Caption] = []
    for start in range(0, len(items), BATCH):
        captions += captioner.caption([tile_pair(item) for item in items[start : start + BATCH]])
    return Seen(tuple(items), tuple(captions))


@dataclass
class Bench:
    """A model and the sets that it is measured on; each set is read and captioned once, when first asked for."""

    imagery: Imagery
    model: str
    _seen: dict[str, Seen] = field(default_factory=dict)
    _captioners: dict[str, Captioner] = field(default_factory=dict)

    def captioner(self, words: WordsName = "auto") -> Captioner:
        """The model on one thread of the CPU, with its own way of wording or a given one."""
        if words not in self._captioners:
            options = CaptionerOptions(device="cpu", threads=1, words=words)
            self._captioners[words] = load_captioner(self.model, options)
        return self._captioners[words]

    @property
    def manifest(self) -> Manifest | None:
        """Of the bundle, where the model is one."""
        factory = find_factory(self.model)
        return factory.bundle().manifest if isinstance(factory, BundleBacked) else None

    @property
    def wording(self) -> str:
        """Who words captions where nothing else is asked for."""
        return self.manifest.words if self.manifest is not None else "decoder"

    def items(self, name: str) -> tuple[Item, ...]:
        """The pairs of a set."""
        test, folder = self.imagery.test, self.imagery.folder
        builders: dict[str, Callable[[], tuple[Item, ...]]] = {
            "chips": lambda: chips(test),
            "quarters": lambda: quarters(test),
            "harvey": lambda: harvey(folder),
            "harvey light": lambda: copied(self.seen("harvey").items, copies.other_light, 1),
            "harvey moved": lambda: copied(self.seen("harvey").items, copies.moved, 2),
            "harvey swapped": lambda: swapped(self.seen("harvey").items),
            "chips swapped": lambda: swapped(self.seen("chips").labelled("changed", "minor").items),
            "light": lambda: light_changed(test),
            "same": lambda: copied(some_chips(test, 1), lambda image, _: image, 0),
            "drawn": lambda: drawn(test),
            "drawn swapped": lambda: swapped(self.seen("drawn").labelled("reversible").items),
            "prairie": lambda: prairie(folder),
        }
        return builders[name]()

    def seen(self, name: str) -> Seen:
        """A set with its captions."""
        if name not in self._seen:
            started = time.perf_counter()
            items = self.items(name)
            read = time.perf_counter()
            self._seen[name] = look(self.captioner(), items)
            note(
                f"{name}: {len(items)} pairs, {read - started:.1f} s to make, {time.perf_counter() - read:.1f} s to see"
            )
        return self._seen[name]


def percent(value: float) -> str:
    """``12 %``."""
    return "-" if np.isnan(value) else f"{100 * value:.0f} %"
