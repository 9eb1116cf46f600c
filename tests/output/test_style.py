"""The QGIS styles: every value has its entry and symbol, in a file beside an output and inside of a GeoPackage."""

from __future__ import annotations

import re
import sqlite3
import xml.etree.ElementTree as ET
from contextlib import closing
from importlib.resources import files
from pathlib import Path

import pyogrio
import pytest
from made_run import NASTY, make_facts, make_features

from rsccli.output.located import Located, Sheet, write_located
from rsccli.output.qgis.look import Look, quoted, shown
from rsccli.output.qgis.looks import answers_look, changes_look, places_look, tiles_look, timeline_look
from rsccli.output.qgis.qml import look_qml
from rsccli.output.qgis.rasters import write_mask_style, write_score_style
from rsccli.output.readers import read_outputs
from rsccli.output.style import write_style
from rsccli.output.writers import write_features
from rsccli.types import STATUSES

RING = ((9.0, 47.0), (9.1, 47.0), (9.1, 47.1), (9.0, 47.1), (9.0, 47.0))
PAIRS = ("2009-08-18_2010-06-29", "2009-08-18_2014-07-20")
COLOURS = {"building": (228, 26, 28, 255), "water": (31, 120, 180, 255)}
LOOKS = {
    "tiles": tiles_look(),
    "timeline": timeline_look(PAIRS, PAIRS[1]),
    "changes": changes_look(COLOURS),
    "answers": answers_look(["Did anything change?", NASTY]),
    "places": places_look(["new pond", NASTY]),
}


def parsed(style: bytes) -> ET.Element:
    head, body = style.split(b"\n", 1)
    assert head == b"<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>"
    return ET.fromstring(body)


def test_style_stands_beside_the_output(tmp_path: Path) -> None:
    path = write_style(tmp_path / "out.geojson")
    assert path == tmp_path / "out.qml", "the name that QGIS looks for"
    root = parsed(path.read_bytes())
    assert root.tag == "qgis" and re.match(r"3\.", str(root.get("version")))
    renderer = root.find("renderer-v2")
    assert renderer is not None
    assert (renderer.get("type"), renderer.get("attr")) == ("categorizedSymbol", "status")
    categories = {c.get("value"): c.get("symbol") for c in renderer.iter("category")}
    symbols = {s.get("name"): s for s in renderer.iter("symbol")}
    assert set(categories) == set(STATUSES)
    assert set(categories.values()) == set(symbols)


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS.keys())
def test_every_entry_has_a_symbol_that_old_and_new_qgis_read(look: Look) -> None:
    root = parsed(look_qml(look))
    symbols = {symbol.get("name"): symbol for symbol in root.iter("symbol")}
    used = [each.get("symbol") for each in (*root.iter("category"), *root.iter("rule")) if each.get("symbol")]
    assert sorted(used) == sorted(symbols) and len(used) == len(look.entries) * max(1, len(look.sections))
    for symbol in symbols.values():
        for layer in symbol.iter("layer"):
            first = layer.find("Option")
            assert first is not None
            options = {o.get("name"): o.get("value") for o in first}
            properties = {p.get("k"): p.get("v") for p in layer.iter("prop")}
            assert options == properties, "before 3.26 QGIS reads prop, later Option"
            assert re.fullmatch(r"\d+,\d+,\d+,\d+", str(options["color"]))
    assert (root.get("labelsEnabled") == "1") == (root.find("labeling/settings/text-style") is not None)


def test_of_many_questions_or_pairs_one_is_shown() -> None:
    for name, shown_rule in (("answers", '"question_number" = 1'), ("timeline", f"\"pair\" = '{PAIRS[1]}'")):
        root = parsed(look_qml(LOOKS[name]))
        rules = root.findall("renderer-v2/rules/rule")
        assert [rule.get("filter") for rule in rules if rule.get("checkstate") != "0"] == [shown_rule]
        assert len(rules) == 2


