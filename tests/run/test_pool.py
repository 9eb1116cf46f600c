"""Several captioners as one: the same captions as one alone, really at the same time, and whole after an error."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from captioners import BrightnessCaptioner, BrightnessFactory
from tile_pairs import grey_pair
from tiny_bundle import write_tiny_bundle

from rsccli.errors import ModelError, OutOfMemoryError
from rsccli.models.captioner import Captioner, CaptionerInfo, CaptionerOptions
from rsccli.models.registry import load_captioner
from rsccli.run.caption import CaptionJob, prepare_job
from rsccli.run.captioners import load_crew
from rsccli.run.loop import caption_tiles
from rsccli.run.pool import PooledCaptioner
from rsccli.types import Caption, TilePair

ROOT = Path(__file__).resolve().parents[2]
BRIGHTNESS = f"{ROOT}/tests/captioners.py:BrightnessFactory"
EXAMPLE = (str(ROOT / "examples" / "prairie_2012-07-31.tif"), str(ROOT / "examples" / "prairie_2014-07-20.tif"))
# Threads that never meet fail the test instead of stopping it.
PATIENCE_S = 30.0


def info() -> CaptionerInfo:
    return BrightnessFactory().describe(CaptionerOptions())


def pairs(count: int, side: int = 64) -> list[TilePair]:
    """Tiles that each get a caption of their own."""
    return [grey_pair(7 * index - 40, side, side, seed=index, index=index) for index in range(count)]


def in_parts(captioner: Captioner, given: Sequence[TilePair], size: int) -> list[Caption]:
    """What one captioner says of a run's batches."""
    return [caption for i in range(0, len(given), size) for caption in captioner.caption(given[i : i + size])]


def same(ours: Sequence[Caption], theirs: Sequence[Caption]) -> None:
    assert [replace(each, mask=None) for each in ours] == [replace(each, mask=None) for each in theirs]
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one.mask, other.mask)


class Noting(BrightnessCaptioner):
    """Notes which tiles it was given, call by call."""

    def __init__(self) -> None:
        super().__init__(info())
        self.calls: list[list[int]] = []

    def caption(self, pairs: Sequence[TilePair]) -> list[Caption]:
        self.calls.append([pair.tile.col for pair in pairs])
        return super().caption(pairs)


class Meeting(BrightnessCaptioner):
    """Goes on only where all the others are at work as well."""

    def __init__(self, barrier: threading.Barrier) -> None:
        super().__init__(info())
        self._barrier = barrier
        self.threads: set[str] = set()

    def caption(self, pairs: Sequence[TilePair]) -> list[Caption]:
        self.threads.add(threading.current_thread().name)
        self._barrier.wait(PATIENCE_S)
        return super().caption(pairs)


@pytest.mark.parametrize("size", [1, 3, 4])
@pytest.mark.parametrize("workers", [1, 2, 3])
def test_the_captions_are_those_of_one_alone(workers: int, size: int) -> None:
    pool = PooledCaptioner([BrightnessCaptioner(info()) for _ in range(workers)], size)
    single = BrightnessCaptioner(info())
    try:
        for count in (
            0,
            1,
            size,
            size + 1,
            workers * size - 1,
            workers * size,
            workers * size + 1,
            3 * workers * size + 2,
        ):
            given = pairs(count)
            captions = pool.caption(given)
            assert len(captions) == count
            same(captions, in_parts(single, given, size))
            assert len({each.text for each in captions}) >= min(count, 3), "too alike to see an order"
    finally:
        pool.close()


@pytest.mark.parametrize("style", ["scripted", "random"])
def test_a_bundle_in_several_copies(tmp_path: Path, style: str) -> None:
    folder = write_tiny_bundle(tmp_path, style)  # type: ignore[arg-type]
    options = CaptionerOptions(device="cpu", threads=1, words="decoder")
    single = load_captioner(folder, options)
    pool = PooledCaptioner([load_captioner(folder, options) for _ in range(2)], 3)
    for count in (1, 5, 6, 11):
        given = pairs(count)
        same(pool.caption(given), in_parts(single, given, 3))
    pool.close()


