"""The timeline's map: the features of all pairs in one GeoJSON (RFC 7946), each with its pair and its season."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import orjson

from rsccli.geo.extent import LonLatExtent
from rsccli.output.features import Feature, as_json_dict
from rsccli.output.text import json_bytes
from rsccli.output.timeline.facts import SeriesFacts, facts_json
from rsccli.output.timeline.pairs import SeriesPair
from rsccli.output.timeline.seasonal import Verdict
from rsccli.output.timeline.summary import SeriesJudge
from rsccli.output.writers.atomic import replacing


def write_timeline(
    path: Path, facts: SeriesFacts, judged: SeriesJudge, features_of: Callable[[int], Iterator[Feature]]
) -> int:
    """Write all features, pair after pair, one a line; returns how many. Holds one at a time.

    Raises:
        OutputError: it cannot be written; nothing is left behind.
    """
    count = 0
    extent = LonLatExtent(facts.grid)
    with replacing(path) as part, part.open("wb") as out:
        head = json_bytes(facts_json(facts))
        out.write(b'{"type":"FeatureCollection","rsccli_series":' + head + b',"features":[')
        for index, pair in enumerate(facts.pairs):
            for feature in features_of(index):
                verdict = judged.verdict(index, (feature.tile_row, feature.tile_col))
                extent.add(feature.bbox)
                out.write(b",\n" if count else b"\n")
                out.write(orjson.dumps(timeline_feature(feature, pair, verdict)))
                count += 1
        bbox = b"" if extent.bbox is None else b',"bbox":' + orjson.dumps(extent.bbox)
        out.write(b"\n]" + bbox + b"}\n")
    return count


def timeline_feature(feature: Feature, pair: SeriesPair, verdict: Verdict) -> dict[str, object]:
    """A pair's feature with what the series adds; its id names tile and pair."""
    made = as_json_dict(feature)
    own = made["properties"]
    assert isinstance(own, dict)
    made["id"] = f"{feature.id}@{pair.label}"
    made["properties"] = {
        "tile": feature.id,
        "pair": pair.label,
        "pair_kind": pair.kind,
        "days": pair.days,
        "years": round(pair.years, 3),
        "seasonal": verdict.seasonal,
        "seasonal_keywords": ";".join(verdict.keywords),
        "seasonal_reason": verdict.reason,
        **own,
    }
    return made
