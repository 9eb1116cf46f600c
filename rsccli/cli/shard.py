"""What ``rsccli caption`` does with ``--shard``: the option, and the run."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from rsccli.errors import FailedTilesError

if TYPE_CHECKING:
    from rsccli.run.caption import CaptionJob

PANEL = "Many workers"

ShardOption = Annotated[
    str | None,
    typer.Option(
        "--shard",
        envvar="RSCCLI_SHARD",
        metavar="i/n|slurm",
        help="Caption only part i of n (from 1), balanced by work; slurm takes both from the job array. rsccli merge "
        "puts the parts together.",
        rich_help_panel=PANEL,
        show_envvar=False,
    ),
]


def caption_shard(text: str, job: CaptionJob, dry_run: bool, quiet: bool, json_output: bool) -> None:
    """Prepare and run a shard, and say what came out.

    Raises:
        FailedTilesError: some tiles failed; the shard is whole.
    """
    from rsccli.run.shard import parse_shard
    from rsccli.run.shard.run import prepare_shard, run_shard, shard_part

    shard = parse_shard(text)
    prepared = prepare_shard(job, shard)
    if not quiet:
        for warning in prepared.facts.warnings:
            print(f"rsccli: warning: {warning}", file=sys.stderr)
    part = shard_part(prepared, shard)
    share = part.work / part.total_work if part.total_work else 0.0
    plan = (
        f"shard {shard}: {part.tiles} of {len(prepared.pair.plan)} tiles in {len(part.blocks)} superblocks, "
        f"{share:.1%} of the estimated work"
    )
    if dry_run:
        _print_part(plan, json_output, shard.index, shard.count, part.tiles, len(part.blocks), share)
        return
    if not quiet:
        print(f"rsccli: {plan}", file=sys.stderr)
    from rsccli.cli.progress import TileProgress

    with TileProgress(part.tiles, quiet) as progress:
        result = run_shard(prepared, shard, progress, part=part)
    if json_output:
        import orjson

        told = {
            "shard": [shard.index, shard.count],
            "path": str(result.path),
            "tiles": result.tiles,
            "failed": result.failed,
            "found": result.found,
        }
        print(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode())
    if not quiet:
        print(f"rsccli: {result.path}: {result.tiles} tiles{', done before' if result.found else ''}", file=sys.stderr)
    if result.failed:
        raise FailedTilesError(
            f"{result.failed} of {result.tiles} tiles of shard {shard} failed (status read_error or model_error); the "
            "shard is whole"
        )


def _print_part(plan: str, as_json: bool, index: int, count: int, tiles: int, blocks: int, share: float) -> None:
    if not as_json:
        print(plan)
        return
    import orjson

    told = {"shard": [index, count], "tiles": tiles, "superblocks": blocks, "share_of_work": round(share, 4)}
    print(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode())
