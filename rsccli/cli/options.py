"""Every flag that more than one command has, defined once.

| name | flag | what it does |
|---|---|---|
| `Bands`, `PreBands`, `PostBands` | `--bands`, `--pre-bands`, `--post-bands` | bands read as red, green, blue |
| `Nodata`, `PreNodata`, `PostNodata` | `--nodata`, ... | value that means no data |
| `PreCrs`, `PostCrs` | `--pre-crs`, `--post-crs` | CRS of a file that has none |
| `RpcHeight` | `--rpc-height` | height for files placed by RPCs only |
| `DstCrs`, `Res`, `Like` | `--dst-crs`, `--res`, `--like` | the common grid |
| `Bbox`, `Aoi` | `--bbox`, `--aoi` | part of the pair |
| `TileSize`, `Overlap`, `Stride`, `EdgeRule` | `--tile-size`, ... | the tiles |
| `RadiometryRule`, `Coregister` | `--radiometry`, `--coregister` | values and shift |
| `AllowSame`, `AllowUpsampling` | `--allow-same`, `--allow-upsampling` | lift a refusal |
| `AllowLinked` | `--allow-linked` | follow what inputs name outside of their folders |
| `Report`, `Basemap` | `--report`, `--basemap` | the report, and a background map in it |
| `CacheMb` | `--cache-mb` | GDAL's block cache |
| `Config` | `--config` | defaults from a TOML file |
| `Quiet`, `Verbose` | `-q`, `-v` | less or more on stderr |
| `JsonOutput` | `--json` | the result as JSON on stdout, for programs |
| `Overwrite` | `--overwrite` | replace what is there |

`pair_options` is the group of all flags of a pair: see `rsccli.cli.flag_groups`. Flags of a captioner are in
`rsccli.cli.model_options`, those of scores in `rsccli.cli.evaluation_options`.

Every flag has an environment variable ``RSCCLI_<NAME>``. A flag on the command line comes before the variable, the
variable before the configuration file.
"""

from __future__ import annotations

import math
import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rsccli.errors import UsageProblem

if TYPE_CHECKING:
    from rsccli.geo.pair import PairOptions

GEOMETRY = "Grid and tiles"
VALUES = "Bands and values"


class EdgeChoice(StrEnum):
    """What happens where the grid ends."""

    pad = "pad"
    shift = "shift"
    drop = "drop"


class RadiometryChoice(StrEnum):
    """How values become 8 bit."""

    auto = "auto"
    match = "match"
    none = "none"


class CountRule(StrEnum):
    """Where a building counts."""

    centroid = "centroid"
    touch = "touch"


class CountsChoice(StrEnum):
    """Where counts of a prompt come from."""

    auto = "auto"
    labels = "labels"
    mask = "mask"


