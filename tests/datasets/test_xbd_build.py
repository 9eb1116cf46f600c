"""Whole xBD folders to data sets. All folders are synthetic: xBD's layout and label schema, imagery from elsewhere."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.enums import MaskFlags
from xbd_folder import CRS, PLACE, Scene, box, label_of, pixels_of, write_scene, write_tif

from rsccli.datasets.collection.folder import read_dataset
from rsccli.datasets.xbd.build import XbdJob, build_xbd
from rsccli.errors import InputError, JournalMismatchError, OutputError
from rsccli.models.outlines import COLOURS, LEVELS
from rsccli.training.records import read_records

NONE = dict.fromkeys(LEVELS, 0)
MICHAEL = "hurricane-michael_00000012"
BUILDINGS = [
    box(10, 10),
    box(505, 100, 20, 20, "destroyed"),
    box(500, 500, 30, 30, "major-damage"),
    box(30, 700, 20, 20, "minor-damage"),
    box(90, 700, 20, 20, "un-classified"),
]


@pytest.fixture(scope="module")
def michael(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One pair of PNGs."""
    folder = tmp_path_factory.mktemp("michael")
    write_scene(folder, Scene(buildings=BUILDINGS))
    return folder


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def png(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def small(name: str, *buildings: Any, **more: Any) -> Scene:
    """A scene of one part."""
    return Scene(name, buildings=buildings, size=(512, 512), **more)


def test_parts_are_rsccs_to_the_pixel(michael: Path, tmp_path: Path) -> None:
    facts, problems = build_xbd(XbdJob(michael, tmp_path / "out"))
    assert problems == () and facts.pairs == 4 and facts.damaged_pairs == 3
    assert not (tmp_path / "out" / "problems.jsonl").exists() and not (tmp_path / "out" / "dataset.journal").exists()
    for date in ("pre", "post"):
        whole = png(michael / "images" / f"{MICHAEL}_{date}_disaster.png")
        for part, (left, top) in enumerate([(0, 0), (512, 0), (0, 512), (512, 512)], start=1):
            cut = png(tmp_path / "out" / "images" / f"{MICHAEL}_{date}_disaster_part{part}.png")
            np.testing.assert_array_equal(cut, whole[top : top + 512, left : left + 512])
    pairs = lines(tmp_path / "out" / "pairs.jsonl")
    assert [pair["id"] for pair in pairs] == [f"{MICHAEL}_part{part}" for part in (1, 2, 3, 4)]
    assert [pair["px_window"] for pair in pairs][1] == [512, 0, 512, 512]
    assert {pair["disaster_type"] for pair in pairs} == {"storm"}
    assert {pair["place"] for pair in pairs} == {MICHAEL}
    assert pairs[0]["gsd_m"] == pytest.approx(0.434, abs=0.001)
    assert (pairs[0]["pre_date"][:10], pairs[0]["post_date"][:10]) == ("2018-10-05", "2018-10-13")
    assert read_dataset(tmp_path / "out").pairs[2].to_json() == pairs[2]


@pytest.mark.parametrize(("rule", "destroyed", "major"), [("centroid", 1, 1), ("touch", 2, 4)])
def test_counts_are_named_with_their_rule(michael: Path, tmp_path: Path, rule: Any, destroyed: int, major: int) -> None:
    facts, _ = build_xbd(XbdJob(michael, tmp_path / "out", rule=rule))
    wanted = {"no-damage": 1, "minor-damage": 1, "major-damage": major, "destroyed": destroyed, "un-classified": 1}
    assert facts.buildings == wanted and facts.count_rule == rule
    for pair in lines(tmp_path / "out" / "pairs.jsonl"):
        assert pair["count_rule"] == rule
        assert pair["counts_from"] == f"labels: {MICHAEL}_post_disaster.json ({rule})"


def test_prompts_of_the_three_regimes(michael: Path, tmp_path: Path) -> None:
    build_xbd(XbdJob(michael, tmp_path / "out"))
    prompts = lines(tmp_path / "out" / "prompts.jsonl")
    assert Counter(each["inference_type"] for each in prompts) == {
        "zero-shot": 4,
        "textual_prompt": 4,
        "visual_prompt": 4,
    }
    third = {each["inference_type"]: each for each in prompts if each["id"] == f"{MICHAEL}_part3"}
    told = "2 buildings: 0 with no damage, 1 with minor damage, 0 with major damage, 0 destroyed"
    for regime in ("textual_prompt", "visual_prompt"):
        assert "Type of disaster: storm.\n" in third[regime]["prompt"]
        assert f"count {told}, 1 not classified." in third[regime]["prompt"]
        assert third[regime]["counts_from"] == f"labels: {MICHAEL}_post_disaster.json (centroid)"
    naive = third["zero-shot"]
    assert not set("0123456789") & set(naive["prompt"]) and naive["counts_from"] is None
    assert "storm" not in naive["prompt"]
    assert naive["post_image"] == third["textual_prompt"]["post_image"] == f"images/{MICHAEL}_post_disaster_part3.png"
    assert third["visual_prompt"]["post_image"] == f"annotated/{MICHAEL}_post_disaster_part3.png"
    assert (
        "green for no damage, blue for minor damage, orange for major damage, red for destroyed, white"
        in (third["visual_prompt"]["prompt"])
    )


def test_outlines_have_the_colours_of_their_levels_and_nothing_else_changes(michael: Path, tmp_path: Path) -> None:
    build_xbd(XbdJob(michael, tmp_path / "out"))
    for part, spots in {
        1: [((20, 10), "no-damage"), ((505, 110), "destroyed"), ((505, 505), None), ((500, 506), "major-damage")],
        3: [((40, 188), "minor-damage"), ((100, 188), "un-classified"), ((100, 198), None)],
    }.items():
        name = f"{MICHAEL}_post_disaster_part{part}.png"
        plain, drawn = (png(tmp_path / "out" / folder / name) for folder in ("images", "annotated"))
        for (x, y), level in spots:
            wanted = plain[y, x] if level is None else COLOURS[level]
            assert tuple(drawn[y, x]) == tuple(wanted), (part, x, y)
        painted = (plain != drawn).any(axis=2)
        assert 0 < painted.sum() < 1200


def test_a_label_without_buildings_gives_counts_of_nought_and_no_outlines(tmp_path: Path) -> None:
    write_scene(tmp_path / "xbd", small(MICHAEL))
    facts, problems = build_xbd(XbdJob(tmp_path / "xbd", tmp_path / "out"))
    assert problems == () and facts.buildings == NONE
    (pair,) = read_dataset(tmp_path / "out").pairs
    assert pair.annotated == pair.post and pair.counts == NONE
    visual = lines(tmp_path / "out" / "prompts.jsonl")[2]
    assert "The labels of this place count no building." in visual["prompt"]
    assert visual["post_image"] == pair.post


def test_georeferenced_parts_lie_where_the_image_does(tmp_path: Path) -> None:
    scene = Scene("socal-fire_00000001", "fire", BUILDINGS, form="tif")
    write_scene(tmp_path / "xbd" / "tier3", scene)
    facts, problems = build_xbd(XbdJob(tmp_path / "xbd", tmp_path / "out"))
    assert problems == () and facts.by_split == {"tier3": 4} and facts.by_disaster == {"wildfire": 4}
    with rasterio.open(tmp_path / "xbd/tier3/images/socal-fire_00000001_post_disaster.tif") as source:
        whole = source.read()
    for part, (left, top) in enumerate([(0, 0), (512, 0), (0, 512), (512, 512)], start=1):
        name = f"socal-fire_00000001_post_disaster_part{part}.tif"
        for folder in ("images", "annotated"):
            with rasterio.open(tmp_path / "out" / folder / name) as cut:
                assert (cut.crs.to_string(), cut.count, cut.dtypes[0]) == (CRS, 3, "uint8")
                assert cut.transform.almost_equals(PLACE @ rasterio.Affine.translation(left, top), 1e-15)
                assert [colour.name for colour in cut.colorinterp] == ["red", "green", "blue"]
                if folder == "images":
                    np.testing.assert_array_equal(cut.read(), whole[:, top : top + 512, left : left + 512])
                    bounds = cut.bounds
        feature = json.loads((tmp_path / "out" / "footprints.geojson").read_text())["features"][part - 1]
        assert feature["id"] == f"socal-fire_00000001_part{part}"
        np.testing.assert_allclose(feature["bbox"], bounds, atol=1e-7)
        assert feature["properties"]["major_damage"] == (1 if part == 4 else 0)
        assert feature["geometry"]["type"] == "Polygon" and len(feature["geometry"]["coordinates"][0]) == 5
    # The labels' own degrees lead to the same place as their pixels.
    from rsccli.geo.raster import describe_raster
    from rsccli.run.labels import read_labels
    from rsccli.types import Grid, MapBounds, PxWindow, Tile

    info = describe_raster(tmp_path / "out" / "images" / "socal-fire_00000001_post_disaster_part4.tif")
    grid = Grid(info.crs, PLACE @ rasterio.Affine.translation(512, 512), 512, 512)
    labels = read_labels(str(tmp_path / "xbd/tier3/labels/socal-fire_00000001_post_disaster.json"), grid)
    tile = Tile("", 0, 0, PxWindow(0, 0, 512, 512), MapBounds(0, 0, 0, 0))
    assert dict(labels.of(tile).counts) == read_dataset(tmp_path / "out").pairs[3].counts


def test_png_parts_of_geotiffs_keep_their_footprints(tmp_path: Path) -> None:
    write_scene(tmp_path / "xbd", small("socal-fire_00000001", box(10, 10), form="tif"))
    build_xbd(XbdJob(tmp_path / "xbd", tmp_path / "out", form="png"))
    (pair,) = read_dataset(tmp_path / "out").pairs
    assert pair.post == "images/socal-fire_00000001_post_disaster_part1.png" and pair.footprint is not None
    with rasterio.open(tmp_path / "xbd/images/socal-fire_00000001_post_disaster.tif") as source:
        np.testing.assert_array_equal(np.moveaxis(png(tmp_path / "out" / pair.post), 2, 0), source.read())


def test_values_that_are_not_8_bit_stay_what_they_are_and_are_shown_as_a_run_shows_them(tmp_path: Path) -> None:
    write_scene(tmp_path / "xbd", small("socal-fire_00000001", box(10, 10, 40, 40), form="tif", dtype="uint16"))
    facts, problems = build_xbd(XbdJob(tmp_path / "xbd", tmp_path / "out"))
    assert facts.pairs == 1 and problems == ()
    (pair,) = read_dataset(tmp_path / "out").pairs
    with rasterio.open(tmp_path / "out" / pair.post) as cut, rasterio.open(tmp_path / "out" / pair.annotated) as drawn:
        assert (cut.dtypes[0], drawn.dtypes[0]) == ("uint16", "uint8")
        assert cut.transform == drawn.transform
        stored, shown = cut.read(), drawn.read()
    assert stored.min() >= 300 and stored.max() > 2000
    inner = np.s_[:, 200:, 200:]
    assert np.corrcoef(stored[inner].ravel(), shown[inner].ravel())[0, 1] > 0.9
    assert (shown[:, 30, 10] == COLOURS["no-damage"]).all()


def test_masks_nodata_and_further_bands_come_along(tmp_path: Path) -> None:
    write_scene(tmp_path / "xbd", small("socal-fire_00000001", box(10, 10), form="tif"))
    pixels = np.concatenate([pixels_of((512, 512), 3), np.full((1, 512, 512), 7, np.uint8)])
    valid = np.ones((512, 512), bool)
    valid[:, :100] = False
    for number, date in enumerate(("pre", "post")):
        path = tmp_path / "xbd" / "images" / f"socal-fire_00000001_{date}_disaster.tif"
        path.unlink()
        profile = {"driver": "GTiff", "width": 512, "height": 512, "count": 4, "dtype": "uint8", "photometric": "RGB"}
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
            rasterio.open(path, "w", crs=CRS, transform=PLACE, alpha="unspecified", **profile) as out,
        ):
            out.write(pixels)
            if number:
                out.write_mask(valid)
    facts, problems = build_xbd(XbdJob(tmp_path / "xbd", tmp_path / "out"))
    assert problems == () and facts.pairs == 1
    with rasterio.open(tmp_path / "out/images/socal-fire_00000001_post_disaster_part1.tif") as cut:
        np.testing.assert_array_equal(cut.read(), pixels)
        assert MaskFlags.per_dataset in cut.mask_flag_enums[0]
        np.testing.assert_array_equal(cut.dataset_mask() > 0, valid)
    with rasterio.open(tmp_path / "out/images/socal-fire_00000001_pre_disaster_part1.tif") as cut:
        assert cut.dataset_mask().all()


