"""One file, several systems: lines of RSCC name the model and how it was asked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from rsccli.errors import InputError
from rsccli.evaluation.records.record import CaptionRecord, RecordFile

System = tuple[str | None, str | None]


def systems_of(records: Iterable[CaptionRecord]) -> tuple[System, ...]:
    """Model and regime of every system that wrote some of the records, in the order in which they come."""
    return tuple(dict.fromkeys((record.model, record.regime) for record in records))


def of_system(file: RecordFile, model: str | None = None, regime: str | None = None) -> RecordFile:
    """The records of one model, of one regime, or of both; None takes any.

    Raises:
        InputError: no record is of it; the message lists what there is.
    """
    kept = tuple(record for record in file.records if model in (None, record.model) and regime in (None, record.regime))
    if not kept:
        wanted = " and ".join(
            f"{name} {value!r}" for name, value in (("model", model), ("regime", regime)) if value is not None
        )
        raise InputError(f"{file.path}: no record of {wanted}; it has {systems_text(systems_of(file.records))}")
    return replace(file, records=kept)


def systems_text(systems: Iterable[System]) -> str:
    """Systems for a message."""
    return "; ".join(f"model {model or '(none)'}, regime {regime or '(none)'}" for model, regime in systems)
