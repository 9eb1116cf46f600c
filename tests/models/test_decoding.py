"""Both decoders over the same graphs: lean against recomputation, optimum against lean."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_bundle import HEAD_DIM, TOPICS, VOCAB, write_tiny_bundle

from rsccli.errors import ModelError, OutOfMemoryError
from rsccli.models.bundle import Bundle, open_bundle
from rsccli.models.decoding import prefill
from rsccli.models.decoding.buffers import KeyValueBuffers
from rsccli.models.decoding.lean import LeanDecoder
from rsccli.models.decoding.sampling import choose, log_probabilities
from rsccli.models.decoding.tokens import (
    GREEDY,
    LOOP_RULE,
    NO_LOOP_RULE,
    Decoded,
    Decoder,
    LoopRule,
    Prompt,
    Sampling,
    loop_tokens,
    next_positions,
    penalised,
    without_loop,
)
from rsccli.models.devices import Device
from rsccli.models.large.captioner import LOOPS
from rsccli.models.large.family import Row, collate
from rsccli.models.manifest import DecoderSpec
from rsccli.models.sessions import open_session

F32 = npt.NDArray[np.float32]
EOS = 2
ENDS = frozenset({EOS})
STEPS = 24


def open_graphs(bundle: Bundle) -> tuple[onnxruntime.InferenceSession, onnxruntime.InferenceSession]:
    return tuple(open_session(bundle.path(name), Device("cpu"), 1) for name in ("embed.onnx", "decoder.onnx"))


def lean_of(
    folder: Path,
    ends: frozenset[int] = ENDS,
    loops: LoopRule = LOOP_RULE,
    sampling: Sampling = GREEDY,
    penalty: float = 1.0,
) -> LeanDecoder:
    bundle = open_bundle(folder)
    graphs, spec, device = open_graphs(bundle), bundle.manifest.decoder, Device("cpu")
    return LeanDecoder(*graphs, spec, ends=ends, pad=0, device=device, loops=loops, sampling=sampling, penalty=penalty)


def optimum_of(
    folder: Path,
    beams: int = 1,
    ends: frozenset[int] = ENDS,
    loops: LoopRule = LOOP_RULE,
    penalty: float = 1.0,
) -> Decoder:
    from rsccli.models.decoding.optimum import OptimumDecoder

    bundle = open_bundle(folder)
    graphs, spec = open_graphs(bundle), bundle.manifest.decoder
    return OptimumDecoder(*graphs, spec, ends=ends, pad=0, num_beams=beams, loops=loops, penalty=penalty)


def either(name: str, folder: Path, **options: object) -> Decoder:
    return {"lean": lean_of, "optimum": optimum_of}[name](folder, **options)  # type: ignore[arg-type]


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
            looped = token in loop_tokens(tokens)
            if token == EOS or looped:
                break
            tokens.append(token)
            sequence = np.concatenate([sequence, embed.run(None, {"input_ids": np.array([[token]])})[0]], axis=1)
        results.append(without_loop(tokens) if looped else tuple(tokens))
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


@given(st.lists(st.integers(0, 1), max_size=40), st.integers(1, 8), st.integers(0, 12))
def test_a_rule_bans_exactly_what_completes_the_last_copy(generated: list[int], longest: int, least: int) -> None:
    rule = LoopRule(longest, least)

    def loops(tokens: list[int]) -> bool:
        blocks = range(1, longest + 1)
        return any(
            len(tokens) >= count * block and tokens[-count * block :] == tokens[-block:] * count
            for block, count in ((block, max(3, -(-least // block))) for block in blocks)
        )

    banned = loop_tokens(generated, rule)
    assert banned == {token for token in range(2) if loops([*generated, token])}
    kept = without_loop(generated, rule)
    assert kept == tuple(generated[: len(kept)])
    assert (len(kept) < len(generated)) == bool(banned)


def test_the_rule_of_large_models_lets_numbers_pass_and_stops_sentences() -> None:
    assert LoopRule(longest=64, least=24) == LOOPS
    for zeros in range(23):
        assert loop_tokens([7, 1, *[0] * zeros], LOOPS) == set(), f"{zeros} zeros and one more"
        assert without_loop([7, 1, *[0] * zeros], LOOPS) == (7, 1, *[0] * zeros)
    assert loop_tokens([7, 1, *[0] * 23], LOOPS) == {0}
    assert without_loop([7, 1, *[0] * 23], LOOPS) == (7, 1, 0)
    # The rule of the small captioner, whose tokens are words, would have cut the number.
    assert loop_tokens([7, 1, 0, 0]) == {0}
    # Pairs of digits, as in 10101010, may stand eleven times.
    assert loop_tokens([1, 0] * 10 + [1], LOOPS) == set()
    assert loop_tokens([1, 0] * 11 + [1], LOOPS) == {0}
    for length in (10, 24, 64):
        sentence = list(range(100, 100 + length))
        assert loop_tokens([5, *sentence * 2], LOOPS) == set(), "twice may be meant"
        assert loop_tokens([5, *sentence * 3][:-1], LOOPS) == {sentence[-1]}
        assert without_loop([5, *sentence * 3][:-1], LOOPS) == (5, *sentence)
    assert loop_tokens(list(range(65)) * 4, LOOPS) == set()


def test_without_a_rule_nothing_is_a_loop() -> None:
    for generated in ([5] * 100, [1, 2, 3] * 40, []):
        assert loop_tokens(generated, NO_LOOP_RULE) == set()
        assert without_loop(generated, NO_LOOP_RULE) == tuple(generated)


@pytest.mark.parametrize("name", ["lean", "optimum"])
def test_why_a_caption_ended(name: str, scripted: Path, looping: Path) -> None:
    end, cut = Prompt(*topic_prefix(*TOPICS)), Prompt(*topic_prefix("<down>", "<up>"))
    assert [each.stopped for each in either(name, scripted).decode(end, STEPS)] == ["end"] * 3
    assert [each.stopped for each in either(name, scripted).decode(cut, 5)] == ["end", "length"]
    assert [each.stopped for each in either(name, scripted).decode(cut, 4)] == ["length", "length"]
    both = either(name, looping).decode(cut, 100)
    assert [each.stopped for each in both] == ["end", "loop"]
    assert [words(each) for each in both] == ["The scene is burnt", "The scene is greener now."]


@pytest.mark.parametrize("name", ["lean", "optimum"])
def test_the_rule_is_that_of_the_caller(name: str, looping: Path) -> None:
    prompt = Prompt(*topic_prefix("<up>", "<down>"))
    # Twelve copies of two words, the last one without its second word: 3 + 23 tokens and the end.
    patient, burnt = either(name, looping, loops=LOOPS).decode(prompt, 27)
    assert (words(patient), patient.stopped) == ("The scene is greener now.", "loop")
    assert burnt.stopped == "end"
    almost, _ = either(name, looping, loops=LOOPS).decode(prompt, 26)
    assert almost.stopped == "length" and len(almost.tokens) == 26
    endless, burnt = either(name, looping, loops=NO_LOOP_RULE).decode(prompt, 100)
    assert endless.stopped == "length"
    assert words(endless) == "The scene is " + " ".join(["greener now."] * 48) + " greener"
    assert (words(burnt), burnt.stopped) == ("The scene is burnt", "end")


@pytest.mark.parametrize("beams", [1, 3])
def test_both_decoders_agree_on_why_a_caption_ended(random_bundle: Path, beams: int) -> None:
    """Also where a caption ends of itself, or is cut, just before a loop would be complete."""
    lean, optimum = lean_of(random_bundle), optimum_of(random_bundle, beams)
    nearly = 0
    reasons = set()
    for seed in range(4, 6):
        prompt = Prompt(*prefixes(48, seed=seed))
        ours, theirs = lean.decode(prompt, STEPS), optimum.decode(prompt, STEPS)
        for one, other in zip(ours, theirs, strict=True):
            reasons.add(other.stopped)
            nearly += other.stopped != "loop" and bool(loop_tokens(other.tokens))
            if beams == 1:
                assert (other.tokens, other.stopped) == (one.tokens, one.stopped)
            elif other.stopped == "length":
                assert len(other.tokens) == STEPS
    assert reasons == {"end", "loop", "length"} and nearly, "the rows test nothing"


@pytest.mark.parametrize("name", ["lean", "optimum"])
def test_any_of_several_end_tokens_ends_a_caption(name: str, scripted: Path) -> None:
    prompt = Prompt(*topic_prefix(*TOPICS))
    ends = frozenset({VOCAB.index("now."), VOCAB.index("unchanged"), EOS})
    several = either(name, scripted, ends=ends).decode(prompt, STEPS)
    assert [words(each) for each in several] == ["The scene is greener", "The scene is burnt", "The scene is"]
    assert [each.stopped for each in several] == ["end"] * 3
    # The end that was said counts in the log-probability, so all steps do.
    assert all(-0.01 < each.logprob < 0 for each in several)


def rows_behind(shared: int, own: Sequence[int], seed: int = 0, axes: int = 1) -> list[Row]:
    """Prompts with the same leading tokens and so many tokens of their own."""
    rng = np.random.default_rng(seed)
    table = np.eye(len(VOCAB), dtype=np.float32)
    head = table[rng.integers(3, len(VOCAB), shared)]
    rows = []
    for length in own:
        tail = rng.normal(0, 1, (length, len(VOCAB))).astype(np.float32)
        positions = np.arange(shared + length)
        rows.append(
            Row(
                np.concatenate([head, tail]),
                positions if axes == 1 else np.broadcast_to(positions, (axes, len(positions))),
            )
        )
    return rows


def same(ours: Sequence[Decoded], theirs: Sequence[Decoded]) -> None:
    assert [(each.tokens, each.stopped) for each in ours] == [(each.tokens, each.stopped) for each in theirs]
    np.testing.assert_allclose([each.logprob for each in ours], [each.logprob for each in theirs], atol=1e-5)


OWN_LENGTHS = (4, 9, 1, 6, 6, 2, 11, 3)


@pytest.mark.parametrize("key", [None, (3, 1, 4)])
def test_a_shared_beginning_changes_nothing(random_bundle: Path, key: object) -> None:
    rows = rows_behind(5, OWN_LENGTHS)
    decoder = lean_of(random_bundle)
    plain = decoder.decode(collate(rows), STEPS)
    assert len({each.tokens for each in plain}) > 4, "the rows are too alike to test anything"
    prompt = collate(rows, 5, key)
    assert prompt.mask[2].tolist() == [1] * 5 + [0] * 10 + [1], "padded behind what is shared"
    same(decoder.decode(prompt, STEPS), plain)
    same(lean_of(random_bundle).decode(prompt, STEPS), plain)
    # Each row alone, as the graph says without any past.
    alone = [
        recomputed(random_bundle, row.embeds[None], np.ones((1, len(row.embeds)), np.int64), STEPS)[0] for row in rows
    ]
    assert [each.tokens for each in plain] == alone
    same(optimum_of(random_bundle).decode(prompt, STEPS), plain)


def test_positions_are_counted_from_the_mask_where_nobody_gives_them(random_bundle: Path) -> None:
    given = collate(rows_behind(5, OWN_LENGTHS), 5)
    counted = Prompt(given.embeds, given.mask, shared=5)
    same(lean_of(random_bundle).decode(counted, STEPS), lean_of(random_bundle).decode(given, STEPS))


@pytest.mark.parametrize("past", ["fp32", "fp16", "bf16"])
def test_a_shared_beginning_is_kept_for_the_batches_of_its_key(tmp_path: Path, past: str) -> None:
    decoder = lean_of(write_tiny_bundle(tmp_path, "random", past))
    plain = lean_of(tmp_path)
    for seed, own in enumerate([OWN_LENGTHS, (3,), (8, 2, 5), OWN_LENGTHS[::-1]]):
        for beginning in (1, 2):
            # The same five tokens under one key, with other tokens behind them in each batch.
            head = rows_behind(5, [1], beginning)[0].embeds[:5]
            rows = rows_behind(5, own, seed + 10)
            rows = [Row(np.concatenate([head, row.embeds[5:]]), row.positions) for row in rows]
            same(decoder.decode(collate(rows, 5, ("head", beginning)), STEPS), plain.decode(collate(rows), STEPS))


def test_what_was_kept_for_a_key_is_really_used(random_bundle: Path) -> None:
    """Under the key of the batch before, what stands in the beginning is not looked at; without a key it is."""
    decoder = lean_of(random_bundle)
    first, second = (collate(rows_behind(5, OWN_LENGTHS, seed), 5, "key") for seed in (0, 1))
    mixed = Prompt(np.concatenate([first.embeds[:, :5], second.embeds[:, 5:]], axis=1), second.mask, second.positions)
    decoder.decode(first, STEPS)
    again = decoder.decode(second, STEPS)
    same(again, lean_of(random_bundle).decode(mixed, STEPS))
    own = lean_of(random_bundle).decode(second, STEPS)
    assert [each.tokens for each in own] != [each.tokens for each in again]
    fresh = collate(rows_behind(5, OWN_LENGTHS, 1), 5)
    same(decoder.decode(fresh, STEPS), own)


@pytest.mark.parametrize("past", ["fp16", "bf16"])
def test_keys_and_values_of_half_the_bytes(tmp_path: Path, past: str) -> None:
    """The graph rounds what it keeps: close to the full one's log-probability, and the same from both decoders."""
    half = write_tiny_bundle(tmp_path / past, "scripted", past)
    full = write_tiny_bundle(tmp_path / "full", "scripted")
    prompt = Prompt(*topic_prefix(*TOPICS))
    same(lean_of(half).decode(prompt, STEPS), lean_of(full).decode(prompt, STEPS))
    spec = open_bundle(half).manifest.decoder
    buffers, twice = (KeyValueBuffers(spec, dtype, "cpu", 0) for dtype in (spec.dtype, "fp32"))
    buffers.reserve(3, 10)
    twice.reserve(3, 10)
    assert 2 * buffers.bytes == twice.bytes


