from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tiny_bundle
from tile_pairs import grey_pair
from tiny_bundle import manifest_of, write_manifest

from rsccli.errors import BundleError, ModelError
from rsccli.models.captioner import CaptionerOptions
from rsccli.models.manifest import InputSpec
from rsccli.models.registry import load_captioner
from rsccli.models.small.captioner import SmallFactory, windows
from rsccli.models.small.facts import KEYWORDS
from rsccli.models.small.grammar import NOTHING, named_keywords
from rsccli.types import Caption, TilePair

ONE = CaptionerOptions(device="cpu", threads=1)


def with_manifest(folder: Path, **fields: object) -> Path:
    write_manifest(folder, manifest_of(folder) | fields)
    return folder


def with_part(folder: Path, part: str, **fields: object) -> Path:
    """The bundle with some fields of one object of its manifest set."""
    return with_manifest(folder, **{part: manifest_of(folder)[part] | fields})


def same(one: Caption, other: Caption) -> bool:
    """Equal in everything, mask included."""
    plain = dataclasses.replace(one, mask=None) == dataclasses.replace(other, mask=None)
    masks = (one.mask is None) == (other.mask is None)
    return plain and masks and (one.mask is None or np.array_equal(one.mask, other.mask))


def test_words_scores_keywords_and_masks(scripted: Path) -> None:
    captions = load_captioner(scripted, ONE).caption([grey_pair(40), grey_pair(-40), grey_pair(0), grey_pair(6)])
    up, down, nothing, between = captions
    assert (up.text, up.status, up.keywords) == ("The scene is greener now.", "changed", ("greener vegetation",))
    assert (down.text, down.status, down.keywords) == ("The scene is burnt", "changed", ("burn scar",))
    assert (nothing.text, nothing.status, nothing.keywords) == (NOTHING["short"][0], "unchanged", ())
    assert between.status == "unsure" and between.reason is not None and "lies between 0.20 and 0.60" in between.reason
    # logit = 40 * |lift| / 255 / std - 4
    for caption, lift in zip(captions, (40, 40, 0, 6), strict=True):
        assert caption.change_score == pytest.approx(1 / (1 + np.exp(4 - 40 * lift / 255 / 0.25)), abs=1e-4)
    assert up.logprob is not None and up.logprob <= 0 and up.reason is None
    assert up.mask is not None and up.mask.all() and up.mask.shape == (128, 128)
    assert nothing.mask is not None and not nothing.mask.any() and nothing.logprob is None


def test_a_mask_shows_where(scripted: Path) -> None:
    pair = grey_pair(0)
    post = pair.post.copy()
    post[:, 32:96, 64:] += 100
    (caption,) = load_captioner(scripted, ONE).caption([dataclasses.replace(pair, post=post)])
    assert caption.mask is not None
    inside = np.zeros((128, 128), bool)
    inside[32:96, 64:] = True
    assert (caption.mask ^ inside).mean() < 0.05


