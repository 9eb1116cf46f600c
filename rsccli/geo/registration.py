"""The shift of post against pre, measured in windows over the overlap.

Phase correlation with an upsampled discrete Fourier transform around the peak (Guizar-Sicairos, Thurman
and Fienup 2008, Efficient subpixel image registration algorithms, doi:10.1364/OL.33.000156), on plain
grey values: gradient magnitude is biased by a quarter to half a pixel. Phases are weighed by a band pass:
the lowest frequencies hold the taper of the window itself and the light on the terrain, the highest hold
noise, compression and what interpolation does, and all of these pull towards no shift.

How well one window correlates says little (noise against noise has a highest point too); whether windows
agree with each other says much. So agreement decides whether the measurement is trusted.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from rsccli.types import Bool, Registration

F32 = npt.NDArray[np.float32]
C64 = npt.NDArray[np.complex64]

UPSAMPLE = 20
MIN_SIDE_PX = 32
MIN_VALID = 0.7
MIN_WINDOWS = 8
MAX_MAD_PX = 0.5
MIN_RESPONSE = 0.3
# Neighbouring pixels of a picture are alike (0.7-0.95; 0.3 under heavy noise), those of noise are not (0).
MIN_LIKENESS = 0.2
# Share of energy above the lowest frequencies: a plain ramp has 0.004, a badly blurred picture 0.16.
MIN_TEXTURE = 0.01
# Cycles per pixel: full weight below the first, none above the second.
_PASS, _STOP = 0.15, 0.30


class WindowShift(NamedTuple):
    """What one window says.

    Attributes:
        dx_px: post's content lies that far right of pre's. dy_px: that far below.
        response: correlation coefficient of the two windows after that shift is taken out, -1 to 1.
    """

    dx_px: float
    dy_px: float
    response: float


def measure_shift(windows: Iterable[tuple[F32, F32, Bool]]) -> Registration:
    """The shift of post against pre: the median over windows, and whether to trust it.

    Args:
        windows: (pre, post, valid): grey values in any unit, float32 (row, column), and where both have
            data. 256 to 512 pixels a side are good; under 32 they are left out.

    Returns:
        The registration, not applied. It is trusted if at least 8 windows are usable, the median absolute
        deviation between them is at most 0.5 px and the median response is at least 0.3; otherwise
        ``reason`` says which of these failed. Shift and response are None where no window is usable.
    """
    offered = 0
    found = []
    for pre, post, valid in windows:
        offered += 1
        shift = window_shift(pre, post, valid)
        if shift is not None:
            found.append(shift)
    if not found:
        reason = f"none of {offered} windows has enough texture and data at both dates"
        return Registration(None, None, None, None, 0, trusted=False, reason=reason)
    table = np.array(found, np.float64)
    dx, dy, response = (float(v) for v in np.median(table, axis=0))
    mad = float(np.median(np.hypot(table[:, 0] - dx, table[:, 1] - dy)))
    response = float(np.clip(response, 0.0, 1.0))
    reasons = []
    if len(found) < MIN_WINDOWS:
        reasons.append(f"{len(found)} of {offered} windows usable, {MIN_WINDOWS} are needed")
    if mad > MAX_MAD_PX:
        reasons.append(f"the windows disagree by {mad:.1f} px, {MAX_MAD_PX} px is the limit")
    if response < MIN_RESPONSE:
        reasons.append(f"the dates hardly correlate ({response:.2f}, {MIN_RESPONSE} is the limit)")
    return Registration(
        dx_px=round(dx, 3),
        dy_px=round(dy, 3),
        mad_px=round(mad, 3),
        response=round(response, 3),
        windows=len(found),
        trusted=not reasons,
        reason="; ".join(reasons) or None,
    )


def window_shift(pre: F32, post: F32, valid: Bool) -> WindowShift | None:
    """The shift of one window.

    Args:
        pre: float32 (row, column). post: the same shape. valid: where both have data.

    Returns:
        The shift, at most a quarter of the window, or None where the window cannot tell: too small, under
        70 % valid, flat, or noise.
    """
    rows, cols = pre.shape
    if min(rows, cols) < MIN_SIDE_PX:
        return None
    usable = valid & np.isfinite(pre) & np.isfinite(post)
    if float(usable.mean()) < MIN_VALID:
        return None
    taper = _taper(rows, cols)
    if not usable.all():
        # A hard edge of the mask is the same at both dates and would vote for no shift.
        soft = cv2.blur(usable.astype(np.float32), (15, 15), borderType=cv2.BORDER_REPLICATE)
        taper = taper * np.clip(2.0 * soft - 1.0, 0.0, 1.0) * usable
    band = _band_pass(rows, cols)
    spectra = []
    for grey in (pre, post):
        spectrum = _spectrum(grey, usable, taper)
        if spectrum is None or not _is_texture(spectrum, cols):
            return None
        spectra.append(spectrum)
    cross = spectra[1] * np.conj(spectra[0])
    size = np.abs(cross)
    phase = (cross * (band / np.maximum(size, np.finfo(np.float32).tiny))).astype(np.complex64)
    dy, dx = _peak(phase, rows, cols)
    energy = [float(_full_sum(band * np.abs(s) ** 2, cols)) for s in spectra]
    turn = _turn(rows, cols, dy, dx)
    joint = float(_full_sum(np.real(cross * turn) * band, cols))
    return WindowShift(dx, dy, joint / float(np.sqrt(energy[0] * energy[1])))


def _spectrum(grey: F32, usable: Bool, taper: F32) -> C64 | None:
    """Transform of the tapered window above its mean, or None where it is flat."""
    values = np.where(usable, grey, 0.0).astype(np.float32)
    weight = float(taper.sum())
    mean = float((values * taper).sum(dtype=np.float64)) / weight
    values -= np.float32(mean)
    values *= taper
    scale = float(np.abs(values).max())
    # What float32 rounds away is not texture.
    if scale <= 1e-5 * max(abs(mean), 1e-30):
        return None
    spectrum: C64 = np.fft.rfft2(values / np.float32(scale)).astype(np.complex64)
    return spectrum


def _is_texture(spectrum: C64, cols: int) -> bool:
    """Whether there is anything to match between the lowest frequencies (light, terrain) and noise.

    Noise is told by neighbouring pixels that are not alike; their correlation comes from the power
    spectrum (Wiener-Khinchin theorem), which is there already.
    """
    power = np.abs(spectrum) ** 2
    everything = _full_sum(power, cols)
    power *= _not_lowest(spectrum.shape[0], cols)
    total = _full_sum(power, cols)
    if total <= MIN_TEXTURE * everything:
        return False
    right = np.cos(2 * np.pi * np.fft.rfftfreq(cols))[np.newaxis, :]
    down = np.cos(2 * np.pi * np.fft.fftfreq(spectrum.shape[0]))[:, np.newaxis]
    return _full_sum(power * (0.5 * right + 0.5 * down), cols) >= MIN_LIKENESS * total


def _peak(phase: C64, rows: int, cols: int) -> tuple[float, float]:
    """(dy, dx) of the highest point of the phase correlation, to a fraction of a pixel."""
    surface = np.fft.irfft2(phase, s=(rows, cols))
    reach_y, reach_x = rows // 4, cols // 4
    near = np.roll(surface, (reach_y, reach_x), (0, 1))[: 2 * reach_y + 1, : 2 * reach_x + 1]
    top = int(np.argmax(near))
    y0, x0 = top // near.shape[1] - reach_y, top % near.shape[1] - reach_x
    # The upsampled transform over 1.5 px around the whole pixel peak, as two small matrix products.
    half = int(0.75 * UPSAMPLE)
    steps = np.arange(-half, half + 1) / UPSAMPLE
    fy = np.fft.fftfreq(rows)
    fx = np.fft.rfftfreq(cols)
    left = np.exp(2j * np.pi * np.outer(y0 + steps, fy)).astype(np.complex64)
    right = np.exp(2j * np.pi * np.outer(fx, x0 + steps)).astype(np.complex64)
    # The half spectrum stands for both halves, but its first (and, if even, last) column for itself.
    right *= _column_weight(cols)[:, np.newaxis]
    fine = np.real(left @ phase @ right)
    iy, ix = divmod(int(np.argmax(fine)), fine.shape[1])
    return (
        float(y0 + steps[iy] + _vertex(fine[:, ix], iy) / UPSAMPLE),
        float(x0 + steps[ix] + _vertex(fine[iy, :], ix) / UPSAMPLE),
    )


def _vertex(values: npt.NDArray[np.floating], at: int) -> float:
    """Where the parabola through a highest sample and its neighbours peaks, -0.5 to 0.5 samples."""
    if at in (0, len(values) - 1):
        return 0.0
    before, here, after = (float(v) for v in values[at - 1 : at + 2])
    bend = before - 2 * here + after
    return 0.0 if bend >= 0 else max(-0.5, min(0.5, 0.5 * (before - after) / bend))


def _turn(rows: int, cols: int, dy: float, dx: float) -> C64:
    """The phase that takes a shift out of a cross spectrum."""
    down = np.exp(2j * np.pi * np.fft.fftfreq(rows) * dy)[:, np.newaxis]
    right = np.exp(2j * np.pi * np.fft.rfftfreq(cols) * dx)[np.newaxis, :]
    turn: C64 = (down * right).astype(np.complex64)
    return turn


def _full_sum(half: npt.NDArray[np.floating], cols: int) -> float:
    """Sum over the whole spectrum from its half."""
    return float((half * _column_weight(cols)).sum(dtype=np.float64))


@lru_cache(maxsize=8)
def _column_weight(cols: int) -> F32:
    """How often each column of a half spectrum stands in the whole one."""
    weight = np.full(cols // 2 + 1, 2.0, np.float32)
    weight[0] = 1.0
    if cols % 2 == 0:
        weight[-1] = 1.0
    return weight


@lru_cache(maxsize=8)
def _taper(rows: int, cols: int) -> F32:
    """Hann window: without it the borders of the window correlate at no shift."""
    taper: F32 = np.outer(np.hanning(rows), np.hanning(cols)).astype(np.float32)
    return taper


@lru_cache(maxsize=8)
def _band_pass(rows: int, cols: int) -> F32:
    """Weight of each phase, 0-1 (rows, cols // 2 + 1): no lowest, half of the middle, no highest ones."""
    fy = np.fft.fftfreq(rows)[:, np.newaxis]
    fx = np.fft.rfftfreq(cols)[np.newaxis, :]
    radius = np.hypot(fy, fx)
    fall = 0.5 + 0.5 * np.cos(np.pi * np.clip((radius - _PASS) / (_STOP - _PASS), 0.0, 1.0))
    band: F32 = (fall * _not_lowest(rows, cols)).astype(np.float32)
    return band


@lru_cache(maxsize=8)
def _not_lowest(rows: int, cols: int) -> F32:
    """1 from three cycles over the window on: the main lobe of the Hann window ends at two."""
    fy = np.fft.fftfreq(rows)[:, np.newaxis]
    fx = np.fft.rfftfreq(cols)[np.newaxis, :]
    rise: F32 = (np.hypot(fy * rows, fx * cols) >= 3.0).astype(np.float32)
    return rise
