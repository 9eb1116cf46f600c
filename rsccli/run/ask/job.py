"""One ``rsccli ask``: what is asked of which pair, prepared and worked through."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from rsccli.errors import InputError, ModelError, UsageProblem
from rsccli.models.registry import load_captioner
from rsccli.models.small.answers import ANSWER_STATUSES, TileAnswer
from rsccli.models.small.questions import Asked, Refused, read_question
from rsccli.output.located import stream_located
from rsccli.output.located_parquet import write_rows
from rsccli.output.paths import sidecar
from rsccli.output.text import storable
from rsccli.output.writers.atomic import replacing
from rsccli.run.ask.answerers import FRAME, Answerer, NumbersAnswerer, WordsAnswerer, own_m2, refused_or_asked
from rsccli.run.ask.numbers_tally import NumbersTally
from rsccli.run.ask.page import render_page
from rsccli.run.ask.record import TileAnswers, from_json, same_answers, to_json
from rsccli.run.ask.rows import answer_rows, answer_sheet
from rsccli.run.ask.scene import SceneAnswer, Tally
from rsccli.run.ask.words_tally import WordsTally
from rsccli.run.caption import PreparedJob, Progress, tell_prepared
from rsccli.run.line_journal import LineJournal
from rsccli.run.loop import Room
from rsccli.run.metrics.meter import metered
from rsccli.run.metrics.observe import Watched
from rsccli.run.spec import spec_hash
from rsccli.run.tilewise import (
    TileDone,
    TilewiseJob,
    Work,
    finish_tiles,
    finished_tiles,
    open_journal,
    prepare_tilewise,
    stream_tiles,
    tiles_before,
)
from rsccli.run.visit import Visit, in_parts
from rsccli.stages import stage
from rsccli.types import FAILED

LONGEST_FILE = 1_000_000


@dataclass(frozen=True)
class PreparedAsk:
    """A job whose inputs were checked; no model is loaded yet.

    Attributes:
        questions: as they were given, none twice. read: what the question reader makes of each, for captioners
            without words. page: whether a Markdown page is written beside the output.
    """

    job: TilewiseJob
    prepared: PreparedJob
    questions: tuple[str, ...]
    read: tuple[Asked | Refused, ...]
    page: bool

    @property
    def in_words(self) -> bool:
        """Whether a model that is asked in words answers."""
        return bool(self.prepared.info.prompt)

    def spec(self) -> dict[str, Any]:
        """All that decides the result, as JSON has it."""
        asked = {"questions": self.questions, "frame": FRAME if self.in_words else None}
        return {**self.prepared.spec.to_dict(), "ask": asked}

    @property
    def watched(self) -> Watched:
        """The run, for those who tell of it."""
        return Watched(self.job.output, spec_hash(self.spec()), self.job.pair.observe, ANSWER_STATUSES)

    @property
    def refused(self) -> tuple[tuple[str, str], ...]:
        """Questions that nobody will answer, and why."""
        if self.in_words:
            return ()
        both = zip(self.questions, self.read, strict=True)
        return tuple((text, read.reason) for text, read in both if isinstance(read, Refused))


@dataclass(frozen=True)
class Asking:
    """What came out.

    Attributes:
        answers: about the scene, one for each question. tiles: of the plan. failed: that could not be read or asked.
    """

    answers: tuple[SceneAnswer, ...]
    tiles: int
    failed: int


def read_questions(path: Path, flag: str = "--questions", what: str = "question") -> list[str]:
    """Questions of a text file, one a line; empty lines and those that begin with ``#`` are left out.

    Args:
        flag, what: for messages.

    Raises:
        InputError: it cannot be read as UTF-8 text, or holds no question.
    """
    takes = f"{flag} takes a text file, one {what} a line"
    try:
        if path.stat().st_size > LONGEST_FILE:
            raise InputError(f"{path}: larger than {LONGEST_FILE:,} bytes: {takes}")
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "no UTF-8 text"
        raise InputError(f"{path}: {reason}: {takes}") from error
    found = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not found:
        raise InputError(f"{path}: it holds no {what}: write one a line")
    return found


def page_path(output: Path) -> Path:
    """The Markdown page beside an output."""
    return sidecar(output, ".md")


def prepare_ask(job: TilewiseJob, questions: Sequence[str], page: bool = True) -> PreparedAsk:
    """Check everything that can be checked without a model.

    Raises:
        UsageProblem: no question, or an empty one. Else see `prepare_tilewise`.
    """
    asked = tuple(dict.fromkeys(storable(" ".join(text.split())) for text in questions))
    if not asked or not all(asked):
        raise UsageProblem('give a question: rsccli ask PRE POST "Did anything change?" -o answers.geojson')
    beside = (page_path(job.output),) if page and job.output is not None else ()
    prepared = prepare_tilewise(job, beside)
    info = prepared.info
    read = tuple(refused_or_asked(read_question(text), info.name, info.keywords) for text in asked)
    asking = PreparedAsk(job, prepared, asked, read, page)
    tell_prepared(prepared, asking.watched)
    return asking


def run_ask(asking: PreparedAsk, progress: Progress = lambda tiles, old: None) -> Asking:
    """Ask every tile into the output; go on from a journal where there is one.

    Raises:
        StoppedError: a signal asked to stop; the journal is kept.
        ModelError, InputError, OutputError: see the messages.
    """
    output = asking.job.output
    if output is None:
        raise UsageProblem("run_ask writes a file: use stream_ask for a stream")
    prepared = asking.prepared
    planned = len(prepared.pair.plan)
    with open_journal(asking.job, asking.spec(), planned) as journal:
        with metered(prepared, asking.watched, output, planned, tiles_before(journal)) as meter:
            finish_tiles(prepared, journal, _opened(asking), progress, meter)
            with stage("write"):
                result = _write(asking, journal, output)
        journal.remove()
    return result


def _write(asking: PreparedAsk, journal: LineJournal, output: Path) -> Asking:
    """The answers of a whole journal."""
    tally = _Tally(asking)
    for value in finished_tiles(journal):
        tally.add(from_json(value))
    result = tally.result()
    sheet = answer_sheet(asking.prepared.facts, result.answers)
    records = (from_json(value) for value in finished_tiles(journal))
    write_rows(output, answer_rows(records, asking.questions, asking.prepared), sheet)
    if asking.page:
        with replacing(page_path(output)) as part:
            part.write_text(render_page(result.answers, asking.prepared, output.name), encoding="utf-8")
    return result


def stream_ask(asking: PreparedAsk, out: BinaryIO, progress: Progress = lambda tiles, old: None) -> Asking:
    """Ask every tile; features go to a stream as GeoJSON lines, as soon as their batch is done."""
    tally, prepared = _Tally(asking), asking.prepared
    with metered(prepared, asking.watched, None, len(prepared.pair.plan)) as meter:

        def records() -> Iterator[TileAnswers]:
            for value in stream_tiles(prepared, _opened(asking), progress, meter):
                record = from_json(dict(value))
                tally.add(record)
                yield record

        rows = answer_rows(records(), asking.questions, prepared, prepared.tiles_at_once)
        stream_located(out, rows, answer_sheet(prepared.facts, ()))
    return tally.result()


class _Tally:
    """Scene answers and counts while tiles stream by."""

    def __init__(self, asking: PreparedAsk) -> None:
        plan = asking.prepared.pair.plan
        self._tallies: list[Tally] = [
            WordsTally(text) if asking.in_words else NumbersTally(text, read, plan)
            for text, read in zip(asking.questions, asking.read, strict=True)
        ]
        self._tiles = self._failed = 0

    def add(self, record: TileAnswers) -> None:
        self._tiles += 1
        self._failed += record.status in FAILED
        for tally, answer in zip(self._tallies, record.answers, strict=True):
            tally.add(record, answer)

    def result(self) -> Asking:
        return Asking(tuple(tally.answer() for tally in self._tallies), self._tiles, self._failed)


def _opened(asking: PreparedAsk) -> Callable[[], Any]:
    """Loads who answers; the work of one batch."""

    @contextmanager
    def opened() -> Iterator[Work]:
        crew, plan = asking.prepared.crew, asking.prepared.pair.plan
        info = crew.info
        captioner = None
        if asking.in_words or any(isinstance(each, Asked) for each in asking.read):
            captioner = load_captioner(crew.model, crew.options)
        try:
            answerer: Answerer
            if asking.in_words:
                assert captioner is not None
                answerer = WordsAnswerer(captioner, asking.questions, info.name)
            else:
                answerer = NumbersAnswerer(captioner, asking.read, plan, info.name, info.keywords)
            room = Room()
            yield lambda visit: [TileDone(each.status, to_json(each)) for each in _work(visit, answerer, asking, room)]
        finally:
            if captioner is not None:
                captioner.close()

    return opened


def _work(visit: Visit, answerer: Answerer, asking: PreparedAsk, room: Room) -> list[TileAnswers]:
    """Answers about the tiles of one batch, in reading order."""
    number, plan = len(asking.questions), asking.prepared.pair.plan
    found = [
        same_answers(each.tile, each.valid_fraction, TileAnswer(each.status, reason=each.reason), number)
        for each in visit.unlooked
    ]
    pairs = [read.pair for read in visit.reads]
    said = in_parts(answerer.answers, pairs, room)
    for read, answers, ground in zip(visit.reads, said, own_m2(plan, pairs), strict=True):
        tile, share = read.pair.tile, round(float(read.pair.valid.mean()), 6)
        if isinstance(answers, ModelError):
            found.append(same_answers(tile, share, TileAnswer("model_error", reason=str(answers)), number))
        else:
            found.append(TileAnswers(tile.id, tile.row, tile.col, share, ground, answers))
    return sorted(found, key=lambda each: (each.row, each.col))


def answers_json(result: Asking, output: Path | None) -> dict[str, Any]:
    """What came out as JSON values, for programs."""
    return {
        "output": None if output is None else str(output),
        "tiles": result.tiles,
        "failed_tiles": result.failed,
        "answers": [{**asdict(each), "by_status": dict(each.by_status)} for each in result.answers],
    }
