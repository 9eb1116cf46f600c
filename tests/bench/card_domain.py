"""What it says of images that are unlike its training data: it should be unsure and say why."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import card_copies as copies
import numpy as np
import rasterio
from card_bench import Bench, Section, Seen, look, percent
from card_masks import taizhou
from card_sets import Item, prairie, read_bands, some_chips, swapped, tiles
from common import table

from rsccli.types import U8, Caption

HIDDEN_GSD_M = 5.0
COLOURS, FALSE_COLOURS = (1, 2, 3), (4, 1, 2)
# Reasons in short, by what they say; the score's own doubt says nothing about the image.
KINDS = (
    ("m per pixel", "sampling"),
    ("grey", "grey"),
    ("red plants", "false colour"),
    ("unlike the training data", "looks unlike training"),
    ("clouds", "clouds"),
    ("lies between", "score between thresholds"),
)
DOUBT = KINDS[-1][1]


def reason_kind(caption: Caption) -> str:
    """The kind of an unsure answer's reason."""
    text = caption.reason or ""
    for mark, kind in KINDS:
        if mark in text:
            return kind
    return " ".join(re.sub(r"[\d.]+", "#", text).split()[:6]) or "no reason"


def _metres(path: Path) -> float:
    """Ground sampling distance of a file in degrees or metres, at its middle."""
    with rasterio.open(path) as source:
        across, down = source.res
        if source.crs is None or not source.crs.is_geographic:
            return float(np.sqrt(across * down))
        middle = (source.bounds.top + source.bounds.bottom) / 2
        return float(111_195.0 * np.sqrt(across * down * np.cos(np.radians(middle))))


def _each(items: tuple[Item, ...], change: Callable[[U8], U8], gsd_m: float | None = None) -> tuple[Item, ...]:
    return tuple(
        replace(item, pre=change(item.pre), post=change(item.post), gsd_m=gsd_m or item.gsd_m) for item in items
    )


def _enlarged(image: U8) -> U8:
    """The middle 42 px of an image at six times the sampling."""
    top = image.shape[1] // 2 - 21
    return copies.resampled(np.ascontiguousarray(image[:, top : top + 42, top : top + 42]), 252, 252)


def _false_colour(bench: Bench) -> tuple[Item, ...]:
    """The one test place with a near-infrared band, both ways round, whole and in quarters."""
    folder = bench.imagery.folder / "naip_rgbn"
    dates = [read_bands(folder / f"riverside_{year}_5.tif", FALSE_COLOURS) for year in (2016, 2020)]
    found = tiles(dates[0], dates[1], 256, 0.6, "riverside_5") + tiles(dates[0], dates[1], 128, 0.6, "riverside_5 part")
    return found + swapped(found)


def _cloudy(items: tuple[Item, ...]) -> tuple[Item, ...]:
    return tuple(
        replace(item, post=copies.cloudy(item.post, np.random.default_rng([977, at]), item.gsd_m))
        for at, item in enumerate(items)
    )


def foreign(bench: Bench) -> list[tuple[str, Seen]]:
    """Every foreign set, looked at."""
    folder, some = bench.imagery.folder, some_chips(bench.imagery.test)
    pucallpa, canyon = folder / "pucallpa", folder / "canyon"
    gsd = {name: _metres(path) for name, path in (("p", pucallpa / "1985.tif"), ("c", canyon / "source2.tif"))}
    river = [read_bands(pucallpa / f"{year}.tif", COLOURS) for year in (1985, 2000)]
    shuttle = [read_bands(canyon / f"{name}2.tif", COLOURS) for name in ("source", "reference")]
    small = prairie(folder)
    cities, _ = taizhou(bench)
    lied, _ = taizhou(bench, HIDDEN_GSD_M)
    cases = [
        (
            f"Pucallpa, Landsat, {gsd['p']:.0f} m, bands SWIR, NIR, red",
            tiles(river[0], river[1], 128, gsd["p"], "pucallpa"),
        ),
        ("the same, sampling given as 5 m", tiles(river[0], river[1], 128, HIDDEN_GSD_M, "pucallpa")),
        (f"canyon, {gsd['c']:.0f} m", tiles(shuttle[0], shuttle[1], 256, gsd["c"], "canyon")),
        ("the same, sampling given as 5 m", tiles(shuttle[0], shuttle[1], 256, HIDDEN_GSD_M, "canyon")),
        ("NAIP test chips made grey", _each(some, copies.grey)),
        ("NAIP test place in false colour (NIR, red, green)", _false_colour(bench)),
        ("prairie 2012-2014 in false colour", prairie(folder, FALSE_COLOURS)),
        ("NAIP test chips, the middle enlarged to 0.1 m", _each(some, _enlarged, 0.1)),
        ("the same, sampling given as 0.6 m", _each(some, _enlarged)),
        ("prairie 2012-2014 averaged to 20 m", _each(small, lambda x: copies.resampled(x, 64, 64), 20.0)),
        ("NAIP test chips under drawn clouds (synthetic), over half hidden", _cloudy(some)),
    ]
    seen = [(name, look(bench.captioner(), items)) for name, items in cases]
    return [
        *seen[:2],
        ("Taizhou, Landsat, 30 m, true colour", cities),
        ("the same, sampling given as 5 m", lied),
        *seen[2:],
    ]


def domain(bench: Bench) -> Section:
    """The table of foreign and of home images."""
    home = [
        ("NAIP test pairs, all", bench.seen("chips")),
        ("prairie 2012-2014, true colour", bench.seen("prairie")),
        ("Harvey, before and after", bench.seen("harvey")),
    ]

    def row(name: str, seen: Seen) -> list[str]:
        kinds = Counter(reason_kind(c) for c in seen.captions if c.status == "unsure")
        judged = sum(number for kind, number in kinds.items() if kind not in (DOUBT, "no reason"))
        told = ", ".join(f"{kind} {number}" for kind, number in kinds.most_common())
        answers = [percent(float(seen.are(status).mean())) for status in ("changed", "unchanged")]
        return [name, str(len(seen.items)), percent(judged / max(1, len(seen.items))), *answers, told or "-"]

    head = ("pairs", "n", "unsure because of the image", "changed", "unchanged", "reasons of all unsure answers")
    body = f"""Images that it was not trained on; it should be unsure and say that the image is the reason. Where the
sampling distance is said to be another than it is, only the look of the image can tell. The limits of the grey and
false-colour checks were set with NAIP and these false-colour images in sight, so those rows are no independent test.
A captioner without these checks has 0 %.

{table(head, [row(*case) for case in foreign(bench)])}

Images that it should judge (a constant "unsure" would have 100 % in both tables):

{table(head, [row(*case) for case in home])}"""
    return Section("Foreign images", body)
