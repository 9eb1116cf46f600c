"""What the bundled captioner says of single pixels."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tile_pairs import grey_pair
from tiny_bundle import manifest_of

from rsccli.geo.pair import PairOptions, prepare_pair
from rsccli.models.captioner import Captioner, CaptionerOptions, CaptionsAndDetects, Detects
from rsccli.models.manifest import Manifest, parse_manifest
from rsccli.models.registry import describe_captioner, load_captioner
from rsccli.models.small.detect import CLASSES, KEYWORD_CLASSES, PIXEL_FITS, class_shares, pixel_fit, read_pixels
from rsccli.models.small.facts import KEYWORDS
from rsccli.models.small.reading import Window, log_odds
from rsccli.types import TilePair

ONE = CaptionerOptions(device="cpu", threads=1)


@pytest.fixture(scope="module")
def manifest(scripted: Path) -> Manifest:
    return parse_manifest(json.dumps(manifest_of(scripted)), scripted)


@pytest.fixture(scope="module")
def captioner() -> Iterator[Captioner]:
    loaded = load_captioner("rsccli-small", ONE)
    yield loaded
    loaded.close()


@pytest.fixture(scope="module")
def prairie(root: Path) -> list[TilePair]:
    """Tiles of the example pair; those at its right and bottom edges reach beyond it."""
    dates = [root / "examples" / f"prairie_{day}.tif" for day in ("2012-07-31", "2014-07-20")]
    pair = prepare_pair(*dates, PairOptions())
    with pair.env(), pair.aligner() as aligner:
        return [read.pair for block in pair.plan.blocks() for read in aligner.read(block)]  # type: ignore[union-attr]


def window(mask: np.ndarray, classes: np.ndarray | None = None, **others: Any) -> Window:
    rows, cols = mask.shape
    parts: dict[str, Any] = {
        "tokens": np.zeros((1, 1), np.float32),
        "change": 0.0,
        "vectors": 0.0,
        "keywords": np.zeros(len(KEYWORDS), np.float32),
        "domain": (0.0, 0.0),
        "mask": mask.astype(np.float32),
        "classes": np.zeros((len(KEYWORDS), rows, cols), np.float32) if classes is None else classes,
        "cloud": np.full((2, max(1, rows // 4), max(1, cols // 4)), -9, np.float32),
        "valid": np.ones(mask.shape, bool),
        "row": 0,
        "col": 0,
        "height": 4 * rows,
        "width": 4 * cols,
    }
    return Window(**(parts | others))


def test_every_keyword_belongs_to_one_class_and_every_class_has_keywords() -> None:
    assert set(KEYWORD_CLASSES) == set(KEYWORDS) and set(KEYWORD_CLASSES.values()) == set(CLASSES)
    shares = class_shares()
    assert shares.shape == (len(CLASSES), len(KEYWORDS))
    assert (shares.sum(0) == 1).all() and (shares.sum(1) >= 1).all()
    assert shares[CLASSES.index("burn"), KEYWORDS.index("burn scar")] == 1


def test_the_table_in_the_module_is_the_one_that_is_used() -> None:
    from rsccli.models.small import detect

    told = {}
    for line in (detect.__doc__ or "").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and cells[0] in CLASSES:
            told.update({word.strip(): cells[0] for word in cells[1].split(",")})
    assert told == dict(KEYWORD_CLASSES)


def test_classes_of_a_cell_add_up_the_keywords(manifest: Manifest) -> None:
    logits = np.full((len(KEYWORDS), 4, 4), -50, np.float32)
    logits[KEYWORDS.index("new house")] = np.log(2)
    logits[KEYWORDS.index("building removed")] = np.log(3)
    logits[KEYWORDS.index("tree loss")] = np.log(5)
    found = read_pixels([window(np.zeros((4, 4)), logits)], np.ones((16, 16), bool), manifest, None)
    assert found.classes is not None and found.classes.shape == (len(CLASSES), 16, 16)
    assert found.classes[CLASSES.index("building")] == pytest.approx(0.5, abs=1e-5)
    assert found.classes[CLASSES.index("vegetation")] == pytest.approx(0.5, abs=1e-5)
    assert found.classes.sum(0) == pytest.approx(1, abs=1e-5)


def test_weights_without_a_fit_keep_their_own_probability(manifest: Manifest) -> None:
    assert pixel_fit(manifest) == (1.0, 0.0)
    found = read_pixels([window(np.full((4, 4), log_odds(0.7)))], np.ones((16, 16), bool), manifest, None)
    assert found.probability == pytest.approx(0.7, abs=1e-4) and found.probability.dtype == np.float32


def test_the_fit_of_the_bundled_weights_makes_them_less_sure(manifest: Manifest) -> None:
    (revision,) = PIXEL_FITS
    fitted = replace(manifest, source=replace(manifest.source, revision=revision))
    scale, bias = pixel_fit(fitted)
    assert 0.8 < scale < 1.2 and bias < 0
    found = read_pixels([window(np.full((4, 4), log_odds(0.7)))], np.ones((16, 16), bool), fitted, None)
    assert found.probability == pytest.approx(1 / (1 + np.exp(-scale * log_odds(0.7) - bias)), abs=1e-4)


@pytest.mark.parametrize("side", [13, 14, 15, 16])
def test_the_edge_of_the_data_does_not_fade(side: int, manifest: Manifest) -> None:
    """The network lowers the logit of a cell by the share of it that has no data."""
    valid = np.zeros((32, 32), bool)
    valid[:side, :side] = True
    share = valid.reshape(8, 4, 8, 4).mean((1, 3))
    mask = 1.5 + (share - 1.0) * 20.0
    found = read_pixels([window(mask, valid=share > 0)], valid, manifest, None)
    assert found.probability[valid] == pytest.approx(1 / (1 + np.exp(-1.5)), abs=1e-4)
    assert (found.probability[~valid] == 0).all()


def test_windows_lie_side_by_side(manifest: Manifest) -> None:
    left = window(np.full((4, 4), 3.0))
    right = window(np.full((4, 4), -3.0), col=16)
    found = read_pixels([left, right], np.ones((16, 32), bool), manifest, None)
    assert (found.probability[:, :16] > 0.9).all() and (found.probability[:, 16:] < 0.1).all()


def test_a_reason_not_to_judge_is_told_beside_the_numbers(scripted: Path) -> None:
    loaded = load_captioner(scripted, ONE)
    (found,) = loaded.detect([replace(grey_pair(40), gsd_m=50.0)])  # type: ignore[attr-defined]
    (caption,) = loaded.caption([replace(grey_pair(40), gsd_m=50.0)])
    assert found.reason == caption.reason and found.reason is not None and "50 m per pixel" in found.reason
    assert found.probability.max() > 0.5


def test_the_bundled_captioner_detects(captioner: Captioner) -> None:
    assert isinstance(captioner, Detects) and isinstance(captioner, CaptionsAndDetects)
    assert captioner.class_names == CLASSES == describe_captioner("rsccli-small").classes
    assert captioner.longest_tile_px == 384 and captioner.keyword_classes == KEYWORD_CLASSES


def test_captions_and_pixels_come_from_one_look(captioner: Any, prairie: list[TilePair]) -> None:
    both = captioner.caption_and_detect(prairie)
    captions, detections = captioner.caption(prairie), captioner.detect(prairie)
    for (caption, detection), alone, pixels, pair in zip(both, captions, detections, prairie, strict=True):
        assert (caption.text, caption.change_score, caption.status) == (alone.text, alone.change_score, alone.status)
        assert np.array_equal(detection.probability, pixels.probability)
        assert detection.probability.shape == pair.valid.shape and detection.classes.shape[1:] == pair.valid.shape
        assert (detection.reason is not None) == (caption.mask is None)
        if caption.mask is not None and caption.status != "unchanged":
            # Away from edges of the data, where the caption's mask fades, both are the same logits.
            scale, bias = next(iter(PIXEL_FITS.values()))
            limit = 1 / (1 + np.exp(-scale * log_odds(0.6) - bias))
            inner = np.zeros_like(pair.valid)
            inner[:-8, :-8] = pair.valid[8:, 8:] & pair.valid[:-8, :-8]
            sure = inner & (np.abs(detection.probability - limit) > 1e-4)
            assert np.array_equal((detection.probability >= limit)[sure], caption.mask[sure])


def test_a_tile_is_judged_the_same_in_any_batch(captioner: Any, prairie: list[TilePair]) -> None:
    together = captioner.detect(prairie[:5])
    (alone,) = captioner.detect(prairie[3:4])
    # The last bit depends on how many windows the encoder sees at once; a step of a score is 0.004.
    assert np.abs(together[3].probability - alone.probability).max() < 1e-5
    assert np.abs(together[3].classes - alone.classes).max() < 1e-5


def test_the_same_image_twice_has_no_changed_pixel(captioner: Any, prairie: list[TilePair]) -> None:
    for found in captioner.detect([replace(pair, post=pair.pre) for pair in prairie[:4]]):
        assert found.probability.max() < 0.5 and found.probability.mean() < 0.02
