"""What an index is on the disk: a folder with a manifest ``index.json`` and the files that it names.

``index.json`` is read first; everything else is opened by what it says. The folder is made beside its place and moved
there whole.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from rsccli.errors import InputError
from rsccli.output.paths import sidecar
from rsccli.output.text import json_bytes

FORMAT = "rsccli-index/1"
MANIFEST = "index.json"
#: Captions as words and the features themselves; where tiles are and what they are.
TILES, PLACES = "tiles.sqlite", "places.npz"
#: What vectors there may be: of captions, and of both dates and their difference.
CAPTION_VECTORS = "meaning"
PICTURE_VECTORS = ("pre", "post", "change")


@dataclass(frozen=True)
class Source:
    """The map that was indexed: its absolute path, size, time of writing, and sha256."""

    path: str
    size: int
    mtime_ns: int
    sha256: str


@dataclass(frozen=True)
class Encoder:
    """The dual encoder that made the vectors.

    Attributes:
        folder: of its bundle, absolute. digest: of its manifest. width: of the vectors.
    """

    name: str
    revision: str
    folder: str
    digest: str
    width: int


@dataclass(frozen=True)
class IndexFacts:
    """Everything that ``index.json`` says.

    Attributes:
        version: of rsccli. tiles: features of the map. captions: different ones. pictures: tiles with vectors.
        inputs: path and identity of both images, where there are vectors of pictures.
        pixels: what decides the pixels of a tile, as a digest: vectors are kept as long as it stays the same.
        encoder: None where there are captions alone. failed: tiles whose pixels could not be read.
    """

    version: str
    source: Source
    tiles: int
    captions: int
    pictures: int = 0
    failed: int = 0
    inputs: tuple[tuple[str, str], ...] = ()
    pixels: str | None = None
    encoder: Encoder | None = None

    def to_bytes(self) -> bytes:
        """As it stands in the file."""
        return json_bytes({"format": FORMAT, **asdict(self)}, indent=True)


def default_index(output: Path) -> Path:
    """``out.index`` beside ``out.geojson``."""
    return sidecar(output, ".index")


def is_index(folder: Path) -> bool:
    """Whether a folder has an index in it."""
    return (folder / MANIFEST).is_file()


def find_index(given: Path) -> Path:
    """The folder of an index, or of the one beside a map.

    Raises:
        InputError: there is none.
    """
    if is_index(given):
        return given
    beside = default_index(given)
    if given.is_file() and is_index(beside):
        return beside
    if given.is_file():
        raise InputError(f"{given} has no index yet: make it with rsccli index {given}")
    raise InputError(f"{given} is no index: name the folder that rsccli index wrote, or the map that was indexed")


def read_facts(folder: Path) -> IndexFacts:
    """The manifest of an index.

    Raises:
        InputError: there is none, or it is damaged or of another version.
    """
    path = folder / MANIFEST
    try:
        told: dict[str, Any] = orjson.loads(path.read_bytes())
        if told.pop("format") != FORMAT:
            raise ValueError("another format")
        source, encoder = Source(**told.pop("source")), told.pop("encoder")
        inputs = tuple((str(name), str(identity)) for name, identity in told.pop("inputs"))
        return IndexFacts(**told, source=source, inputs=inputs, encoder=Encoder(**encoder) if encoder else None)
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path}: no index of this version ({error}): make it again with rsccli index MAP -o {folder} --overwrite"
        ) from error