@pytest.mark.parametrize("side", [64, 128, 200, 203, 256, 512, 1024])
def test_a_mask_lies_on_its_pixels_in_tiles_of_any_side(scripted: Path, side: int) -> None:
    """Longer tiles than 128 are seen in windows: no seam, no shift, no pixel lost at the far edges."""
    pair = grey_pair(0, side, side)
    post = pair.post.copy()
    inside = np.zeros((side, side), bool)
    inside[side // 3 :, side // 2 :] = True
    post[:, inside] += 100
    (caption,) = load_captioner(scripted, ONE).caption([dataclasses.replace(pair, post=post)])
    assert caption.status == "changed" and caption.keywords == ("greener vegetation",)
    assert caption.mask is not None and caption.mask.shape == (side, side)
    rows, cols = np.nonzero(caption.mask ^ inside)
    off = np.minimum(abs(rows - side // 3), abs(cols - side // 2))
    assert off.max(initial=0) <= 4, (side, off.max())


@pytest.mark.parametrize(("height", "width"), [(200, 900), (9, 9), (70, 300), (515, 130)])
def test_tiles_that_are_not_square_with_a_border_without_data(scripted: Path, height: int, width: int) -> None:
    pair = grey_pair(40, height, width)
    valid = np.ones((height, width), bool)
    valid[:, width - width // 4 :] = False
    valid[height - height // 5 :] = False
    post = pair.post.copy()
    post[:, ~valid] = 255
    (caption,) = load_captioner(scripted, ONE).caption([dataclasses.replace(pair, post=post, valid=valid)])
    assert caption.status == "changed" and caption.mask is not None
    assert not (caption.mask & ~valid).any()
    assert (caption.mask == valid).mean() > 0.97


def test_windows_cover_a_tile_once_in_parts_that_fit_cells() -> None:
    spec = InputSpec(("r", "g", "b"), 64, 384, 64, (0.5,) * 3, (0.2,) * 3, None, 256)
    rng = np.random.default_rng(0)
    for height, width in [(64, 64), (384, 384), (385, 64), (1024, 1024), (5, 3000), *rng.integers(1, 2000, (40, 2))]:
        cover = np.zeros((height, width), np.uint8)
        pair = dataclasses.replace(grey_pair(0, 1, 1), valid=np.ones((height, width), bool))
        for at in windows(pair, spec):
            cover[at.row : at.row + at.height, at.col : at.col + at.width] += 1
            assert at.row % 4 == 0 and at.col % 4 == 0 and max(at.height, at.width) <= spec.max_side
        assert (cover == 1).all()


def test_tiles_of_any_size_in_one_batch_keep_their_order(scripted: Path) -> None:
    sizes = [(128, 128), (40, 70), (300, 200), (128, 128), (1, 1), (64, 512)]
    lifts = [40, -40, 40, 0, 40, -40]
    pairs = [grey_pair(lift, *size) for lift, size in zip(lifts, sizes, strict=True)]
    captions = load_captioner(scripted, ONE).caption(pairs)
    up, down = ("greener vegetation",), ("burn scar",)
    assert [caption.keywords for caption in captions] == [up, down, up, (), up, down]
    assert [caption.mask.shape for caption in captions if caption.mask is not None] == sizes


def test_what_else_is_in_a_batch_does_not_change_a_result(random_bundle: Path) -> None:
    sizes = [(128, 128), (40, 70), (300, 200), (128, 128), (64, 512), (200, 200), (96, 96)]
    lifts = [40, -40, 30, 6, -25, 60, 7]
    pairs = [grey_pair(lift, *size, seed=i) for i, (lift, size) in enumerate(zip(lifts, sizes, strict=True))]
    captioner = load_captioner(random_bundle, ONE)
    together = captioner.caption(pairs)
    backwards = captioner.caption(pairs[::-1])[::-1]
    for pair, one, other in zip(pairs, together, backwards, strict=True):
        (alone,) = captioner.caption([pair])
        for found in (one, other):
            assert (found.text, found.status, found.keywords) == (alone.text, alone.status, alone.keywords)
            assert found.change_score == pytest.approx(alone.change_score, abs=1e-5)
            np.testing.assert_array_equal(found.mask, alone.mask)


def test_pixels_without_data_say_nothing(scripted: Path) -> None:
    pair = grey_pair(40)
    valid = np.zeros((128, 128), bool)
    valid[:, :64] = True
    post = pair.post.copy()
    post[:, :, 64:] = 255
    (caption,) = load_captioner(scripted, ONE).caption([dataclasses.replace(pair, post=post, valid=valid)])
    assert caption.mask is not None
    np.testing.assert_array_equal(caption.mask, valid)


def test_an_empty_batch(scripted: Path) -> None:
    assert load_captioner(scripted, ONE).caption([]) == []


def foreign_pairs() -> list[tuple[TilePair, str]]:
    """Pairs that must not be judged, and a part of the reason."""
    pair = grey_pair(60)
    one_band = np.repeat(pair.pre[:1], 3, 0)
    red = np.broadcast_to(np.array([[[200]], [[60]], [[80]]], np.uint8), pair.pre.shape)
    return [
        (dataclasses.replace(pair, post=one_band), "later image is grey"),
        (dataclasses.replace(pair, pre=np.ascontiguousarray(red)), "earlier image is in false colour"),
        (dataclasses.replace(pair, gsd_m=30.0), "30 m per pixel"),
        (dataclasses.replace(pair, post=(pair.pre - 90) // 3 + 248), "clouds hide 100 % of the later image"),
        (dataclasses.replace(pair, pre=pair.pre // 4, post=pair.pre // 4 + 60), "earlier image looks unlike"),
    ]


@pytest.mark.parametrize(("pair", "say"), foreign_pairs(), ids=[say for _, say in foreign_pairs()])
def test_a_foreign_tile_is_unsure_with_the_reason_and_nothing_else(spoiled: Path, pair: TilePair, say: str) -> None:
    captioner = load_captioner(with_part(spoiled, "thresholds", domain=1.5), ONE)
    (caption,) = captioner.caption([pair])
    assert caption.status == "unsure" and caption.reason is not None and say in caption.reason
    assert caption.text == f"Not judged: {caption.reason}."
    assert caption.keywords == () and caption.mask is None and caption.logprob is None


def test_a_foreign_tile_does_not_touch_its_neighbours(scripted: Path) -> None:
    captioner = load_captioner(scripted, ONE)
    (alone,) = captioner.caption([grey_pair(40)])
    foreign, beside = captioner.caption([foreign_pairs()[2][0], grey_pair(40)])
    assert foreign.mask is None and same(alone, beside)


def test_unchanged_tiles_say_what_the_manifest_says(spoiled: Path) -> None:
    captioner = load_captioner(with_manifest(spoiled, unchanged_text="Nothing changed."), ONE)
    nothing, up = captioner.caption([grey_pair(0), grey_pair(40)])
    assert (nothing.text, nothing.logprob) == ("Nothing changed.", None)
    assert up.text == "The scene is greener now."
    assert [each.text for each in captioner.caption([grey_pair(0)])] == ["Nothing changed."]


def test_calibration_and_thresholds_decide(spoiled: Path) -> None:
    manifest = manifest_of(spoiled)
    manifest["calibration"] = {"scale": 0.0, "bias": -1.0, "vectors": 10.0}
    limits = [1.0] * len(KEYWORDS)
    limits[KEYWORDS.index("mud")] = 0.0
    manifest["thresholds"] |= {"changed": 0.5, "keywords": limits}
    write_manifest(spoiled, manifest)
    (caption,) = load_captioner(spoiled, ONE).caption([grey_pair(20)])
    assert (caption.status, caption.keywords) == ("changed", ("mud",))
    assert caption.change_score == pytest.approx(1 / (1 + np.exp(1 - 10 * 20 / 255 / 0.25)), abs=1e-4)


def test_a_sentence_that_denies_its_facts_is_replaced(spoiled: Path) -> None:
    """The decoder still says "greener" of what the thresholds call mud."""
    limits = [1.0] * len(KEYWORDS)
    limits[KEYWORDS.index("mud")] = 0.0
    (caption,) = load_captioner(with_part(spoiled, "thresholds", keywords=limits), ONE).caption([grey_pair(20)])
    assert caption.keywords == ("mud",) and named_keywords(caption.text) == {"mud"}
    assert caption.text == "Mud covers the ground over most of the scene." and caption.logprob is None


def test_a_decoder_without_words_still_gives_a_sentence(spoiled: Path) -> None:
    model = tiny_bundle.decoder("scripted")
    for weight in model.graph.initializer:
        if weight.name == "next_weight":
            table = np.zeros((tiny_bundle.WIDTH, tiny_bundle.WIDTH), np.float32)
            table[:, 2] = 90
            weight.CopyFrom(onnx.numpy_helper.from_array(table, weight.name))
    onnx.save(model, spoiled / "decoder.onnx")
    captions = load_captioner(with_manifest(spoiled), ONE).caption([grey_pair(40), grey_pair(0), grey_pair(6)])
    assert [caption.text for caption in captions] == [
        "The vegetation is greener over most of the scene.",
        NOTHING["short"][0],
        "Possibly greener vegetation, but this is not certain.",
    ]


def test_a_sentence_that_was_cut_short_is_replaced(scripted: Path) -> None:
    captioner = load_captioner(scripted, dataclasses.replace(ONE, max_new_tokens=2))
    assert captioner.caption([grey_pair(40)])[0].text == "The vegetation is greener over most of the scene."


@pytest.mark.parametrize(
    ("inside", "asked", "spoken"),
    [
        ("decoder", "auto", True),
        ("grammar", "auto", False),
        ("grammar", "decoder", True),
        ("decoder", "grammar", False),
    ],
)
def test_who_words_is_the_options_choice_then_the_bundles(spoiled: Path, inside: str, asked: Any, spoken: bool) -> None:
    captioner = load_captioner(with_manifest(spoiled, words=inside), dataclasses.replace(ONE, words=asked))
    (caption,) = captioner.caption([grey_pair(40)])
    assert (caption.text == "The scene is greener now.") is spoken
    assert (caption.logprob is not None) is spoken
    assert caption.keywords == ("greener vegetation",)


def test_the_news_register_uses_its_own_ways(scripted: Path) -> None:
    pair = grey_pair(0)
    post = pair.post.copy()
    post[:, :40, :40] += 100
    corner = dataclasses.replace(pair, post=post)
    texts = {}
    for register in ("short", "news"):
        options = dataclasses.replace(ONE, words="grammar", register=register)
        texts[register] = load_captioner(scripted, options).caption([corner])[0].text
    assert "in the upper left" in texts["short"]
    assert texts["news"] == "Vegetation has become greener and denser in the northwest."


def test_the_decoder_is_told_the_register(spoiled: Path) -> None:
    """A decoder that reads its prompt: the token of the register decides the word."""
    model = tiny_bundle.decoder("scripted")
    for weight in model.graph.initializer:
        if weight.name == "history_weight_0":
            table = np.zeros((tiny_bundle.WIDTH, tiny_bundle.WIDTH), np.float32)
            table[tiny_bundle.VOCAB.index("<news>"), tiny_bundle.VOCAB.index("greener")] = 90.0
            weight.CopyFrom(onnx.numpy_helper.from_array(table, weight.name))
    onnx.save(model, spoiled / "decoder.onnx")
    folder = with_manifest(spoiled)
    spoken = [
        load_captioner(folder, dataclasses.replace(ONE, register=name)).caption([grey_pair(40)])[0].logprob
        for name in ("short", "news")
    ]
    assert spoken[1] is not None and spoken[1] > -0.2
    assert spoken[0] is None or spoken[0] < spoken[1] - 0.05


def test_both_decoders_say_the_same(random_bundle: Path) -> None:
    pairs = [grey_pair(lift) for lift in range(-60, 61, 8)]
    lean = load_captioner(random_bundle, ONE).caption(pairs)
    optimum = load_captioner(random_bundle, dataclasses.replace(ONE, decoder="optimum")).caption(pairs)
    assert [caption.text for caption in lean] == [caption.text for caption in optimum]


def test_a_closed_captioner_says_so(scripted: Path) -> None:
    captioner = load_captioner(scripted, ONE)
    captioner.close()
    with pytest.raises(ModelError, match="is closed"):
        captioner.caption([grey_pair(0)])


def test_another_dtype_than_the_bundle_holds(scripted: Path) -> None:
    for use in (SmallFactory(scripted).describe, SmallFactory(scripted).open):
        with pytest.raises(ModelError, match="holds fp32 weights, not fp16"):
            use(dataclasses.replace(ONE, dtype="fp16"))
    assert SmallFactory(scripted).describe(dataclasses.replace(ONE, dtype="fp32")).dtype == "fp32"


def test_a_bundle_with_windows_resamples_no_tile(scripted: Path, spoiled: Path) -> None:
    assert SmallFactory(scripted).describe(ONE).max_side_px is None
    manifest = manifest_of(spoiled)
    del manifest["input"]["window"]
    write_manifest(spoiled, manifest)
    assert SmallFactory(spoiled).describe(ONE).max_side_px == 128


@pytest.mark.xfail(
    strict=True, raises=ValueError, reason="maps of resampled tiles are not brought back to their pixels"
)
def test_without_windows_longer_tiles_are_resampled(spoiled: Path) -> None:
    """As the manifest's ``max_side`` says."""
    manifest = manifest_of(spoiled)
    del manifest["input"]["window"]
    write_manifest(spoiled, manifest)
    (caption,) = load_captioner(spoiled, ONE).caption([grey_pair(40, 300, 200)])
    assert caption.mask is not None and caption.mask.shape == (300, 200) and caption.mask.all()


@pytest.mark.parametrize("name", ["encoder.onnx", "embed.onnx", "decoder.onnx"])
def test_a_graph_that_was_cut_before_its_hash_was_taken(spoiled: Path, name: str) -> None:
    content = (spoiled / name).read_bytes()
    (spoiled / name).write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(BundleError, match=rf"{name} is no graph"):
        load_captioner(with_manifest(spoiled), ONE)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_what_is_no_tokenizer(spoiled: Path, text: str) -> None:
    (spoiled / "tokenizer.json").write_text(text)
    with pytest.raises(BundleError, match=r"tokenizer\.json is no tokenizer"):
        load_captioner(with_manifest(spoiled), ONE)


def test_a_tokenizer_that_does_not_know_the_facts(spoiled: Path) -> None:
    path = spoiled / "tokenizer.json"
    path.write_text(path.read_text().replace("<greener vegetation>", "<greener>"))
    with pytest.raises(ModelError, match="does not know its own facts"):
        load_captioner(with_manifest(spoiled), ONE).caption([grey_pair(40)])


@pytest.mark.parametrize(
    ("name", "instead", "say"),
    [
        ("encoder.onnx", "embed.onnx", "has no input 'pre'"),
        ("decoder.onnx", "embed.onnx", "has no input 'inputs_embeds'"),
        ("embed.onnx", "decoder.onnx", "has an unknown input 'past_key_values.0.key'"),
    ],
)
def test_a_graph_in_the_place_of_another(spoiled: Path, name: str, instead: str, say: str) -> None:
    (spoiled / name).write_bytes((spoiled / instead).read_bytes())
    with pytest.raises(BundleError, match=rf"{name} .*{say}"):
        load_captioner(with_manifest(spoiled), ONE)


def test_graphs_that_do_not_fit_together_are_a_model_error(spoiled: Path) -> None:
    """Right names, wrong width: the encoder's tokens are narrower than the embeddings."""
    width = tiny_bundle.WIDTH
    model = tiny_bundle.embed()
    table = np.eye(width, width + 4, dtype=np.float32)
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(table, "table"))
    model.graph.output[0].type.tensor_type.shape.dim[2].dim_value = width + 4
    onnx.save(model, spoiled / "embed.onnx")
    with pytest.raises(ModelError, match="do not fit together"):
        load_captioner(with_manifest(spoiled), ONE).caption([grey_pair(40)])


def test_a_bands_count_that_the_encoder_does_not_take(spoiled: Path) -> None:
    model = tiny_bundle.encoder()
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 4
    model.graph.input[1].type.tensor_type.shape.dim[1].dim_value = 4
    onnx.save(model, spoiled / "encoder.onnx")
    with pytest.raises(ModelError, match=r"encoder failed on tile r00000c00000"):
        load_captioner(with_manifest(spoiled), ONE).caption([grey_pair(0)])


def test_a_score_that_is_no_number_is_a_model_error(spoiled: Path) -> None:
    model = tiny_bundle.encoder()
    for weight in model.graph.initializer:
        if weight.name == "four":
            weight.CopyFrom(onnx.numpy_helper.from_array(np.float32(np.nan), "four"))
    onnx.save(model, spoiled / "encoder.onnx")
    with pytest.raises(ModelError, match="change score of tile r00000c00000 is not finite"):
        load_captioner(with_manifest(spoiled), ONE).caption([grey_pair(0)])
