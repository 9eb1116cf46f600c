"""The log of a run becomes a picture."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from rsccli.errors import InputError, OutputError
from rsccli.training.curves import Curve, curves_svg, draw_curves, read_curves

SVG = "{http://www.w3.org/2000/svg}"


def _log(folder: Path, *entries: object) -> Path:
    path = folder / "log.jsonl"
    path.write_text("".join(f"{entry if isinstance(entry, str) else json.dumps(entry)}\n" for entry in entries))
    return path


def test_figures_are_read_by_group_and_name(tmp_path: Path):
    log = _log(
        tmp_path,
        {"step": 25, "pairs": 600, "losses": {"change": 0.7, "mask": 0.5}},
        {"step": 50, "pairs": 1200, "losses": {"change": 0.6, "mask": 0.4}},
        {"step": 50, "pairs": 1200, "development": {"f1": 0.3, "worst": None, "name": "x"}},
    )
    assert read_curves(log) == [
        Curve("losses", "change", ((25, 0.7), (50, 0.6))),
        Curve("losses", "mask", ((25, 0.5), (50, 0.4))),
        Curve("development", "f1", ((50, 0.3),)),
    ]


def test_a_resumed_run_draws_no_step_twice(tmp_path: Path):
    steps = [(25, 3.0), (50, 2.0), (75, 1.0), (50, 2.5), (100, 0.5)]
    log = _log(tmp_path, *({"step": step, "losses": {"all": loss}} for step, loss in steps))
    assert read_curves(log)[0].points == ((25, 3.0), (50, 2.5), (100, 0.5))


def test_a_last_line_that_is_cut_off_is_left_out_and_a_broken_one_before_is_named(tmp_path: Path):
    good = {"step": 1, "losses": {"all": 1.0}}
    assert len(read_curves(_log(tmp_path, good, '{"step": 2, "los'))) == 1
    with pytest.raises(InputError, match="line 1"):
        read_curves(_log(tmp_path, "nonsense", good))


def test_the_picture_is_xml_with_one_line_for_every_curve(tmp_path: Path):
    log = _log(tmp_path, *({"step": s, "losses": {"a<b": 1 / s, "flat": 2}} for s in (10, 20, 40)))
    draw_curves(log, tmp_path / "curves.svg")
    root = ET.parse(tmp_path / "curves.svg").getroot()
    lines = [line.attrib["points"].split() for line in root.iter(f"{SVG}polyline")]
    assert [len(line) for line in lines] == [3, 3]
    rows = [float(point.split(",")[1]) for point in lines[0]]
    assert rows == sorted(rows) and rows[0] < rows[-1], "a falling loss goes down in the picture"
    assert "losses: a<b" in {text.text for text in root.iter(f"{SVG}text")}


def test_a_log_without_figures_is_a_picture_that_says_so():
    assert "No figures" in curves_svg([], "run")


def test_a_folder_that_is_not_there_is_an_output_error(tmp_path: Path):
    log = _log(tmp_path, {"step": 1, "losses": {"all": 1.0}})
    with pytest.raises(OutputError, match="cannot write"):
        draw_curves(log, tmp_path / "none" / "curves.svg")
