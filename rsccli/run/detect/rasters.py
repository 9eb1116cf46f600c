"""Masks and scores as cloud-optimised GeoTIFFs.

Pixels go into a tiled work file in any order; GDAL's COG driver then makes the output from it. Neither holds the
raster in memory. Category names of a mask have no place in a GeoTIFF: they stand in ``FILE.aux.xml`` beside it, as GDAL
and QGIS look for them there, and in the tag ``CODES`` of the file itself.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from xml.sax.saxutils import escape

import rasterio
import rasterio.shutil
from rasterio._err import CPLE_BaseError
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError
from rasterio.windows import Window

from rsccli import __version__
from rsccli.errors import OutputError, UsageProblem
from rsccli.output.qgis.rasters import write_mask_style, write_score_style
from rsccli.output.text import storable
from rsccli.output.writers.atomic import replacing
from rsccli.run.detect.codes import NODATA, SCORE_STEPS, UNCHANGED, Legend
from rsccli.types import U8, Grid, PxWindow, RunFacts

SUFFIXES = (".tif", ".tiff")
_BLOCK = 512


def check_raster(path: Path, flag: str, overwrite: bool) -> None:
    """Find out before any work whether a raster can be written.

    Raises:
        UsageProblem: another suffix. OutputError: a file in the way, or a folder that is missing.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UsageProblem(f"{flag} {path}: it becomes a GeoTIFF, name it .tif")
    if path.is_dir():
        raise OutputError(f"{path} is a folder; name a file in it with {flag}")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists; add --overwrite to replace it, or name another file with {flag}")
    if not path.parent.is_dir():
        raise OutputError(f"the folder {path.parent} of {flag} does not exist; make it with: mkdir -p {path.parent}")


