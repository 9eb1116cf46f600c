"""The file of a finished shard: all that a merge needs, so that it needs neither the model nor the inputs.

Layout: a line with the head; then the tiles as lines of a journal, by row and column; then a line with their number and
the SHA-256 of all bytes before it. A file that was cut, or changed, does not pass.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, unquote

import numpy as np
import orjson

from rsccli.errors import InputError, UsageProblem
from rsccli.geo.raster import RasterOptions
from rsccli.geo.tiles import TilePlan, plan_tiles
from rsccli.output.facts import facts_from_json, facts_to_json, sensible
from rsccli.output.text import json_bytes
from rsccli.output.writers.atomic import replacing
from rsccli.run.journal import record_line, record_of
from rsccli.run.shard.name import Shard
from rsccli.types import FAILED, STATUSES, Bool, RunFacts, TileRecord

FORMAT = 1
#: The head holds the run's facts and, of an area of interest, one bit a tile: 64 MB are room for 500 million tiles.
MOST_HEAD_BYTES = 64 * 2**20
#: More tiles than any run has.
MOST_TILES = 10**9
_TAIL_BYTES = 512
_AT_ONCE_BYTES = 2**20


@dataclass(frozen=True, eq=False)
class ShardHead:
    """What a shard says of its run and of itself.

    Attributes:
        shard: which part. spec: all that decides the result of the run, as JSON values. hash: of it.
        blocks: superblocks of this part, ascending. wanted: see ``TilePlan``. facts: of the run.
        classes: of the captioner's masks, see ``CaptionerInfo``. masks: whether the tiles have masks.
        reading: what was said of both dates, to read them again for pictures. date: see ``newest_date``.
    """

    shard: Shard
    spec: dict[str, Any]
    hash: str
    blocks: tuple[int, ...]
    wanted: Bool | None
    facts: RunFacts
    classes: tuple[str, ...]
    masks: bool
    reading: tuple[RasterOptions, RasterOptions]
    date: str

    def plan(self) -> TilePlan:
        """All tiles of the run."""
        facts, (rows, cols) = self.facts, self.spec["plan"]["superblock"]
        edge = cast(Any, facts.edge)
        plan = plan_tiles(facts.grid, facts.tile_size, stride=facts.stride, edge=edge)
        return replace(plan, block_rows=int(rows), block_cols=int(cols), wanted=self.wanted)


@dataclass(frozen=True)
class ShardEnd:
    """What a whole shard holds.

    Attributes:
        tiles: how many. failed: of them, tiles that could not be read or captioned.
    """

    tiles: int
    failed: int


def write_shard(path: Path, head: ShardHead, records: Iterable[TileRecord]) -> ShardEnd:
    """Write a finished shard, whole or not at all.

    Args:
        records: by row and column.

    Raises:
        OutputError: it cannot be written.
    """
    digest = hashlib.sha256()
    tiles = failed = 0
    with replacing(path) as part, part.open("wb") as out:

        def put(line: bytes) -> None:
            out.write(line)
            digest.update(line)

        put(json_bytes(_head_json(head)) + b"\n")
        for record in records:
            put(record_line(record) + b"\n")
            tiles += 1
            failed += record.status in FAILED
        out.write(orjson.dumps({"end": tiles, "failed": failed, "sha256": digest.hexdigest()}) + b"\n")
    return ShardEnd(tiles, failed)


def read_head(path: Path) -> ShardHead:
    """The head of a shard.

    Raises:
        InputError: no such file, or no shard of this version.
    """
    try:
        with path.open("rb") as file:
            line = file.readline(MOST_HEAD_BYTES)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        value = orjson.loads(line)
        known = value["rsccli_shard"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise InputError(f"{path}: no shard of a run: rsccli caption --shard i/n writes them") from None
    if known != FORMAT:
        raise InputError(
            f"{path}: a shard of another version ({str(known)[:20]}): merge it with the rsccli that made it"
        )
    try:
        return _head(value, str(path))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, zlib.error, UsageProblem) as error:
        raise InputError(f"{path}: its head is damaged ({error}). Run this shard again") from error


def check_shard(path: Path) -> ShardEnd:
    """Read a shard once to its end; what was cut or changed is noticed.

    Raises:
        InputError: it is not what a finished shard wrote.
    """
    digest = hashlib.sha256()
    lines = 0
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL_BYTES))
            tail = file.read()
            last = tail[tail.rfind(b"\n", 0, -1) + 1 :]
            file.seek(0)
            left = size - len(last)
            while left > 0 and (part := file.read(min(left, _AT_ONCE_BYTES))):
                digest.update(part)
                lines += part.count(b"\n")
                left -= len(part)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        end = orjson.loads(last)
        told = ShardEnd(int(end["end"]), int(end["failed"]))
        whole = last.endswith(b"\n") and end["sha256"] == digest.hexdigest() and told.tiles == lines - 1
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        whole = False
    if not whole:
        raise InputError(
            f"{path}: it is cut or was changed: its end does not match what it holds. Copy it again, or run this shard "
            "again"
        )
    return told


def shard_records(path: Path, plan: TilePlan, at_once: int = _AT_ONCE_BYTES) -> Iterator[TileRecord]:
    """The tiles of a shard, by row and column.

    The file is open only while a piece of it is read: there may be more shards than a process may have open files.

    Args:
        at_once: bytes of a piece.

    Raises:
        InputError: a line is no tile of the plan, or out of order.
    """
    before = (-1, -1)
    for line in _record_lines(path, at_once):
        record = _checked(line, plan, path)
        if (record.row, record.col) <= before:
            raise InputError(f"{path}: tile {record.tile_id} is there twice or out of order. Run this shard again")
        before = (record.row, record.col)
        yield record


def _record_lines(path: Path, at_once: int) -> Iterator[bytes]:
    place = 0
    started = False
    while True:
        try:
            with path.open("rb") as file:
                if not started:
                    place, started = len(file.readline(MOST_HEAD_BYTES)), True
                file.seek(place)
                lines = file.readlines(at_once)
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
        for line in lines:
            if line.startswith(b'{"end"'):
                return
            yield line
        if not lines:
            return
        place += sum(map(len, lines))


def _checked(line: bytes, plan: TilePlan, path: Path) -> TileRecord:
    try:
        record = record_of(orjson.loads(line))
        row, col = record.row, record.col
        good = (
            type(row) is int
            and type(col) is int
            and 0 <= row < plan.rows
            and 0 <= col < plan.cols
            and record.tile_id == f"r{row:05d}c{col:05d}"
            and record.status in STATUSES
        )
    except (orjson.JSONDecodeError, KeyError, TypeError):
        good = False
    if not good:
        raise InputError(f"{path}: a line is no tile of this run: {line[:60]!r}. Run this shard again")
    return record


def _head_json(head: ShardHead) -> dict[str, Any]:
    wanted = None
    if head.wanted is not None:
        wanted = base64.b64encode(zlib.compress(np.packbits(head.wanted).tobytes(), 9)).decode("ascii")
    return {
        "rsccli_shard": FORMAT,
        "hash": head.hash,
        "shard": [head.shard.index, head.shard.count],
        "spec": head.spec,
        "facts": facts_to_json(head.facts),
        # Names of files need not be UTF-8.
        "paths": [quote(info.path, errors="surrogateescape") for info in (head.facts.pre, head.facts.post)],
        "reading": [_reading_json(options) for options in head.reading],
        "classes": list(head.classes),
        "masks": head.masks,
        "date": head.date,
        "wanted": wanted,
        "blocks": list(head.blocks),
    }


def _head(value: dict[str, Any], where: str) -> ShardHead:
    index, of = value["shard"]
    facts = sensible(facts_from_json(value["facts"], where), where)
    pre, post = (unquote(path, errors="surrogateescape") for path in value["paths"])
    facts = replace(
        facts,
        pre=replace(facts.pre, path=pre, name=_name(pre)),
        post=replace(facts.post, path=post, name=_name(post)),
    )
    plan = plan_tiles(facts.grid, facts.tile_size, stride=facts.stride, edge=cast(Any, facts.edge))
    if plan.rows * plan.cols > MOST_TILES:
        raise ValueError(f"{plan.rows * plan.cols} tiles")
    first, second = (_reading(options) for options in value["reading"])
    head = ShardHead(
        shard=Shard(int(of), int(index)),
        spec=dict(value["spec"]),
        hash=str(value["hash"]),
        blocks=tuple(int(block) for block in value["blocks"]),
        wanted=_wanted(value["wanted"], plan),
        facts=facts,
        classes=tuple(str(name) for name in value["classes"]),
        masks=bool(value["masks"]),
        reading=(first, second),
        date=str(value["date"]),
    )
    plan = head.plan()
    if min(plan.block_rows, plan.block_cols) < 1 or list(head.blocks) != sorted({*head.blocks}):
        raise ValueError("superblocks")
    if head.blocks and not 0 <= head.blocks[0] <= head.blocks[-1] < plan.block_count:
        raise ValueError(f"superblocks beyond {plan.block_count}")
    return head


def _name(path: str) -> str:
    return path.rstrip("/").rsplit("/", 1)[-1]


def _wanted(text: str | None, plan: TilePlan) -> Bool | None:
    if text is None:
        return None
    tiles = plan.rows * plan.cols
    # No more than what these tiles take: a few bytes may say that they are gigabytes.
    packed = zlib.decompressobj().decompress(base64.b64decode(text), -(-tiles // 8) + 1)
    if len(packed) != -(-tiles // 8):
        raise ValueError("wanted tiles")
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), count=tiles)
    return bits.astype(bool).reshape(plan.rows, plan.cols)


def _reading_json(options: RasterOptions) -> dict[str, Any]:
    return {
        "bands": None if options.bands is None else list(options.bands),
        # JSON has no NaN.
        "nodata": None if options.nodata is None else repr(options.nodata),
        "crs": options.crs,
        "rpc_height_m": options.rpc_height_m,
        "datetime": options.datetime,
    }


def _reading(value: dict[str, Any]) -> RasterOptions:
    bands, nodata, height = value["bands"], value["nodata"], value["rpc_height_m"]
    return RasterOptions(
        bands=None if bands is None else tuple(int(band) for band in bands),
        nodata=None if nodata is None else float(nodata),
        crs=None if value["crs"] is None else str(value["crs"]),
        rpc_height_m=None if height is None else float(height),
        datetime=None if value["datetime"] is None else str(value["datetime"]),
    )
