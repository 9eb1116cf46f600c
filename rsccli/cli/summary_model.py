"""``--summary-model`` of the commands that write a report, and what is said of it on stderr."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rsccli.output.scene import Scene

SummaryModelOption = Annotated[
    str | None,
    typer.Option(
        "--summary-model",
        envvar="RSCCLI_SUMMARY_MODEL",
        metavar="DIR",
        help="Bundle of a large model that phrases the report's paragraph. Its words are used only where every number, "
        "tile, kind, place and date in them is in the facts.",
        show_envvar=False,
    ),
]


def tell_phrasing(scene: Scene, quiet: bool = False) -> None:
    """Say whose words the paragraph is, where a model was asked."""
    if scene.rejected:
        print(f"rsccli: warning: {scene.rejected}", file=sys.stderr)
    elif scene.phrased_by and not quiet:
        print(f"rsccli: the scene's paragraph is worded by {scene.phrased_by} and passed the check", file=sys.stderr)
