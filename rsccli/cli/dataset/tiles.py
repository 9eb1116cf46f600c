"""``rsccli dataset tiles``: a labelled pair of GeoTIFFs to a data set of tiles."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from rsccli.cli import options as flags
from rsccli.cli.dataset.options import Jobs, Output, Overwrite, Rule
from rsccli.cli.options import CountRule, EdgeChoice, RadiometryChoice


class TileFormatChoice(StrEnum):
    """What tiles are written as."""

    tif = "tif"
    png = "png"


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command("tiles")(tiles)


def tiles(
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
    bands: flags.Bands = None,
    pre_bands: flags.PreBands = None,
    post_bands: flags.PostBands = None,
    nodata: flags.Nodata = None,
    pre_nodata: flags.PreNodata = None,
    post_nodata: flags.PostNodata = None,
    pre_crs: flags.PreCrs = None,
    post_crs: flags.PostCrs = None,
    rpc_height: flags.RpcHeight = None,
    dst_crs: flags.DstCrs = None,
    res: flags.Res = None,
    like: flags.Like = None,
    bbox: flags.Bbox = None,
    aoi: flags.Aoi = None,
    tile_size: flags.TileSize = 512,
    overlap: flags.Overlap = None,
    stride: flags.Stride = None,
    edge: flags.EdgeRule = EdgeChoice.pad,
    radiometry: flags.RadiometryRule = RadiometryChoice.auto,
    coregister: flags.Coregister = False,
    allow_same: flags.AllowSame = False,
    allow_upsampling: flags.AllowUpsampling = False,
    cache_mb: flags.CacheMb = 48,
    jobs: Jobs = 2,
    overwrite: Overwrite = False,
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
        geometry=flags.pair_options(
            bands=bands,
            pre_bands=pre_bands,
            post_bands=post_bands,
            nodata=nodata,
            pre_nodata=pre_nodata,
            post_nodata=post_nodata,
            pre_crs=pre_crs,
            post_crs=post_crs,
            rpc_height=rpc_height,
            dst_crs=dst_crs,
            res=res,
            like=like,
            bbox=bbox,
            aoi=aoi,
            tile_size=tile_size,
            overlap=overlap,
            stride=stride,
            edge=edge,
            radiometry=radiometry,
            coregister=coregister,
            allow_same=allow_same,
            allow_upsampling=allow_upsampling,
            cache_mb=cache_mb,
        ),
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
