"""Figures in the text format of Prometheus, for node_exporter's textfile collector.

https://prometheus.io/docs/instrumenting/exposition_formats/ (version 0.0.4). Every sample carries the output (and the
shard) as labels: several runs on one node may each have a file in the collector's folder without being mixed up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rsccli.output.text import storable
from rsccli.run.metrics.figures import Figures

STATES = ("running", "finished", "stopped", "failed")
Sample = tuple[Mapping[str, str], float]


def render_textfile(figures: Figures) -> bytes:
    """The whole file."""
    who = figures.who
    labels = {"output": who.output, **({"shard": who.shard} if who.shard else {})}
    told = {
        **labels,
        "version": who.version,
        "model": who.model,
        "revision": who.revision,
        "device": ",".join(who.devices),
        "run": who.run,
    }
    seconds = figures.seconds()
    waits = {"pixels": figures.stages.get("wait_pixels", 0.0), "model": figures.stages.get("wait_model", 0.0)}
    parts = (
        _metric("info", "gauge", "Which run this is; always 1.", [(told, 1)]),
        _metric(
            "run_state",
            "gauge",
            "1 for the state that the run is in.",
            [({**labels, "state": state}, float(state == figures.state)) for state in STATES],
        ),
        _metric(
            "tiles_total",
            "counter",
            "Tiles that this process finished, by status.",
            [({**labels, "status": status}, figures.by_status.get(status, 0)) for status in who.statuses],
        ),
        _metric("tiles_planned", "gauge", "Tiles of the run, or of the shard.", [(labels, figures.planned)]),
        _metric(
            "tiles_done",
            "gauge",
            "Tiles that are finished, those of earlier processes with them.",
            [(labels, figures.before + figures.tiles)],
        ),
        _metric(
            "tiles_per_second",
            "gauge",
            "Tiles a second of this process, since the first one was asked for.",
            [(labels, figures.tiles_per_s)],
        ),
        _metric(
            "stage_seconds_total",
            "counter",
            "Seconds by stage, of all threads.",
            [({**labels, "stage": name}, value) for name, value in seconds.items()],
        ),
        _metric(
            "wait_seconds_total",
            "counter",
            "Seconds that the model waited for pixels, and that pixels waited for the model.",
            [({**labels, "for": name}, value) for name, value in waits.items()],
        ),
        _metric("cpu_seconds_total", "counter", "Processor time of the process.", [(labels, figures.cpu_s)]),
        _metric("peak_memory_bytes", "gauge", "Largest resident set.", [(labels, figures.peak_memory_bytes)]),
        _metric("batch_size", "gauge", "Tiles of one model call on one device.", [(labels, who.batch_size)]),
        _metric("start_timestamp_seconds", "gauge", "When the process began.", [(labels, figures.started)]),
        _metric(
            "last_update_timestamp_seconds",
            "gauge",
            "When these figures were taken: after a batch, at most every few seconds.",
            [(labels, figures.updated)],
        ),
    )
    return "".join(parts).encode("utf-8")


def _metric(name: str, kind: str, help_text: str, samples: Iterable[Sample]) -> str:
    lines = [f"# HELP rsccli_{name} {help_text}", f"# TYPE rsccli_{name} {kind}"]
    for labels, value in samples:
        inner = ",".join(f'{label}="{escaped(text)}"' for label, text in labels.items())
        lines.append(f"rsccli_{name}{{{inner}}} {_number(value)}")
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """A label's value: backslash, quote and line feed have meanings of their own."""
    return storable(text).replace("\\", "\\\\").replace('"', '\\"').replace("\r", "\ufffd").replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.6f}".rstrip("0")