def pointers(buffers: KeyValueBuffers, layers: int) -> list[int]:
    """Where both blocks of each tensor begin."""
    found = [buffers.output(tensor, 1, 1).pointer for tensor in range(2 * layers)]
    buffers.turn()
    found += [buffers.output(tensor, 1, 1).pointer for tensor in range(2 * layers)]
    buffers.turn()
    return found


def test_memory_is_taken_once_and_grows_only_for_more(random_bundle: Path) -> None:
    spec = open_bundle(random_bundle).manifest.decoder
    buffers = KeyValueBuffers(spec, "fp32", "cpu", 0)
    assert buffers.bytes == 0
    buffers.reserve(4, 30)
    taken, places = buffers.bytes, pointers(buffers, spec.layers)
    assert taken == 4 * 30 * spec.heads * spec.head_dim * 4 * 2 * 2 * spec.layers
    assert len(set(places)) == 4 * spec.layers, "no two tensors share a block"
    # Fewer rows, a shorter sequence, or as much in another shape.
    for rows, length in ((2, 30), (4, 7), (1, 120), (4, 30)):
        buffers.reserve(rows, length)
        assert (buffers.bytes, pointers(buffers, spec.layers)) == (taken, places)
    buffers.reserve(5, 30)
    assert buffers.bytes == taken * 5 // 4
    buffers.release()
    assert buffers.bytes == 0


