from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
import tiny_bundle
from tile_pairs import grey_pair
from tiny_bundle import manifest_of, write_manifest

from rsccli.errors import BundleError, ModelError
from rsccli.models.captioner import CaptionerOptions
from rsccli.models.registry import load_captioner
from rsccli.models.small.captioner import BUNDLED, SmallFactory
from rsccli.types import Caption, TilePair

ONE = CaptionerOptions(device="cpu", threads=1)
needs_bundled = pytest.mark.skipif(not (BUNDLED / "rsccli.json").is_file(), reason="the bundle is not in this checkout")


def with_manifest(folder: Path, **fields: object) -> Path:
    write_manifest(folder, manifest_of(folder) | fields)
    return folder


def same(one: Caption, other: Caption) -> bool:
    """Equal in everything, mask included."""
    plain = dataclasses.replace(one, mask=None) == dataclasses.replace(other, mask=None)
    return plain and np.array_equal(one.mask, other.mask)


def test_words_scores_keywords_and_masks(scripted: Path) -> None:
    captions = load_captioner(scripted, ONE).caption([grey_pair(40), grey_pair(-40), grey_pair(0), grey_pair(6)])
    up, down, nothing, between = captions
    assert (up.text, up.status, up.keywords) == ("The scene is brighter now.", "changed", ("brighter", "any"))
    assert (down.text, down.status, down.keywords) == ("The scene is darker", "changed", ("darker", "any"))
    assert (nothing.text, nothing.status, nothing.keywords) == ("The scene is unchanged", "unchanged", ())
    assert between.status == "unsure"
    # logit = 40 * |lift| / 255 / std - 4
    for caption, lift in zip(captions, (40, 40, 0, 6), strict=True):
        assert caption.change_score == pytest.approx(1 / (1 + np.exp(4 - 40 * lift / 255 / 0.25)), abs=1e-4)
        assert caption.logprob is not None and caption.logprob <= 0
    assert up.mask is not None and up.mask.all() and up.mask.shape == (128, 128)
    assert nothing.mask is not None and not nothing.mask.any()


def test_a_mask_shows_where(scripted: Path) -> None:
    pair = grey_pair(0)
    post = pair.post.copy()
    post[:, 32:96, 64:] += 100
    (caption,) = load_captioner(scripted, ONE).caption([dataclasses.replace(pair, post=post)])
    assert caption.mask is not None
    inside = np.zeros((128, 128), bool)
    inside[32:96, 64:] = True
    assert (caption.mask ^ inside).mean() < 0.05


def test_tiles_of_any_size_in_one_batch_keep_their_order(scripted: Path) -> None:
    sizes = [(128, 128), (40, 70), (300, 200), (128, 128), (1, 1), (64, 512)]
    lifts = [40, -40, 40, 0, 40, -40]
    pairs = [grey_pair(lift, *size) for lift, size in zip(lifts, sizes, strict=True)]
    captions = load_captioner(scripted, ONE).caption(pairs)
    assert [caption.keywords[:1] for caption in captions] == [
        ("brighter",),
        ("darker",),
        ("brighter",),
        (),
        ("brighter",),
        ("darker",),
    ]
    assert [caption.mask.shape for caption in captions if caption.mask is not None] == sizes


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


def test_unchanged_tiles_need_no_decoding_where_the_manifest_says_so(spoiled: Path) -> None:
    captioner = load_captioner(with_manifest(spoiled, unchanged_text="Nothing changed."), ONE)
    nothing, up = captioner.caption([grey_pair(0), grey_pair(40)])
    assert (nothing.text, nothing.logprob) == ("Nothing changed.", None)
    assert up.text == "The scene is brighter now."
    assert [each.text for each in captioner.caption([grey_pair(0)])] == ["Nothing changed."]


def test_calibration_and_thresholds_decide(spoiled: Path) -> None:
    manifest = manifest_of(spoiled)
    manifest["calibration"] = {"scale": 0.0, "bias": 0.0}
    manifest["thresholds"] |= {"changed": 0.5, "keywords": [1.0, 1.0, 0.0]}
    write_manifest(spoiled, manifest)
    (caption,) = load_captioner(spoiled, ONE).caption([grey_pair(0)])
    assert (caption.status, caption.change_score, caption.keywords) == ("changed", 0.5, ("any",))


