"""Whether an index still is of the map and the images that it was made from."""

from __future__ import annotations

import hashlib
from pathlib import Path

from rsccli.errors import InputChangedError, InputError
from rsccli.geo.identity import identify, is_remote
from rsccli.search.layout import IndexFacts, Source


def source_of(path: Path) -> Source:
    """A map as it is now.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        stat = path.stat()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}; name an output of rsccli caption") from error
    return Source(str(path.absolute()), stat.st_size, stat.st_mtime_ns, digest)


def source_path(folder: Path, facts: IndexFacts) -> Path | None:
    """Where the map of an index is now: beside the index, or where it was; None where it is gone."""
    given = Path(facts.source.path)
    # Moved together with its index, a map still lies beside it.
    return next((path for path in (folder.absolute().parent / given.name, given) if path.is_file()), None)


def check_fresh(folder: Path, facts: IndexFacts) -> None:
    """Refuse an index whose map or images were changed since. What is gone cannot be asked: the index goes without.

    Raises:
        InputChangedError: says what changed, and what to type.
    """
    path = source_path(folder, facts)
    if path is not None and not _same(path, facts.source):
        raise InputChangedError(
            f"{folder}: {path} is no longer the map that was indexed: run rsccli index {path} -o {folder} again, or "
            "add --allow-stale to search it as it was"
        )
    for name, identity in facts.inputs:
        if is_remote(name) or not Path(name).is_file():
            continue
        if identify(name) != identity:
            raise InputChangedError(
                f"{folder}: {name} is no longer the image that was indexed: caption it and run rsccli index again, or "
                "add --allow-stale to search the index as it was"
            )


def _same(path: Path, source: Source) -> bool:
    stat = path.stat()
    if stat.st_size != source.size:
        return False
    # A copy has another time of writing: only then the content is read.
    return stat.st_mtime_ns == source.mtime_ns or source_of(path).sha256 == source.sha256
