"""``rsccli search``: the tiles of a captioned map that answer a question."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsccli.cli.options import Bbox, Config, JsonOutput, Quiet
from rsccli.cli.pipes import reader_may_leave
from rsccli.errors import UsageProblem

if TYPE_CHECKING:
    from rsccli.search.layout import IndexFacts
    from rsccli.search.query import Hit, Question

_WIDTH = 76


class ByChoice(StrEnum):
    """What a question is compared with."""

    caption = "caption"
    meaning = "meaning"
    pre = "pre"
    post = "post"
    change = "change"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("search")(search)


def search(
    index: Annotated[
        Path,
        typer.Argument(metavar="INDEX", help="What rsccli index wrote, or the map beside it.", show_default=False),
    ],
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="In plain words.", show_default=False)],
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="HITS",
            envvar="RSCCLI_SEARCH_OUTPUT",
            help="Write the tiles to a file: .geojson, or .geojsonl with one a line; - is stdout. Without it a table.",
            show_envvar=False,
        ),
    ] = None,
    count: Annotated[
        int, typer.Option("-k", "--count", envvar="RSCCLI_COUNT", min=1, help="Most tiles.", show_envvar=False)
    ] = 20,
    by: Annotated[
        ByChoice,
        typer.Option(
            "--by",
            envvar="RSCCLI_BY",
            help="caption: words of the captions. With a dual encoder meaning: captions by their vectors; pre, post: "
            "what that date shows; change: what post shows more than pre.",
            show_envvar=False,
        ),
    ] = ByChoice.caption,
    bbox: Bbox = None,
    status: Annotated[
        str | None,
        typer.Option(
            "--status",
            envvar="RSCCLI_STATUS",
            metavar="NAME[,NAME]",
            help="Only tiles with one of these: changed, unchanged, unsure, ...",
            show_envvar=False,
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(
            "--model",
            envvar="RSCCLI_DUAL_MODEL",
            metavar="BUNDLE",
            help="The dual encoder of the index, where it is no longer where it was.",
            show_envvar=False,
        ),
    ] = None,
    device: Annotated[
        str, typer.Option("--device", envvar="RSCCLI_DEVICE", help="auto, cpu, cuda or cuda:INDEX.", show_envvar=False)
    ] = "auto",
    allow_stale: Annotated[
        bool,
        typer.Option(
            "--allow-stale",
            envvar="RSCCLI_ALLOW_STALE",
            help="Search although the map or its images changed since they were indexed.",
            show_envvar=False,
        ),
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", envvar="RSCCLI_OVERWRITE", help="Replace HITS if it exists.", show_envvar=False),
    ] = False,
    config: Config = None,
    quiet: Quiet = False,
    json_output: JsonOutput = False,
) -> None:
    """Find the tiles of a captioned map that answer a question, the best first.

    Words: "houses" finds "house", but not "building": words that mean the same are not known. An index with a dual
    encoder is asked for what the pictures show with --by post, --by pre or --by change.

    Examples:

    \b
      rsccli index out.geojson
      rsccli search out.index "new houses along a road"
      rsccli search out.index "new houses" -o hits.geojson -k 100 --status changed --bbox=-95.5,29.6,-95.2,29.9
      rsccli search out.index "a flooded road" --by change -o - | jq .properties.score
    """
    wanted = None if output in (None, "-") else Path(str(output))
    if json_output and output is not None:
        raise UsageProblem("--json prints the answer on stdout, -o writes it: leave one of them out")
    from rsccli.search.hits import check_hits, write_hits
    from rsccli.search.layout import find_index
    from rsccli.search.places import Filter
    from rsccli.search.query import Question, SearchIndex

    if wanted is not None:
        check_hits(wanted, overwrite)
    names = tuple(part.strip() for part in (status or "").split(",") if part.strip())
    asked = Question(question, count, by.value, Filter(_box(bbox), names))
    with SearchIndex(find_index(index), model=model, device=device, allow_stale=allow_stale) as opened:
        hits = opened.search(asked)
        if wanted is not None:
            write_hits(wanted, hits, asked, opened.facts, opened.run_facts())
            if not quiet:
                print(f"rsccli: {wanted}: {len(hits)} tiles", file=sys.stderr)
        else:
            _print(hits, asked, opened.facts, output == "-", json_output)
    if not hits and not quiet:
        print("rsccli: no tile answers that; try other words, a larger --bbox, or no --status", file=sys.stderr)


def _box(text: str | None) -> tuple[float, float, float, float] | None:
    if text is None:
        return None
    try:
        west, south, east, north = (float(part) for part in text.replace(" ", ",").split(",") if part)
    except ValueError as error:
        raise UsageProblem(f"--bbox {text!r}: give four numbers, west,south,east,north in degrees") from error
    return west, south, east, north


def _print(hits: Sequence[Hit], asked: Question, facts: IndexFacts, lines: bool, json_output: bool) -> None:
    from rsccli.output.text import json_bytes
    from rsccli.search.hits import asked_document, hit_feature, stream_hits

    with reader_may_leave():
        if lines:
            stream_hits(sys.stdout.buffer, hits)
        elif json_output:
            document = {"search": asked_document(asked, facts), "hits": [hit_feature(hit) for hit in hits]}
            sys.stdout.buffer.write(json_bytes(document, indent=True))
        elif hits:
            sys.stdout.buffer.write(_table(hits).encode("utf-8", "replace"))
        sys.stdout.buffer.flush()


def _table(hits: Sequence[Hit]) -> str:
    rows = [("rank", "score", "tile", "status", "caption")]
    for hit in hits:
        told = hit.feature["properties"]
        text = told["caption"] or ""
        text = text if len(text) <= _WIDTH else text[: _WIDTH - 3].rstrip() + "..."
        rows.append((str(hit.rank), f"{hit.score:.4g}", str(hit.feature["id"]), told["status"], text))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "".join(
        "  ".join(
            (row[0].rjust(widths[0]), row[1].rjust(widths[1]), row[2].ljust(widths[2]), row[3].ljust(widths[3]), row[4])
        ).rstrip()
        + "\n"
        for row in rows
    )
