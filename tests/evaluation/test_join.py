"""Predictions meet their references; whatever does not fit is counted, and nothing is joined by chance."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_run import make_facts, make_features

from rsccli.errors import InputError
from rsccli.evaluation.join import Joined, join
from rsccli.evaluation.records import CaptionRecord, RecordFile, names_key, read_captions, write_captions
from rsccli.output.writers import write_features


def _file(*records: CaptionRecord, name: str = "file.jsonl", problems: tuple[str, ...] = ()) -> RecordFile:
    return RecordFile(Path(name), "jsonl", records, problems)


def _ids(**captions: str | tuple[str, ...]) -> RecordFile:
    return _file(*(CaptionRecord(key, (text,) if isinstance(text, str) else text) for key, text in captions.items()))


def _images(pre: str, post: str, *captions: str) -> CaptionRecord:
    return CaptionRecord(names_key(pre, post), captions, pre=pre, post=post, keyed="pre and post")


def test_by_id_in_the_order_of_the_references() -> None:
    joined = join(_ids(c="3", a="1", b="2"), _ids(a=("x", "y"), b=("z",), c=("w",)))
    assert joined.keys == ("a", "b", "c") and joined.predictions == ("1", "2", "3")
    assert joined.references == (("x", "y"), ("z",), ("w",))
    assert joined.report.by == "id" and joined.report.joined == 3


def test_by_the_names_of_both_images_wherever_they_lie() -> None:
    said = _file(_images("/data/run/a_pre.png", "C:\\run\\a_post.png", "said"))
    wanted = _file(_images("xbd/a_pre.png", "xbd/a_post.png", "wanted"), _images("xbd/a_pre.png", "xbd/b.png", "other"))
    joined = join(said, wanted)
    assert joined.report.by == "pre and post" and joined.keys == ("a_pre.png | a_post.png",)
    assert joined.references == (("wanted",),), "both names count"


@pytest.mark.parametrize("one", ["test_000004", "test/A/test_000004.png", "test_000004.TIF"])
def test_folders_and_suffixes_of_images_may_differ(one: str) -> None:
    joined = join(_file(CaptionRecord(one, ("x",))), _ids(**{"test_000004.jpg": "y", "test_000005.jpg": "z"}))
    assert joined.report.by == "id without folder and suffix" and joined.keys == ("test_000004.jpg",)


def test_suffixes_of_both_images_may_differ() -> None:
    joined = join(_file(_images("a.tif", "b.tif", "x")), _file(_images("a.png", "b.png", "y")))
    assert joined.report.by == "pre and post without suffix"


def test_exact_names_come_before_stems() -> None:
    said = _ids(**{"a.png": "1", "b.png": "2"})
    wanted = _ids(**{"a.png": "x", "a.tif": "other", "b.png": "y", "b.tif": "other"})
    joined = join(said, wanted)
    assert joined.report.by == "id" and joined.references == (("x",), ("y",))


def test_a_way_that_makes_one_pair_of_two_is_not_taken() -> None:
    same_names = (_images("city1/A/1.png", "city1/B/1.png", "x"), _images("city2/A/1.png", "city2/B/1.png", "y"))
    with pytest.raises(InputError, match=r"city1/A/1\.png \| city1/B/1\.png and city2/A/1\.png .* would be one pair"):
        join(_file(_images("1.png", "1.png", "x")), _file(*same_names))
    with pytest.raises(InputError, match=r"a/1\.png and b/1\.png would be one pair"):
        join(_ids(**{"1": "x"}), _ids(**{"a/1.png": "y", "b/1.png": "z"}))
    # Where another way joins some, it is taken, and the report says what was not.
    some = _file(CaptionRecord("7", ("x",), "A/1.png", "B/1.png"), CaptionRecord("9", ("x",), "A/2.png", "B/2.png"))
    wanted = _file(
        CaptionRecord("7", ("y",), "c/A/1.png", "c/B/1.png"),
        CaptionRecord("8", ("y",), "c/A/2.png", "c/B/2.png"),
        CaptionRecord("10", ("y",), "d/A/2.png", "d/B/2.png"),
    )
    report = join(some, wanted).report
    assert report.by == "id" and report.joined == 1
    assert len(report.notes) == 1
    assert report.notes[0].startswith("pre and post would have joined 2 pairs, but")


def test_numbers_of_rows_do_not_join_images_of_other_names() -> None:
    """Both files numbered their rows, in another order; the images' names know better."""
    said = _file(*(replace(_images(f"{n}.png", f"{n}.png", n), key=str(i), keyed="id") for i, n in enumerate("abc")))
    wanted = _file(*(replace(_images(f"{n}.png", f"{n}.png", n), key=str(i), keyed="id") for i, n in enumerate("cab")))
    joined = join(said, wanted)
    assert joined.report.by == "pre and post"
    assert joined.predictions == ("c", "a", "b") and joined.references == (("c",), ("a",), ("b",))
    # Where the names of the two files have nothing in common the ids are believed, and the report says so.
    other = _file(*(replace(record, pre=f"x{record.pre}") for record in wanted.records))
    report = join(said, other).report
    assert report.by == "id" and "3 pairs have one id but images of other names" in report.notes[0]