def test_after_too_much_was_asked_for_the_memory_is_as_good_as_before(random_bundle: Path) -> None:
    spec = open_bundle(random_bundle).manifest.decoder
    buffers = KeyValueBuffers(spec, "fp32", "cpu", 0)
    buffers.reserve(4, 30)
    with pytest.raises(MemoryError):
        buffers.reserve(4, 2**50)
    assert buffers.bytes == 0
    buffers.reserve(2, 30)
    assert len(set(pointers(buffers, spec.layers))) == 4 * spec.layers


def test_a_batch_that_does_not_fit_is_told_and_the_next_one_runs(random_bundle: Path) -> None:
    decoder, fresh = lean_of(random_bundle), lean_of(random_bundle)
    prompt = Prompt(*prefixes(6, seed=4))
    before = decoder.decode(prompt, STEPS)
    for _ in range(2):
        with pytest.raises(OutOfMemoryError, match="not enough memory for a batch of 6"):
            decoder.decode(prompt, 2**50)
        assert decoder.decode(prompt, STEPS) == before == fresh.decode(prompt, STEPS)


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc how much address space is used")
def test_what_was_taken_is_given_back_where_a_batch_does_not_fit(random_bundle: Path) -> None:
    """Else the memory of a large batch would be missing for its halves, whatever it was that did not fit."""

    resource = pytest.importorskip("resource")

    def taken() -> int:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()

    decoder = lean_of(random_bundle)
    prompt = Prompt(*prefixes(1))
    before = taken()
    # Nothing is written to most of it, so it costs addresses and no memory.
    decoder.decode(prompt, 2**20)
    assert taken() - before > 2**30
    # So many rows that their logits do not fit, which comes before anything else is tried.
    many = np.broadcast_to(prompt.embeds, (2**40, *prompt.embeds.shape[1:]))
    with pytest.raises(OutOfMemoryError):
        decoder.decode(Prompt(many, np.broadcast_to(prompt.mask, many.shape[:2])), STEPS)
    assert taken() - before < 2**28
    assert decoder.decode(prompt, STEPS) == lean_of(random_bundle).decode(prompt, STEPS)


