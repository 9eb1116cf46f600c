"""``rsccli index``: makes a captioned map ready for search."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsccli.cli.options import Config, JsonOutput, Quiet
from rsccli.errors import FailedTilesError

if TYPE_CHECKING:
    from rsccli.search.build import Built
    from rsccli.search.embed import Progress


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("index")(index)


def index(
    output: Annotated[
        Path,
        typer.Argument(metavar="OUTPUT", help="What rsccli caption wrote: any of its formats.", show_default=False),
    ],
    folder: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="INDEX",
            envvar="RSCCLI_INDEX_OUTPUT",
            help="Folder of the index. Default: out.index beside out.geojson.",
            show_envvar=False,
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            "--model",
            envvar="RSCCLI_DUAL_MODEL",
            metavar="BUNDLE",
            help="Bundle of a dual encoder (rsccli export-onnx from a CLIP or SigLIP checkpoint): vectors of both "
            "dates, of their difference, and of the captions. Without it captions are searched by their words.",
            show_envvar=False,
        ),
    ] = None,
    device: Annotated[
        str,
        typer.Option("--device", envvar="RSCCLI_DEVICE", help="auto, cpu, cuda or cuda:INDEX.", show_envvar=False),
    ] = "auto",
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", envvar="RSCCLI_OVERWRITE", help="Replace the index of another map.", show_envvar=False
        ),
    ] = False,
    config: Config = None,
    quiet: Quiet = False,
    json_output: JsonOutput = False,
) -> None:
    """Make a captioned map ready for search: its captions and, with a dual encoder, what its pictures show.

    Run it again after the map changed: what is known of tiles whose pictures did not change is kept. A stopped run goes
    on where it was. The index holds the features themselves, so the map need not stay.

    Examples:

    \b
      rsccli index out.geojson                            # out.index, words alone
      rsccli index out.geojson --model remoteclip         # pictures too
      rsccli search out.index "new houses along a road"
    """
    from rsccli.search.build import build_index, check_place, encoder_folder
    from rsccli.search.layout import default_index

    def say(line: str) -> None:
        if not quiet:
            print(f"rsccli: {line}", file=sys.stderr, flush=True)

    place = folder or default_index(output)
    check_place(place, output, overwrite)
    bundle = encoder_folder(place, model, overwrite)
    encoder = None
    if bundle is not None:
        from rsccli.models.dual.encoder import open_dual

        encoder = open_dual(bundle, device)
        say(f"dual encoder {encoder.manifest.name} {encoder.bundle.revision}")
    try:
        built = build_index(
            output, place, encoder, overwrite=overwrite, say=say, progress=lambda tiles: _progress(tiles, quiet)
        )
    finally:
        if encoder is not None:
            encoder.close()
    if json_output:
        typer.echo(_document(place, built))
    else:
        say(_summary(place, built))
    if built.facts.failed:
        raise FailedTilesError(
            f"{place} is ready, but {built.facts.failed} tiles could not be read and have no vectors: see whether the "
            "images are whole, and run the same command again"
        )


def _progress(tiles: int, quiet: bool) -> Progress:
    from rsccli.cli.progress import TileProgress

    bar = TileProgress(tiles, quiet)
    return lambda done: bar(done, False)


def _summary(place: Path, built: Built) -> str:
    facts = built.facts
    if built.unchanged:
        return f"{place} is up to date: {facts.tiles} tiles"
    pictures = f", pictures of {facts.pictures}" if facts.encoder is not None else ""
    return f'{place}: {facts.tiles} tiles{pictures}. Try: rsccli search {place} "new houses along a road"'


def _document(place: Path, built: Built) -> str:
    import json
    from dataclasses import asdict

    told = {"index": str(place), "unchanged": built.unchanged, "kept": built.kept, **asdict(built.facts)}
    return json.dumps(told, indent=2, ensure_ascii=False)
