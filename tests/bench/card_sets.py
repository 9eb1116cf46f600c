"""The pairs that the model card measures: test places and foreign imagery, never a development place.

Each set is chosen by a rule that stands here, so that the same command measures the same pairs.
"""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import card_copies as copies
import cv2
import numpy as np
import numpy.typing as npt
import rasterio

from rsccli.datasets.backgrounds import Sources, read_sources
from rsccli.datasets.generated import generate, reversed_in_time
from rsccli.datasets.naip import GSD_M, read_places
from rsccli.models.small.facts import KEYWORDS
from rsccli.training.development import RealPair, box_mask, labelled_pairs

U8 = npt.NDArray[np.uint8]
Bool = npt.NDArray[np.bool_]
HARVEY_EVERY = 14
# Houses of the set are about 40 px wide; its card gives no sampling distance.
HARVEY_GSD_M = 0.5
HARVEY_PLACE_DEG = 0.01
DRAWN_PAIRS, DRAWN_SIDE = 200, 128
SEED = 4100
JUDGED = Path(__file__).with_name("judged")


@dataclass(frozen=True)
class Item:
    """One pair to be measured.

    Attributes:
        name: unique in its set. place: pairs of one place are resampled together.
        pre, post: uint8 (3, H, W). gsd_m: metres per pixel.
        seen: what a person saw (``changed``, ``minor``, ``unchanged``), or "" where nobody looked.
        keywords: of the label. truth: bool (H, W), what changed there, or None. caption: in a person's words.
        valid: bool (H, W), or None: everywhere. trees: crowns in post less crowns in pre, or None.
    """

    name: str
    place: str
    pre: U8
    post: U8
    gsd_m: float
    seen: str = ""
    keywords: tuple[str, ...] = ()
    truth: Bool | None = None
    caption: str = ""
    valid: Bool | None = None
    trees: int | None = None


def bands_first(image: U8) -> U8:
    """(H, W, 3) as (3, H, W)."""
    return np.ascontiguousarray(np.moveaxis(image, 2, 0))


@dataclass(frozen=True)
class Imagery:
    """The data folder, the test places in it, and the development places for pictures and thresholds of rivals."""

    folder: Path
    test: Sources
    development: Sources


def read_imagery(folder: Path) -> Imagery:
    """Read the NAIP chips of both splits once."""
    test = read_sources(folder, "test")
    held = tuple(place for place in read_places(folder / "naip") if place.split == "development")
    return Imagery(folder, test, replace(test, places=held, marked=()))


def chips(sources: Sources) -> tuple[Item, ...]:
    """Every pair of an earlier and a later date of every place, whole, with its label where there is one."""
    found = []
    for place in sources.places:
        for at, first in enumerate(place.chips):
            for second in place.chips[at + 1 :]:
                name = f"{place.name}:{first.year}-{second.year}"
                pre, post = bands_first(first.image), bands_first(second.image)
                item = Item(name, place.name, pre, post, GSD_M, trees=len(second.trees) - len(first.trees))
                label = sources.labels.get(name)
                if label is not None:
                    mask = box_mask(label, pre.shape[1]) if label.boxes else None
                    item = replace(item, seen=label.seen, keywords=label.keywords, truth=mask, caption=label.caption)
                found.append(item)
    return tuple(found)


def _quarter(pair: RealPair) -> Item:
    seen = "changed" if pair.changed else "unchanged"
    return Item(pair.name, pair.name.split(":")[0], pair.pre, pair.post, pair.gsd_m, seen)


def quarters(sources: Sources) -> tuple[Item, ...]:
    """Quarters (128 px) that hold a marked change, or that no mark touches."""
    return tuple(_quarter(pair) for pair in labelled_pairs(sources)[1])


def harvey_labels() -> dict[str, tuple[str, str]]:
    """What a person saw in every 140th Harvey pair: (seen, caption) by name."""
    with (JUDGED / "harvey_labels.csv").open(newline="", encoding="utf-8") as lines:
        return {row["pair"]: (row["seen"], row["caption"]) for row in csv.DictReader(lines)}


