"""Lookup tables: every stored type becomes the same 8 bit by the fast way and by the formula."""

import json

import numpy as np
import pytest

from rsccli.geo.lut import Lut


def by_formula(values: np.ndarray, low: float, high: float) -> np.ndarray:
    line = np.clip(np.rint((values.astype(np.float64) - low) * (255.0 / (high - low))), 0, 255)
    return np.nan_to_num(line, nan=0.0).astype(np.uint8)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "int64", "float64"])
@pytest.mark.parametrize("interleaved", [False, True])
def test_every_type_follows_the_line(dtype: str, interleaved: bool) -> None:
    rng = np.random.default_rng(3)
    span = (-90, 100) if dtype in ("int8",) else (0, 250) if dtype.startswith("u") else (-30_000, 30_000)
    pixels = rng.integers(*span, size=(3, 40, 50)).astype(dtype)
    if interleaved:
        pixels = np.ascontiguousarray(pixels.transpose(1, 2, 0)).transpose(2, 0, 1)
    lut = Lut.linear(dtype, (10.0, -20.0, 3.5), (90.0, 200.0, 77.25))
    out = lut.apply(pixels)
    assert out.dtype == np.uint8 and out.shape == pixels.shape
    for band in range(3):
        np.testing.assert_array_equal(out[band], by_formula(pixels[band], lut.low[band], lut.high[band]))


def test_float32_is_within_one_step_and_nan_is_black() -> None:
    rng = np.random.default_rng(4)
    pixels = rng.normal(0.2, 0.1, (3, 64, 64)).astype(np.float32)
    pixels[:, 0, 0] = np.nan
    pixels[:, 0, 1] = np.inf
    pixels[:, 0, 2] = -np.inf
    lut = Lut.linear("float32", (0.0,) * 3, (0.5,) * 3)
    with np.errstate(all="raise"):
        out = lut.apply(pixels)
    assert out[:, 0, 0].tolist() == [0, 0, 0]
    assert out[:, 0, 1].tolist() == [255] * 3 and out[:, 0, 2].tolist() == [0] * 3
    expected = by_formula(pixels[0, 1:], 0.0, 0.5)
    assert np.abs(out[0, 1:].astype(int) - expected).max() <= 1


def test_a_large_offset_does_not_eat_the_steps_of_wide_types() -> None:
    base = 2_000_000_000
    pixels = (base + np.arange(256, dtype=np.int64)).reshape(1, 16, 16)
    lut = Lut.linear("int64", (float(base),), (float(base + 255),))
    np.testing.assert_array_equal(lut.apply(pixels).ravel(), np.arange(256))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_one_band_stands_for_all(dtype: str) -> None:
    pixels = np.arange(64, dtype=dtype).reshape(1, 8, 8)
    lut = Lut.linear(dtype, (0.0, 10.0, 20.0), (100.0,) * 3)
    np.testing.assert_array_equal(lut.apply(pixels), lut.apply(np.repeat(pixels, 3, axis=0)))
    assert lut.apply(pixels).shape == (3, 8, 8)


def test_identity_copies_nothing() -> None:
    pixels = np.zeros((3, 4, 4), np.uint8)
    assert Lut.identity().apply(pixels) is pixels


def test_json_round_trip_is_exact_and_canonical() -> None:
    lut = Lut.linear("uint16", (212.123456789123, 0.1 + 0.2, -3.0), (1830.0, 5.0, 8.0))
    text = json.dumps(lut.to_json(), sort_keys=True)
    back = Lut.from_json(json.loads(text))
    assert back == lut
    assert json.dumps(back.to_json(), sort_keys=True) == text
    assert lut.low[1] == 0.3  # the last bit of a sum does not reach the spec
    assert Lut.from_json(Lut.identity().to_json()) == Lut.identity()


def test_wrong_input_is_refused() -> None:
    lut = Lut.linear("uint16", (0.0,) * 3, (1.0,) * 3)
    with pytest.raises(ValueError, match="uint16"):
        lut.apply(np.zeros((3, 2, 2), np.uint8))
    with pytest.raises(ValueError, match="3 bands"):
        lut.apply(np.zeros((2, 2, 2), np.uint16))
    for low, high in ((1.0, 1.0), (2.0, 1.0), (float("nan"), 1.0), (0.0, float("inf"))):
        with pytest.raises(ValueError, match="finite"):
            Lut.linear("uint16", (low,), (high,))
    with pytest.raises(ValueError, match="uint8"):
        Lut("identity", "uint16")


def test_describe() -> None:
    assert Lut.identity().describe() == "identity"
    assert Lut.linear("uint16", (212.0,) * 3, (1830.0,) * 3).describe() == "linear 212..1830"
    assert Lut.linear("uint8", (0.0, 1.5), (255.0, 200.0)).describe() == "linear 0..255, 1.5..200"
