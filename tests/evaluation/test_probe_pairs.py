"""Where the pairs of a probe come from."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from probe_pairs import ground, write_naip

from rsccli.errors import InputError, UsageProblem
from rsccli.evaluation.probes.listing import read_listing
from rsccli.evaluation.probes.pairs import PairChoice, PairSet, changed_by_captions, find_pairs
from rsccli.geo.pair import PairOptions


def images(folder: Path, names: tuple[str, ...], side: int = 64) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(names):
        cv2.imwrite(str(folder / name), np.moveaxis(ground(seed, side), 0, 2)[..., ::-1])


def listing(tmp_path: Path, content: str, name: str = "town.csv") -> Path:
    images(tmp_path, ("a.png", "b.png", "c.png"))
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    return path


def found(path: Path, **choice: object) -> PairSet:
    return find_pairs([str(path)], PairChoice(**choice))  # type: ignore[arg-type]


CSV = """id,pre,post,captions,changed,region,place,gsd_m,split
one,a.png,b.png,a house is built|a villa appears,true,town,p,0.5,test
two,b.png,c.png,"[""there is no difference""]",,,p,0.5,val
three,a.png,c.png,the road has been widened,minor,,,0.5,test
"""


def test_a_table_of_pairs(tmp_path: Path) -> None:
    pairs = found(listing(tmp_path, CSV))
    one, two, three = pairs.labels
    assert (one.name, one.place, one.region, one.changed, one.split) == ("one", "p", "town", True, "test")
    assert one.captions == ("a house is built", "a villa appears")
    assert (two.changed, two.region) == (False, "town"), "read from its caption; the region is the file's name"
    assert (three.changed, three.place) == (None, "three"), "its file says that nobody can tell: captions are not asked"
    assert pairs.notes == ("whether a pair changed is read from its captions for 1 of 3 pairs",)


def test_json_and_lines_say_the_same_as_the_table(tmp_path: Path) -> None:
    rows = [
        {"id": "one", "pre_image": "a.png", "post_image": "b.png", "captions": ["a house is built"], "changed": True},
        {
            "id": "two",
            "pre_image": "b.png",
            "post_image": "c.png",
            "change_caption": "there is no difference",
            "gsd": 2,
        },
    ]
    whole = listing(tmp_path, json.dumps(rows), "pairs.json")
    lines = listing(tmp_path, "\n".join(map(json.dumps, rows)) + "\n\n", "pairs2.jsonl")
    first, second = read_listing(whole)[0], read_listing(lines)[0]
    assert [each.name for each in first] == [each.name for each in second] == ["one", "two"]
    assert [each.captions for each in first] == [("a house is built",), ("there is no difference",)]
    assert [each.gsd_m for each in first] == [None, 2.0]
    assert [each.region for each in first] == [tmp_path.name] * 2
    assert read_listing(tmp_path)[0] == first, "the folder stands for the file in it"


@pytest.mark.shared
def test_the_real_pairs_with_captions(shared: Path) -> None:
    pairs = found(shared / "pairs", gsd_m=0.5)
    assert len(pairs.pairs) == 11
    captioned = [label for label in pairs.labels if label.captions]
    assert len(captioned) == 8 and all(label.changed for label in captioned)
    assert pairs.pairs[0].images.read().pre.shape == (3, 256, 256)


def test_folders_of_two_dates_with_captions_from_another_file(tmp_path: Path) -> None:
    folder = tmp_path / "LEVIR" / "test"
    for date in ("A", "B"):
        images(folder / date, ("x.png", "y.png"))
    levir = {
        "images": [
            {"filename": "x.png", "split": "test", "changeflag": 1, "sentences": [{"raw": " a house is built ."}]},
            {"filename": "z.png", "split": "test", "changeflag": 0, "sentences": [{"raw": "no change has occurred"}]},
        ]
    }
    references = tmp_path / "captions.json"
    references.write_text(json.dumps(levir))
    pairs = found(folder, references=references, gsd_m=0.5)
    assert [label.name for label in pairs.labels] == ["x.png", "y.png"]
    assert len(pairs.labels[0].captions) == 1 and pairs.labels[0].changed is True
    assert pairs.labels[1].captions == () and pairs.labels[1].changed is None
    assert pairs.notes == ("1 of 2 pairs have captions of captions.json",)
    (folder / "B" / "y.png").unlink()
    with pytest.raises(InputError, match=r"y\.png is in one of A/ and B/ alone"):
        found(folder)


def test_the_same_pairs_are_drawn_again_and_others_with_another_seed(tmp_path: Path) -> None:
    rows = "".join(f"{i},a.png,b.png,0.5\n" for i in range(30))
    path = listing(tmp_path, "id,pre,post,gsd_m\n" + rows)
    drawn = [label.name for label in found(path, limit=10).labels]
    assert drawn == [label.name for label in found(path, limit=10).labels] == sorted(drawn, key=int)
    assert drawn != [label.name for label in found(path, limit=10, seed=1).labels]
    assert len(found(path, limit=0).pairs) == 30 and found(path, limit=10).found == 30
    tiles = {pair.label.name: pair.images.read().tile.id for pair in found(path, limit=0).pairs}
    for pair in found(path, limit=5).pairs:
        assert pair.images.read().tile.id == tiles[pair.label.name], "draws of a pair do not depend on the others"


def test_splits_and_regions_are_chosen(tmp_path: Path) -> None:
    path = listing(tmp_path, CSV)
    assert [label.name for label in found(path, split="test").labels] == ["one", "three"]
    with pytest.raises(InputError, match="none of 3 pairs is of train"):
        found(path, split="train")


def test_two_rasters_are_pairs_of_tiles(root: Path) -> None:
    rasters = [str(root / "examples" / f"prairie_{date}.tif") for date in ("2012-07-31", "2014-07-20")]
    pairs = find_pairs(rasters, PairChoice(limit=3, geometry=PairOptions(tile_size=128)))
    assert (len(pairs.pairs), pairs.found) == (3, 48)
    names = [label.name for label in pairs.labels]
    assert names == sorted(names) and len({label.place for label in pairs.labels}) == 3
    tile = pairs.pairs[0].images.read()
    assert tile.pre.shape == (3, 128, 128) and 4.5 < tile.gsd_m < 5.5


@pytest.mark.shared
def test_georeferenced_pairs_are_read_as_the_caption_command_reads_them(shared: Path, tmp_path: Path) -> None:
    import rasterio

    pairs = find_pairs([str(write_naip(tmp_path, shared))], PairChoice())
    pair = pairs.pairs[0].images.read()
    with rasterio.open(shared / "naip" / "riverside_2016_1.tif") as source:
        assert np.array_equal(pair.pre, source.read((1, 2, 3)))
        assert tuple(pair.tile.map_bounds) == pytest.approx(tuple(source.bounds))
    assert pair.valid.all() and pair.gsd_m == pytest.approx(0.6, abs=0.01)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id,pre,post\n", "no pair in it"),
        ("id,pre,post\none,a.png\n", r"line 2: no post: give the path of that image \(it has id, pre\)"),
        ("id,pre,post\none,a.png,z.png\n", r"line 2: post is z\.png, but there is no file"),
        ("id,pre,post\none,a.png,a.png\n", "pre and post are the same file"),
        ("id,pre,post,changed\none,a.png,b.png,maybe\n", "changed is 'maybe': give true, false or nothing"),
        ("id,pre,post,gsd_m\none,a.png,b.png,-1\n", "gsd_m is '-1': give metres per pixel"),
        ("id,pre,post\none,a.png,b.png,c.png\n", "more columns than the header has"),
        ("id,pre,post\none,a.png,b.png\none,a.png,c.png\n", "two pairs are named one"),
    ],
)
def test_files_that_cannot_be_used_say_where_and_why(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        found(listing(tmp_path, content))


def test_images_without_a_scale_or_of_two_sizes_are_refused_when_read(tmp_path: Path) -> None:
    path = listing(tmp_path, "id,pre,post\none,a.png,b.png\ntwo,a.png,large.png\n")
    images(tmp_path, ("large.png",), side=96)
    with pytest.raises(InputError, match="add a column gsd_m to the pairs, or give --gsd"):
        found_again(path, None)
    with pytest.raises(InputError, match="96x96: images without a georeference must have one size"):
        found_again(path, 0.5, 1)


def found_again(path: Path, gsd_m: float | None, index: int = 0) -> None:
    find_pairs([str(path)], PairChoice(gsd_m=gsd_m)).pairs[index].images.read()


@pytest.mark.parametrize("inputs", [[], ["a.tif"], ["a.csv", "b.tif"], ["a.tif", "b.tif", "c.tif"]])
def test_neither_files_of_pairs_nor_two_rasters(inputs: list[str]) -> None:
    with pytest.raises(UsageProblem, match="give files of pairs"):
        find_pairs(inputs, PairChoice())


def test_what_most_captions_say() -> None:
    assert changed_by_captions(("a house is built", "there is no difference", "a villa appears")) is True
    assert changed_by_captions(("the scene is the same as before",)) is False
    assert changed_by_captions(("a house is built", "there is no difference")) is None
    assert changed_by_captions(()) is None
