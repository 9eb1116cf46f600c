"""A look as QML, the XML of QGIS's styles. Read by QGIS 3.22 and later."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping

from rsccli.output.qgis.look import Colour, Entry, Look, Paint, quoted
from rsccli.output.text import storable

_HEAD = b"<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
#: The QGIS that the styles are written for.
VERSION = "3.22.16-Bia\u0142owie\u017ca"
_NO_SCALE = "3x:0,0,0,0,0,0"
#: Characters after which a label goes on in the next line.
_WRAP = 24
_TIP = "width: 16em; font-family: sans-serif; font-size: 13px"
_WHITE: Colour = (255, 255, 255, 230)
_CASING_MM = 0.7
# Share of its opacity that a fill keeps at strength 0.
_WEAKEST = 0.3


def look_qml(look: Look) -> bytes:
    """The whole style."""
    attributes = {
        "version": VERSION,
        "styleCategories": "Symbology|Labeling|MapTips",
        "labelsEnabled": "0" if look.label is None else "1",
    }
    root = ET.Element("qgis", attributes)
    _rules(root, look) if look.sections else _categories(root, look)
    if look.label is not None:
        _labels(root, look.label)
    for tag, text in (("blendMode", "0"), ("featureBlendMode", "0"), ("layerOpacity", "1")):
        ET.SubElement(root, tag).text = text
    ET.SubElement(root, "previewExpression").text = '"id"'
    ET.SubElement(root, "mapTip", {"enabled": "1"}).text = f'<div style="{_TIP}">{look.tip}</div>'
    ET.SubElement(root, "layerGeometryType").text = "2"
    return finished(root)


def finished(root: ET.Element) -> bytes:
    """The bytes of a style."""
    ET.indent(root)
    body: bytes = ET.tostring(root, encoding="utf-8")
    return _HEAD + body + b"\n"


def _categories(root: ET.Element, look: Look) -> None:
    """One symbol for each value."""
    head = {"type": "categorizedSymbol", "attr": look.expression, "forceraster": "0", "symbollevels": "1"}
    renderer = ET.SubElement(root, "renderer-v2", {**head, "enableorderby": "0", "referencescale": "-1"})
    categories = ET.SubElement(renderer, "categories")
    for number, entry in enumerate(look.entries):
        attributes = {"symbol": str(number), "value": storable(entry.value), "label": storable(entry.label)}
        ET.SubElement(categories, "category", {**attributes, "type": "string", "render": "true"})
    _symbols(renderer, look, [entry.paint for entry in look.entries])


def _rules(root: ET.Element, look: Look) -> None:
    """The same inside of each section; every section has symbols of its own, as QGIS wants."""
    head = {"type": "RuleRenderer", "forceraster": "0", "symbollevels": "1", "enableorderby": "0"}
    renderer = ET.SubElement(root, "renderer-v2", {**head, "referencescale": "-1"})
    rules = ET.SubElement(renderer, "rules", {"key": "all"})
    paints: list[Paint] = []
    for number, section in enumerate(look.sections):
        attributes = {"key": f"s{number}", "label": storable(section.label), "filter": section.condition}
        part = ET.SubElement(rules, "rule", attributes | ({} if section.shown else {"checkstate": "0"}))
        for place, entry in enumerate(look.entries):
            ET.SubElement(part, "rule", {"key": f"s{number}e{place}", **_rule(look, entry, len(paints))})
            paints.append(entry.paint)
    _symbols(renderer, look, paints)


def _rule(look: Look, entry: Entry, symbol: int) -> Mapping[str, str]:
    condition = f"{look.expression} = {quoted(storable(entry.value))}"
    return {"symbol": str(symbol), "label": storable(entry.label), "filter": condition}


def _symbols(renderer: ET.Element, look: Look, paints: list[Paint]) -> None:
    symbols = ET.SubElement(renderer, "symbols")
    for number, paint in enumerate(paints):
        attributes = {"type": "fill", "name": str(number), "alpha": "1", "clip_to_extent": "1", "force_rhr": "0"}
        symbol = ET.SubElement(symbols, "symbol", attributes)
        # The first entry of a legend is drawn last: the outline of what changed lies over its neighbours'.
        level = len(look.entries) - number % len(look.entries)
        if paint.cased:
            _fill(symbol, Paint(_WHITE, _WHITE, paint.width_mm + _CASING_MM), "no", level)
        layer = _fill(symbol, paint, "solid", level)
        if look.strength is not None:
            low, high = round(_WEAKEST * paint.fill[3]), paint.fill[3]
            alpha = f"{low} + {high - low} * coalesce({look.strength}, 0)"
            _defined(layer, "fillColor", f"set_color_part({quoted(colour_text(paint.fill))}, 'alpha', {alpha})")


def _fill(symbol: ET.Element, paint: Paint, style: str, level: int) -> ET.Element:
    attributes = {"class": "SimpleFill", "enabled": "1", "locked": "0", "pass": str(level)}
    layer = ET.SubElement(symbol, "layer", attributes)
    options = {
        "border_width_map_unit_scale": _NO_SCALE,
        "color": colour_text(paint.fill),
        "joinstyle": "miter",
        "offset": "0,0",
        "offset_map_unit_scale": _NO_SCALE,
        "offset_unit": "MM",
        "outline_color": colour_text(paint.line),
        "outline_style": "dash" if paint.dashed else "solid",
        "outline_width": f"{paint.width_mm:g}",
        "outline_width_unit": "MM",
        "style": style,
    }
    held = ET.SubElement(layer, "Option", {"type": "Map"})
    for name, value in options.items():
        ET.SubElement(held, "Option", {"type": "QString", "name": name, "value": value})
        # Before 3.26 QGIS reads these.
        ET.SubElement(layer, "prop", {"k": name, "v": value})
    return layer


def _defined(parent: ET.Element, name: str, expression: str) -> None:
    """A property that each row decides."""
    held = ET.SubElement(ET.SubElement(parent, "data_defined_properties"), "Option", {"type": "Map"})
    ET.SubElement(held, "Option", {"name": "name", "type": "QString", "value": ""})
    properties = ET.SubElement(held, "Option", {"name": "properties", "type": "Map"})
    one = ET.SubElement(properties, "Option", {"name": name, "type": "Map"})
    ET.SubElement(one, "Option", {"name": "active", "type": "bool", "value": "true"})
    ET.SubElement(one, "Option", {"name": "expression", "type": "QString", "value": expression})
    ET.SubElement(one, "Option", {"name": "type", "type": "int", "value": "3"})
    ET.SubElement(held, "Option", {"name": "type", "type": "QString", "value": "collection"})


def _labels(root: ET.Element, expression: str) -> None:
    """A text on each polygon that has room for it: none on a map of ten thousand tiles, all of them closer by."""
    settings = ET.SubElement(ET.SubElement(root, "labeling", {"type": "simple"}), "settings", {"calloutType": "simple"})
    font = {
        "fieldName": expression,
        "isExpression": "1",
        "fontFamily": "Sans Serif",
        "fontSize": "10",
        "fontSizeUnit": "Point",
        "fontWeight": "50",
        "textColor": "20,20,20,255",
        "textOpacity": "1",
        "multilineHeight": "1",
        "allowHtml": "0",
    }
    style = ET.SubElement(settings, "text-style", font)
    halo = {"bufferSize": "0.9", "bufferSizeUnits": "MM", "bufferColor": "255,255,255,255", "bufferOpacity": "0.9"}
    ET.SubElement(style, "text-buffer", {"bufferDraw": "1", **halo, "bufferJoinStyle": "128"})
    wrap = {"autoWrapLength": str(_WRAP), "useMaxLineLengthForAutoWrap": "1", "multilineAlign": "1", "wrapChar": ""}
    ET.SubElement(settings, "text-format", {**wrap, "formatNumbers": "0", "addDirectionSymbol": "0"})
    ET.SubElement(settings, "placement", {"placement": "4", "fitInPolygonOnly": "1", "centroidInside": "0"})
    room = {"fitInPolygonOnly": "1", "drawLabels": "1", "obstacle": "0", "scaleVisibility": "0", "limitNumLabels": "0"}
    ET.SubElement(settings, "rendering", {**room, "mergeLines": "0", "labelPerPart": "0"})


def colour_text(colour: Colour) -> str:
    """A colour as QGIS writes it."""
    return ",".join(map(str, colour))