def test_what_people_and_models_wrote_stays_text() -> None:
    assert quoted("it's \\ here") == "'it''s \\\\ here'"
    tip = parsed(look_qml(LOOKS["tiles"])).findtext("mapTip")
    assert tip is not None and shown('"caption"') in tip
    assert "replace(replace(coalesce(\"caption\", ''), '&', '&amp;'), '<', '&lt;')" in tip
    for name in ("answers", "places"):
        root = parsed(look_qml(LOOKS[name]))
        labels = [str(each.get("label")) for each in (*root.iter("category"), *root.iter("rule"))]
        assert any("<script>" in label for label in labels), "as text of an attribute"
        assert not [each for each in root.iter() if each.tag.lower() == "script"]


def test_colours_are_those_of_the_report() -> None:
    css = (files("rsccli.output") / "assets" / "report" / "base.css").read_text(encoding="utf-8")
    for entry in tiles_look().entries:
        found = re.search(rf"--{entry.value}: #(\w\w)(\w\w)(\w\w)", css)
        if entry.value == "model_error":
            continue  # the report shows it as read_error
        assert found is not None, entry.value
        light = tuple(int(v, 16) for v in found.groups())
        assert light == entry.paint.fill[:3], entry.value


# ---- inside of a GeoPackage ----


def styles_of(path: Path) -> list[tuple[str, str, str, int]]:
    with closing(sqlite3.connect(path)) as base:
        assert base.execute("pragma integrity_check").fetchone() == ("ok",)
        columns = "f_table_name, f_geometry_column, styleQML, useAsDefault"
        return base.execute(f"select {columns} from layer_styles").fetchall()


def test_a_geopackage_brings_its_style(tmp_path: Path) -> None:
    facts = make_facts()
    path = tmp_path / "out.gpkg"
    write_features(path, make_features(48, facts), facts)
    ((layer, column, qml, default),) = styles_of(path)
    assert (layer, column, default) == ("tiles", "geom", 1)
    assert qml.encode() == look_qml(tiles_look())
    layers = pyogrio.list_layers(path).tolist()
    assert layers == [["tiles", "Polygon"], ["layer_styles", None]], "the map is the first layer"


@pytest.mark.filterwarnings("error")
def test_reading_a_geopackage_does_not_warn_of_its_styles(tmp_path: Path) -> None:
    facts = make_facts()
    path = tmp_path / "out.gpkg"
    write_features(path, make_features(48, facts), facts)
    found, features = read_outputs(path)
    assert found == facts and len(list(features)) == 48


def test_rows_bring_the_style_of_their_sheet(tmp_path: Path) -> None:
    rows = (Located("a", ((RING,),), (9.0, 47.0, 9.1, 47.1), ("water",)),)
    for name, look in (("plain", None), ("styled", LOOKS["changes"])):
        sheet = Sheet("zones", {"class": str}, make_facts(), {}, look)
        assert write_located(tmp_path / f"{name}.gpkg", rows, sheet) == 1
    assert pyogrio.list_layers(tmp_path / "plain.gpkg").tolist() == [["zones", "MultiPolygon"]]
    ((layer, column, qml, default),) = styles_of(tmp_path / "styled.gpkg")
    assert (layer, column, default) == ("zones", "geom", 1) and "building" in qml
    assert pyogrio.list_layers(tmp_path / "styled.gpkg").tolist()[0] == ["zones", "MultiPolygon"]


# ---- beside rasters ----


def test_a_mask_hides_what_did_not_change(tmp_path: Path) -> None:
    path = write_mask_style(
        tmp_path / "m.tif", {0: "no change", 1: "water"}, {0: (255, 255, 255, 0), 1: (1, 2, 3, 255)}
    )
    assert path == tmp_path / "m.qml"
    entries = {e.get("label"): (e.get("value"), e.get("color"), e.get("alpha")) for e in parsed(path.read_bytes()).iter(
        "paletteEntry")}  # fmt: skip
    assert entries == {"no change": ("0", "#ffffff", "0"), "water": ("1", "#010203", "255")}


def test_a_score_grows_darker_from_nothing(tmp_path: Path) -> None:
    root = parsed(write_score_style(tmp_path / "s.tif").read_bytes())
    items = [(float(str(i.get("value"))), int(str(i.get("alpha")))) for i in root.iter("item")]
    assert items == sorted(items) and items[0] == (0.0, 0) and items[-1][0] == 1.0
