"""A group of flags stands in a command as if the command had them itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from rsccli.cli.flag_groups import with_group


@dataclass(frozen=True)
class Size:
    width: int
    height: int


def size(
    width: Annotated[int, typer.Option(envvar="RSCCLI_TEST_WIDTH", help="Across.")] = 3,
    height: Annotated[int, typer.Option(help="Down.")] = 4,
) -> Size:
    return Size(width, height)


def draw(name: Annotated[str, typer.Argument()], *, size: Size, colour: Annotated[str, typer.Option()] = "red") -> None:
    """Draw it."""
    typer.echo(f"{name} {size.width} x {size.height} {colour}")


def application(**defaults: object) -> typer.Typer:
    app = typer.Typer(rich_markup_mode=None, add_completion=False)
    app.command()(with_group(draw, "size", size, **defaults))
    return app


@pytest.mark.parametrize(
    ("arguments", "environment", "printed"),
    [
        (["box"], {}, "box 3 x 4 red"),
        (["box", "--width", "7", "--colour", "blue"], {}, "box 7 x 4 blue"),
        (["box"], {"RSCCLI_TEST_WIDTH": "9"}, "box 9 x 4 red"),
    ],
)
def test_flags_of_the_group_become_its_value(arguments: list[str], environment: dict[str, str], printed: str) -> None:
    done = CliRunner().invoke(application(), arguments, env=environment)
    assert (done.exit_code, done.output) == (0, f"{printed}\n")


def test_a_command_may_have_other_defaults() -> None:
    done = CliRunner().invoke(application(height=40), ["box"])
    assert done.output == "box 3 x 40 red\n"
    assert "[default: 40]" in CliRunner().invoke(application(height=40), ["--help"]).output


def test_flags_stand_in_the_help_where_the_value_stood() -> None:
    told = CliRunner().invoke(application(), ["--help"]).output
    assert "Draw it." in told
    assert told.index("--width") < told.index("--height") < told.index("--colour")
    assert "--size" not in told


def test_a_default_of_an_unknown_flag_is_refused() -> None:
    with pytest.raises(TypeError, match="depth"):
        application(depth=1)