def test_each_captioner_gets_every_so_manieth_part() -> None:
    captioners = [Noting() for _ in range(3)]
    pool = PooledCaptioner(captioners, 2)
    pool.caption(pairs(13))
    assert captioners[0].calls == [[0, 1], [6, 7], [12]]
    assert captioners[1].calls == [[2, 3], [8, 9]]
    assert captioners[2].calls == [[4, 5], [10, 11]]
    assert pool.info == captioners[0].info
    pool.close()
    assert all(each.closed for each in captioners)


def test_parts_run_at_the_same_time() -> None:
    barrier = threading.Barrier(3)
    captioners = [Meeting(barrier) for _ in range(3)]
    pool = PooledCaptioner(captioners, 2)
    given = pairs(12)  # twice three parts
    same(pool.caption(given), in_parts(BrightnessCaptioner(info()), given, 2))
    assert not barrier.broken
    assert set.union(*(each.threads for each in captioners)).isdisjoint({threading.current_thread().name})
    pool.close()


@pytest.mark.parametrize("kind", [ModelError, OutOfMemoryError])
@pytest.mark.parametrize("part", [0, 1, 2])
def test_an_error_in_one_part_is_that_of_the_batch(kind: type[ModelError], part: int) -> None:
    class Failing(BrightnessCaptioner):
        def caption(self, pairs: Sequence[TilePair]) -> list[Caption]:
            if part * 2 in [pair.tile.col for pair in pairs]:
                raise kind(f"part {part} fails, as the test asked")
            return super().caption(pairs)

    pool = PooledCaptioner([Failing(info()) for _ in range(2)], 2)
    given = pairs(6)
    with pytest.raises(kind, match=f"part {part} fails"):
        pool.caption(given)
    # And it goes on with what does not fail.
    left = [pair for pair in given if pair.tile.col != part * 2]
    same(pool.caption(left), in_parts(BrightnessCaptioner(info()), left, 2))
    pool.close()


def test_an_error_is_told_when_all_parts_are_done() -> None:
    """Else a captioner would get its next part while it is still at work."""
    started = threading.Event()

    class Slow(BrightnessCaptioner):
        busy = False

        def caption(self, pairs: Sequence[TilePair]) -> list[Caption]:
            self.busy = True
            started.set()
            # Nobody sets this one: it is a sleep that leaves the other thread the interpreter.
            threading.Event().wait(0.3)
            self.busy = False
            return super().caption(pairs)

    class Failing(BrightnessCaptioner):
        def caption(self, pairs: Sequence[TilePair]) -> list[Caption]:
            assert started.wait(PATIENCE_S)
            raise OutOfMemoryError("not enough memory, as the test asked")

    slow = Slow(info())
    pool = PooledCaptioner([Failing(info()), slow], 1)
    with pytest.raises(OutOfMemoryError):
        pool.caption(pairs(2))
    assert started.is_set() and not slow.busy
    pool.close()


def test_a_run_with_two_workers_has_the_records_of_a_run_with_one() -> None:
    """Described for one device and opened for two: what ``--device cuda:0,1`` does with GPUs."""
    prepared = prepare_job(
        CaptionJob(*EXAMPLE, model=BRIGHTNESS, captioner=CaptionerOptions(device="cpu"), batch_size=2)
    )
    two = replace(prepared, crew=replace(prepared.crew, devices=("cpu", "cpu")))
    assert (prepared.tiles_at_once, two.tiles_at_once) == (2, 4)
    found = []
    for each in (prepared, two):
        captioner = load_crew(each.crew, each.pair, each.batch_size)
        assert isinstance(captioner, PooledCaptioner) == (each is two)
        batches = caption_tiles(each.pair, captioner, batch_size=each.tiles_at_once)
        found.append([record for batch in batches for record in batch.records])
        captioner.close()
    assert len(found[0]) == 12 and found[0] == found[1]