def test_other_multiples_of_512_give_more_parts(tmp_path: Path) -> None:
    write_scene(tmp_path / "xbd", Scene(MICHAEL, buildings=[box(1100, 600)], size=(1536, 1024)))
    facts, _ = build_xbd(XbdJob(tmp_path / "xbd", tmp_path / "out"))
    assert facts.pairs == 6
    assert [pair.counts["no-damage"] for pair in read_dataset(tmp_path / "out").pairs] == [0, 0, 0, 0, 0, 1]


def damage(folder: Path, name: str, how: str) -> None:
    """Spoil one pair in one way."""
    post, label = folder / f"images/{name}_post_disaster.png", folder / f"labels/{name}_post_disaster.json"
    if how == "json":
        label.write_bytes(label.read_bytes()[:-40])
    elif how == "cut":
        post.write_bytes(post.read_bytes()[: post.stat().st_size // 2])
    elif how == "no image":
        post.write_bytes(b"hello")
    elif how == "empty":
        post.write_bytes(b"")
    elif how == "size":
        Image.new("RGB", (1000, 1000)).save(post)
    elif how == "sizes":
        Image.new("RGB", (1024, 512)).save(post)
    elif how == "16 bit":
        Image.fromarray(np.zeros((512, 512), np.uint16)).save(post)
    elif how == "half":
        post.unlink()
    elif how == "label of pre":
        label.write_bytes((folder / f"labels/{name}_pre_disaster.json").read_bytes())
    elif how == "label of another size":
        value = label_of(small(name, box(1, 1)), "post")
        value["metadata"] |= {"width": 1024, "height": 1024}
        label.write_text(json.dumps(value))


WAYS = {
    "json": "not JSON",
    "cut": "cannot be read as an image",
    "no image": "it is no image",
    "empty": "cannot be read as an image",
    "size": "1000x1000 pixels",
    "sizes": "1024x512",
    "16 bit": "8-bit",
    "half": "the post-disaster image of this pair is missing",
    "label of pre": "is it the label of the pre image?",
    "label of another size": "1024x1024",
}


def test_damage_costs_its_own_pair_alone_and_is_told_by_name(tmp_path: Path) -> None:
    names = {how: f"event-{number}_{number:08d}" for number, how in enumerate(WAYS)}
    write_scene(tmp_path / "xbd", small(MICHAEL, box(10, 10)))
    for how, name in names.items():
        write_scene(tmp_path / "xbd", small(name, box(10, 10)))
        damage(tmp_path / "xbd", name, how)
    facts, problems = build_xbd(XbdJob(tmp_path / "xbd", tmp_path / "out"))
    assert (facts.pairs, facts.left_out, facts.notes) == (1, len(WAYS), 0)
    told = {each["file"]: each["problem"] for each in lines(tmp_path / "out" / "problems.jsonl")}
    assert len(told) == len(problems) == len(WAYS)
    for how, name in names.items():
        (problem,) = [text for file, text in told.items() if name in file]
        assert WAYS[how] in problem, how
        # The file itself is named, so that a person finds it.
        assert how == "half" or f"{name}_post_disaster" in problem, how
    assert [pair.id for pair in read_dataset(tmp_path / "out").pairs] == [f"{MICHAEL}_part1"]
    left = {path.name for path in (tmp_path / "out" / "images").iterdir()}
    assert left == {f"{MICHAEL}_{date}_disaster_part1.png" for date in ("pre", "post")}


def test_with_the_files_mended_the_same_command_does_those_alone(tmp_path: Path) -> None:
    job = XbdJob(tmp_path / "xbd", tmp_path / "out")
    for name in (MICHAEL, "b_00000001", "c_00000001"):
        write_scene(job.folder, small(name, box(10, 10)))
    damage(job.folder, "b_00000001", "json")
    assert build_xbd(job)[0].left_out == 1
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "images").iterdir()}
    write_scene(job.folder, small("b_00000001", box(10, 10, 20, 20, "destroyed")))
    seen: list[tuple[int, bool, int]] = []
    facts, problems = build_xbd(job, lambda done, old, total: seen.append((done, old, total)))
    assert seen == [(2, True, 3), (1, False, 3)]
    assert problems == () and facts.pairs == 3 and facts.buildings["destroyed"] == 1
    assert not (tmp_path / "out" / "problems.jsonl").exists() and not (tmp_path / "out" / "dataset.journal").exists()
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert [pair.id for pair in read_dataset(tmp_path / "out").pairs] == [
        "b_00000001_part1",
        "c_00000001_part1",
        f"{MICHAEL}_part1",
    ]


