"""A stage for renderers with little textures of its own, and a scene to draw into."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rsccli.datasets.canvas import CROWN, F32, PATCH, Stage, Textures

SIDE = 128


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


def suburb() -> F32:
    """Grey streets crossing pale yards, with bright roofs and rough dark crowns."""
    rng = np.random.default_rng(5)
    image = np.broadcast_to(np.array([150, 134, 112], np.float32), (SIDE, SIDE, 3)).copy()
    image[:, 58:70] = image[58:70] = (104, 104, 106)
    for top, left in roofs():
        image[top : top + 16, left : left + 16] = (196, 186, 180)
    for top, left in crowns():
        image[top : top + 10, left : left + 10] = np.array([38, 60, 34]) + rng.normal(0, 14, (10, 10, 1))
    return np.clip(image + rng.normal(0, 2, (SIDE, SIDE, 1)), 1, 250).astype(np.float32)


def roofs() -> list[tuple[int, int]]:
    """Top and left of roofs 16 px wide."""
    return [(12, 12), (12, 90), (90, 12), (90, 90)]


def crowns() -> list[tuple[int, int]]:
    """Top and left of crowns 10 px wide."""
    return [(38, 36), (38, 100), (76, 36), (110, 40)]
