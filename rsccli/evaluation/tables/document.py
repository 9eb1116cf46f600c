"""An evaluation as JSON, for programs.

Objects ``overall``, ``changed_only``, ``flag``, ``floors``, ``join``; scores under their keys (``bleu_4``, ...), text
scores times 100, shares of the flag from 0 to 1; the 95 % intervals stand under the same names in ``intervals``. A main
score that was not asked for or cannot be made is null.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rsccli.evaluation.result import Comparison, Difference, Evaluation, FlagResult, Floors, Scores
from rsccli.output.text import json_bytes

# What every result has, null where there is no value: programs need not ask for the key first.
MAIN_KEYS = (
    "bleu_1",
    "bleu_2",
    "bleu_3",
    "bleu_4",
    "meteor",
    "rouge_l",
    "cider_d",
    "s_m",
    "st5_scs",
    "avg_l",
)  # fmt: skip
FORMAT = "rsccli-evaluation-1"
_DIGITS = 6

Document = dict[str, Any]


def render_json(evaluation: Evaluation) -> str:
    """The evaluation as indented JSON."""
    return json_bytes(document(evaluation), indent=True).decode("utf-8")


def document(evaluation: Evaluation) -> Document:
    """The evaluation as plain JSON values."""
    told = evaluation
    return {
        "format": FORMAT,
        "protocol": {"name": told.protocol, "title": told.protocol_title},
        "files": {
            facts.role: {key: value for key, value in asdict(facts).items() if key != "role"} for facts in told.files
        },
        "pairs": {"evaluated": told.pairs, "changed": told.changed_pairs, "unchanged": told.unchanged_pairs},
        "join": None if told.join is None else told.join.as_dict(),
        "overall": _values(told.overall, MAIN_KEYS),
        "changed_only": _values(told.changed_only, MAIN_KEYS),
        "flag": _flag(told.flag),
        "floors": _floors(told.floors),
        "floors_left_out": {each.name: each.reason for each in told.floors.left_out} if told.floors else {},
        "intervals": {
            "overall": _intervals(told.overall),
            "changed_only": _intervals(told.changed_only),
            "flag": _intervals(told.flag.scores if told.flag else None),
            "floors": {row.name: _intervals(row.scores) for row in told.floors.rows} if told.floors else {},
        },
        "comparison": _comparison(told.comparison),
        "bootstrap": {
            "samples": told.resampling.samples,
            "seed": told.resampling.seed,
            "level": told.resampling.level,
            "method": "percentiles of samples of the pairs with replacement",
        },
        "metrics": dict(told.metrics),
        "versions": dict(told.versions),
        "notes": list(told.notes),
    }


def _values(scores: Scores | None, always: Sequence[str] = ()) -> Document | None:
    if scores is None:
        return None
    values = {score.key: _number(score.value) for score in scores.scores}
    return {**{key: values.get(key) for key in always}, **values}


def _intervals(scores: Scores | None) -> Document:
    if scores is None:
        return {}
    return {
        score.key: None if score.low is None or score.high is None else [_number(score.low), _number(score.high)]
        for score in scores.scores
    }


def _flag(flag: FlagResult | None) -> Document | None:
    if flag is None:
        return None
    return {
        **(_values(flag.scores) or {}),
        "tp": flag.tp,
        "fp": flag.fp,
        "fn": flag.fn,
        "tn": flag.tn,
        "predicted_by_file": flag.predicted_by_file,
        "predicted_by_words": flag.predicted_by_words,
        "true_by_file": flag.true_by_file,
        "true_by_words": flag.true_by_words,
    }


def _floors(floors: Floors | None) -> Document:
    if floors is None:
        return {}
    return {
        row.name: {
            "title": row.title,
            "scope": row.scope,
            "reads_labels": row.reads_labels,
            "sentences": list(row.sentences),
            "pairs": row.scores.pairs,
            **(_values(row.scores) or {}),
        }
        for row in floors.rows
    }


def _comparison(comparison: Comparison | None) -> Document | None:
    if comparison is None:
        return None
    return {
        "second": comparison.second,
        "pairs": comparison.pairs,
        "changed_pairs": comparison.changed_pairs,
        "join": comparison.join.as_dict(),
        "difference": "first minus second, on the pairs that both files and the references share",
        "interval": "95 %, paired bootstrap",
        "test": "approximate randomisation, two-sided",
        "overall": _differences(comparison.overall),
        "changed_only": _differences(comparison.changed_only),
        "flag": _differences(comparison.flag),
    }


def _differences(differences: Sequence[Difference]) -> Document:
    return {
        each.key: {
            "first": _number(each.first),
            "second": _number(each.second),
            "difference": _number(each.difference),
            "interval": None if each.low is None or each.high is None else [_number(each.low), _number(each.high)],
            "p_value": _number(each.p_value),
        }
        for each in differences
    }


def _number(value: float | None) -> float | None:
    """Six decimals: sums in another order differ in the last bits, results must not."""
    return None if value is None or not math.isfinite(value) else round(value, _DIGITS)
