"""``rsccli evaluate retrieval``: whether texts find their changes, and changes their texts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsccli.cli.evaluate.options import Format, Json, Output, Overwrite
from rsccli.cli.evaluate.output import Place, places
from rsccli.cli.evaluation_options import Bootstrap, RefColumn, Seed, Split
from rsccli.cli.options import Quiet
from rsccli.cli.pipes import reader_may_leave

if TYPE_CHECKING:
    from rsccli.evaluation.retrieval.result import Retrieval
    from rsccli.evaluation.retrieval.run import Progress


def register(group: typer.Typer) -> None:
    """Add the command to the group."""
    group.command("retrieval")(retrieval)


def retrieval(
    ref: Annotated[
        Path | None,
        typer.Argument(
            metavar="[REF]",
            help="Captions of people, several a pair; not needed where the file of --pairs has them.",
            show_default=False,
        ),
    ] = None,
    split: Split = None,
    ref_column: RefColumn = None,
    model: Annotated[
        Path | None,
        typer.Option(
            envvar="RSCCLI_DUAL_MODEL", metavar="BUNDLE", help="Bundle of a dual encoder (rsccli export-onnx)."
        ),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(
            envvar="RSCCLI_PAIRS",
            metavar="FOLDER",
            help="Pairs that the dual encoder looks at: a folder with pairs.json or A/ and B/, or a file of pairs.",
        ),
    ] = None,
    vectors: Annotated[
        Path | None,
        typer.Option(
            envvar="RSCCLI_VECTORS",
            metavar="FILE.npz",
            help="Vectors of another model instead: array texts, and others (pre, post, change, ...) for the pairs.",
        ),
    ] = None,
    similarity: Annotated[
        Path | None,
        typer.Option(
            envvar="RSCCLI_SIMILARITY",
            metavar="FILE.npy",
            help="Similarities of another model instead, texts by pairs.",
        ),
    ] = None,
    device: Annotated[
        str, typer.Option(envvar="RSCCLI_DEVICE", help="Of the dual encoder: auto, cpu, cuda:0.")
    ] = "auto",
    bootstrap: Bootstrap = 1000,
    seed: Seed = 0,
    json_output: Json = False,
    form: Format = None,
    output: Output = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Measure retrieval: Recall@1, 5, 10 and the median rank, from text to change and from change to text.

    Equal captions count as equal: half of LEVIR-CC's pairs carry the same five sentences, and to call another of them
    wrong would measure nothing. The naive numbers stand beside, and what chance gives.

    Without a model captions find each other by their words, with the index of rsccli search: the floor of it all.

    Examples:

    \b
      rsccli evaluate retrieval LevirCCcaptions.json --split val
      rsccli evaluate retrieval LevirCCcaptions.json --split test --model remoteclip --pairs LEVIR-CC/images/test
      rsccli evaluate retrieval LevirCCcaptions.json --split test --vectors mine.npz -o retrieval.json -o retrieval.md
    """
    where = places(json_output, form, output, overwrite)
    from rsccli.evaluation.retrieval.run import Request, evaluate_retrieval

    request = Request(ref, split, ref_column, model, pairs, device, vectors, similarity, bootstrap, seed)
    found = evaluate_retrieval(request, lambda total: _progress(total, quiet))
    for place in where:
        _write(found, place)


def _write(found: Retrieval, place: Place) -> None:
    from rsccli.evaluation.retrieval.pages import page_of, render_json
    from rsccli.evaluation.tables.latex import render_latex
    from rsccli.evaluation.tables.markdown import render_markdown
    from rsccli.evaluation.tables.terminal import render_terminal
    from rsccli.output.writers.atomic import replacing

    if place.form == "json":
        text = render_json(found)
    else:
        render = {"table": render_terminal, "markdown": render_markdown, "latex": render_latex}[place.form]
        text = render(page_of(found))
    if place.path is None:
        with reader_may_leave():
            typer.echo(text, nl=False)
    else:
        with replacing(place.path) as part:
            part.write_text(text, encoding="utf-8")
        typer.echo(str(place.path), err=True)


def _progress(total: int, quiet: bool) -> Progress:
    from rsccli.cli.progress import TileProgress

    bar = TileProgress(total, quiet)
    return lambda done: bar(done, False)
