"""Where ground, plants and water change: drawn shapes, and natural regions read from the image by colour."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from rsccli.datasets.canvas import (
    F32,
    Rng,
    Stage,
    blob,
    line,
    lot,
    noise,
    polygon,
    rectangle,
    rough_noise,
    texture_fill,
    uniform,
)
from rsccli.types import U8, Bool

# Fitting colour clusters to this many pixels is as good as to all of them.
FIT_PIXELS = 900
# A square's area is 4 times its squared inner radius; a street's is far more.
COMPACT = 16.0
ROOF_CLASSES = 7
LEAST_ROOF_M = 1.8
LEAST_ROOF_M2 = 20.0
MOST_ROOF_M2 = 15000.0
NECK_M = 2.5


@dataclass(frozen=True)
class Parts:
    """What stands or lies where in a scene, guessed from colour, texture and shape; coverages 0-1, float32 (H, W).

    Attributes:
        crowns: rough or dark green. lawn: smooth green. roofs: compact patches of one colour that is not green.
    """

    crowns: F32
    lawn: F32
    roofs: F32


def log_uniform(rng: Rng, low: float, high: float) -> float:
    """A float between two others above 0, as often in every octave."""
    return float(np.exp(uniform(rng, np.log(low), np.log(high))))


def shape(rng: Rng, rows: int, cols: int, stage: Stage, low_m: float, high_m: float) -> F32:
    """Coverage of a rounded, straight-edged, merged or ragged region; radius in metres at fine sampling.

    At coarse sampling ground changes by whole fields, so the radius grows with the ground sampling distance.
    """
    radius_m = log_uniform(rng, low_m, high_m) * max(1.0, stage.gsd_m / 0.8)
    radius = float(np.clip(stage.px(radius_m), 3.5, 0.6 * cols))
    choice = rng.random()
    if choice < 0.3:
        return blob(rng, rows, cols, radius)
    if choice < 0.6:
        return lot(rng, rows, cols, radius, 2.2 * radius)
    if choice < 0.72:
        return l_shape(rng, rows, cols, radius)
    if choice < 0.86:
        return ragged(rng, blob(rng, rows, cols, 1.2 * radius, 0.5), 0.5 * radius)
    return np.maximum(blob(rng, rows, cols, 0.7 * radius), blob(rng, rows, cols, 0.7 * radius))


def l_shape(rng: Rng, rows: int, cols: int, radius: float) -> F32:
    """Coverage of a parcel with a corner missing."""
    x, y, angle = uniform(rng, 0.1, 0.9) * cols, uniform(rng, 0.1, 0.9) * rows, uniform(rng, 0.0, np.pi)
    long, wide = radius * uniform(rng, 1.4, 2.4), radius * uniform(rng, 1.0, 1.8)
    whole = polygon(rows, cols, rectangle(x, y, long, wide, angle))
    shift = (
        np.array([np.cos(angle), np.sin(angle)]) * long * 0.35 + np.array([-np.sin(angle), np.cos(angle)]) * wide * 0.35
    )
    corner = polygon(rows, cols, rectangle(x + shift[0], y + shift[1], 0.6 * long, 0.6 * wide, angle))
    return whole * (1.0 - corner)


def ragged(rng: Rng, region: F32, scale_px: float) -> F32:
    """The same region with an edge broken by noise of a scale, holes and islands along it."""
    rows, cols = region.shape
    wide = cv2.GaussianBlur(region, (0, 0), max(1.0, 0.5 * scale_px))
    field = wide + 0.16 * rough_noise(rng, rows, cols, max(2.0, scale_px))
    broken: F32 = np.clip((field - 0.5) * 8.0 + 0.5, 0, 1).astype(np.float32)
    return broken


def band(rng: Rng, rows: int, cols: int, width_px: float) -> F32:
    """Coverage of a winding band from border to border, as rivers and floodways run."""
    angle = uniform(rng, 0, 2 * np.pi)
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    middle = np.array([cols, rows]) * rng.uniform(0.2, 0.8, 2)
    steps = np.linspace(-1.0, 1.0, 40)
    swing = uniform(rng, 0.02, 0.14) * cols
    bends = swing * np.sin(steps * uniform(rng, 1.5, 5.0) + uniform(rng, 0, 6.3))
    points = middle + steps[:, None] * 1.1 * cols * along + bends[:, None] * across
    return line(rows, cols, points, max(2.0, width_px))


def oriented_noise(rng: Rng, rows: int, cols: int, long_px: float, short_px: float) -> F32:
    """Noise of deviation about 1 drawn out along one random direction: ripples, streaks, rows."""
    side = round(1.45 * max(rows, cols))
    fine = noise(rng, round(side * 1.0), side, max(short_px, 1.0)) if long_px <= short_px else None
    if fine is None:
        height, width = round(side / max(short_px, 1.0)) + 2, round(side / max(long_px, 1.0)) + 2
        small = rng.standard_normal((height, width)).astype(np.float32)
        fine = cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC)
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), uniform(rng, 0, 360), 1.0)
    turn[:, 2] -= np.array([(side - cols) / 2, (side - rows) / 2])
    turned: F32 = cv2.warpAffine(fine, turn, (cols, rows), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return turned


def lightness(image: F32) -> F32:
    """Mean of the three bands, float32 (H, W); many times faster than a mean over so short an axis."""
    light: F32 = cv2.transform(image, np.full((1, 3), 1.0 / 3.0, np.float32))
    return light


def excess_green(image: F32) -> F32:
    """(2 G - R - B) / (R + G + B), float32 (H, W): about 0 for grey and soil, 0.05 and more for plants."""
    red, green, blue = image[..., 0], image[..., 1], image[..., 2]
    excess: F32 = ((2.0 * green - red - blue) / np.maximum(red + green + blue, 12.0)).astype(np.float32)
    return excess


def plants_of(image: F32) -> tuple[Bool, F32]:
    """Where an image is green, bool (H, W), and its excess green."""
    excess = excess_green(image)
    # A scene with a green cast needs a higher threshold; a scene full of plants must not lose them.
    threshold = float(np.clip(np.quantile(excess[::2, ::2], 0.3) + 0.03, 0.03, 0.09))
    return excess > threshold, excess


def clusters(image: F32, rng: Rng, number: int) -> npt.NDArray[np.intp]:
    """Colour classes of an image by k-means, int (H, W), 0 to ``number`` - 1."""
    flat = image.reshape(-1, 3)
    sample = flat[rng.integers(len(flat), size=FIT_PIXELS)]
    centres = sample[:: FIT_PIXELS // number][:number].copy()
    for _ in range(4):
        nearest = _nearest(sample, centres)
        for index in range(number):
            own = sample[nearest == index]
            if len(own):
                centres[index] = own.mean(0)
    return _nearest(flat, centres).reshape(image.shape[:2])


def _nearest(colours: F32, centres: F32) -> npt.NDArray[np.intp]:
    distance = (centres**2).sum(1)[None, :] - 2.0 * colours @ centres.T
    return np.asarray(distance.argmin(1))


def crowns_and_lawn(image: F32, stage: Stage) -> tuple[F32, F32]:
    """Rough or dark green, and smooth green; coverages 0 or 1, float32 (H, W)."""
    smooth = cv2.GaussianBlur(image, (0, 0), max(0.8, stage.px(0.5)))
    light, fine = lightness(smooth), lightness(image)
    green, _ = plants_of(smooth)
    side = max(3, round(stage.px(2.5)) | 1)
    mean = cv2.blur(fine, (side, side))
    rough = np.sqrt(np.maximum(cv2.blur(fine**2, (side, side)) - mean**2, 0.0))
    crowns = green & ((rough > 8.0) | (light < 0.8 * np.median(light)) | (light < 62.0))
    opened = cv2.morphologyEx(crowns.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    return opened.astype(np.float32), (green & (opened == 0)).astype(np.float32)


def scene_parts(image: F32, rng: Rng, stage: Stage) -> Parts:
    """Guess crowns, lawns and roofs of a scene."""
    crowns, lawn = crowns_and_lawn(image, stage)
    smooth = cv2.GaussianBlur(image, (0, 0), max(0.8, stage.px(0.5)))
    light = lightness(smooth)
    green = crowns + lawn > 0.5
    kernel = np.ones((3, 3), np.uint8)
    roofs = np.zeros(light.shape, np.uint8)
    classes = clusters(smooth, rng, ROOF_CLASSES)
    usual = float(np.median(light))
    for index in range(ROOF_CLASSES):
        part = ((classes == index) & ~green).astype(np.uint8)
        if not part.any():
            continue
        part = cv2.morphologyEx(part, cv2.MORPH_OPEN, kernel)
        # Asphalt is dark and shadows are darker: dark patches are roofs less often.
        tone = float(light[part > 0].mean()) if part.any() else 0.0
        likely = 0.0 if tone < 0.45 * usual else 0.55 if tone < 0.85 * usual else 0.95
        roofs |= _compact(part, rng, stage, likely)
    roofs = cv2.morphologyEx(roofs, cv2.MORPH_CLOSE, kernel)
    return Parts(crowns, lawn, roofs.astype(np.float32))


def _compact(part: U8, rng: Rng, stage: Stage, likely: float) -> U8:
    """Components that could be a roof by size and shape, each kept with a probability."""
    kept = np.zeros_like(part)
    # Roof and driveway of one colour hang together by a neck; the neck is cut, and the outline grown back after.
    neck = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (round(stage.px(NECK_M)) | 1,) * 2)
    part = cv2.morphologyEx(part, cv2.MORPH_OPEN, neck)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(part, connectivity=4)
    inner = cv2.distanceTransform(part, cv2.DIST_L2, 3)
    pixel_m2 = stage.gsd_m**2
    areas = stats[:, cv2.CC_STAT_AREA]
    sizes = areas * pixel_m2
    for index in np.flatnonzero((sizes >= LEAST_ROOF_M2) & (sizes <= MOST_ROOF_M2) & (areas >= 6)).tolist():
        if index == 0:
            continue
        left, top, width, height, area = stats[index].tolist()
        window = (slice(top, top + height), slice(left, left + width))
        own = labels[window] == index
        radius = float(inner[window][own].max())
        if radius * stage.gsd_m >= LEAST_ROOF_M and area < COMPACT * radius**2 and rng.random() < likely:
            kept[window][own] = 1
    return kept


def natural(image: F32, rng: Rng, stage: Stage, wanted: Bool, most: int = 6) -> F32 | None:
    """Whole patches of one colour class inside a wanted class of ground: parcels, yards, clearings.

    Args:
        wanted: bool (H, W), ground that may change. most: patches taken.

    Returns:
        Coverage float32 (H, W), or None where there is no patch large enough.
    """
    rows, cols = wanted.shape
    smooth = cv2.GaussianBlur(image, (0, 0), max(1.0, stage.px(1.0)))
    classes = clusters(smooth, rng, 5)
    candidates: list[tuple[int, int]] = []
    areas: list[float] = []
    labelled: list[npt.NDArray[np.int32]] = []
    least = max(12.0, 25.0 / stage.gsd_m**2)
    for index in range(5):
        part = ((classes == index) & wanted).astype(np.uint8)
        part = cv2.morphologyEx(part, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        _, labels, stats, _ = cv2.connectedComponentsWithStats(part, connectivity=4)
        large = np.flatnonzero(stats[1:, cv2.CC_STAT_AREA] >= least) + 1
        candidates += [(len(labelled), int(number)) for number in large]
        areas += [float(stats[number, cv2.CC_STAT_AREA]) for number in large]
        labelled.append(labels.astype(np.int32))
    if not candidates:
        return None
    cover = np.zeros((rows, cols), np.uint8)
    # Small patches are many; large ones are what a reader sees change.
    order = np.argsort(rng.random(len(areas)) ** (1.0 / np.sqrt(areas)))[::-1]
    for position in order[: int(rng.integers(1, most + 1))]:
        which, number = candidates[int(position)]
        cover |= (labelled[which] == number).astype(np.uint8)
    if rng.random() < 0.6:
        cover = cv2.morphologyEx(cover, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    return cover.astype(np.float32)


def visible(image: F32, drawn: F32, region: F32, least: float = 6.0) -> F32:
    """The drawn image, its difference enlarged where a reader could hardly see it; float32 (H, W, 3).

    Args:
        least: mean difference inside the region that has to be there, counts.
    """
    inside = region > 0.5
    if not inside.any():
        return drawn
    change = drawn - image
    # A change in colour alone counts as much as one in brightness.
    seen = float(np.abs(cv2.GaussianBlur(change, (0, 0), 1.5)[inside]).mean())
    if seen >= least or seen < 0.05:
        return drawn
    more = (min(least / seen, 2.0) - 1.0) * cv2.GaussianBlur(region, (0, 0), 1.0)[..., None]
    enlarged: F32 = np.clip(drawn + change * more, 0, 254).astype(np.float32)
    return enlarged


def grain_angle(image: F32) -> float:
    """The direction, radians, 0 to pi/2, that most edges of a scene run along or across: its street grid."""
    light = cv2.GaussianBlur(lightness(image), (0, 0), 1.0)
    dx, dy = cv2.Sobel(light, cv2.CV_32F, 1, 0), cv2.Sobel(light, cv2.CV_32F, 0, 1)
    # The fourth power of the complex gradient is the same for all four sides of a house.
    fourth = (dx + 1j * dy) ** 4 / np.maximum(dx**2 + dy**2, 1.0)
    return float(np.angle(fourth.sum()) / 4.0 % (np.pi / 2))


def plot(image: F32, rng: Rng, low: float, high: float) -> F32:
    """Coverage of a parcel with sides between two lengths in pixels, mostly along the street grid."""
    rows, cols = image.shape[:2]
    angle = grain_angle(image) if rng.random() < 0.8 else uniform(rng, 0.0, np.pi)
    x, y = uniform(rng, 0.05, 0.95) * cols, uniform(rng, 0.05, 0.95) * rows
    corners = rectangle(x, y, uniform(rng, low, high), uniform(rng, low, high), angle)
    if rng.random() < 0.4:
        corners = corners + rng.normal(0.0, 0.05 * low, corners.shape)
    return polygon(rows, cols, corners)


def muted(colour: F32, rng: Rng) -> F32:
    """A colour with less of its colourfulness, as haze and wide bands make it."""
    grey = colour.mean()
    duller: F32 = (grey + (colour - grey) * uniform(rng, 0.35, 1.0)).astype(np.float32)
    return duller


def fill(rng: Rng, patches: U8, rows: int, cols: int, stage: Stage) -> F32:
    """A surface like one of some real patches, float32 (H, W, 3).

    At coarse sampling a patch is a few pixels, whose repetition would show: its colour and roughness are taken.
    """
    tried = rng.integers(len(patches), size=3)
    chosen = patches[min(tried.tolist(), key=lambda index: float(patches[index].std()))]
    if stage.gsd_m < 1.8:
        return texture_fill(rng, chosen[None], rows, cols, stage)
    colour = muted(chosen.reshape(-1, 3).mean(0).astype(np.float32), rng)
    uneven = 1.0 + uniform(rng, 0.02, 0.07) * rough_noise(rng, rows, cols, log_uniform(rng, 2.0, 20.0))
    filled: F32 = (colour * uneven[..., None] + rng.normal(0, 2.0, (rows, cols, 1))).astype(np.float32)
    return filled


def calmest(image: F32, candidates: list[F32]) -> F32:
    """Of some regions the one over the most open ground: without roofs, streets and crowns in it."""
    light = lightness(image)
    busy = np.abs(light - cv2.GaussianBlur(light, (0, 0), 2.5))
    costs = [float((busy * region).sum() / max(float(region.sum()), 1.0)) for region in candidates]
    return candidates[int(np.argmin(costs))]
