"""What a model that is asked in words is asked: three regimes, and templates of the user's own.

The regimes are those of RSCC (Chen et al. 2025): ``naive`` tells nothing but the task; ``textual`` adds the disaster
type, xBD's damage scale and exact building counts; ``visual`` adds outlines on the second image. The counts come from
labels or from another model's mask, so the last two measure those, too: a result names its regime and the source.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Literal, get_args

from rsccli.errors import UsageProblem

Regime = Literal["naive", "textual", "visual"]
CountsFrom = Literal["labels", "mask"]
REGIMES: tuple[Regime, ...] = get_args(Regime)
#: ``PromptTemplate.regime`` of a template from the user's file.
OWN = "own"
#: Where the images stand in a rendered prompt; without them they come before it, pre first.
PRE_MARK, POST_MARK = "{pre}", "{post}"
IMAGES: tuple[str, ...] = ("pre", "post")
UNKNOWN = "unknown"

_TASK = (
    "Describe in a few plain sentences, as a news report would, what changed from the first image to the second: "
    "buildings, roads, water, plants and bare ground. Tell only what can be seen. If nothing changed, say so."
)
_NAIVE = f"These two images show the same place from above at an earlier and at a later date. {_TASK}"
_EVENT = (
    "These two images show the same place from above, the first before and the second after an event.\n"
    "Type of disaster: {disaster}.\n"
)
_SCALE = (
    "The damage of a building is told on four levels:\n"
    "0, no damage: it stands as before.\n"
    "1, minor damage: it is partially burnt, has water around it, lacks elements of its roof, or shows cracks.\n"
    "2, major damage: a wall or the roof has partly collapsed, or water or mud surrounds it.\n"
    "3, destroyed: it is scorched, has collapsed, is covered, or is no longer there.\n"
    "The labels of this place count {counts}.\n"
)
_DETECTED = (
    "A change detector compared both images before you. It knows no levels of damage, and it may be wrong.\n"
    "It found {counts}.\n"
)
_LABEL_OUTLINES = (
    "On the second image each building is outlined in the colour of its level: green for no damage, blue for minor "
    "damage, orange for major damage, red for destroyed, white where nobody could tell.\n"
)
_MASK_OUTLINES = "On the second image the areas that it found are outlined in white.\n"
_NOT_DRAWN = "The outlines were drawn afterwards: they are no change, and not to be mentioned.\n"

_TEXTS: dict[tuple[Regime, CountsFrom], str] = {
    ("naive", "labels"): _NAIVE,
    ("naive", "mask"): _NAIVE,
    ("textual", "labels"): _EVENT + _SCALE + _TASK,
    ("textual", "mask"): _EVENT + _DETECTED + _TASK,
    ("visual", "labels"): _EVENT + _SCALE + _LABEL_OUTLINES + _NOT_DRAWN + _TASK,
    ("visual", "mask"): _EVENT + _DETECTED + _MASK_OUTLINES + _NOT_DRAWN + _TASK,
}

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_NO_BRACES = str.maketrans("{}", "()")


@dataclass(frozen=True, slots=True)
class PromptFields:
    """Values for a template; None: nobody knows.

    Attributes:
        disaster: type, e.g. ``wildfire``. counts: see `TileContext`. pre_date, post_date: as the reports give them.
        place: name or coordinates. gsd: ground sampling distance, metres per pixel of the image that the model sees.
    """

    disaster: str | None = None
    counts: str | None = None
    pre_date: str | None = None
    post_date: str | None = None
    place: str | None = None
    gsd: float | None = None


KNOWN: tuple[str, ...] = (*(field.name for field in fields(PromptFields)), *IMAGES)


@dataclass(frozen=True)
class PromptTemplate:
    """Plain text with fields in braces; ``{{`` and ``}}`` are braces themselves.

    Attributes:
        regime: one of `REGIMES`, or `OWN`. text: with the fields. source: a file, or which built-in text.

    Raises:
        UsageProblem: empty, an unknown field, an odd brace, or places of images that are not one each.
    """

    regime: str
    text: str
    source: str

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise UsageProblem(f"{self.source}: the prompt template is empty: write what the model is to be asked")
        for name in IMAGES:
            times = sum(field == name for field, _ in _pieces(self.text, self.source))
            if times > 1:
                raise UsageProblem(f"{self.source}: {{{name}}} stands {times} times: an image is shown once")
        if self.uses("pre") != self.uses("post"):
            there, missing = IMAGES if self.uses("pre") else IMAGES[::-1]
            raise UsageProblem(
                f"{self.source}: {{{there}}} without {{{missing}}}: name the places of both images, or of none (then "
                "they come before the text)"
            )

    def uses(self, field: str) -> bool:
        """Whether a field, or the place of an image, stands in the text."""
        return any(name == field for name, _ in _pieces(self.text, self.source))

    @property
    def needs_counts(self) -> bool:
        """Whether it says nothing without counts."""
        return self.regime in ("textual", "visual")


def load_template(name_or_path: str, counts_from: CountsFrom = "labels") -> PromptTemplate:
    """A built-in template by the name of its regime, or the user's own from a UTF-8 text file.

    Args:
        counts_from: what the built-in ones say of the counts: labels tell levels of damage, a mask does not.

    Raises:
        UsageProblem: neither a regime nor a readable file, or a mistake in the file.
    """
    for regime in REGIMES:
        if name_or_path == regime:
            told = "" if regime == "naive" else f", counts from {counts_from}"
            return PromptTemplate(regime, _TEXTS[regime, counts_from], f"built-in {regime} prompt{told}")
    try:
        text = Path(name_or_path).read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise UsageProblem(
            f"--prompt {name_or_path}: no such file, and no regime: give {', '.join(REGIMES)} or a text file"
        ) from error
    except (OSError, ValueError) as error:
        raise UsageProblem(f"--prompt {name_or_path}: cannot be read as UTF-8 text: {error}") from error
    return PromptTemplate(OWN, text.strip(), name_or_path)


def render(template: PromptTemplate, values: PromptFields) -> str:
    """The text for one tile; `PRE_MARK` and `POST_MARK` stand where the template has the images.

    What nobody knows is called ``unknown``. Braces of a value become parentheses: they shall not read as a mark.

    Raises:
        UsageProblem: a textual or visual template without counts.
    """
    if template.needs_counts and values.counts is None:
        raise UsageProblem(
            f"the {template.regime} prompt needs counts: give --labels FILE, or --counts-from mask, or --prompt naive"
        )
    parts = []
    for name, literal in _pieces(template.text, template.source):
        if name is None:
            parts.append(literal)
        elif name in IMAGES:
            parts.append(f"{{{name}}}")
        else:
            parts.append(_value(getattr(values, name)))
    return "".join(parts)


def _value(value: str | float | None) -> str:
    if value is None:
        return UNKNOWN
    return value.translate(_NO_BRACES) if isinstance(value, str) else f"{float(f'{value:.3g}'):g} m"


@lru_cache(maxsize=32)
def _pieces(text: str, source: str) -> tuple[tuple[str | None, str], ...]:
    """Fields (name, "") and literal texts (None, text) in order."""
    pieces = tuple(_split(text, source))
    literal = "".join("\0" if name else words for name, words in pieces)
    for mark in (PRE_MARK, POST_MARK):
        if mark in literal:
            raise UsageProblem(f"{source}: {{{mark}}} would read as the place of an image: word it without braces")
    return pieces


def _split(text: str, source: str) -> Iterator[tuple[str | None, str]]:
    known = ", ".join(f"{{{field}}}" for field in KNOWN)
    end = 0
    for token in _TOKEN.finditer(text):
        if token.start() > end:
            yield None, text[end : token.start()]
        end = token.end()
        found, name = token.group(), token.group(1)
        if found in ("{{", "}}"):
            yield None, found[0]
            continue
        line = text.count("\n", 0, token.start()) + 1
        if name is None:
            raise UsageProblem(
                f"{source}, line {line}: a {found} without its other half: fields are {known}; a brace itself is "
                f"written {found * 2}"
            )
        if name not in KNOWN:
            raise UsageProblem(
                f"{source}, line {line}: the field {found} is unknown: known are {known}; a brace itself is written "
                "{{ or }}"
            )
        yield name, ""
    if end < len(text):
        yield None, text[end:]
