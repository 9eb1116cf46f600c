"""The bundle that ships: whole, small, and as modest as its card says."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio

from rsccli.datasets.backgrounds import Sources, read_sources
from rsccli.datasets.generated import GeneratedPair, generate, reversed_in_time
from rsccli.models.captioner import Captioner, CaptionerOptions
from rsccli.models.registry import load_captioner
from rsccli.models.small.captioner import BUNDLED, BUNDLED_INT8
from rsccli.models.small.facts import KEYWORDS, REVERSED
from rsccli.models.small.grammar import named_keywords
from rsccli.training.development import RealPair, labelled_pairs
from rsccli.types import U8, Caption, MapBounds, PxWindow, Tile, TilePair

ONE = CaptionerOptions(device="cpu", threads=1)


def as_tile(pre: U8, post: U8, gsd_m: float = 0.6) -> TilePair:
    """Two (3, H, W) images as one tile without holes."""
    height, width = pre.shape[1:]
    tile = Tile("r00000c00000", 0, 0, PxWindow(0, 0, width, height), MapBounds(0, 0, width, height))
    return TilePair(tile, pre, post, np.ones((height, width), bool), gsd_m)


def other_light(image: U8, seed: int, bands: int = 3) -> U8:
    """Gain (of each band, or one for all), gamma and one more JPEG coding."""
    rng = np.random.default_rng(seed)
    x = (image / 255.0) ** rng.uniform(0.85, 1.18) * rng.uniform(0.88, 1.12, (bands, 1, 1))
    rows = np.ascontiguousarray(np.moveaxis(np.clip(x * 255, 0, 255).astype(np.uint8), 0, 2))
    _, coded = cv2.imencode(".jpg", rows, [cv2.IMWRITE_JPEG_QUALITY, 80])
    return np.ascontiguousarray(np.moveaxis(cv2.imdecode(coded, cv2.IMREAD_COLOR), 2, 0))


def same(one: Caption, other: Caption) -> bool:
    """Equal to the last bit, mask included."""
    plain = dataclasses.replace(one, mask=None) == dataclasses.replace(other, mask=None)
    return plain and np.array_equal(one.mask, other.mask)


@pytest.fixture(scope="module")
def captioner() -> Captioner:
    return load_captioner("rsccli-small", ONE)


@pytest.fixture(scope="module")
def development(shared: Path) -> Sources:
    return read_sources(shared, "development")


@pytest.fixture(scope="module")
def chips(development: Sources) -> list[RealPair]:
    return labelled_pairs(development)[0][:60]


@pytest.fixture(scope="module")
def forward(captioner: Captioner, chips: list[RealPair]) -> list[Caption]:
    return captioner.caption([as_tile(pair.pre, pair.post) for pair in chips])


def test_it_ships_whole_and_all_bundles_together_under_forty_megabytes() -> None:
    manifest = json.loads((BUNDLED / "rsccli.json").read_text())
    assert set(manifest["files"]) == {path.name for path in BUNDLED.iterdir()} - {"rsccli.json"}
    assert sum(path.stat().st_size for path in BUNDLED.parent.rglob("*") if path.is_file()) < 40e6


@pytest.mark.parametrize("folder", [BUNDLED, BUNDLED_INT8], ids=["fp32", "int8"])
def test_its_files_are_those_of_its_manifest(folder: Path) -> None:
    for name, entry in json.loads((folder / "rsccli.json").read_text())["files"].items():
        content = (folder / name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (entry["bytes"], entry["sha256"]), name


def test_its_graphs_said_what_pytorch_said_when_it_was_made() -> None:
    parity = json.loads((BUNDLED / "rsccli.json").read_text())["parity"]
    assert parity["captions_equal"] == parity["pairs"] > 0
    assert max(value for value in parity.values() if isinstance(value, float)) < 2e-3


def test_it_says_what_it_was_trained_on_and_what_it_cannot_do(captioner: Captioner) -> None:
    assert "NAIP" in captioner.info.training_data and "synthetic" in captioner.info.training_data
    assert "arvey" not in captioner.info.training_data
    assert len(captioner.info.limits) >= 3
    assert captioner.info.keywords == KEYWORDS


@pytest.mark.shared
def test_one_image_twice_is_unchanged(captioner: Captioner, chips: list[RealPair]) -> None:
    for caption in captioner.caption([as_tile(pair.post, pair.post) for pair in chips]):
        assert caption.status == "unchanged" and caption.keywords == ()
        assert caption.mask is not None and not caption.mask.any()


@pytest.mark.shared
def test_other_light_is_no_change(captioner: Captioner, chips: list[RealPair]) -> None:
    tiles = [as_tile(pair.post, other_light(pair.post, seed)) for seed, pair in enumerate(chips)]
    called = np.mean([caption.status == "changed" for caption in captioner.caption(tiles)])
    assert called <= 0.05


@pytest.mark.shared
def test_brighter_or_darker_light_alone_is_unchanged(captioner: Captioner, chips: list[RealPair]) -> None:
    tiles = [as_tile(other_light(pair.post, seed, 1), pair.post) for seed, pair in enumerate(chips)]
    quiet = np.mean([caption.status == "unchanged" for caption in captioner.caption(tiles)])
    assert quiet >= 0.95


@pytest.mark.shared
def test_the_answer_is_the_same_with_the_dates_swapped(
    captioner: Captioner, chips: list[RealPair], forward: list[Caption]
) -> None:
    backward = captioner.caption([as_tile(pair.post, pair.pre) for pair in chips])
    # Measured 0.68 on these 60 chips; the opposite answer is the worse mistake.
    same = np.mean([a.status == b.status for a, b in zip(forward, backward, strict=True)])
    opposite = np.mean(
        [{a.status, b.status} == {"changed", "unchanged"} for a, b in zip(forward, backward, strict=True)]
    )
    assert same >= 0.6 and opposite <= 0.1
    # Of what is said both ways, little may be the same word: a change has a direction.
    turns = [
        (set(a.keywords) & REVERSED.keys(), set(b.keywords))
        for a, b in zip(forward, backward, strict=True)
        if a.status == b.status == "changed"
    ]
    stuck = [len(one & other) / len(one) for one, other in turns if one]
    assert stuck and np.mean(stuck) <= 0.35


def turns(word: str, others: set[str]) -> bool:
    """Whether a word's reverse is said of the exchanged pair; flood turns to water loss and back."""
    return any(REVERSED.get(word) == other or REVERSED.get(other) == word for other in others)


