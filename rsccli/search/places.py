"""Where tiles are and what they are, as arrays of a million entries: filters are settled before anything is ranked."""

from __future__ import annotations

import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rsccli.errors import InputError, UsageProblem
from rsccli.search.layout import PLACES
from rsccli.types import STATUSES

Bool = npt.NDArray[np.bool_]
LonLatBox = tuple[float, float, float, float]


@dataclass(frozen=True)
class Filter:
    """Which tiles may be found.

    Attributes:
        bbox: west, south, east, north in degrees; west > east goes over the antimeridian. None: everywhere.
        statuses: of `rsccli.types.STATUSES`; empty: any.
    """

    bbox: LonLatBox | None = None
    statuses: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        unknown = [status for status in self.statuses if status not in STATUSES]
        if unknown:
            raise UsageProblem(f"--status {unknown[0]}: choose from {', '.join(STATUSES)}")
        if self.bbox is not None:
            west, south, east, north = self.bbox
            if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= north <= 90):
                raise UsageProblem(
                    f"--bbox {west:g},{south:g},{east:g},{north:g}: give west,south,east,north in degrees, south below "
                    "north"
                )

    @property
    def is_open(self) -> bool:
        """Whether every tile may be found."""
        return self.bbox is None and not self.statuses


@dataclass(frozen=True, eq=False)
class Places:
    """All tiles of a map, row by row of the index.

    Attributes:
        bounds: float64 (N, 4), west, south, east, north; west > east where a tile lies over the antimeridian.
        status: uint8 (N,), place in ``STATUSES``. caption: int32 (N,), number of the caption, -1 without one.
        order: int32 (M,), rows of tiles by caption, the strongest change first. starts: int64 (captions + 1,), where
            each caption's rows begin in ``order``.
    """

    bounds: npt.NDArray[np.float64]
    status: npt.NDArray[np.uint8]
    caption: npt.NDArray[np.int32]
    order: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int64]

    def allowed(self, wanted: Filter) -> Bool | None:
        """(N,) which tiles a filter lets through; None for all of them."""
        if wanted.is_open:
            return None
        kept = np.ones(len(self.status), bool)
        if wanted.statuses:
            kept &= np.isin(self.status, [STATUSES.index(status) for status in wanted.statuses])
        if wanted.bbox is not None:
            west, south, east, north = wanted.bbox
            left, bottom, right, top = self.bounds.T
            kept &= (bottom <= north) & (top >= south)
            # Either of them may go over the antimeridian: then it is everything but the gap between its ends.
            ours, over = west > east, left > right
            apart = np.where(
                over,
                (west > right) & (east < left) if not ours else False,
                (left > east) & (right < west) if ours else (left > east) | (right < west),
            )
            kept &= ~apart
        return kept

    def tiles_of(self, caption: int) -> npt.NDArray[np.int32]:
        """Rows of the tiles with a caption, the strongest change first."""
        return self.order[self.starts[caption] : self.starts[caption + 1]]

    def captions_in(self, allowed: Bool) -> Bool:
        """(captions,) which captions have a tile among the allowed."""
        kept = np.zeros(len(self.starts) - 1, bool)
        numbers = self.caption[allowed]
        kept[numbers[numbers >= 0]] = True
        return kept

    def save(self, folder: Path) -> None:
        """Write the arrays into a folder."""
        members = {name: getattr(self, name) for name in ("bounds", "status", "caption", "order", "starts")}
        np.savez(folder / PLACES, **members)


def load_places(folder: Path) -> Places:
    """The arrays of an index.

    Raises:
        InputError: the file is missing or damaged.
    """
    path = folder / PLACES
    try:
        with zipfile.ZipFile(path) as archive:
            # Written without compression: a small file must not become gigabytes.
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                raise ValueError("its arrays are compressed")
        with np.load(path, allow_pickle=False) as found:
            return _checked(Places(*(found[name] for name in ("bounds", "status", "caption", "order", "starts"))))
    except (
        *(OSError, ValueError, KeyError, EOFError, RuntimeError, MemoryError, OverflowError, SyntaxError, TypeError),
        *(AttributeError, zipfile.BadZipFile, zlib.error, struct.error),
    ) as error:
        raise InputError(f"{path} cannot be read ({error}): make the index again with rsccli index") from error


def _checked(places: Places) -> Places:
    """The same, if every number in it leads somewhere.

    Raises:
        ValueError: it does not.
    """
    tiles, captions = len(places.status), len(places.starts) - 1
    whole = (
        places.bounds.shape == (tiles, 4)
        and places.bounds.dtype == np.float64
        and all(each.ndim == 1 and each.dtype.kind in "iu" for each in (places.status, places.caption, places.order))
        and places.caption.shape == (tiles,)
        and captions >= 0
        and places.starts.dtype.kind in "iu"
    )
    if not whole:
        raise ValueError("arrays of other kinds or sizes")
    for numbers, low, high in (
        (places.status, 0, len(STATUSES) - 1),
        (places.caption, -1, captions - 1),
        (places.order, 0, tiles - 1),
        (places.starts, 0, len(places.order)),
    ):
        if len(numbers) and not (low <= int(numbers.min()) and int(numbers.max()) <= high):
            raise ValueError("numbers that lead nowhere")
    return places


def make_places(
    bounds: npt.NDArray[np.float64],
    status: npt.NDArray[np.uint8],
    caption: npt.NDArray[np.int32],
    score: npt.NDArray[np.float64],
    captions: int,
) -> Places:
    """Places from what is known of each tile.

    Args:
        bounds, status, caption: see `Places`. score: (N,) of change, NaN where there is none. captions: different ones.
    """
    # Stable, so that equal scores stay in the order of the map.
    strongest = np.argsort(-np.nan_to_num(score, nan=-1.0), kind="stable")
    by_caption = strongest[np.argsort(caption[strongest], kind="stable")]
    order = by_caption[caption[by_caption] >= 0].astype(np.int32)
    starts = np.searchsorted(caption[order], np.arange(captions + 1)).astype(np.int64)
    return Places(bounds, status, caption, order, starts)
