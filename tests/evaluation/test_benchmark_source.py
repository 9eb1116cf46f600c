"""Where the pairs of a benchmark come from, and which of them are asked about."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from benchmark_pairs import BUILT, GONE, SAME, records, save, write_levir, write_list
from probe_pairs import ground

from rsccli.errors import InputError, UsageProblem
from rsccli.evaluation.benchmark.images import Reading
from rsccli.evaluation.benchmark.job import BenchmarkJob, Plan, plan_benchmark
from rsccli.evaluation.benchmark.pairs import Choice
from rsccli.evaluation.benchmark.source import find_source
from rsccli.geo.pair import PairOptions


def plan(source: Path, references: Path | None = None, images: Path | None = None, **choice: object) -> Plan:
    return plan_benchmark(
        BenchmarkJob(source, source.parent / "out", references=references, images=images, choice=Choice(**choice))  # type: ignore[arg-type]
    )


def test_a_json_list_names_pairs_and_references(tmp_path: Path) -> None:
    write_list(tmp_path / "pairs.json")
    found = find_source(tmp_path)
    assert (found.format, found.captioned, [pair.key for pair in found.pairs]) == (
        "list",
        True,
        ["pair0", "pair1", "pair2"],
    )
    first = found.pairs[0]
    assert first.references == (BUILT, f"{BUILT} here") and first.gsd_m == 0.5
    assert first.pre_file == tmp_path / "0_pre.png" and first.problem is None


def test_csv_with_several_rows_for_a_pair(tmp_path: Path) -> None:
    told = records(tmp_path, ("built", "gone"))
    with (tmp_path / "pairs.csv").open("w", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(["id", "pre_image", "post_image", "caption", "gsd"])
        for each in told:
            for caption in each["captions"]:
                writer.writerow([each["id"], each["pre"], each["post"], f"{caption}, surely", "2"])
    found = find_source(tmp_path / "pairs.csv")
    assert [pair.references for pair in found.pairs] == [
        (f"{text}, surely", f"{text} here, surely") for text in (BUILT, GONE)
    ]
    assert found.pairs[1].gsd_m == 2


def test_a_levir_cc_folder_with_its_splits(tmp_path: Path) -> None:
    write_levir(tmp_path, {"train": ["built"], "test": ["same", "gone"]})
    with pytest.raises(UsageProblem, match=r"holds several splits: train \(1\), test \(2\); name one with --split"):
        plan(tmp_path)
    chosen = plan(tmp_path, split="testing").chosen
    assert [pair.key for pair in chosen.pairs] == ["test_000000.png", "test_000001.png"]
    first = chosen.pairs[0]
    assert (first.changed, first.gsd_m, first.references) == (False, 0.5, (f"{SAME} .",) * 5)
    assert first.post_file == tmp_path / "images" / "test" / "B" / "test_000000.png"
    with pytest.raises(InputError, match="none of 3 pairs is of the split 'val'"):
        plan(tmp_path, split="val")


def test_lines_of_rscc_name_images_that_lie_deeper(tmp_path: Path) -> None:
    told = records(tmp_path / "images" / "event", ("built",))
    line = {"pre_image": told[0]["pre"], "post_image": told[0]["post"], "change_caption": BUILT}
    (tmp_path / "RSCC_gt.jsonl").write_text(json.dumps(line) + "\n")
    (pair,) = find_source(tmp_path).pairs
    assert pair.key == "0_pre.png | 0_post.png"
    assert pair.pre_file == tmp_path / "images" / "event" / "0_pre.png"
    elsewhere = tmp_path / "lists"
    elsewhere.mkdir()
    (tmp_path / "RSCC_gt.jsonl").rename(elsewhere / "gt.jsonl")
    assert find_source(elsewhere, tmp_path / "images").pairs[0].problem is None
    assert "no such file" in str(find_source(elsewhere).pairs[0].problem)


def test_two_folders_of_images_get_their_captions_from_another_file(tmp_path: Path) -> None:
    write_levir(tmp_path, {"test": ["built", "same"]})
    images = tmp_path / "images" / "test"
    save(images / "A" / "lone.png", ground(7))
    found = plan(images, references=tmp_path / "LevirCCcaptions.json")
    pairs = found.chosen.pairs
    assert [pair.key for pair in pairs] == ["test_000000.png", "test_000001.png"]
    assert [pair.changed for pair in pairs] == [True, False] and {pair.split for pair in pairs} == {"test"}
    assert (found.chosen.found, found.chosen.without) == (3, 1)
    assert found.notes[0].startswith("2 pairs have captions of LevirCCcaptions.json")


def test_references_of_several_splits_are_no_single_set(tmp_path: Path) -> None:
    write_levir(tmp_path, {"val": ["built"], "test": ["same"]})
    both = tmp_path / "both"
    for split in ("val", "test"):
        for side in "AB":
            (both / side).mkdir(parents=True, exist_ok=True)
            name = f"{split}_000000.png"
            (tmp_path / "images" / split / side / name).rename(both / side / name)
    captions = tmp_path / "LevirCCcaptions.json"
    with pytest.raises(UsageProblem, match="name one with --split"):
        plan(both, references=captions)
    assert [pair.key for pair in plan(both, references=captions, split="test").chosen.pairs] == ["test_000000.png"]


def test_missing_halves_and_pairs_without_words_are_counted(tmp_path: Path) -> None:
    path = write_list(tmp_path / "pairs.json", ("built", "gone", "same", "built"))
    (tmp_path / "1_post.png").unlink()
    told = json.loads(path.read_text())
    told[2]["captions"] = []
    told[3]["pre"] = None
    path.write_text(json.dumps(told))
    found = plan(path)
    assert [pair.problem is None for pair in found.chosen.pairs] == [True, False, False]
    assert "post: 1_post.png: no such file" in str(found.chosen.pairs[1].problem)
    assert found.chosen.pairs[2].problem == "its record names no pre"
    assert (found.chosen.without, found.chosen.matching) == (1, 4)


def test_a_name_that_two_files_have_is_not_guessed(tmp_path: Path) -> None:
    told = records(tmp_path / "a", ("built",))
    records(tmp_path / "b", ("gone",))
    (tmp_path / "pairs.json").write_text(json.dumps(told))
    assert "several files have that name" in str(find_source(tmp_path).pairs[0].problem)


def test_the_same_pairs_are_drawn_for_the_same_seed(tmp_path: Path) -> None:
    path = write_list(tmp_path / "pairs.json", ("built", "gone", "same") * 4)
    first, again, other = ([pair.key for pair in plan(path, limit=5, seed=seed).chosen.pairs] for seed in (3, 3, 4))
    assert first == again != other and len(first) == 5
    assert [pair.key for pair in plan(path, only="pair1*").chosen.pairs] == ["pair1", "pair10", "pair11"]
    with pytest.raises(InputError, match="fits --only nothing"):
        plan(path, only="nothing")


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ('[{"id": "1", "captions": ["a"]}]', "pairs.json", "names no images"),
        ('{"val": {"1": ["a"]}}', "pairs.json", "no list of pairs"),
        ('{"annotations": [], "images": [{"id": 1}]}', "pairs.json", "no captions|names no images"),
        ("[]", "pairs.json", "no pair in it"),
        ('{"pre": "a.png"', "pairs.jsonl", "line 1: not JSON"),
        ("id,pre,post,caption\n1,a.png,b.png,one, two\n", "pairs.csv", "line 2: more cells"),
        ('[{"pre": "a.png", "post": "b.png", "caption": "x", "gsd_m": -1}]', "pairs.json", "give metres per pixel"),
        (
            '[{"pre": "a.png", "post": "b.png", "caption": "x", "counts": {"many": 1}}]',
            "pairs.json",
            "counts of 'many'",
        ),
        ('[{"pre": "a.png", "post": "b.png", "caption": "x", "destroyed": "x"}]', "pairs.json", "number of buildings"),
        (
            '[{"id": "1", "pre": "a.png", "post": "b.png", "caption": "x"},'
            ' {"id": "1", "pre": "c.png", "post": "b.png", "caption": "x"}]',
            "pairs.json",
            "two pairs are named 1",
        ),
    ],
)
def test_lists_that_are_refused(tmp_path: Path, content: str, name: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        find_source(tmp_path / name)


def test_folders_that_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        find_source(tmp_path / "nowhere")
    with pytest.raises(InputError, match="no list of pairs"):
        find_source(tmp_path)
    for name in ("one.json", "two.csv"):
        (tmp_path / name).write_text("[]")
    with pytest.raises(InputError, match=r"2 files that may list pairs \(one.json, two.csv, ...\): name one"):
        find_source(tmp_path)


def test_nothing_can_be_scored_without_references(tmp_path: Path) -> None:
    path = write_list(tmp_path / "pairs.json")
    told = [{key: value for key, value in each.items() if key != "captions"} for each in json.loads(path.read_text())]
    path.write_text(json.dumps(told))
    assert not find_source(path).captioned and find_source(path).notes == ()
    with pytest.raises(InputError, match="no pair has a reference caption; give a file of captions with --references"):
        plan(path)


def test_sizes_that_nearly_agree_are_cut_where_that_is_asked_for(tmp_path: Path) -> None:
    pre, post = ground(1), ground(2)
    save(tmp_path / "a.png", pre[:, :, 1:])
    save(tmp_path / "b.png", post[:, 2:, :])
    files = (tmp_path / "a.png", tmp_path / "b.png")
    for tolerance in (0, 1):
        with pytest.raises(InputError, match="must have one size"):
            Reading(0.5, PairOptions(), tolerance).read(*files, 3, None)
    tile, cut = Reading(0.5, PairOptions(), 2).read(*files, 3, None)
    assert cut and tile.pre.shape == tile.post.shape == (3, 94, 95) and tile.valid.all()
    assert (tile.pre == pre[:, :94, 1:]).all() and (tile.post == post[:, 2:, :95]).all()
    same, cut = Reading(None, PairOptions(), 2).read(files[0], save(tmp_path / "c.png", post[:, :, 1:]), 3, 2.0)
    assert not cut and same.gsd_m == 2.0


def test_georeferenced_pairs_are_aligned(root: Path, tmp_path: Path) -> None:
    pre, post = (root / "examples" / f"prairie_{date}.tif" for date in ("2012-07-31", "2014-07-20"))
    tile, cut = Reading(None, PairOptions(), 2).read(pre, post, 0, None)
    assert not cut and tile.pre.shape == tile.post.shape and tile.gsd_m == pytest.approx(5, abs=0.5)
