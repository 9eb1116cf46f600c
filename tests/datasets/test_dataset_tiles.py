"""Labelled GeoTIFF pairs to data sets. Labels are synthetic everywhere; imagery is real where a test says so."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from xbd_folder import CRS, PLACE, pixels_of, write_tif

from rsccli.datasets.collection.folder import read_dataset
from rsccli.datasets.tiled import TilesJob, build_tiles
from rsccli.errors import InputError, JournalMismatchError, NoOverlapError, OutputError, UsageProblem
from rsccli.geo.pair import PairOptions, prepare_pair
from rsccli.geo.raster import RasterOptions
from rsccli.models.outlines import COLOURS, LEVELS, draw
from rsccli.run.labels import read_labels

NONE = dict.fromkeys(LEVELS, 0)
BUILDINGS = [
    ((10, 10, 30, 30), "no-damage"),
    ((505, 100, 525, 120), "destroyed"),
    ((500, 500, 530, 530), "major-damage"),
]


def write_labels(path: Path, transform: Affine, crs: str, buildings: Any = BUILDINGS, **columns: Any) -> Path:
    """A vector file of buildings that are given in pixels."""
    shapes = [shapely.box(*box) for box, _ in buildings]
    placed = [shapely.transform(shape, lambda p: np.stack(transform @ (p[:, 0], p[:, 1]), axis=1)) for shape in shapes]
    fields = {"subtype": [level for _, level in buildings], **columns}
    pyogrio.raw.write(
        str(path),
        shapely.to_wkb(np.array(placed, object)),
        [np.array(values, object) for values in fields.values()],
        list(fields),
        crs=crs,
        geometry_type="Polygon",
    )
    return path


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """pre.tif and post.tif of 1024 px, and labels.gpkg."""
    folder = tmp_path_factory.mktemp("pair")
    for number, date in enumerate(("pre", "post")):
        write_tif(folder / f"{date}.tif", pixels_of((1024, 1024), number))
    write_labels(folder / "labels.gpkg", PLACE, CRS, disaster_type=["fire"] * 3)
    return folder


def job(pair: Path, output: Path, **more: Any) -> TilesJob:
    return TilesJob(str(pair / "pre.tif"), str(pair / "post.tif"), str(pair / "labels.gpkg"), output, **more)


def test_tiles_lie_where_the_images_do_and_count_what_labels_say(pair: Path, tmp_path: Path) -> None:
    facts, _ = build_tiles(job(pair, tmp_path / "out"))
    assert (facts.pairs, facts.left_out, facts.skipped) == (4, 0, 0)
    assert facts.by_disaster == {"wildfire": 4} and facts.count_rule == "centroid"
    data = read_dataset(tmp_path / "out")
    assert [each.id for each in data.pairs] == [f"pre_r{r:05d}c{c:05d}" for r in (0, 1) for c in (0, 1)]
    assert [each.counts for each in data.pairs] == [
        {**NONE, "no-damage": 1},
        {**NONE, "destroyed": 1},
        NONE,
        {**NONE, "major-damage": 1},
    ]
    assert data.pairs[0].counts_from == "labels: labels.gpkg (centroid)"
    for each in data.pairs:
        left, top, width, height = each.px_window
        for date, name in (("pre", each.pre), ("post", each.post)):
            with rasterio.open(pair / f"{date}.tif") as source, rasterio.open(tmp_path / "out" / name) as tile:
                window = rasterio.windows.Window(left, top, width, height)
                np.testing.assert_array_equal(tile.read(), source.read(window=window))
                assert tile.transform.almost_equals(source.window_transform(window), 1e-12)
                assert tile.crs == source.crs and tile.dataset_mask().all()
                np.testing.assert_allclose(shapely.Polygon(each.footprint[0]).bounds, tile.bounds, atol=1e-7)
        assert each.gsd_m == pytest.approx(0.434, abs=0.001) and each.valid_fraction == 1
    with rasterio.open(tmp_path / "out" / data.pairs[1].annotated) as drawn:
        assert tuple(drawn.read()[:, 110, 12]) == COLOURS["destroyed"]
    prompts = [json.loads(line) for line in (tmp_path / "out" / "prompts.jsonl").read_text().splitlines()]
    assert len(prompts) == 12 and "count 1 building: 0 with no damage" in prompts[4]["prompt"]
    assert "Type of disaster: wildfire." in prompts[4]["prompt"]
    features = json.loads((tmp_path / "out" / "footprints.geojson").read_text())["features"]
    assert [feature["id"] for feature in features] == [each.id for each in data.pairs]


def test_touch_counts_a_building_in_every_tile(pair: Path, tmp_path: Path) -> None:
    facts, _ = build_tiles(job(pair, tmp_path / "out", rule="touch", disaster="storm"))
    assert facts.buildings == {**NONE, "no-damage": 1, "destroyed": 2, "major-damage": 4}
    assert facts.by_disaster == {"storm": 4}, "what the user says goes before the labels"


def test_tiles_may_be_pictures(pair: Path, tmp_path: Path) -> None:
    build_tiles(job(pair, tmp_path / "out", form="png", name="here"))
    first = read_dataset(tmp_path / "out").pairs[0]
    assert first.pre == "images/here_r00000c00000_pre.png" and first.footprint is not None
    assert {path.suffix for path in (tmp_path / "out").rglob("*_*.*")} == {".png"}


def test_what_one_date_does_not_cover_is_masked_or_skipped(pair: Path, tmp_path: Path) -> None:
    # Post begins 300 px further east: of the common grid nothing is lost, but tiles of 512 px reach over its end.
    for date in ("pre", "post"):
        with rasterio.open(pair / f"{date}.tif") as source:
            moved = PLACE @ Affine.translation(300 if date == "post" else 0, 0)
            with rasterio.open(tmp_path / f"{date}.tif", "w", **{**source.profile, "transform": moved}) as out:
                out.write(source.read())
    write_labels(tmp_path / "labels.gpkg", PLACE, CRS)
    facts, _ = build_tiles(job(tmp_path, tmp_path / "out"))
    assert (facts.pairs, facts.skipped) == (2, 2), "the right tiles are valid in 212 of 512 columns"
    wide, _ = build_tiles(job(tmp_path, tmp_path / "wide", min_valid=0.1))
    assert (wide.pairs, wide.skipped) == (4, 0)
    last = read_dataset(tmp_path / "wide").pairs[1]
    assert last.valid_fraction == pytest.approx(212 / 512, abs=1e-6)
    with rasterio.open(tmp_path / "wide" / last.post) as tile:
        valid = tile.dataset_mask() > 0
        assert valid[:, :212].all() and not valid[:, 212:].any() and not tile.read()[:, :, 212:].any()


def test_places_keep_neighbours_together_and_overlapping_tiles_in_one(pair: Path, tmp_path: Path) -> None:
    build_tiles(job(pair, tmp_path / "out", geometry=PairOptions(tile_size=256)))
    assert {each.place for each in read_dataset(tmp_path / "out").pairs} == {"pre 0 0"}
    build_tiles(job(pair, tmp_path / "lap", geometry=PairOptions(tile_size=512, stride=256)))
    assert {each.place for each in read_dataset(tmp_path / "lap").pairs} == {"pre"}


def test_damage_costs_its_tiles_alone(pair: Path, tmp_path: Path) -> None:
    for name in ("pre.tif", "post.tif", "labels.gpkg"):
        (tmp_path / name).write_bytes((pair / name).read_bytes())
    with rasterio.open(tmp_path / "post.tif") as source:
        offset, size = (int(source.get_tag_item(f"BLOCK_{what}_3_3", "TIFF", bidx=1)) for what in ("OFFSET", "SIZE"))
    data = bytearray((tmp_path / "post.tif").read_bytes())
    data[offset : offset + size] = b"\xff" * size
    (tmp_path / "post.tif").write_bytes(data)
    facts, problems = build_tiles(job(tmp_path, tmp_path / "out", geometry=PairOptions(tile_size=256)))
    assert (facts.pairs, facts.left_out) == (15, 1)
    (problem,) = [each for each in problems if each.left_out]
    assert problem.file == "tile r00003c00003" and "post.tif" in problem.problem


def test_refusals_name_the_way_out(pair: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="--min-valid"):
        job(pair, tmp_path / "out", min_valid=2)
    with pytest.raises(UsageProblem, match="--name"):
        job(pair, tmp_path / "out", name="a/b")
    with pytest.raises(InputError, match=r"none\.gpkg"):
        build_tiles(TilesJob(str(pair / "pre.tif"), str(pair / "post.tif"), "none.gpkg", tmp_path / "out"))
    far = write_labels(tmp_path / "far.gpkg", PLACE @ Affine.translation(10**6, 0), CRS)
    with pytest.raises(NoOverlapError, match=r"far\.gpkg"):
        build_tiles(TilesJob(str(pair / "pre.tif"), str(pair / "post.tif"), str(far), tmp_path / "out"))
    assert not (tmp_path / "out").exists(), "refused before anything is written"
    build_tiles(job(pair, tmp_path / "out"))
    with pytest.raises(OutputError, match="--overwrite"):
        build_tiles(job(pair, tmp_path / "out"))


def test_a_stopped_run_goes_on_and_ends_with_the_same_bytes(pair: Path, tmp_path: Path) -> None:
    geometry = PairOptions(tile_size=128)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    build_tiles(job(pair, whole, geometry=geometry))

    class Stop(Exception):
        pass

    # One superblock holds all tiles of so small a pair: a kill is made to come before the lists are written.
    def stop(done: int, old: bool, total: int) -> None:
        raise Stop

    with pytest.raises(Stop):
        build_tiles(job(pair, cut, geometry=geometry), stop)
    assert not (cut / "dataset.json").exists() and not (cut / "pairs.jsonl").exists()
    with pytest.raises(JournalMismatchError, match="min valid"):
        build_tiles(job(pair, cut, geometry=geometry, min_valid=0.2))
    seen: list[tuple[int, bool, int]] = []
    build_tiles(job(pair, cut, geometry=geometry), lambda *step: seen.append(step))
    assert seen == [(64, True, 64)]
    files = [path.relative_to(whole) for path in sorted(whole.rglob("*")) if path.is_file()]
    assert [path.relative_to(cut) for path in sorted(cut.rglob("*")) if path.is_file()] == files
    assert all((whole / file).read_bytes() == (cut / file).read_bytes() for file in files)


@pytest.mark.shared
def test_real_images_that_nearly_match_are_aligned_as_a_run_aligns_them(shared: Path, tmp_path: Path) -> None:
    """Real NAIP of a prairie at two dates with grids some metres apart; the labels are synthetic."""
    pre, post = sorted((shared / "prairie").glob("*.tif"))[:2]
    colours = RasterOptions(bands=(1, 2, 3))
    options = PairOptions(colours, colours, tile_size=256)
    prepared = prepare_pair(pre, post, options)
    boxes = [((40 * n, 35 * n, 40 * n + 18, 35 * n + 18), LEVELS[n % 5]) for n in range(18)]
    labels = write_labels(tmp_path / "labels.geojson", prepared.grid.transform, prepared.grid.crs, boxes)
    facts, _ = build_tiles(TilesJob(str(pre), str(post), str(labels), tmp_path / "out", options, min_valid=0.1))
    assert sum(facts.buildings.values()) == 18 and facts.left_out == 0
    wanted = read_labels(str(labels), prepared.grid)
    pairs = {re.sub(".*_", "", each.id): each for each in read_dataset(tmp_path / "out").pairs}
    with prepared.env(), prepared.aligner() as aligner:
        for block in prepared.plan.blocks():
            for read in aligner.read(block):
                seen = read.pair  # type: ignore[union-attr]
                if seen.valid.mean() < 0.1:
                    continue
                each = pairs.pop(seen.tile.id)
                for pixels, name in ((seen.pre, each.pre), (seen.post, each.post)):
                    with rasterio.open(tmp_path / "out" / name) as tile:
                        np.testing.assert_array_equal(tile.read(), pixels)
                        np.testing.assert_array_equal(tile.dataset_mask() > 0, seen.valid)
                found = wanted.of(seen.tile)
                assert each.counts == dict(found.counts)
                with rasterio.open(tmp_path / "out" / each.annotated) as tile:
                    np.testing.assert_array_equal(tile.read(), draw(seen.post, found.outlines))
    assert pairs == {}
