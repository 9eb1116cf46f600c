"""Tables of what was measured here: scores of each protocol, flag, intervals, differences, floors, speed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rsccli.evaluation.benchmark.regimes import ZERO_SHOT
from rsccli.evaluation.benchmark.result import Benchmark, Run
from rsccli.evaluation.protocols import protocol_named
from rsccli.evaluation.result import Difference, Score, Scores
from rsccli.evaluation.tables.sheet import Row, Sheet
from rsccli.evaluation.tables.words import NOTHING, count, number, p_value, title_of

NOT_MEASURED = "not measured"
_LEVIR = ("bleu_1", "bleu_2", "bleu_3", "bleu_4", "meteor", "rouge_l", "cider_d", "s_m")
_LEVIR_MAIN = ("bleu_4", "meteor", "rouge_l", "cider_d", "s_m")
_RSCC = ("rouge_l", "meteor", "roberta_cosine", "bert_score_f1", "st5_scs", "avg_l")
_RSCC_TITLES = {"rouge_l": "ROUGE", "roberta_cosine": "BERT", "avg_l": "Avg_L"}
_FLAG = ("accuracy", "precision", "recall", "f1")
Cell = Callable[[Scores, str], str]


def measured_sheets(result: Benchmark, protocol: str) -> list[Sheet]:
    """The tables of one protocol."""
    title = protocol_named(protocol).title
    # What is said to have changed does not depend on how words are scored: told once.
    first = next((each for each in result.protocols if each != "rscc"), None)
    if protocol == "rscc":
        sheets = [_rscc_scores(result), _intervals(result, protocol, _measured(result, protocol, _RSCC))]
    else:
        sheets = [
            _levir_scores(result, protocol, title),
            _intervals(result, protocol, _measured(result, protocol, _LEVIR_MAIN)),
            *([_flag(result, protocol)] if protocol == first else []),
            *_floors(result, protocol),
        ]
    return [*sheets, *_differences(result, protocol)]


def name_of(run: Run, result: Benchmark) -> str:
    """A run in a table: the regime stands beside the model where it is not zero-shot for all."""
    plain = all(each.regime == ZERO_SHOT for each in result.runs)
    return run.model if plain else f"{run.model}, {run.regime}"


def _levir_scores(result: Benchmark, protocol: str, title: str) -> Sheet:
    head = ("", "pairs", *(title_of(key) for key in _LEVIR))
    rows = _scoped(result, protocol, _LEVIR, lambda scores, key: _number(scores.get(key), protocol))
    return Sheet(f"measured-{protocol}", f"Measured here: scores of LEVIR-CC, protocol {title}", head, tuple(rows))


def _rscc_scores(result: Benchmark) -> Sheet:
    rows: list[Row] = []
    for regime in dict.fromkeys(run.regime for run in result.runs):
        runs = [run for run in result.runs if run.regime == regime]
        counts = runs[0].counts_from
        rows.append(Row((f"{regime}, counts from {counts}" if counts else regime,), heading=True))
        for run in runs:
            scores = run.of("rscc").overall
            if scores is not None:
                cells = (_number(scores.get(key), "rscc") for key in _RSCC)
                rows.append(Row((f"  {run.model}", count(scores.pairs), *cells)))
    head = ("", "pairs", *(_RSCC_TITLES.get(key, title_of(key)) for key in _RSCC))
    notes = (
        "ROUGE: rougeL F1 of rouge_score; METEOR: that of nltk; BERT: cosine of averaged states, padding included, "
        "which is 98.6 to 99.6 for every published model and tells nothing; BERTScore is the real one.",
    )
    return Sheet("measured-rscc", "Measured here: scores of RSCC by regime", head, tuple(rows), notes)


def _scoped(result: Benchmark, protocol: str, keys: Sequence[str], cell: Cell) -> Iterator[Row]:
    """Rows on all pairs, then on the changed ones alone, which RSCC does not tell apart."""
    scopes: list[tuple[str, Callable[[Run], Scores | None]]] = [("all pairs", lambda run: run.of(protocol).overall)]
    if protocol != "rscc":
        scopes.append(("changed pairs only", lambda run: run.of(protocol).changed_only))
    for heading, of in scopes:
        found = [(run, scores) for run in result.runs if (scores := of(run)) is not None]
        if found:
            yield Row((heading,), heading=True)
        for run, scores in found:
            cells = (cell(scores, key) for key in keys)
            yield Row((f"  {name_of(run, result)}", count(scores.pairs), *cells))


def _measured(result: Benchmark, protocol: str, keys: Sequence[str]) -> tuple[str, ...]:
    """Keys that some run has."""
    told = [scores for run in result.runs if (scores := run.of(protocol).overall) is not None]
    return tuple(key for key in keys if any(scores.get(key) for scores in told))


def _intervals(result: Benchmark, protocol: str, keys: Sequence[str]) -> Sheet:
    head = ("", "pairs", *(_title(key, protocol) for key in keys))
    rows = _scoped(result, protocol, keys, lambda scores, key: _interval(scores.get(key), protocol))
    notes = (
        f"95 %, bootstrap over pairs, {count(result.samples, 'sample')}, seed {result.seed}. They say how far another "
        "draw of pairs of the same kind may move a score.",
    )
    return Sheet(f"intervals-{protocol}", f"Measured here: 95 % intervals, {protocol}", head, tuple(rows), notes)


def _flag(result: Benchmark, protocol: str) -> Sheet:
    rows = []
    for run in result.runs:
        flag = run.of(protocol).flag
        if flag is not None:
            shares = (number(key, score.value if (score := flag.scores.get(key)) else None) for key in _FLAG)
            cells = (*shares, count(flag.tp), count(flag.fn), count(flag.tn), count(flag.fp))
            rows.append(Row((name_of(run, result), *cells)))
    head = ("", *(title_of(key) for key in _FLAG), "hits", "missed", "rightly unchanged", "false alarms")
    notes = ("A model that answers changed or unchanged beside its words is taken by that, every other by its words.",)
    return Sheet(f"flag-{protocol}", "Measured here: change flag, per cent and pairs", head, tuple(rows), notes)


def _floors(result: Benchmark, protocol: str) -> Iterator[Sheet]:
    floors = next((found for run in result.runs if (found := run.of(protocol).floors) is not None), None)
    if floors is None or not floors.rows:
        return
    keys = tuple(key for key in _LEVIR_MAIN if key in floors.keys)
    rows = []
    for scope, heading in (("overall", "all pairs"), ("changed_only", "changed pairs only")):
        there = [row for row in floors.rows if row.scope == scope]
        if there:
            rows.append(Row((heading,), heading=True))
        for row in there:
            mark = " *" if row.reads_labels else ""
            cells = (_number(row.scores.get(key), protocol) for key in keys)
            rows.append(Row((f"  {row.title}{mark}", count(row.scores.pairs), *cells)))
    yield Sheet(
        f"floors-{protocol}",
        "Measured here: floors of the same pairs, what needs no pixel",
        ("", "pairs", *(title_of(key) for key in keys)),
        tuple(rows),
        ("* reads the truth that is to be predicted: a ceiling, not a system.",),
    )


def _differences(result: Benchmark, protocol: str) -> Iterator[Sheet]:
    keys = _measured(result, protocol, _RSCC if protocol == "rscc" else _LEVIR_MAIN)
    rows: list[Row] = []
    for run in result.runs:
        compared = run.of(protocol).comparison
        if compared is None:
            continue
        parts = (
            (compared.pairs, "pair", compared.overall),
            (compared.changed_pairs, "changed pair", compared.changed_only),
        )
        for pairs, what, differences in parts:
            # On changed pairs alone RSCC scores nothing, and where all pairs changed they say the same twice.
            if not differences or (what != "pair" and (protocol == "rscc" or pairs == compared.pairs)):
                continue
            heading = f"{name_of(run, result)} less {compared.second}, {count(pairs, what)}"
            rows.append(Row((heading,), heading=True))
            found = {each.key: each for each in differences}
            rows += [_difference(found[key], protocol) for key in keys if key in found]
    if rows:
        yield Sheet(
            f"differences-{protocol}",
            f"Measured here: differences, {protocol}",
            ("", "difference", "95 % interval", "p"),
            tuple(rows),
            (
                "From the first model of the same regime on the same pairs; paired bootstrap, and approximate "
                "randomisation, two-sided.",
            ),
        )


def speed_sheet(result: Benchmark) -> Sheet:
    """How fast, with how much memory, on what."""
    gpu = any(run.speed.gpu_mb is not None for run in result.runs)
    head = ("", "pairs", "pairs/s", "with reading", "peak MB", *(["GPU MB"] if gpu else []), "on", "model MB", "dtype")
    sizes = dict.fromkeys(str(run.speed.batch_size) for run in result.runs)
    rows = []
    for run in result.runs:
        speed = run.speed
        on_gpu = (_whole(speed.gpu_mb),) if gpu else ()
        cells = (
            count(speed.pairs),
            _rate(speed.pairs_per_s),
            _rate(speed.with_reading),
            _whole(speed.peak_mb),
            *on_gpu,
            (speed.provider or NOTHING).removesuffix("ExecutionProvider"),
            f"{speed.size_mb:,.0f}",
            speed.dtype,
        )
        rows.append(Row((name_of(run, result), *cells)))
    notes = (
        f"{result.machine}. Batches of {', '.join(sizes)}, the first one included, loading left out. Peak: memory of "
        "this process while the model was at work; models that ran before it in the same process may have left some.",
    )
    return Sheet("speed", "Measured here: speed and memory", head, tuple(rows), notes)


def _title(key: str, protocol: str) -> str:
    return _RSCC_TITLES.get(key, title_of(key)) if protocol == "rscc" else title_of(key)


def _value(value: float | None, key: str, protocol: str) -> str:
    """RSCC's papers print two decimals, those of LEVIR-CC one."""
    if value is None:
        return NOTHING
    return f"{value:.2f}" if protocol == "rscc" else number(key, value)


def _number(score: Score | None, protocol: str) -> str:
    return NOT_MEASURED if score is None else _value(score.value, score.key, protocol)


def _interval(score: Score | None, protocol: str) -> str:
    if score is None or score.low is None or score.high is None:
        return NOTHING
    return f"{_value(score.low, score.key, protocol)} to {_value(score.high, score.key, protocol)}"


def _difference(each: Difference, protocol: str) -> Row:
    def told(value: float | None) -> str:
        if value is None:
            return NOTHING
        text = _value(abs(value), each.key, protocol)
        # What rounds to nothing has no sign.
        sign = "" if not float(text) else "-" if value < 0 else "+"
        return f"{sign}{text}"

    spread = NOTHING if each.low is None or each.high is None else f"{told(each.low)} to {told(each.high)}"
    return Row((f"  {_title(each.key, protocol)}", told(each.difference), spread, p_value(each.p_value)))


def _rate(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.1f}" if value >= 1 else f"{value:.3f}"


def _whole(value: float | None) -> str:
    return NOT_MEASURED if value is None else f"{value:,.0f}"
