"""The pairs of a split as floors see them: what people wrote, and the true flag."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rsccli.evaluation.metrics.base import Indices

# Two of LEVIR-CC's five no-change sentences, and one of its most frequent sentences of change.
SAME_AS_BEFORE = "the scene is the same as before"
NO_DIFFERENCE = "there is no difference"
MANY_HOUSES = "many houses are built along the road"


@dataclass(frozen=True, eq=False)
class Split:
    """The evaluated pairs, or those of a training split.

    Attributes:
        references: captions of each pair, as written. changed: (N,) the true flag.
    """

    references: tuple[tuple[str, ...], ...]
    changed: npt.NDArray[np.bool_]

    def only(self, indices: Indices) -> Split:
        """Some of the pairs."""
        return Split(tuple(self.references[i] for i in indices), self.changed[indices])

    def changed_only(self) -> Split:
        """The changed pairs."""
        return self.only(np.flatnonzero(self.changed))
