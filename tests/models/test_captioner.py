"""The contract, and that what we use as fixtures keeps it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest
from captioners import BrightnessFactory, QueuedFactory
from tile_pairs import grey_pair

from rsccli.errors import ModelError, UsageProblem
from rsccli.models.captioner import BundleBacked, Captioner, CaptionerFactory, CaptionerOptions, RegisterName
from rsccli.models.small.captioner import SmallFactory
from rsccli.models.small.facts import REGISTERS
from rsccli.types import Caption


@pytest.mark.parametrize(
    ("values", "say"),
    [
        ({"decoder": "fast"}, "choose one of auto, lean, optimum"),
        ({"num_beams": 0}, "at least 1"),
        ({"num_beams": 4, "decoder": "lean"}, "--decoder optimum"),
        ({"num_beams": 4, "temperature": 0.5}, "draws tokens with the lean decoder"),
        ({"temperature": -1.0}, "temperature -1"),
        ({"top_p": 0.0}, "top_p 0"),
        ({"seed": -1}, "seed -1"),
        ({"backend": "jax"}, "choose one of onnx, torch"),
        ({"max_new_tokens": 0}, "at least 1"),
        ({"threads": 0}, "at least 1"),
        ({"words": "poet"}, "choose one of auto, decoder, grammar"),
        ({"register": "loud"}, "choose one of short, news"),
    ],
)
def test_options_that_cannot_be_are_refused(values: dict[str, object], say: str) -> None:
    with pytest.raises(UsageProblem, match=say):
        CaptionerOptions(**values)


def test_beams_go_with_optimum() -> None:
    assert CaptionerOptions(decoder="optimum", num_beams=4).num_beams == 4


def test_registers_of_the_contract_are_those_of_the_grammar() -> None:
    assert get_args(RegisterName) == REGISTERS
    assert all(CaptionerOptions(register=name).register == name for name in REGISTERS)


@pytest.mark.parametrize("factory", [BrightnessFactory(), QueuedFactory([]), SmallFactory()])
def test_factories_keep_the_contract(factory: object) -> None:
    assert isinstance(factory, CaptionerFactory)


def test_only_a_bundle_backed_factory_has_files_to_verify() -> None:
    assert isinstance(SmallFactory(), BundleBacked)
    assert not isinstance(BrightnessFactory(), BundleBacked)


def test_brightness_says_what_the_means_say() -> None:
    captioner = BrightnessFactory().open(CaptionerOptions())
    assert isinstance(captioner, Captioner)
    up, down, same, between = captioner.caption([grey_pair(48), grey_pair(-30), grey_pair(0), grey_pair(12)])
    assert (up.text, up.status, up.change_score) == ("The scene is 48.0 levels brighter.", "changed", 1.0)
    assert up.mask is not None and up.mask.all()
    assert (down.status, down.keywords) == ("changed", ("darker",))
    assert (same.status, same.keywords, same.change_score) == ("unchanged", (), 0.0)
    assert between.status == "unsure"


def test_brightness_is_steered_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("BRIGHTNESS_FAIL_TILE", "r00000c00001")
    monkeypatch.setenv("BRIGHTNESS_REVISION", "2")
    monkeypatch.setenv("BRIGHTNESS_LOG", str(tmp_path / "log"))
    captioner = BrightnessFactory().open(CaptionerOptions())
    assert captioner.info.revision == "2"
    captioner.caption([grey_pair(0)])
    with pytest.raises(ModelError, match="r00000c00001"):
        captioner.caption([grey_pair(0), grey_pair(0, index=1)])
    assert (tmp_path / "log").read_text() == "r00000c00000\nr00000c00000,r00000c00001\n"


def test_the_queue_answers_in_order() -> None:
    answers = [Caption("One.", "changed"), Caption("Two.", "unchanged"), ModelError("third")]
    captioner = QueuedFactory(answers).open(CaptionerOptions())
    assert [each.text for each in captioner.caption([grey_pair(0), grey_pair(0, index=1)])] == ["One.", "Two."]
    with pytest.raises(ModelError, match="third"):
        captioner.caption([grey_pair(0, index=2)])
    assert captioner.seen == ["r00000c00000", "r00000c00001", "r00000c00002"]


def test_the_example_in_the_documentation_runs(root: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (root / "docs" / "models.md").read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code, "docs/models.md", "exec"), names)
    factory = names["MyFactory"]()
    assert isinstance(factory, CaptionerFactory)
    captioner = factory.open(CaptionerOptions())
    assert isinstance(captioner, Captioner)
    assert len(captioner.caption([grey_pair(0), grey_pair(1)])) == 2