def test_nothing_usable_is_an_error_that_says_why(tmp_path: Path) -> None:
    write_scene(tmp_path / "xbd", small(MICHAEL))
    damage(tmp_path / "xbd", MICHAEL, "json")
    with pytest.raises(InputError, match=rf"no pair could be used:\n  {MICHAEL}: .*not JSON"):
        build_xbd(XbdJob(tmp_path / "xbd", tmp_path / "out"))
    assert not (tmp_path / "out" / "dataset.json").exists() and not (tmp_path / "out" / "pairs.jsonl").exists()
    with pytest.raises(InputError, match="run the command that made it again"):
        read_dataset(tmp_path / "out")


def test_what_is_there_is_not_replaced_unasked(tmp_path: Path) -> None:
    write_scene(tmp_path / "xbd", small(MICHAEL, box(10, 10)))
    job = XbdJob(tmp_path / "xbd", tmp_path / "out")
    build_xbd(job)
    with pytest.raises(OutputError, match="--overwrite"):
        build_xbd(job)
    captions = tmp_path / "out" / "captions.paid.zero-shot.jsonl"
    captions.write_text("dear")
    again = XbdJob(tmp_path / "xbd", tmp_path / "out", rule="touch", overwrite=True)
    assert build_xbd(again)[0].count_rule == "touch"
    assert captions.read_text() == "dear"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    for overwrite in (False, True):
        with pytest.raises(OutputError, match="no data set of rsccli"):
            build_xbd(XbdJob(tmp_path / "xbd", tmp_path / "mine", overwrite=overwrite))
    with pytest.raises(OutputError, match="itself"):
        build_xbd(XbdJob(tmp_path / "xbd", tmp_path / "xbd", overwrite=True))
    with pytest.raises(OutputError, match="mkdir -p"):
        build_xbd(XbdJob(tmp_path / "xbd", tmp_path / "none" / "out"))


