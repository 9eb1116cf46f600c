"""``rsccli info``: what one raster is, or what would be done with a pair."""

from __future__ import annotations

import dataclasses
import json
import math
import textwrap
from typing import TYPE_CHECKING, Annotated

import typer

from rsccli.cli import options as flags
from rsccli.cli.flag_groups import with_group

if TYPE_CHECKING:
    from rsccli.errors import RsccliError
    from rsccli.geo.inspect import PairFacts, RasterFacts
    from rsccli.geo.pair import PairOptions
    from rsccli.types import Registration

Rows = list[tuple[str, str]]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("info")(with_group(info, "geometry", flags.pair_options))


def info(
    raster: Annotated[str, typer.Argument(metavar="RASTER", help="GeoTIFF, JPEG 2000, VRT, ...", show_default=False)],
    post: Annotated[
        str | None,
        typer.Argument(metavar="[POST]", help="Image after, if RASTER is the image before.", show_default=False),
    ] = None,
    json_output: flags.JsonOutput = False,
    *,
    geometry: PairOptions,
    config: flags.Config = None,
) -> None:
    """Show what one raster is and how it would be read, or what would be done with a pair.

    One raster: size, place, bands and why these, mask, nodata, blocks, overviews, date. A pair: the common grid, how
    each date comes onto it, the measured shift and brightness, the tiles. What would be refused is told with the way
    out, after all that could be found; the exit code is then that of `rsccli caption` (3 for inputs). No model is
    loaded and nothing is written.

    Examples:

    \b
      rsccli info scene.tif
      rsccli info pre.tif post.tif
      rsccli info pre.tif post.tif --json | jq .registration
      rsccli info https://example.org/scene.tif          # reads the header only
      rsccli info s2.tif --bands 3,2,1
    """
    from rsccli.geo.inspect import inspect_pair, inspect_raster

    refusals: tuple[RsccliError, ...]
    if post is None:
        facts, refusal = inspect_raster(raster, geometry.pre)
        refusals = () if refusal is None else (refusal,)
        typer.echo(_json(facts) if json_output else _lines(_raster_rows(facts)))
    else:
        pair, refusals = inspect_pair(raster, post, geometry)
        typer.echo(_json(pair) if json_output else _pair_text(pair))
    if refusals:
        for earlier in refusals[:-1]:
            typer.echo(f"rsccli: {earlier}", err=True)
        raise refusals[-1]


def _json(facts: RasterFacts | PairFacts) -> str:
    document = dataclasses.asdict(facts)
    grid = document.get("grid")
    if grid is not None:
        grid["transform"] = list(grid["transform"])[:6]
    return json.dumps(_finite(document), indent=2)


