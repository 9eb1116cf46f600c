"""A user's labelled pairs, from JSON lines, JSON, CSV or GeoJSON."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import shapely

from rsccli.errors import CrsError, InputError, UsageProblem
from rsccli.training.places import Box, place_of_name, places_of_boxes
from rsccli.training.polygons import Polygons, file_polygons, inline_polygons
from rsccli.types import FAILED, CaptionStatus

PLACE_KM = 2.0
LINES, WHOLE, TABLE = (".jsonl", ".ndjson"), (".json", ".geojson"), (".csv",)
_STATUS: dict[str, CaptionStatus] = {
    **dict.fromkeys(("changed", "change", "true", "yes", "1"), "changed"),
    **dict.fromkeys(("unchanged", "no change", "no_change", "false", "no", "0"), "unchanged"),
    **dict.fromkeys(("unsure", "unknown"), "unsure"),
}


@dataclass(frozen=True)
class PairRecord:
    """One labelled pair. What nobody said is None.

    Attributes:
        where: file and line that it comes from.
        pre, post: the images.
        captions: sentences; may be empty.
        status: whether it changed.
        keywords: what changed; an empty tuple: nothing of any keyword.
        polygons: where it changed.
        place: name; records of one place are always on the same side of a split.
        box: of the pair in longitude/latitude; None: the images have no georeference.
        area: the part of the pair that the record is about, in longitude/latitude; None: all of it.
    """

    where: str
    pre: Path
    post: Path
    captions: tuple[str, ...] = ()
    status: CaptionStatus | None = None
    keywords: tuple[str, ...] | None = None
    polygons: Polygons | None = None
    place: str = ""
    box: Box | None = None
    area: Box | None = None


class _Row(NamedTuple):
    where: str
    values: Mapping[str, Any]
    area: Box | None


class _Georeference(NamedTuple):
    box: Box
    crs: str


def read_records(path: Path, place_km: float = PLACE_KM) -> tuple[PairRecord, ...]:
    """Read every record of a file.

    Args:
        path: ``.jsonl`` (one record a line), ``.json`` (a list), ``.csv`` (one a row) or ``.geojson`` (one a feature;
            its geometry is the part of the pair that it is about). Paths in it are relative to its folder.
        place_km: side of the cells that make places of records without ``place``, kilometres.

    Raises:
        UsageProblem: unknown suffix. InputError: a file or a record of it cannot be used; the message names the line.
    """
    if place_km <= 0:
        raise UsageProblem(f"--place-km {place_km}: give the side of a place in kilometres, for example {PLACE_KM}")
    known: dict[Path, _Georeference | None] = {}
    records = [_record(row, path.parent, known) for row in _rows(path)]
    if not records:
        raise InputError(f"{path}: no record in it; add one line for every pair, with at least pre, post and caption")
    _refuse_stray_polygons(records, path)
    return _with_places(records, place_km)


def _rows(path: Path) -> Iterator[_Row]:
    suffix = path.suffix.lower()
    if suffix not in (*LINES, *WHOLE, *TABLE):
        raise UsageProblem(
            f"{path}: records are read from {', '.join((*LINES, *WHOLE, *TABLE))}, not from {suffix or 'no suffix'!r}"
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text ({error}); save it as UTF-8") from error
    if suffix in LINES:
        for number, line in enumerate(text.splitlines(), start=1):
            if line.strip():
                yield _Row(f"{path}, line {number}", _json_object(line, f"{path}, line {number}"), None)
    elif suffix in TABLE:
        reader = csv.DictReader(text.splitlines(keepends=True), strict=True)
        try:
            for row in reader:
                where = f"{path}, line {reader.line_num}"
                if None in row:
                    raise InputError(f"{where}: more columns than the header has; quote values that hold commas")
                yield _Row(where, {key.strip().lower(): value for key, value in row.items() if value}, None)
        except csv.Error as error:
            raise InputError(f"{path}, line {reader.line_num}: not CSV: {error}") from error
    else:
        yield from _whole(path, text)


def _whole(path: Path, text: str) -> Iterator[_Row]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON: {error}") from error
    if isinstance(content, list):
        for number, member in enumerate(content, start=1):
            yield _Row(f"{path}, record {number}", _mapping(member, f"{path}, record {number}"), None)
        return
    if not isinstance(content, dict) or not isinstance(content.get("features"), list):
        raise InputError(f"{path}: neither a list of records nor a GeoJSON FeatureCollection")
    # What rsccli caption wrote and a person corrected: its run facts name the pair once for all features.
    member = content.get("rsccli")
    facts: dict[str, Any] = member if isinstance(member, dict) else {}
    inputs = {date: facts[date]["path"] for date in ("pre", "post") if isinstance(facts.get(date), dict)}
    for number, feature in enumerate(content["features"], start=1):
        where = f"{path}, feature {number}"
        feature = _mapping(feature, where)
        values = {**inputs, **_mapping(feature.get("properties") or {}, where)}
        if inputs and values.get("status") in {*FAILED, "nodata", "skipped"}:
            continue
        yield _Row(where, values, _area(feature.get("geometry"), where))


def _area(geometry: object, where: str) -> Box | None:
    if geometry is None:
        return None
    try:
        shape = shapely.geometry.shape(cast(Any, geometry))
    except (ValueError, TypeError, KeyError, AttributeError, shapely.errors.ShapelyError) as error:
        raise InputError(f"{where}: broken geometry: {error}") from error
    if not shape.geom_type.endswith("Polygon") or shape.is_empty:
        raise InputError(f"{where}: its geometry is the part of the pair that it is about: draw a polygon, or null")
    west, south, east, north = shape.bounds
    return west, south, east, north


def _json_object(text: str, where: str) -> Mapping[str, Any]:
    try:
        return _mapping(json.loads(text), where)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not JSON: {error}") from error


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InputError(
            f'{where}: a record is an object, for example {{"pre": "a.tif", "post": "b.tif", "caption": ""}}'
        )
    return value


def _record(row: _Row, folder: Path, known: dict[Path, _Georeference | None]) -> PairRecord:
    where, values, area = row
    pre, post = (_image(values, date, folder, where) for date in ("pre", "post"))
    if pre == post:
        raise InputError(f"{where}: pre and post are the same file, {pre}")
    for image in (pre, post):
        if image not in known:
            known[image] = _georeference(image, where)
    placed, other = known[pre], known[post]
    if (placed is None) != (other is None):
        without = pre if placed is None else post
        raise InputError(f"{where}: {without} has no georeference but the other date has; give both one, or neither")
    if placed is None and area is not None:
        raise InputError(f"{where}: a geometry needs images with a georeference; {pre} has none: use null")
    box = placed.box if placed else None
    if area is not None and box is not None and not shapely.box(*area).intersects(shapely.box(*box)):
        raise InputError(f"{where}: its geometry lies beside {pre}; GeoJSON is in longitude and latitude")
    record = PairRecord(
        where=where,
        pre=pre,
        post=post,
        captions=_captions(values, where),
        status=_status(values, where),
        keywords=_keywords(values.get("keywords"), where),
        polygons=_polygons(values, folder, where, area or box, placed.crs if placed else None),
        place=str(values.get("place") or values.get("group") or "").strip(),
        box=box,
        area=area,
    )
    _refuse_contradictions(record)
    return record


def _image(values: Mapping[str, Any], date: str, folder: Path, where: str) -> Path:
    value = values.get(date)
    if not isinstance(value, str) or not value.strip():
        known = ", ".join(sorted(str(key) for key in values)[:8]) or "nothing"
        raise InputError(f"{where}: no {date}: give the path of that image (the record has {known})")
    # Paths stand relative to the file of records; those in run facts, to where the run was started.
    for path in (folder / value, Path(value)):
        if os.path.isfile(path):  # of a name that is too long Path.is_file makes an error
            return path
    raise InputError(f"{where}: {date} is {value}, but there is no file {folder / value}")


def _georeference(path: Path, where: str) -> _Georeference | None:
    """Where an image lies; None where it does not say so."""
    import math

    from rsccli.geo.raster import describe_raster, open_dataset, raster_errors

    try:
        with open_dataset(str(path)) as source, raster_errors(str(path), "read the header of"):
            if not source.crs or (source.transform.is_identity and not source.gcps[0]):
                return None
        info = describe_raster(path)
    except CrsError:
        return None
    except InputError as error:
        raise InputError(f"{where}: {error}") from error.__cause__
    box = info.lonlat_box
    if not all(math.isfinite(value) for value in box):
        raise InputError(f"{where}: {path} lies outside of its CRS; check its georeference with rsccli info")
    return _Georeference(box, info.crs)


def _captions(values: Mapping[str, Any], where: str) -> tuple[str, ...]:
    given = values.get("captions", values.get("caption"))
    if isinstance(given, str) and "captions" in values:
        # A cell of a table: a JSON list, or sentences between bars.
        given = _json_list(given, where) if given.lstrip().startswith("[") else given.split("|")
    sentences = [given] if isinstance(given, str) else list(given) if isinstance(given, list) else [given or ""]
    if not all(isinstance(sentence, str) for sentence in sentences):
        raise InputError(f"{where}: captions are sentences; found {sentences!r:.60}")
    return tuple(" ".join(sentence.split()) for sentence in sentences if sentence.strip())


def _json_list(text: str, where: str) -> list[Any]:
    try:
        return list(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: captions are not a JSON list: {error}") from error


def _status(values: Mapping[str, Any], where: str) -> CaptionStatus | None:
    given = values.get("status", values.get("label"))
    if given is None or str(given).strip() == "":
        return None
    status = _STATUS.get(str(given).strip().lower())
    if status is None:
        raise InputError(f"{where}: status {given!r} is not one of changed, unchanged, unsure")
    return status


def _keywords(given: object, where: str) -> tuple[str, ...] | None:
    if given is None:
        return None
    words = given.split(";") if isinstance(given, str) else given
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise InputError(f"{where}: keywords are a list, or joined by semicolons; found {given!r:.60}")
    return tuple(dict.fromkeys(word.strip().lower() for word in words if word.strip()))


def _polygons(
    values: Mapping[str, Any], folder: Path, where: str, box: Box | None, image_crs: str | None
) -> Polygons | None:
    given = values.get("polygons")
    if given is None:
        return None
    if isinstance(given, str) and not given.lstrip().startswith(("[", "{")):
        path = folder / given
        if not os.path.exists(path):
            raise InputError(f"{where}: polygons are in {given}, but there is no file {path}")
        return file_polygons(path, where, box)
    crs = values.get("polygons_crs")
    return inline_polygons(given, where, None if crs is None else str(crs), box, image_crs)


def _refuse_contradictions(record: PairRecord) -> None:
    drawn = record.polygons is not None and not record.polygons.geometry.is_empty
    if record.status == "unchanged" and (record.keywords or drawn):
        what = "polygons of changes" if drawn else f"keywords ({', '.join(record.keywords or ())})"
        raise InputError(f"{record.where}: it is unchanged but has {what}; correct one of the two")
    if not record.captions and record.status is None and record.keywords is None and record.polygons is None:
        raise InputError(
            f"{record.where}: nothing to learn from; give one of caption, captions, status, keywords, polygons"
        )


def _refuse_stray_polygons(records: list[PairRecord], path: Path) -> None:
    """One file of polygons serves many pairs, so it may miss some; not all of them."""
    drawn = [r for r in records if r.polygons is not None]
    if drawn and all(r.polygons is not None and r.polygons.geometry.is_empty and r.status == "changed" for r in drawn):
        raise InputError(f"{path}: no polygon meets any of its pairs, which are changed; check the polygons' CRS")


def _with_places(records: list[PairRecord], place_km: float) -> tuple[PairRecord, ...]:
    boxes = {i: r.area or r.box for i, r in enumerate(records) if not r.place and r.box is not None}
    names = dict(zip(boxes, places_of_boxes([box for box in boxes.values() if box], place_km), strict=True))
    return tuple(
        replace(record, place=record.place or names.get(i) or place_of_name(record.pre))
        for i, record in enumerate(records)
    )
