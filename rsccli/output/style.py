"""The QGIS style beside an output: QGIS loads ``out.qml`` with ``out.geojson`` by itself."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from rsccli.output.paths import sidecar
from rsccli.output.writers.atomic import replacing


def write_style(output: Path) -> Path:
    """Write ``<stem>.qml`` beside the output (tiles coloured by status, captions as map tips); returns its path.

    Raises:
        OutputError: it cannot be written.
    """
    path = sidecar(output, ".qml")
    with replacing(path) as part:
        part.write_bytes((files("rsccli.output") / "assets" / "style.qml").read_bytes())
    return path
