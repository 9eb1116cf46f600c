"""Wrong forms of right files: what a stranger, a bad disk or another program makes of them."""

from __future__ import annotations

import json
import random
from typing import Any

#: Values that readers did not expect at some time.
ODD: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**30, 0.5, -0.0, 1e308, "", " ", "x",
    "\x00", "\ud800", "\u202e", "\x1b[2J", "../../etc/passwd", "/etc/passwd", "/vsicurl/http://127.0.0.1:9/a.tif",
    "=1+1", "<script>", "1e999", "NaN", "é" * 40, "9" * 400, [], {}, [[]], [None], {"": None}, [1, 2], "2020-13-45",
    "EPSG:4326", "EPSG:0", "POLYGON EMPTY", "GEOMETRYCOLLECTION(POINT(0 0))", "POLYGON((0 0,1 1,nan 2,0 0))",
)  # fmt: skip
BYTES: tuple[bytes, ...] = (
    b"", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\x1e", b"\n", b"\r", b",", b";", b"\t", b'"', b"'", b"{", b"}", b"[",
    b"]" * 3, b"[" * 3000, b'{"a":' * 2000, b"NaN", b"Infinity", b"-", b"1e999", b"9" * 5000, b"null", b'"\\ud800"',
    b"\\", b"<", b"&", b"\xc3", b"\xf0\x9f\x98\x80", b"#", b"=", b"[caption]\n", b"= 1979-05-27T07:32:00Z\n",
    b"=1+1", b"0x10", b"1_0", b'"""', b"..", b"/", b"|",
)  # fmt: skip


def mutated(seed: bytes, rng: random.Random) -> bytes:
    """A file with one to six things wrong in it.

    Args:
        seed: a right file. rng: decides; the same state gives the same bytes.
    """
    if rng.random() < 0.6:
        changed = _in_json(seed, rng)
        if changed is not None:
            return changed
    data = bytearray(seed)
    for _ in range(rng.randint(1, 6)):
        _in_bytes(data, rng)
    return bytes(data)


def _in_bytes(data: bytearray, rng: random.Random) -> None:
    place = rng.randint(0, len(data))
    length = min(len(data) - place, rng.choice((1, 1, 2, 8, 60)))
    match rng.randint(0, 6):
        case 0:
            data[place : place + length] = b""
        case 1:
            data[place:place] = rng.choice(BYTES)
        case 2:
            data[place : place + length] = rng.choice(BYTES)
        case 3:
            if data:
                data[place - 1] ^= 1 << rng.randint(0, 7)
        case 4:
            data[place:place] = data[max(0, place - 200) : place]
        case 5:
            del data[place:]
        case _:
            data[place : place + length] = rng.randbytes(length)


def _in_json(seed: bytes, rng: random.Random) -> bytes | None:
    """One value of one JSON document or line exchanged, taken away or doubled; None where there is none."""
    lines = seed.split(b"\n")
    whole = _parsed(seed)
    if whole is not None:
        return _dumped(_changed(whole[0], rng))
    number = rng.randrange(len(lines))
    head = lines[number][:1] if lines[number][:1] == b"\x1e" else b""
    tail = b"," if lines[number].endswith(b",") else b""
    found = _parsed(lines[number].removeprefix(head).removesuffix(tail))
    if found is None or not isinstance(found[0], dict | list):
        return None
    lines[number] = head + _dumped(_changed(found[0], rng)) + tail
    return b"\n".join(lines)


def _parsed(data: bytes) -> tuple[Any] | None:
    try:
        return (json.loads(data),)
    except (ValueError, RecursionError):
        return None


def _dumped(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _changed(value: Any, rng: random.Random) -> Any:
    places: list[tuple[Any, Any]] = []
    _places(value, places)
    if not places:
        return rng.choice(ODD)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        holder, key = rng.choice(places)
        try:
            match rng.randint(0, 5):
                case 0:
                    del holder[key]
                case 1 if isinstance(holder, dict):
                    holder[str(rng.choice(ODD))[:40]] = holder[key]
                case 2:
                    holder[key] = [holder[key]]
                case _:
                    holder[key] = rng.choice(ODD)
        except (KeyError, IndexError):
            pass  # the place went with an earlier change
    return value


def _places(value: Any, found: list[tuple[Any, Any]]) -> None:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in items:
        found.append((value, key))
        _places(member, found)
