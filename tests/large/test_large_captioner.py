"""A large bundle from Python: what is computed once, and that it changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints_a import make_qwen2_vl
from command import Made

from rsccli.errors import ModelError, UsageProblem
from rsccli.models.captioner import CaptionerOptions
from rsccli.models.decoding import prefill
from rsccli.models.decoding.lean import LeanDecoder
from rsccli.models.large import families, torch_backend
from rsccli.models.large.captioner import LargeCaptioner, LargeFactory
from rsccli.models.large.question import question_of, shown
from rsccli.models.large.room import MOST_ROWS, batch_bytes, rows_that_fit
from rsccli.models.large.sample import sample_pairs
from rsccli.models.large.torch_backend import TorchFactory
from rsccli.models.outlines import COLOURS
from rsccli.models.prompts import PromptTemplate, load_template
from rsccli.models.registry import describe_captioner, load_captioner
from rsccli.types import Caption, Outline, TileContext, TilePair

STEPS = 12
QUESTIONS = ("Is there water?", "How many houses were built since {then}?", "What grew?")


def options(**given: Any) -> CaptionerOptions:
    return CaptionerOptions(**{"device": "cpu", "threads": 1, "max_new_tokens": STEPS, **given})


@pytest.fixture(scope="module")
def captioner(made: Made) -> Iterator[LargeCaptioner]:
    opened = LargeFactory(made.bundle).open(options())
    yield opened
    opened.close()


@contextmanager
def counted(captioner: LargeCaptioner, name: str) -> Iterator[list[tuple[int, ...]]]:
    """Shapes of the first input in every call of one of the captioner's sessions, which runs as ever."""
    holder, attribute = {
        "encoder": (captioner, "_encoder"),
        "decoder": (captioner._decoder, "_decoder"),
    }[name]
    session = getattr(holder, attribute)
    calls: list[tuple[int, ...]] = []

    class Counting:
        def run(self, outputs: list[str], feeds: dict[str, np.ndarray]) -> Any:
            calls.append(next(iter(feeds.values())).shape)
            return session.run(outputs, feeds)

        def io_binding(self) -> Any:
            return session.io_binding()

        def run_with_iobinding(self, binding: Any) -> None:
            calls.append(())
            session.run_with_iobinding(binding)

    setattr(holder, attribute, Counting())
    try:
        yield calls
    finally:
        setattr(holder, attribute, session)


def check_same(ours: list[Caption], theirs: list[Caption]) -> None:
    assert [(each.text, each.status, each.reason) for each in ours] == [
        (each.text, each.status, each.reason) for each in theirs
    ]
    assert [each.logprob for each in ours] == pytest.approx([each.logprob for each in theirs], abs=1e-4)


# ---- several questions of one look ----


def test_several_questions_cost_one_look(captioner: LargeCaptioner) -> None:
    pairs = sample_pairs()
    with counted(captioner, "encoder") as calls:
        answers = captioner.answer(pairs, QUESTIONS)
        looks = len(calls)
        captioner.answer(pairs, QUESTIONS[:1])
    assert [len(each) for each in answers] == [3, 3, 3]
    assert 0 < looks == len(calls) - looks
    # Each picture of the three pairs was looked at once.
    assert sum(shape[0] for shape in calls[:looks]) == 6


def test_answers_are_those_of_each_question_alone(captioner: LargeCaptioner) -> None:
    pairs = sample_pairs()
    answers = captioner.answer(pairs, QUESTIONS)
    for question, together in zip(QUESTIONS, answers, strict=True):
        (alone,) = captioner.answer(pairs, [question])
        check_same(together, alone)
        for pair, answer in zip(pairs, together, strict=True):
            ((only,),) = captioner.answer([pair], [question])
            check_same([answer], [only])
    assert len({tuple(each.text for each in row) for row in answers}) == len(QUESTIONS)


def test_a_question_is_asked_as_a_prompt_is(made: Made, captioner: LargeCaptioner, tmp_path: Path) -> None:
    """And what it says in braces is no field."""
    own = tmp_path / "prompt.txt"
    own.write_text(QUESTIONS[1].replace("{", "{{").replace("}", "}}"))
    prompted = LargeFactory(made.bundle).open(options(prompt=str(own)))
    check_same(captioner.answer(sample_pairs(), QUESTIONS[1:2])[0], prompted.caption(sample_pairs()))


def test_a_question_needs_no_counts_even_if_the_bundle_does(made: Made, captioner: LargeCaptioner) -> None:
    textual = LargeFactory(made.bundle).open(options(prompt="textual"))
    with pytest.raises(UsageProblem, match="needs counts"):
        textual.caption(sample_pairs())
    told = [replace(pair, context=TileContext(counts="2 buildings", source="labels: x")) for pair in sample_pairs()]
    assert all("counts from labels: x" in (each.reason or "") for each in textual.caption(told))
    (answers,) = textual.answer(told, QUESTIONS[:1])
    check_same(answers, captioner.answer(sample_pairs(), QUESTIONS[:1])[0])