JsonOutput = Annotated[
    bool,
    typer.Option("--json", envvar="RSCCLI_JSON", help="Print the result as JSON, for programs.", show_envvar=False),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", envvar="RSCCLI_OVERWRITE", help="Replace what is there.", show_envvar=False)
]
Bands = Annotated[
    str | None,
    typer.Option(
        "--bands",
        envvar="RSCCLI_BANDS",
        metavar="R,G,B",
        help="Bands read as red, green and blue of both dates, or one band for grey. Needed where nothing in the file "
        "tells which is which.",
        rich_help_panel=VALUES,
        show_envvar=False,
    ),
]
PreBands = Annotated[
    str | None,
    typer.Option("--pre-bands", envvar="RSCCLI_PRE_BANDS", metavar="R,G,B", help="For pre alone.", show_envvar=False),
]
PostBands = Annotated[
    str | None,
    typer.Option(
        "--post-bands", envvar="RSCCLI_POST_BANDS", metavar="R,G,B", help="For post alone.", show_envvar=False
    ),
]
Nodata = Annotated[
    float | None,
    typer.Option(
        "--nodata",
        envvar="RSCCLI_NODATA",
        help="Value that means no data, of both dates; overrides the files' own.",
        show_envvar=False,
    ),
]
PreNodata = Annotated[
    float | None, typer.Option("--pre-nodata", envvar="RSCCLI_PRE_NODATA", help="For pre alone.", show_envvar=False)
]
PostNodata = Annotated[
    float | None, typer.Option("--post-nodata", envvar="RSCCLI_POST_NODATA", help="For post alone.", show_envvar=False)
]
PreCrs = Annotated[
    str | None,
    typer.Option(
        "--pre-crs",
        envvar="RSCCLI_PRE_CRS",
        metavar="CRS",
        help="CRS of pre where the file has none or a wrong one.",
        show_envvar=False,
    ),
]
PostCrs = Annotated[
    str | None,
    typer.Option("--post-crs", envvar="RSCCLI_POST_CRS", metavar="CRS", help="The same of post.", show_envvar=False),
]
RpcHeight = Annotated[
    float | None,
    typer.Option(
        "--rpc-height",
        envvar="RSCCLI_RPC_HEIGHT",
        metavar="METRES",
        help="Height above the ellipsoid for files that are placed by RPCs only.",
        show_envvar=False,
    ),
]
DstCrs = Annotated[
    str | None,
    typer.Option(
        "--dst-crs",
        envvar="RSCCLI_DST_CRS",
        metavar="CRS",
        help="CRS of the common grid. Default: pre's own grid.",
        show_envvar=False,
    ),
]
Res = Annotated[
    str | None,
    typer.Option(
        "--res",
        envvar="RSCCLI_RES",
        metavar="SIZE[,SIZE]",
        help="Pixel size of the common grid, in units of its CRS.",
        show_envvar=False,
    ),
]
Like = Annotated[
    str | None,
    typer.Option(
        "--like", envvar="RSCCLI_LIKE", metavar="RASTER", help="Take the grid of this raster.", show_envvar=False
    ),
]
Bbox = Annotated[
    str | None,
    typer.Option(
        "--bbox",
        envvar="RSCCLI_BBOX",
        metavar="W,S,E,N",
        help="Only this box, degrees of longitude and latitude.",
        show_envvar=False,
    ),
]
Aoi = Annotated[
    str | None,
    typer.Option(
        "--aoi",
        envvar="RSCCLI_AOI",
        metavar="FILE",
        help="Only tiles that touch these polygons (GeoJSON, GeoPackage, FlatGeobuf, Shapefile, KML).",
        show_envvar=False,
    ),
]
TileSize = Annotated[
    int,
    typer.Option("--tile-size", envvar="RSCCLI_TILE_SIZE", help="Side of a tile, pixels.", show_envvar=False),
]
Overlap = Annotated[
    int | None,
    typer.Option("--overlap", envvar="RSCCLI_OVERLAP", help="Pixels that neighbours share.", show_envvar=False),
]
Stride = Annotated[
    int | None,
    typer.Option(
        "--stride", envvar="RSCCLI_STRIDE", help="Pixels from tile to tile, instead of --overlap.", show_envvar=False
    ),
]
EdgeRule = Annotated[
    EdgeChoice,
    typer.Option(
        "--edge",
        envvar="RSCCLI_EDGE",
        help="Tiles at the edge: pad them, shift them back inside, or drop them.",
        show_envvar=False,
    ),
]
RadiometryRule = Annotated[
    RadiometryChoice,
    typer.Option(
        "--radiometry",
        envvar="RSCCLI_RADIOMETRY",
        help="Values to 8 bit. auto: 8-bit files as they are, others by pre's percentiles with post matched to pre; "
        "match: match 8-bit files too; none: the whole range of the type.",
        show_envvar=False,
    ),
]
Coregister = Annotated[
    bool,
    typer.Option(
        "--coregister",
        envvar="RSCCLI_COREGISTER",
        help="Correct the measured shift of post; refused where the measurement cannot be trusted.",
        show_envvar=False,
    ),
]
AllowSame = Annotated[
    bool,
    typer.Option("--allow-same", envvar="RSCCLI_ALLOW_SAME", help="Compare a file with itself.", show_envvar=False),
]
AllowUpsampling = Annotated[
    bool,
    typer.Option(
        "--allow-upsampling",
        envvar="RSCCLI_ALLOW_UPSAMPLING",
        help="Accept a date more than 10 times coarser than the grid.",
        show_envvar=False,
    ),
]


def _allow_linked(allowed: bool) -> bool:
    """Kept in the environment: whatever opens an input asks there, in worker processes, too."""
    if allowed:
        os.environ["RSCCLI_ALLOW_LINKED"] = "1"
    return allowed


AllowLinked = Annotated[
    bool,
    typer.Option(
        "--allow-linked",
        envvar="RSCCLI_ALLOW_LINKED",
        callback=_allow_linked,
        help="Follow whatever an input names: the sources of a VRT outside of its folder, addresses in tags. Only for "
        "inputs that you trust.",
        show_envvar=False,
    ),
]
CacheMb = Annotated[
    int,
    typer.Option("--cache-mb", envvar="RSCCLI_CACHE_MB", help="GDAL's block cache, megabytes.", show_envvar=False),
]
Basemap = Annotated[
    str | None,
    typer.Option(
        "--basemap",
        envvar="RSCCLI_BASEMAP",
        metavar="URL",
        help="Map tiles behind the report's images, e.g. https://tile.openstreetmap.org/{z}/{x}/{y}.png. The page then "
        "asks that host, and no other. Without it the page asks nobody.",
        show_envvar=False,
    ),
]
Quiet = Annotated[
    bool,
    typer.Option("-q", "--quiet", envvar="RSCCLI_QUIET", help="Errors only on stderr.", show_envvar=False),
]
Verbose = Annotated[
    bool,
    typer.Option("-v", "--verbose", envvar="RSCCLI_VERBOSE", help="More on stderr.", show_envvar=False),
]


