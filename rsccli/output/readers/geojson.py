"""Reads GeoJSON and its line forms."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from rsccli.errors import InputError
from rsccli.output.facts import facts_from_json
from rsccli.output.features import Feature
from rsccli.output.readers.build import build_feature, rings_of
from rsccli.types import RunFacts

_HEADER_END = b'"features":['


def read_geojson(path: Path) -> tuple[RunFacts | None, Iterator[Feature]]:
    """A FeatureCollection: line by line as we write it, else (edited, reformatted) as a whole."""
    try:
        with path.open("rb") as source:
            header = source.readline().rstrip()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    if header.startswith(b'{"type":"FeatureCollection"') and header.endswith(_HEADER_END):
        try:
            members = orjson.loads(header + b"]}")
        except orjson.JSONDecodeError as error:
            raise InputError(f"{path}: line 1 is damaged ({error})") from error
        _refuse_timeline(members, path)
        return _facts(members.get("rsccli"), path), _features_by_line(path)
    return _read_whole(path)


def read_geojson_lines(path: Path) -> tuple[RunFacts | None, Iterator[Feature]]:
    """GeoJSON lines, with or without record separators; they hold no facts."""
    return None, _sequence(path)


def _sequence(path: Path) -> Iterator[Feature]:
    with path.open("rb") as source:
        for number, line in enumerate(source, start=1):
            text = line.strip(b"\x1e \t\r\n")
            if text:
                yield _feature(f"{path}, line {number}", _parse(f"{path}, line {number}", text))


def _features_by_line(path: Path) -> Iterator[Feature]:
    with path.open("rb") as source:
        source.readline()
        for number, line in enumerate(source, start=2):
            text = line.strip()
            if text.startswith(b"]"):
                return
            if text:
                where = f"{path}, line {number}"
                yield _feature(where, _parse(where, text.removesuffix(b",")))
    raise InputError(f"{path}: the file ends in the middle; make it again with rsccli caption")


def _read_whole(path: Path) -> tuple[RunFacts | None, Iterator[Feature]]:
    content = _parse(str(path), path.read_bytes())
    if not isinstance(content, dict) or not isinstance(content.get("features"), list):
        raise InputError(f"{path}: no GeoJSON FeatureCollection; name an output of rsccli caption")
    _refuse_timeline(content, path)
    features: list[Any] = content["features"]
    return _facts(content.get("rsccli"), path), (
        _feature(f"{path}, feature {number}", member) for number, member in enumerate(features, start=1)
    )


def _refuse_timeline(members: dict[str, Any], path: Path) -> None:
    """A tile of a timeline is there once for each pair: whoever reads one run would count it many times."""
    if "rsccli_series" in members:
        raise InputError(
            f"{path}: the timeline of a series holds many pairs: name the map of one (FROM_TO.geojson beside it)"
        )


def _facts(value: object, path: Path) -> RunFacts | None:
    return None if value is None else facts_from_json(value, str(path))


def _parse(where: str, text: bytes) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InputError(f"{where}: not JSON ({error}); make the output again with rsccli caption") from error


def _feature(where: str, member: Any) -> Feature:  # noqa: ANN401 - any JSON value
    if not isinstance(member, dict) or not isinstance(member.get("properties"), dict):
        raise InputError(f"{where}: no GeoJSON feature; name an output of rsccli caption")
    # Desktop GIS may move the id into the properties.
    values = member["properties"]
    tile_id = member.get("id", values.get("id"))
    return build_feature(where, tile_id, rings_of(where, member.get("geometry")), values)
