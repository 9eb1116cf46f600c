"""What decided a run, as a file that repeats it: ``recipe.toml`` is a ``--config`` of the same command."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rsccli import __version__
from rsccli.errors import InputError, JournalMismatchError, OutputError

RECIPE = "recipe.toml"
Setting = str | int | float | bool | None


@dataclass(frozen=True)
class Recipe:
    """A command with all its settings.

    Attributes:
        command: name of it under ``rsccli train``. arguments: what stands without a flag.
        settings: by the long names of the options; None: not given.
        inputs: what else decides the result (such as the sha256 of the records); compared, but no option.
    """

    command: str
    arguments: tuple[str, ...]
    settings: Mapping[str, Setting]
    inputs: Mapping[str, str]

    def text(self) -> str:
        """The recipe as TOML."""
        words = " ".join(("rsccli train", self.command, *self.arguments, "--config", RECIPE))
        # Inputs are comments: as keys of the table they would be options that do not exist.
        inputs = [f"# {name} = {value}" for name, value in self.inputs.items()]
        lines = [f"{name} = {_toml(value)}" for name, value in self.settings.items() if value is not None]
        return "\n".join([f"# {words}", f"# rsccli = {__version__}", *inputs, f"[{self.command}]", *lines]) + "\n"


def option_names(values: Mapping[str, Setting | Path]) -> dict[str, Setting]:
    """Settings by the long names of their options, from fields of a spec."""
    return {name.replace("_", "-"): str(value) if isinstance(value, Path) else value for name, value in values.items()}


def write_recipe(folder: Path, recipe: Recipe) -> None:
    """Write a recipe into the folder of its run.

    Raises:
        OutputError: the folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RECIPE).write_text(recipe.text(), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write {folder / RECIPE}: {error}; name a folder that can be written") from error


def refuse_other_recipe(folder: Path, recipe: Recipe, free: frozenset[str] = frozenset()) -> None:
    """A run goes on only with what it was started with.

    Args:
        free: settings that may change on the way.

    Raises:
        JournalMismatchError: the folder holds a run with other settings or inputs; both values are named.
        InputError: its recipe is damaged.
    """
    path = folder / RECIPE
    if not path.is_file():
        return
    try:
        text = path.read_text(encoding="utf-8")
        table = tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: damaged ({error}); use another folder") from error
    stored = table.get(recipe.command)
    if not isinstance(stored, dict):
        raise JournalMismatchError(f"{folder} holds a run of rsccli train {', '.join(table)}; use another folder")
    given = {name: value for name, value in recipe.settings.items() if value is not None}
    for name in sorted({*stored, *given} - free):
        if stored.get(name) != given.get(name):
            raise JournalMismatchError(
                f"{folder} holds a run with --{name} {stored.get(name, 'not given')}, now it is "
                f"{given.get(name, 'not given')}; use the same value, or another folder"
            )
    remarks = dict(line[2:].split(" = ", 1) for line in text.splitlines() if line.startswith("# ") and " = " in line)
    for name, value in recipe.inputs.items():
        if remarks.get(name) != value:
            raise JournalMismatchError(f"{folder} holds a run with another {name}; use another folder with -o")


def _toml(value: str | int | float | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # A JSON string is a basic TOML string, but for the character DEL.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)
