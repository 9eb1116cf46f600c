"""``rsccli status``: how far a run is, whether it works, was cut or is finished."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsccli.cli import options as flags

if TYPE_CHECKING:
    from rsccli.run.metrics.run_status import RunStatus
    from rsccli.run.metrics.status import ScenesStatus, ShardsStatus

#: Lines for shards or scenes that are not finished.
_MOST_LINES = 50
#: A run that works and has finished no batch for so long is worth a look.
_QUIET_S = 600.0


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("status")(status)


def status(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="OUT|FOLDER",
            help="The output of a run (it need not be there yet), OUT.shards, a list of scenes, or a folder of these.",
            show_default=False,
        ),
    ] = Path(),
    outputs: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            envvar="RSCCLI_OUTPUT",
            metavar="FOLDER",
            help="Of a list of scenes: the folder that rsccli caption --manifest got with -o.",
            show_envvar=False,
        ),
    ] = None,
    config: flags.Config = None,
    json_output: flags.JsonOutput = False,
) -> None:
    """Say how runs are: running (where), cut or finished, how many tiles, how fast, how long still.

    It reads lock, journal and shards, and disturbs nobody; any machine that sees the folder can ask.

    \b
    Examples:
      rsccli status out.geojson
      rsccli status out.geojson.shards --json
      rsccli status scenes.csv
      watch -n 30 rsccli status .
    """
    from rsccli.run.metrics.status import status_of

    found = status_of(path, outputs)
    if json_output:
        from dataclasses import asdict

        from rsccli.output.text import json_bytes

        sys.stdout.write(json_bytes(asdict(found), indent=True).decode())
        return
    for scenes in found.scenes:
        _print_scenes(scenes)
    for shards in found.shards:
        _print_shards(shards)
    for run in found.runs:
        print(f"{run.output}: {_line(run)}")
        if run.by_status:
            print("  " + ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in run.by_status.items()))


def _line(run: RunStatus) -> str:
    from rsccli.run.metrics.run_status import ago

    parts: list[str] = [run.state]
    if run.state in ("running", "cut") and run.pid is not None:
        parts[0] += f" (process {run.pid} on {run.host})"
    tiles = _tiles(run.tiles, run.planned)
    parts += [tiles] if tiles else []
    parts += _speed(run.tiles_per_s, run.left_s)
    silent = ago(run.updated)
    if run.state in ("running", "cut") and silent is not None:
        late = "; it may hang" if run.state == "running" and silent > _QUIET_S else ""
        parts.append(f"last written {_duration(silent)} ago{late}")
    if run.state == "cut":
        parts.append("run the same command again to go on")
    return ", ".join(parts)


def _tiles(tiles: int | None, planned: int | None) -> str:
    if tiles is None:
        return ""
    if planned is None or planned == tiles:
        return f"{tiles} tiles"
    return f"{tiles} of {planned} tiles ({tiles / planned:.0%})"


def _speed(rate: float | None, left: float | None) -> list[str]:
    if rate is None:
        return []
    return [f"{rate:.3g} tiles/s", *([] if left is None else [f"about {_duration(left)} left"])]


def _duration(seconds: float) -> str:
    for size, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _print_shards(found: ShardsStatus) -> None:
    from rsccli.run.metrics.run_status import RUN_STATES

    counts = [(state, len(found.in_state(state))) for state in RUN_STATES]
    told = ", ".join(f"{count} {state}" for state, count in counts if count)
    parts = [f"{found.count} shards: {told}", _tiles(found.tiles, found.planned)]
    print(f"{found.folder}: {'; '.join(filter(None, [*parts, *_speed(found.tiles_per_s, found.left_s)]))}")
    open_shards = [each for each in found.shards if each.state in ("running", "cut")]
    for each in open_shards[:_MOST_LINES]:
        print(f"  {each.shard}: {_line(each)}")
    if len(open_shards) > _MOST_LINES:
        print(f"  and {len(open_shards) - _MOST_LINES} more")
    if len(found.in_state("finished")) == found.count:
        print(f"  all are finished: rsccli merge {found.folder} -o {found.folder.removesuffix('.shards')}")


def _print_scenes(found: ScenesStatus) -> None:
    states = [(state, len(found.in_state(state))) for state in ("done", "failed", "not done")]
    told = ", ".join(f"{count} {state}" for state, count in states if count)
    print(f"{found.name}: {len(found.results)} scenes: {told or 'none begun'}")
    for name, run in found.at_work[:_MOST_LINES]:
        print(f"  {name}: {_line(run)}")
    for scene in found.in_state("failed")[:_MOST_LINES]:
        print(f"  {scene.id}: failed: {scene.reason}")
