"""The timeline for a program."""

from __future__ import annotations

from rsccli.output.text import json_bytes
from rsccli.output.timeline.facts import facts_json, pair_json
from rsccli.output.timeline.summary import PairSummary, TileHistory, Timeline
from rsccli.output.timeline.words import SEASON_RULE


def timeline_json(timeline: Timeline) -> bytes:
    """The timeline as JSON."""
    content = {
        "series": facts_json(timeline.facts),
        "ever_changed": timeline.ever_changed,
        "more_than_once": timeline.more_than_once,
        "kinds": list(timeline.kinds),
        "pairs": [_pair(pair) for pair in timeline.pairs],
        "tiles": [_tile(history, timeline) for history in timeline.histories],
        "season_rule": SEASON_RULE,
        "warnings": list(timeline.warnings),
    }
    return json_bytes(content, indent=True)


def _pair(pair: PairSummary) -> dict[str, object]:
    return {
        **pair_json(pair.pair),
        "output": f"{pair.pair.label}.geojson",
        "tiles": pair.tiles,
        "by_status": dict(pair.by_status),
        "changed_area_m2": pair.changed_area_m2,
        "area_per_year_m2": pair.area_per_year_m2,
        "seasonal": pair.seasonal,
        "season_cannot_be_told": pair.undecided,
        "kinds": list(pair.kinds),
        "paragraph": pair.paragraph,
    }


def _tile(history: TileHistory, timeline: Timeline) -> dict[str, object]:
    return {
        "tile": history.tile_id,
        "changes": history.changes,
        "pairs": [
            {
                "pair": pair.label,
                "status": state.status,
                "keywords": state.keywords,
                "seasonal": verdict.seasonal,
                "seasonal_keywords": verdict.keywords,
                "seasonal_reason": verdict.reason,
            }
            for pair, state, verdict in zip(timeline.facts.pairs, history.states, history.verdicts, strict=True)
            if state is not None
        ],
    }
