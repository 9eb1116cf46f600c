"""Messy and damaged files: mended and counted, or refused with the file and the line; never silently wrong."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rsccli.errors import InputError, UsageProblem
from rsccli.evaluation.records import CaptionRecord, RecordFile, grouped, of_system, read_captions, systems_of
from rsccli.evaluation.records.clean import clean_captions


def _clean(value: object) -> tuple[tuple[str, ...], list[str]]:
    notes: list[str] = []
    return clean_captions(value, "caption", notes.append), notes


@pytest.mark.parametrize(
    ("value", "captions", "notes"),
    [
        ("  a\thouse \n is  built ", ("a house is built",), 0),
        ("", (), 1),
        (" \n ", (), 1),
        (None, (), 1),
        (float("nan"), (), 1),
        ("nan", (), 1),
        ("NULL", (), 1),
        ("None", ("None",), 0),
        ("nothing", ("nothing",), 0),
        (7, (), 1),
        (True, (), 1),
        ([], (), 1),
        (["a", "", None, "b", 3], ("a", "b"), 3),
        ([["a"], ["b", "c"]], ("a", "b", "c"), 0),
        ({"raw": "a b", "tokens": ["c"]}, ("a b",), 0),
        ({"tokens": ["a", "b"]}, ("a b",), 0),
        ({"other": "a"}, (), 1),
        ("['a', 'b']", ("a", "b"), 1),
        ('["a", "b"]', ("a", "b"), 1),
        ("['it\\'s new', \"a 'b'\"]", ("it's new", "a 'b'"), 1),
        # NumPy prints no commas; Python would read the two as one text.
        ("['a house' 'a road']", ("a house", "a road"), 1),
        ("['a house'\n 'a road']", ("a house", "a road"), 1),
        ("['a', None, nan]", ("a",), 3),
        ("[['a'], ['b']]", ("a", "b"), 1),
        ("[\"['a']\"]", ("a",), 2),
        ("[]", (), 2),
        ("['']", (), 2),
        ("[changedet] a road", ("[changedet] a road",), 0),
        ("[changedet]", ("[changedet]",), 1),
        ("[1, 2]", ("[1, 2]",), 1),
        ("['a' + 'b']", ("['a' + 'b']",), 1),
        ("['a", ("['a",), 0),
        ("['a]", ("['a]",), 1),
        ("a \ud800 b", ("a \ufffd b",), 1),
        ("a\x00b", ("a\ufffdb",), 1),
        ("hä 房子 🏠", ("hä 房子 🏠",), 0),
    ],
)
def test_what_stands_where_a_caption_should(value: object, captions: tuple[str, ...], notes: int) -> None:
    found, said = _clean(value)
    assert found == captions and len(said) == notes, said


@settings(deadline=None)
@given(text=st.text(max_size=60))
@example("[" * 5000 + "]" * 5000)
@example("[''''']")
@example("[\\\n]")
@example("['\\N{DIGIT}']")
def test_any_text_is_kept_or_counted(text: str) -> None:
    found, notes = _clean(text)
    assert found or notes
    assert all(caption == " ".join(caption.split()) != "" for caption in found)
    for caption in found:
        caption.encode()
    # What came out once comes out again, unless it was a list.
    if len(found) == 1 and not notes:
        assert _clean(found[0]) == (found, [])


@settings(deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).map(str.strip), min_size=1))
def test_a_list_printed_by_python_or_json_gives_its_members(members: list[str]) -> None:
    direct = _clean(members)[0]
    assert _clean(repr(members))[0] == direct
    assert _clean(json.dumps(members))[0] == direct
    assert _clean(json.dumps(members, ensure_ascii=False))[0] == direct


def _read(path: Path, content: str | bytes) -> RecordFile:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_captions(path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", '{"id": 1, "caption": "x"}\n\n{"id": 2, "caption"\n', "line 3: not JSON"),
        ("a.jsonl", '{"id": 1, "caption": "x"}\n7\n', "line 2: a record is an object"),
        ("a.jsonl", '{"id": 1, "text": "x", "a": ' + "[" * 100_000, "line 1: not JSON"),
        ("a.jsonl", '{"id": 1, "house": "x"}\n', "no field of captions; it has id, house"),
        ("a.json", '{"images": [\n{"filename": "a.png",\n "sentences": }]}', "line 3: not JSON"),
        ("a.json", "[" * 100_000, "not JSON"),
        ("a.json", '[{"id": 1, "caption": "x"}, 3]', "record 2: a record is an object"),
        ("a.json", '{"a": {"b": {"c": 1}}}', "no layout that is known"),
        ("a.json", "3", "no layout that is known"),
        ("a.json", "[]", "no captions in it"),
        ("a.json", '{"images": [{"sentences": []}]}', "image 1: no filename and no imgid"),
        ("a.json", '{"images": [{"id": 1}], "annotations": [{"caption": "x"}]}', "annotation 1: no image_id"),
        ("a.json", '{"val": {"a": []}, "validation": {"b": []}}', "are the same one"),
        ("a.csv", "id,caption\n1,a house, and a road\n", "line 2: more cells"),
        ("a.csv", 'id,caption\n1,"a house\n2,a road\n', "line 2: not CSV"),
        ("a.csv", "1,a house is built\n2,a road\n", "no field of captions; it has 1, a house is built"),
        ("a.csv", "id,caption\n", "no captions in it"),
        ("a.csv", b"id,caption\n1,h\xe4user\n", "not UTF-8 text"),
        ("a.csv", "id,caption\n1,x\n".encode("utf-16"), "not UTF-8 text"),
        ("a.jsonl", b"", "an empty file"),
        ("a.csv", b"\xef\xbb\xbf \r\n", "an empty file"),
        ("a.geojson", '{"type": "FeatureCollection", "features": [{"type": "Feature"}]}', "feature 1"),
        ("a.gpkg", "nonsense", "a.gpkg"),
    ],
)
def test_a_damaged_file_is_refused_with_its_name_and_line(
    tmp_path: Path, name: str, content: str | bytes, words: str
) -> None:
    with pytest.raises(InputError) as caught:
        _read(tmp_path / name, content)
    assert words in str(caught.value) and str(tmp_path / name) in str(caught.value)


def test_an_unknown_format_lists_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match=r"'\.xlsx'") as caught:
        read_captions(tmp_path / "captions.xlsx")
    for words in ("RSCC", "LEVIR-CC", "COCO", "CSV", "JSON lines", ".gpkg"):
        assert words in str(caught.value)
    with pytest.raises(InputError, match="does not exist"):
        read_captions(tmp_path / "captions.jsonl")
    with pytest.raises(InputError, match="is no file"):
        (tmp_path / "folder.json").mkdir()
        read_captions(tmp_path / "folder.json")


def test_byte_order_marks_and_line_ends_of_any_system(tmp_path: Path) -> None:
    rows = '{"id": 1, "caption": "a\u2028b"}\r\n\r\n{"id": 2, "caption": "c"}\r\n'
    file = _read(tmp_path / "a.jsonl", "\ufeff" + rows)
    assert [(record.key, record.captions) for record in file.records] == [("1", ("a b",)), ("2", ("c",))]
    assert file.records[1].where.endswith(":3")
    whole = _read(tmp_path / "a.json", '\ufeff[{"id": 1,\r\n"caption": "x"}]')
    assert whole.records[0].captions == ("x",)


def test_missing_values_of_a_table_are_counted(tmp_path: Path) -> None:
    file = _read(tmp_path / "a.csv", "id,caption\n1,\n2,nan\n3,NaN\n4,x\nnan,y\n6\n")
    assert [record.captions for record in file.records] == [(), (), (), ("x",), ("y",), ()]
    assert file.records[4].key == "line 5", "no id is no id"
    assert grouped(file.problems) == ["4 x empty caption, first at line 2"]


def test_captions_that_are_no_text_are_counted(tmp_path: Path) -> None:
    rows = [{"id": 1, "caption": 3}, {"id": 2, "caption": {"x": 1}}, {"id": 3}, {"id": 4, "caption": None}]
    file = _read(tmp_path / "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    assert [record.captions for record in file.records] == [(), (), (), ()]
    assert file.problems == (
        "line 1: a caption that is no text, left out (caption: 3)",
        "line 2: a caption that is no text, left out (caption: {'x': 1})",
        "line 3: empty caption (no caption)",
        "line 4: empty caption (caption: a missing value)",
    )


def test_a_flag_that_says_nothing_is_counted(tmp_path: Path) -> None:
    rows = "id,caption,changed\n1,x,perhaps\n2,x,Changed\n3,x,0\n4,x,unsure\n5,x,\n"
    file = _read(tmp_path / "a.csv", rows)
    assert [record.changed for record in file.records] == [None, True, False, None, None]
    assert len(file.problems) == 1 and "line 2" in file.problems[0] and "'perhaps'" in file.problems[0]


def test_annotations_of_images_that_are_not_listed_are_kept_and_counted(tmp_path: Path) -> None:
    content = {"images": [{"id": 1}, {"id": 1}], "annotations": [{"image_id": 2, "caption": "x"}]}
    file = _read(tmp_path / "a.json", json.dumps(content))
    assert [(record.key, record.captions) for record in file.records] == [("1", ()), ("2", ("x",))]
    assert len(file.problems) == 3


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_huge_lines_are_read(tmp_path: Path, name: str) -> None:
    caption = "the water is everywhere " * 100_000
    row = json.dumps({"id": 1, "caption": caption}) if name == "a.jsonl" else f"id,caption\n1,{caption}"
    file = _read(tmp_path / name, row)
    assert file.records[0].captions == (caption.strip(),)
    if name == "a.csv":
        import csv

        assert csv.field_size_limit() < sys.maxsize, "as it was"


def test_the_systems_of_a_file_are_told_apart() -> None:
    records = tuple(
        CaptionRecord("1", (model,), model=model, regime=regime)
        for model in ("a", "b")
        for regime in ("zero-shot", "textual_prompt")
    )
    file = RecordFile(Path("p.jsonl"), "rscc", records)
    assert len(systems_of(records)) == 4
    assert of_system(file, "b", "zero-shot").records == records[2:3]
    assert of_system(file, regime="zero-shot").records == records[::2]
    with pytest.raises(
        InputError, match=r"no record of model 'c'; it has model a, regime zero-shot; model a, regime tex"
    ):
        of_system(file, "c")
