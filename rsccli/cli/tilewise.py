"""Flags of the commands that go through a pair tile by tile: ``caption``, ``ask``, ``ground`` and ``detect``.

| name | flag | what it does |
|---|---|---|
| `Pre`, `Post` | arguments | the images |
| `Resume` | `--resume` | what happens to a run that was cut |
| `MaxNewTokens` | `--max-new-tokens` | longest answer |
| `Jobs`, `MinValid`, `DryRun` | `--jobs`, `--min-valid`, `--dry-run` | the run |

`ask`, `ground` and `detect` take them all as one value, `PAIR`, and with them those of `rsccli.cli.observe`.

`Overwrite` and the flags of the captioner are those of all commands, named here to have them in one place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from rsccli.cli import observe as observe_options
from rsccli.cli import options as flags
from rsccli.cli.flag_groups import with_group
from rsccli.cli.model_options import BatchSize as BatchSize
from rsccli.cli.model_options import Device as Device
from rsccli.cli.model_options import Model as Model
from rsccli.cli.model_options import ProviderOption as ProviderOption
from rsccli.cli.model_options import Threads as Threads
from rsccli.cli.options import Overwrite as Overwrite

if TYPE_CHECKING:
    from rsccli.geo.pair import PairOptions
    from rsccli.run.caption import CaptionJob

Pre = Annotated[str, typer.Argument(metavar="PRE", help="Image before: GeoTIFF, JPEG 2000, VRT, ...")]
Post = Annotated[str, typer.Argument(metavar="POST", help="Image after. https:// and s3:// work too.")]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume/--no-resume",
        envvar="RSCCLI_RESUME",
        help="Go on from the journal of a run that was cut, or start afresh.",
        show_envvar=False,
    ),
]
MaxNewTokens = Annotated[
    int | None,
    typer.Option(
        "--max-new-tokens",
        envvar="RSCCLI_MAX_NEW_TOKENS",
        help="Longest answer of a large model. Default: what the model says.",
        show_envvar=False,
    ),
]
Jobs = Annotated[int, typer.Option("-j", "--jobs", envvar="RSCCLI_JOBS", help="Reader threads.", show_envvar=False)]
MinValid = Annotated[
    float,
    typer.Option(
        "--min-valid",
        envvar="RSCCLI_MIN_VALID",
        help="Tiles with a smaller share of valid pixels are skipped (and say so).",
        show_envvar=False,
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        envvar="RSCCLI_DRY_RUN",
        help="Print grid, tiles and expected memory; load no model, write nothing.",
        show_envvar=False,
    ),
]


def _pair_job(
    context: typer.Context,
    pre: Pre,
    post: Post,
    geometry: PairOptions,
    model: Model = "rsccli-small",
    device: Device = "auto",
    provider_option: ProviderOption = None,
    max_new_tokens: MaxNewTokens = None,
    batch_size: BatchSize = None,
    threads: Threads = None,
    jobs: Jobs = 2,
    min_valid: MinValid = 0.1,
    overwrite: Overwrite = False,
    resume: Resume = True,
    log_json: observe_options.LogJson = None,
    metrics: observe_options.Metrics = False,
    metrics_textfile: observe_options.MetricsTextfile = None,
) -> CaptionJob:
    from rsccli.models.captioner import CaptionerOptions
    from rsccli.models.providers import parse_provider_options
    from rsccli.run.caption import CaptionJob

    # First: what is refused from here on is told in the log, too.
    observe = observe_options.observe(str(context.info_name), log_json, metrics, metrics_textfile)
    return CaptionJob(
        pre=pre,
        post=post,
        geometry=geometry,
        model=model,
        captioner=CaptionerOptions(
            device=device,
            # What is asked stands in the prompt's place: what a bundle is asked for captions tells nothing here.
            prompt="naive",
            provider_options=tuple(sorted(parse_provider_options(provider_option or []).items())),
            max_new_tokens=max_new_tokens,
            threads=threads,
        ),
        batch_size=flags.parse_batch_size(batch_size),
        min_valid=min_valid,
        jobs=jobs,
        overwrite=overwrite,
        resume=resume,
        observe=observe,
    )


#: Images, grid, captioner and run as one value: a group of flags for `rsccli.cli.flag_groups.with_group`.
PAIR = with_group(_pair_job, "geometry", flags.pair_options)
