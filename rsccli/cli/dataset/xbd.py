"""``rsccli dataset xbd``: xBD folders to pairs of 512 px with counts and prompts."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from rsccli.cli import options as flags
from rsccli.cli.dataset.options import Jobs, Output, Rule
from rsccli.cli.options import CountRule


class FormatChoice(StrEnum):
    """What parts are written as."""

    keep = "keep"
    png = "png"


def register(app: typer.Typer) -> None:
    """Add the command to the group."""
    app.command("xbd")(xbd)


def xbd(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="Folder with images/ and labels/, or with train/, tier3/, ... that hold them."
        ),
    ],
    output: Output,
    count_rule: Rule = CountRule.centroid,
    form: Annotated[
        FormatChoice,
        typer.Option(
            "--format",
            envvar="RSCCLI_DATASET_FORMAT",
            help="keep: GeoTIFFs give GeoTIFFs in their place. png: RSCC's names, whatever the source is.",
            show_envvar=False,
        ),
    ] = FormatChoice.keep,
    disaster_types: Annotated[
        Path | None,
        typer.Option(
            "--disaster-types",
            envvar="RSCCLI_DISASTER_TYPES",
            metavar="FILE.toml|.json",
            help='Types of disasters that are not known, or shall be called otherwise: hurricane-harvey = "flooding".',
            show_envvar=False,
        ),
    ] = None,
    bands: flags.Bands = None,
    jobs: Jobs = 2,
    overwrite: flags.Overwrite = False,
    config: flags.Config = None,
    quiet: flags.Quiet = False,
    as_json: flags.JsonOutput = False,
) -> None:
    """Cut xBD images into parts of 512 px with building counts, prompts and outlines, as RSCC was made.

    Writes images/ (NAME_pre_disaster_part1.png, ...), annotated/ (later dates with outlines), pairs.jsonl,
    prompts.jsonl (zero-shot, textual_prompt, visual_prompt), footprints.geojson for GeoTIFFs, problems.jsonl,
    dataset.json. Damaged files cost their own pair alone: exit code 5.

    \b
    Examples:
      rsccli dataset xbd xbd -o rscc
      rsccli dataset xbd xbd/geotiffs -o rscc --count-rule touch
      rsccli dataset caption rscc                # then let a model caption it
    """
    from rsccli.cli.dataset.show import PairProgress, show_dataset
    from rsccli.datasets.xbd.build import XbdJob, build_xbd

    job = XbdJob(
        folder=folder,
        output=output,
        rule=count_rule.value,
        form=form.value,
        disasters=disaster_types,
        bands=flags.parse_bands(bands),
        jobs=jobs,
        overwrite=overwrite,
    )
    with PairProgress("image pair", quiet) as progress:
        facts, problems = build_xbd(job, progress)
    show_dataset(output, facts, problems, quiet, as_json)
