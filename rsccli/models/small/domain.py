"""Pairs that the small captioner must not judge: nothing like them was in its training.

Each check gives a reason in words, for the feature and the report. A captioner that knows houses and roads of
one country answers "unchanged" to everything else; this one says that it does not know.
"""

from __future__ import annotations

import numpy as np

from rsccli.types import U8, Bool, TilePair

# Mean difference of the largest and the least band, in grey levels: dusk and concrete have 4 and more.
GREY_SPREAD = 2.0
# In false colour (near infrared shown as red) plants are red or magenta, which hardly anything is in true colour:
# the largest share of such pixels among 393 NAIP chips is 7 %, the smallest among 14 false-colour images 15 %.
FALSE_COLOUR_SHARE = 0.10
# Share of a tile's open ground that clouds may hide on one date.
MOST_CLOUD = 0.5
DATES = ("earlier", "later")


def grey(image: U8, valid: Bool) -> bool:
    """Whether the three bands of an image (3, H, W) say the same."""
    if not valid.any():
        return False
    spread = image.max(0).astype(np.int16) - image.min(0)
    return float(spread[valid].mean()) < GREY_SPREAD


def false_colour(image: U8, valid: Bool) -> bool:
    """Whether an image (3, H, W) shows plants in red, as near infrared composites do."""
    import cv2  # describing a captioner must not load it

    if not valid.any():
        return False
    red, green, blue = (cv2.blur(band, (5, 5)).astype(np.float32) for band in image)
    magenta = (red > 1.2 * green) & (blue > 0.9 * green) & (red - green > 20.0)
    return float(magenta[valid].mean()) > FALSE_COLOUR_SHARE


def pixel_reason(pair: TilePair, gsd_m: tuple[float, float] | None) -> str | None:
    """Why a pair cannot be judged, from its sampling and bands alone; None where nothing speaks against it.

    Args:
        pair: the tile. gsd_m: least and most metres per pixel of the training data.
    """
    if gsd_m is not None and not gsd_m[0] <= pair.gsd_m <= gsd_m[1]:
        return f"{pair.gsd_m:.2g} m per pixel is outside of the {gsd_m[0]:g} to {gsd_m[1]:g} m of the training data"
    for name, image in zip(DATES, (pair.pre, pair.post), strict=True):
        if grey(image, pair.valid):
            return f"the {name} image is grey, the captioner knows colour images alone"
        if false_colour(image, pair.valid):
            return f"the {name} image is in false colour (plants are red); choose true colours with --bands"
    return None


def look_reason(domain: tuple[float, float], limit: float) -> str | None:
    """Why a pair cannot be judged, from what its dates look like.

    Args:
        domain: squared distance of each date from the training data. limit: above it a date is foreign.
    """
    worst = int(np.argmax(domain))
    if domain[worst] <= limit:
        return None
    return (
        f"the {DATES[worst]} image looks unlike the training data (distance {domain[worst]:.2g}, limit {limit:.2g}): "
        "another sensor, false colour, or unknown ground"
    )


def cloud_reason(cloud: tuple[float, float]) -> str | None:
    """Why a pair cannot be judged, from the share of each date that clouds hide, 0-1."""
    worst = int(np.argmax(cloud))
    if cloud[worst] <= MOST_CLOUD:
        return None
    return f"clouds hide {100 * cloud[worst]:.0f} % of the {DATES[worst]} image"
