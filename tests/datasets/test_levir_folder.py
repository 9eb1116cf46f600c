"""LEVIR-CC folders. The layout is real; images are noise (synthetic) unless a test says that they are real."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rsccli.datasets.levir import LevirJob, index_levir
from rsccli.errors import InputError, OutputError, UsageProblem
from rsccli.evaluation.changeflag import LEVIR_CC_UNCHANGED
from rsccli.evaluation.records import read_captions
from rsccli.training.records import read_records

HOUSES = tuple(f"{n} houses are built along the road" for n in ("two", "some", "many", "three", "several"))


def write_image(path: Path, seed: int, side: int = 256) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, compress_level=1)


def entry(name: str, split: str, sentences: Sequence[str], flag: int | None) -> dict[str, Any]:
    """One pair as LevirCCcaptions.json has it."""
    made = [{"raw": f" {text} .", "tokens": text.split(), "imgid": 0, "sentid": n} for n, text in enumerate(sentences)]
    told = {} if flag is None else {"changeflag": flag}
    return {"filepath": split, "filename": f"{name}.png", "split": split, "imgid": 0, "sentences": made, **told}


def write_folder(folder: Path, entries: Sequence[dict[str, Any]]) -> Path:
    for number, each in enumerate(entries):
        for side, seed in (("A", 2 * number), ("B", 2 * number + 1)):
            write_image(folder / "images" / each["split"] / side / each["filename"], seed)
    (folder / "LevirCCcaptions.json").write_text(json.dumps({"images": list(entries), "dataset": "LEVIR-CC"}))
    return folder


def whole() -> list[dict[str, Any]]:
    return [
        entry("train_000001", "train", LEVIR_CC_UNCHANGED, 0),
        entry("train_000002", "train", HOUSES, 1),
        entry("val_000001", "val", HOUSES, 1),
        entry("test_000001", "test", LEVIR_CC_UNCHANGED, 0),
    ]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_whole_folder_is_indexed_without_a_word(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "levir", whole())
    seen: list[tuple[int, bool, int]] = []
    facts, problems = index_levir(LevirJob(folder), lambda *step: seen.append(step))
    assert problems == () and seen == [(1, False, 4)] * 4
    assert (facts.pairs, facts.changed, facts.unchanged, facts.sentences) == (4, 2, 2, 20)
    assert (facts.left_out, facts.doubtful, facts.notes) == (0, 0, 0)
    assert facts.by_split == {"test": 1, "train": 2, "val": 1}
    assert {path.name for path in folder.iterdir()} == {"images", "LevirCCcaptions.json", "index.jsonl"}
    second = lines(folder / "index.jsonl")[1]
    assert second == {
        "id": "train_000002.png",
        "pre": "images/train/A/train_000002.png",
        "post": "images/train/B/train_000002.png",
        "captions": [f"{text} ." for text in HOUSES],
        "status": "changed",
        "split": "train",
    }


def test_the_index_is_read_by_training_and_evaluation(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "levir", whole())
    (tmp_path / "elsewhere").mkdir()
    index = tmp_path / "elsewhere" / "levir.jsonl"
    index_levir(LevirJob(folder, index))
    records = read_records(index)
    assert [record.status for record in records] == ["unchanged", "changed", "changed", "unchanged"]
    assert all(record.pre.is_file() and record.post.is_file() and len(record.captions) == 5 for record in records)
    val = read_captions(index, split="val", role="references")
    assert [(record.key, record.changed, len(record.captions)) for record in val.records] == [
        ("val_000001.png", True, 5)
    ]


def test_every_fault_is_told_by_name_and_costs_its_own_pair_alone(tmp_path: Path) -> None:
    names = [f"train_{number:06d}" for number in range(9)]
    folder = write_folder(tmp_path / "levir", [entry(name, "train", HOUSES, 1) for name in names])
    a, b = folder / "images" / "train" / "A", folder / "images" / "train" / "B"
    (b / "train_000001.png").unlink()
    (a / "train_000002.png").write_bytes((a / "train_000002.png").read_bytes()[:20000])
    write_image(b / "train_000003.png", 99, side=255)
    (a / "train_000004.png").write_bytes(b"")
    shutil.copy(a / "train_000006.png", a / "train_000005.png")
    shutil.copy(b / "train_000006.png", b / "train_000005.png")
    write_image(a / "stray.png", 100)
    value = json.loads((folder / "LevirCCcaptions.json").read_text())
    value["images"].append(value["images"][7])
    value["images"].append(entry("train_000100", "train", [], 1))
    value["images"][8]["sentences"] = []
    (folder / "LevirCCcaptions.json").write_text(json.dumps(value))
    facts, problems = index_levir(LevirJob(folder))
    assert (facts.pairs, facts.left_out, facts.doubtful) == (4, 7, 0)
    told = [(each.file, each.problem, each.left_out) for each in problems]
    assert [each for each in told if each[2]] == [
        (
            "train/train_000007.png",
            f"it stands twice in the file of sentences: {folder}/LevirCCcaptions.json:10 was left out",
            True,
        ),
        ("train/train_000001.png", "images/train/B/train_000001.png is missing", True),
        (
            "train/train_000002.png",
            "images/train/A/train_000002.png: cannot be read as an image: image file is truncated",
            True,
        ),
        ("train/train_000003.png", "images/train/B/train_000003.png has 255x255 pixels, not 256x256", True),
        (
            "train/train_000004.png",
            "images/train/A/train_000004.png: cannot be read as an image: it is no image, or its beginning is damaged",
            True,
        ),
        ("train/train_000008.png", "it has no sentence", True),
        ("train/train_000100.png", "images/train/A/train_000100.png is missing", True),
    ]
    notes = {file: problem for file, problem, left_out in told if not left_out}
    assert notes["train/train_000006.png"] == "its images are those of train/train_000005.png"
    assert notes["images/train/A/stray.png"] == "no sentence is about it"
    assert [each["id"] for each in lines(folder / "index.jsonl")] == [names[n] + ".png" for n in (0, 5, 6, 7)]
    assert [each["file"] for each in lines(folder / "index.problems.jsonl")] == [file for file, _, _ in told]


def test_words_that_deny_the_flag_and_other_numbers_of_sentences_are_doubtful(tmp_path: Path) -> None:
    entries = [
        entry("train_000001", "train", HOUSES, 0),
        entry("train_000002", "train", [*HOUSES[:4], "there is no difference"], 1),
        entry("train_000003", "train", HOUSES[:3], 1),
        entry("train_000004", "train", LEVIR_CC_UNCHANGED, None),
        entry("train_000005", "train", LEVIR_CC_UNCHANGED, 0),
    ]
    facts, problems = index_levir(LevirJob(write_folder(tmp_path / "levir", entries)))
    assert (facts.pairs, facts.left_out, facts.doubtful) == (5, 0, 4)
    told = {each.file[-5]: each.problem for each in problems}
    assert told["1"].startswith("its flag says unchanged, 5 of its 5 sentences the opposite: 'two houses")
    assert told["2"] == "its flag says changed, 1 of its 5 sentences the opposite: 'there is no difference .'"
    assert told["3"] == "3 sentences, not 5" and told["4"] == "no change flag"
    assert (facts.changed, facts.unchanged) == (2, 3), "by the flag, and by the words where there is none"


def test_equal_images_in_two_splits_are_doubtful(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "levir", whole())
    for side in ("A", "B"):
        shutil.copy(folder / f"images/train/{side}/train_000002.png", folder / f"images/val/{side}/val_000001.png")
    facts, (problem,) = index_levir(LevirJob(folder))
    assert facts.doubtful == 1 and not problem.left_out
    assert problem.file == "val/val_000001.png" and "train/train_000002.png, in another split" in problem.problem


def test_an_index_is_not_replaced_unasked_and_mistakes_are_told(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "levir", whole()[:1])
    (folder / "index.jsonl").write_text("mine")
    with pytest.raises(OutputError, match="--overwrite"):
        index_levir(LevirJob(folder))
    assert (folder / "index.jsonl").read_text() == "mine"
    assert index_levir(LevirJob(folder, overwrite=True))[0].pairs == 1
    with pytest.raises(UsageProblem, match=r"\.jsonl"):
        index_levir(LevirJob(folder, tmp_path / "index.csv"))
    with pytest.raises(InputError, match="no such folder"):
        index_levir(LevirJob(tmp_path / "none"))
    with pytest.raises(InputError, match="images"):
        index_levir(LevirJob(tmp_path))
    (folder / "LevirCCcaptions.json").write_text('{"images": [')
    with pytest.raises(InputError, match=r"LevirCCcaptions\.json, line 1"):
        index_levir(LevirJob(folder, overwrite=True))
    with pytest.raises(UsageProblem, match="--side"):
        LevirJob(folder, side_px=0)


def test_no_pair_at_all_is_an_error_and_writes_nothing(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "levir", whole()[:1])
    with pytest.raises(InputError, match="256x256 pixels, not 128x128"):
        index_levir(LevirJob(folder, side_px=128))
    assert {path.name for path in folder.iterdir()} == {"images", "LevirCCcaptions.json"}


@pytest.mark.shared
def test_real_pairs_of_levir_cc_are_whole(shared: Path, tmp_path: Path) -> None:
    """Real LEVIR-CC images and their human sentences; no flag stands beside them, so it follows from the words."""
    found = [each for each in json.loads((shared / "pairs/pairs.json").read_text()) if each["id"].startswith("levircc")]
    entries = []
    for each in found:
        name = each["id"].removeprefix("levircc_")
        entries.append(entry(name, "train", each["captions"], 1))
        for side, date in (("A", "pre"), ("B", "post")):
            path = tmp_path / "images" / "train" / side / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(shared / "pairs" / each[date], path)
    (tmp_path / "LevirCCcaptions.json").write_text(json.dumps({"images": entries}))
    facts, problems = index_levir(LevirJob(tmp_path))
    assert problems == () and facts.pairs == len(found) >= 3 and facts.sentences == 5 * len(found)
    assert len(read_records(tmp_path / "index.jsonl")) == len(found)


@pytest.mark.shared
def test_the_real_sentences_of_levir_cc_agree_with_its_own_flag(shared: Path) -> None:
    """Half of the pairs carry the five fixed sentences; the rule that finds doubtful pairs finds none among 8,148."""
    from rsccli.evaluation.changeflag import says_unchanged

    splits = json.loads((shared / "captions/levir_cc_train_val.json").read_text())
    fixed = set(LEVIR_CC_UNCHANGED)
    for pairs in splits.values():
        for sentences in pairs.values():
            unchanged = set(sentences) == fixed
            assert [says_unchanged(text) for text in sentences] == [unchanged] * 5
