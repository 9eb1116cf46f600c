"""What was wrong with an input of a data set, file by file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Problem:
    """One finding.

    Attributes:
        file: which one, as the source names it.
        problem: what is wrong, in words.
        left_out: whether its pair is missing from the data set; else it is in there, and this is worth knowing.
    """

    file: str
    problem: str
    left_out: bool = True

    def to_json(self) -> dict[str, Any]:
        """As it stands in ``problems.jsonl``."""
        return asdict(self)


def problem_from_json(value: Mapping[str, Any]) -> Problem:
    """Read what `Problem.to_json` made."""
    return Problem(str(value["file"]), str(value["problem"]), bool(value["left_out"]))


def first_of(problems: Sequence[Problem], at_most: int = 5) -> str:
    """The first ones for a message, one a line."""
    lines = [f"  {each.file}: {each.problem}" for each in problems[:at_most]]
    if len(problems) > at_most:
        lines.append(f"  and {len(problems) - at_most} more")
    return "\n".join(lines)