def test_no_pairs_and_no_questions(captioner: LargeCaptioner) -> None:
    assert captioner.caption([]) == [] and captioner.answer([], QUESTIONS[:2]) == [[], []]
    assert captioner.answer(sample_pairs(), []) == []


# ---- what all prompts of a batch begin with ----


def test_the_beginning_of_all_prompts_is_computed_once(
    captioner: LargeCaptioner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefill, "TOKENS", 10**6)  # each prompt in one stretch
    pairs = sample_pairs()
    prompt = captioner._prompt(captioner.see(pairs), None)
    chat = captioner.manifest.chat
    head = captioner.tokenizer.encode(
        chat.head + chat.image.partition("<|image_pad|>")[0], add_special_tokens=False
    ).ids
    assert prompt.shared == len(head) > 20 and prompt.shared_key == tuple(head)
    captioner.answer(pairs, ["so that the beginning is known"])
    with counted(captioner, "decoder") as calls:
        captioner.caption(pairs)
        known = len(calls)
        decoder = captioner._decoder
        assert isinstance(decoder, LeanDecoder)
        decoder._shared_key = None
        captioner.caption(pairs)
    # One call for each step; one more where the beginning is not there yet.
    assert known == STEPS and len(calls) == 2 * STEPS + 1


def test_words_before_the_pictures_are_shared_too(made: Made, captioner: LargeCaptioner, tmp_path: Path) -> None:
    own = tmp_path / "prompt.txt"
    own.write_text("Compare with care, and tell only of what can be seen: {pre} then {post}.")
    asked = LargeFactory(made.bundle).open(options(prompt=str(own)))
    pairs = sample_pairs()
    longer, usual = (each._prompt(each.see(pairs), None).shared for each in (asked, captioner))
    assert longer == usual + len("Compare with care, and tell only of what can be seen: ")
    together = asked.caption(pairs)
    for pair, caption in zip(pairs, together, strict=True):
        check_same([caption], asked.caption([pair]))


def test_a_tile_says_the_same_alone_and_beside_others(captioner: LargeCaptioner) -> None:
    """Prompts of different length, a shared beginning, and rows that are padded behind it."""
    whole, narrow, partly = sample_pairs()
    for pairs in ([whole, narrow, partly], [partly, whole], [narrow, narrow, whole, partly]):
        together = captioner.caption(pairs)
        check_same(together, [captioner.caption([pair])[0] for pair in pairs])
    assert len({each.text for each in captioner.caption([whole, narrow, partly])}) == 3


def test_many_pictures_are_looked_at_a_few_at_a_time(captioner: LargeCaptioner) -> None:
    whole, narrow, _ = sample_pairs()
    with counted(captioner, "encoder") as calls:
        captioner.see([whole, narrow, whole, whole])
    # On a CPU four of equal shape at once: six whole pictures and two narrow ones.
    assert sorted(shape[0] for shape in calls) == [2, 2, 4]


def test_a_closed_captioner_says_so(made: Made) -> None:
    closed = LargeFactory(made.bundle).open(options())
    closed.close()
    for ask in (lambda: closed.caption(sample_pairs()), lambda: closed.answer(sample_pairs(), QUESTIONS)):
        with pytest.raises(ModelError, match="is closed: load it again"):
            ask()


# ---- what one pair is asked ----


def with_context(pair: TilePair) -> TilePair:
    square = Outline(((20.0, 20.0), (60.0, 20.0), (60.0, 60.0), (20.0, 60.0)), "destroyed")
    context = TileContext(
        counts="1 destroyed building",
        outlines=(square,),
        source="labels: damage.geojson (centroid)",
        disaster="flood",
        pre_date="2012-07-31",
        post_date="2014-07-20",
        place="Mandan",
    )
    return replace(pair, context=context)


def test_fields_of_a_prompt(captioner: LargeCaptioner) -> None:
    pair, chat = with_context(sample_pairs()[0]), captioner.manifest.chat
    template = PromptTemplate("own", "{disaster} in {place}, {pre_date} to {post_date}, {gsd}", "a file")
    asked = question_of(template, pair, chat, mosaic=False)
    assert asked.prompt == "flood in Mandan, 2012-07-31 to 2014-07-20, 5 m" and asked.source is None
    assert asked.text == chat.text(asked.prompt)
    counted_too = question_of(PromptTemplate("own", "{counts}?", "a file"), pair, chat, mosaic=True)
    assert counted_too.source == "counts from labels: damage.geojson (centroid)"
    assert counted_too.text == chat.text("1 destroyed building?", 1)
    nobody_knows = question_of(template, sample_pairs()[0], chat, mosaic=False)
    assert nobody_knows.prompt == "unknown in unknown, unknown to unknown, 5 m"


