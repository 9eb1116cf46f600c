"""Radiometry: 8-bit conversion must not make change, and what changed must not move the line."""

import cv2
import numpy as np
import pytest

from rsccli.errors import InputError
from rsccli.geo.line import fit_line
from rsccli.geo.radiometry import fit_radiometry

SIZE = 256
WIDE = SIZE + 8


def scene(seed: int, low: float = 300.0, high: float = 1500.0) -> np.ndarray:
    """Ground with structure at many scales, (3, 264, 264) float64, like fields and roofs."""
    rng = np.random.default_rng(seed)
    bands = []
    base = np.zeros((WIDE, WIDE))
    for size, weight in ((8, 1.0), (32, 0.7), (128, 0.4)):
        coarse = rng.normal(0, 1, (size, size))
        base += weight * cv2.resize(coarse, (WIDE, WIDE), interpolation=cv2.INTER_CUBIC)
    for band in range(3):
        own = base + 0.25 * cv2.resize(rng.normal(0, 1, (64, 64)), (WIDE, WIDE))
        own = (own - own.min()) / np.ptp(own)
        bands.append(low + (high - low) * own * (1 - 0.1 * band))
    return np.stack(bands)


def pair(
    change: str = "none",
    share: float = 0.25,
    shift: int = 0,
    noise: float = 15.0,
    gain: float = 1.15,
    offset: float = 40.0,
    windows: int = 8,
) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """Pre, post, valid and unchanged: uint16 windows of one place with a true line between the dates."""
    rng = np.random.default_rng(99)
    pre, post, valid, same = [], [], [], []
    for i in range(windows):
        wide = scene(i)
        ground = wide[:, 4:-4, 4:-4]
        later = wide[:, 4 - shift : 4 - shift + SIZE, 4 - shift : 4 - shift + SIZE].copy()
        stop = round(SIZE * share)
        unchanged = np.ones((SIZE, SIZE), bool)
        if change != "none":
            unchanged[:, :stop] = False
        if change == "bright":
            later[:, :, :stop] = rng.normal(2200, 150, later[:, :, :stop].shape)
        elif change == "dark":
            later[:, :, :stop] = rng.normal(150, 50, later[:, :, :stop].shape)
        elif change == "constant":
            later[:, :, :stop] = 900
        elif change == "another place":
            later[:, :, :stop] = scene(1000 + i)[:, :SIZE, :stop]
        later = gain * later + offset + rng.normal(0, noise, later.shape)
        pre.append(np.rint(ground + rng.normal(0, noise, ground.shape)).astype(np.uint16))
        post.append(np.clip(np.rint(later), 0, 65535).astype(np.uint16))
        valid.append(np.ones((SIZE, SIZE), bool))
        same.append(unchanged)
    return pre, post, valid, same


@pytest.mark.parametrize("change", ["none", "bright", "dark", "constant", "another place"])
@pytest.mark.parametrize("shift", [0, 2])
def test_the_gain_is_found_with_a_quarter_changed_noise_and_misregistration(change: str, shift: int) -> None:
    pre, post, valid, _ = pair(change, shift=shift)
    fitted = fit_radiometry(pre, post, valid)
    for gain in fitted.gain:
        assert gain == pytest.approx(1.15, rel=0.02)
    assert fitted.warnings == ()
    assert "x pre" in fitted.text and "(red)" in fitted.text


def test_change_in_small_patches_does_not_move_the_line() -> None:
    pre, post, valid, _ = pair()
    rng = np.random.default_rng(5)
    for window in post:
        patches = np.kron(rng.random((32, 32)) < 0.25, np.ones((8, 8), bool))
        window[:, patches] = 2500
    for gain in fit_radiometry(pre, post, valid).gain:
        assert gain == pytest.approx(1.15, rel=0.02)


def test_a_known_shift_helps_where_patches_and_misregistration_meet() -> None:
    pre, post, valid, _ = pair(shift=3)
    rng = np.random.default_rng(5)
    for window in post:
        patches = np.kron(rng.random((32, 32)) < 0.25, np.ones((8, 8), bool))
        window[:, patches] = 2500
    for gain in fit_radiometry(pre, post, valid, shift_px=(3, 3)).gain:
        assert gain == pytest.approx(1.15, rel=0.01)


