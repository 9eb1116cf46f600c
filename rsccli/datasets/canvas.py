"""What all renderers of generated changes share: noise, shapes, textures, blending."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from rsccli.types import U8, Bool

F32 = npt.NDArray[np.float32]
Rng = np.random.Generator


@dataclass(frozen=True)
class Stage:
    """The conditions under which a change is drawn.

    Attributes:
        gsd_m: metres per pixel. sun: unit vector (x, y) in which shadows fall.
        gain: brightness of the scene against a middling one, per band: palettes are multiplied with it.
        textures: real patches by kind.
    """

    gsd_m: float
    sun: tuple[float, float]
    gain: F32
    textures: Textures

    def px(self, metres: float) -> float:
        """Metres to pixels."""
        return metres / self.gsd_m


@dataclass(frozen=True)
class Rendered:
    """One change drawn into an image.

    Attributes:
        keyword: of the change when it is drawn into the later date.
        image: float32 (H, W, 3), 0-255. mask: bool (H, W). count: objects drawn.
    """

    keyword: str
    image: F32
    mask: Bool
    count: int = 1


Renderer = Callable[[F32, Rng, Stage], Rendered]
PairRenderer = Callable[[F32, F32, Rng, Stage], tuple[F32, F32, Rendered]]


@dataclass(frozen=True)
class Kind:
    """One kind of change that can be drawn.

    Attributes:
        render: draws it into the later date; or None, and
        render_pair: draws it where both dates are needed (what was there before, and what became of it).
        weight: how often it is drawn against a middling kind, above 0.
        fine, coarse: whether it can be drawn below, and from, 2 m ground sampling distance.
        twin: whether it may be drawn alike into both dates, as no change.
    """

    render: Renderer | None = None
    render_pair: PairRenderer | None = None
    weight: float = 1.0
    fine: bool = True
    coarse: bool = False
    twin: bool = True


@dataclass(frozen=True)
class Textures:
    """Real patches of training chips, uint8 (n, s, s, 3) each.

    Attributes:
        soil, grass, asphalt: patches whose colour and smoothness say so.
        crowns: patches of 32 px around tree points.
    """

    soil: U8
    grass: U8
    asphalt: U8
    crowns: U8


PATCH = 40
CROWN = 32


def gather_textures(chips: list[tuple[U8, npt.NDArray[np.float64]]], most: int = 300) -> Textures:
    """Sort square windows of chips by colour and smoothness, and cut tree crowns.

    Args:
        chips: image (H, W, 3) and tree points (n, 2) of training places. most: patches kept of a kind.
    """
    kinds: dict[str, list[tuple[float, U8]]] = {"soil": [], "grass": [], "asphalt": []}
    crowns: list[U8] = []
    for image, trees in chips:
        for top in range(0, image.shape[0] - PATCH + 1, PATCH):
            for left in range(0, image.shape[1] - PATCH + 1, PATCH):
                patch = image[top : top + PATCH, left : left + PATCH]
                red, green, blue = patch.reshape(-1, 3).mean(0)
                rough = float(patch.mean(2).std())
                if rough > 14.0:
                    continue
                if green > 1.06 * red and green > 1.1 * blue:
                    kinds["grass"].append((rough, patch))
                elif red > 1.06 * green > 1.06 * blue and red > 90:
                    kinds["soil"].append((rough, patch))
                elif max(red, green, blue) < 1.1 * min(red, green, blue) and green < 120:
                    kinds["asphalt"].append((rough, patch))
        half = CROWN // 2
        for x, y in trees[:: max(1, len(trees) // 6)]:
            row, col = round(y), round(x)
            if half <= row < image.shape[0] - half and half <= col < image.shape[1] - half:
                crowns.append(image[row - half : row + half, col - half : col + half])
    for kind, found in kinds.items():
        if not found:
            raise ValueError(f"no {kind} patch in {len(chips)} chips")
    smooth = {
        kind: np.stack([patch for _, patch in sorted(found, key=lambda item: item[0])[: 3 * most : 3]])
        for kind, found in kinds.items()
    }
    return Textures(crowns=np.stack(crowns or [np.zeros((CROWN, CROWN, 3), np.uint8)]), **smooth)


def noise(rng: Rng, height: int, width: int, scale_px: float) -> F32:
    """Smooth noise of deviation about 1 whose features are about ``scale_px`` large."""
    rows, cols = (max(2, round(side / max(scale_px, 1.0)) + 2) for side in (height, width))
    coarse = rng.standard_normal((rows, cols)).astype(np.float32)
    smooth: F32 = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return smooth


def rough_noise(rng: Rng, height: int, width: int, scale_px: float) -> F32:
    """Three octaves of smooth noise."""
    total = noise(rng, height, width, scale_px)
    total = total + 0.5 * noise(rng, height, width, scale_px / 2.5)
    return total + np.float32(0.25) * noise(rng, height, width, scale_px / 6.0)


def uniform(rng: Rng, low: float, high: float) -> float:
    """A float between two others."""
    return float(rng.uniform(low, high))


def rectangle(x: float, y: float, length: float, width: float, angle: float) -> npt.NDArray[np.float64]:
    """Corners (4, 2) of a rotated rectangle around (x, y)."""
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * 0.5
    corners: npt.NDArray[np.float64] = np.array([x, y]) + signs[:, :1] * length * along + signs[:, 1:] * width * across
    return corners


def polygon(height: int, width: int, points: npt.NDArray[np.float64]) -> F32:
    """Coverage 0-1 of a polygon, edges smoothed; float32 (H, W)."""
    canvas = np.zeros((height, width), np.uint8)
    cv2.fillPoly(canvas, [np.round(points * 16).astype(np.int32)], 255, cv2.LINE_AA, shift=4)
    return canvas.astype(np.float32) / 255.0


def line(height: int, width: int, points: npt.NDArray[np.float64], thickness: float) -> F32:
    """Coverage 0-1 of a polyline."""
    canvas = np.zeros((height, width), np.uint8)
    fixed = np.round(points * 16).astype(np.int32)
    cv2.polylines(canvas, [fixed], False, 255, max(1, round(thickness)), cv2.LINE_AA, shift=4)
    return canvas.astype(np.float32) / 255.0


def blob(rng: Rng, height: int, width: int, radius: float, roughness: float = 0.35) -> F32:
    """Coverage of a rounded, uneven region of about a radius, its centre anywhere in the image."""
    x, y = uniform(rng, 0.05, 0.95) * width, uniform(rng, 0.05, 0.95) * height
    angles = np.linspace(0.0, 2.0 * np.pi, 36, endpoint=False)
    reach = np.ones_like(angles)
    for wave in range(2, 6):
        reach += roughness / wave * rng.standard_normal() * np.sin(wave * angles + uniform(rng, 0.0, 6.3))
    stretch, turn = uniform(rng, 0.55, 1.0), uniform(rng, 0.0, np.pi)
    dx, dy = np.cos(angles) * reach * radius, np.sin(angles) * reach * radius * stretch
    points = np.stack([x + dx * np.cos(turn) - dy * np.sin(turn), y + dx * np.sin(turn) + dy * np.cos(turn)], 1)
    return polygon(height, width, points)


def lot(rng: Rng, height: int, width: int, low: float, high: float) -> F32:
    """Coverage of a straight-edged region, sides between two lengths in pixels."""
    x, y = uniform(rng, 0.1, 0.9) * width, uniform(rng, 0.1, 0.9) * height
    corners = rectangle(x, y, uniform(rng, low, high), uniform(rng, low, high), uniform(rng, 0.0, np.pi))
    corners = corners + rng.normal(0.0, 0.06 * low, corners.shape)
    return polygon(height, width, corners)


def blend(image: F32, paint: F32, alpha: F32) -> F32:
    """``paint`` over ``image``: both (H, W, 3) or paint a colour (3,), alpha (H, W) 0-1."""
    weight = alpha[..., None]
    blended: F32 = (image * (1.0 - weight) + paint * weight).astype(np.float32)
    return blended


def soften(alpha: F32, sigma: float) -> F32:
    """Blur the edge of a coverage."""
    softened: F32 = cv2.GaussianBlur(alpha, (0, 0), sigma) if sigma > 0.2 else alpha
    return softened


def texture_fill(rng: Rng, patches: U8, height: int, width: int, stage: Stage) -> F32:
    """A surface made from one real patch, mirrored to fill the image, with slow variation on top."""
    patch = patches[int(rng.integers(len(patches)))].astype(np.float32)
    side = max(6, round(patch.shape[0] * 0.6 / stage.gsd_m))
    if side != patch.shape[0]:
        patch = cv2.resize(patch, (side, side), interpolation=cv2.INTER_AREA if side < PATCH else cv2.INTER_LINEAR)
    tile = np.concatenate([patch, patch[::-1]], 0)
    tile = np.concatenate([tile, tile[:, ::-1]], 1)
    rows, cols = (int(rng.integers(2 * side)) for _ in range(2))
    index_y = (np.arange(height) + rows) % (2 * side)
    index_x = (np.arange(width) + cols) % (2 * side)
    mean = patch.mean((0, 1))
    surface = tile[index_y][:, index_x]
    slow = 1.0 + 0.06 * noise(rng, height, width, 30.0 / stage.gsd_m)
    filled: F32 = ((surface - mean) * 0.9 + mean * slow[..., None]).astype(np.float32)
    return filled
