from __future__ import annotations

from pathlib import Path

import pytest

from rsccli.datasets.xbd.find import find_pairs
from rsccli.errors import InputError

A, B = "hurricane-michael_00000001", "socal-fire_00000002"


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def whole(folder: Path, name: str, suffix: str = "png") -> None:
    for date in ("pre", "post"):
        touch(folder, f"images/{name}_{date}_disaster.{suffix}", f"labels/{name}_{date}_disaster.json")


def test_a_folder_of_one_split(tmp_path: Path) -> None:
    whole(tmp_path, A)
    whole(tmp_path, B, "tif")
    touch(tmp_path, f"targets/{A}_post_disaster_target.png")
    found = find_pairs(tmp_path)
    assert found.problems == ()
    assert [(pair.name, pair.event, pair.split, pair.post.suffix) for pair in found.pairs] == [
        (A, "hurricane-michael", None, ".png"),
        (B, "socal-fire", None, ".tif"),
    ]
    assert found.pairs[0].label == tmp_path / "labels" / f"{A}_post_disaster.json"


@pytest.mark.parametrize("above", ["", "geotiffs/"])
def test_tiers_are_splits(tmp_path: Path, above: str) -> None:
    for split, name in (("tier1", A), ("tier3", B), ("hold", "palu-tsunami_00000003")):
        whole(tmp_path / above / split, name)
    found = find_pairs(tmp_path)
    assert found.problems == ()
    assert [(pair.name, pair.split) for pair in found.pairs] == [
        ("hold/palu-tsunami_00000003", "hold"),
        (f"tier1/{A}", "tier1"),
        (f"tier3/{B}", "tier3"),
    ]


def test_every_missing_half_is_told_and_costs_its_own_pair_alone(tmp_path: Path) -> None:
    whole(tmp_path, A)
    for name, gone in (
        ("b_00000001", "images/b_00000001_post_disaster.png"),
        ("c_00000001", "images/c_00000001_pre_disaster.png"),
        ("d_00000001", "labels/d_00000001_post_disaster.json"),
        ("e_00000001", "labels/e_00000001_pre_disaster.json"),
    ):
        whole(tmp_path, name)
        (tmp_path / gone).unlink()
    whole(tmp_path, "f_00000001")
    for date in ("pre", "post"):
        (tmp_path / f"images/f_00000001_{date}_disaster.png").unlink()
    touch(tmp_path, "images/g_00000001_pre_disaster.png", "images/g_00000001_post_disaster.tif")
    touch(tmp_path, "images/readme.txt")
    found = find_pairs(tmp_path)
    assert [pair.id for pair in found.pairs] == ["e_00000001", A], "of the label of pre only a date is taken"
    assert found.pairs[0].pre_label is None
    told = {problem.file: (problem.problem, problem.left_out) for problem in found.problems}
    assert told == {
        "images/readme.txt": ("not named as xBD's images are: it was not looked at", False),
        "images/b_00000001_pre_disaster.png": ("the post-disaster image of this pair is missing", True),
        "images/c_00000001_post_disaster.png": ("the pre-disaster image of this pair is missing", True),
        "images/d_00000001_post_disaster.png": ("its label labels/d_00000001_post_disaster.json is missing", True),
        "labels/f_00000001_post_disaster.json": ("a label without images", True),
        "images/g_00000001_post_disaster.tif": ("its two dates are of different kinds (.png and .tif)", True),
    }


def test_a_split_without_labels_is_one_problem(tmp_path: Path) -> None:
    whole(tmp_path / "train", A)
    touch(tmp_path, *(f"test/images/{B}_{date}_disaster.png" for date in ("pre", "post")))
    found = find_pairs(tmp_path)
    assert [pair.id for pair in found.pairs] == [A]
    (problem,) = found.problems
    assert problem.file == "test/labels" and "1 pairs" in problem.problem


def test_one_name_in_two_splits_is_taken_once(tmp_path: Path) -> None:
    whole(tmp_path / "tier1", A)
    whole(tmp_path / "train", A)
    found = find_pairs(tmp_path)
    assert [pair.split for pair in found.pairs] == ["tier1"]
    (problem,) = found.problems
    assert problem.file == f"train/images/{A}_pre_disaster.png" and "tier1" in problem.problem and problem.left_out


def test_geotiffs_go_before_pictures_of_the_same_pair(tmp_path: Path) -> None:
    whole(tmp_path, A)
    whole(tmp_path, A, "tif")
    (pair,) = find_pairs(tmp_path).pairs
    assert (pair.pre.suffix, pair.post.suffix) == (".tif", ".tif")


def test_what_is_no_folder_of_xbd_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "images/cat.png")
    with pytest.raises(InputError, match="unpacked"):
        find_pairs(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        find_pairs(tmp_path / "none")
