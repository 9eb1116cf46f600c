"""What ``rsccli caption`` does with ``--manifest``: the options, and the run."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsccli.cli.shard import PANEL
from rsccli.cli.workers import scenes_on_scheduler
from rsccli.errors import FailedTilesError, UsageProblem

if TYPE_CHECKING:
    from rsccli.output.scenes import ScenesSummary
    from rsccli.run.caption import CaptionJob, PreparedJob, Progress
    from rsccli.run.manifest.prepare import PreparedManifest
    from rsccli.run.manifest.scenes import Scene

Manifest = Annotated[
    Path | None,
    typer.Option(
        "--manifest",
        envvar="RSCCLI_MANIFEST",
        metavar="FILE.csv",
        help="Caption many pairs: a line each, with the columns id, pre, post, output (and mask), or JSON lines. Paths "
        "are relative to the file's folder, outputs to -o FOLDER where that is given. No PRE and POST then.",
        rich_help_panel=PANEL,
        show_envvar=False,
    ),
]
SummaryFile = Annotated[
    Path | None,
    typer.Option(
        "--summary",
        envvar="RSCCLI_SUMMARY",
        metavar="FILE",
        help="Of a manifest: where the summary over all scenes goes (.json, .md and .csv stand side by side). Default: "
        "beside the manifest.",
        rich_help_panel=PANEL,
        show_envvar=False,
    ),
]


def asked_output(
    images: Sequence[str] | None, output: str | None, manifest: Path | None, summary: Path | None
) -> tuple[list[str], str]:
    """The images and the output, where what was typed goes together; ``""`` for the outputs of a manifest.

    Raises:
        UsageProblem: it does not.
    """
    if manifest is not None:
        if images:
            raise UsageProblem(f"--manifest {manifest} names the images: leave out {' '.join(images)}")
        if output == "-":
            raise UsageProblem("--manifest writes a file for each scene: -o - is for one pair")
        return [], output or ""
    if summary is not None:
        raise UsageProblem("--summary is of a list of scenes: give one with --manifest FILE.csv")
    if not images:
        raise UsageProblem("name the images: rsccli caption PRE POST -o FILE; or many pairs with --manifest FILE.csv")
    if output is None:
        raise UsageProblem("name the output with -o FILE (or -o - for GeoJSONSeq on stdout)")
    return list(images), output


def caption_manifest(
    manifest: Path,
    template: CaptionJob,
    folder: str,
    summary: Path | None,
    shard: str | None,
    dry_run: bool,
    quiet: bool,
    json_output: bool,
    scheduler: str | None = None,
    scheduler_options: list[str] | None = None,
) -> None:
    """Check and run a list of scenes, and say what came out.

    Raises:
        FailedTilesError: a scene failed, or some of its tiles.
    """
    from rsccli.run.manifest.prepare import ManifestJob, prepare_manifest
    from rsccli.run.manifest.run import run_manifest
    from rsccli.run.shard import parse_shard

    prepared = prepare_manifest(
        ManifestJob(
            manifest,
            template,
            folder=Path(folder) if folder else None,
            summary=summary,
            shard=None if shard is None else parse_shard(shard),
        )
    )
    if not quiet:
        for note in prepared.notes:
            print(f"rsccli: warning: {note}", file=sys.stderr)
    if dry_run:
        _print_plan(prepared, json_output)
        return

    @contextmanager
    def progress(index: int, scene: Scene, job: PreparedJob) -> Iterator[Progress]:
        from rsccli.cli.progress import announced

        with announced(f"scene {index + 1} of {len(prepared.mine)}", scene.id, job, quiet) as shown:
            yield shown

    if scheduler is None:
        found = run_manifest(prepared, progress)
    else:
        found = scenes_on_scheduler(scheduler, scheduler_options, prepared, quiet)
    if not quiet:
        _tell(prepared, found)
    if json_output:
        from rsccli.output.scenes import scenes_json

        sys.stdout.write(scenes_json(found).decode())
    _refuse_failed(prepared, found)


def _tell(prepared: PreparedManifest, found: ScenesSummary) -> None:
    states = [f"{len(some)} {state}" for state in ("done", "failed", "not done") if (some := found.in_state(state))]
    print(f"rsccli: {len(found.scenes)} scenes: {', '.join(states)}; {found.tiles} tiles", file=sys.stderr)
    print(f"rsccli: summary: {prepared.job.summary_base}.json, .md, .csv", file=sys.stderr)


def _refuse_failed(prepared: PreparedManifest, found: ScenesSummary) -> None:
    """Scenes that this process tried, or all where it is the only one."""
    mine = {scene.id for scene in prepared.mine}
    failed = [scene for scene in found.in_state("failed") if prepared.job.shard is None or scene.id in mine]
    tiles = sum(scene.failed_tiles for scene in found.scenes if prepared.job.shard is None or scene.id in mine)
    if not failed and not tiles:
        return
    named = "".join(f"\n  {scene.id}: {scene.reason}" for scene in failed[:20])
    more = f"\n  and {len(failed) - 20} more" if len(failed) > 20 else ""
    parts = [f"{len(failed)} of {len(found.scenes)} scenes failed"] if failed else []
    parts += [f"{tiles} tiles of finished scenes failed"] if tiles else []
    raise FailedTilesError(f"{' and '.join(parts)}; the others are whole{named}{more}")


def _print_plan(prepared: PreparedManifest, as_json: bool) -> None:
    mine = {scene.id for scene in prepared.mine}
    if as_json:
        import orjson

        plan = {"scenes": len(prepared.scenes), "to_do": [scene.id for scene in prepared.mine]}
        print(orjson.dumps(plan, option=orjson.OPT_INDENT_2).decode())
        return
    print(f"{len(prepared.scenes)} scenes, {len(mine)} to do here")
    for scene in prepared.scenes:
        state = "to do" if scene.id in mine else "done or another shard's"
        print(f"{scene.id}: {state}: {scene.output}")
