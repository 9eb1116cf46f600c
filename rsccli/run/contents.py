"""What a file that is named in an option holds, for specs: it may be edited between two runs."""

from __future__ import annotations

import hashlib
from pathlib import Path

from rsccli.geo.identity import identify

#: Larger files are told apart by size and time.
_MOST_HASHED_BYTES = 64 * 2**20


def name_and_content(name: str | None) -> str | None:
    """A name, with what its file holds where there is one."""
    if name is None or not Path(name).is_file():
        return name
    path = Path(name)
    if path.stat().st_size > _MOST_HASHED_BYTES:
        return f"{name} {identify(name)}"
    return f"{name} sha256={hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"
