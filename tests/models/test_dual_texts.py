"""Tokenizers of dual encoders: the ids that the published ones give."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from dual_checkpoints import PIECES, make_siglip, sentencepiece_model
from tokenizers import Tokenizer

from rsccli.errors import ModelError
from rsccli.models.dual.texts import clip_tokenizer, folder_tokenizer, sentencepiece_tokenizer

TEXTS = (
    "a photo of a cat",
    "New Houses, built along a ROAD!",
    "it's the owner's land;  they've left\tearly",
    "café près de la forêt",
    "100m² of 12.5%, 3 buildings (2 large)",
    "房子 и дом",
)


@pytest.fixture(scope="module")
def clip() -> Tokenizer:
    return clip_tokenizer()


def test_clip_ids_are_the_published_ones(clip: Tokenizer) -> None:
    # Ids of openai/clip-vit-base-patch32 that its documentation prints for these two texts.
    assert clip.encode("a photo of a cat").ids == [49406, 320, 1125, 539, 320, 2368, 49407]
    assert clip.encode("a photo of a dog").ids == [49406, 320, 1125, 539, 320, 1929, 49407]
    assert clip.get_vocab_size() == 49408


def test_clip_ids_are_those_of_transformers_from_the_same_rules(clip: Tokenizer, tmp_path: Path) -> None:
    from transformers import CLIPTokenizerFast

    model = json.loads(clip.to_str())["model"]
    (tmp_path / "vocab.json").write_text(json.dumps(model["vocab"]))
    merges = [" ".join(each) if isinstance(each, list) else each for each in model["merges"]]
    (tmp_path / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    theirs = CLIPTokenizerFast(str(tmp_path / "vocab.json"), str(tmp_path / "merges.txt"))
    from_folder = folder_tokenizer(tmp_path)
    for text in TEXTS:
        assert clip.encode(text).ids == theirs(text)["input_ids"] == from_folder.encode(text).ids


def test_a_long_text_is_cut_and_keeps_its_end(clip: Tokenizer) -> None:
    cut = clip_tokenizer()
    cut.enable_truncation(77)
    ids = cut.encode("many houses " * 100).ids
    assert len(ids) == 77 and (ids[0], ids[-1]) == (49406, 49407) and 49407 not in ids[:-1]


@pytest.fixture(scope="module")
def siglip(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    path = tmp_path_factory.mktemp("sentencepiece") / "spiece.model"
    path.write_bytes(sentencepiece_model())
    return sentencepiece_tokenizer(path)


@pytest.mark.parametrize(
    "text", ["the new houses", "The NEW  houses.", " the, (new) houses! ", "the\tnew\nhouses", "the n-e-w houses"]
)
def test_siglip_texts_lose_case_signs_and_spaces(siglip: Tokenizer, text: str) -> None:
    first = 3  # behind <pad>, </s> and <unk>
    expected = [first + PIECES.index(piece) for piece in ("▁the", "▁new", "▁houses")]
    assert siglip.encode(text).ids == [*expected, 1]


def test_siglip_ids_are_those_of_the_slow_tokenizer(tmp_path: Path) -> None:
    pytest.importorskip("sentencepiece", reason="transformers reads SigLIP's own tokenizer with sentencepiece alone")
    from transformers import SiglipTokenizer

    path = tmp_path / "spiece.model"
    path.write_bytes(sentencepiece_model())
    slow, fast = SiglipTokenizer(str(path)), sentencepiece_tokenizer(path)
    fast.enable_truncation(64)
    for text in (*TEXTS, "the houses " * 50, "many buildings replaced the scene . as before"):
        assert fast.encode(text).ids == slow(text, truncation=True, max_length=64)["input_ids"]


def test_a_sentencepiece_model_comes_before_its_copy(tmp_path: Path, clip: Tokenizer) -> None:
    # SigLIP's folders hold a tokenizer.json, too; which one it is meant to be stands in the configuration.
    folder = make_siglip(tmp_path / "siglip")
    clip.save(str(folder / "tokenizer.json"))
    assert folder_tokenizer(folder).get_vocab_size() < 100
    told = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**told, "tokenizer_class": "GemmaTokenizer"}))
    assert folder_tokenizer(folder).get_vocab_size() == 49408


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("readme.txt", b"", "holds no tokenizer.json"),
        ("tokenizer.json", b"{}", "no 'model'"),
        ("spiece.model", b"\xff\xff\xff", "no sentencepiece model"),
        ("spiece.model", b"", "no Unigram model"),
    ],
)
def test_a_damaged_tokenizer_is_named(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=said):
        folder_tokenizer(tmp_path)
