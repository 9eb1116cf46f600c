"""What a person is shown of an evaluation: facts, then tables of scores, flag, floors and comparison."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rsccli.evaluation.result import (
    Comparison,
    Difference,
    Evaluation,
    FlagResult,
    FloorRow,
    Floors,
    Scope,
    Score,
    Scores,
)
from rsccli.evaluation.tables.sheet import Page, Row, Sheet
from rsccli.evaluation.tables.words import (
    NOTHING,
    TITLES,
    count,
    interval,
    number,
    p_value,
    signed,
    title_of,
)

# Of the floors' scores, what is shown; BLEU-1 to BLEU-3 are in the JSON.
_SHOWN = ("bleu_4", "meteor", "rouge_l", "cider_d", "s_m")
_ROLES = {"predictions": "predictions", "references": "references", "compared": "compared with", "training": "training"}


def page_of(evaluation: Evaluation) -> Page:
    """The page of an evaluation."""
    sheets = [
        *([_scores(evaluation, evaluation.overall)] if evaluation.overall else []),
        *([_flag(evaluation.flag)] if evaluation.flag else []),
        *([_floors(evaluation, evaluation.floors)] if evaluation.floors else []),
        *(_comparison(evaluation.comparison, evaluation) if evaluation.comparison else []),
    ]
    return Page(_title(evaluation), tuple(_facts(evaluation)), tuple(sheets), tuple(_notes(evaluation)))


def _title(evaluation: Evaluation) -> str:
    names = {facts.role: Path(facts.path).name for facts in evaluation.files}
    references = names.get("references", "the references")
    if evaluation.overall is None:
        return f"Floors of {references}"
    return f"{names.get('predictions', 'Predictions')} against {references}"


def _facts(evaluation: Evaluation) -> list[str]:
    facts = [f"Protocol {evaluation.protocol}: {evaluation.protocol_title}."]
    for each in evaluation.files:
        named = (("split", each.split), ("model", each.model), ("regime", each.regime))
        told = [each.format, *(f"{name} {value}" for name, value in named if value), count(each.records, "record")]
        facts.append(f"{_ROLES[each.role].capitalize()}: {each.path} ({', '.join(told)}).")
    facts.append(
        f"{count(evaluation.pairs, 'pair')}, {count(evaluation.changed_pairs)} changed and "
        f"{count(evaluation.unchanged_pairs)} unchanged."
    )
    if evaluation.join is not None:
        facts += [f"Join: {line}." for line in evaluation.join.lines()]
    return facts


def _scores(evaluation: Evaluation, overall: Scores) -> Sheet:
    part = evaluation.changed_only
    head = ["", f"all {count(overall.pairs)}", "95 % interval"]
    if part is not None:
        head += [f"changed {count(part.pairs)}", "95 % interval"]
    rows = []
    for score in overall.scores:
        cells = [title_of(score.key), number(score.key, score.value), interval(score)]
        if part is not None:
            same = part.get(score.key)
            cells += [NOTHING, NOTHING] if same is None else [number(same.key, same.value), interval(same)]
        rows.append(Row(tuple(cells)))
    return Sheet("scores", "Scores on all pairs and on the changed pairs alone", tuple(head), tuple(rows))


def _flag(flag: FlagResult) -> Sheet:
    rows = tuple(Row((title_of(each.key), number(each.key, each.value), interval(each))) for each in flag.scores.scores)
    notes = (
        f"Changed and called so {count(flag.tp)}, missed {count(flag.fn)}; unchanged and called so {count(flag.tn)}, "
        f"false alarms {count(flag.fp)}. Predicted flags: {count(flag.predicted_by_file)} from the file, "
        f"{count(flag.predicted_by_words)} from words; true flags: {count(flag.true_by_file)} from the file, "
        f"{count(flag.true_by_words)} from words.",
    )
    return Sheet("flag", "Change flag, per cent", ("", "value", "95 % interval"), rows, notes)


def _floors(evaluation: Evaluation, floors: Floors) -> Sheet:
    keys = [key for key in _SHOWN if key in floors.keys]
    rows: list[Row] = []
    scopes: tuple[tuple[Scope, str, Scores | None], ...] = (
        ("overall", f"all {count(evaluation.pairs, 'pair')}", evaluation.overall),
        ("changed_only", f"changed pairs only, {count(evaluation.changed_pairs)}", evaluation.changed_only),
    )
    for scope, heading, own in scopes:
        found = [row for row in floors.rows if row.scope == scope]
        if not found:
            continue
        rows.append(Row((heading,), heading=True))
        if own is not None:
            rows.append(_floor("these predictions", own, keys))
        rows += [_floor(_named(row, own or found[0].scores), row.scores, keys) for row in found]
    notes = []
    if any(row.reads_labels for row in floors.rows):
        notes.append("* reads the truth that is to be predicted: a ceiling, not a system.")
    notes += _found(floors.rows)
    notes += _left_out(floors)
    head = ("", *(title_of(key) for key in keys))
    return Sheet("floors", "Floors of the same pairs: what needs no pixel", head, tuple(rows), tuple(notes))


def _named(row: FloorRow, others: Scores) -> str:
    mark = " *" if row.reads_labels else ""
    pairs = "" if row.scores.pairs == others.pairs else f" ({count(row.scores.pairs)})"
    return f"  {row.title}{pairs}{mark}"


def _floor(name: str, scores: Scores, keys: Sequence[str]) -> Row:
    values = [scores.get(key) for key in keys]
    cells = [NOTHING if each is None else number(each.key, each.value) for each in values]
    return Row((name if name.startswith("  ") else f"  {name}", *cells))


def _found(rows: Sequence[FloorRow]) -> list[str]:
    """The constants that were searched, which the titles do not say."""
    told = []
    for row in rows:
        if "found" in row.title and row.sentences:
            told.append(f"{row.title}: " + " / ".join(f'"{sentence}"' for sentence in row.sentences))
    return ["; ".join(told) + "."] if told else []


def _left_out(floors: Floors) -> list[str]:
    reasons: dict[str, list[str]] = {}
    for each in floors.left_out:
        reasons.setdefault(each.reason, []).append(each.title)
    return [f"Left out, as {reason}: {', '.join(titles)}." for reason, titles in reasons.items()]


def _comparison(comparison: Comparison, evaluation: Evaluation) -> list[Sheet]:
    names = {facts.role: Path(facts.path).name for facts in evaluation.files}
    first, second = names.get("predictions", "first"), names.get("compared", comparison.second)
    head = ("", "first", "second", "difference", "95 % interval", "p")
    groups: list[tuple[str, Sequence[Difference]]] = [
        (f"all {count(comparison.pairs, 'shared pair')}", comparison.overall),
        (f"changed pairs only, {count(comparison.changed_pairs)}", comparison.changed_only),
        ("change flag, per cent", comparison.flag),
    ]
    rows: list[Row] = []
    for heading, differences in groups:
        if differences:
            rows.append(Row((heading,), heading=True))
            rows += [_difference(each) for each in differences]
    samples = count(evaluation.resampling.samples)
    notes = (
        f"First is {first}, second is {second}; the difference is first minus second. Intervals: paired bootstrap, "
        f"{samples} samples. p: approximate randomisation, two-sided, {samples} exchanges, for each score by itself.",
    )
    return [Sheet("comparison", f"{first} against {second}", head, tuple(rows), notes)]


def _difference(each: Difference) -> Row:
    told = Score(each.key, each.difference, each.low, each.high)
    return Row(
        (
            f"  {title_of(each.key)}",
            number(each.key, each.first),
            number(each.key, each.second),
            signed(each.key, each.difference),
            interval(told, with_sign=True),
            p_value(each.p_value),
        )
    )


def _notes(evaluation: Evaluation) -> list[str]:
    notes = []
    if evaluation.resampling.samples and evaluation.overall is not None:
        notes.append(
            f"Intervals: 95 %, bootstrap over pairs, {count(evaluation.resampling.samples)} samples, seed "
            f"{evaluation.resampling.seed}. They say how far another draw of pairs of the same kind may move a score, "
            "not how far another kind of scene may."
        )
    notes += [_sentence(note) for note in evaluation.notes]
    notes.append(", ".join(f"{name} {version}" for name, version in evaluation.versions) + ".")
    return notes


def _sentence(note: str) -> str:
    """A note that begins with a key or in lower case as a sentence."""
    first, gap, rest = note.rstrip(".").partition(" ")
    return f"{title_of(first) if first in TITLES else first[:1].upper() + first[1:]}{gap}{rest}."
