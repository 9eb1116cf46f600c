"""What a run tells of itself: ``--log-json``, ``--metrics`` and ``--metrics-textfile``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsccli import __version__
from rsccli.errors import UsageProblem

if TYPE_CHECKING:
    from rsccli.run.metrics.observe import Observe

PANEL = "Watching a run"

LogJson = Annotated[
    str | None,
    typer.Option(
        "--log-json",
        envvar="RSCCLI_LOG_JSON",
        metavar="FILE|FOLDER|-",
        help="Tell what happens as JSON, one object a line, at the end of FILE, or in a file of its own in FOLDER. "
        "- is stderr, which then carries nothing else.",
        rich_help_panel=PANEL,
        show_envvar=False,
    ),
]
Metrics = Annotated[
    bool,
    typer.Option(
        "--metrics",
        envvar="RSCCLI_METRICS",
        help="Write OUT.metrics.json beside the output (or the shard): tiles a second, where the time went, memory. "
        "Also when the run is stopped or fails.",
        rich_help_panel=PANEL,
        show_envvar=False,
    ),
]
MetricsTextfile = Annotated[
    Path | None,
    typer.Option(
        "--metrics-textfile",
        envvar="RSCCLI_METRICS_TEXTFILE",
        metavar="FILE.prom|FOLDER",
        help="Keep the same figures for Prometheus (node_exporter's textfile collector) while the run works. In a "
        "folder every run and shard has a file of its own.",
        rich_help_panel=PANEL,
        show_envvar=False,
    ),
]


def observe(
    command: str, log_json: str | None, metrics: bool, textfile: Path | None, scheduler: str | None = None
) -> Observe:
    """Open the log of the process, and say what else is wanted.

    Args:
        command: name of it, for the log.

    Raises:
        UsageProblem: options that do not go together. OutputError: the log cannot be written.
    """
    from rsccli.run.metrics.log import open_log
    from rsccli.run.metrics.observe import Observe

    if scheduler is not None and (metrics or textfile is not None):
        raise UsageProblem(
            "--metrics and --metrics-textfile are of one process: with --scheduler the workers' figures are on the "
            "dashboard of Dask, whose address is printed"
        )
    if log_json is not None:
        open_log(log_json, command, __version__)
    return Observe(metrics, textfile)


def stderr_is_log() -> bool:
    """Whether stderr carries events, and nothing else may be on it."""
    from rsccli.run.metrics.log import on_stderr

    return on_stderr()
