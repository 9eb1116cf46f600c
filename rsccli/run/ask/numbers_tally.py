"""The scene's answer from tiles that were answered with numbers: counts of tiles, areas and parts of masks."""

from __future__ import annotations

from rsccli.geo.footprint import footprints
from rsccli.geo.tiles import TilePlan
from rsccli.models.small.answers import TileAnswer, area_text
from rsccli.models.small.questions import Asked, Refused
from rsccli.run.ask.record import TileAnswers
from rsccli.run.ask.scene import CITED, Cited, Looked, SceneAnswer, TileList, status_without_answers
from rsccli.types import PxWindow

_PER = {"m2": 1.0, "ha": 1e4, "km2": 1e6}


class NumbersTally:
    """Gathers the answers to one question.

    Args:
        text: the question. asked: as it was read. plan: of the run.
    """

    def __init__(self, text: str, asked: Asked | Refused, plan: TilePlan) -> None:
        self._text, self._asked, self._plan = text, asked, plan
        self._looked, self._yes = Looked(), TileList()
        self._total = 0.0
        self._kinds: dict[str, TileList] = {}
        self._reason: str | None = None
        self._span: tuple[int, int, int, int] | None = None

    def add(self, record: TileAnswers, answer: TileAnswer) -> None:
        """See `rsccli.run.ask.scene.Tally`."""
        self._looked.add(record, answer)
        if answer.status == "cannot_answer":
            self._reason = self._reason or answer.reason
        if answer.status != "answered" or answer.verdict != "yes":
            return
        self._total += answer.total or 0.0
        weight = answer.value if answer.total is None else answer.total
        self._yes.add(record, weight or 0.0, f" ({answer.place} of the tile)" if answer.place else "")
        for kind in answer.kinds or ("",):
            self._kinds.setdefault(kind, TileList()).add(record, weight or 0.0)
        row, col = record.row, record.col
        top, left, bottom, right = self._span or (row, col, row, col)
        self._span = (min(top, row), min(left, col), max(bottom, row), max(right, col))

    def answer(self) -> SceneAnswer:
        """See `rsccli.run.ask.scene.Tally`."""
        looked, yes = self._looked, self._yes
        status = status_without_answers(looked)
        if isinstance(self._asked, Refused) or status == "cannot_answer":
            reason = self._asked.reason if isinstance(self._asked, Refused) else self._reason
            return self._made("cannot_answer", f"Cannot answer: {reason}.")
        if status is not None:
            return self._made(status, f"No tile could be looked at.{looked.rest()}")
        if not yes.count and looked.unsure.count:
            rest = looked.tiles - looked.unsure.count
            others = "" if not rest else "; the other one says no" if rest == 1 else f"; the other {rest:,} say no"
            return self._made(
                "unsure",
                f"Not sure: {looked.unsure.count:,} of {looked.tiles:,} tiles that were looked at "
                f"{'is' if looked.unsure.count == 1 else 'are'} unsure {looked.unsure.cited()}{looked.why_unsure()}"
                f"{others}.{looked.rest(already=True)}",
            )
        text, value, unit = self._words(self._asked)
        return self._made("answered", text + looked.rest(), value, unit)

    def _words(self, asked: Asked) -> tuple[str, float | None, str | None]:
        yes, of = self._yes, f"of {self._looked.tiles:,} tiles that were looked at"
        form = asked.form
        unit: str | None = None
        if form in ("amount", "where"):
            unit = asked.unit if form == "amount" else "m2"
        elif form == "count":
            unit = asked.counted
        if not yes.count:
            start = {"change": "No", "where": "Nowhere"}.get(form, "None")
            return f"{start}: {self._nowhere()}.", 0.0 if unit else None, unit
        tiles = f"{yes.count:,} {of}"
        if form == "change":
            return f"Yes, in {tiles} {yes.cited()}{self._named()}.", None, None
        if form == "kind":
            return f"{'; '.join(self._by_kind()).capitalize()}. Something changed in {tiles}.", None, None
        if form == "where":
            return f"In {tiles}: {self._places()}{self._around()}", round(self._total, 2), unit
        if form == "count" and asked.counted == "tiles":
            return f"{tiles} {yes.cited()}{self._named()}.".capitalize(), float(yes.count), unit
        if form == "count":
            parts = round(self._total)
            text = (
                f"{parts:,} separate {'part' if parts == 1 else 'parts'} of the change mask in {yes.told()}"
                f"{self._named()}. Counted tile by tile: what a tile's border cuts counts twice, and a part may hold "
                "more than one thing."
            )
            return text, float(parts), unit
        ground = self._looked.ground_m2
        share = 100 * self._total / ground if ground else 0.0
        value = share if asked.unit == "%" else self._total / _PER[asked.unit]
        text = (
            f"{area_text(self._total)} of the change mask in {yes.told()}{self._named()}: {share:.2f} % of the "
            f"{area_text(ground)} that were looked at."
        )
        return text, round(value, 6), unit

    def _nowhere(self) -> str:
        tiles = self._looked.tiles
        return f"in none of the {tiles:,} tiles that were looked at" if tiles != 1 else "not in the one tile looked at"

    def _named(self) -> str:
        """Kinds of a subject that were found."""
        if not isinstance(self._asked, Asked) or self._asked.subject is None:
            return ""
        kinds = sorted(kind for kind in self._kinds if kind)
        return f" ({', '.join(kinds)})" if kinds else ""

    def _by_kind(self) -> list[str]:
        order = sorted(self._kinds.items(), key=lambda each: (-each[1].count, each[0]))
        return [f"{kind or 'change of no named kind'} in {tiles.told()}" for kind, tiles in order]

    def _places(self) -> str:
        shown = self._yes.strongest[:CITED] if self._yes.count > CITED + 1 else self._yes.strongest
        told = [f"{self._direction(each)} [{each.tile_id}]{each.place}" for each in shown]
        more = self._yes.count - len(shown)
        return "; ".join(told) + (f"; and {more:,} more" if more else "") + "."

    def _direction(self, tile: Cited) -> str:
        """Which part of the scene a tile is in; the grid is north-up."""
        rows = ("north", "", "south")[min(2, 3 * tile.row // self._plan.rows)] if self._plan.rows > 1 else ""
        cols = ("west", "", "east")[min(2, 3 * tile.col // self._plan.cols)] if self._plan.cols > 1 else ""
        name = "-".join(filter(None, (rows, cols)))
        return f"the {name or 'middle'} of the scene"

    def _around(self) -> str:
        """The box around all tiles that were found."""
        if self._span is None:
            return ""
        first, last = (self._plan.tile(*self._span[part : part + 2]).px_window for part in (0, 2))
        width, height = last.col + last.width - first.col, last.row + last.height - first.row
        (found,) = footprints(self._plan.grid, [PxWindow(first.col, first.row, width, height)])
        west, south, east, north = found.bbox
        they = "It lies" if self._yes.count == 1 else "Together they lie"
        return (
            f" {they} between longitudes {west:.5f} and {east:.5f} and latitudes {south:.5f} and {north:.5f} degrees."
        )

    def _made(self, status: str, text: str, value: float | None = None, unit: str | None = None) -> SceneAnswer:
        return SceneAnswer(
            self._text,
            status,  # type: ignore[arg-type]
            text,
            value,
            unit,
            self._yes.ids or self._looked.unsure.ids,
            self._yes.count or self._looked.unsure.count,
            self._looked.by_status,
        )
