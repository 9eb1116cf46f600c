"""Pixels of an earlier run, read again: the very pixels that were captioned, or an error."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from coloured_map import make_map

from rsccli.errors import InputChangedError, InputError
from rsccli.geo.engine import TileFailure
from rsccli.geo.pair import PairOptions, prepare_pair
from rsccli.run.pixels import open_run_pixels
from rsccli.types import RunFacts, TilePair


def facts_of(pre: Path, post: Path, options: PairOptions, like: RunFacts) -> tuple[RunFacts, dict[str, TilePair]]:
    """Facts of a run over two images, and its pixels."""
    pair = prepare_pair(pre, post, options)
    before, after = pair.facts()
    facts = replace(
        like,
        pre=before,
        post=after,
        grid=pair.grid,
        tile_size=pair.plan.tile_size,
        stride=pair.plan.stride,
        edge=pair.plan.edge,
        tiles=len(pair.plan),
        registration=pair.registration,
    )
    with pair.env(), pair.aligner() as aligner:
        reads = [read for block in pair.plan.blocks() for read in aligner.read(block)]
    return facts, {read.pair.tile.id: read.pair for read in reads if not isinstance(read, TileFailure)}


def check(facts: RunFacts, seen: dict[str, TilePair]) -> None:
    """The same pixels, masks and places, tile by tile."""
    with open_run_pixels(facts) as pixels:
        assert pixels.notes == ()
        again = {pair.tile.id: pair for pair in pixels.pairs(seen) if not isinstance(pair, TileFailure)}
    assert again.keys() == seen.keys()
    for tile, pair in seen.items():
        assert pair.tile == again[tile].tile
        for name in ("pre", "post", "valid"):
            assert np.array_equal(getattr(pair, name), getattr(again[tile], name)), tile


@pytest.mark.parametrize(
    "options",
    [
        PairOptions(tile_size=128),
        PairOptions(tile_size=128, stride=100, edge="shift"),
        PairOptions(tile_size=96, edge="drop", radiometry="match"),
        PairOptions(tile_size=128, radiometry="none", dst_crs="EPSG:3857"),
    ],
)
def test_the_pixels_of_a_real_pair_come_again(root: Path, tmp_path: Path, options: PairOptions) -> None:
    pre, post = (root / "examples" / f"prairie_{date}.tif" for date in ("2012-07-31", "2014-07-20"))
    facts, seen = facts_of(pre, post, options, make_map(tmp_path).facts)
    assert len(seen) > 20
    check(facts, {tile: seen[tile] for tile in sorted(seen)[::3]})


def test_values_that_cannot_be_made_again_are_told(tmp_path: Path) -> None:
    facts = make_map(tmp_path).facts
    other = replace(facts, pre=replace(facts.pre, lut="linear 3..7"))
    with open_run_pixels(other) as pixels:
        assert "could not be brought to 8 bit exactly" in pixels.notes[0]


def test_an_image_that_changed_or_is_gone_is_refused(tmp_path: Path) -> None:
    facts = make_map(tmp_path).facts
    os.utime(facts.pre.path, ns=(5, 5))
    with pytest.raises(InputChangedError, match="no longer the file that was captioned"), open_run_pixels(facts):
        pass
    os.unlink(facts.pre.path)
    with pytest.raises(InputError, match="call from the folder"), open_run_pixels(facts):
        pass
