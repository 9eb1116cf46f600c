"""What was compared, as rows of label and text: the same in HTML and Markdown."""

from __future__ import annotations

from dataclasses import dataclass

from rsccli.geo.footprint import grid_footprint
from rsccli.output import numbers
from rsccli.types import InputFacts, Registration, RunFacts


@dataclass(frozen=True)
class PairRow:
    """One line of the table of both inputs."""

    label: str
    pre: str
    post: str


@dataclass(frozen=True)
class Row:
    """One line of the list of what both share."""

    label: str
    text: str


def pair_rows(facts: RunFacts) -> list[PairRow]:
    """The two inputs side by side."""

    def line(label: str, pre: str, post: str) -> PairRow:
        return PairRow(label, pre, post)

    pre, post = facts.pre, facts.post
    return [
        line("File", pre.path, post.path),
        line("Acquired", numbers.moment(pre.datetime), numbers.moment(post.datetime)),
        line("Size", _size(pre), _size(post)),
        line("Pixels", _pixels(pre), _pixels(post)),
        line("Coordinates", numbers.crs_name(pre.crs), numbers.crs_name(post.crs)),
        line("Brought to 8 bit", pre.lut, post.lut),
    ]


def shared_rows(facts: RunFacts) -> list[Row]:
    """The common grid, the tiles, the shift, the radiometry and the model."""
    grid = facts.grid
    west, south, east, north = grid_footprint(grid).bbox
    overlap = facts.tile_size - facts.stride
    tiles = f"{numbers.count(facts.tiles)} of {facts.tile_size} × {facts.tile_size} px"
    tiles += f" ({numbers.metres(facts.tile_size * facts.gsd_m)} on the ground)"
    tiles += f", sharing {overlap} px with their neighbours" if overlap else ", side by side"
    return [
        Row(
            "Common grid",
            f"{numbers.count(grid.width)} × {numbers.count(grid.height)} px of {numbers.metres(facts.gsd_m)}, "
            f"{numbers.crs_name(grid.crs)}",
        ),
        Row("Place", f"{numbers.place((west, south))} to {numbers.place((east, north))}"),
        Row("Tiles", tiles),
        Row("Shift of post", shift_text(facts.registration, facts.gsd_m)),
        Row("Radiometry", facts.radiometry),
        Row("Captioner", f"{facts.model}, revision {facts.model_revision}"),
    ]


def shift_text(shift: Registration, gsd_m: float) -> str:
    """The measured shift in words."""
    length = shift.shift_px
    if length is None or shift.dx_px is None or shift.dy_px is None:
        return f"not measured: {shift.reason or 'too few usable windows'}"
    text = f"{length:.2f} px ({numbers.metres(length * gsd_m)}): {_towards(shift.dx_px, 'east', 'west')}, "
    text += f"{_towards(shift.dy_px, 'south', 'north')}; median of {shift.windows} windows"
    if shift.mad_px is not None:
        text += f", spread {shift.mad_px:.2f} px"
    if shift.applied:
        return text + "; corrected"
    if not shift.trusted:
        return text + f"; not trusted ({shift.reason or 'the windows disagree'})"
    return text + "; not corrected"


def _towards(value: float, positive: str, negative: str) -> str:
    return f"{abs(value):.2f} px {positive if value >= 0 else negative}"


def _size(facts: InputFacts) -> str:
    width, height = facts.size_px
    return f"{numbers.count(width)} × {numbers.count(height)} px of {numbers.metres(facts.gsd_m)}"


def _pixels(facts: InputFacts) -> str:
    bands = ", ".join(str(band) for band in facts.bands)
    return f"{facts.dtype}, bands {bands} as red, green, blue"