def test_line_by_line_only_where_both_have_the_same_lines() -> None:
    lines = [CaptionRecord(f"line {n}", (str(n),), keyed="line") for n in (1, 2, 4)]
    joined = join(_file(*lines), _file(*lines))
    assert joined.report.by == "line" and joined.predictions == ("1", "2", "4")
    with pytest.raises(InputError, match="these have 2 and 3 records; give every line an id"):
        join(_file(*lines[:2]), _file(*lines))
    with pytest.raises(InputError, match="give every line an id"):
        # As many lines, but a blank one stands elsewhere.
        join(_file(*lines), _file(*lines[:2], CaptionRecord("line 3", ("3",), keyed="line")))
    with pytest.raises(InputError, match="give every line an id"):
        join(_file(*lines, CaptionRecord("7", ("x",))), _file(*lines))
    with pytest.raises(InputError, match="no id and no pair of file names"):
        # A line's number is no id.
        join(_file(*lines), _ids(**{"line 1": "x"}))


def test_predictions_of_one_pair_that_are_the_same_count_once_and_others_conflict() -> None:
    said = _file(
        CaptionRecord("a", ("x",)),
        CaptionRecord("a", ("x",)),
        CaptionRecord("b", ("first",)),
        CaptionRecord("b", ("second",)),
        CaptionRecord("b", ("second",)),
        CaptionRecord("c", ("one", "two")),
        CaptionRecord("d", ("said",)),
        CaptionRecord("d", ()),
    )
    joined = join(said, _ids(a="r", b="r", c="r", d="r"))
    assert joined.predictions == ("x", "first", "one", "said")
    assert joined.report.duplicates.count == 2 and joined.report.duplicates.first == ("a", "b")
    assert joined.report.conflicts.count == 3 and joined.report.conflicts.first == ("b", "c", "d")


def test_references_of_several_records_are_put_together() -> None:
    wanted = _file(CaptionRecord("a", ("x",)), CaptionRecord("b", ("y",)), CaptionRecord("a", ("x", "z")))
    joined = join(_ids(a="1", b="2"), wanted)
    assert joined.references == (("x", "x", "z"), ("y",)), "what two people wrote alike stays twice"
    assert joined.report.merged_references == 1
    assert (joined.report.fewest_references, joined.report.most_references, joined.report.ragged) == (1, 3, 1)


def test_what_has_no_counterpart_is_counted_with_its_first_keys() -> None:
    report = join(_ids(a="1", p="2", q="3"), _ids(a="x", r="y", s="y", t="y", u="y")).report
    assert report.unmatched_predictions.count == 2 and report.unmatched_predictions.first == ("p", "q")
    assert report.unmatched_references.count == 4 and report.unmatched_references.first == ("r", "s", "t")
    assert (report.predictions, report.references, report.joined) == (3, 5, 1)


def test_an_empty_prediction_is_scored_and_an_empty_reference_is_not() -> None:
    joined = join(_ids(a=(), b="2", c="3"), _ids(a="x", b="y", c=()))
    assert joined.keys == ("a", "b") and joined.predictions == ("", "2")
    assert joined.report.empty_predictions.first == ("a",) and joined.report.empty_references.first == ("c",)
    with pytest.raises(InputError, match=r"no reference caption for any pair of .*; first ones: a"):
        join(_ids(a="1"), _ids(a=()))


