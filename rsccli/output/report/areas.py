"""Change areas and the scene's paragraph in the report's forms."""

from __future__ import annotations

from collections.abc import Callable

from rsccli.output import numbers
from rsccli.output.areas import AreaList, ChangeArea
from rsccli.output.scene import Scene


def areas_json(areas: AreaList) -> dict[str, object]:
    """The areas for a program: properties beside a GeoJSON geometry."""
    return {
        "total": areas.total,
        "kinds": list(areas.kinds),
        "areas": [_area_json(area) for area in areas.areas],
    }


def scene_lines(scene: Scene, areas: AreaList, text: Callable[[str], str]) -> list[str]:
    """Lines of Markdown: the paragraph, who worded it, and the list of areas.

    Args:
        text: makes any text plain words within a line.
    """
    lines = ["## The scene in short", "", text(scene.paragraph), ""]
    for note in scene_notes(scene):
        lines += [f"*{text(note)}*", ""]
    if not areas.areas:
        return lines
    lines += [f"## Change areas ({numbers.count(areas.total)})", ""]
    lines += ["Neighbouring tiles with the same kind of change, the largest first.", ""]
    lines += [f"- {text(area.sentence)} {place(area)}" for area in areas.areas]
    if areas.total > len(areas.areas):
        lines += [f"- and {numbers.count(areas.total - len(areas.areas))} smaller ones"]
    return [*lines, ""]


def scene_notes(scene: Scene) -> list[str]:
    """Who worded the paragraph, or why somebody else did not."""
    notes = []
    if scene.phrased_by:
        notes.append(
            f"Worded by {scene.phrased_by}; its numbers, tiles, kinds, places and dates were checked against the facts."
        )
    if scene.rejected:
        notes.append(scene.rejected)
    return notes


def place(area: ChangeArea) -> str:
    """Where its middle is."""
    return f"Around {numbers.place(area.lonlat)}."


def _area_json(area: ChangeArea) -> dict[str, object]:
    return {
        "id": area.id,
        "keyword": area.keyword,
        "sentence": area.sentence,
        "tile_ids": area.tile_ids,
        "direction": area.direction,
        "area_m2": area.area_m2,
        "area_is_bound": area.area_is_bound,
        "ground_m2": area.ground_m2,
        "score": area.score,
        "lonlat": area.lonlat,
        "bbox": area.bbox,
        "geometry": area.geometry,
    }
