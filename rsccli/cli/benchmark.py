"""``rsccli benchmark``: models over pairs with references, scored, next to published figures."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsccli.cli import options as flags
from rsccli.cli.evaluate.options import MeteorVariant, ProtocolChoice
from rsccli.cli.options import EdgeChoice, RadiometryChoice
from rsccli.cli.pipes import reader_may_leave
from rsccli.errors import FailedTilesError

if TYPE_CHECKING:
    from rsccli.evaluation.benchmark.job import BenchmarkJob, Plan
    from rsccli.evaluation.benchmark.result import Benchmark

PAIRS, MODEL, SCORES = "Pairs", "Models", "Scores"


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
            rich_help_panel=MODEL,
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
            rich_help_panel=MODEL,
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
    references: Annotated[
        Path | None,
        typer.Option(
            "--references",
            envvar="RSCCLI_REFERENCES",
            metavar="FILE",
            help="Captions of people in another file, in any format of `rsccli evaluate`, joined by id or file names.",
            rich_help_panel=PAIRS,
            show_envvar=False,
        ),
    ] = None,
    ref_column: Annotated[
        str | None,
        typer.Option(
            "--ref-column",
            envvar="RSCCLI_REF_COLUMN",
            metavar="NAME",
            help="Where --references keeps its captions, if that is not clear.",
            rich_help_panel=PAIRS,
            show_envvar=False,
        ),
    ] = None,
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
    split: Annotated[
        str | None,
        typer.Option(
            "--split",
            envvar="RSCCLI_SPLIT",
            metavar="NAME",
            help="Only pairs of this split: train, val, test or another.",
            rich_help_panel=PAIRS,
            show_envvar=False,
        ),
    ] = None,
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
    limit: Annotated[
        int,
        typer.Option(
            "--limit",
            envvar="RSCCLI_LIMIT",
            min=0,
            help="Most pairs, drawn at random; 0 takes all.",
            rich_help_panel=PAIRS,
            show_envvar=False,
        ),
    ] = 0,
    seed: Annotated[
        int,
        typer.Option(
            "--seed",
            envvar="RSCCLI_SEED",
            min=0,
            help="Of the pairs that --limit draws, of --temperature, of the bootstrap.",
            rich_help_panel=PAIRS,
            show_envvar=False,
        ),
    ] = 0,
    gsd: Annotated[
        float | None,
        typer.Option(
            "--gsd",
            envvar="RSCCLI_GSD",
            metavar="METRES",
            help="Metres per pixel of images without a georeference whose record does not say.",
            rich_help_panel=PAIRS,
            show_envvar=False,
        ),
    ] = None,
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
    device: Annotated[
        str,
        typer.Option(
            "--device",
            envvar="RSCCLI_DEVICE",
            metavar="auto|cpu|cuda[:i,..|:all]|tensorrt",
            help="Where the models run, as for `rsccli caption`.",
            rich_help_panel=MODEL,
            show_envvar=False,
        ),
    ] = "auto",
    dtype: Annotated[
        str,
        typer.Option(
            "--dtype",
            envvar="RSCCLI_DTYPE",
            help="What a bundle must hold; auto takes any.",
            rich_help_panel=MODEL,
            show_envvar=False,
        ),
    ] = "auto",
    backend: Annotated[
        str,
        typer.Option(
            "--backend",
            envvar="RSCCLI_BACKEND",
            metavar="onnx|torch",
            help="onnx: bundles. torch: -m is the folder of a checkpoint.",
            rich_help_panel=MODEL,
            show_envvar=False,
        ),
    ] = "onnx",
    decoder: Annotated[
        str,
        typer.Option(
            "--decoder",
            envvar="RSCCLI_DECODER",
            metavar="auto|lean|optimum",
            help="lean: greedy or sampling. optimum: beam search; loads torch. auto: as needed.",
            rich_help_panel=MODEL,
            show_envvar=False,
        ),
    ] = "auto",
    num_beams: Annotated[
        int,
        typer.Option(
            "--num-beams",
            envvar="RSCCLI_NUM_BEAMS",
            help="Beams; 1 is greedy.",
            rich_help_panel=MODEL,
            show_envvar=False,
        ),
    ] = 1,
    temperature: Annotated[
        float,
        typer.Option(
            "--temperature",
            envvar="RSCCLI_TEMPERATURE",
            help="Above 0 tokens are drawn; 0 takes the best one always.",
            rich_help_panel=MODEL,
            show_envvar=False,
        ),
    ] = 0.0,
    top_p: Annotated[
        float,
        typer.Option(
            "--top-p",
            envvar="RSCCLI_TOP_P",
            help="Draw from the most probable tokens that together have this share.",
            rich_help_panel=MODEL,
            show_envvar=False,
        ),
    ] = 1.0,
    repetition_guard: Annotated[
        bool,
        typer.Option(
            "--repetition-guard/--no-repetition-guard",
            envvar="RSCCLI_REPETITION_GUARD",
            help="End a caption that repeats itself; RSCC's rows were made without such a guard.",
            rich_help_panel=MODEL,
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
            rich_help_panel=MODEL,
            show_envvar=False,
        ),
    ] = "auto",
    words: Annotated[
        str,
        typer.Option(
            "--words",
            envvar="RSCCLI_WORDS",
            metavar="auto|decoder|grammar",
            help="Who words a caption, where the model has both.",
            rich_help_panel=MODEL,
            show_envvar=False,
        ),
    ] = "auto",
    register: Annotated[
        str,
        typer.Option(
            "--register",
            envvar="RSCCLI_REGISTER",
            metavar="short|news",
            help="Way of speaking, where the model has both.",
            rich_help_panel=MODEL,
            show_envvar=False,
        ),
    ] = "short",
    max_new_tokens: Annotated[
        int | None,
        typer.Option(
            "--max-new-tokens",
            envvar="RSCCLI_MAX_NEW_TOKENS",
            help="Longest caption. Default: what the model says.",
            rich_help_panel=MODEL,
            show_envvar=False,
        ),
    ] = None,
    batch_size: Annotated[
        str | None,
        typer.Option(
            "--batch-size",
            envvar="RSCCLI_BATCH_SIZE",
            metavar="N|auto",
            help="Pairs that a model sees at once; auto: what fits into memory. Default: what the model likes.",
            rich_help_panel=MODEL,
            show_envvar=False,
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads",
            envvar="RSCCLI_THREADS",
            help="Threads of a model. Default: the cores that this process may use.",
            rich_help_panel=MODEL,
            show_envvar=False,
        ),
    ] = None,
    meteor: Annotated[
        MeteorVariant,
        typer.Option(
            "--meteor",
            envvar="RSCCLI_METEOR",
            help="METEOR of LEVIR-CC's columns: java is METEOR 1.5, nltk that of nltk, auto java where it is there. "
            "RSCC's is that of nltk. off: none.",
            rich_help_panel=SCORES,
            show_envvar=False,
        ),
    ] = MeteorVariant.auto,
    wordnet: Annotated[
        Path | None,
        typer.Option(
            "--wordnet",
            envvar="RSCCLI_WORDNET",
            metavar="DIR",
            help="Folder of WordNet 3 for the METEOR of nltk. Default: NLTK_DATA, then Debian's wordnet-base.",
            rich_help_panel=SCORES,
            show_envvar=False,
        ),
    ] = None,
    sentence_model: Annotated[
        Path | None,
        typer.Option(
            "--sentence-model",
            envvar="RSCCLI_SENTENCE_MODEL",
            metavar="DIR",
            help="sentence-transformers folder for ST5-SCS (RSCC takes sentence-t5-xxl).",
            rich_help_panel=SCORES,
            show_envvar=False,
        ),
    ] = None,
    bert_model: Annotated[
        Path | None,
        typer.Option(
            "--bert-model",
            envvar="RSCCLI_BERT_MODEL",
            metavar="DIR",
            help="transformers encoder folder for BERT and BERTScore (RSCC takes roberta-large).",
            rich_help_panel=SCORES,
            show_envvar=False,
        ),
    ] = None,
    bert_score_layers: Annotated[
        int | None,
        typer.Option(
            "--bert-score-layers",
            envvar="RSCCLI_BERT_SCORE_LAYERS",
            min=1,
            help="Layer of BERTScore. Default: the published one, by the name of the folder.",
            rich_help_panel=SCORES,
            show_envvar=False,
        ),
    ] = None,
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
    bootstrap: Annotated[
        int,
        typer.Option(
            "--bootstrap",
            envvar="RSCCLI_BOOTSTRAP",
            metavar="N",
            min=0,
            help="Samples for the 95 % intervals; 0 for none.",
            rich_help_panel=SCORES,
            show_envvar=False,
        ),
    ] = 1000,
    predictions: Annotated[
        PredictionsChoice,
        typer.Option(
            "--predictions",
            envvar="RSCCLI_PREDICTIONS",
            help="Captions as RSCC's JSON lines, or as CSV, which keeps ids and change flags.",
            show_envvar=False,
        ),
    ] = PredictionsChoice.rscc,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", envvar="RSCCLI_OVERWRITE", help="Replace results.", show_envvar=False)
    ] = False,
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

    geometry = flags.pair_options(
        bands=bands,
        pre_bands=None,
        post_bands=None,
        nodata=None,
        pre_nodata=None,
        post_nodata=None,
        pre_crs=None,
        post_crs=None,
        rpc_height=None,
        dst_crs=None,
        res=None,
        like=None,
        bbox=None,
        aoi=None,
        tile_size=256,
        overlap=None,
        stride=None,
        edge=EdgeChoice.pad,
        radiometry=radiometry,
        coregister=coregister,
        allow_same=False,
        allow_upsampling=False,
        cache_mb=48,
    )
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
