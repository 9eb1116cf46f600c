"""What is written in a format is read back as it was, as far as the format has a place for it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsccli.errors import OutputError, UsageProblem
from rsccli.evaluation.records import FORMATS, CaptionRecord, read_captions, write_captions
from rsccli.evaluation.records.clean import clean_captions

# Captions as reading gives them: what cleaning leaves as it is.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).filter(
    lambda text: clean_captions(text, "caption", lambda _: None) == (text,) and not text.startswith("[")
)
NAMES = st.from_regex(r"[a-zA-Zé][a-zA-Z0-9_é, ;\"'-]{0,10}[a-z]", fullmatch=True).filter(
    lambda name: name not in ("nan", "null") and name == name.strip()
)
RECORDS = st.lists(
    st.builds(
        CaptionRecord,
        key=NAMES | st.integers(0, 99).map(str),
        captions=st.lists(TEXTS, max_size=3).map(tuple),
        pre=NAMES,
        post=NAMES,
        changed=st.none() | st.booleans(),
        split=st.none() | st.sampled_from(["train", "val", "test"]),
        model=st.none() | NAMES,
        regime=st.none() | st.sampled_from(["zero-shot", "visual_prompt"]),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda record: record.key,
)
# What each format has no place for.
LOST: dict[str, dict[str, None]] = {
    "jsonl": {},
    "list": {},
    "csv": {},
    "rscc": {"changed": None, "split": None},
    "levir": {"model": None, "regime": None},
    "coco": {"model": None, "regime": None},
    "coco-results": dict.fromkeys(("pre", "post", "changed", "split", "model", "regime")),
    "splits": dict.fromkeys(("pre", "post", "changed", "model", "regime")),
}


def _merged(records: list[CaptionRecord]) -> list[CaptionRecord]:
    """Formats with one line per caption give several records of one pair."""
    found: dict[str, CaptionRecord] = {}
    for record in records:
        before = found.get(record.key)
        captions = record.captions if before is None else before.captions + record.captions
        found[record.key] = replace(record, captions=captions, where="")
    return list(found.values())


@pytest.mark.parametrize("name", [each.name for each in FORMATS.values() if each.write is not None])
@settings(max_examples=40, deadline=None)
@given(records=RECORDS)
def test_records_come_back(name: str, records: list[CaptionRecord]) -> None:
    if name == "splits":
        # A part for records of no split has a name, too.
        records = [replace(record, split=record.split or "val") for record in records]
    wanted = [replace(record, **LOST[name]) for record in records]
    if name == "rscc":
        # A pair is known by its images alone.
        wanted = [replace(record, key=f"{record.pre} | {record.post}", keyed="pre and post") for record in wanted]
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"captions{FORMATS[name].suffixes[0]}"
        write_captions(path, records, name)
        file = read_captions(path)
    assert file.format == name
    assert sorted(_merged(list(file.records)), key=repr) == sorted(_merged(wanted), key=repr)
    empty = sum(not record.captions for record in records)
    assert len(file.problems) == empty, "an empty caption stays one"


def test_the_suffix_decides_where_it_can(tmp_path: Path) -> None:
    records = [CaptionRecord("7", ("a house",))]
    for suffix, name in ((".jsonl", "jsonl"), (".csv", "csv"), (".ndjson", "jsonl")):
        write_captions(tmp_path / f"a{suffix}", records)
        assert read_captions(tmp_path / f"a{suffix}").format == name
    with pytest.raises(UsageProblem, match=r"the suffix '\.json' does not say how; name the format: jsonl, rscc, csv"):
        write_captions(tmp_path / "a.json", records)
    with pytest.raises(UsageProblem, match="not written as 'output'"):
        write_captions(tmp_path / "a.geojson", records, "output")


def test_rscc_lines_are_those_of_the_paper(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    record = CaptionRecord("7", ("a house",), pre="x/a.png", post="x/b.png", model="m", regime="zero-shot")
    write_captions(path, [record], "rscc")
    assert json.loads(path.read_text()) == {
        "model_id": "m",
        "inference_type": "zero-shot",
        "pre_image": "x/a.png",
        "post_image": "x/b.png",
        "change_caption": "a house",
    }
    with pytest.raises(UsageProblem, match="write jsonl or csv instead"):
        write_captions(path, [CaptionRecord("7", ("a house",))], "rscc")
    assert len(path.read_text().splitlines()) == 1, "what stood there stays"


def test_levir_json_has_tokens_as_the_data_set_does(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    record = CaptionRecord("t.png", ("Two houses, and a road.",), changed=True, split="test")
    write_captions(path, [record], "levir")
    (image,) = json.loads(path.read_text())["images"]
    assert image["sentences"][0]["tokens"] == ["two", "houses", "and", "a", "road"]
    assert image["changeflag"] == 1 and image["filepath"] == "test" and image["sentids"] == [0]


def test_coco_is_read_by_its_own_tools(tmp_path: Path) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    references = [CaptionRecord("7", ("a house", "a villa")), CaptionRecord("8", ("a road",))]
    results = [CaptionRecord("7", ("a home",)), CaptionRecord("8", ("a street",))]
    write_captions(tmp_path / "r.json", references, "coco")
    write_captions(tmp_path / "p.json", results, "coco-results")
    index = coco.COCO(str(tmp_path / "r.json"))
    assert [index.anns[i]["caption"] for i in index.getAnnIds(imgIds=[7])] == ["a house", "a villa"]
    answers = index.loadRes(str(tmp_path / "p.json"))
    assert answers.imgToAnns[8][0]["caption"] == "a street"


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=re.escape(str(tmp_path / "none" / "a.csv"))):
        write_captions(tmp_path / "none" / "a.csv", [CaptionRecord("7", ("x",))])
    assert list(tmp_path.iterdir()) == []


def test_text_that_no_file_can_hold_is_replaced(tmp_path: Path) -> None:
    records = [CaptionRecord("\ud800", ("a \udfff b",))]
    for name in ("a.csv", "a.jsonl"):
        write_captions(tmp_path / name, records)
        assert read_captions(tmp_path / name).records[0].captions == ("a \ufffd b",)
