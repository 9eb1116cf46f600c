"""GeoJSON (RFC 7946), GeoJSON lines, and GeoJSON text sequences (RFC 8142), streamed with orjson."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import orjson

from rsccli.geo.extent import LonLatExtent
from rsccli.output.facts import facts_to_bytes
from rsccli.output.features import Feature, as_json_dict
from rsccli.types import RunFacts

# RFC 8142, section 2.1: each text begins with a record separator and ends with a line feed.
RECORD_SEPARATOR = b"\x1e"
_BATCH = 512


class GeoJsonWriter:
    """One FeatureCollection, one feature a line; the run's facts are its foreign member ``rsccli``."""

    name = "GeoJSON"

    def write(self, path: Path, features: Iterator[Feature], facts: RunFacts, date: str) -> None:
        """Write the collection; its bbox follows the features, as it is known only then."""
        extent = LonLatExtent(facts.grid)
        with path.open("wb") as out:
            out.write(b'{"type":"FeatureCollection","rsccli":' + facts_to_bytes(facts) + b',"features":[')
            separator = b"\n"
            for feature in features:
                extent.add(feature.bbox)
                out.write(separator + orjson.dumps(as_json_dict(feature)))
                separator = b",\n"
            bbox = b"" if extent.bbox is None else b',"bbox":' + orjson.dumps(extent.bbox)
            out.write(b"\n]" + bbox + b"}\n")


class GeoJsonSeqWriter:
    """One feature a line, nothing else."""

    name = "GeoJSONSeq"

    def write(self, path: Path, features: Iterator[Feature], facts: RunFacts, date: str) -> None:
        """Write the lines."""
        with path.open("wb") as out:
            out.writelines(orjson.dumps(as_json_dict(feature)) + b"\n" for feature in features)


class TextSequenceWriter:
    """A GeoJSON text sequence: record separators before, line feeds after each feature."""

    name = "GeoJSON text sequence"

    def write(self, path: Path, features: Iterator[Feature], facts: RunFacts, date: str) -> None:
        """Write the sequence."""
        with path.open("wb") as out:
            out.writelines(RECORD_SEPARATOR + orjson.dumps(as_json_dict(feature)) + b"\n" for feature in features)


def stream_geojsonseq(out: BinaryIO, features: Iterable[Feature]) -> int:
    """Write features as lines to an open stream (``-o -``), flushed as they come; returns how many.

    Raises:
        BrokenPipeError: the reader has left.
    """
    count = 0
    for feature in features:
        # One by one: whoever reads the stream waits for a model, not for a buffer to fill.
        out.write(orjson.dumps(as_json_dict(feature)) + b"\n")
        out.flush()
        count += 1
    return count
