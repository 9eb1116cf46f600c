"""The line between the values of two dates, one band at a time, not moved by what changed.

Reduced major axis regression (neither date is free of error, and the line must not depend on which comes
first), repeated on what lies near the line, from several starts: quartiles, and slopes between random
pairs of pixels. A start from least squares ends far off where a quarter of the scene changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from rsccli.geo.lut import AnyArray
from rsccli.types import Bool

F64 = npt.NDArray[np.float64]
F32 = npt.NDArray[np.float32]
_Cells = tuple[F32, F32, Bool]

MIN_CELLS = 100
GOOD_CELLS = 2000
MAX_CELLS = 30_000
MAX_VALUES = 1_000_000


@dataclass(frozen=True)
class Line:
    """What one band of post is of the same band of pre: ``post = gain * pre + offset`` on unchanged ground.

    Attributes:
        gain: above 0. offset: in post's stored values.
        correlation: Pearson's r of what lies near the line, -1 to 1, or None where nothing was fitted.
        problem: why there is no fit (then the line is the identity), or None.
    """

    gain: float
    offset: float
    correlation: float | None
    problem: str | None = None


def fit_line(pre: Sequence[AnyArray], post: Sequence[AnyArray], valid: Sequence[Bool]) -> Line:
    """The line ``post = gain * pre + offset`` of one band, not moved by what changed.

    Args:
        pre: windows (row, column) of stored values. post: the same windows. valid: where both have data.

    Returns:
        The line; the identity with a ``problem`` where the samples cannot tell.
    """
    fine = _cells(pre, post, valid)
    # Wide cells stand a shift of pixels between the dates, narrow ones stand change in small patches;
    # whichever agrees with its own line better is the one that the scene suits.
    wide = [c for c in (_block_mean(*window, 4) for window in fine) if c[0].size]
    lines: list[Line] = []
    for level in (fine, wide):
        x = np.concatenate([a[keep] for a, _, keep in level]) if level else np.empty(0)
        y = np.concatenate([b[keep] for _, b, keep in level]) if level else np.empty(0)
        if lines and x.size < 5 * MIN_CELLS:
            break
        if x.size > MAX_CELLS:
            pick = np.linspace(0, x.size - 1, MAX_CELLS).astype(np.int64)
            x, y = x[pick], y[pick]
        lines.append(_fit_cells(x.astype(np.float64), y.astype(np.float64)))
    line = max(lines, key=lambda line: -2.0 if line.correlation is None else line.correlation)
    pre_zero, post_zero = _zero(pre, valid), _zero(post, valid)
    if line.problem is not None:
        return line
    return replace(line, offset=line.offset + post_zero - line.gain * pre_zero)


def _fit_cells(x: F64, y: F64) -> Line:
    """The line through cell means of pre (``x``) and post (``y``)."""
    if x.size < MIN_CELLS:
        return Line(1.0, 0.0, None, "too few pixels with data at both dates")
    for values, name in ((x, "pre"), (y, "post")):
        if float(np.ptp(values)) <= 1e-9 * max(1.0, float(np.abs(values).max())):
            return Line(1.0, 0.0, None, f"{name} has one value only")
    # All that follows is in units of each date's own spread, so stored scale and offset do not matter.
    x_mid, x_unit = _centre_and_spread(x)
    y_mid, y_unit = _centre_and_spread(y)
    u, v = (x - x_mid) / x_unit, (y - y_mid) / y_unit
    fits = [_trimmed_axis(u, v, gain, shift, 5) for gain, shift in _starts(u, v)]
    whole = [fit for fit in fits if fit is not None]
    best = min(whole, key=lambda fit: fit[3]) if whole else None
    best = _trimmed_axis(u, v, best[0], best[1], 40) if best is not None else None
    if best is None:
        return Line(1.0, 0.0, None, "the dates have nothing in common")
    slope, shift, correlation, _ = best
    gain = slope * y_unit / x_unit
    return Line(gain, y_mid + shift * y_unit - gain * x_mid, correlation)


def _starts(u: F64, v: F64) -> list[tuple[float, float]]:
    """Candidate (slope, intercept) in standardised values: several, as a large change can spoil any one."""
    starts = []
    for low, high in ((25, 75), (10, 90), (40, 60)):
        u_low, u_high = np.percentile(u, (low, high))
        v_low, v_high = np.percentile(v, (low, high))
        if u_high > u_low and v_high > v_low:
            slope = float((v_high - v_low) / (u_high - u_low))
            starts.append((slope, float(np.median(v) - slope * np.median(u))))
    # Slopes between random pairs: with a quarter changed, more than half of the pairs are both unchanged.
    rng = np.random.default_rng(0)
    one, two = rng.integers(0, u.size, 4000), rng.integers(0, u.size, 4000)
    du, dv = u[one] - u[two], v[one] - v[two]
    slopes = []
    for across, up in ((du, dv), (dv, du)):
        far = np.abs(across) > 0.5
        slopes.append(float(np.median(up[far] / across[far])) if far.sum() > 50 else 0.0)
    if min(slopes) > 0.05:
        # The geometric mean of both directions: noise flattens either of them by the same share.
        slope = float(np.sqrt(slopes[0] / slopes[1]))
        starts.append((slope, float(np.median(v - slope * u))))
    return starts or [(1.0, 0.0)]


def _trimmed_axis(u: F64, v: F64, slope: float, shift: float, rounds: int) -> tuple[float, float, float, float] | None:
    """Reduced major axis of what lies near the line, repeated until it stays or ``rounds`` are over.

    Returns:
        (slope, intercept, correlation, score); a smaller score is a better fit. None where it falls apart.
    """
    correlation = 0.0
    for _ in range(rounds):
        distance = v - slope * u - shift
        middle = float(np.median(distance))
        spread = 1.4826 * float(np.median(np.abs(distance - middle)))
        near = np.abs(distance - middle) <= max(2.5 * spread, 1e-6)
        u_near, v_near = u[near], v[near]
        u_std, v_std = float(u_near.std()), float(v_near.std())
        if near.sum() < MIN_CELLS // 2 or u_std < 1e-9 or v_std < 1e-9:
            return None
        u_mean, v_mean = float(u_near.mean()), float(v_near.mean())
        correlation = float(np.mean((u_near - u_mean) * (v_near - v_mean)) / (u_std * v_std))
        new_slope = v_std / u_std
        new_shift = v_mean - new_slope * u_mean
        moved = abs(new_slope - slope) / slope + abs(new_shift - shift)
        slope, shift = new_slope, new_shift
        if moved < 1e-6:
            break
    # Perpendicular to the line, so that a flat line has no advantage; six tenths, so that a good half wins.
    off_line = np.abs(v - slope * u - shift) / np.hypot(1.0, slope)
    return slope, shift, correlation, float(np.percentile(off_line, 60))


def _cells(pre: Sequence[AnyArray], post: Sequence[AnyArray], valid: Sequence[Bool]) -> list[_Cells]:
    """Means of square cells of both dates above ``_zero``, and which of them hold no bad pixel.

    Bad are pixels that are invalid, not finite, or saturated. Small samples keep their pixels.
    """
    usable = sum(int(v.sum()) for v in valid)
    size = next((c for c in (4, 2) if usable // (c * c) >= GOOD_CELLS), 1)
    pre_zero, post_zero = _zero(pre, valid), _zero(post, valid)
    pre_ends, post_ends = _saturated(pre, valid), _saturated(post, valid)
    cells = []
    for a, b, mask in zip(pre, post, valid, strict=True):
        good = mask.copy()
        values = []
        for native, zero, ends in ((a, pre_zero, pre_ends), (b, post_zero, post_ends)):
            for end in ends:
                good &= native != end
            if native.dtype.kind == "f":
                good &= np.isfinite(native)
                # A nodata value of -3e38 would overflow the sums below.
                native = np.where(good, native, native.dtype.type(zero))
            # float32 is exact for 16 bit and fast; the zero point keeps the steps of wider types.
            wide = native if native.dtype.itemsize <= 2 else native.astype(np.float64)
            values.append(np.subtract(wide, zero, dtype=np.float64).astype(np.float32))
        cells.append(_block_mean(values[0], values[1], good, size))
    return cells


def _block_mean(a: F32, b: F32, good: Bool, size: int) -> _Cells:
    """Means over blocks of ``size`` x ``size``, and the blocks that are good throughout."""
    if size == 1:
        return a, b, good
    rows, cols = a.shape[0] // size, a.shape[1] // size
    if rows == 0 or cols == 0:
        nothing = np.empty((0, 0), np.float32)
        return nothing, nothing, np.empty((0, 0), np.bool_)
    box = (slice(0, rows * size), slice(0, cols * size))
    keep: Bool = good[box].reshape(rows, size, cols, size).min(axis=(1, 3))
    mean_a, mean_b = (
        cv2.resize(np.ascontiguousarray(v[box]), (cols, rows), interpolation=cv2.INTER_AREA) for v in (a, b)
    )
    return mean_a, mean_b, keep


def _zero(samples: Sequence[AnyArray], valid: Sequence[Bool]) -> float:
    """A value of the data to count from, so that float32 sums hold the steps of wide types."""
    for window, mask in zip(samples, valid, strict=True):
        values = window[mask]
        values = values[np.isfinite(values)]
        if values.size:
            return float(values[values.size // 2])
    return 0.0


def _saturated(samples: Sequence[AnyArray], valid: Sequence[Bool]) -> tuple[float, ...]:
    """Smallest and largest value, where so many pixels share one that it is a clip or a fill, not a shade."""
    values = thinned(samples, valid)
    if values.size == 0:
        return ()
    shares = {float(end): float(np.mean(values == end)) for end in (values.min(), values.max())}
    ends = {end: share for end, share in shares.items() if share > 0.002}
    # A picture of few values would have nothing left.
    return tuple(ends) if sum(ends.values()) < 0.9 else ()


def thinned(samples: Sequence[AnyArray], valid: Sequence[Bool]) -> AnyArray:
    """Finite valid values, every nth where there are more than ``MAX_VALUES``: enough for percentiles."""
    total = sum(int(v.sum()) for v in valid)
    step = -(-total // MAX_VALUES) if total else 1
    values = np.concatenate([s[m][::step] for s, m in zip(samples, valid, strict=True)])
    return values[np.isfinite(values)] if values.dtype.kind == "f" else values


def _centre_and_spread(values: F64) -> tuple[float, float]:
    """Median, and quartile range or, where that is nothing, standard deviation."""
    low, middle, high = np.percentile(values, (25, 50, 75))
    spread = float(high - low)
    if spread <= 1e-9 * float(np.ptp(values)):
        spread = float(values.std())
    return float(middle), spread
