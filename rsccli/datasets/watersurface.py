"""What water looks like from above: tones, currents, ripples, glint."""

from __future__ import annotations

import numpy as np

from rsccli.datasets.canvas import (
    F32,
    Rng,
    Stage,
    noise,
    uniform,
)
from rsccli.datasets.regions import (
    log_uniform,
    muted,
    oriented_noise,
)

# Round numbers for kinds of water, red, green, blue in counts of a middling scene.
CLEAR = np.array(
    [[42, 52, 56], [30, 40, 46], [58, 74, 66], [70, 92, 92], [26, 30, 30], [64, 78, 60], [88, 104, 84], [48, 66, 84]],
    np.float32,
)
GREEN = np.array([[66, 84, 58], [84, 100, 64], [50, 66, 44], [92, 104, 78], [72, 86, 70]], np.float32)
MUDDY = np.array(
    [
        [152, 132, 98],
        [140, 124, 98],
        [122, 108, 84],
        [106, 98, 78],
        [92, 86, 68],
        [78, 74, 60],
        [126, 102, 78],
        [118, 106, 90],
        [130, 120, 100],
    ],
    np.float32,
)
SILVER = np.array([[130, 132, 130], [150, 152, 150], [112, 116, 114], [96, 100, 100]], np.float32)


BRIGHTEST = 178.0


def surface(rng: Rng, rows: int, cols: int, stage: Stage, tones: F32, spread: float = 7.0) -> F32:
    """A water surface, float32 (H, W, 3): one colour, currents, ripples along the wind, perhaps glint.

    Args:
        tones: (n, 3) colours to choose from. spread: deviation from the one chosen, counts.
    """
    colour = tones[int(rng.integers(len(tones)))]
    if rng.random() < 0.5:
        other = tones[int(rng.integers(len(tones)))]
        share = uniform(rng, 0.0, 1.0)
        colour = colour * share + other * (1.0 - share)
    gain = stage.gain if rng.random() < 0.75 else np.float32(uniform(rng, 0.75, 1.2))
    colour = (colour + rng.normal(0, 0.3 * spread, 3) + rng.normal(0, spread)) * gain
    colour = muted(colour.astype(np.float32), rng)
    # Algae never make a flood as green as a lawn.
    colour[1] = min(colour[1], 1.13 * float(colour[[0, 2]].mean()))
    light = 1.0 + log_uniform(rng, 0.008, 0.1) * noise(rng, rows, cols, stage.px(uniform(rng, 15.0, 60.0)))
    if rng.random() < 0.4:
        length = max(8.0, stage.px(uniform(rng, 20.0, 80.0)))
        light = light + log_uniform(rng, 0.01, 0.07) * oriented_noise(rng, rows, cols, length, 0.15 * length)
    if rng.random() < 0.7:
        short = max(1.2, stage.px(uniform(rng, 0.8, 2.0)))
        light = light + log_uniform(rng, 0.006, 0.06) * oriented_noise(rng, rows, cols, 3.0 * short, short)
    colour = colour * min(1.0, BRIGHTEST / float(colour.max()))
    paint = colour * light[..., None]
    if rng.random() < 0.25:
        glint = np.clip(noise(rng, rows, cols, 0.7 * cols), 0, 2) * uniform(rng, 5.0, 30.0)
        paint = paint + (glint * (1.0 + 0.2 * rng.standard_normal((rows, cols)).astype(np.float32)))[..., None]
    grain = rng.normal(0, log_uniform(rng, 0.3, 3.0), (rows, cols)).astype(np.float32)
    water: F32 = np.clip(paint + grain[..., None], 4, 245).astype(np.float32)
    return water


def any_tones(rng: Rng) -> F32:
    """The tones of one kind of standing water, (n, 3)."""
    choice = rng.random()
    tones: F32 = CLEAR if choice < 0.55 else GREEN if choice < 0.72 else MUDDY if choice < 0.9 else SILVER
    return tones
