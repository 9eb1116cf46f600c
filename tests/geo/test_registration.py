"""Registration: generated shifts are found, and what is no measurement is not trusted."""

import cv2
import numpy as np
import pytest
from skimage.registration import phase_cross_correlation

from rsccli.geo.registration import measure_shift, window_shift

SIZE = 256
EVERYWHERE = np.ones((SIZE, SIZE), bool)
SHIFTS = [(0.0, 0.0), (0.5, -0.3), (3.3, 1.7), (-0.25, 0.1), (-9.6, 14.45)]


def texture(seed: int, size: int = SIZE) -> np.ndarray:
    """A picture-like window, float32: power falls with frequency, with some hard edges."""
    rng = np.random.default_rng(seed)
    fy, fx = np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None]
    spectrum = np.fft.fft2(rng.normal(0, 1, (size, size))) / np.maximum(np.hypot(fy, fx), 1 / size) ** 1.2
    image = np.real(np.fft.ifft2(spectrum))
    image = 110 + 35 * (image - image.mean()) / image.std()
    for _ in range(size // 16):
        row, col = rng.integers(0, size - 24, 2)
        image[row : row + rng.integers(6, 24), col : col + rng.integers(6, 24)] += rng.normal(0, 40)
    return image.astype(np.float32)


def moved(image: np.ndarray, dx: float, dy: float) -> np.ndarray:
    """Content moved right by dx and down by dy, exactly, by the Fourier shift theorem."""
    fy, fx = np.fft.fftfreq(image.shape[0])[:, None], np.fft.fftfreq(image.shape[1])[None]
    turned = np.fft.fft2(image) * np.exp(-2j * np.pi * (fx * dx + fy * dy))
    return np.real(np.fft.ifft2(turned)).astype(np.float32)


def later(image: np.ndarray, dx: float, dy: float, seed: int, noise: float = 8.0) -> np.ndarray:
    """The second date: moved, brighter, more contrast, noise, and a tenth of it really changed."""
    rng = np.random.default_rng(seed)
    out = 1.2 * moved(image, dx, dy) + 12 + rng.normal(0, noise, image.shape)
    out[60:140, 90:170] = texture(seed + 5000)[60:140, 90:170]
    return out.astype(np.float32)


@pytest.mark.parametrize(("dx", "dy"), SHIFTS)
def test_generated_shifts_per_window_and_over_windows(dx: float, dy: float) -> None:
    windows = []
    for seed in range(10):
        pre = texture(seed)
        post = later(pre, dx, dy, 100 + seed)
        shift = window_shift(pre, post, EVERYWHERE)
        assert shift is not None
        assert abs(shift.dx_px - dx) < 0.1 and abs(shift.dy_px - dy) < 0.1
        windows.append((pre, post, EVERYWHERE))
    whole = measure_shift(windows)
    assert whole.trusted and whole.reason is None and not whole.applied
    assert whole.windows == 10
    assert whole.dx_px == pytest.approx(dx, abs=0.05) and whole.dy_px == pytest.approx(dy, abs=0.05)
    assert whole.mad_px is not None and whole.mad_px < 0.1


def test_positive_is_right_and_down() -> None:
    pre = texture(1)
    shift = window_shift(pre, np.roll(pre, (5, 3), (0, 1)), EVERYWHERE)
    assert shift is not None
    assert (round(shift.dx_px), round(shift.dy_px)) == (3, 5)


def test_as_good_as_scikit_image() -> None:
    """On bilinear resampling, the usual way in which a shift gets into a file, and on pure shifts."""
    ours, theirs = [], []
    for seed in range(6):
        pre = texture(seed)
        for dx, dy in ((0.5, -0.3), (3.3, 1.7)):
            matrix = np.float32([[1, 0, dx], [0, 1, dy]])
            post = cv2.warpAffine(pre, matrix, (SIZE, SIZE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
            post = post + np.random.default_rng(seed).normal(0, 2, post.shape).astype(np.float32)
            shift = window_shift(pre, post, EVERYWHERE)
            assert shift is not None
            ours.append(np.hypot(shift.dx_px - dx, shift.dy_px - dy))
            # scikit-image gives what moves post back onto pre, as (row, column).
            back, _, _ = phase_cross_correlation(pre, post, upsample_factor=20)
            theirs.append(np.hypot(-back[1] - dx, -back[0] - dy))
    assert np.median(ours) <= max(np.median(theirs), 0.05)
    assert max(ours) < 0.1


def test_a_mask_s_edge_does_not_vote_for_no_shift() -> None:
    pre = texture(4)
    valid = EVERYWHERE.copy()
    valid[:, :70] = False
    post = later(pre, 4.4, -2.6, 7, noise=4.0)
    pre, post = pre.copy(), post.copy()
    pre[~valid] = np.nan
    post[~valid] = 9999.0
    shift = window_shift(pre, post, valid)
    assert shift is not None
    assert abs(shift.dx_px - 4.4) < 0.1 and abs(shift.dy_px + 2.6) < 0.1


def test_windows_that_cannot_tell_are_left_out() -> None:
    pre = texture(2)
    rng = np.random.default_rng(0)
    flat = np.full((SIZE, SIZE), 77.0, np.float32)
    ramp = np.tile(np.arange(SIZE, dtype=np.float32), (SIZE, 1))
    noise = rng.normal(0, 10, (SIZE, SIZE)).astype(np.float32)
    water = np.rint(flat + rng.normal(0, 0.6, flat.shape)).astype(np.float32)
    for bad in (flat, ramp, noise, water):
        assert window_shift(pre, bad, EVERYWHERE) is None
        assert window_shift(bad, bad, EVERYWHERE) is None
    mostly_empty = EVERYWHERE.copy()
    mostly_empty[:100] = False
    assert window_shift(pre, pre, mostly_empty) is None
    assert window_shift(pre[:20, :20], pre[:20, :20], EVERYWHERE[:20, :20]) is None


def test_noise_is_no_measurement() -> None:
    rng = np.random.default_rng(1)

    def grain(blur: float) -> np.ndarray:
        image = rng.normal(0, 1, (SIZE, SIZE)).astype(np.float32)
        return cv2.GaussianBlur(image, (0, 0), blur) if blur else image

    for blur in (0.0, 1.0, 4.0):
        whole = measure_shift([(grain(blur), grain(blur), EVERYWHERE) for _ in range(12)])
        assert not whole.trusted and whole.reason


def test_another_place_and_windows_that_disagree_are_not_trusted() -> None:
    elsewhere = measure_shift([(texture(i), texture(500 + i), EVERYWHERE) for i in range(10)])
    assert not elsewhere.trusted and "disagree" in (elsewhere.reason or "")
    apart = measure_shift(
        [(texture(i), moved(texture(i), float(i), 0.0), EVERYWHERE) for i in range(10)],
    )
    assert not apart.trusted and "disagree by" in (apart.reason or "")
    assert apart.response is not None and apart.response > 0.5  # response alone would have trusted it


def test_too_few_windows_are_reported_but_not_trusted() -> None:
    pre = texture(3)
    few = measure_shift([(pre, moved(pre, 2.0, 1.0), EVERYWHERE)] * 7)
    assert not few.trusted and "7 of 7 windows usable, 8 are needed" in (few.reason or "")
    assert few.dx_px == pytest.approx(2.0, abs=0.05)
    assert few.shift_px == pytest.approx(np.hypot(2, 1), abs=0.05)
    none = measure_shift([])
    assert none.dx_px is None and none.shift_px is None and not none.trusted and none.windows == 0


def test_units_and_brightness_do_not_matter() -> None:
    pre = texture(6)
    post = later(pre, 1.3, 0.4, 9)
    here = window_shift(pre, post, EVERYWHERE)
    there = window_shift(pre * 0.0001 - 0.1, post * 40 + 3000, EVERYWHERE)
    assert here is not None and there is not None
    assert np.hypot(here.dx_px - there.dx_px, here.dy_px - there.dy_px) < 0.01


def test_odd_and_oblong_windows() -> None:
    whole = texture(11)
    post = moved(whole, 2.4, -1.2)
    shift = window_shift(whole[:131, :203], post[:131, :203], EVERYWHERE[:131, :203])
    assert shift is not None
    assert abs(shift.dx_px - 2.4) < 0.1 and abs(shift.dy_px + 1.2) < 0.1
