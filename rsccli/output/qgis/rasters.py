"""Styles beside rasters: QGIS loads ``mask.qml`` with ``mask.tif`` by itself."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path

from rsccli.output.paths import sidecar
from rsccli.output.qgis.look import Colour
from rsccli.output.qgis.qml import VERSION, finished
from rsccli.output.text import storable
from rsccli.output.writers.atomic import replacing

# Yellow over orange to dark red: darker is surer, in print and to colour-blind people, too.
_RAMP: tuple[tuple[float, Colour], ...] = (
    (0.0, (255, 255, 178, 0)),
    (0.3, (254, 204, 92, 60)),
    (0.5, (253, 141, 60, 170)),
    (0.75, (240, 59, 32, 210)),
    (1.0, (150, 0, 38, 230)),
)


def write_mask_style(raster: Path, names: Mapping[int, str], colours: Mapping[int, Colour]) -> Path:
    """Write the style of a mask: names in the legend, what did not change is clear; returns its path.

    Args:
        names, colours: of the codes that are shown; alpha 0 hides one.

    Raises:
        OutputError: it cannot be written.
    """
    root, drawn = _raster()
    renderer = ET.SubElement(drawn, "rasterrenderer", {"type": "paletted", "band": "1", **_WHOLE})
    palette = ET.SubElement(renderer, "colorPalette")
    for code, name in names.items():
        red, green, blue, alpha = colours[code]
        shown = {"color": f"#{red:02x}{green:02x}{blue:02x}", "alpha": str(alpha), "label": storable(name)}
        ET.SubElement(palette, "paletteEntry", {"value": str(code), **shown})
    return _write(raster, root)


def write_score_style(raster: Path) -> Path:
    """Write the style of a raster of probabilities, 0 to 1: the surer, the darker; returns its path.

    Raises:
        OutputError: it cannot be written.
    """
    root, drawn = _raster()
    limits = {"classificationMin": "0", "classificationMax": "1"}
    renderer = ET.SubElement(
        drawn, "rasterrenderer", {"type": "singlebandpseudocolor", "band": "1", **limits, **_WHOLE}
    )
    ramp = {"colorRampType": "INTERPOLATED", "classificationMode": "1", "clip": "0", "minimumValue": "0"}
    shader = ET.SubElement(ET.SubElement(renderer, "rastershader"), "colorrampshader", {**ramp, "maximumValue": "1"})
    for value, (red, green, blue, alpha) in _RAMP:
        colour = {"color": f"#{red:02x}{green:02x}{blue:02x}", "alpha": str(alpha)}
        ET.SubElement(shader, "item", {"value": f"{value:g}", "label": f"{value:g}", **colour})
    return _write(raster, root)


_WHOLE = {"opacity": "1", "alphaBand": "-1", "nodataColor": ""}


def _raster() -> tuple[ET.Element, ET.Element]:
    """An empty style, and where its renderer goes."""
    root = ET.Element("qgis", {"version": VERSION, "styleCategories": "Symbology"})
    return root, ET.SubElement(root, "pipe")


def _write(raster: Path, root: ET.Element) -> Path:
    ET.SubElement(root, "blendMode").text = "0"
    path = sidecar(raster, ".qml")
    with replacing(path) as part:
        part.write_bytes(finished(root))
    return path
