"""What a user wants to be told of a run, as plain values that travel to workers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from rsccli.errors import UsageProblem
from rsccli.types import STATUSES

#: node_exporter reads no other.
SUFFIX = ".prom"


@dataclass(frozen=True)
class Observe:
    """Beside map and report, whose bytes it does not change.

    Attributes:
        metrics: write the figures of the run beside its output, see `metrics_path`.
        textfile: write them for Prometheus, again and again while the run works: a file, or a folder in which every
            run and every shard has a file of its own. None: do not.
    """

    metrics: bool = False
    textfile: Path | None = None

    def __post_init__(self) -> None:
        if self.textfile is None or self.textfile.is_dir():
            return
        if self.textfile.suffix != SUFFIX:
            raise UsageProblem(f"--metrics-textfile {self.textfile}: name a file that ends with {SUFFIX}, or a folder")
        if not self.textfile.parent.is_dir():
            raise UsageProblem(f"--metrics-textfile {self.textfile}: no such folder: {self.textfile.parent}")

    def refuse_stream(self, output: Path | None) -> None:
        """Metrics have their place beside an output.

        Raises:
            UsageProblem: they are wanted, and the output is a stream.
        """
        if self.metrics and output is None:
            raise UsageProblem("--metrics stands beside a map in a file: name one with -o FILE")

    def textfile_of(self, output: Path | None, target: Path | None) -> Path | None:
        """Where the figures of one run go.

        Args:
            output: of the run, None for a stream. target: what this process writes: the output, or a shard of it.
        """
        if self.textfile is None or not self.textfile.is_dir():
            return self.textfile
        # Outputs of one name in two folders are two runs.
        place = hashlib.sha256(str((target or Path("-")).absolute()).encode("utf-8", "replace")).hexdigest()[:8]
        parts = ["rsccli", (output or Path("stream")).name, place]
        if target is not None and output is not None and target.name != output.name:
            parts.insert(2, target.name.removesuffix(".rsccli-shard"))
        return self.textfile / f"{'_'.join(parts)}{SUFFIX}"


@dataclass(frozen=True)
class Watched:
    """The run that is told of.

    Attributes:
        output: file that the user named, or None for a stream. run: hash of all that decides the result.
        observe: what is wanted. statuses: what may become of a tile.
    """

    output: Path | None
    run: str
    observe: Observe
    statuses: tuple[str, ...] = STATUSES


def metrics_path(output: Path) -> Path:
    """``out.geojson.metrics.json``; of a shard, beside the file of the shard."""
    return output.with_name(f"{output.name}.metrics.json")