def test_batches_of_any_size_in_any_order(random_bundle: Path) -> None:
    """Nothing of an earlier, larger batch is left in the memory that a later one uses."""
    decoder = lean_of(random_bundle)
    for rows, length, seed in ((12, 9, 0), (3, 4, 1), (12, 9, 2), (1, 2, 3), (5, 20, 4)):
        prompt = Prompt(*prefixes(rows, length, seed))
        assert decoder.decode(prompt, STEPS) == lean_of(random_bundle).decode(prompt, STEPS)


def log_softmax(logits: F32) -> npt.NDArray[np.float64]:
    high = logits.astype(np.float64)
    return (
        high
        - high.max(axis=-1, keepdims=True)
        - np.log(np.exp(high - high.max(axis=-1, keepdims=True)).sum(-1, keepdims=True))
    )


def forced(decoder: LeanDecoder, prompt: Prompt, decoded: Sequence[Decoded]) -> npt.NDArray[np.float64]:
    """Log-probabilities (N, S + 1, V) along what was decoded; behind the end of a row anything."""
    longest = max(len(each.tokens) for each in decoded)
    tokens = np.zeros((len(decoded), longest), np.int64)
    for row, each in enumerate(decoded):
        tokens[row, : len(each.tokens)] = each.tokens
    return log_softmax(decoder.forced_logits(prompt, tokens))


