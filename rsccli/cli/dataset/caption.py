"""``rsccli dataset caption``: captions of a data set by a teacher."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsccli.cli import options as flags
from rsccli.cli.model_options import Device, PairsAtOnce
from rsccli.errors import FailedTilesError, UsageProblem

if TYPE_CHECKING:
    from rsccli.datasets.teacher.outcome import Teacher
    from rsccli.datasets.teacher.run import CaptionFacts
    from rsccli.models.prompts import Regime

BUNDLED = "rsccli-small"
LOCAL, REMOTE = "A captioner here", "An endpoint"


class RegimeChoice(StrEnum):
    """What a teacher is told."""

    naive = "naive"
    textual = "textual"
    visual = "visual"


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command("caption")(caption)


def caption(
    folder: Annotated[
        Path, typer.Argument(metavar="OUT", help="Data set of rsccli dataset xbd or rsccli dataset tiles.")
    ],
    model: Annotated[
        str,
        typer.Option(
            "-m",
            "--model",
            envvar="RSCCLI_MODEL",
            metavar="NAME|DIR",
            help="Captioner: a name from `rsccli models`, or the folder of a bundle; with --endpoint the endpoint's "
            "name for the model.",
            show_envvar=False,
        ),
    ] = BUNDLED,
    regime: Annotated[
        RegimeChoice | None,
        typer.Option(
            "--regime",
            envvar="RSCCLI_REGIME",
            help="naive: the task alone. textual: disaster, scale and exact counts. visual: the same, and outlines. "
            "Default: textual, and naive for captioners that are not asked in words.",
            show_default=False,
            show_envvar=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            envvar="RSCCLI_CAPTIONS_OUTPUT",
            metavar="FILE.jsonl",
            help="RSCC's JSON lines. Default: captions.MODEL.REGIME.jsonl in OUT.",
            show_default=False,
            show_envvar=False,
        ),
    ] = None,
    endpoint: Annotated[
        bool,
        typer.Option(
            "--endpoint",
            envvar="RSCCLI_USE_ENDPOINT",
            help="Ask an OpenAI-compatible server: its address is in RSCCLI_ENDPOINT (.../v1), its key in "
            "RSCCLI_API_KEY. Pictures and prompts leave this machine.",
            rich_help_panel=REMOTE,
            show_envvar=False,
        ),
    ] = False,
    parallel: Annotated[
        int,
        typer.Option(
            "--parallel",
            envvar="RSCCLI_PARALLEL",
            min=1,
            help="Requests at once.",
            rich_help_panel=REMOTE,
            show_envvar=False,
        ),
    ] = 4,
    per_minute: Annotated[
        float | None,
        typer.Option(
            "--per-minute",
            envvar="RSCCLI_PER_MINUTE",
            help="Most requests a minute, retries included. Default: no limit of our own.",
            show_default=False,
            rich_help_panel=REMOTE,
            show_envvar=False,
        ),
    ] = None,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout",
            envvar="RSCCLI_TIMEOUT",
            help="Longest time for one answer, seconds.",
            rich_help_panel=REMOTE,
            show_envvar=False,
        ),
    ] = 120.0,
    retries: Annotated[
        int,
        typer.Option(
            "--retries",
            envvar="RSCCLI_RETRIES",
            min=0,
            help="Further tries of a pair, after pauses that double, or as long as the server asks for.",
            rich_help_panel=REMOTE,
            show_envvar=False,
        ),
    ] = 6,
    retry_wait: Annotated[
        float,
        typer.Option(
            "--retry-wait",
            envvar="RSCCLI_RETRY_WAIT",
            min=0.0,
            help="The first of these pauses, seconds.",
            rich_help_panel=REMOTE,
            show_envvar=False,
        ),
    ] = 1.0,
    temperature: Annotated[
        float | None,
        typer.Option(
            "--temperature",
            envvar="RSCCLI_TEMPERATURE",
            min=0.0,
            help="Of the draws; 0 is greedy. Default: greedy here, an endpoint's own there.",
            show_default=False,
            show_envvar=False,
        ),
    ] = None,
    max_new_tokens: Annotated[
        int | None,
        typer.Option(
            "--max-new-tokens",
            envvar="RSCCLI_MAX_NEW_TOKENS",
            min=1,
            help="Longest caption (of an endpoint: thoughts included). Default: what the model says.",
            show_default=False,
            show_envvar=False,
        ),
    ] = None,
    device: Device = "auto",
    batch_size: PairsAtOnce = None,
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads",
            envvar="RSCCLI_THREADS",
            min=1,
            help="Threads of the model.",
            show_default=False,
            rich_help_panel=LOCAL,
            show_envvar=False,
        ),
    ] = None,
    gsd: Annotated[
        float,
        typer.Option(
            "--gsd",
            envvar="RSCCLI_GSD",
            help="Metres per pixel of pairs that do not say.",
            rich_help_panel=LOCAL,
            show_envvar=False,
        ),
    ] = 0.5,
    overwrite: flags.Overwrite = False,
    config: flags.Config = None,
    quiet: flags.Quiet = False,
    as_json: flags.JsonOutput = False,
) -> None:
    """Have every pair of a data set captioned: by a captioner here, or by a model behind an endpoint.

    Every caption is kept the moment it is there: killed or stopped, the same command asks for the rest alone. A
    caption under the textual or visual regime was told the counts: it repeats the labels, and every record says so.

    \b
    Examples:
      rsccli dataset caption rscc                                  # the bundled captioner
      rsccli dataset caption rscc -m qwen7b --regime textual       # a bundle (rsccli export-onnx)
      rsccli dataset caption rscc --endpoint -m NAME --per-minute 60
    """
    from rsccli.cli.dataset.show import PairProgress, print_json, show_problems
    from rsccli.datasets.teacher.run import CaptionsJob, caption_dataset

    wanted: Regime | None = None if regime is None else regime.value
    told: dict[str, object] = {"temperature": temperature, "max new tokens": max_new_tokens}
    teacher: Teacher
    if endpoint:
        from rsccli.datasets.teacher.chat import Sampling
        from rsccli.datasets.teacher.client import address_from
        from rsccli.datasets.teacher.endpoint import EndpointOptions, EndpointTeacher

        if model == BUNDLED:
            raise UsageProblem("--endpoint: name the model as the endpoint does, with --model NAME")
        options = EndpointOptions(
            model=model,
            regime=wanted or "textual",
            sampling=Sampling(temperature, max_new_tokens),
            parallel=parallel,
            per_minute=per_minute,
            timeout_s=timeout,
            retries=retries,
            first_wait_s=retry_wait,
        )
        teacher = EndpointTeacher(address_from(), options, folder)
        told |= {"asked": "endpoint"}
    else:
        from rsccli.datasets.teacher.local import LocalOptions, LocalTeacher
        from rsccli.models.captioner import CaptionerOptions

        captioner = CaptionerOptions(
            device=device, threads=threads, temperature=temperature or 0.0, max_new_tokens=max_new_tokens
        )
        teacher = LocalTeacher(LocalOptions(model, wanted, captioner, batch_size, gsd), folder)
        told |= {"asked": "captioner", "gsd": gsd}
    job = CaptionsJob(folder, told, output, overwrite)
    with PairProgress("pair", quiet) as progress:
        facts, problems = caption_dataset(job, teacher, progress)
    show_problems(problems, quiet)
    if as_json:
        from dataclasses import asdict

        print_json(asdict(facts))
    elif not quiet:
        typer.echo(_table(facts))
    if facts.failed:
        raise FailedTilesError(
            f"{facts.failed} of {facts.pairs} pairs have no caption: {facts.captions.removesuffix('.jsonl')}"
            ".problems.jsonl says why; run the same command again to ask for those alone"
        )


def _table(facts: CaptionFacts) -> str:
    counts = f"told to the model, from labels ({facts.count_rule})" if facts.counts_from_labels else "not told"
    rows = [
        ("captions", facts.captions),
        ("training", facts.training),
        ("model", facts.model),
        ("regime", facts.inference_type),
        ("counts", counts),
        ("captioned", f"{facts.captioned} of {facts.pairs}"),
        ("requests", f"{facts.requests}, {facts.malformed} malformed answers"),
    ]
    if facts.prompt_tokens or facts.answer_tokens:
        rows.append(("tokens", f"{facts.prompt_tokens} of prompts, {facts.answer_tokens} of answers"))
    return "\n".join(f"{name:<12}{text}" for name, text in rows)
