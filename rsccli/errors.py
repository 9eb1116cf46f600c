"""One tree of errors; every class carries the exit code that the command line leaves with.

Exit codes: 0 done; 1 a bug; 2 usage; 3 input; 4 model or device; 5 finished with failed tiles;
75 stopped by a signal at a safe point (run the same command again to resume).

A message says what is wrong, where, and what to type next.
"""

from __future__ import annotations


class RsccliError(Exception):
    """Base of every error that rsccli raises on purpose."""

    exit_code = 1


class UsageProblem(RsccliError):
    """Options that contradict each other or a value outside of its range."""

    exit_code = 2


class InputError(RsccliError):
    """A raster or vector input that cannot be used as asked."""

    exit_code = 3


class NoOverlapError(InputError):
    """The two images show different places."""


class CrsError(InputError):
    """A coordinate reference system is missing, unknown, or used outside of its validity."""


class RasterReadError(InputError):
    """Pixels could not be read: truncated file, damaged block, vanished input."""


class InputChangedError(InputError):
    """An input was replaced or rewritten while it was being read."""


class OutputError(InputError):
    """The output cannot be written: unwritable folder, full disk, file in the way."""


class JournalMismatchError(InputError):
    """The journal beside the output belongs to another input, model or option."""


class ModelError(RsccliError):
    """A model bundle or device that cannot be used as asked."""

    exit_code = 4


class BundleError(ModelError):
    """A bundle that is partial, damaged or of an unknown format."""


class OutOfMemoryError(ModelError):
    """A batch that does not fit into the memory of the device; a smaller one may."""


class DeviceError(ModelError):
    """The device that was asked for is not the one that would run."""


class WorkerError(RsccliError):
    """Workers of a scheduler that cannot be had, or that died again and again."""

    exit_code = 4


class FailedTilesError(RsccliError):
    """The run finished and the output is whole, but some tiles, pairs or files could not be used."""

    exit_code = 5


class StoppedError(RsccliError):
    """A signal stopped the run at a safe point; the journal resumes it."""

    exit_code = 75
