"""The probes on a model that is asked in words (a tiny synthetic checkpoint): no scores, no keywords."""

from __future__ import annotations

from pathlib import Path

import pytest
from probe_pairs import drawn_set

from rsccli.errors import UsageProblem
from rsccli.evaluation.probes.job import ProbeJob, SwapSpec, gather_pairs, probe
from rsccli.evaluation.probes.result import markdown
from rsccli.evaluation.probes.shift import Shift, ShiftSpec
from rsccli.models.captioner import CaptionerOptions
from rsccli.models.registry import load_captioner


def test_a_checkpoint_answers_every_variant_in_sentences(checkpoint: Path) -> None:
    options = CaptionerOptions(backend="torch", device="cpu", threads=1, max_new_tokens=8)
    captioner = load_captioner(str(checkpoint), options)
    try:
        result = probe(captioner, drawn_set(("built", "same")), ShiftSpec((0, 2)), 2)
    finally:
        captioner.close()
    assert isinstance(result.measured, Shift)
    still = result.measured.shifts[0]
    assert (still.same_text.value, still.score_gap.value, still.fit.ranking.value) == (1.0, None, None)
    assert all(len(pair.answers) == 4 and pair.answers[0].text for pair in result.answers)
    assert "tiny-vl" in markdown(result) and "naive prompt" in markdown(result)


@pytest.mark.parametrize("prompt", ["textual", "visual"])
def test_prompts_that_tell_counts_are_refused(checkpoint: Path, prompt: str) -> None:
    asked = CaptionerOptions(backend="torch", prompt=prompt)
    with pytest.raises(UsageProblem, match="give --prompt naive"):
        gather_pairs(ProbeJob(("pairs.csv",), SwapSpec(), model=str(checkpoint), captioner=asked))


def test_words_are_read_from_sentences(checkpoint: Path) -> None:
    options = CaptionerOptions(backend="torch", device="cpu", threads=1, max_new_tokens=8)
    captioner = load_captioner(str(checkpoint), options)
    try:
        result = probe(captioner, drawn_set(("built",)), SwapSpec(), 1)
    finally:
        captioner.close()
    assert any("read from the sentences" in note for note in result.notes)
