"""Which file is this? Identity for resuming, and a cheap check that it was not replaced during a run."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from collections.abc import Mapping

from rsccli.errors import InputChangedError, InputError

_REMOTE_SCHEMES = ("http://", "https://", "s3://", "gs://", "az://", "ftp://")
_REMOTE_VSI = ("/vsicurl", "/vsis3", "/vsigs", "/vsiaz", "/vsioss", "/vsiswift", "/vsihdfs", "/vsiadls")


def is_remote(path: str) -> bool:
    """Whether reading it goes over a network."""
    return path.startswith(_REMOTE_SCHEMES) or path.startswith(_REMOTE_VSI)


def local_path(path: str) -> str | None:
    """The file on this machine behind a path, or None for remote and virtual ones."""
    if is_remote(path) or path.startswith("/vsi"):
        return None
    return path.removeprefix("file://")


def identify(path: str) -> str:
    """A text that changes when the content is replaced: size and time of writing, or a server's ETag.

    It holds nothing of the machine (no device, no inode), so that a run can be resumed from another node.
    """
    local = local_path(path)
    if local is not None:
        try:
            stat = os.stat(local)
        except OSError as error:
            raise InputError(f"{path}: {error.strerror or error}") from error
        return _identity(stat.st_size, stat.st_mtime_ns)
    url = path.removeprefix("/vsicurl/")
    if url.startswith(("http://", "https://")):
        request = urllib.request.Request(url, method="HEAD")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                head = answer.headers
                return " ".join(
                    f"{key}={head[key]}" for key in ("Content-Length", "ETag", "Last-Modified") if head.get(key)
                )
        except (urllib.error.URLError, OSError) as error:
            # GDAL may still read it (a signed URL that allows GET only): then its address has to do.
            if isinstance(error, urllib.error.HTTPError) and error.code in (403, 405, 501):
                return f"url={url.split('?', 1)[0]}"
            raise InputError(f"{path}: {error}") from error
    return f"path={path}"


def _identity(size: int, mtime_ns: int) -> str:
    return f"size={size} mtime_ns={mtime_ns}"


class Watch:
    """Notices that a file was replaced or rewritten: device, inode, size and time, once per superblock.

    Args:
        identities: of each path, as ``identify`` gave it when the file was described: what happened since then (a
            large model may take minutes to load) is noticed, too.

    Raises:
        InputChangedError: a file is gone, or no longer what it was.
    """

    def __init__(self, identities: Mapping[str, str]) -> None:
        self._local = {p: local for p in identities if (local := local_path(p)) is not None}
        self._seen = {p: self._stat(p, local) for p, local in self._local.items()}
        for path, (_, _, size, mtime_ns) in self._seen.items():
            if identities[path] != _identity(size, mtime_ns):
                raise _changed(path)

    @staticmethod
    def _stat(path: str, local: str) -> tuple[int, int, int, int]:
        try:
            s = os.stat(local)
        except OSError as error:
            raise InputChangedError(
                f"{path}: it has vanished ({error.strerror}). The journal is kept: put the file back and run the same "
                "command again"
            ) from error
        return s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns

    def check(self) -> None:
        """Raise ``InputChangedError`` when one of the files is not what it was."""
        for path, local in self._local.items():
            if self._stat(path, local) != self._seen[path]:
                raise _changed(path)


def _changed(path: str) -> InputChangedError:
    return InputChangedError(
        f"{path}: it was replaced or rewritten while it was being read. What is finished was made from the old content "
        "and is kept: put the old file back, with its time of writing (cp -p), and run the same command again, or "
        "start afresh with --no-resume"
    )
