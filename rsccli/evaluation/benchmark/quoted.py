"""Tables of published figures: nothing in them was measured here."""

from __future__ import annotations

from collections.abc import Sequence

from rsccli.evaluation.benchmark.comparable import TITLES, protocol_cell
from rsccli.evaluation.benchmark.published import Benchmark as Whose
from rsccli.evaluation.benchmark.published import PublishedRow
from rsccli.evaluation.benchmark.result import Benchmark
from rsccli.evaluation.tables.sheet import Row, Sheet
from rsccli.evaluation.tables.words import NOTHING, title_of

_LEVIR = ("bleu_4", "meteor", "rouge_l", "cider_d", "s_m")
_RSCC = ("rouge_l", "meteor", "st5_scs", "avg_l")
_RSCC_HEAD = ("regime", "ROUGE", "METEOR", "ST5-SCS", "Avg_L")


def quoted_sheet(result: Benchmark, benchmark: Whose) -> Sheet:
    """The published rows of one benchmark."""
    rows = [row for row in result.quoted if row.benchmark == benchmark]
    first = rows[0]
    title = f"Quoted, not measured here: {TITLES[benchmark]}, {first.pairs:,} pairs, {first.split}"
    rscc = benchmark == "rscc"
    head = (
        "",
        *(_RSCC_HEAD if rscc else ("parameters, M", "protocol", *(title_of(key) for key in _LEVIR))),
        "quoted from",
    )
    cells = [_rscc(row) if rscc else _levir(row, result.protocols) for row in rows]
    note = (
        "RSCC's column BERT is 98.6 to 99.6 for every model."
        if rscc
        else "(other): not a protocol of the scores above; figures of one say nothing about those of another."
    )
    notes = (f"{note} None is to be ranked with what was measured here.",)
    return Sheet(f"quoted-{benchmark}", title, head, tuple(Row(each) for each in cells), notes)


def _rscc(row: PublishedRow) -> tuple[str, ...]:
    return (row.model, row.regime or NOTHING, *(row.get(key) or NOTHING for key in _RSCC), _source(row))


def _levir(row: PublishedRow, protocols: Sequence[str]) -> tuple[str, ...]:
    parameters = NOTHING if row.parameters_m is None else f"{row.parameters_m:g}"
    figures = (row.get(key) or NOTHING for key in _LEVIR)
    return (row.model, parameters, protocol_cell(row, protocols), *figures, _source(row))


def _source(row: PublishedRow) -> str:
    year = f" {row.year}" if row.year else ""
    return f"{row.source}{year}" + (f" ({row.note})" if row.note else "")