def harvey(folder: Path, first: int = 0, every: int = HARVEY_EVERY) -> tuple[Item, ...]:
    """Every 14th Harvey pair: before and after the flood. Labelled or not, the set counts as changed."""
    labels = harvey_labels()
    with (folder / "harvey" / "pairs.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))[first::every]
    found = []
    with zipfile.ZipFile(folder / "harvey" / "harvey.zip") as archive:
        for row in rows:
            dates = []
            for date in ("pre", "post"):
                image = cv2.imdecode(np.frombuffer(archive.read(row[date]), np.uint8), cv2.IMREAD_COLOR)
                dates.append(bands_first(image[..., ::-1]))
            cell = "/".join(str(int(float(row[axis]) // HARVEY_PLACE_DEG)) for axis in ("lon", "lat"))
            seen, caption = labels.get(f"harvey:{row['id']}", ("", ""))
            found.append(
                Item(f"harvey:{row['id']}", f"harvey {cell}", dates[0], dates[1], HARVEY_GSD_M, seen, caption=caption)
            )
    return tuple(found)


def copied(items: tuple[Item, ...], change: Callable[[U8, np.random.Generator], U8], seed: int) -> tuple[Item, ...]:
    """The earlier date of each pair against a copy of itself."""
    return tuple(
        replace(item, post=change(item.pre, np.random.default_rng([SEED, seed, at])), seen="", truth=None)
        for at, item in enumerate(items)
    )


def swapped(items: tuple[Item, ...]) -> tuple[Item, ...]:
    """The same pairs with their dates exchanged."""
    return tuple(replace(item, pre=item.post, post=item.pre) for item in items)


def drawn(sources: Sources) -> tuple[Item, ...]:
    """Changes drawn over test places (synthetic), 128 px, changed pairs only; ``seen`` says which can be reversed."""
    found: list[Item] = []
    index = 0
    while len(found) < DRAWN_PAIRS:
        pair = generate(sources, SEED, index, DRAWN_SIDE)
        index += 1
        if not (pair.changed and pair.keywords) or not pair.known.all():
            continue
        seen = "reversible" if reversed_in_time(pair) is not None else "changed"
        names = tuple(KEYWORDS[k] for k in pair.keywords)
        place = pair.background.split(":")[0]
        found.append(
            Item(
                f"drawn {index}",
                place,
                pair.pre,
                pair.post,
                pair.gsd_m,
                seen,
                names,
                pair.mask,
                pair.caption,
                pair.valid,
            )
        )
    return tuple(found)


def read_bands(path: Path, bands: tuple[int, ...]) -> U8:
    """Bands of a file, (N, H, W)."""
    with rasterio.open(path) as source:
        image: U8 = source.read(bands)
    return image


def tiles(pre: U8, post: U8, side: int, gsd_m: float, place: str) -> tuple[Item, ...]:
    """Whole tiles cut on pixels; each counts as a place of its own."""
    rows, cols = (min(image.shape[axis] for image in (pre, post)) for axis in (1, 2))
    found = []
    for top in range(0, rows - side + 1, side):
        for left in range(0, cols - side + 1, side):
            part = (slice(None), slice(top, top + side), slice(left, left + side))
            name = f"{place}/{top},{left}"
            found.append(Item(name, name, np.ascontiguousarray(pre[part]), np.ascontiguousarray(post[part]), gsd_m))
    return tuple(found)


def prairie(folder: Path, bands: tuple[int, ...] = (1, 2, 3)) -> tuple[Item, ...]:
    """Six tiles of the prairie quad, 2012 and 2014 (training saw the same ground in 2009 and 2010)."""
    dates = [read_bands(next((folder / "prairie").glob(f"*_{date}.tif")), bands) for date in ("20120731", "20140720")]
    return tiles(dates[0], dates[1], 256, 5.0, "prairie 2012-2014")


def some_chips(sources: Sources, every: int = 3) -> tuple[Item, ...]:
    """One pair (first and last date) of every third test place."""
    last: dict[str, Item] = {}
    for item in chips(sources):
        pair = item.name.split(":")[1]
        if item.place not in last or pair == "2016-2020":
            last[item.place] = item
    return tuple(last.values())[::every]


def light_changed(sources: Sources) -> tuple[Item, ...]:
    """The first and the last date of every test place, each against itself under other light."""
    ends = some_chips(sources, 1)
    later = tuple(replace(item, name=f"{item.name} later", pre=item.post) for item in ends)
    return copied(ends + later, copies.other_light, 3)