def stretch(image: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    scaled = (image - low[:, None, None]) / (high - low)[:, None, None] * 255
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("share", [0.1, 0.25])
def test_unchanged_ground_stays_unchanged_where_a_stretch_per_image_moves_it(share: float) -> None:
    pre, post, valid, same = pair("bright", share=share, noise=2.0)
    fitted = fit_radiometry(pre, post, valid)
    ours, per_image = [], []
    whole = [np.concatenate([w.reshape(3, -1) for w in date], 1) for date in (pre, post)]
    ends = [np.percentile(values, (2, 98), 1) for values in whole]
    for a, b, keep in zip(pre, post, same, strict=True):
        ours.append(np.abs(fitted.pre.apply(a).astype(int) - fitted.post.apply(b))[:, keep])
        per_image.append(np.abs(stretch(a, *ends[0]).astype(int) - stretch(b, *ends[1]))[:, keep])
    assert np.concatenate(ours, 1).mean() < 1.5
    assert np.concatenate(per_image, 1).mean() > 10


def test_scale_and_offset_tags_do_not_matter() -> None:
    """Stored = (physical - offset) / scale: another scale and offset gives the very same 8 bit."""
    pre, post, valid, _ = pair("bright")
    plain = fit_radiometry(pre, post, valid)
    scaled_pre = [(0.0001 * a.astype(np.float64) - 0.1) for a in pre]
    scaled_post = [(0.02 * b.astype(np.float64) + 300.0) for b in post]
    scaled = fit_radiometry(scaled_pre, scaled_post, valid)
    for a, b, c, d in zip(pre, post, scaled_pre, scaled_post, strict=True):
        before = np.abs(plain.pre.apply(a).astype(int) - scaled.pre.apply(c))
        after = np.abs(plain.post.apply(b).astype(int) - scaled.post.apply(d))
        assert before.max() <= 1 and after.max() <= 1
        assert before.mean() < 0.01 and after.mean() < 0.01


def test_8_bit_dates_stay_as_they_are_and_the_line_is_reported() -> None:
    pre, post, valid, _ = pair()
    pre8 = [(a // 8).astype(np.uint8) for a in pre]
    post8 = [(b // 8).astype(np.uint8) for b in post]
    fitted = fit_radiometry(pre8, post8, valid)
    assert fitted.pre.kind == fitted.post.kind == "identity"
    assert fitted.gain[0] == pytest.approx(1.15, rel=0.02)
    assert "used as they are" in fitted.text and "1.15 x pre" in fitted.text
    matched = fit_radiometry(pre8, post8, valid, "match")
    assert matched.pre.kind == "identity" and matched.post.kind == "linear"
    before = np.abs(pre8[0].astype(int) - post8[0]).mean()
    after = np.abs(pre8[0].astype(int) - matched.post.apply(post8[0])).mean()
    assert after < before / 3


@pytest.mark.parametrize(
    "types", [("uint8", "uint16"), ("uint16", "uint8"), ("float32", "uint16"), ("uint8", "float32")]
)
def test_dates_of_different_types_meet(types: tuple[str, str]) -> None:
    pre, post, valid, _ = pair("another place", noise=3.0)
    scale = {"uint8": 1 / 8, "uint16": 1.0, "float32": 0.0001}

    def stored(windows: list[np.ndarray], dtype: str) -> list[np.ndarray]:
        return [(w * scale[dtype]).astype(dtype) for w in windows]

    a, b = stored(pre, types[0]), stored(post, types[1])
    fitted = fit_radiometry(a, b, valid)
    assert (fitted.pre.kind == "identity") == (types[0] == "uint8")
    right = slice(SIZE // 4, None)
    difference = np.abs(fitted.pre.apply(a[0]).astype(int) - fitted.post.apply(b[0]))[:, :, right]
    assert difference.mean() < 2.5


def test_the_stretch_is_pre_s_percentiles() -> None:
    pre, post, valid, _ = pair()
    fitted = fit_radiometry(pre, post, valid)
    low, high = np.percentile(np.concatenate([w[0].ravel() for w in pre]), (2, 98))
    assert fitted.pre.low[0] == pytest.approx(low, abs=3)
    assert fitted.pre.high[0] == pytest.approx(high, abs=3)
    assert "became 0..255" in fitted.text


def test_none_takes_the_whole_range_of_the_type() -> None:
    whole = [np.array([[[0, 65535], [32768, 257]]], np.uint16)]
    fitted = fit_radiometry(whole, whole, [np.ones((2, 2), bool)], "none")
    assert fitted.pre.apply(whole[0]).ravel().tolist() == [0, 255, 128, 1]
    signed = [np.array([[[-32768, 32767]]], np.int16)]
    fitted = fit_radiometry(signed, signed, [np.ones((1, 2), bool)], "none")
    assert fitted.pre.apply(signed[0]).ravel().tolist() == [0, 255]
    floats = [np.zeros((1, 2, 2), np.float32)]
    with pytest.raises(InputError, match=r"float32.*auto.*gdal_translate"):
        fit_radiometry(floats, floats, [np.ones((2, 2), bool)], "none")


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("which", ["pre", "post", "both"])
def test_a_constant_date_gives_the_identity_line_and_a_warning(dtype: str, which: str) -> None:
    pre, post, valid, _ = pair(windows=2)
    a = [(w // 8).astype(dtype) for w in pre]
    b = [(w // 8).astype(dtype) for w in post]
    if which in ("pre", "both"):
        a = [np.full_like(w, 7) for w in a]
    if which in ("post", "both"):
        b = [np.full_like(w, 9) for w in b]
    fitted = fit_radiometry(a, b, valid, "match")
    assert fitted.gain == (1.0,) * 3 and fitted.offset == (0.0,) * 3
    assert any("one value only" in w for w in fitted.warnings)
    assert fitted.pre.apply(a[0]).dtype == fitted.post.apply(b[0]).dtype == np.uint8


def test_a_constant_post_of_another_type_is_not_all_white() -> None:
    pre, _, valid, _ = pair(windows=2)
    b = [np.full((3, SIZE, SIZE), 30_000, np.uint16) for _ in pre]
    fitted = fit_radiometry([(w // 8).astype(np.uint8) for w in pre], b, valid)
    assert any("own percentiles" in w for w in fitted.warnings)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_no_valid_pixel_at_all_is_a_warning(dtype: str) -> None:
    empty = [np.zeros((3, 64, 64), dtype)]
    fitted = fit_radiometry(empty, empty, [np.zeros((64, 64), bool)])
    assert any("too few pixels" in w for w in fitted.warnings)
    fitted.pre.apply(empty[0])


def test_invalid_nan_and_saturated_pixels_do_not_count() -> None:
    pre, post, valid, _ = pair(noise=3.0)
    a = [w.astype(np.float32) for w in pre]
    b = [w.astype(np.float32) for w in post]
    rng = np.random.default_rng(8)
    for x, y, mask in zip(a, b, valid, strict=True):
        x[:, 200:, :] = -3.4e38
        mask[200:, :] = False
        y[:, :, 240:] = np.nan
        y[:, rng.random((SIZE, SIZE)) < 0.003] = np.inf
        np.minimum(y, 1300.0, out=y)
    fitted = fit_radiometry(a, b, valid)
    for gain in fitted.gain:
        assert gain == pytest.approx(1.15, rel=0.02)


def test_fill_without_a_tag_does_not_carry_the_line() -> None:
    pre, post, valid, _ = pair(noise=3.0)
    for x, y in zip(pre, post, strict=True):
        x[:, :150] = 0
        y[:, :150] = 0
    for gain in fit_radiometry(pre, post, valid).gain:
        assert gain == pytest.approx(1.15, rel=0.02)


def test_another_place_is_called_out() -> None:
    rng = np.random.default_rng(0)
    valid = [np.ones((SIZE, SIZE), bool)] * 4
    pre = [rng.integers(0, 255, (3, SIZE, SIZE)).astype(np.uint8) for _ in valid]
    post = [rng.integers(0, 255, (3, SIZE, SIZE)).astype(np.uint8) for _ in valid]
    assert any("hardly correlate" in w for w in fit_radiometry(pre, post, valid).warnings)


def test_the_same_samples_give_the_same_spec() -> None:
    pre, post, valid, _ = pair("bright")
    assert fit_radiometry(pre, post, valid).to_json() == fit_radiometry(pre, post, valid).to_json()


def test_complex_values_are_refused() -> None:
    waves = [np.zeros((1, 4, 4), np.complex64)]
    with pytest.raises(InputError, match="complex64"):
        fit_radiometry(waves, waves, [np.ones((4, 4), bool)])


def test_small_samples_are_enough_down_to_a_hundred_pixels() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 1000, (12, 12)).astype(np.uint16)
    line = fit_line([x], [(2 * x + 7).astype(np.uint16)], [np.ones((12, 12), bool)])
    assert line.gain == pytest.approx(2.0, rel=0.01) and line.offset == pytest.approx(7.0, abs=5)
    line = fit_line([x[:5]], [x[:5]], [np.ones((5, 12), bool)])
    assert line.problem is not None and line.gain == 1.0