def mean_logprob(logprobs: npt.NDArray[np.float64], each: Decoded, row: int) -> float:
    said = [*each.tokens, EOS] if each.stopped == "end" else list(each.tokens)
    return float(np.mean([logprobs[row, step, token] for step, token in enumerate(said)]))


@pytest.mark.parametrize("shared", [0, 5])
def test_forced_logits_are_those_that_the_choices_were_made_by(random_bundle: Path, shared: int) -> None:
    decoder = lean_of(random_bundle, loops=NO_LOOP_RULE)
    prompt = collate(rows_behind(5, OWN_LENGTHS, 1), shared)
    decoded = decoder.decode(prompt, STEPS)
    logprobs = forced(decoder, prompt, decoded)
    assert {each.stopped for each in decoded} == {"end", "length"}
    for row, each in enumerate(decoded):
        best = logprobs[row].argmax(axis=1)
        said = [*each.tokens, EOS] if each.stopped == "end" else [*each.tokens]
        assert best[: len(said)].tolist() == said
        assert each.logprob == pytest.approx(mean_logprob(logprobs, each, row), abs=1e-5)
    # It leaves the decoder as it was.
    same(decoder.decode(prompt, STEPS), decoded)


def test_forced_logits_follow_the_tokens_that_are_given(random_bundle: Path) -> None:
    """Against one call without any past, for tokens that greedy decoding would not choose."""
    embed, graph = open_graphs(open_bundle(random_bundle))
    decoder = lean_of(random_bundle)
    prefix, mask = prefixes(3, seed=11)
    tokens = np.random.default_rng(0).integers(3, len(VOCAB), (3, 6))
    found = decoder.forced_logits(Prompt(prefix, mask), tokens)
    assert found.shape == (3, 7, len(VOCAB))
    empty = np.zeros((3, 2, 0, HEAD_DIM), np.float32)
    past = {f"past_key_values.{i}.{part}": empty for i in range(2) for part in ("key", "value")}
    for step in range(7):
        sequence = np.concatenate([prefix, embed.run(None, {"input_ids": tokens[:, :step]})[0]], axis=1)
        feeds = {"inputs_embeds": sequence, "attention_mask": np.ones(sequence.shape[:2], np.int64)}
        feeds["position_ids"] = np.broadcast_to(np.arange(sequence.shape[1]), sequence.shape[:2]).copy()
        np.testing.assert_allclose(found[:, step], graph.run(["logits"], feeds | past)[0][:, 0], atol=1e-4)


