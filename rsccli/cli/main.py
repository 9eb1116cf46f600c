"""The ``rsccli`` command: gathers the commands and turns errors into messages and exit codes."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from rsccli import __version__
from rsccli.cli import (
    ask,
    benchmark,
    caption,
    dataset,
    detect,
    env,
    evaluate,
    export_onnx,
    ground,
    index,
    info,
    merge,
    models,
    probe,
    report,
    search,
    slurm,
    status,
    train,
)
from rsccli.cli.terminal import guard_streams
from rsccli.errors import RsccliError
from rsccli.run.metrics.log import end_is_told, on_stderr
from rsccli.run.signals import StoppedAtOnce, stop_at_once

app = typer.Typer(
    name="rsccli",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rsccli {__version__}")
        raise typer.Exit()


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Describe in words what changed between two georeferenced images, tile by tile, as a map.

    Exit codes: 0 done; 1 a bug; 2 usage; 3 input; 4 model or device; 5 finished with failed tiles;
    75 stopped by a signal at a safe point, run the same command again to resume.
    """


for command in (
    caption,
    detect,
    ask,
    ground,
    merge,
    status,
    slurm,
    export_onnx,
    report,
    evaluate,
    benchmark,
    probe,
    index,
    search,
    dataset,
    info,
    models,
    env,
    train,
):
    command.register(app)


def main() -> None:
    """Run the command line; the console script calls this."""
    # Matrix products here are small: BLAS threads would only wait for each other and for the model (32 ms instead of
    # 0.1 ms a product on a busy node), and their number could decide the last bit of a result. Before numpy loads.
    for library in ("OPENBLAS", "MKL", "BLIS"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    guard_streams()
    try:
        stop_at_once()
        with end_is_told():
            app()
    except RsccliError as error:
        if not on_stderr():
            print(f"rsccli: {error}", file=sys.stderr)
            if error.__cause__ is not None:
                print(f"  caused by: {type(error.__cause__).__name__}: {error.__cause__}", file=sys.stderr)
        sys.exit(error.exit_code)
    except StoppedAtOnce as stopped:
        if not on_stderr():
            print(f"rsccli: {stopped}", file=sys.stderr)
        raise
