"""The mask of a captioned run: every tile's pixels in the journal, a raster at the end, and captions held against it.

Sentence, keywords and mask of a tile come from one look of the model. Where tiles overlap the mask shows the last tile
in reading order; nothing is blended: `rsccli detect` does that.
"""

from __future__ import annotations

import base64
import errno
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import rasterio
from rasterio.windows import Window

from rsccli.errors import OutputError, UsageProblem
from rsccli.geo.tiles import TilePlan
from rsccli.models.captioner import Captioner, CaptionerInfo, CaptionsAndDetects
from rsccli.run.detect.codes import CHANGE, NODATA, NOT_JUDGED, UNCHANGED, Legend
from rsccli.run.detect.rasters import WorkRaster, run_tags, told, write_mask
from rsccli.run.own import own_pixels
from rsccli.types import U8, Bool, Caption, Detection, PxWindow, RunFacts, Tile, TileRecord

#: How a reason begins where a caption says what its mask does not show.
INCONSISTENT = "inconsistent"


def caption_legend(info: CaptionerInfo) -> Legend:
    """The classes of a captioner's mask: its own, or one for all change."""
    return Legend(info.classes or (CHANGE,))


def detecting(captioner: Captioner) -> CaptionsAndDetects | None:
    """The captioner as one that tells classes, too, or None.

    Raises:
        UsageProblem: it could, but not as it runs here.
    """
    if isinstance(captioner, CaptionsAndDetects):
        return captioner
    if captioner.info.classes:
        raise UsageProblem("--mask: this captioner tells masks on one device: give one, e.g. --device cuda:0")
    return None


def tile_codes(caption: Caption | None, detection: Detection | None, valid: Bool) -> U8:
    """Codes of a tile's pixels, (H, W).

    Args:
        caption: of it, or None where nobody looked. detection: its classes, or None where there are none.
        valid: bool (H, W), pixels with data.
    """
    codes = np.full(valid.shape, NODATA, np.uint8)
    if caption is None or (caption.mask is None and caption.status != "unchanged"):
        codes[valid] = NOT_JUDGED
        return codes
    codes[valid] = UNCHANGED
    if caption.mask is not None:
        changed = caption.mask & valid
        told = None if detection is None else detection.classes
        codes[changed] = 1 if told is None else told[:, changed].argmax(0) + 1
    return codes


def contradiction(caption: Caption, codes: U8, legend: Legend, keyword_classes: Mapping[str, str]) -> str | None:
    """What a caption says that the codes of its tile do not show, in words; None where they agree."""
    present = set(np.unique(codes).tolist())
    if NOT_JUDGED in present:
        return None
    missing = [
        f"{word} ({keyword_classes[word]})" if word != keyword_classes[word] else word
        for word in caption.keywords
        if keyword_classes.get(word) in legend.classes and legend.code(keyword_classes[word]) not in present
    ]
    if missing:
        return f"{INCONSISTENT}: the caption names {', '.join(missing)}, its mask has no such pixel"
    if caption.status == "changed" and not any(UNCHANGED < code < NOT_JUDGED for code in present):
        return f"{INCONSISTENT}: the caption tells a change, its mask has no changed pixel"
    return None


def pack(codes: U8) -> str:
    """Codes of a tile as text for a journal line."""
    return base64.b64encode(zlib.compress(codes.tobytes(), 6)).decode("ascii")


def unpack(text: str, height: int, width: int) -> U8:
    """The inverse."""
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8).reshape(height, width)


def write_caption_mask(
    path: Path, plan: TilePlan, records: Callable[[], Iterable[TileRecord]], legend: Legend, facts: RunFacts
) -> None:
    """Make the raster of the tiles of a finished run.

    Args:
        records: of all tiles by row and column, anew with each call.

    Raises:
        OutputError: it cannot be written; nothing is left behind.
    """
    grid = plan.grid
    # A hidden folder with a fixed name: what a killed run left in it is cleared away by the next.
    folder = path.with_name(f".{path.name}.tiles")
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        with WorkRaster(folder / path.name, grid) as raster:
            for _, inside, codes in _masks(plan, records()):
                raster.write(inside, np.ascontiguousarray(codes))
        _check_work(folder / path.name, plan, records())
        write_mask(folder / path.name, path, legend, run_tags(facts))
    except OSError as error:
        raise OutputError(
            f"cannot write {path}: {error.strerror}; free space there or name another place with --mask"
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _masks(plan: TilePlan, records: Iterable[TileRecord]) -> Iterator[tuple[Tile, PxWindow, U8]]:
    """Tiles with a mask, the window of the grid that each covers, and its codes there."""
    grid = plan.grid
    for record in records:
        if record.mask is None:
            continue
        tile = plan.tile(record.row, record.col)
        col, row, width, height = tile.px_window
        inside = PxWindow(col, row, min(width, grid.width - col), min(height, grid.height - row))
        yield tile, inside, unpack(record.mask, height, width)[: inside.height, : inside.width]


def _check_work(path: Path, plan: TilePlan, records: Iterable[TileRecord]) -> None:
    """Whether every pixel reached the disk: GDAL lets a write that failed pass where a later one succeeds.

    Raises:
        OSError: one did not.
    """
    with told(path), rasterio.open(path) as file:
        for tile, inside, codes in _masks(plan, records):
            found = file.read(1, window=Window(*inside))
            own = own_pixels(plan, tile)
            same = found == codes
            if not (same if own is None else same | ~own[: inside.height, : inside.width]).all():
                raise OSError(errno.EIO, "the raster is incomplete, as on a full disk")
