"""Opens mutated rasters under a limit of memory, one after another, as ``rsccli info`` and a run would.

Called as a process of its own: ``python raster_worker.py FOLDER BYTES < names``. It prints one line for each file:
name, outcome, seconds, and the most memory that the process has had (MB). A file that ends the process is one whose
name has no line.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


def look(path: Path) -> str:
    """Describe a raster, read windows of it in several ways."""
    import rasterio

    from rsccli.errors import InputError, RsccliError
    from rsccli.geo.inspect import inspect_raster
    from rsccli.geo.raster import describe_raster, gdal_options
    from rsccli.geo.reader import RasterReader, listen_to_gdal
    from rsccli.types import PxWindow

    listen_to_gdal()
    try:
        inspect_raster(str(path))
    except RsccliError:
        pass
    with rasterio.Env(**gdal_options(16)):
        try:
            info = describe_raster(path)
        except RsccliError as error:
            assert isinstance(error, InputError) and error.exit_code == 3
            return "refused"
        outcome = "read"
        with RasterReader(info) as reader:
            side = 512
            for window, step in (
                (PxWindow(0, 0, side, side), 1.0),
                (PxWindow(max(0, info.width - side), max(0, info.height - side), side, side), 1.0),
                (PxWindow(info.width // 2, info.height // 2, side, side), 1.0),
                (PxWindow(0, 0, min(info.width, 4096), min(info.height, 4096)), 8.0),
            ):
                try:
                    reader.exists(window)
                    reader.read(window, (step, step))
                except RsccliError:
                    outcome = "damaged"
        return outcome


def vectors(path: Path) -> str:
    """Read an output in a binary format, or an area of interest."""
    from rsccli.errors import RsccliError
    from rsccli.geo.aoi import read_aoi
    from rsccli.output.readers import read_outputs

    outcome = "refused"
    try:
        _, features = read_outputs(path)
        for _ in features:
            pass
        outcome = "read"
    except RsccliError:
        pass
    if path.suffix != ".parquet":
        try:
            read_aoi(str(path))
        except RsccliError:
            pass
    return outcome


def main() -> None:
    """Read names from stdin, tell of each on stdout."""
    folder, limit = Path(sys.argv[1]), int(sys.argv[2])
    import pyarrow.parquet
    import pyogrio
    import rasterio  # noqa: F401

    import rsccli.geo.inspect  # noqa: F401 - what is imported counts before the limit is set
    from rsccli.peak_memory import peak_memory_bytes

    assert pyogrio and pyarrow
    before = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (before + limit, before + limit))
    for line in sys.stdin:
        path = folder / line.rstrip("\n")
        start = time.monotonic()
        try:
            outcome = vectors(path) if path.suffix in (".gpkg", ".fgb", ".parquet") else look(path)
        except BaseException as error:
            outcome = f"BUG {type(error).__name__}: {str(error)[:200]}".replace("\n", " ")
        peak = peak_memory_bytes() // 2**20
        print(f"{path.name}\t{outcome}\t{time.monotonic() - start:.2f}\t{peak}", flush=True)


if __name__ == "__main__":
    main()
