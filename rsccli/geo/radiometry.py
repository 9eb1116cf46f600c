"""Both dates to 8 bit without making change: one lookup table per date.

A stretch of each image by its own percentiles makes unchanged ground look changed, as what is new moves
the percentiles; a stretch of each tile makes seams too. So one stretch is taken from pre, over the whole
overlap, and post is brought to pre's values by one line per band before that stretch. The line is fitted
so that what did change does not pull it: start from quartiles and from slopes between random pairs of
pixels, then repeat reduced major axis regression (neither date is the free of error one, and the line
must not depend on which comes first) on what lies near the line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from rsccli.errors import InputError
from rsccli.geo.line import Line, fit_line, thinned
from rsccli.geo.lut import AnyArray, Lut
from rsccli.types import Bool

RadiometryMode = Literal["auto", "match", "none"]

LOW_PERCENT, HIGH_PERCENT = 2.0, 98.0
WEAK_CORRELATION = 0.3
_BAND_NAMES = {1: ("grey",), 3: ("red", "green", "blue")}


@dataclass(frozen=True)
class Radiometry:
    """How both dates become 8 bit.

    Attributes:
        mode: what was asked for.
        pre: table of the first date. post: table of the second.
        gain: per band, post = gain * pre + offset, measured on what did not change, stored values.
        offset: per band.
        text: one sentence for reports.
        warnings: what a person should know before trusting colours.
    """

    mode: RadiometryMode
    pre: Lut
    post: Lut
    gain: tuple[float, ...]
    offset: tuple[float, ...]
    text: str
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """What decides pixel values, for the run's spec: the mode and both tables."""
        return {"mode": self.mode, "pre": self.pre.to_json(), "post": self.post.to_json()}


def fit_radiometry(
    pre_samples: Sequence[AnyArray],
    post_samples: Sequence[AnyArray],
    valid: Sequence[Bool],
    mode: RadiometryMode = "auto",
    shift_px: tuple[int, int] = (0, 0),
) -> Radiometry:
    """Lookup tables of both dates from full-resolution samples of their overlap.

    Args:
        pre_samples: windows of the first date, (band, row, column), stored values. Not of overviews: an
            averaged overview narrows the percentiles.
        post_samples: the same windows of the second date, on the same grid.
        valid: bool (row, column) per window: both dates have data there.
        mode: ``auto``: 8-bit dates stay as they are, other types are stretched by pre's percentiles, post
            brought to pre's values first. ``match``: post is brought to pre's values for 8 bit too.
            ``none``: the whole range of the type becomes 0..255.
        shift_px: (right, down) by which post's content is known to lie off, whole pixels: the line is then
            fitted ground to ground. Up to 2 pixels hardly matter unless change comes in tiny patches.

    Returns:
        The tables, the measured line per band, and a sentence that says so.

    Raises:
        InputError: for ``none`` with a type that has no range of its own (floats), and for types that are
            neither integers nor real floats.
        ValueError: if there is no sample or shapes and types differ between samples.
    """
    pre_type, post_type = _one_type(pre_samples, "pre"), _one_type(post_samples, "post")
    bands = pre_samples[0].shape[0]
    names = _BAND_NAMES.get(bands, tuple(f"band {i + 1}" for i in range(bands)))
    if mode == "none":
        full_pre, full_post = _full_range(pre_type, bands, "pre"), _full_range(post_type, bands, "post")
        text = "Values were not adjusted: " + _none_sentence(full_pre, full_post)
        return Radiometry(mode, full_pre, full_post, (1.0,) * bands, (0.0,) * bands, text)

    aligned = [_crop(a, b, v, *shift_px) for a, b, v in zip(pre_samples, post_samples, valid, strict=True)]
    masks = [v for _, _, v in aligned]
    lines = [fit_line([p[b] for p, _, _ in aligned], [q[b] for _, q, _ in aligned], masks) for b in range(bands)]
    warnings = _line_warnings(lines, names)
    if pre_type == np.uint8:
        pre_lut = Lut.identity()
        stretch = [(0.0, 255.0)] * bands
    else:
        stretch = []
        for band in range(bands):
            span, problem = _percentiles([s[band] for s in pre_samples], valid, pre_type)
            stretch.append(span)
            if problem is not None:
                warnings.append(f"{names[band]} of pre: {problem}")
        pre_lut = Lut.linear(str(pre_type), tuple(s[0] for s in stretch), tuple(s[1] for s in stretch))

    if mode == "auto" and pre_type == np.uint8 and post_type == np.uint8:
        post_lut = Lut.identity()
    else:
        post_spans = []
        for band, line in enumerate(lines):
            if line.problem is not None and pre_type != post_type:
                # An identity line between different types would map everything to black or white.
                span, _ = _percentiles([s[band] for s in post_samples], valid, post_type)
                warnings.append(f"{names[band]} of post is stretched by its own percentiles")
            else:
                low, high = stretch[band]
                span = (line.gain * low + line.offset, line.gain * high + line.offset)
            post_spans.append(span)
        if post_type == np.uint8 and all(_is_whole_byte(*s) for s in post_spans):
            post_lut = Lut.identity()
        else:
            post_lut = Lut.linear(str(post_type), tuple(s[0] for s in post_spans), tuple(s[1] for s in post_spans))
    text = _sentence(pre_lut, post_lut, lines, names)
    return Radiometry(
        mode,
        pre_lut,
        post_lut,
        tuple(float(f"{line.gain:.6g}") for line in lines),
        tuple(float(f"{line.offset:.6g}") for line in lines),
        text,
        tuple(warnings),
    )