def run_tags(facts: RunFacts) -> dict[str, str]:
    """What a raster says of its run."""
    dates = {"RSCCLI_PRE_DATETIME": facts.pre.datetime, "RSCCLI_POST_DATETIME": facts.post.datetime}
    return {
        "RSCCLI_MODEL": facts.model,
        "RSCCLI_MODEL_REVISION": facts.model_revision,
        "RSCCLI_PRE": facts.pre.name,
        "RSCCLI_POST": facts.post.name,
        **{name: date for name, date in dates.items() if date is not None},
    }


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turns what GDAL raises while a raster is written, as on a full disk, into an error with a way out.

    Raises:
        OutputError: names the file.
    """
    try:
        yield
    except (RasterioError, CPLE_BaseError, OSError, SystemError) as error:
        # SystemError is what rasterio makes of a failure that GDAL says nothing of.
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error).strip() or "failed"
        raise OutputError(
            f"cannot write {path}: {reason}; free space there or name another place, then run the same command again"
        ) from error


class WorkRaster:
    """A tiled GeoTIFF of 8 bit that is filled window by window; what is never written takes no room.

    Args:
        path: where to. grid: its pixels. bands: how many. window: of the grid, or None for all of it.
    """

    def __init__(self, path: Path, grid: Grid, bands: int = 1, window: PxWindow | None = None) -> None:
        window = window or PxWindow(0, 0, grid.width, grid.height)
        left, _, _, top = grid.window_bounds(window)
        self._origin, self._path = window, path
        with told(path):
            self._file = rasterio.open(
                path,
                "w",
                driver="GTiff",
                width=window.width,
                height=window.height,
                count=bands,
                dtype="uint8",
                crs=grid.crs,
                transform=rasterio.Affine(grid.transform.a, 0, left, 0, grid.transform.e, top),
                nodata=NODATA,
                tiled=True,
                blockxsize=_BLOCK,
                blockysize=_BLOCK,
                interleave="band",
                compress="deflate",
                zlevel=1,
                sparse_ok=True,
                bigtiff="if_safer",
            )

    def __enter__(self) -> WorkRaster:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def write(self, window: PxWindow, *bands: U8) -> None:
        """Write a window of the grid; one that has no data anywhere is left out."""
        place = Window(window.col - self._origin.col, window.row - self._origin.row, window.width, window.height)
        with told(self._path):
            for index, values in enumerate(bands, 1):
                if (values != NODATA).any():
                    self._file.write(values, index, window=place)

    def close(self) -> None:
        """Bring it to the disk."""
        with told(self._path):
            self._file.close()


def write_mask(work: Path, path: Path, legend: Legend, tags: Mapping[str, str]) -> None:
    """Make a mask from its work file: codes with colours and names.

    Raises:
        OutputError: it cannot be written; nothing is left behind.
    """
    with told(path), rasterio.open(work, "r+", driver="GTiff") as file:
        file.write_colormap(1, {code: legend.colours.get(code, (0, 0, 0, 0)) for code in range(256)})
        file.set_band_description(1, "kind of change")
        codes = "; ".join(f"{code}={name}" for code, name in legend.names.items())
        file.update_tags(**tags, CODES=codes, TIFFTAG_SOFTWARE=f"rsccli {__version__}")
    _write_cog(work, path, "mode", tags, coloured=True)
    with replacing(path.with_name(f"{path.name}.aux.xml")) as part:
        part.write_text(_category_names(legend), encoding="utf-8")
    # A palette has no transparency; a style has.
    shown = {code: legend.colours[code] for code in legend.names if code != NODATA} | {UNCHANGED: (255, 255, 255, 0)}
    write_mask_style(path, {code: legend.names[code] for code in shown}, shown)


def write_score(work: Path, path: Path, tags: Mapping[str, str]) -> None:
    """Make a raster of probabilities from its work file: steps of 1/250, with scale and offset as GDAL knows them.

    Raises:
        OutputError: it cannot be written; nothing is left behind.
    """
    with told(path), rasterio.open(work, "r+", driver="GTiff") as file:
        file.scales, file.offsets = (1 / SCORE_STEPS,), (0.0,)
        file.set_band_description(1, "probability of change")
        file.update_tags(**tags, TIFFTAG_SOFTWARE=f"rsccli {__version__}")
    _write_cog(work, path, "average", tags, coloured=False)
    write_score_style(path)


def _write_cog(work: Path, path: Path, resampling: str, tags: Mapping[str, str], coloured: bool) -> None:
    with told(path), replacing(path) as part:
        rasterio.shutil.copy(
            work,
            part,
            driver="COG",
            compress="deflate",
            blocksize=_BLOCK,
            resampling=resampling,
            overviews="auto",
            bigtiff="if_safer",
            sparse_ok="true",
            num_threads="1",
        )
        _check_copy(work, part, tags, coloured)


def _check_copy(work: Path, made: Path, tags: Mapping[str, str], coloured: bool) -> None:
    """Whether a copy is whole: GDAL lets a write that failed pass where a later one succeeds, and only prints a line.

    Raises:
        OSError: something is missing. RasterioError: a block cannot be decoded.
    """
    with rasterio.open(work) as before, rasterio.open(made) as after:
        whole = (
            after.tags(ns="IMAGE_STRUCTURE").get("LAYOUT") == "COG"
            and tags.keys() <= after.tags().keys()
            and before.descriptions == after.descriptions
            and None not in after.descriptions
            and (before.scales, before.nodatavals) == (after.scales, after.nodatavals)
            and (after.colorinterp[0] == ColorInterp.palette) == coloured
            and bool(after.overviews(1)) == (max(after.shape) > _BLOCK)
            and all((before.read(window=part) == after.read(window=part)).all() for part in _parts(after))
        )
        levels = len(after.overviews(1))
    if not whole:
        raise OSError(errno.EIO, "the raster is incomplete, as on a full disk")
    for level in range(levels):
        with rasterio.open(made, overview_level=level) as overview:
            for part in _parts(overview):
                overview.read(window=part)


def _parts(file: rasterio.DatasetReader) -> Iterator[Window]:
    """Windows of whole blocks, a few MB each."""
    for top in range(0, file.height, _BLOCK):
        for left in range(0, file.width, 16 * _BLOCK):
            yield Window(left, top, min(16 * _BLOCK, file.width - left), min(_BLOCK, file.height - top))


def _category_names(legend: Legend) -> str:
    """The sidecar that GDAL calls PAM: a name for each code from 0 on."""
    names = legend.names
    lines = [f"      <Category>{escape(storable(names.get(code, '')))}</Category>" for code in range(NODATA + 1)]
    return (
        '<PAMDataset>\n  <PAMRasterBand band="1">\n    <CategoryNames>\n'
        + "\n".join(lines)
        + "\n    </CategoryNames>\n  </PAMRasterBand>\n</PAMDataset>\n"
    )
