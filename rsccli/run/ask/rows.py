"""Answers as rows of a map: one for each tile and question, flat, so that QGIS can filter and colour them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from types import MappingProxyType

from rsccli.geo.footprint import footprints
from rsccli.output.located import Located, Sheet, Value
from rsccli.output.qgis.looks import answers_look
from rsccli.output.text import storable
from rsccli.run.ask.record import TileAnswers
from rsccli.run.ask.scene import SceneAnswer
from rsccli.run.caption import PreparedJob
from rsccli.types import RunFacts

LAYER = "answers"
COLUMNS = MappingProxyType(
    {
        "question": str,
        "question_number": int,
        "answer": str,
        "verdict": str,
        "value": float,
        "unit": str,
        "status": str,
        "kinds": str,
        "logprob": float,
        "source": str,
        "reason": str,
        "tile": str,
        "tile_row": int,
        "tile_col": int,
        "valid_fraction": float,
        "pre_datetime": str,
        "post_datetime": str,
        "model": str,
        "model_revision": str,
    }
)
_BATCH = 512


def answer_sheet(facts: RunFacts, answers: Sequence[SceneAnswer]) -> Sheet:
    """What all rows share; the scene's answers stand in the collection's foreign member ``rsccli``."""
    told = [{**asdict(each), "by_status": dict(each.by_status)} for each in answers]
    return Sheet(LAYER, COLUMNS, facts, {"answers": told}, answers_look([each.question for each in answers]))


def answer_rows(
    records: Iterable[TileAnswers], questions: Sequence[str], prepared: PreparedJob, at_once: int = _BATCH
) -> Iterator[Located]:
    """Rows of tiles, all questions of a tile together.

    Args:
        at_once: tiles whose footprints are computed together.
    """
    facts, plan, source = prepared.facts, prepared.pair.plan, iter(records)
    while batch := list(islice(source, at_once)):
        places = footprints(plan.grid, [plan.tile(each.row, each.col).px_window for each in batch])
        for record, place in zip(batch, places, strict=True):
            polygons = tuple((ring,) for ring in place.polygons)
            for number, question in enumerate(questions, 1):
                values = _values(record, number, question, facts)
                yield Located(f"{record.tile_id}-q{number}", polygons, place.bbox, values)


def _values(record: TileAnswers, number: int, question: str, facts: RunFacts) -> tuple[Value, ...]:
    answer = record.answers[number - 1]
    return (
        question,
        number,
        _text(answer.text),
        answer.verdict,
        None if answer.value is None else round(float(answer.value), 6),
        answer.unit,
        answer.status,
        ";".join(answer.kinds),
        answer.logprob,
        answer.source,
        _text(answer.reason),
        record.tile_id,
        record.row,
        record.col,
        record.valid_fraction,
        facts.pre.datetime,
        facts.post.datetime,
        facts.model,
        facts.model_revision,
    )


def _text(text: str | None) -> str | None:
    return None if text is None else storable(text)
