"""Ways to read aligned tile pairs: what people write today, and ours. Each yields (pre, post, valid) per tile.

Every way gets the same tiles of the same grid (pre's own over the overlap), reads red, green and blue of both dates,
and returns joint validity; tiles at the edge are padded. All resample bilinearly.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import rasterio
from affine import Affine
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from rsccli.geo.engine import PairAligner, TileRead
from rsccli.geo.grid import choose_grid
from rsccli.geo.lut import Lut
from rsccli.geo.raster import describe_raster, gdal_options
from rsccli.geo.reader import listen_to_gdal
from rsccli.geo.tiles import Superblock, TilePlan, plan_tiles

Aligned = tuple[np.ndarray, np.ndarray, np.ndarray]
RGB = [1, 2, 3]


class Job:
    """Both files, their grid and the superblocks of tiles to read."""

    def __init__(self, pre: str, post: str, tile_size: int, block_rows: int) -> None:
        self.pre, self.post, self.size = pre, post, tile_size
        self.infos = describe_raster(pre), describe_raster(post)
        self.grid, _ = choose_grid(*self.infos)
        self.plan: TilePlan = plan_tiles(self.grid, tile_size, striped=any(info.striped for info in self.infos))
        across = -(-self.plan.cols // self.plan.block_cols)
        wanted = min(self.plan.block_count, block_rows * across)
        self.blocks: list[Superblock] = [self.plan.block(index) for index in range(wanted)]
        # Everybody else reads in reading order, as a plain loop does.
        self.tiles = sorted((t for b in self.blocks for t in b.tiles), key=lambda t: (t.row, t.col))

    def tile_transform(self, col: int, row: int) -> Affine:
        """Transform of a tile that starts at one pixel of the grid."""
        return self.grid.transform @ Affine.translation(col, row)


def open_and_warp(job: Job) -> Iterator[Aligned]:
    """For every tile: open both files and put a WarpedVRT of the tile's extent over each."""
    for tile in job.tiles:
        options = {
            "crs": job.grid.crs,
            "transform": job.tile_transform(tile.px_window.col, tile.px_window.row),
            "width": job.size,
            "height": job.size,
            "resampling": Resampling.bilinear,
            "add_alpha": True,
        }
        both = []
        for path in (job.pre, job.post):
            with rasterio.open(path) as src, WarpedVRT(src, **options) as vrt:
                both.append(vrt.read())
        yield both[0][:3], both[1][:3], (both[0][3] > 0) & (both[1][3] > 0)