def test_positions_go_on_behind_the_largest_of_a_row() -> None:
    plain = np.array([[0, 1, 2, 3], [0, 0, 0, 1], [5, 9, 7, 0]])
    assert next_positions(plain).tolist() == [[4], [2], [10]]
    # Time, height and width: all go on behind the largest of the three.
    axes = np.array([[[0, 1, 1, 1], [0, 1, 1, 2], [0, 1, 6, 3]], [[0, 1, 2, 3]] * 3])
    assert next_positions(axes).tolist() == [[[7], [7], [7]], [[4], [4], [4]]]
    assert next_positions(axes).dtype == np.int64


def test_positions_of_a_prompt_are_counted_from_its_mask() -> None:
    mask = np.array([[0, 0, 1, 1, 1], [1, 1, 0, 0, 1], [1, 1, 1, 1, 1]])
    prompt = Prompt(np.zeros((3, 5, 2), np.float32), mask)
    assert prompt.rows == 3
    real = prompt.token_positions()[mask == 1].tolist()
    assert real == [0, 1, 2, 0, 1, 2, 0, 1, 2, 3, 4]
    given = np.arange(15).reshape(3, 5)
    assert Prompt(prompt.embeds, mask, given).token_positions() is given


# Random choice -------------------------------------------------------------------------------------------------------

WARM = Sampling(temperature=6.0, seed=1)


def test_the_same_seed_draws_the_same_and_another_one_something_else(random_bundle: Path) -> None:
    prompt = Prompt(*prefixes(12, seed=2))
    first, again, other = (
        lean_of(random_bundle, sampling=Sampling(6.0, seed=seed)).decode(prompt, STEPS) for seed in (1, 1, 2)
    )
    assert first == again
    assert sum(one.tokens != two.tokens for one, two in zip(first, other, strict=True)) > 9
    greedy = lean_of(random_bundle).decode(prompt, STEPS)
    assert sum(one.tokens != two.tokens for one, two in zip(first, greedy, strict=True)) > 9
    # No state is carried from one call to the next.
    decoder = lean_of(random_bundle, sampling=WARM)
    assert decoder.decode(prompt, STEPS) == decoder.decode(prompt, STEPS) == first