def test_a_decoder_without_words_still_gives_a_sentence(spoiled: Path) -> None:
    model = tiny_bundle.decoder("scripted")
    for weight in model.graph.initializer:
        if weight.name == "next_weight":
            table = np.zeros((16, 16), np.float32)
            table[:, 2] = 30
            weight.CopyFrom(onnx.numpy_helper.from_array(table, weight.name))
    onnx.save(model, spoiled / "decoder.onnx")
    captions = load_captioner(with_manifest(spoiled), ONE).caption([grey_pair(40), grey_pair(0), grey_pair(6)])
    assert [caption.text for caption in captions] == [
        "Something changed here.",
        "No change is visible.",
        "It is unclear whether something changed here.",
    ]


def test_max_new_tokens_from_the_options(scripted: Path) -> None:
    captioner = load_captioner(scripted, dataclasses.replace(ONE, max_new_tokens=2))
    assert captioner.caption([grey_pair(40)])[0].text == "The scene"


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
    model = tiny_bundle.embed()
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(np.eye(16, 20, dtype=np.float32), "table"))
    model.graph.output[0].type.tensor_type.shape.dim[2].dim_value = 20
    onnx.save(model, spoiled / "embed.onnx")
    with pytest.raises(ModelError, match="do not fit together"):
        load_captioner(with_manifest(spoiled), ONE).caption([grey_pair(0)])


def test_a_bands_count_that_the_encoder_does_not_take(spoiled: Path) -> None:
    model = tiny_bundle.encoder()
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 4
    model.graph.input[1].type.tensor_type.shape.dim[1].dim_value = 4
    onnx.save(model, spoiled / "encoder.onnx")
    with pytest.raises(ModelError, match=r"encoder failed on tile r00000c00000"):
        load_captioner(with_manifest(spoiled), ONE).caption([grey_pair(0)])


def real_pairs(shared: Path, count: int) -> list[TilePair]:
    """Real NAIP pairs of 2016 and 2020."""
    import rasterio

    pairs = []
    for pre in sorted((shared / "naip").glob("*_2016_*.tif")):
        post = pre.with_name(pre.name.replace("_2016_", "_2020_"))
        if not post.is_file():
            continue
        dates = []
        for path in (pre, post):
            with rasterio.open(path) as dataset:
                dates.append(dataset.read([1, 2, 3]))
        if dates[0].shape != dates[1].shape:
            continue
        empty = grey_pair(0, *dates[0].shape[1:], index=len(pairs))
        pairs.append(dataclasses.replace(empty, pre=dates[0], post=dates[1], gsd_m=0.6))
        if len(pairs) == count:
            return pairs
    raise AssertionError(f"fewer than {count} pairs in {shared}/naip")


@needs_bundled
@pytest.mark.shared
def test_the_bundled_captioner_on_real_pairs(shared: Path) -> None:
    pairs = real_pairs(shared, 12)
    captioner = load_captioner(options=ONE)
    first = captioner.caption(pairs)
    assert all(caption.text and caption.change_score is not None for caption in first)
    assert all(set(caption.keywords) <= set(captioner.info.keywords) for caption in first)
    # The same batch again, whatever was captioned in between: the same, to the last bit.
    captioner.caption(pairs[3:5])
    assert all(same(one, two) for one, two in zip(first, captioner.caption(pairs), strict=True))


@needs_bundled
@pytest.mark.shared
def test_threads_do_not_change_the_bundled_captioner(shared: Path) -> None:
    pairs = real_pairs(shared, 6)
    one = load_captioner(options=ONE).caption(pairs)
    two = load_captioner(options=dataclasses.replace(ONE, threads=2)).caption(pairs)
    assert all(same(a, b) for a, b in zip(one, two, strict=True))


@needs_bundled
@pytest.mark.shared
def test_both_decoders_say_the_same_with_the_bundled_captioner(shared: Path) -> None:
    pairs = real_pairs(shared, 12)
    lean = load_captioner(options=ONE).caption(pairs)
    optimum = load_captioner(options=dataclasses.replace(ONE, decoder="optimum")).caption(pairs)
    assert [caption.text for caption in lean] == [caption.text for caption in optimum]
    np.testing.assert_allclose(
        [caption.logprob or 0 for caption in lean], [caption.logprob or 0 for caption in optimum], atol=1e-4
    )