def test_a_cut_run_goes_on_only_with_the_same_options(tmp_path: Path) -> None:
    for name in (MICHAEL, "b_00000001"):
        write_scene(tmp_path / "xbd", small(name, box(10, 10)))
    damage(tmp_path / "xbd", "b_00000001", "json")
    build_xbd(XbdJob(tmp_path / "xbd", tmp_path / "out"))
    with pytest.raises(JournalMismatchError, match="count rule: centroid, now touch"):
        build_xbd(XbdJob(tmp_path / "xbd", tmp_path / "out", rule="touch"))


def test_the_same_folder_gives_the_same_bytes_with_any_number_of_threads(tmp_path: Path) -> None:
    for number in range(5):
        write_scene(tmp_path / "xbd", small(f"socal-fire_{number:08d}", box(10 * number, 10), form="tif"))
    found = []
    for jobs in (1, 3):
        build_xbd(XbdJob(tmp_path / "xbd", tmp_path / f"out{jobs}", jobs=jobs))
        files = sorted(path for path in (tmp_path / f"out{jobs}").rglob("*") if path.is_file())
        found.append({path.relative_to(tmp_path / f"out{jobs}"): path.read_bytes() for path in files})
    assert found[0] == found[1] and len(found[0]) == 5 * 3 + 4