@pytest.mark.shared
def test_drawn_changes_turn_round_with_their_dates(captioner: Captioner, development: Sources) -> None:
    drawn = [generate(development, 7, index, 128) for index in range(200)]
    pairs = [pair for pair in drawn if pair.changed and pair.keywords and reversed_in_time(pair)]
    assert len(pairs) >= 25

    def tile(pair: GeneratedPair, pre: U8, post: U8) -> TilePair:
        return dataclasses.replace(as_tile(pre, post, pair.gsd_m), valid=pair.valid)

    there = captioner.caption([tile(pair, pair.pre, pair.post) for pair in pairs])
    back = captioner.caption([tile(pair, pair.post, pair.pre) for pair in pairs])
    # Measured 0.86 on 138 pairs of this kind; of the words said both ways 0.57 turned and 0.17 stayed.
    assert np.mean([a.status == b.status for a, b in zip(there, back, strict=True)]) >= 0.7
    said = [(a.keywords, set(b.keywords)) for a, b in zip(there, back, strict=True) if a.keywords and b.keywords]
    words = [(word, others) for ours, others in said for word in ours if REVERSED.get(word, word) != word]
    turned = sum(turns(word, others) for word, others in words)
    stayed = sum(word in others for word, others in words)
    assert turned >= 0.25 * len(words) > 0 and turned > stayed, (turned, stayed, len(words))


@pytest.mark.shared
def test_a_batch_says_the_same_whatever_was_captioned_before(
    captioner: Captioner, chips: list[RealPair], forward: list[Caption]
) -> None:
    tiles = [as_tile(pair.pre, pair.post) for pair in chips]
    captioner.caption(tiles[7:9])
    for one, again in zip(forward, captioner.caption(tiles), strict=True):
        assert same(one, again)


