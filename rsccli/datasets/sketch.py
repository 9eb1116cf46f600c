"""Drawing built things into a scene: filled shapes, strips, shadows and surfaces, in the light that is there.

Shapes touch only the pixels around them, so a scene of forty houses costs a few milliseconds.
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from rsccli.datasets.canvas import F32, Rendered, Rng, Stage, noise, rough_noise, texture_fill, uniform

F64 = npt.NDArray[np.float64]
Window = tuple[slice, slice]
Surface = Literal["soil", "grass", "asphalt", "concrete", "flat", "own"]
PALE = np.array([[198, 192, 182], [178, 172, 162], [214, 208, 196], [160, 156, 150]], np.float32)
EARTH = np.array([[168, 146, 118], [150, 134, 112], [186, 168, 142], [136, 116, 92], [190, 180, 164]], np.float32)
GROUNDS = {
    "soil": EARTH,
    "grass": np.array([[78, 96, 62], [96, 108, 70], [64, 84, 56], [112, 116, 84]], np.float32),
    "asphalt": np.array([[84, 84, 86], [104, 104, 105], [122, 121, 119], [68, 69, 72]], np.float32),
}
# Larger shapes are smoothed by OpenCV, whose smoothing makes small ones too fat.
SUPERSAMPLED_PX = 40


def heading(angle: float) -> tuple[F64, F64]:
    """Unit vectors (2,) along and across an angle in radians."""
    along = np.array([np.cos(angle), np.sin(angle)])
    return along, np.array([-along[1], along[0]])


def ribbon(points: F64, width: float) -> F64:
    """Outline (2n, 2) of a strip of a width in pixels along a line (n, 2)."""
    step = np.gradient(points, axis=0)
    step /= np.maximum(np.hypot(step[:, 0], step[:, 1]), 1e-6)[:, None]
    side = np.stack([-step[:, 1], step[:, 0]], 1) * (width / 2)
    outline: F64 = np.concatenate([points + side, (points - side)[::-1]])
    return outline


class Sketch:
    """An image that is being drawn on.

    Attributes:
        image: float32 (H, W, 3), the drawing so far. before: the image it began with.
        changed: float32 (H, W), coverage 0-1 of what counts as changed. rows, cols: H and W.
        rng, stage: as given. grain: float32 (H, W), fine noise of deviation about 1 for all surfaces.
        shade: brightness left in shadow, 0-1. stretch: length of shadows against the height of things.
        relief: contrast between slopes of a roof, 0-1.
    """

    def __init__(self, image: F32, rng: Rng, stage: Stage) -> None:
        """Start on a copy of an image."""
        self.image, self.before = image.copy(), image
        self.rows, self.cols = image.shape[:2]
        self.changed = np.zeros((self.rows, self.cols), np.float32)
        self.rng, self.stage = rng, stage
        self.grain = noise(rng, self.rows, self.cols, uniform(rng, 1.0, 2.2))
        self.shade, self.stretch = uniform(rng, 0.38, 0.68), uniform(rng, 0.35, 1.25)
        self.relief = uniform(rng, 0.05, 0.24)
        self._surfaces: dict[str, F32] = {}

    def cover(self, points: F64) -> tuple[Window, F32] | None:
        """Window and coverage 0-1 of a polygon; None outside of the image."""
        left, top = np.floor(points.min(0)).astype(int) - 1
        right, bottom = np.ceil(points.max(0)).astype(int) + 2
        left, top, right, bottom = max(left, 0), max(top, 0), min(right, self.cols), min(bottom, self.rows)
        if right <= left or bottom <= top:
            return None
        height, width = bottom - top, right - left
        local = points - np.array([left, top])
        if max(height, width) <= SUPERSAMPLED_PX:
            large = np.zeros((4 * height, 4 * width), np.uint8)
            cv2.fillPoly(large, [np.round((local * 4 - 0.5) * 16).astype(np.int32)], 255, cv2.LINE_8, shift=4)
            alpha = cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA)
        else:
            alpha = np.zeros((height, width), np.uint8)
            cv2.fillPoly(alpha, [np.round(local * 16).astype(np.int32)], 255, cv2.LINE_AA, shift=4)
        return (slice(top, bottom), slice(left, right)), alpha.astype(np.float32) / 255.0

    def lay(self, window: Window, alpha: F32, paint: F32, grain: float = 0.04, mark: bool = True) -> None:
        """Lay a colour (3,) or a surface (H, W, 3) over a window with coverage ``alpha`` (h, w)."""
        part = self.image[window]
        if paint.ndim == 1:
            new = paint * (1.0 + grain * self.grain[window])[..., None]
        else:
            new = paint[window]
        part += alpha[..., None] * (new - part)
        if mark:
            np.maximum(self.changed[window], alpha, out=self.changed[window])

    def fill(self, points: F64, paint: F32, strength: float = 1.0, grain: float = 0.04, mark: bool = True) -> None:
        """Fill a polygon (n, 2) with a colour or a surface; ``mark`` counts it as changed."""
        found = self.cover(points)
        if found is not None:
            self.lay(found[0], found[1] * np.float32(strength), paint, grain, mark)

    def strip(self, points: F64, width: float, paint: F32, strength: float = 1.0, mark: bool = True) -> None:
        """A strip along a line (n, 2); thinner than a pixel it becomes fainter."""
        self.fill(ribbon(points, max(width, 1.0)), paint, strength * min(width, 1.0), mark=mark)

    def shadow(self, shapes: list[F64], height_m: float, depth: float = 1.0) -> None:
        """Darken where convex shapes of one height keep the sun away."""
        reach = np.array(self.stage.sun) * self.stage.px(height_m * self.stretch)
        hulls = [
            cv2.convexHull(np.concatenate([shape, shape + reach]).astype(np.float32))[:, 0].astype(np.float64)
            for shape in shapes
        ]
        both = self.cover(np.concatenate(hulls))
        if both is None:
            return
        (down, across), alpha = both
        total = np.zeros_like(alpha)
        for hull in hulls:
            found = self.cover(hull)
            if found is not None:
                (rows, cols), part = found
                inner = total[
                    rows.start - down.start : rows.stop - down.start,
                    cols.start - across.start : cols.stop - across.start,
                ]
                np.maximum(inner, part, out=inner)
        # Shadows are lit by the sky: blue keeps more of its light.
        left = np.array([self.shade - 0.02, self.shade, self.shade + 0.05], np.float32)
        self.image[down, across] *= 1.0 - depth * total[..., None] * (1.0 - left)

    def tone(self, palette: F32, at: F64 | None = None, spread: float = 6.0) -> F32:
        """One colour of a palette, varied, under the light of the scene, drawn to the ground's own at a point."""
        base = palette[int(self.rng.integers(len(palette)))] * uniform(self.rng, 0.86, 1.14)
        # Built things are nearly grey: their light varies more than their hue, and the scene tints them little.
        tint = 0.3 * self.stage.gain + 0.7 * self.stage.gain.mean()
        colour = (base + self.rng.normal(0, spread) + self.rng.normal(0, 0.45 * spread, 3)) * tint
        pull = max(0.0, uniform(self.rng, -0.5, 0.55))
        if at is not None and pull:
            x, y = int(np.clip(at[0], 2, self.cols - 3)), int(np.clip(at[1], 2, self.rows - 3))
            near = self.before[max(0, y - 4) : y + 5, max(0, x - 4) : x + 5].mean((0, 1))
            colour = colour * (1 - pull) + near * pull
        toned: F32 = np.clip(colour, 8, 248).astype(np.float32)
        return toned

    def surface(self, kind: Surface) -> F32:
        """A ground (H, W, 3), the same for the whole drawing: real patches, concrete, plain earth, or the own one."""
        if kind not in self._surfaces:
            self._surfaces[kind] = np.clip(self._make(kind), 5, 250).astype(np.float32)
        return self._surfaces[kind]

    def _make(self, kind: Surface) -> F32:
        rng, stage, rows, cols = self.rng, self.stage, self.rows, self.cols
        if kind == "own":
            smooth = cv2.GaussianBlur(self.before, (0, 0), max(1.5, stage.px(uniform(rng, 3.0, 8.0))))
            made = smooth * uniform(rng, 0.9, 1.25) + rng.normal(0, 8) + rng.normal(0, 2.5, 3)
            own: F32 = (made * (1.0 + 0.05 * self.grain)[..., None]).astype(np.float32)
            return own
        if kind in ("concrete", "flat"):
            colour = self.tone(PALE if kind == "concrete" else EARTH)
            uneven = (
                1.0
                + 0.03 * self.grain
                + uniform(rng, 0.01, 0.03) * rough_noise(rng, rows, cols, stage.px(uniform(rng, 4, 15)))
            )
            plain: F32 = (colour * uneven[..., None]).astype(np.float32)
            return plain
        # Patches are sorted by colour alone, so some are roofs: they give their grain and part of their hue.
        real = texture_fill(rng, getattr(stage.textures, kind), rows, cols, stage)
        mean = real.mean((0, 1))
        own_hue = uniform(rng, 0.1, 0.6)
        real = (real - mean) * np.float32(uniform(rng, 0.5, 0.9)) + mean * own_hue
        filled: F32 = (real + self.tone(GROUNDS[kind]) * (1.0 - own_hue)).astype(np.float32)
        return filled

    def finish(self, keyword: str, count: int = 1) -> Rendered:
        """Make what was drawn as soft and as noisy as a sensor does, and hand it over."""
        touched = (np.abs(self.image - self.before).max(2) > 0.5).astype(np.float32)
        weight = cv2.blur(touched, (3, 3))[..., None]
        # Enlarged imagery is softer than its pixels.
        sigma = uniform(self.rng, 0.35, 0.7) * max(1.0, 0.6 / self.stage.gsd_m)
        soft = cv2.GaussianBlur(self.image, (0, 0), sigma)
        speckle = self.rng.standard_normal((self.rows, self.cols)).astype(np.float32)
        soft += (uniform(self.rng, 0.3, 2.0) * speckle)[..., None]
        image = np.clip(self.image + weight * (soft - self.image), 0, 255).astype(np.float32)
        return Rendered(keyword, image, self.changed > 0.5, count)
