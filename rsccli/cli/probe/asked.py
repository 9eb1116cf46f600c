"""What all probes are told: pairs, captioner, where results go. Defined once, and added to each command.

| flag | what it does |
|---|---|
| `-o`, `--overwrite`, `--json`, `-q` | where results go |
| `-m`, `--device`, `--backend`, `--batch-size`, `--threads` | the captioner, as for ``rsccli caption`` |
| `--prompt`, `--words`, `--register`, `--max-new-tokens` | how it is asked |
| `--limit`, `--seed`, `--split`, `--references`, `--gsd` | which pairs, and what is known of them |
| `--bands`, `--tile-size`, `--overlap`, `--bbox`, `--radiometry`, `--coregister`, `--min-valid` | how they are read |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsccli.cli import options as flags
from rsccli.cli.evaluation_options import Gsd, Limit, References, Seed, Split
from rsccli.cli.flag_groups import with_group
from rsccli.cli.model_options import (
    CAPTIONER,
    Backend,
    Device,
    MaxNewTokens,
    Model,
    PairsAtOnce,
    Register,
    Threads,
    Words,
)
from rsccli.cli.options import RadiometryChoice

if TYPE_CHECKING:
    from rsccli.evaluation.probes.pairs import PairChoice
    from rsccli.models.captioner import CaptionerOptions

READING = "Reading"


@dataclass(frozen=True)
class Asked:
    """What a user told a probe, beside its own choices.

    Attributes:
        inputs: files or folders of pairs, or two rasters. folder: for the results, or None. json_output: JSON on
            stdout instead of the table. The rest is as in `rsccli.evaluation.probes.job.ProbeJob`.
    """

    inputs: tuple[str, ...]
    folder: Path | None
    overwrite: bool
    json_output: bool
    quiet: bool
    model: str
    captioner: CaptionerOptions
    batch_size: int | None
    choice: PairChoice


def _asked(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="PAIRS... | PRE POST",
            help="Files of pairs (.csv, .json, .jsonl: pre, post, and id, captions, changed, place, region, split, "
            "gsd_m where known), folders with one or with A/ and B/, or two rasters.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            envvar="RSCCLI_OUTPUT",
            metavar="DIR",
            help="Folder for PROBE.md, PROBE.json and PROBE.svg. Without it only the table is printed.",
            show_envvar=False,
            show_default=False,
        ),
    ] = None,
    overwrite: flags.Overwrite = False,
    model: Model = "rsccli-small",
    device: Device = "auto",
    backend: Backend = "onnx",
    prompt: Annotated[
        str,
        typer.Option(
            "--prompt",
            envvar="RSCCLI_PROMPT",
            metavar="auto|naive|FILE",
            help="What a large model is asked; a probe has no counts to tell.",
            rich_help_panel=CAPTIONER,
            show_envvar=False,
        ),
    ] = "auto",
    words: Words = "auto",
    register: Register = "short",
    max_new_tokens: MaxNewTokens = None,
    batch_size: PairsAtOnce = None,
    threads: Threads = None,
    limit: Limit = 200,
    seed: Seed = 0,
    split: Split = None,
    references: References = None,
    gsd: Gsd = None,
    bands: flags.Bands = None,
    tile_size: flags.TileSize = 256,
    overlap: flags.Overlap = None,
    bbox: flags.Bbox = None,
    radiometry: flags.RadiometryRule = RadiometryChoice.auto,
    coregister: flags.Coregister = False,
    min_valid: Annotated[
        float,
        typer.Option(
            "--min-valid",
            envvar="RSCCLI_MIN_VALID",
            help="Tiles with a smaller share of valid pixels are left out.",
            rich_help_panel=READING,
            show_envvar=False,
        ),
    ] = 0.1,
    config: flags.Config = None,
    quiet: flags.Quiet = False,
    json_output: flags.JsonOutput = False,
) -> Asked:
    from rsccli.evaluation.probes.pairs import PairChoice
    from rsccli.models.captioner import CaptionerOptions

    geometry = flags.pair_options(
        bands=bands,
        bbox=bbox,
        tile_size=tile_size,
        overlap=overlap,
        radiometry=radiometry,
        coregister=coregister,
    )
    return Asked(
        inputs=tuple(inputs),
        folder=output,
        overwrite=overwrite,
        json_output=json_output,
        quiet=quiet,
        model=model,
        captioner=CaptionerOptions(
            device=device,
            backend=backend,  # type: ignore[arg-type]
            prompt=prompt,
            words=words,  # type: ignore[arg-type]
            register=register,  # type: ignore[arg-type]
            max_new_tokens=max_new_tokens,
            threads=threads,
        ),
        batch_size=batch_size,
        choice=PairChoice(
            limit=limit,
            seed=seed,
            split=split,
            gsd_m=gsd,
            geometry=geometry,
            min_valid=min_valid,
            references=references,
        ),
    )


def told(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the flags of this module: its parameter ``asked`` becomes what they say."""
    return with_group(command, "asked", _asked)
