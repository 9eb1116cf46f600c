"""Whether a file of codes is what faiss wrote for these vectors: checked field by field before faiss reads it.

faiss reads a file as it stands, sizes and all, and a file can say what kind of index it is to become. So only the one
kind that `rsccli.search.vectors` writes, with the sizes that follow from the vectors, is given to it.
"""

from __future__ import annotations

import struct
from pathlib import Path

#: Kind; width, rows, two numbers that mean nothing, trained, metric; width, parts, bits of the quantiser, its floats.
_HEAD = struct.Struct("<4siqqqBiQQQQ")
#: Implementation, rows at once, queries at once, rows rounded up, parts rounded up, bytes of codes.
_TAIL = struct.Struct("<iiiQQQ")
_AT_ONCE = 32


def codes_fit(path: Path, width: int, rows: int) -> bool:
    """Whether a file holds codes of so many rows of so many numbers, and nothing else.

    Args:
        path: of the file. width: of the vectors, even. rows: of the vectors.
    """
    parts = width // 2
    wide, tall = parts + parts % 2, -(-rows // _AT_ONCE) * _AT_ONCE
    room = tall * wide // 2
    tail = _HEAD.size + 4 * 16 * width
    try:
        if path.stat().st_size != tail + _TAIL.size + room:
            return False
        with path.open("rb") as file:
            kind, columns, count, _, _, trained, metric, *quantiser = _HEAD.unpack(file.read(_HEAD.size))
            file.seek(tail)
            told = _TAIL.unpack(file.read(_TAIL.size))
    except (OSError, struct.error):
        return False
    return (
        (kind, columns, count, trained, metric) == (b"IPfs", width, rows, 1, 0)
        and quantiser == [width, parts, 4, 16 * width]
        and told == (0, _AT_ONCE, 0, tall, wide, room)
    )
