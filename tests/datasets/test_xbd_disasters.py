from __future__ import annotations

from pathlib import Path

import pytest

from rsccli.datasets.xbd.disasters import read_disasters
from rsccli.errors import InputError


@pytest.mark.parametrize(
    ("event", "given", "wanted"),
    [
        ("guatemala-volcano", "volcano", "volcano eruption"),
        ("socal-fire", "fire", "wildfire"),
        ("hurricane-michael", "wind", "storm"),
        ("joplin-tornado", "wind", "storm"),
        ("mexico-earthquake", "earthquake", "earthquake"),
        ("hurricane-harvey", "flooding", "flooding"),
        ("palu-tsunami", "tsunami", "tsunami"),
        # Without a type the name of the event tells.
        ("santa-rosa-wildfire", None, "wildfire"),
        ("pinery-bushfire", "", "wildfire"),
        ("hurricane-matthew", None, "storm"),
        ("moore-tornado", "landslide", "storm"),
        ("somewhere", None, "unknown"),
        (None, None, "unknown"),
    ],
)
def test_types_in_the_words_of_rscc(event: str | None, given: str | None, wanted: str) -> None:
    assert read_disasters(None).type_of(event, given) == wanted


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("own.toml", 'hurricane-harvey = "storm and  flooding"\nlandslide = "landslide"\n"Wind" = "strong wind"\n'),
        ("own.json", '{"Hurricane-Harvey": "storm and flooding", "landslide": "landslide", "wind": "strong wind"}'),
    ],
)
def test_a_file_adds_to_the_map_and_goes_before_it(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    types = read_disasters(path)
    assert types.type_of("hurricane-harvey", "flooding") == "storm and flooding", "an event before its type"
    assert types.type_of("oso", "landslide") == "landslide"
    assert types.type_of("joplin-tornado", "wind") == "strong wind"
    assert types.type_of("socal-fire", "fire") == "wildfire", "the rest stays"
    assert types.digest


@pytest.mark.parametrize("text", ["", "oso = 5", "oso = ''", "oso =", "[oso]\nkind = 'landslide'", "\x00"])
def test_a_file_that_says_something_else_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"own\.toml"):
        read_disasters(path)
    with pytest.raises(InputError, match=r"none\.toml"):
        read_disasters(tmp_path / "none.toml")
