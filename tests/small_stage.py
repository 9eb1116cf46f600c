"""A stage for renderers with little textures of its own."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rsccli.datasets.canvas import CROWN, PATCH, Stage, Textures


def make_stage(gsd_m: float = 0.8) -> Stage:
    """Noisy patches of one colour a kind, shadows to the lower right."""
    rng = np.random.default_rng(11)

    def patches(colour: tuple[int, int, int], side: int) -> npt.NDArray[np.uint8]:
        noise = rng.normal(0, 5, (4, side, side, 1))
        return np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)

    textures = Textures(
        soil=patches((150, 126, 98), PATCH),
        grass=patches((84, 112, 64), PATCH),
        asphalt=patches((92, 92, 94), PATCH),
        crowns=patches((42, 62, 36), CROWN),
    )
    return Stage(gsd_m, (0.6, 0.8), np.ones(3, np.float32), textures)
