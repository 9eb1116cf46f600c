"""``rsccli benchmark``: models over pairs with references, scored, next to published figures."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsccli.cli import options as flags
from rsccli.cli.evaluation_options import (
    PAIRS,
    SCORES,
    BertModel,
    BertScoreLayers,
    Bootstrap,
    Gsd,
    Limit,
    Meteor,
    MeteorVariant,
    ProtocolChoice,
    RefColumn,
    References,
    Seed,
    SentenceModel,
    Split,
    Wordnet,
)
from rsccli.cli.model_options import (
    CAPTIONER,
    Backend,
    BatchSize,
    Decoder,
    Devices,
    Dtype,
    MaxNewTokens,
    NumBeams,
    Register,
    Temperature,
    Threads,
    TopP,
    Words,
)
from rsccli.cli.options import RadiometryChoice
from rsccli.cli.pipes import reader_may_leave
from rsccli.errors import FailedTilesError

if TYPE_CHECKING:
    from rsccli.evaluation.benchmark.job import BenchmarkJob, Plan
    from rsccli.evaluation.benchmark.result import Benchmark


class RegimeChoice(StrEnum):
    """What a model that is asked in words is told and shown."""

    zero_shot = "zero-shot"
    textual = "textual_prompt"
    visual = "visual_prompt"


class PredictionsChoice(StrEnum):
    """How captions are written."""

    rscc = "rscc"
    csv = "csv"


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("benchmark")(benchmark)


def benchmark(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="DIR_OR_FILE",
            help="Pairs: a LEVIR-CC or RSCC folder, a data set of `rsccli dataset`, a folder with A/ and B/, or a list "
            "(.json, .jsonl, .csv) with pre, post and captions.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            envvar="RSCCLI_OUTPUT",
            metavar="DIR",
            help="Folder for results.json, results.md, results.tex and the captions.",
            show_envvar=False,
            show_default=False,
        ),
    ],
    model: Annotated[
        list[str] | None,
        typer.Option(
            "-m",
            "--model",
            envvar="RSCCLI_MODEL",
            metavar="NAME|DIR",
            help="Captioner, as for `rsccli caption`; may be repeated. Default: rsccli-small.",
            rich_help_panel=CAPTIONER,
            show_envvar=False,
            show_default=False,
        ),
    ] = None,
    regime: Annotated[
        list[RegimeChoice] | None,
        typer.Option(
            "--regime",
            envvar="RSCCLI_REGIME",
            help="What a large model is told: nothing; type of disaster and counts; these and outlines. May be "
            "repeated. The last two need records with counts. Default: zero-shot.",
            rich_help_panel=CAPTIONER,
            show_envvar=False,
            show_default=False,
        ),
    ] = None,
    protocol: Annotated[
        list[ProtocolChoice] | None,
        typer.Option(
            "--protocol",
            envvar="RSCCLI_PROTOCOL",
            help="words or word-ids: LEVIR-CC's columns; rscc: RSCC's. May be repeated. Default: words and rscc.",
            rich_help_panel=SCORES,
            show_envvar=False,
            show_default=False,
        ),
    ] = None,
    references: References = None,
    ref_column: RefColumn = None,
    images: Annotated[
        Path | None,
        typer.Option(
            "--images",
            envvar="RSCCLI_IMAGES",
            metavar="DIR",
            help="Folder of the images. Default: that of the list, and images/ in it.",
            rich_help_panel=PAIRS,
            show_envvar=False,
            show_default=False,
        ),
    ] = None,
    split: Split = None,
    only: Annotated[
        str | None,
        typer.Option(
            "--only",
            envvar="RSCCLI_ONLY",
            metavar="PATTERN",
            help="Only pairs whose id fits, for example 'test_*'.",
            rich_help_panel=PAIRS,
            show_envvar=False,
        ),
    ] = None,
    limit: Limit = 0,
    seed: Seed = 0,
    gsd: Gsd = None,
    size_tolerance: Annotated[
        int,
        typer.Option(
            "--size-tolerance",
            envvar="RSCCLI_SIZE_TOLERANCE",
            metavar="PX",
            min=0,
            help="Images without a georeference whose sides differ by up to PX are cut to what both show.",
            rich_help_panel=PAIRS,
            show_envvar=False,
        ),
    ] = 0,
    device: Devices = "auto",
    dtype: Dtype = "auto",
    backend: Backend = "onnx",
    decoder: Decoder = "auto",
    num_beams: NumBeams = 1,
    temperature: Temperature = 0.0,
    top_p: TopP = 1.0,
    repetition_guard: Annotated[
        bool,
        typer.Option(
            "--repetition-guard/--no-repetition-guard",
            envvar="RSCCLI_REPETITION_GUARD",
            help="End a caption that repeats itself; RSCC's rows were made without such a guard.",
            rich_help_panel=CAPTIONER,
            show_envvar=False,
        ),
    ] = True,
    prompt: Annotated[
        str,
        typer.Option(
            "--prompt",
            envvar="RSCCLI_PROMPT",
            metavar="auto|FILE",
            help="What a large model is asked: the words of its regime, or your own for one regime.",
            rich_help_panel=CAPTIONER,
            show_envvar=False,
        ),
    ] = "auto",
    words: Words = "auto",
    register: Register = "short",
    max_new_tokens: MaxNewTokens = None,
    batch_size: BatchSize = None,
    threads: Threads = None,
    meteor: Meteor = MeteorVariant.auto,
    wordnet: Wordnet = None,
    sentence_model: SentenceModel = None,
    bert_model: BertModel = None,
    bert_score_layers: BertScoreLayers = None,
    score_device: Annotated[
        str,
        typer.Option(
            "--score-device",
            envvar="RSCCLI_SCORE_DEVICE",
            help="Of the two models of scores: cpu, cuda, cuda:1.",
            rich_help_panel=SCORES,
            show_envvar=False,
        ),
    ] = "cpu",
    bootstrap: Bootstrap = 1000,
    predictions: Annotated[
        PredictionsChoice,
        typer.Option(
            "--predictions",
            envvar="RSCCLI_PREDICTIONS",
            help="Captions as RSCC's JSON lines, or as CSV, which keeps ids and change flags.",
            show_envvar=False,
        ),
    ] = PredictionsChoice.rscc,
    overwrite: flags.Overwrite = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume/--no-resume",
            envvar="RSCCLI_RESUME",
            help="Take over captions of an earlier run into the same folder, or ask again for all of them.",
            show_envvar=False,
        ),
    ] = True,
    bands: flags.Bands = None,
    radiometry: flags.RadiometryRule = RadiometryChoice.auto,
    coregister: flags.Coregister = False,
    quiet: flags.Quiet = False,
    json_output: flags.JsonOutput = False,
) -> None:
    """Run models over pairs with references and score what they say, next to published figures.

    What is measured here and what is quoted stand in tables of their own. Pairs are PNG, JPEG or GeoTIFF files. Kill
    it and run the same command again: it asks for what is missing. A pair that cannot be read is left out and told, a
    pair that a model fails on counts as an empty caption: exit code 5.

    \b
    Examples:
      rsccli benchmark LEVIR-CC --split test -o levir
      rsccli benchmark pairs.json -m rsccli-small -m BUNDLE --gsd 0.5 -o out
      rsccli benchmark rscc --references RSCC_gt.jsonl -m BUNDLE --regime zero-shot --regime textual_prompt -o out
      rsccli benchmark images/test --references LevirCCcaptions.json --limit 200 --protocol word-ids --gsd 0.5 -o out
    """
    from rsccli.evaluation.benchmark.images import Reading
    from rsccli.evaluation.benchmark.job import BenchmarkJob
    from rsccli.evaluation.benchmark.pairs import Choice
    from rsccli.evaluation.protocols import MetricChoices
    from rsccli.models.captioner import CaptionerOptions
    from rsccli.models.registry import DEFAULT_CAPTIONER

    geometry = flags.pair_options(bands=bands, radiometry=radiometry, coregister=coregister)
    job = BenchmarkJob(
        source=source,
        output=output,
        models=tuple(model or [DEFAULT_CAPTIONER]),
        regimes=tuple(each.value for each in regime or [RegimeChoice.zero_shot]),
        protocols=tuple(each.value for each in protocol or [ProtocolChoice.words, ProtocolChoice.rscc]),
        references=references,
        column=ref_column,
        images=images,
        choice=Choice(split=split, only=only, limit=limit, seed=seed),
        captioner=CaptionerOptions(
            device=device,
            dtype=dtype,
            backend=backend,  # type: ignore[arg-type]
            decoder=decoder,  # type: ignore[arg-type]
            num_beams=num_beams,
            temperature=temperature,
            top_p=top_p,
            seed=seed,
            repetition_guard=repetition_guard,
            prompt=prompt,
            words=words,  # type: ignore[arg-type]
            register=register,  # type: ignore[arg-type]
            max_new_tokens=max_new_tokens,
            threads=threads,
        ),
        batch_size=flags.parse_batch_size(batch_size),
        reading=Reading(gsd, geometry, size_tolerance),
        metrics=MetricChoices(
            meteor=meteor.value,
            spice=False,
            wordnet=wordnet,
            sentence_encoder=sentence_model,
            roberta=bert_model,
            bert_score=bert_model,
            bert_score_layers=bert_score_layers,
            device=score_device,
        ),
        samples=bootstrap,
        predictions=predictions.value,
        overwrite=overwrite,
        resume=resume,
    )
    _run(job, quiet, json_output)


def _run(job: BenchmarkJob, quiet: bool, json_output: bool) -> None:
    from rsccli.evaluation.benchmark.run import prepare

    plan = prepare(job)
    if not quiet:
        for note in plan.notes:
            print(f"rsccli: {note}", file=sys.stderr)
    result = _watched(plan, quiet)
    _show(result, job.output, quiet, json_output)
    if result.problems:
        first, names = result.problems[0], {each.pair for each in result.problems}
        raise FailedTilesError(
            f"{len(names)} of {result.data.pairs} pairs could not be read, or a model failed on them, as the results "
            f"say; {first.pair}: {first.reason}"
        )


def _watched(plan: Plan, quiet: bool) -> Benchmark:
    """Run it with a bar, or lines, for each model."""
    from contextlib import ExitStack

    from rsccli.cli.dataset.show import PairProgress
    from rsccli.evaluation.benchmark.job import Entrant
    from rsccli.evaluation.benchmark.run import run_benchmark
    from rsccli.evaluation.probes.answering import Progress

    with ExitStack() as bars:

        def watch(entrant: Entrant, pairs: int) -> Progress:
            bars.pop_all().close()
            if not quiet:
                print(f"rsccli: {entrant.label}, {entrant.regime}: {pairs} pairs", file=sys.stderr)
            bar = bars.enter_context(PairProgress("pair", quiet))
            return lambda done, old: bar(done, old, pairs)

        return run_benchmark(plan, watch)


def _show(result: Benchmark, folder: Path, quiet: bool, json_output: bool) -> None:
    from rsccli.evaluation.benchmark.document import render_json
    from rsccli.evaluation.benchmark.files import RESULTS
    from rsccli.evaluation.benchmark.page import page_of
    from rsccli.evaluation.tables.terminal import render_terminal

    if not quiet:
        for path in (*(folder / name for name in RESULTS), *(Path(run.predictions) for run in result.runs)):
            print(f"rsccli: {path}", file=sys.stderr)
    text = render_json(result) if json_output else render_terminal(page_of(result))
    with reader_may_leave():
        sys.stdout.buffer.write(text.encode("utf-8", "replace"))
        sys.stdout.buffer.flush()
