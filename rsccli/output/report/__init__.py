"""The report beside an output: HTML for people, Markdown for messages, JSON for programs, from one summary."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Literal, TypeAlias

from rsccli.output.facts import facts_to_json
from rsccli.output.paths import sidecar
from rsccli.output.report.html import render_html
from rsccli.output.report.markdown import render_markdown
from rsccli.output.report.thumbnails import Thumbnails
from rsccli.output.summary import Summary
from rsccli.output.text import json_bytes
from rsccli.output.writers.atomic import replacing
from rsccli.types import RunFacts

__all__ = ["FORMS", "Form", "Thumbnails", "render_report", "report_paths", "write_report", "write_reports"]

Form: TypeAlias = Literal["html", "md", "json"]
FORMS: tuple[Form, ...] = ("html", "md", "json")


def render_report(form: Form, summary: Summary, facts: RunFacts | None, thumbnails: Thumbnails | None = None) -> bytes:
    """One form of the report; the same input gives the same bytes.

    Args:
        thumbnails: pre and post pixels, uint8 (3, H, W), by tile id; tiles without them go without.
    """
    if form == "html":
        return render_html(summary, facts, thumbnails or {}).encode("utf-8", "replace")
    if form == "md":
        return render_markdown(summary, facts).encode("utf-8", "replace")
    found = {field.name: getattr(summary, field.name) for field in fields(summary)}
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
    output: Path, summary: Summary, facts: RunFacts | None, thumbnails: Thumbnails | None = None
) -> tuple[Path, ...]:
    """Write all three forms beside ``output``; returns their paths.

    Raises:
        OutputError: one of them cannot be written.
    """
    paths = report_paths(output)
    for form, path in paths.items():
        write_report(path, render_report(form, summary, facts, thumbnails))
    return tuple(paths.values())
