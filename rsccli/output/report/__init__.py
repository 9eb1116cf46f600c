"""The report beside an output: HTML for people, Markdown for messages, JSON for programs, from one summary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Literal, TypeAlias

from rsccli.output.facts import facts_to_json
from rsccli.output.features import Feature
from rsccli.output.paths import sidecar
from rsccli.output.report.areas import areas_json
from rsccli.output.report.basemap import Basemap
from rsccli.output.report.html import render_html
from rsccli.output.report.markdown import render_markdown
from rsccli.output.report.pictures import Pictures
from rsccli.output.report.shown import ShownTiles
from rsccli.output.summary import Summary
from rsccli.output.text import json_bytes
from rsccli.output.writers.atomic import replacing
from rsccli.types import RunFacts

__all__ = ["FORMS", "Form", "Pictures", "ShownTiles", "render_report", "report_paths", "write_report", "write_reports"]

Form: TypeAlias = Literal["html", "md", "json"]
FORMS: tuple[Form, ...] = ("html", "md", "json")


def render_report(
    form: Form,
    summary: Summary,
    facts: RunFacts | None,
    pictures: Pictures | None = None,
    tiles: Sequence[Feature] = (),
    basemap: Basemap | None = None,
) -> bytes:
    """One form of the report; the same input gives the same bytes.

    Args:
        pictures, tiles, basemap: for HTML alone. tiles: those that the page shows one by one (``ShownTiles``).
    """
    if form == "html":
        return render_html(summary, facts, pictures or Pictures(), tiles, basemap).encode("utf-8", "replace")
    if form == "md":
        return render_markdown(summary, facts).encode("utf-8", "replace")
    found = {field.name: getattr(summary, field.name) for field in fields(summary)}
    found["change_areas"] = areas_json(summary.change_areas)
    content = {
        "facts": None if facts is None else facts_to_json(facts),
        "summary": {**found, "by_status": dict(summary.by_status), "keywords": dict(summary.keywords)},
    }
    return json_bytes(content, indent=True)


def report_paths(output: Path) -> dict[Form, Path]:
    """``out.geojson`` gives ``out.report.html``, ``.md`` and ``.json`` in the same folder."""
    return {form: sidecar(output, f".report.{form}") for form in FORMS}


def write_report(path: Path, content: bytes) -> None:
    """Write one rendered report; whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    with replacing(path) as part:
        part.write_bytes(content)


def write_reports(
    output: Path,
    summary: Summary,
    facts: RunFacts | None,
    pictures: Pictures | None = None,
    tiles: Sequence[Feature] = (),
    basemap: Basemap | None = None,
) -> tuple[Path, ...]:
    """Write all three forms beside ``output``; returns their paths. Arguments are those of ``render_report``.

    Raises:
        OutputError: one of them cannot be written.
    """
    paths = report_paths(output)
    for form, path in paths.items():
        write_report(path, render_report(form, summary, facts, pictures, tiles, basemap))
    return tuple(paths.values())