def _crop(pre: AnyArray, post: AnyArray, valid: Bool, right: int, down: int) -> tuple[AnyArray, AnyArray, Bool]:
    """The parts of a window that show the same ground when post lies off by whole pixels."""
    rows, cols = valid.shape
    if abs(right) >= cols or abs(down) >= rows:
        return pre[:, :0, :0], post[:, :0, :0], valid[:0, :0]
    pre_box = (slice(max(0, -down), rows - max(0, down)), slice(max(0, -right), cols - max(0, right)))
    post_box = (slice(max(0, down), rows - max(0, -down)), slice(max(0, right), cols - max(0, -right)))
    return pre[:, *pre_box], post[:, *post_box], valid[pre_box] & valid[post_box]


def _percentiles(
    samples: Sequence[AnyArray], valid: Sequence[Bool], dtype: np.dtype[Any]
) -> tuple[tuple[float, float], str | None]:
    """The values that become 0 and 255, and what is wrong with them."""
    values = thinned(samples, valid).astype(np.float64)
    if values.size == 0:
        span = _type_range(dtype)
        return (span or (0.0, 1.0)), "no pixel with data was sampled, so the stretch is a guess"
    low, high = (float(p) for p in np.percentile(values, (LOW_PERCENT, HIGH_PERCENT)))
    if high - low > 1e-9 * max(abs(low), abs(high)):
        return (low, high), None
    low, high = float(values.min()), float(values.max())
    if high - low > 1e-9 * max(abs(low), abs(high)):
        return (low, high), "nearly all pixels share one value"
    return (low, low + max(1.0, abs(low) * 1e-3)), "all pixels share one value"


def _one_type(samples: Sequence[AnyArray], name: str) -> np.dtype[Any]:
    """The type that all windows share."""
    if not samples:
        raise ValueError(f"no sample of {name}")
    types = {s.dtype for s in samples}
    if len(types) != 1 or len({s.shape[0] for s in samples}) != 1:
        raise ValueError(f"samples of {name} differ in type or number of bands")
    dtype = types.pop()
    if dtype.kind not in "iuf":
        raise InputError(
            f"{name}: values of type {dtype} cannot be shown as a picture; "
            "convert the file first, e.g. gdal_translate -ot Float32"
        )
    return dtype


def _type_range(dtype: np.dtype[Any]) -> tuple[float, float] | None:
    """Smallest and largest value of an integer type; None for floats."""
    if dtype.kind not in "iu":
        return None
    info = np.iinfo(dtype)
    return float(info.min), float(info.max)


def _full_range(dtype: np.dtype[Any], bands: int, name: str) -> Lut:
    """The table of mode ``none``."""
    if dtype == np.uint8:
        return Lut.identity()
    span = _type_range(dtype)
    if span is None:
        raise InputError(
            f"{name} holds {dtype} values, which have no range of their own, so --radiometry none cannot "
            "make them 8 bit; leave the option out (auto), or convert the file first: "
            "gdal_translate -ot Byte -scale MIN MAX 0 255 in.tif out.tif"
        )
    return Lut.linear(str(dtype), (span[0],) * bands, (span[1],) * bands)


def _is_whole_byte(low: float, high: float) -> bool:
    """Whether a line on uint8 changes nothing."""
    return abs(low) < 1e-9 and abs(high - 255.0) < 1e-9


def _line_warnings(lines: Sequence[Line], names: Sequence[str]) -> list[str]:
    """One warning per cause, naming the bands."""
    warnings = []
    for problem in dict.fromkeys(line.problem for line in lines if line.problem is not None):
        which = ", ".join(n for n, line in zip(names, lines, strict=True) if line.problem == problem)
        warnings.append(f"values of the dates cannot be compared ({which}): {problem}")
    weak = [
        f"{name} {line.correlation:.2f}"
        for name, line in zip(names, lines, strict=True)
        if line.correlation is not None and line.correlation < WEAK_CORRELATION
    ]
    if weak:
        warnings.append(f"the dates hardly correlate ({', '.join(weak)}): other bands, another place, or clouds?")
    return warnings


def _sentence(pre: Lut, post: Lut, lines: Sequence[Line], names: Sequence[str]) -> str:
    """What was done, for a person."""
    fitted = [
        f"{line.gain:.3g} x pre {'-' if line.offset < 0 else '+'} {abs(line.offset):.3g} ({name})"
        for line, name in zip(lines, names, strict=True)
        if line.problem is None
    ]
    measured = "post = " + ", ".join(fitted) if fitted else "no line between the dates could be measured"
    if pre.kind == post.kind == "identity":
        return f"8-bit values of both dates are used as they are; measured on unchanged ground: {measured}."
    how = f"{measured}; post was brought to pre's values by that" if fitted else measured
    if pre.kind == "identity":
        return f"{how[0].upper()}{how[1:]}; pre's 8-bit values are used as they are."
    spans = pre.describe().removeprefix("linear ")
    return f"{how[0].upper()}{how[1:]}; pre's {pre.dtype} values {spans} became 0..255."


def _none_sentence(pre: Lut, post: Lut) -> str:
    if pre.kind == post.kind == "identity":
        return "8-bit values of both dates are used as they are."
    return f"the whole range of {pre.dtype} (pre) and {post.dtype} (post) became 0..255."