def test_outlines_are_drawn_in_the_visual_regime_alone(captioner: LargeCaptioner) -> None:
    pair = with_context(sample_pairs()[0])
    before = pair.post.copy()
    visual = shown(load_template("visual"), pair)
    assert (visual.pre == pair.pre).all() and (pair.post == before).all()
    drawn = (visual.post != pair.post).any(axis=0)
    rows, cols = np.nonzero(drawn)
    assert drawn.any() and rows.min() >= 17 and rows.max() <= 63 and cols.min() >= 17 and cols.max() <= 63
    assert tuple(visual.post[:, drawn].T.tolist()[0]) == COLOURS["destroyed"]
    for regime in ("naive", "textual"):
        assert shown(load_template(regime), pair) is pair
    bare = sample_pairs()[0]
    assert shown(load_template("visual"), bare) is bare
    assert captioner.see([pair], load_template("visual"))[0].question.source is not None


# ---- how many tiles fit ----


def test_more_memory_takes_more_tiles(made: Made, captioner: LargeCaptioner) -> None:
    manifest, reader = captioner.manifest, captioner.reader
    each = batch_bytes(manifest, reader, 256, 1)
    rows = [rows_that_fit(manifest, reader, 256, each * factor) for factor in (0, 10, 20, 10_000)]
    assert rows[0] == 1 < rows[1] < rows[2] < rows[3] == MOST_ROWS
    longer = replace(manifest, tokens=replace(manifest.tokens, max_new_tokens=4096))
    assert batch_bytes(longer, reader, 256, 1) > each
    assert 1 <= (LargeFactory(made.bundle).fitting_batch_size(options(), 256) or 0) <= MOST_ROWS


# ---- through transformers ----


def test_a_checkpoint_is_described_without_being_loaded(checkpoint: Path) -> None:
    info = describe_captioner(checkpoint, options(backend="torch"))
    assert (info.name, info.family, info.prompt) == ("tiny-vl", "qwen2-vl", "naive")
    assert info.revision == f"torch+{info.source_revision[:12]}" and info.provider is None and info.size_mb > 0


def test_transformers_says_the_same_without_a_family_of_ours(
    made: Made, captioner: LargeCaptioner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any checkpoint that transformers can ask works: here a known one that no family reads."""
    monkeypatch.setattr(torch_backend, "usable_families", lambda: ([], []))
    captions = load_captioner(made.checkpoint, options(backend="torch"))
    assert captions.info.family == "qwen2_vl" and captions.info.provider == "torch cpu"
    check_same(captions.caption(sample_pairs()), captioner.caption(sample_pairs()))
    captions.close()
    with pytest.raises(ModelError, match="is closed"):
        captions.caption(sample_pairs())


def test_draws_through_transformers_follow_the_seed(checkpoint: Path) -> None:
    def drawn(seed: int) -> list[str]:
        opened = TorchFactory(checkpoint).open(options(backend="torch", temperature=1.0, seed=seed))
        return [each.text for each in opened.caption(sample_pairs())]

    assert drawn(1) == drawn(1) != drawn(2)


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"device": "tensorrt"}, "runs on cpu or cuda"),
        ({"dtype": "int8"}, "takes auto, fp32, fp16, bf16"),
    ],
)
def test_what_transformers_cannot_be_asked_for(checkpoint: Path, given: dict[str, Any], part: str) -> None:
    with pytest.raises(ModelError, match=part):
        TorchFactory(checkpoint).open(options(backend="torch", **given))


def test_a_family_of_another_package_is_found_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rsccli.models.families.qwen2_vl import Qwen2VL

    class Theirs(Qwen2VL):
        name = "a-family"

        def check(self, config: Any) -> str | None:
            return "needs more of everything" if config["hidden_size"] < 100 else None

    monkeypatch.setattr(families, "_registered", {})
    families.register_family("a-family", Theirs)
    assert "a-family" in families.family_names() and isinstance(families.family_named("a-family"), Theirs)
    with pytest.raises(ModelError, match="here: needs more of everything"):
        families.family_of({"model_type": "qwen2_vl", "hidden_size": 64}, "here")
    with pytest.raises(ModelError, match=r"no family 'b-family' is installed: known are a-family, "):
        families.family_named("b-family")
    # Through transformers the next family that reads it is asked.
    captioner = TorchFactory(make_qwen2_vl(tmp_path)).open(options(backend="torch", max_new_tokens=2))
    assert captioner.info.family == "qwen2-vl"


def test_a_family_that_cannot_be_imported_is_in_nobodys_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another package's mistake; it is told where it may matter."""
    (tmp_path / "a_broken.py").write_text("def oops(:\n")
    package = tmp_path / "a_broken-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: a-broken\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[rsccli.families]\na-broken = a_broken:Family\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert families.family_names()[0] == "a-broken"
    assert families.family_of({"model_type": "qwen2_vl"}, "here").name == "qwen2-vl"
    with pytest.raises(ModelError, match=r"no family reads model_type 'vilt'.*'a-broken' cannot be imported"):
        families.family_of({"model_type": "vilt"}, "here")
    with pytest.raises(ModelError, match=r"'a-broken' cannot be imported .*install its package again"):
        families.family_named("a-broken")
    listed = {each.name: each for each in families.list_families()}
    assert "cannot be imported" in str(listed["a-broken"].problem) and listed["qwen2-vl"].problem is None