def test_a_draw_depends_on_the_rows_own_seed_alone(random_bundle: Path) -> None:
    prefix, mask = prefixes(8, seed=5)
    seeds = np.array([3, 2**40, 5, 5, 0, 77, 2**31, 1])
    decoder = lean_of(random_bundle, sampling=WARM)
    together = decoder.decode(Prompt(prefix, mask, seeds=seeds), STEPS)
    order = np.random.default_rng(0).permutation(8)
    moved = decoder.decode(Prompt(prefix[order], mask[order], seeds=seeds[order]), STEPS)
    assert [each.tokens for each in moved] == [together[row].tokens for row in order]
    for row in range(8):
        (alone,) = decoder.decode(Prompt(prefix[row : row + 1], mask[row : row + 1], seeds=seeds[row : row + 1]), STEPS)
        assert alone.tokens == together[row].tokens
    # Without seeds the number of the row is its seed.
    by_number = decoder.decode(Prompt(prefix, mask), STEPS)
    same(by_number, decoder.decode(Prompt(prefix, mask, seeds=np.arange(8)), STEPS))
    # Equal rows with different seeds differ.
    equal = Prompt(np.repeat(prefix[:1], 8, axis=0), mask, seeds=np.arange(8))
    assert len({each.tokens for each in decoder.decode(equal, STEPS)}) > 5


@pytest.mark.parametrize("sampling", [Sampling(1.0, 1e-9), Sampling(1e-6), Sampling(1e-310), Sampling(100, 1e-9)])
def test_a_narrow_nucleus_or_a_temperature_near_0_is_greedy(random_bundle: Path, sampling: Sampling) -> None:
    prompt = Prompt(*prefixes(12, seed=2))
    with np.errstate(all="raise", under="ignore"):
        drawn = lean_of(random_bundle, sampling=sampling).decode(prompt, STEPS)
    same(drawn, lean_of(random_bundle).decode(prompt, STEPS))


def test_log_probabilities_are_those_of_the_model_whatever_the_temperature(random_bundle: Path) -> None:
    decoder = lean_of(random_bundle, loops=NO_LOOP_RULE, sampling=Sampling(6.0, 0.95, seed=3))
    prompt = Prompt(*prefixes(8, seed=7))
    decoded = decoder.decode(prompt, 12)
    logprobs = forced(decoder, prompt, decoded)
    expected = [mean_logprob(logprobs, each, row) for row, each in enumerate(decoded)]
    np.testing.assert_allclose([each.logprob for each in decoded], expected, atol=1e-5)
    assert max(expected) < -0.5, "what was drawn is all but sure, and tells nothing"


LOGITS = np.log(np.array([0.02, 0.4, 0.08, 0.25, 0.1, 0.15], np.float32))
# 99.9 % of draws that follow the probabilities stay below, for 1 to 5 degrees of freedom.
CHI_SQUARE = (10.83, 13.82, 16.27, 18.47, 20.52)


@pytest.mark.parametrize("by", ["row", "step", "run"])
@pytest.mark.parametrize(
    ("temperature", "top_p", "nucleus"),
    [(1.0, 1.0, 6), (0.5, 1.0, 6), (3.0, 1.0, 6), (1.0, 0.79, 3), (1.0, 0.81, 4), (1.0, 0.65, 2), (2.0, 0.6, 3)],
)
def test_tokens_are_drawn_as_often_as_they_are_probable(
    temperature: float, top_p: float, nucleus: int, by: str
) -> None:
    """Over the rows of a batch, the steps of one row, and the seeds of runs."""
    draws, one = 2000, np.ones(1, bool)
    if by == "row":
        logits, rows = np.repeat(LOGITS[None], draws, axis=0), np.ones(draws, bool)
        tokens = choose(logits, rows, np.arange(draws), 0, Sampling(temperature, top_p, 9))
    elif by == "step":
        sampling = Sampling(temperature, top_p, 9)
        tokens = np.array([choose(LOGITS[None], one, np.array([5]), step, sampling)[0] for step in range(draws)])
    else:
        tokens = np.array(
            [
                choose(LOGITS[None], one, np.array([5]), 3, Sampling(temperature, top_p, seed))[0]
                for seed in range(draws)
            ]
        )
    shares = np.exp(LOGITS.astype(np.float64) / temperature)
    shares /= shares.sum()
    allowed = np.argsort(-shares)[:nucleus]
    # The least number of tokens that have the share together.
    assert shares[allowed].sum() >= top_p - 1e-9 > shares[allowed[:-1]].sum() - 2e-9
    assert set(tokens) == set(allowed)
    expected = draws * shares[allowed] / shares[allowed].sum()
    counts = np.array([(tokens == token).sum() for token in allowed])
    assert ((counts - expected) ** 2 / expected).sum() < CHI_SQUARE[nucleus - 2]