def _finite(value: object) -> object:
    """JSON has no NaN and no infinity: they become text, as nodata values may be either."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def _lines(rows: Rows, indent: str = "") -> str:
    """Names and values in two columns, values wrapped below themselves."""
    width = max(len(name) for name, _ in rows) + 2
    out = []
    for name, text in rows:
        head = indent + name.ljust(width)
        out += textwrap.wrap(
            text, 118, initial_indent=head, subsequent_indent=" " * len(head), break_long_words=False
        ) or [head.rstrip()]
    return "\n".join(out)


def _raster_rows(facts: RasterFacts) -> Rows:
    size = "" if facts.bytes is None else f", {_size(facts.bytes)}"
    rows: Rows = [
        ("file", f"{facts.path} ({facts.driver}{size})"),
        ("size", f"{facts.size_px[0]} x {facts.size_px[1]} pixels, {_count(facts.count, 'band')} of {_types(facts)}"),
    ]
    if facts.crs is not None:
        named = f"{facts.crs_name} ({facts.crs})" if facts.crs_name and ":" in facts.crs[:12] else facts.crs_name
        rows.append(("CRS", named or facts.crs))
    place = facts.placed_by
    if facts.transform is not None:
        place += ": " + ", ".join(f"{v:.10g}" for v in facts.transform)
    rows.append(("placed by", place))
    if facts.gsd_m is not None:
        across, down = facts.gsd_m
        same = abs(across - down) <= 0.001 * across
        rows.append(("pixel", f"{across:.4g} m" if same else f"{across:.4g} m across, {down:.4g} m down"))
    if facts.lonlat_box is not None:
        rows.append(("box", _box(facts.lonlat_box)))
    if facts.bands_used is not None:
        used = ", ".join(map(str, facts.bands_used))
        colours = "red, green, blue" if len(facts.bands_used) == 3 else "one band"
        rows.append(("bands", f"{used} as {colours}: {facts.bands_why}"))
    rows += [("band", _band(facts, i)) for i in range(len(facts.bands))] if facts.count <= 16 else []
    rows.append(("mask", facts.mask))
    if facts.nodata is not None:
        rows.append(("nodata", f"{facts.nodata:g}"))
    compression = facts.compression or "not compressed"
    rows.append(
        (
            "blocks",
            f"{facts.block_px[0]} x {facts.block_px[1]} pixels, {facts.layout}, {compression}, "
            f"{_size(facts.block_bytes)} each in memory",
        )
    )
    rows.append(("overviews", ", ".join(f"1:{f}" for f in facts.overviews) or "none"))
    rows.append(("date", facts.datetime or "not known"))
    rows += [("warning", w) for w in facts.warnings]
    return rows


def _pair_text(pair: PairFacts) -> str:
    parts = []
    for name, facts in (("pre", pair.pre), ("post", pair.post)):
        if facts is not None:
            parts.append(f"{name}\n" + _lines(_raster_rows(facts), "  "))
    if pair.grid is not None:
        parts.append("pair\n" + _lines(_pair_rows(pair), "  "))
    return "\n\n".join(parts)


def _pair_rows(pair: PairFacts) -> Rows:
    rows: Rows = []
    if pair.grid is not None and pair.gsd_m is not None and pair.lonlat_bbox is not None:
        grid, t = pair.grid, pair.grid.transform
        rows += [
            (
                "grid",
                f"{grid.width} x {grid.height} pixels of {t.a:.10g} x {-t.e:.10g}, {pair.gsd_m:.4g} m on the ground",
            ),
            ("CRS", grid.crs if len(grid.crs) < 60 else f"{grid.crs[:57]}..."),
            ("box", _box(pair.lonlat_bbox)),
        ]
    for name, date in zip(("pre", "post"), pair.dates or (), strict=False):
        values = "" if date.lut is None else f"; values: {date.lut}"
        rows.append((name, f"{date.covered:.1%} of it is on the grid; {date.resampling}{values}"))
    if pair.registration is not None:
        rows.append(("shift", _shift(pair.registration)))
    if pair.radiometry is not None:
        rows.append(("values", pair.radiometry))
    if pair.tiles is not None:
        blocks = _count(pair.superblocks or 0, "superblock")
        steps = f"{pair.tiles} of {pair.tile_size} px every {pair.stride} px in {blocks}"
        rows.append(("tiles", f"{steps}, at the edge: {pair.edge}"))
    known = {w for facts in (pair.pre, pair.post) if facts for w in facts.warnings}
    rows += [("warning", w) for w in pair.warnings if w.split(": ", 1)[-1] not in known]
    return rows


def _shift(measured: Registration) -> str:
    if measured.dx_px is None or measured.dy_px is None:
        return f"not measured: {measured.reason}"
    across = f"{abs(measured.dx_px):.2f} px {'right' if measured.dx_px >= 0 else 'left'}"
    down = f"{abs(measured.dy_px):.2f} px {'down' if measured.dy_px >= 0 else 'up'}"
    text = f"post lies {across}, {down} of pre ({_count(measured.windows, 'window')}, spread {measured.mad_px:.2f} px"
    text += f", correlation {measured.response:.2f})"
    if not measured.trusted:
        return f"{text}; not to be trusted: {measured.reason}"
    return f"{text}; corrected" if measured.applied else text


def _types(facts: RasterFacts) -> str:
    return ", ".join(dict.fromkeys(band.dtype for band in facts.bands)) or "no type"


def _band(facts: RasterFacts, i: int) -> str:
    band = facts.bands[i]
    parts = [f"{band.number}: {band.description or band.interpretation}"]
    if band.description:
        parts.append(band.interpretation)
    if band.nodata is not None:
        parts.append(f"nodata {band.nodata:g}")
    if (band.scale, band.offset) != (1.0, 0.0):
        parts.append(f"scale {band.scale:g}, offset {band.offset:g}")
    if band.read_as:
        parts.append(f"read as {band.read_as}")
    return ", ".join(parts)


def _box(box: tuple[float, float, float, float]) -> str:
    west, south, east, north = box
    return f"longitude {west:.5f} to {east:.5f}, latitude {south:.5f} to {north:.5f}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _size(count: int) -> str:
    if count < 1000:
        return f"{count} B"
    value = float(count)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 1000 or unit == "GB":
            break
    return f"{value:.3g} {unit}"
