"""Both decoders over the same graphs: lean against recomputation, optimum against lean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_bundle import HEAD_DIM, TOPICS, VOCAB

from rsccli.errors import ModelError
from rsccli.models.bundle import Bundle, open_bundle
from rsccli.models.decoding.lean import LeanDecoder
from rsccli.models.decoding.tokens import Decoded, Decoder, Prompt, loop_tokens, without_loop
from rsccli.models.sessions import Device, open_session

F32 = npt.NDArray[np.float32]
EOS = 2
ENDS = frozenset({EOS})
STEPS = 24


def open_graphs(bundle: Bundle) -> tuple[onnxruntime.InferenceSession, onnxruntime.InferenceSession]:
    return tuple(open_session(bundle.path(name), Device("cpu"), 1) for name in ("embed.onnx", "decoder.onnx"))


def lean_of(folder: Path) -> LeanDecoder:
    bundle = open_bundle(folder)
    return LeanDecoder(*open_graphs(bundle), bundle.manifest.decoder, ends=ENDS, pad=0, device=Device("cpu"))


def optimum_of(folder: Path, beams: int = 1) -> Decoder:
    from rsccli.models.decoding.optimum import OptimumDecoder

    bundle = open_bundle(folder)
    return OptimumDecoder(*open_graphs(bundle), bundle.manifest.decoder, ends=ENDS, pad=0, num_beams=beams)


def prefixes(rows: int, length: int = 4, seed: int = 0) -> tuple[F32, npt.NDArray[np.int64]]:
    """Random image tokens and the begin token."""
    rng = np.random.default_rng(seed)
    prefix = rng.normal(0, 1, (rows, length, len(VOCAB))).astype(np.float32)
    prefix[:, -1] = np.eye(len(VOCAB))[1]
    return prefix, np.ones((rows, length), np.int64)


def topic_prefix(*topics: str) -> tuple[F32, npt.NDArray[np.int64]]:
    prefix, mask = prefixes(len(topics))
    for row, topic in enumerate(topics):
        prefix[row, :-1] = np.eye(len(VOCAB))[VOCAB.index(topic)]
    return prefix, mask


def words(decoded: Decoded) -> str:
    return " ".join(VOCAB[token] for token in decoded.tokens)


def recomputed(folder: Path, prefix: F32, mask: npt.NDArray[np.int64], steps: int) -> list[tuple[int, ...]]:
    """Greedy tokens without any past: the whole sequence through the graph at each step, one row at a time."""
    embed, decoder = open_graphs(open_bundle(folder))
    empty = np.zeros((1, 2, 0, HEAD_DIM), np.float32)
    past = {f"past_key_values.{i}.{part}": empty for i in range(2) for part in ("key", "value")}
    results = []
    for row in range(len(prefix)):
        sequence = prefix[row : row + 1, mask[row] == 1]
        tokens: list[int] = []
        while len(tokens) < steps:
            length = sequence.shape[1]
            feeds = {"inputs_embeds": sequence, "attention_mask": np.ones((1, length), np.int64)}
            feeds["position_ids"] = np.arange(length)[None]
            token = int(decoder.run(["logits"], feeds | past)[0][0, -1].argmax())
            if token == EOS or token in loop_tokens(tokens):
                break
            tokens.append(token)
            sequence = np.concatenate([sequence, embed.run(None, {"input_ids": np.array([[token]])})[0]], axis=1)
        results.append(without_loop(tokens))
    return results


def test_known_sentences_of_different_length_in_one_batch(scripted: Path) -> None:
    decoded = lean_of(scripted).decode(Prompt(*topic_prefix(*TOPICS)), STEPS)
    assert [words(each) for each in decoded] == [
        "The scene is greener now.",
        "The scene is burnt",
        "The scene is unchanged",
    ]
    assert all(-0.01 < each.logprob <= 0 for each in decoded)


def test_past_on_the_device_gives_what_recomputing_everything_gives(random_bundle: Path) -> None:
    prefix, mask = prefixes(24)
    decoded = lean_of(random_bundle).decode(Prompt(prefix, mask), STEPS)
    assert [each.tokens for each in decoded] == recomputed(random_bundle, prefix, mask, STEPS)
    assert len({each.tokens for each in decoded}) > 8, "the bundle is too dull to test anything"
    assert len({len(each.tokens) for each in decoded}) > 3


def test_left_padding_changes_nothing(random_bundle: Path) -> None:
    """A row that is padded to the length of its neighbours says what it says alone, whatever stands in the padding."""
    prefix, mask = prefixes(12, length=7, seed=3)
    for row in range(12):
        mask[row, : row % 5] = 0
        prefix[row, : row % 5] = 1e3
    decoded = lean_of(random_bundle).decode(Prompt(prefix, mask), STEPS)
    assert [each.tokens for each in decoded] == recomputed(random_bundle, prefix, mask, STEPS)


def test_a_row_does_not_depend_on_its_neighbours(random_bundle: Path) -> None:
    prefix, mask = prefixes(8, seed=5)
    decoder = lean_of(random_bundle)
    together = decoder.decode(Prompt(prefix, mask), STEPS)
    for row in range(8):
        (alone,) = decoder.decode(Prompt(prefix[row : row + 1], mask[row : row + 1]), STEPS)
        assert alone.tokens == together[row].tokens
        assert alone.logprob == pytest.approx(together[row].logprob, abs=1e-5)


def test_the_mean_log_probability_is_that_of_the_tokens_and_the_end(random_bundle: Path) -> None:
    prefix, mask = prefixes(1, seed=2)
    (decoded,) = lean_of(random_bundle).decode(Prompt(prefix, mask), STEPS)
    embed, decoder = open_graphs(open_bundle(random_bundle))
    empty = np.zeros((1, 2, 0, HEAD_DIM), np.float32)
    past = {f"past_key_values.{i}.{part}": empty for i in range(2) for part in ("key", "value")}
    logprobs = []
    assert 1 < len(decoded.tokens) < STEPS
    for count, token in enumerate([*decoded.tokens, EOS]):
        history = np.array([decoded.tokens[:count]], np.int64)
        sequence = np.concatenate([prefix, embed.run(None, {"input_ids": history})[0]], axis=1)
        feeds = {"inputs_embeds": sequence, "attention_mask": np.ones(sequence.shape[:2], np.int64)}
        feeds["position_ids"] = np.arange(sequence.shape[1])[None]
        logits = decoder.run(["logits"], feeds | past)[0][0, -1].astype(np.float64)
        logprobs.append(logits[token] - np.log(np.exp(logits).sum()))
    assert decoded.logprob == pytest.approx(np.mean(logprobs), abs=1e-5)


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_the_limit_holds(scripted: Path, limit: int) -> None:
    (decoded,) = lean_of(scripted).decode(Prompt(*topic_prefix("<up>")), limit)
    assert words(decoded) == " ".join("The scene is".split()[:limit])


def test_loops_end_with_one_copy(looping: Path) -> None:
    decoded = lean_of(looping).decode(Prompt(*topic_prefix("<up>", "<down>")), 200)
    assert [words(each) for each in decoded] == ["The scene is greener now.", "The scene is burnt"]


def test_damaged_numbers_are_an_error(scripted: Path) -> None:
    prefix, mask = topic_prefix("<up>", "<down>")
    prefix[1, 0, 0] = np.nan
    with pytest.raises(ModelError, match="not finite"):
        lean_of(scripted).decode(Prompt(prefix, mask), STEPS)


def test_a_prefix_of_the_wrong_width_is_a_model_error(scripted: Path) -> None:
    with pytest.raises(ModelError, match="decoder failed on a batch of 1"):
        lean_of(scripted).decode(Prompt(np.zeros((1, 3, 5), np.float32), np.ones((1, 3), np.int64)), STEPS)


def test_the_same_again_is_the_same(random_bundle: Path) -> None:
    prefix, mask = prefixes(8, seed=9)
    decoder = lean_of(random_bundle)
    assert decoder.decode(Prompt(prefix, mask), STEPS) == decoder.decode(Prompt(prefix, mask), STEPS)


@pytest.mark.parametrize("style", ["scripted", "looping", "random_bundle"])
def test_optimum_gives_the_tokens_of_lean(style: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(style)
    prefix, mask = prefixes(12, length=6, seed=1) if style == "random_bundle" else topic_prefix(*TOPICS)
    if style == "random_bundle":
        for row in range(12):
            mask[row, : row % 4] = 0
    lean = lean_of(folder).decode(Prompt(prefix, mask), STEPS)
    optimum = optimum_of(folder).decode(Prompt(prefix, mask), STEPS)
    assert [each.tokens for each in optimum] == [each.tokens for each in lean]
    np.testing.assert_allclose([each.logprob for each in optimum], [each.logprob for each in lean], atol=1e-5)


def test_beams_find_sentences_at_least_as_likely(random_bundle: Path) -> None:
    prefix, mask = prefixes(16, seed=2)
    greedy = optimum_of(random_bundle).decode(Prompt(prefix, mask), STEPS)
    beams = optimum_of(random_bundle, 4).decode(Prompt(prefix, mask), STEPS)
    gains = [four.logprob - one.logprob for four, one in zip(beams, greedy, strict=True)]
    # Beam search may drop the greedy sentence, but not as a rule.
    assert np.mean(gains) > 0
    assert any(four.tokens != one.tokens for four, one in zip(beams, greedy, strict=True))


@pytest.mark.parametrize(
    ("generated", "banned", "kept"),
    [
        ([], set(), ()),
        ([5], set(), (5,)),
        ([5, 5], {5}, (5,)),
        ([4, 5, 5], {5}, (4, 5)),
        ([4, 5, 4, 5], set(), (4, 5, 4, 5)),
        ([3, 4, 5, 4, 5, 4], {5}, (3, 4, 5)),
        ([1, 2, 3, 1, 2, 3, 1, 2], {3}, (1, 2, 3)),
        ([1, 2, 3, 1, 2, 4, 1, 2], set(), (1, 2, 3, 1, 2, 4, 1, 2)),
    ],
)
def test_loops(generated: list[int], banned: set[int], kept: tuple[int, ...]) -> None:
    assert loop_tokens(generated) == banned
    assert without_loop(generated) == kept


@given(st.lists(st.integers(0, 2), max_size=30))
def test_a_banned_token_is_exactly_one_that_completes_a_third_copy(generated: list[int]) -> None:
    def loops(tokens: list[int]) -> bool:
        return any(
            tokens[-block:] == tokens[-2 * block : -block] == tokens[-3 * block : -2 * block]
            for block in range(1, min(16, len(tokens) // 3) + 1)
        )

    assert loop_tokens(generated) == {token for token in range(3) if loops([*generated, token])}
