"""A benchmark as JSON, for programs: ``measured`` here, ``quoted`` from publications, never mixed."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from rsccli.evaluation.benchmark.published import PublishedRow
from rsccli.evaluation.benchmark.result import Benchmark, Run, Speed
from rsccli.evaluation.tables.document import document as evaluation_document
from rsccli.output.text import json_bytes

FORMAT = "rsccli-benchmark-1"

Document = dict[str, Any]
# Of an evaluation's own document, what the benchmark says once.
_ELSEWHERE = ("format", "files", "bootstrap")


def render_json(result: Benchmark) -> str:
    """The benchmark as indented JSON."""
    return json_bytes(document(result), indent=True).decode("utf-8")


def document(result: Benchmark) -> Document:
    """The benchmark as plain JSON values.

    Each of ``measured`` holds under ``scores`` one evaluation for each protocol, in the layout of ``rsccli evaluate
    --json``.
    """
    return {
        "format": FORMAT,
        "version": result.version,
        "data": {**asdict(result.data), "splits": dict(result.data.splits)},
        "protocols": list(result.protocols),
        "measured": [_run(run) for run in result.runs],
        "quoted": [_quoted(row) for row in result.quoted],
        "problems": [asdict(problem) for problem in result.problems],
        "options": dict(result.options),
        "machine": result.machine,
        "bootstrap": {"samples": result.samples, "seed": result.seed, "level": 0.95},
        "notes": list(result.notes),
    }


def _run(run: Run) -> Document:
    told = {key: value for key, value in asdict(run).items() if key not in ("evaluations", "speed")}
    told["statuses"] = dict(run.statuses)
    scores = {}
    for each in run.evaluations:
        whole = evaluation_document(each)
        scores[each.protocol] = {key: value for key, value in whole.items() if key not in _ELSEWHERE}
    return {**told, "speed": _speed(run.speed), "scores": scores}


def _speed(speed: Speed) -> Document:
    values = {**asdict(speed), "pairs_per_s": speed.pairs_per_s, "pairs_per_s_with_reading": speed.with_reading}
    return {key: _rounded(value) if isinstance(value, float) else value for key, value in values.items()}


def _quoted(row: PublishedRow) -> Document:
    return {**asdict(row), "values": dict(row.values)}


def _rounded(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None
