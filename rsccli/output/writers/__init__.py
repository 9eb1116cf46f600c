"""Writers: one small class per format, chosen by the suffix of the output.

Every writer pulls features from an iterator and holds a batch at a time. The file appears whole under its
name, or not at all: it is written in a hidden folder beside it, synced, and moved into place.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

from rsccli.errors import OutputError, UsageProblem
from rsccli.output.features import Feature
from rsccli.output.writers.atomic import Tap, replacing
from rsccli.output.writers.base import UNDATED, Writer
from rsccli.output.writers.geojson import stream_geojsonseq
from rsccli.types import RunFacts

__all__ = ["UNDATED", "WRITERS", "check_output", "stream_geojsonseq", "write_features", "writer_for"]

# Module and class by suffix: pyogrio and pyarrow cost half a second, and most runs need neither.
WRITERS: dict[str, tuple[str, str]] = {
    ".geojson": ("geojson", "GeoJsonWriter"),
    ".json": ("geojson", "GeoJsonWriter"),
    ".geojsonl": ("geojson", "GeoJsonSeqWriter"),
    ".ndjson": ("geojson", "GeoJsonSeqWriter"),
    ".geojsons": ("geojson", "TextSequenceWriter"),
    ".gpkg": ("ogr", "GeoPackageWriter"),
    ".fgb": ("ogr", "FlatGeobufWriter"),
    ".parquet": ("parquet", "GeoParquetWriter"),
    ".geoparquet": ("parquet", "GeoParquetWriter"),
    ".csv": ("csv", "CsvWriter"),
}


def writer_for(path: Path) -> Writer:
    """The writer for the suffix of ``path``.

    Raises:
        UsageProblem: no format has that suffix.
    """
    found = WRITERS.get(path.suffix.lower())
    if found is None:
        raise UsageProblem(
            f"no output format has the suffix {path.suffix or '(none)'!r} ({path}); use one of {' '.join(WRITERS)}, "
            "or -o - for GeoJSONSeq on stdout"
        )
    module, name = found
    writer: Writer = getattr(import_module(f"rsccli.output.writers.{module}"), name)()
    return writer


def check_output(path: Path, overwrite: bool) -> None:
    """Find out before any work whether the output can be written.

    Raises:
        UsageProblem: unknown suffix. OutputError: file in the way, or a folder that is missing or unwritable.
    """
    writer_for(path)
    folder = path.parent
    if path.is_dir():
        raise OutputError(f"{path} is a folder; name a file in it with -o")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists; add --overwrite to replace it, or name another file with -o")
    if not folder.is_dir():
        raise OutputError(f"the folder {folder} of the output does not exist; make it with: mkdir -p {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"the folder {folder} of the output is not writable; name another one with -o")


def write_features(path: Path, features: Iterable[Feature], facts: RunFacts, date: str = UNDATED) -> int:
    """Write all features to ``path`` in the format of its suffix; returns how many.

    The same features, facts and date give the same bytes.

    Args:
        date: for formats that must carry a date of writing (GeoPackage), ISO 8601 with milliseconds and Z.

    Raises:
        UsageProblem: unknown suffix. OutputError: the file could not be written; nothing is left behind.
    """
    writer = writer_for(path)
    source = Tap(features)
    with replacing(path, source) as part:
        writer.write(part, source, facts, date)
    return source.count
