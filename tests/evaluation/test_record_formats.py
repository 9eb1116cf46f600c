"""Files of captions in every format of the field are read as what they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from made_run import make_facts, make_features

from rsccli.errors import InputError, UsageProblem
from rsccli.evaluation.records import FORMATS, CaptionRecord, RecordFile, grouped, read_captions
from rsccli.output.writers import WRITERS, write_features


def _file(path: Path, content: object) -> Path:
    """JSON lines of a list where the suffix says so, else text, bytes or JSON."""
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, str):
        path.write_text(content, encoding="utf-8", newline="")
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(line) + "\n" for line in content))  # type: ignore[attr-defined]
    else:
        path.write_text(json.dumps(content))
    return path


def _told(record: CaptionRecord) -> tuple[Any, ...]:
    return record.key, record.captions, record.changed, record.split


RSCC = {
    "model_id": "llava",
    "inference_type": "zero-shot",
    "pre_image": "xbd/a_pre_disaster_part1.png",
    "post_image": "xbd/a_post_disaster_part1.png",
    "change_caption": " Two  houses\nare gone. ",
}
LEVIR = {
    "images": [
        {
            "filepath": "train",
            "filename": "train_000001.png",
            "imgid": 0,
            "sentids": [0, 1],
            "split": "train",
            "changeflag": 0,
            "sentences": [
                {"tokens": ["there", "is", "no", "difference"], "raw": " there is no difference .", "imgid": 0},
                {"tokens": ["no", "change", "has", "occurred"], "imgid": 0},
            ],
        },
        {"filename": "test_000002.png", "split": "test", "changeflag": 1, "sentences": [{"raw": "a house is built ."}]},
    ],
    "dataset": "LEVIR_CC",
}
COCO = {
    "images": [{"id": 7, "file_name": "7.png"}, {"id": 8, "file_name": "8.png"}],
    "annotations": [
        {"id": 1, "image_id": 7, "caption": "a house is built"},
        {"id": 2, "image_id": 7, "caption": "a villa appears"},
    ],
}


def test_rscc_lines_name_a_pair_by_its_images(tmp_path: Path) -> None:
    file = read_captions(_file(tmp_path / "rscc.jsonl", [RSCC]))
    (record,) = file.records
    assert file.format == "rscc" and file.problems == ()
    assert record.key == "a_pre_disaster_part1.png | a_post_disaster_part1.png" and record.keyed == "pre and post"
    assert record.captions == ("Two houses are gone.",)
    assert (record.model, record.regime) == ("llava", "zero-shot")
    assert (record.pre, record.post) == (RSCC["pre_image"], RSCC["post_image"])
    assert record.where == f"{tmp_path / 'rscc.jsonl'}:1"


def test_levir_cc_json_has_flags_splits_and_image_folders(tmp_path: Path) -> None:
    file = read_captions(_file(tmp_path / "LevirCCcaptions.json", LEVIR))
    first, second = file.records
    assert file.format == "levir"
    assert _told(first) == (
        "train_000001.png",
        ("there is no difference .", "no change has occurred"),
        False,
        "train",
    ), "raw where there is one, else the tokens"
    assert _told(second) == ("test_000002.png", ("a house is built .",), True, "test")
    assert (first.pre, first.post) == ("train/A/train_000001.png", "train/B/train_000001.png")


def test_levir_cc_tokens_are_read_where_they_are_asked_for(tmp_path: Path) -> None:
    path = _file(tmp_path / "l.json", LEVIR)
    assert read_captions(path, column="tokens").records[0].captions[0] == "there is no difference"
    file = read_captions(path, column="raw")
    assert [len(record.captions) for record in file.records] == [1, 1] and len(file.problems) == 1
    with pytest.raises(UsageProblem, match="raw or tokens"):
        read_captions(path, column="caption")


def test_coco_references_and_results(tmp_path: Path) -> None:
    file = read_captions(_file(tmp_path / "coco.json", COCO))
    assert file.format == "coco"
    assert [_told(record)[:2] for record in file.records] == [("7", ("a house is built", "a villa appears")), ("8", ())]
    assert file.problems == ("image 8: no caption",)
    results = read_captions(
        _file(tmp_path / "r.json", [{"image_id": 7, "caption": "x"}, {"image_id": 8, "caption": ""}])
    )
    assert results.format == "coco-results"
    assert [(record.key, record.captions) for record in results.records] == [("7", ("x",)), ("8", ())]
    assert results.problems == ("record 2: empty caption (caption)",)


def test_captions_by_split_and_id_and_by_id_alone(tmp_path: Path) -> None:
    content = {"train": {"a": ["one", "two"]}, "validation": {"b": ["three"], "c": "four"}}
    file = read_captions(_file(tmp_path / "s.json", content))
    assert file.format == "splits"
    assert [(*_told(record)[:2], record.split) for record in file.records] == [
        ("a", ("one", "two"), "train"),
        ("b", ("three",), "val"),
        ("c", ("four",), "val"),
    ]
    plain = read_captions(_file(tmp_path / "p.json", {"7": [{"caption": "one"}], "8": ["two"]}))
    assert [(record.key, record.captions) for record in plain.records] == [("7", ("one",)), ("8", ("two",))]


def test_csv_rows_of_one_id_are_several_records(tmp_path: Path) -> None:
    rows = ("id,caption,pre,post,changed,split", '7,"a house, and a\nroad",a.png,b.png,true,valid', "7,a villa,,,0,")
    text = "\ufeff" + "".join(f"{row}\r\n" for row in rows)
    file = read_captions(_file(tmp_path / "c.csv", text))
    first, second = file.records
    assert file.format == "csv" and file.problems == ()
    assert _told(first) == ("7", ("a house, and a road",), True, "val") and (first.pre, first.post) == (
        "a.png",
        "b.png",
    )
    assert _told(second) == ("7", ("a villa",), False, None) and second.where.endswith(":4")


@pytest.mark.parametrize("mark", [";", "\t"])
def test_csv_of_other_marks(tmp_path: Path, mark: str) -> None:
    path = _file(tmp_path / "c.csv", f"id{mark}caption\n7{mark}a house, a road\n")
    assert read_captions(path).records[0].captions == ("a house, a road",)


def test_a_cell_of_captions_may_hold_several(tmp_path: Path) -> None:
    path = _file(tmp_path / "c.csv", "id,captions\n7,One.|Two.\n8,\"['a', 'b']\"\n9,\n")
    file = read_captions(path)
    assert [record.captions for record in file.records] == [("One.", "Two."), ("a", "b"), ()]


def test_json_lines_of_many_names(tmp_path: Path) -> None:
    lines = [
        {"id": 7, "references": ["one", "two"], "status": "unchanged"},
        {"image_id": 8.0, "references": "three", "changed": "yes"},
        {"pre": "A\\x.png", "post": "B\\x.png", "references": []},
        {"references": ["four"], "changeflag": 1, "label": 3},
    ]
    file = read_captions(_file(tmp_path / "l.jsonl", lines))
    assert file.format == "jsonl"
    assert [(*_told(record)[:3], record.keyed) for record in file.records] == [
        ("7", ("one", "two"), False, "id"),
        ("8", ("three",), True, "id"),
        ("x.png | x.png", (), None, "pre and post"),
        ("line 4", ("four",), True, "line"),
    ]
    assert file.problems == ("line 3: empty caption (references: an empty list)",)


def test_a_json_list_of_pairs_and_json_lines_under_another_suffix(tmp_path: Path) -> None:
    rows = [{"id": "a", "caption": "x"}, {"id": "b", "caption": "y"}]
    listed = read_captions(_file(tmp_path / "p.json", rows))
    text = "".join(json.dumps(row) + "\n" for row in rows)
    lines = [
        read_captions(_file(tmp_path / "lines.json", text)),
        read_captions(_file(tmp_path / "lines.ndjson", text)),
        read_captions(_file(tmp_path / "whole.jsonl", json.dumps(rows))),
    ]
    assert [file.format for file in (listed, *lines)] == ["list", "jsonl", "jsonl", "list"]
    keys = [[(record.key, record.captions) for record in file.records] for file in (listed, *lines)]
    assert keys[0] == [("a", ("x",)), ("b", ("y",))] and all(other == keys[0] for other in keys)


@pytest.mark.parametrize("suffix", [suffix for suffix in WRITERS if suffix != ".json"])
def test_our_own_outputs_give_the_tiles_that_have_a_caption(tmp_path: Path, suffix: str) -> None:
    facts = make_facts()
    features = make_features(48, facts)
    path = tmp_path / f"out{suffix}"
    write_features(path, features, facts)
    file = read_captions(path)
    with_caption = {feature.id: feature for feature in features if feature.caption is not None}
    assert file.format == "output" and 0 < len(with_caption) < 48
    assert {record.key for record in file.records} == set(with_caption)
    for record in file.records:
        feature = with_caption[record.key]
        assert record.changed == feature.change and record.model == feature.model
        assert record.captions == (" ".join(str(feature.caption).split()),)
    # Each tile without a caption is named with its status, and none of them is scored as an empty caption.
    without = [problem for problem in file.problems if "no caption, " in problem]
    assert len(without) == 48 - len(with_caption)
    assert any("read_error" in problem for problem in without) and any("nodata" in problem for problem in without)


def test_our_own_outputs_are_known_by_what_they_hold(tmp_path: Path) -> None:
    """A collection under .json, reformatted by another tool, and lines under .jsonl."""
    facts = make_facts()
    write_features(tmp_path / "out.json", make_features(48, facts), facts)
    write_features(tmp_path / "out.geojsonl", make_features(48, facts), facts)
    (tmp_path / "out.geojsonl").rename(tmp_path / "lines.jsonl")
    content = json.loads((tmp_path / "out.json").read_text())
    (tmp_path / "edited.json").write_text(json.dumps({"features": content.pop("features"), **content}, indent=1))
    files = [read_captions(tmp_path / name) for name in ("out.json", "lines.jsonl", "edited.json")]
    assert all(file.format == "output" for file in files)
    keys = [[record.key for record in file.records] for file in files]
    assert keys[0] == keys[1] == keys[2]
    with pytest.raises(UsageProblem, match="are in caption, not in 'status'"):
        read_captions(tmp_path / "out.json", column="status")


def test_a_split_is_chosen_by_any_of_its_names(tmp_path: Path) -> None:
    path = _file(tmp_path / "l.json", LEVIR)
    assert [record.key for record in read_captions(path, split="Testing").records] == ["test_000002.png"]
    with pytest.raises(InputError, match=r"no pair of the split 'val'; it has test, train"):
        read_captions(path, split="val")
    with pytest.raises(UsageProblem, match="leave --split train out"):
        read_captions(_file(tmp_path / "r.jsonl", [RSCC]), split="train")
    some = _file(tmp_path / "s.csv", "id,caption,split\n1,a,test\n2,b,\n")
    file = read_captions(some, split="test")
    assert [record.key for record in file.records] == ["1"] and file.problems == (
        "s.csv: 1 records of no split, left out",
    )


LINE = {"question": "q", "answer": "a road", "caption10": "k", "caption2": "c", "caption0": "a", "caption1": ""}


def test_lines_with_a_prediction_and_references_ask_which_is_meant(tmp_path: Path) -> None:
    path = _file(tmp_path / "e.jsonl", [LINE])
    with pytest.raises(UsageProblem, match=r"name one as the column: answer or caption\*"):
        read_captions(path)
    for said in (read_captions(path, column="answer"), read_captions(path, role="predictions")):
        assert said.records[0].captions == ("a road",) and said.records[0].keyed == "line"
    for wanted in (read_captions(path, column="Caption*"), read_captions(path, role="references")):
        assert wanted.records[0].captions == ("a", "c", "k"), "in the order of their numbers"
        assert wanted.problems == ("line 1: empty caption (caption1)",)
    with pytest.raises(InputError, match="no field 'text'; it has question, answer, caption10"):
        read_captions(path, column="text")


@pytest.mark.parametrize(
    ("line", "predictions", "references"),
    [
        ({"id": 1, "answer": "people", "prediction": "model"}, "model", "people"),
        ({"id": 1, "caption": "model", "references": ["people"]}, "model", "people"),
        ({"id": 1, "caption": "model", "captions": ["people"]}, "model", "people"),
        ({"id": 1, "response": "model", "ground_truth": "people"}, "model", "people"),
        ({"id": 1, "change_caption": "either"}, "either", "either"),
    ],
)
def test_what_captions_are_for_chooses_their_field(
    tmp_path: Path, line: dict[str, object], predictions: str, references: str
) -> None:
    path = _file(tmp_path / "l.jsonl", [line])
    assert read_captions(path, role="predictions").records[0].captions == (predictions,)
    assert read_captions(path, role="references").records[0].captions == (references,)


@pytest.mark.shared
def test_levir_cc_captions_of_people(shared: Path) -> None:
    path = shared / "captions" / "levir_cc_train_val.json"
    file = read_captions(path)
    assert file.format == "splits" and len(file.records) == 6815 + 1333 and file.problems == ()
    assert all(len(record.captions) == 5 for record in file.records)
    assert len(read_captions(path, split="val").records) == 1333


@pytest.mark.shared
def test_pairs_of_people(shared: Path) -> None:
    file = read_captions(shared / "pairs" / "pairs.json")
    assert file.format == "list" and [len(record.captions) for record in file.records] == [5] * 4 + [1] * 4 + [0] * 3
    assert file.records[0].pre == "levircc_train_000016_pre.png"
    assert grouped(file.problems) == ["3 x empty caption, first at record 9"]


@pytest.mark.shared
def test_earthdial_on_dubai_cc_has_five_references_a_line(shared: Path) -> None:
    path = shared / "captions" / "earthdial_dubai_cc.jsonl"
    said, wanted = read_captions(path, column="answer"), read_captions(path, column="caption*")
    assert len(said.records) == len(wanted.records) == 25 and said.problems == wanted.problems == ()
    assert all(len(record.captions) == 5 for record in wanted.records)
    assert said.records[0].captions == ("The area was urbanized.",)


@pytest.mark.shared
def test_earthdial_on_sysu_has_one_reference_in_a_list_written_as_text(shared: Path) -> None:
    wanted = read_captions(shared / "captions" / "earthdial_sysu.jsonl", role="references")
    assert [len(record.captions) for record in wanted.records] == [1] * 25
    assert wanted.records[5].captions == ("Change of vegetation occurred.",)
    assert grouped(wanted.problems) == [
        "100 x empty caption, first at line 1",
        "25 x a list written as text, first at line 1",
    ]


def test_every_example_of_the_table_of_formats_is_of_its_format(tmp_path: Path) -> None:
    for each in FORMATS.values():
        if each.name in ("csv", "output"):
            continue
        file = read_captions(_file(tmp_path / f"{each.name}{each.suffixes[0]}", each.example + "\n"))
        assert isinstance(file, RecordFile) and file.format == each.name
        assert file.records[0].captions == ("a house is built",)
