"""``rsccli dataset tiles``: a labelled pair of GeoTIFFs to a data set of tiles."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from rsccli.cli import options as flags
from rsccli.cli.dataset.options import Jobs, Output, Rule
from rsccli.cli.flag_groups import with_group
from rsccli.cli.options import CountRule

if TYPE_CHECKING:
    from rsccli.geo.pair import PairOptions


class TileFormatChoice(StrEnum):
    """What tiles are written as."""

    tif = "tif"
    png = "png"


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command("tiles")(with_group(tiles, "geometry", flags.pair_options, tile_size=512))


def tiles(
    *,
    pre: Annotated[str, typer.Argument(metavar="PRE", help="Image before.")],
    post: Annotated[str, typer.Argument(metavar="POST", help="Image after.")],
    output: Output,
    labels: Annotated[
        str,
        typer.Option(
            "--labels",
            envvar="RSCCLI_LABELS",
            metavar="FILE",
            help="Outlines of buildings with a level of damage each, of any vector format, or a label file of xBD.",
            show_envvar=False,
        ),
    ],
    labels_field: Annotated[
        str | None,
        typer.Option(
            "--labels-field",
            envvar="RSCCLI_LABELS_FIELD",
            metavar="COLUMN",
            help="Column of the levels. Default: subtype or damage.",
            show_envvar=False,
        ),
    ] = None,
    count_rule: Rule = CountRule.centroid,
    disaster: Annotated[
        str | None,
        typer.Option(
            "--disaster",
            envvar="RSCCLI_DISASTER",
            metavar="TYPE",
            help="Type of the disaster. Default: what the labels say (column disaster_type), else unknown.",
            show_envvar=False,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            envvar="RSCCLI_DATASET_NAME",
            help="Beginning of every file name. Default: the name of PRE.",
            show_envvar=False,
        ),
    ] = None,
    form: Annotated[
        TileFormatChoice,
        typer.Option(
            "--format",
            envvar="RSCCLI_TILE_FORMAT",
            help="tif: 8-bit GeoTIFFs in their place. png: pictures.",
            show_envvar=False,
        ),
    ] = TileFormatChoice.tif,
    min_valid: Annotated[
        float,
        typer.Option(
            "--min-valid",
            envvar="RSCCLI_MIN_VALID",
            help="Tiles with a smaller share of valid pixels are left out, and counted.",
            show_envvar=False,
        ),
    ] = 0.5,
    geometry: PairOptions,
    jobs: Jobs = 2,
    overwrite: flags.Overwrite = False,
    config: flags.Config = None,
    quiet: flags.Quiet = False,
    as_json: flags.JsonOutput = False,
) -> None:
    """Cut a pair of GeoTIFFs with outlines of buildings into a data set like that of `rsccli dataset xbd`.

    Images are aligned as `rsccli caption` aligns them. Tiles are georeferenced; counts, prompts and outlines come
    from the labels.

    \b
    Example:
      rsccli dataset tiles pre.tif post.tif --labels damage.gpkg -o tiles --disaster wildfire
    """
    from rsccli.cli.dataset.show import PairProgress, show_dataset
    from rsccli.datasets.tiled import TilesJob, build_tiles

    job = TilesJob(
        pre=pre,
        post=post,
        labels=labels,
        output=output,
        geometry=geometry,
        labels_field=labels_field,
        rule=count_rule.value,
        disaster=disaster,
        name=name,
        form=form.value,
        min_valid=min_valid,
        jobs=jobs,
        overwrite=overwrite,
    )
    with PairProgress("tile", quiet) as progress:
        facts, problems = build_tiles(job, progress)
    show_dataset(output, facts, problems, quiet, as_json)
