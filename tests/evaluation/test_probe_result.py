"""How results leave: tables, JSON, plots, files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from probe_captioners import RoofCaptioner
from probe_pairs import drawn_set

from rsccli.errors import OutputError
from rsccli.evaluation.probes.estimates import NOTHING, Estimate
from rsccli.evaluation.probes.job import SwapSpec, probe
from rsccli.evaluation.probes.plot import LONGEST, WIDTH, Plot, Series, draw, per_cent, points_axis
from rsccli.evaluation.probes.result import ProbeResult, check_results, markdown, render, result_paths, write_results
from rsccli.evaluation.probes.shift import ShiftSpec

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def result() -> ProbeResult:
    return probe(RoofCaptioner(), drawn_set(("built", "gone", "same")), SwapSpec(), 2)


def parsed(plot: Plot) -> ElementTree.Element:
    return ElementTree.fromstring(draw(plot))


def test_the_table_says_who_was_asked_about_what(result: ProbeResult) -> None:
    text = markdown(result)
    assert "roofs 1, drawn: 3 pairs (split: 3 test); labelled: 2 changed, 1 unchanged." in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in rows}) == 1 and len({len(line) for line in rows}) == 1
    assert rows[2].split("|")[1].strip() == "all pairs"


def test_json_holds_figures_facts_and_every_answer(result: ProbeResult) -> None:
    content = json.loads(render(result, "json"))
    assert set(content) == {"probe", "question", "facts", "measured", "notes", "variants", "answers", "failures"}
    assert content["facts"]["pairs"] == 3 and content["facts"]["splits"] == [["test", 3]]
    group = content["measured"]["groups"][0]
    assert group["first_turns"] == {
        "value": 1.0,
        "low": pytest.approx(0.342, abs=1e-3),
        "high": 1.0,
        "n": 2,
        "places": 2,
    }
    assert content["measured"]["groups"][3]["first_turns"]["value"] is None
    assert content["variants"] == ["as it is", "dates exchanged"]
    first = content["answers"][0]
    assert first["label"]["name"] == "pair 0"
    assert [answer["keywords"] for answer in first["answers"]] == [["new building"], ["building removed"]]


def test_files_appear_whole_and_are_not_replaced_without_leave(result: ProbeResult, tmp_path: Path) -> None:
    folder = tmp_path / "probes"
    check_results(folder, "swap", overwrite=False)
    paths = write_results(folder, result)
    assert paths == result_paths(folder, "swap") and {path.name for path in folder.iterdir()} == {
        "swap.md", "swap.json", "swap.svg",
    }  # fmt: skip
    assert (folder / "swap.md").read_bytes() == render(result, "md")
    with pytest.raises(OutputError, match=r"swap\.md exists; add --overwrite"):
        check_results(folder, "swap", overwrite=False)
    check_results(folder, "swap", overwrite=True)
    check_results(folder, "same", overwrite=False)


def test_folders_that_cannot_be_made_are_refused_first(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="is a file; name a folder"):
        check_results(tmp_path / "file", "swap", overwrite=True)
    with pytest.raises(OutputError, match="mkdir -p"):
        check_results(tmp_path / "a" / "b", "swap", overwrite=False)


def test_every_plot_is_an_svg_that_stays_inside_its_page() -> None:
    for spec in (SwapSpec(), ShiftSpec((0, 0.5, 4))):
        text = render(probe(RoofCaptioner(), drawn_set(("built", "gone", "same")), spec, 2), "svg").decode()
        root = ElementTree.fromstring(text)
        height = float(root.attrib["height"])
        for circle in root.iter(f"{SVG}circle"):
            assert 0 < float(circle.attrib["cx"]) < WIDTH and 0 < float(circle.attrib["cy"]) < height
        for each in root.iter(f"{SVG}text"):
            if "y" in each.attrib:
                assert 0 < float(each.attrib["y"]) <= height - 4
        assert "nan" not in text.lower() and len(text) < 30_000


def test_points_lie_where_their_values_are() -> None:
    half, whole = Estimate(0.5, 0.25, 0.75, 9, 9), Estimate(1.0, 1.0, 1.0, 9, 9)
    plot = Plot(
        "T", points_axis("px", (0, 4)), per_cent("share"), (Series("s", ((0, whole), (2, half), (4, NOTHING))),)
    )
    circles = list(parsed(plot).iter(f"{SVG}circle"))
    (x0, y0), (x1, y1), _ = [(float(c.attrib["cx"]), float(c.attrib["cy"])) for c in circles]
    grid = [
        float(re.match(r"M[\d.]+ ([\d.]+)h", path.attrib["d"])[1])  # type: ignore[index]
        for path in parsed(plot).iter(f"{SVG}path")
        if re.fullmatch(r"M[\d.]+ [\d.]+h\d{3}.*", path.attrib["d"])
    ]
    assert y0 == min(grid) and y1 == pytest.approx((min(grid) + max(grid)) / 2), "100 % at the top, 50 % in the middle"
    ends = [float(t.attrib["x"]) for t in parsed(plot).iter(f"{SVG}text") if t.text in ("0", "4")]
    assert x0 == pytest.approx(ends[0]) and x1 == pytest.approx(sum(ends) / 2)


def test_octaves_are_equal_steps_of_a_logarithmic_axis() -> None:
    axis = points_axis("m", (0.5, 1, 2, 8), log=True)
    assert [axis.place(v) for v in (0.5, 1, 2, 8)] == pytest.approx([0, 0.25, 0.5, 1])


def test_rows_have_names_that_fit_and_text_is_escaped() -> None:
    long = "a region whose name is <much> longer than any plot has room for"
    plot = Plot(
        "A & B",
        per_cent("share"),
        None,
        (Series("one", ((0, Estimate(0.5, 0.4, 0.6, 9, 9)),)),),
        (long, "short"),
        "note",
    )
    texts = [each.text for each in parsed(plot).iter(f"{SVG}text")]
    assert "A & B" in texts and "note" in texts and "short" in texts
    (cut,) = [text for text in texts if text and text.startswith("a region")]
    assert len(cut) == LONGEST and cut.endswith("…")


def test_a_plot_without_any_value_is_still_a_plot() -> None:
    plot = Plot("T", points_axis("px", (0, 4)), per_cent("share"), (Series("s", ((0, NOTHING), (4, NOTHING))),))
    assert not list(parsed(plot).iter(f"{SVG}polyline"))