@pytest.mark.shared
def test_threads_change_nothing(chips: list[RealPair], forward: list[Caption]) -> None:
    two = load_captioner("rsccli-small", dataclasses.replace(ONE, threads=2))
    # The split of work follows the batch, so it is the same batch as before.
    for one, other in zip(forward, two.caption([as_tile(pair.pre, pair.post) for pair in chips]), strict=True):
        assert same(one, other)


@pytest.mark.shared
def test_both_decoders_say_the_same(captioner: Captioner, chips: list[RealPair]) -> None:
    tiles = [as_tile(pair.pre, pair.post) for pair in chips[:12]]
    lean = captioner.caption(tiles)
    optimum = load_captioner("rsccli-small", dataclasses.replace(ONE, decoder="optimum")).caption(tiles)
    assert [caption.text for caption in lean] == [caption.text for caption in optimum]
    assert any(caption.logprob is not None for caption in lean)
    np.testing.assert_allclose([c.logprob or 0 for c in lean], [c.logprob or 0 for c in optimum], atol=1e-4)


@pytest.mark.shared
def test_eight_bits_answer_alike(chips: list[RealPair], forward: list[Caption]) -> None:
    small = load_captioner("rsccli-small-int8", ONE)
    assert small.info.dtype == "int8" and small.info.name == "rsccli-small-int8"
    captions = small.caption([as_tile(pair.pre, pair.post) for pair in chips])
    assert np.mean([a.status == b.status for a, b in zip(forward, captions, strict=True)]) >= 0.85
    gaps = [abs((a.change_score or 0) - (b.change_score or 0)) for a, b in zip(forward, captions, strict=True)]
    assert np.mean(gaps) <= 0.03


@pytest.mark.shared
def test_windows_without_data_say_nothing(captioner: Captioner, chips: list[RealPair]) -> None:
    """A long tile whose last windows are empty, or all but empty, speaks of what the others show."""
    pair = next(pair for pair in chips if pair.changed)
    pre, post = (np.concatenate([image, np.zeros((3, 256, 768), np.uint8)], 2) for image in (pair.pre, pair.post))
    valid = np.zeros((256, 1024), bool)
    valid[:, :256] = True
    tile = dataclasses.replace(as_tile(pre, post), valid=valid)
    valid_corner = valid.copy()
    valid_corner[:8, 256:264] = True
    corner = dataclasses.replace(tile, valid=valid_corner)
    alone, first, second = captioner.caption([as_tile(pair.pre, pair.post), tile, corner])
    assert first.keywords == second.keywords == alone.keywords
    assert first.change_score == pytest.approx(alone.change_score, abs=1e-4)
    assert second.change_score == pytest.approx(alone.change_score, abs=1e-4)


@pytest.mark.shared
def test_sentences_name_what_is_reported_and_nothing_else(forward: list[Caption]) -> None:
    spoken = [caption for caption in forward if caption.keywords]
    assert len(spoken) >= 8
    for caption in spoken:
        assert named_keywords(caption.text) == set(caption.keywords), caption.text


@pytest.mark.shared
def test_ponds_that_grew_are_spoken_of(captioner: Captioner, shared: Path) -> None:
    """The example pair of the package; these dates were not trained on."""
    images = []
    for date in ("20120731", "20140720"):
        with rasterio.open(next((shared / "prairie").glob(f"*_{date}.tif"))) as source:
            images.append(source.read((1, 2, 3))[:, :512, :768])
    tiles = [
        as_tile(images[0][:, y : y + 256, x : x + 256], images[1][:, y : y + 256, x : x + 256], 5.0)
        for y in (0, 256)
        for x in (0, 256, 512)
    ]
    captions = captioner.caption(tiles)
    # Most are unsure: its thresholds come from finer imagery. What it names is right.
    spoken = [caption for caption in captions if caption.status != "unchanged"]
    assert len(spoken) >= 4 and any(caption.status == "changed" for caption in captions)
    assert sum(bool({"water gain", "flood"} & set(caption.keywords)) for caption in captions) >= 3
    assert not any("water loss" in caption.keywords for caption in captions)
