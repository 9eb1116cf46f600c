"""Names of the files that stand beside an output."""

from __future__ import annotations

from pathlib import Path


def sidecar(output: Path, ending: str) -> Path:
    """``out.geojson`` and ``.report.html`` give ``out.report.html`` in the same folder."""
    return output.with_name(output.stem + ending)