def _plain_window(src: rasterio.DatasetReader, job: Job, col: int, row: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of a tile from a source that stands on the grid's lattice, padded, and where it has any."""
    transform = job.tile_transform(col, row)
    left, top = (round(v) for v in ~src.transform @ (transform.c, transform.f))
    pixels = src.read(RGB, window=Window(left, top, job.size, job.size), boundless=True, fill_value=0)
    inside = np.zeros((job.size, job.size), bool)
    inside[max(0, -top) : src.height - top, max(0, -left) : src.width - left] = True
    return pixels, inside


def open_and_warp_post(job: Job) -> Iterator[Aligned]:
    """For every tile: open both, read pre by its plain window (the grid is pre's), warp post only."""
    for tile in job.tiles:
        col, row = tile.px_window.col, tile.px_window.row
        with rasterio.open(job.pre) as src:
            pre, inside = _plain_window(src, job, col, row)
        options = {"crs": job.grid.crs, "transform": job.tile_transform(col, row), "width": job.size}
        options |= {"height": job.size, "resampling": Resampling.bilinear, "add_alpha": True}
        with rasterio.open(job.post) as src, WarpedVRT(src, **options) as vrt:
            post = vrt.read()
        yield pre, post[:3], inside & (post[3] > 0)


def _whole_vrt(src: rasterio.DatasetReader, job: Job) -> WarpedVRT:
    return WarpedVRT(
        src,
        crs=job.grid.crs,
        transform=job.grid.transform,
        width=job.plan.cols * job.size,
        height=job.plan.rows * job.size,
        resampling=Resampling.bilinear,
        add_alpha=True,
    )


def one_vrt(job: Job) -> Iterator[Aligned]:
    """Open both once, one WarpedVRT of the whole grid over each, read it window by window."""
    with (
        rasterio.open(job.pre) as pre_src,
        rasterio.open(job.post) as post_src,
        _whole_vrt(pre_src, job) as pre_vrt,
        _whole_vrt(post_src, job) as post_vrt,
    ):
        for tile in job.tiles:
            window = Window(*tile.px_window)
            pre, post = pre_vrt.read(window=window), post_vrt.read(window=window)
            yield pre[:3], post[:3], (pre[3] > 0) & (post[3] > 0)


def one_vrt_post(job: Job) -> Iterator[Aligned]:
    """Open both once, plain windows of pre (the grid is pre's), one WarpedVRT of the whole grid over post."""
    with (
        rasterio.open(job.pre) as pre_src,
        rasterio.open(job.post) as post_src,
        _whole_vrt(post_src, job) as post_vrt,
    ):
        for tile in job.tiles:
            pre, inside = _plain_window(pre_src, job, tile.px_window.col, tile.px_window.row)
            post = post_vrt.read(window=Window(*tile.px_window))
            yield pre, post[:3], inside & (post[3] > 0)


def rioxarray_match(job: Job) -> Iterator[Aligned]:
    """rioxarray: per tile a window of pre, and reproject_match of post clipped to it."""
    import rioxarray
    from rasterio.warp import transform_bounds

    pre, post = (rioxarray.open_rasterio(path, masked=False) for path in (job.pre, job.post))
    pre_t = pre.rio.transform()
    res = max(abs(v) for v in post.rio.resolution())
    for tile in job.tiles:
        start = job.tile_transform(tile.px_window.col, tile.px_window.row)
        left, top = (round(v) for v in ~pre_t @ (start.c, start.f))
        chip = pre[:, max(0, top) : top + job.size, max(0, left) : left + job.size].load()
        bounds = transform_bounds(job.grid.crs, post.rio.crs, *chip.rio.bounds())
        near = post.rio.clip_box(bounds[0] - res, bounds[1] - res, bounds[2] + res, bounds[3] + res)
        moved = near.rio.reproject_match(chip, resampling=Resampling.bilinear, nodata=0).values
        out = np.zeros((2, 3, job.size, job.size), np.uint8)
        rows, cols = chip.shape[1:]
        out[0, :, :rows, :cols], out[1, :, :rows, :cols] = chip.values, moved
        yield out[0], out[1], (out[1] != 0).any(axis=0)


def rioxarray_vrt(job: Job) -> Iterator[Aligned]:
    """rioxarray lazily over one WarpedVRT of the whole grid per date."""
    import rioxarray

    with (
        rasterio.open(job.pre) as pre_src,
        rasterio.open(job.post) as post_src,
        _whole_vrt(pre_src, job) as pre_vrt,
        _whole_vrt(post_src, job) as post_vrt,
    ):
        pre, post = (rioxarray.open_rasterio(vrt, cache=False) for vrt in (pre_vrt, post_vrt))
        for tile in job.tiles:
            col, row, width, height = tile.px_window
            both = [a.isel(x=slice(col, col + width), y=slice(row, row + height)).values for a in (pre, post)]
            # rioxarray drops the alpha band of the VRT, so fill has to be told from its value.
            yield both[0], both[1], (both[0] != 0).any(axis=0) & (both[1] != 0).any(axis=0)


def engine(job: Job, cache_mb: int | None = None) -> Iterator[Aligned]:
    """Ours, one thread."""
    listen_to_gdal()
    with (
        rasterio.Env(**gdal_options(**({} if cache_mb is None else {"cache_mb": cache_mb}))),
        PairAligner(job.grid, *job.infos, (Lut.identity(), Lut.identity())) as aligner,
    ):
        for block in job.blocks:
            yield from _pairs(aligner.read(block))


def engine_threads(job: Job, cache_mb: int | None = None, threads: int = 2) -> Iterator[Aligned]:
    """Ours, reader threads with handles of their own; at most two superblocks a thread are in flight."""
    listen_to_gdal()
    own = threading.local()
    made: list[PairAligner] = []

    def read(block: Superblock) -> list[Aligned]:
        with rasterio.Env(**gdal_options(**({} if cache_mb is None else {"cache_mb": cache_mb}))):
            if not hasattr(own, "aligner"):
                own.aligner = PairAligner(job.grid, *job.infos, (Lut.identity(), Lut.identity()))
                made.append(own.aligner)
            return list(_pairs(own.aligner.read(block)))

    with ThreadPoolExecutor(threads) as pool:
        waiting = []
        for block in job.blocks:
            waiting.append(pool.submit(read, block))
            if len(waiting) >= 2 * threads:
                yield from waiting.pop(0).result()
        for future in waiting:
            yield from future.result()
    for aligner in made:
        aligner.close()


def _pairs(reads: list) -> Iterator[Aligned]:
    for read in reads:
        if not isinstance(read, TileRead):
            raise SystemExit(f"a tile could not be read: {read.reason}")
        yield read.pair.pre, read.pair.post, read.pair.valid


WAYS: dict[str, tuple[str, Callable[..., Iterator[Aligned]], int]] = {
    # name: (what it is, the way, cores it may use)
    "open+warp": ("open both + WarpedVRT per tile", open_and_warp, 1),
    "open+warp-post": ("open both per tile, plain read of pre, WarpedVRT of post", open_and_warp_post, 1),
    "one-vrt": ("one reused WarpedVRT per date, windowed", one_vrt, 1),
    "one-vrt-post": ("one handle per date, plain reads of pre, one reused WarpedVRT of post", one_vrt_post, 1),
    "rioxarray-match": ("rioxarray, reproject_match per window", rioxarray_match, 1),
    "rioxarray-vrt": ("rioxarray over a WarpedVRT", rioxarray_vrt, 1),
    "engine": ("**rsccli, one thread**", engine, 1),
    "engine-2": ("**rsccli, two reader threads**", engine_threads, 2),
}


def limit(job: Job, seconds: float = 3.0) -> dict[str, float]:
    """Pairs a second of each necessary part alone, on one thread: decode each block once, and OpenCV's kernel."""
    import time

    rates = {}
    pixels_per_tile = job.size * job.size
    col0, row0 = min(t.px_window.col for t in job.tiles), min(t.px_window.row for t in job.tiles)
    col1 = max(t.px_window.col for t in job.tiles) + job.size
    row1 = max(t.px_window.row for t in job.tiles) + job.size
    for name, info in zip(("decode_pre", "decode_post"), job.infos, strict=True):
        with rasterio.Env(GDAL_CACHEMAX=64 * 2**20), rasterio.open(info.path) as ds:
            xs, ys = zip(*(job.grid.transform @ corner for corner in ((col0, row0), (col1, row1))), strict=True)
            from rasterio.warp import transform as warp_transform

            us, vs = warp_transform(job.grid.crs, ds.crs, xs, ys)
            (left, top), (right, bottom) = (~ds.transform @ p for p in zip(us, vs, strict=True))
            rows, cols = ds.block_shapes[0]
            done, spent = 0, 0.0
            step_rows, step_cols = max(rows, 2048 // rows * rows), max(cols, min(2048 // cols * cols or cols, ds.width))
            for row in range(max(0, int(top)) // rows * rows, min(ds.height, int(bottom)), step_rows):
                for col in range(max(0, int(left)) // cols * cols, min(ds.width, int(right)), step_cols):
                    window = Window(col, row, min(step_cols, ds.width - col), min(step_rows, ds.height - row))
                    start = time.perf_counter()
                    ds.read(RGB, window=window)
                    spent += time.perf_counter() - start
                    done += int(window.width * window.height)
                    if spent > seconds:
                        break
                if spent > seconds:
                    break
            share = abs((right - left) * (bottom - top)) / ((col1 - col0) * (row1 - row0))
            rates[name] = done / (share * pixels_per_tile) / spent
    # The kernel alone, on resident pixels, for one date: pre stands on its own grid and is copied.
    scale = (rates and share) ** 0.5
    side = int(job.size * scale) + 4
    rng = np.random.default_rng(0)
    planes = rng.integers(0, 256, (3, side, side), dtype=np.uint8)
    packed = np.ascontiguousarray(planes.transpose(1, 2, 0))
    matrix = np.array([[scale, 1e-3, 0.7], [-1e-3, scale, 0.6]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    best = 0.0
    for kind in ("planes", "packed"):
        count, start = 0, time.perf_counter()
        while time.perf_counter() - start < seconds / 3:
            for image in planes if kind == "planes" else [packed]:
                cv2.warpAffine(image, matrix, (job.size, job.size), flags=flags, borderMode=cv2.BORDER_REPLICATE)
            count += 1
        best = max(best, count / (time.perf_counter() - start))
    rates["kernel"] = best
    rates["limit"] = 1 / sum(1 / rates[part] for part in ("decode_pre", "decode_post", "kernel"))
    return rates
