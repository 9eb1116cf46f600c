"""A file that appears whole or not at all, and errors of writing as messages with a way out."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rsccli.errors import OutputError
from rsccli.output.features import Feature


class Tap:
    """Passes features on, counts them, and remembers what their source raised.

    Arrow and GDAL turn an exception of the source into one of their own: the true one is kept here.
    """

    def __init__(self, features: Iterable[Feature]) -> None:
        self._source = iter(features)
        self.count = 0
        self.error: BaseException | None = None

    def __iter__(self) -> Iterator[Feature]:
        return self

    def __next__(self) -> Feature:
        try:
            feature = next(self._source)
        except StopIteration:
            raise
        except BaseException as error:
            self.error = error
            raise
        self.count += 1
        return feature


@contextmanager
def replacing(path: Path, source: Tap | None = None) -> Iterator[Path]:
    """A path to write to; on success the file is synced and moved to ``path``, else nothing is left.

    Raises:
        OutputError: the file could not be written (disk full, folder unwritable, file in the way).
    """
    # A folder of its own: drivers put journals and temporary files beside what they write. The name is
    # fixed, so that what a killed run left is cleared away by the next.
    folder = path.parent / f".{path.name}.part"
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        yield folder / path.name
        sync(folder / path.name)
        os.replace(folder / path.name, path)
        sync(path.parent)
    except (OSError, RuntimeError, ValueError) as error:
        # RuntimeError and ValueError are the bases of what pyogrio and pyarrow raise.
        if source is not None and source.error is not None:
            raise source.error from None
        raise OutputError(_message(path, error)) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sync(path: Path) -> None:
    """Bring a file or a folder's entries to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _message(path: Path, error: BaseException) -> str:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error).strip() or "failed"
    return (
        f"cannot write {path}: {reason}; free space there or name another place with -o, then run the same "
        "command again"
    )
