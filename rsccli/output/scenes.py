"""One summary over many scenes: for a person (Markdown), for a program (JSON), for a spreadsheet (CSV)."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from rsccli.output.formulas import shielded
from rsccli.output.report.markdown import plain_text
from rsccli.output.text import json_bytes, storable
from rsccli.types import FAILED, STATUSES

SceneState = Literal["done", "failed", "not done"]


@dataclass(frozen=True)
class SceneResult:
    """What came of one scene.

    Attributes:
        id, pre, post, output: as in the list. state: ``not done`` where nobody has tried yet.
        reason: why it failed, or None. tiles: by status, in the order of ``STATUSES``; empty where it is not done.
        changed_area_m2, compared_area_m2: as in the scene's own report; None where unknown.
        model, model_revision: who captioned it. spec_hash: of its run.
    """

    id: str
    pre: str
    post: str
    output: str
    state: SceneState
    reason: str | None = None
    tiles: tuple[int, ...] = ()
    changed_area_m2: float | None = None
    compared_area_m2: float | None = None
    model: str | None = None
    model_revision: str | None = None
    spec_hash: str | None = None

    def count(self, status: str) -> int:
        """Tiles with a status."""
        counts: dict[str, int] = dict(zip(STATUSES, self.tiles, strict=False))
        return counts.get(status, 0)

    @property
    def failed_tiles(self) -> int:
        """Tiles that could not be read or captioned."""
        return sum(self.count(status) for status in FAILED)


@dataclass(frozen=True)
class ScenesSummary:
    """All scenes of a list.

    Attributes:
        name: of the list. version: of rsccli. scenes: in the order of the list.
    """

    name: str
    version: str
    scenes: tuple[SceneResult, ...]

    def in_state(self, state: SceneState) -> list[SceneResult]:
        """The scenes in one state."""
        return [scene for scene in self.scenes if scene.state == state]

    def count(self, status: str) -> int:
        """Tiles of all scenes with a status."""
        return sum(scene.count(status) for scene in self.scenes)

    @property
    def tiles(self) -> int:
        """Tiles of all scenes."""
        return sum(sum(scene.tiles) for scene in self.scenes)

    @property
    def changed_area_m2(self) -> float | None:
        """Of all scenes that know it; None where none does."""
        return _total([scene.changed_area_m2 for scene in self.scenes])

    @property
    def compared_area_m2(self) -> float | None:
        """Of all scenes that know it; None where none does."""
        return _total([scene.compared_area_m2 for scene in self.scenes])


def _total(values: Sequence[float | None]) -> float | None:
    known = [round(value * 10_000) for value in values if value is not None]
    return sum(known) / 10_000 if known else None


def scenes_json(summary: ScenesSummary) -> bytes:
    """For a program; the same scenes give the same bytes."""
    return json_bytes(
        {
            "rsccli_scenes": 1,
            "version": summary.version,
            "list": summary.name,
            "totals": {
                "scenes": len(summary.scenes),
                **{state.replace(" ", "_"): len(summary.in_state(state)) for state in _STATES},
                "tiles": summary.tiles,
                "by_status": {status: summary.count(status) for status in STATUSES},
                "changed_area_m2": summary.changed_area_m2,
                "compared_area_m2": summary.compared_area_m2,
            },
            "scenes": [_scene_json(scene) for scene in summary.scenes],
        },
        indent=True,
    )


_STATES: tuple[SceneState, ...] = ("done", "failed", "not done")


def _scene_json(scene: SceneResult) -> dict[str, Any]:
    found: dict[str, Any] = {field.name: getattr(scene, field.name) for field in fields(scene)}
    found["tiles"] = dict(zip(STATUSES, scene.tiles, strict=True)) if scene.tiles else None
    return found


def scenes_csv(summary: ScenesSummary) -> bytes:
    """For a spreadsheet: one row a scene. A text that it would take for a formula gets an apostrophe before it."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\r\n")
    rows.writerow(
        ["id", "state", "tiles", *STATUSES, "changed_area_m2", "compared_area_m2", "output", "pre", "post", "reason"]
    )
    for scene in summary.scenes:
        counts = [sum(scene.tiles), *scene.tiles] if scene.tiles else [""] * (len(STATUSES) + 1)
        areas = ["" if area is None else area for area in (scene.changed_area_m2, scene.compared_area_m2)]
        texts = [_cell(text) for text in (scene.output, scene.pre, scene.post, scene.reason or "")]
        rows.writerow([_cell(scene.id), scene.state, *counts, *areas, *texts])
    return out.getvalue().encode("utf-8", "replace")


def _cell(text: str) -> str:
    return shielded(" ".join(storable(text).split()))


def scenes_markdown(summary: ScenesSummary) -> bytes:
    """For a person."""
    states = [f"{len(found)} {state}" for state in _STATES if (found := summary.in_state(state))]
    lines = [f"# {plain_text(summary.name)}", "", f"{len(summary.scenes)} scenes: {', '.join(states)}.", ""]
    if summary.tiles:
        counts = [f"{summary.count(s)} {s.replace('_', ' ')}" for s in STATUSES if summary.count(s)]
        lines += [f"{summary.tiles} tiles: {', '.join(counts)}."]
        changed, compared = summary.changed_area_m2, summary.compared_area_m2
        if changed is not None:
            of = f" of {compared:,.0f} m² compared" if compared else ""
            lines += [f"Changed: {changed:,.0f} m²{of}, from the masks of the captioner."]
        lines += [""]
    lines += [
        "| scene | state | tiles | changed | unsure | failed | changed m² | map |",
        "|---|---|--:|--:|--:|--:|--:|---|",
    ]
    for scene in summary.scenes:
        area = "" if scene.changed_area_m2 is None else f"{scene.changed_area_m2:,.0f}"
        numbers = (
            [str(sum(scene.tiles)), str(scene.count("changed")), str(scene.count("unsure")), str(scene.failed_tiles)]
            if scene.tiles
            else [""] * 4
        )
        cells = [plain_text(scene.id), scene.state, *numbers, area, plain_text(scene.output)]
        lines.append(f"| {' | '.join(cells)} |")
    failed = [scene for scene in summary.scenes if scene.reason]
    if failed:
        lines += ["", "## What failed", ""]
        lines += [f"- {plain_text(scene.id)}: {plain_text(scene.reason or '')}" for scene in failed]
    return ("\n".join(lines) + "\n").encode("utf-8", "replace")
