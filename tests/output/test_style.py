"""The QGIS style: every status has its category and symbol."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from importlib.resources import files
from pathlib import Path

from rsccli.output.style import write_style
from rsccli.types import STATUSES


def test_style_stands_beside_the_output(tmp_path: Path) -> None:
    path = write_style(tmp_path / "out.geojson")
    assert path == tmp_path / "out.qml", "the name that QGIS looks for"
    root = ET.fromstring(path.read_text(encoding="utf-8").split("\n", 1)[1])
    assert root.tag == "qgis" and root.get("labelsEnabled") == "0"
    assert re.match(r"3\.", str(root.get("version")))
    renderer = root.find("renderer-v2")
    assert renderer is not None
    assert (renderer.get("type"), renderer.get("attr")) == ("categorizedSymbol", "status")
    categories = {c.get("value"): c.get("symbol") for c in renderer.iter("category")}
    symbols = {s.get("name"): s for s in renderer.iter("symbol")}
    assert set(categories) == set(STATUSES)
    assert set(categories.values()) == set(symbols)
    for symbol in symbols.values():
        layer = symbol.find("layer")
        assert layer is not None and symbol.get("type") == "fill" and layer.get("class") == "SimpleFill"
        options = {o.get("name"): o.get("value") for o in layer.iter("Option") if o.get("name")}
        properties = {p.get("k"): p.get("v") for p in layer.iter("prop")}
        assert options == properties, "before 3.26 QGIS reads prop, later Option"
        assert re.fullmatch(r"\d+,\d+,\d+,\d+", str(options["color"]))


def test_colours_are_those_of_the_report() -> None:
    assets = files("rsccli.output") / "assets"
    css = (assets / "report.css").read_text(encoding="utf-8")
    qml = (assets / "style.qml").read_text(encoding="utf-8").split("\n", 1)[1]
    root = ET.fromstring(qml)
    fills = {}
    for symbol in root.iter("symbol"):
        colour = next(p.get("v") for p in symbol.iter("prop") if p.get("k") == "color")
        fills[symbol.get("name")] = tuple(int(v) for v in str(colour).split(",")[:3])
    for category in root.iter("category"):
        found = re.search(rf"--{category.get('value')}: #(\w\w)(\w\w)(\w\w)", css)
        assert found is not None
        light = tuple(int(v, 16) for v in found.groups())
        assert max(abs(a - b) for a, b in zip(light, fills[category.get("symbol")], strict=True)) <= 4


def test_map_tips_escape_what_a_model_wrote() -> None:
    qml = (files("rsccli.output") / "assets" / "style.qml").read_text(encoding="utf-8")
    tip = ET.fromstring(qml.split("\n", 1)[1]).findtext("mapTip")
    assert tip is not None and "replace(replace(coalesce(\"caption\", ''), '&', '&amp;'), '<', '&lt;')" in tip
