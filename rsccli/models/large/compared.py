"""What was compared with PyTorch for each family, as a run of ``make parity`` wrote it down."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

TABLE = Path(__file__).resolve().parent / "assets" / "parity.json"


@dataclass(frozen=True)
class ComparedRow:
    """One checkpoint that was exported and compared; random weights in the layout of a published one.

    Attributes:
        family: its name. layout: whose layout. width: ``small``, or ``real`` (published width, two layers).
        greedy, beams: captions with the tokens of ``generate()``, of how many. tokens: compared in both.
        logits: largest difference of logits over the largest logit, at export. date: of the run.
    """

    family: str
    layout: str
    width: str
    greedy: tuple[int, int]
    beams: tuple[int, int]
    tokens: int
    logits: float
    date: str

    @property
    def words(self) -> str:
        """The comparison in words."""
        parts = [f"{equal} of {of} captions greedily" for equal, of in (self.greedy,) if of]
        parts += [f"{equal} of {of} with 4 beams" for equal, of in (self.beams,) if of]
        return f"{self.width} width: {', '.join(parts)} ({self.tokens} tokens)"


@lru_cache(maxsize=1)
def compared_rows() -> tuple[ComparedRow, ...]:
    """Every row of the table, as it was written."""
    document = json.loads(TABLE.read_text(encoding="utf-8"))
    return tuple(
        ComparedRow(**{**row, "greedy": tuple(row["greedy"]), "beams": tuple(row["beams"])}) for row in document["rows"]
    )


def versions() -> dict[str, str]:
    """Libraries of the run."""
    found: dict[str, str] = json.loads(TABLE.read_text(encoding="utf-8"))["versions"]
    return found
