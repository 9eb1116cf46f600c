"""A recipe repeats a run, and holds a resumed one to what it was started with."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from rsccli.errors import InputError, JournalMismatchError, OutputError
from rsccli.training.recipe import RECIPE, Recipe, option_names, refuse_other_recipe, write_recipe

SETTINGS = {
    "rank": 8,
    "rate": 1e-05,
    "prompt": 'What\n"changed"? ä\x7f',
    "save-memory": True,
    "targets": r".*\.q",
    "plot": None,
}


def _recipe(**changed: object) -> Recipe:
    return Recipe("lora", ("base", "pairs.jsonl"), {**SETTINGS, **changed}, {"records": "abc"})  # type: ignore[dict-item]


def test_a_recipe_is_a_table_of_options(tmp_path: Path):
    write_recipe(tmp_path / "run", _recipe())
    text = (tmp_path / "run" / RECIPE).read_text()
    table = tomllib.loads(text)
    assert table == {"lora": {name: value for name, value in SETTINGS.items() if value is not None}}
    assert text.startswith("# rsccli train lora base pairs.jsonl --config recipe.toml")


def test_fields_become_option_names():
    assert option_names({"max_side": 3, "output": Path("a")}) == {"max-side": 3, "output": "a"}


def test_a_run_goes_on_with_the_same_settings_only(tmp_path: Path):
    refuse_other_recipe(tmp_path, _recipe())
    write_recipe(tmp_path, _recipe())
    refuse_other_recipe(tmp_path, _recipe())
    with pytest.raises(JournalMismatchError, match="--rank 8, now it is 16"):
        refuse_other_recipe(tmp_path, _recipe(rank=16))
    with pytest.raises(JournalMismatchError, match="--plot not given, now it is x"):
        refuse_other_recipe(tmp_path, _recipe(plot="x"))
    refuse_other_recipe(tmp_path, _recipe(rank=16), free=frozenset({"rank"}))


def test_a_run_goes_on_with_the_same_inputs_and_command_only(tmp_path: Path):
    write_recipe(tmp_path, _recipe())
    with pytest.raises(JournalMismatchError, match="another records"):
        refuse_other_recipe(tmp_path, Recipe("lora", (), SETTINGS, {"records": "other"}))
    with pytest.raises(JournalMismatchError, match="rsccli train lora"):
        refuse_other_recipe(tmp_path, Recipe("captioner", (), {}, {}))


def test_a_damaged_recipe_and_an_unwritable_folder_are_named(tmp_path: Path):
    (tmp_path / RECIPE).write_text("[lora\n")
    with pytest.raises(InputError, match="damaged"):
        refuse_other_recipe(tmp_path, _recipe())
    with pytest.raises(OutputError, match="cannot write"):
        write_recipe(tmp_path / RECIPE, _recipe())
