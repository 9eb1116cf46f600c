"""What tells a checkpoint from another."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from rsccli.models.large.checkpoint import Checkpoint

#: Files of a checkpoint that decide what it says.
KINDS = ("*.json", "*.jinja", "*.model", "*.safetensors", "*.txt")


def revision_of(checkpoint: Checkpoint) -> str:
    """What tells a checkpoint from another: sha256 of its weights, configuration, tokenizer and templates.

    A folder of the hub's cache is named after the commit, which is then the revision.
    """
    name = checkpoint.folder.name
    if len(name) == 40 and all(each in "0123456789abcdef" for each in name):
        return name
    digest = hashlib.sha256()
    for path in sorted(each for kind in KINDS for each in checkpoint.folder.glob(kind)):
        stat = path.stat()
        digest.update(path.name.encode() + b"\0" + _digest(path, stat.st_size, stat.st_mtime_ns))
    return digest.hexdigest()


@lru_cache(maxsize=256)
def _digest(path: Path, size: int, mtime_ns: int) -> bytes:
    """sha256 of a file; read once as long as it stays the same."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()