def test_an_empty_join_shows_both_sides() -> None:
    with pytest.raises(InputError) as caught:
        join(_ids(a="1", b="1", c="1", d="1"), _ids(w="1", x="1", y="1", z="1"))
    assert "a, b, c\n" in str(caught.value) and "w, x, y\n" in str(caught.value)
    assert "same ids" in str(caught.value)


def test_several_systems_are_not_mixed() -> None:
    records = [
        CaptionRecord("a", ("1",), model="m", regime="zero-shot"),
        CaptionRecord("b", ("2",), model="m", regime="textual_prompt"),
    ]
    assert join(_file(*records), _ids(a="x", b="y")).predictions == ("1", "2"), "each pair has one"
    with pytest.raises(InputError, match=r"regime zero-shot; model m, regime textual_prompt.*keep the lines of one"):
        join(_file(*records, replace(records[1], key="a")), _ids(a="x", b="y"))


def test_the_flag_is_the_files_own_or_else_that_of_the_words() -> None:
    wanted = _file(
        CaptionRecord("file", ("a house is built",), changed=False),
        CaptionRecord("words", ("nothing has changed", "no change", "a house is built")),
        CaptionRecord("tie", ("nothing has changed", "a house is built")),
        CaptionRecord("both", ("a house is built",), changed=True),
        CaptionRecord("both", ("a villa is built",), changed=False),
        CaptionRecord("some", ("no change",), changed=True),
        CaptionRecord("some", ("no change",)),
    )
    said = _file(*(CaptionRecord(key, ("x",)) for key in ("file", "words", "tie", "both", "some")))
    joined = join(_file(*said.records[:-1], replace(said.records[-1], changed=False)), wanted)
    assert joined.changed == (False, None, None, None, True)
    assert joined.flags == (False, False, True, True, True)
    assert joined.predicted_changed == (None, None, None, None, False)
    report = joined.report
    assert (report.flags_of_file, report.flags_of_words) == (2, 3)
    assert report.flag_conflicts.first == ("both",) and report.disagreeing.first == ("words", "tie")


def test_keys_tell_pairs_apart_where_the_references_ids_do_not() -> None:
    rows = [replace(_images(f"{n}.png", f"{n}.png", n), key="0", keyed="id") for n in "ab"]
    joined = join(_file(_images("a.png", "a.png", "1"), _images("b.png", "b.png", "2")), _file(*rows))
    assert joined.keys == ("a.png | a.png", "b.png | b.png")


def test_the_report_is_json_and_words() -> None:
    said = replace(_ids(a="1", p="2"), problems=("line 3: empty caption (x)", "line 4: empty caption (y)"))
    report = join(said, _ids(a=("x", "no change"), r="y")).report
    told = json.loads(json.dumps(report.as_dict()))
    assert told["by"] == "id" and told["unmatched_predictions"] == {"count": 1, "first": ["p"]}
    assert told["prediction_problems"] == ["2 x empty caption, first at line 3"]
    lines = report.lines()
    assert lines[0] == "1 pairs joined by id; records: 2 of predictions, 2 of references; references of a pair: 2"
    assert "predictions without references, not scored: 1 (p)" in lines
    assert "pairs whose references disagree on whether anything changed: 1 (a)" in lines
    assert "predictions: 2 x empty caption, first at line 3" in lines
    assert not any(line.startswith(("empty predictions", "pairs with predictions that differ")) for line in lines)


KEYS = st.sampled_from("abcdefgh")
CAPTIONS = st.lists(st.sampled_from(["x", "y", "no change"]), max_size=3).map(tuple)


