"""What ``rsccli caption`` does with ``--scheduler``: the options, and the run on workers of Dask."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from rsccli.cli.shard import PANEL
from rsccli.errors import FailedTilesError, UsageProblem, WorkerError

if TYPE_CHECKING:
    from rsccli.output.scenes import ScenesSummary
    from rsccli.run.caption import CaptionJob
    from rsccli.run.dask.caption import Shown
    from rsccli.run.manifest.prepare import PreparedManifest

SchedulerOption = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        envvar="RSCCLI_SCHEDULER",
        metavar="local[:N]|tcp://HOST:PORT|slurm:N",
        help='Caption on workers of Dask: N processes here, those of a scheduler, or N jobs (needs "rsccli[dask]").',
        rich_help_panel=PANEL,
        show_envvar=False,
    ),
]
JobOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--scheduler-option",
        envvar="RSCCLI_SCHEDULER_OPTION",
        metavar="NAME=VALUE",
        help="Of the jobs of --scheduler slurm:N: cpus-per-task, mem, time, partition, account, gpus, interface, "
        "sbatch, setup. May be repeated.",
        rich_help_panel=PANEL,
        show_envvar=False,
    ),
]


def caption_on_scheduler(text: str, options: list[str] | None, job: CaptionJob, quiet: bool, json_output: bool) -> None:
    """Run a pair on workers, and say what came out.

    Raises:
        FailedTilesError: some tiles failed; the output is whole.
    """
    _check_installed()
    from rsccli.cli.summary_model import tell_phrasing
    from rsccli.output.paths import sidecar
    from rsccli.run.dask.caption import caption_on_workers
    from rsccli.run.dask.scheduler import parse_scheduler

    merged = caption_on_workers(job, parse_scheduler(text, options or ()), _shown(quiet, "tile"))
    summary = merged.summary
    assert job.output is not None
    tell_phrasing(summary.scene, quiet)
    if not quiet:
        counts = ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in summary.by_status if count)
        print(f"rsccli: {job.output}: {summary.tiles} tiles: {counts}", file=sys.stderr)
        if job.report:
            print(f"rsccli: report: {sidecar(job.output, '.report.html')}", file=sys.stderr)
    if json_output:
        from rsccli.output.report import render_report

        sys.stdout.write(render_report("json", summary, merged.facts).decode())
    if summary.failed_total:
        raise FailedTilesError(
            f"{summary.failed_total} of {summary.tiles} tiles failed (status read_error or model_error, with the "
            "reason in the feature); the output is whole"
        )


def scenes_on_scheduler(text: str, options: list[str] | None, manifest: PreparedManifest, quiet: bool) -> ScenesSummary:
    """Run the scenes of a list on workers."""
    _check_installed()
    from rsccli.run.dask.caption import caption_scenes_on_workers
    from rsccli.run.dask.scheduler import parse_scheduler

    return caption_scenes_on_workers(manifest, parse_scheduler(text, options or ()), _shown(quiet, "scene"))


def refuse_options_alone(scheduler: str | None, options: list[str] | None, shard: str | None) -> None:
    """What does not go together.

    Raises:
        UsageProblem: it was given together.
    """
    if scheduler is None and options:
        raise UsageProblem("--scheduler-option is of jobs: it goes with --scheduler slurm:N")
    if scheduler is not None and shard is not None:
        raise UsageProblem("--scheduler runs all shards, --shard runs one of them: give one of the two")


def _shown(quiet: bool, unit: str) -> Shown:
    from rsccli.cli.progress import TileProgress
    from rsccli.run.dask.caption import Shown

    def say(text: str) -> None:
        if not quiet:
            print(f"rsccli: {text}", file=sys.stderr, flush=True)

    return Shown(
        tell=say, warn=lambda text: say(f"warning: {text}"), progress=lambda total: TileProgress(total, quiet, unit)
    )


def _check_installed() -> None:
    from importlib.util import find_spec

    missing = [name for name in ("dask", "distributed") if find_spec(name) is None]
    if missing:
        raise WorkerError(f'--scheduler: {" and ".join(missing)} not installed: pip install "rsccli[dask]"')
