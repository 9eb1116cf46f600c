"""The QGIS style beside an output: QGIS loads ``out.qml`` with ``out.geojson`` by itself."""

from __future__ import annotations

from pathlib import Path

from rsccli.output.paths import sidecar
from rsccli.output.qgis.look import Look
from rsccli.output.qgis.looks import tiles_look
from rsccli.output.qgis.qml import look_qml
from rsccli.output.writers.atomic import replacing


def write_style(output: Path, look: Look | None = None) -> Path:
    """Write ``<stem>.qml`` beside the output; returns its path.

    Args:
        look: of the layer; that of a captioned pair's tiles where nothing is said.

    Raises:
        OutputError: it cannot be written.
    """
    path = sidecar(output, ".qml")
    with replacing(path) as part:
        part.write_bytes(look_qml(look or tiles_look()))
    return path
