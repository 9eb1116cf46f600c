"""``rsccli dataset levir``: checks a LEVIR-CC folder and writes its index."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsccli.cli import options as flags
from rsccli.cli.dataset.options import Jobs
from rsccli.errors import FailedTilesError

if TYPE_CHECKING:
    from rsccli.datasets.levir import LevirFacts


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command("levir")(levir)


def levir(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder with images/SPLIT/A, images/SPLIT/B and LevirCCcaptions.json.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            envvar="RSCCLI_DATASET_OUTPUT",
            metavar="INDEX.jsonl",
            help="The index. Default: index.jsonl in the folder.",
            show_default=False,
            show_envvar=False,
        ),
    ] = None,
    captions: Annotated[
        Path | None,
        typer.Option(
            "--captions",
            envvar="RSCCLI_CAPTIONS",
            metavar="FILE.json",
            help="The sentences, where they are in another file.",
            show_default=False,
            show_envvar=False,
        ),
    ] = None,
    side: Annotated[
        int,
        typer.Option(
            "--side", envvar="RSCCLI_SIDE", min=1, help="Side that every image must have, pixels.", show_envvar=False
        ),
    ] = 256,
    jobs: Jobs = 2,
    overwrite: flags.Overwrite = False,
    config: flags.Config = None,
    quiet: flags.Quiet = False,
    as_json: flags.JsonOutput = False,
) -> None:
    """Check a LEVIR-CC folder file by file, and index it for training and evaluation.

    Every image is read whole. Told are: missing, damaged and wrongly sized images, pairs that are not five
    sentences or whose words deny their flag, pairs that stand twice, equal images in two splits, images without a
    sentence. INDEX.problems.jsonl lists them; exit code 5 where a pair was left out or is doubtful.

    \b
    Examples:
      rsccli dataset levir LEVIR-CC
      rsccli dataset levir LEVIR-CC -o levir.jsonl
      rsccli train finetune levir.jsonl -o runs/mine
    """
    from rsccli.cli.dataset.show import PairProgress, print_json, show_problems
    from rsccli.datasets.levir import LevirJob, index_levir

    job = LevirJob(folder, output, captions, side, jobs, overwrite)
    with PairProgress("pair", quiet) as progress:
        facts, problems = index_levir(job, progress)
    show_problems(problems, quiet)
    if as_json:
        from dataclasses import asdict

        print_json(asdict(facts))
    elif not quiet:
        typer.echo(_table(facts))
    if facts.left_out or facts.doubtful:
        raise FailedTilesError(
            f"{facts.left_out} pairs were left out and {facts.doubtful} are doubtful: "
            f"{facts.index.removesuffix('.jsonl')}.problems.jsonl says why"
        )


def _table(facts: LevirFacts) -> str:
    rows = [
        ("index", facts.index),
        ("pairs", f"{facts.pairs} ({facts.changed} changed, {facts.unchanged} unchanged)"),
        *(("split", f"{name}: {number}") for name, number in facts.by_split.items()),
        ("sentences", str(facts.sentences)),
        ("left out", str(facts.left_out)),
        ("doubtful", str(facts.doubtful)),
    ]
    return "\n".join(f"{name:<12}{text}" for name, text in rows)