def _read_config(context: typer.Context, path: Path | None) -> Path | None:
    """Values of a TOML file become the defaults of the command that is being called."""
    if path is None:
        return None
    import tomllib

    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageProblem(f"--config {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise UsageProblem(f"--config {path}: not TOML: {error}") from error
    section = table.get(str(context.info_name), {})
    values = {k: v for k, v in table.items() if not isinstance(v, dict)} | (
        section if isinstance(section, dict) else {}
    )
    known = {
        flag.lstrip("-").replace("-", "_"): parameter.name
        for parameter in context.command.params
        for flag in parameter.opts
        if flag.startswith("--")
    }
    defaults = {}
    for key, value in values.items():
        name = known.get(key.replace("-", "_"))
        if name is None:
            raise UsageProblem(f"--config {path}: {context.info_name} has no option {key!r}")
        defaults[str(name)] = ",".join(map(str, value)) if isinstance(value, list) else value
    context.default_map = {**(context.default_map or {}), **defaults}
    return path


Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        envvar="RSCCLI_CONFIG",
        metavar="FILE.toml",
        callback=_read_config,
        is_eager=True,
        help="Defaults of options, by their long names, at the top or in a table named after the command.",
        show_envvar=False,
    ),
]

Report = Annotated[
    bool,
    typer.Option(
        "--report/--no-report",
        envvar="RSCCLI_REPORT",
        help="Write the report (.html, .md, .json) and the QGIS style beside the output.",
        show_envvar=False,
    ),
]


def parse_batch_size(text: str | None) -> int | Literal["auto"] | None:
    """``auto`` or a whole number."""
    if text is None or text == "auto":
        return "auto" if text else None
    if not text.isdecimal() or int(text) < 1:
        raise UsageProblem(f"--batch-size {text}: give auto, or a whole number of at least 1")
    return int(text)


def parse_bands(text: str | None, flag: str = "--bands") -> tuple[int, ...] | None:
    """``3,2,1`` or ``1``."""
    return None if text is None else tuple(int(v) for v in _numbers(text, flag, (1, 3)))


def _numbers(text: str, flag: str, counts: tuple[int, ...]) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in text.replace(" ", ",").split(",") if part)
    except ValueError:
        values = ()
    if len(values) not in counts or not all(map(math.isfinite, values)):
        raise UsageProblem(f"{flag} {text!r}: give {' or '.join(map(str, counts))} numbers, separated by commas")
    return values


def pair_options(
    *,
    bands: Bands = None,
    pre_bands: PreBands = None,
    post_bands: PostBands = None,
    nodata: Nodata = None,
    pre_nodata: PreNodata = None,
    post_nodata: PostNodata = None,
    pre_crs: PreCrs = None,
    post_crs: PostCrs = None,
    rpc_height: RpcHeight = None,
    dst_crs: DstCrs = None,
    res: Res = None,
    like: Like = None,
    bbox: Bbox = None,
    aoi: Aoi = None,
    tile_size: TileSize = 256,
    overlap: Overlap = None,
    stride: Stride = None,
    edge: EdgeRule = EdgeChoice.pad,
    radiometry: RadiometryRule = RadiometryChoice.auto,
    coregister: Coregister = False,
    allow_same: AllowSame = False,
    allow_upsampling: AllowUpsampling = False,
    allow_linked: AllowLinked = False,
    cache_mb: CacheMb = 48,
) -> PairOptions:
    """The flags of a pair as one value; a group of flags too, for `rsccli.cli.flag_groups.with_group`."""
    from rsccli.geo.pair import PairOptions
    from rsccli.geo.raster import RasterOptions

    if overlap is not None and stride is not None:
        raise UsageProblem("--overlap and --stride say the same in two ways: give one of them")
    if overlap is not None:
        if not 0 <= overlap < tile_size:
            raise UsageProblem(f"--overlap {overlap}: give 0 to {tile_size - 1} for tiles of {tile_size} pixels")
        stride = tile_size - overlap
    box = _numbers(bbox, "--bbox", (4,)) if bbox else None
    size = _numbers(res, "--res", (1, 2)) if res else None
    return PairOptions(
        pre=RasterOptions(
            bands=parse_bands(pre_bands, "--pre-bands") or parse_bands(bands),
            nodata=nodata if pre_nodata is None else pre_nodata,
            crs=pre_crs,
            rpc_height_m=rpc_height,
        ),
        post=RasterOptions(
            bands=parse_bands(post_bands, "--post-bands") or parse_bands(bands),
            nodata=nodata if post_nodata is None else post_nodata,
            crs=post_crs,
            rpc_height_m=rpc_height,
        ),
        dst_crs=dst_crs,
        res=(size[0], size[-1]) if size else None,
        like=like,
        bbox=(box[0], box[1], box[2], box[3]) if box else None,
        aoi=aoi,
        tile_size=tile_size,
        stride=stride,
        edge=edge.value,
        radiometry=radiometry.value,
        coregister=coregister,
        allow_same=allow_same,
        allow_upsampling=allow_upsampling,
        cache_mb=cache_mb,
    )