def test_pairs_with_captions_are_records_to_train_on(michael: Path, tmp_path: Path) -> None:
    build_xbd(XbdJob(michael, tmp_path / "out"))
    path = tmp_path / "out" / "mine.jsonl"
    path.write_text(
        "".join(json.dumps({**pair, "caption": "houses fall"}) + "\n" for pair in lines(path.with_name("pairs.jsonl")))
    )
    records = read_records(path)
    assert [record.place for record in records] == [MICHAEL] * 4
    assert all(record.pre.is_file() and record.captions == ("houses fall",) for record in records)


def test_a_geotiff_that_was_cut_is_told(tmp_path: Path) -> None:
    write_scene(tmp_path / "xbd", small("socal-fire_00000001", form="tif"))
    write_scene(tmp_path / "xbd", small("socal-fire_00000002", form="tif"))
    path = tmp_path / "xbd/images/socal-fire_00000001_post_disaster.tif"
    path.write_bytes(path.read_bytes()[:-5000])
    facts, problems = build_xbd(XbdJob(tmp_path / "xbd", tmp_path / "out"))
    assert facts.pairs == 1 and len(problems) == 1
    assert path.name in problems[0].problem and "cannot read" in problems[0].problem


def test_a_geotiff_without_a_place_gives_parts_without_one(tmp_path: Path) -> None:
    write_scene(tmp_path / "xbd", small("socal-fire_00000001", box(10, 10), form="tif"))
    for date in ("pre", "post"):
        path = tmp_path / f"xbd/images/socal-fire_00000001_{date}_disaster.tif"
        write_tif(path, pixels_of((512, 512), 1), placed=False)
    facts, problems = build_xbd(XbdJob(tmp_path / "xbd", tmp_path / "out"))
    (pair,) = read_dataset(tmp_path / "out").pairs
    assert problems == () and facts.pairs == 1 and pair.footprint is None
    assert not (tmp_path / "out" / "footprints.geojson").exists()
