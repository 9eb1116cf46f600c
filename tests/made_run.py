"""A run made by hand: facts, and features of every status, on any grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from affine import Affine

from rsccli.output.features import Feature, build_features
from rsccli.types import (
    STATUSES,
    Grid,
    InputFacts,
    MapBounds,
    PxWindow,
    Registration,
    RunFacts,
    Tile,
    TileRecord,
)

UTM = Grid("EPSG:32611", Affine(0.6, 0, 390000.0, 0, -0.6, 3740000.0), 2000, 1500)
FIJI = Grid("EPSG:3832", Affine(10, 0, 3320000.0, 0, -10, -1900000.0), 4000, 1024)

NASTY = 'a <script>alert("x")</script> & \'house\' ]]> | pipe\nnew line, "quoted"; é 房子'


def make_facts(grid: Grid = UTM, tiles: int = 48, tile_size: int = 256, stride: int = 256) -> RunFacts:
    pre = InputFacts(
        path="data/long_beach_2016.tif",
        name="long_beach_2016.tif",
        datetime="2016-06-01",
        crs=grid.crs,
        size_px=(grid.width, grid.height),
        dtype="uint8",
        bands=(1, 2, 3),
        gsd_m=0.6,
        lut="identity",
        identity="inode 1, 2 bytes",
        warnings=("no nodata value: the mask alone decides",),
    )
    post = InputFacts(
        path="data/long_beach_2020.tif",
        name="long_beach_2020.tif",
        datetime="2020-05-17T18:21:09Z",
        crs=grid.crs,
        size_px=(grid.width, grid.height),
        dtype="uint16",
        bands=(4, 3, 2),
        gsd_m=0.6,
        lut="linear 212..1830 per band",
        identity="inode 3, 4 bytes",
    )
    return RunFacts(
        version="0.1.0",
        pre=pre,
        post=post,
        grid=grid,
        gsd_m=0.6,
        tile_size=tile_size,
        stride=stride,
        edge="pad",
        tiles=tiles,
        registration=Registration(0.3, -0.4, 0.05, 0.7, 24, True),
        radiometry="one line per band from pre to post, gain 0.91-1.04",
        model="rsccli-small",
        model_revision="abc123",
        spec_hash="0123456789abcdef",
        limits=("sees nothing smaller than a car",),
        warnings=("post is 16 bit, pre is 8 bit",),
    )


def make_results(
    count: int, facts: RunFacts, status_of: Callable[[int], str] | None = None
) -> Iterator[tuple[TileRecord, Tile]]:
    columns = -(-facts.grid.width // facts.stride)
    for i in range(count):
        row, col = divmod(i, columns)
        status = status_of(i) if status_of else STATUSES[i % len(STATUSES)]
        seen = status in ("changed", "unchanged", "unsure")
        changed = status == "changed"
        tile_id = f"r{row:05d}c{col:05d}"
        window = PxWindow(col * facts.stride, row * facts.stride, facts.tile_size, facts.tile_size)
        yield (
            TileRecord(
                tile_id=tile_id,
                row=row,
                col=col,
                status=status,
                valid_fraction=0.0 if status == "nodata" else 0.75,
                caption=(NASTY if changed else f"Nothing new in tile {i}.") if seen else None,
                change_score=(i * 37 % 101) / 101 if seen else None,
                logprob=-0.25 if seen else None,
                keywords=("house", "road;lane") if changed else (),
                changed_area_m2=1234.567 if changed else (0.0 if seen else None),
                changed_fraction=0.069777 if changed else (0.0 if seen else None),
                reason="block 3 is damaged" if status == "read_error" else None,
            ),
            Tile(tile_id, row, col, window, MapBounds(0, 0, 0, 0)),
        )


def make_features(count: int, facts: RunFacts) -> list[Feature]:
    return list(build_features(make_results(count, facts), facts))