def test_rows_that_are_done_draw_nothing_and_cost_nothing() -> None:
    logits = np.stack([LOGITS, np.full(6, np.nan, np.float32), LOGITS])
    rows = np.array([True, False, True])
    tokens = choose(logits, rows, np.array([4, 4, 4]), 0, Sampling(1.0))
    assert tokens[0] == tokens[2]
    found = log_probabilities(logits, tokens, rows)
    assert found[1] == 0 and found[0] == found[2] == pytest.approx(LOGITS[tokens[0]], abs=1e-6)


def test_a_penalty_on_what_was_said_already(random_bundle: Path) -> None:
    """Both decoders alike; a token of the prompt or of the caption comes again only if nothing else is near."""
    rows = prefixes(12, seed=6)
    ids = tuple(np.random.default_rng(row).integers(3, len(VOCAB), 5) for row in range(12))
    prompt = Prompt(*rows, ids=ids)
    plain = lean_of(random_bundle).decode(prompt, STEPS)
    lean = lean_of(random_bundle, penalty=1.8).decode(prompt, STEPS)
    same(optimum_of(random_bundle, penalty=1.8).decode(prompt, STEPS), lean)
    again = [
        sum(token in {*ids[row], *each.tokens[:i]} for i, token in enumerate(each.tokens))
        for row, each in enumerate(lean)
    ]
    before = [
        sum(token in {*ids[row], *each.tokens[:i]} for i, token in enumerate(each.tokens))
        for row, each in enumerate(plain)
    ]
    assert sum(again) < sum(before) / 2
    # What stands in the prompt counts as said, so other prompts give other words.
    other = Prompt(*rows, ids=tuple(np.array([3]) for _ in ids))
    assert [each.tokens for each in lean_of(random_bundle, penalty=1.8).decode(other, STEPS)] != [
        each.tokens for each in lean
    ]
    scores = penalised(np.array([[2.0, -2.0, 1.0]], np.float32), np.array([[True, True, False]]), 2.0)
    assert scores.tolist() == [[1.0, -4.0, 1.0]]


@pytest.mark.parametrize("name", ["lean", "optimum"])
@pytest.mark.parametrize("tokens", [1, 2, 3])
def test_a_prompt_is_read_in_stretches_with_the_same_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, tokens: int
) -> None:
    write_tiny_bundle(tmp_path / "b")
    prefix, mask = prefixes(3, 8)
    mask[1, :3] = 0
    decoder = either(name, tmp_path / "b")
    whole = decoder.decode(Prompt(prefix, mask), STEPS)
    monkeypatch.setattr(prefill, "SCORES_BYTES", 0)
    monkeypatch.setattr(prefill, "LEAST_TOKENS", tokens)
    parts = decoder.decode(Prompt(prefix, mask), STEPS)
    assert [each.tokens for each in parts] == [each.tokens for each in whole]
    assert [each.logprob for each in parts] == pytest.approx([each.logprob for each in whole], abs=1e-5)


def test_stretches_hold_as_many_tokens_as_the_memory_allows() -> None:
    spec = DecoderSpec(layers=2, heads=4, head_dim=128, width=3584, vocab=10)
    assert spec.query_heads == 28
    # A prompt of usual length is read at once.
    assert list(prefill.stretches(spec, 1, 0, 700)) == [(0, 700)]
    assert list(prefill.stretches(spec, 2, 0, 700)) == [(0, 512), (512, 700)]
    parts = list(prefill.stretches(spec, 3, 100, 6700))
    assert parts[0][0] == 100 and parts[-1][1] == 6700
    assert all(before[1] == after[0] for before, after in itertools.pairwise(parts))
    size = prefill.stretch_tokens(spec, 3, 6700)
    assert 4 * 3 * 28 * size * 6700 <= max(prefill.SCORES_BYTES, 4 * 3 * 28 * prefill.LEAST_TOKENS * 6700)
    assert prefill.stretch_tokens(spec, 64, 100_000) == prefill.LEAST_TOKENS