@settings(deadline=None)
@given(said=st.lists(st.tuples(KEYS, CAPTIONS), min_size=1), wanted=st.lists(st.tuples(KEYS, CAPTIONS), min_size=1))
def test_every_pair_of_both_files_is_accounted_for(
    said: list[tuple[str, tuple[str, ...]]], wanted: list[tuple[str, tuple[str, ...]]]
) -> None:
    predictions, references = (_file(*(CaptionRecord(*each) for each in side)) for side in (said, wanted))
    with_words = {key for key, captions in wanted if captions}
    there = {key for key, _ in said}
    if not there & with_words:
        with pytest.raises(InputError):
            join(predictions, references)
        return
    joined = join(predictions, references)
    report = joined.report
    assert set(joined.keys) == there & with_words and len(set(joined.keys)) == len(joined.keys) == report.joined
    assert report.unmatched_predictions.count == len(there - {key for key, _ in wanted})
    assert report.unmatched_references.count == len({key for key, _ in wanted} - there)
    assert report.empty_references.count == len({key for key, _ in wanted} - with_words)
    assert sum(map(len, joined.references)) == sum(len(texts) for key, texts in wanted if key in set(joined.keys))
    assert all(texts and all(texts) for texts in joined.references)
    assert report.empty_predictions.count == joined.predictions.count("")
    assert report.flags_of_file + report.flags_of_words == report.joined


def _joined(folder: Path, said: list[CaptionRecord], form: str, suffix: str, wanted: RecordFile) -> Joined:
    path = folder / f"{form}{suffix}"
    write_captions(path, said, form)
    return join(read_captions(path), wanted)


@pytest.mark.shared
def test_predictions_in_any_format_join_the_same_way(tmp_path: Path, shared: Path) -> None:
    """LEVIR-CC's validation split, the first sentence of people as the prediction."""
    wanted = read_captions(shared / "captions" / "levir_cc_train_val.json", split="val")
    said = [replace(record, captions=record.captions[:1]) for record in wanted.records]
    results = [
        _joined(tmp_path, said, form, suffix, wanted)
        for form, suffix in (
            ("jsonl", ".jsonl"),
            ("csv", ".csv"),
            ("list", ".json"),
            ("levir", ".json"),
            ("splits", ".json"),
            ("coco", ".json"),
            ("coco-results", ".json"),
        )
    ]
    assert results[0].report.joined == 1333 and sum(results[0].flags) == 667
    assert results[0].predictions == tuple(record.captions[0] for record in said)
    assert all(result == results[0] for result in results[1:])
    # Names of files for ids, as LEVIR-CC's own JSON has them.
    named = [replace(record, key=f"{record.key}.png") for record in said]
    other = _joined(tmp_path, named, "levir", ".json", wanted)
    assert other.predictions == results[0].predictions and other.keys == results[0].keys


@pytest.mark.shared
@pytest.mark.parametrize(("name", "changed", "references"), [("dubai_cc", 15, 5), ("sysu", 25, 1)])
def test_earthdial_lines_join_with_themselves(shared: Path, name: str, changed: int, references: int) -> None:
    path = shared / "captions" / f"earthdial_{name}.jsonl"
    joined = join(read_captions(path, role="predictions"), read_captions(path, role="references"))
    assert len(joined.keys) == 25 and sum(joined.flags) == changed
    assert all(len(texts) == references for texts in joined.references) and joined.report.ragged == 0


@pytest.mark.shared
def test_rscc_lines_join_by_the_names_of_images(tmp_path: Path, shared: Path) -> None:
    wanted = read_captions(shared / "pairs" / "pairs.json")
    lines = [replace(record, pre=f"/elsewhere/{record.pre}", captions=("x",)) for record in wanted.records]
    joined = _joined(tmp_path, lines, "rscc", ".jsonl", wanted)
    assert joined.report.by == "pre and post" and joined.report.joined == 8
    assert joined.report.empty_references.count == 3 and joined.keys[0] == "levircc_train_000016"


def test_an_output_of_ours_joins_by_tile_and_brings_its_own_flags(tmp_path: Path) -> None:
    facts = make_facts()
    features = make_features(48, facts)
    write_features(tmp_path / "out.gpkg", features, facts)
    wanted = _file(*(CaptionRecord(feature.id, ("a house is built",)) for feature in features))
    joined = join(read_captions(tmp_path / "out.gpkg"), wanted)
    with_caption = [feature for feature in features if feature.caption is not None]
    assert joined.report.joined == len(with_caption)
    assert joined.report.unmatched_references.count == 48 - len(with_caption)
    assert joined.predicted_changed == tuple(feature.change for feature in with_caption)
    assert any("no caption, read_error" in line for line in joined.report.prediction_problems)
