"""What a writer is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from rsccli.output.features import Feature
from rsccli.types import RunFacts

# Where no date of writing is given: two runs over the same input must give the same bytes.
UNDATED = "1970-01-01T00:00:00.000Z"
LAYER = "tiles"


class Writer(Protocol):
    """One output format."""

    name: str

    def write(self, path: Path, features: Iterator[Feature], facts: RunFacts, date: str) -> None:
        """Write all features to a new file at ``path``."""
