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

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rsccli.cli import options as flags
from rsccli.cli.options import RadiometryChoice

if TYPE_CHECKING:
    from rsccli.evaluation.probes.pairs import PairChoice
    from rsccli.models.captioner import CaptionerOptions

MODEL, PAIRS, READING = "Captioner", "Pairs", "Reading"


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
    overwrite: Annotated[
        bool, typer.Option("--overwrite", envvar="RSCCLI_OVERWRITE", help="Replace results.", show_envvar=False)
    ] = False,
    model: Annotated[
        str,
        typer.Option(
            "-m",
            "--model",
            envvar="RSCCLI_MODEL",
            metavar="NAME|DIR",
            help="Captioner: a name from `rsccli models`, or the folder of a bundle.",
            rich_help_panel=MODEL,
            show_envvar=False,
        ),
    ] = "rsccli-small",
    device: Annotated[
        str,
        typer.Option(
            "--device",
            envvar="RSCCLI_DEVICE",
            metavar="auto|cpu|cuda[:i]|tensorrt",
            help="Where the model runs.",
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
            help="onnx: a bundle. torch: -m is the folder of a checkpoint.",
            rich_help_panel=MODEL,
            show_envvar=False,
        ),
    ] = "onnx",
    prompt: Annotated[
        str,
        typer.Option(
            "--prompt",
            envvar="RSCCLI_PROMPT",
            metavar="auto|naive|FILE",
            help="What a large model is asked; a probe has no counts to tell.",
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
        int | None,
        typer.Option(
            "--batch-size",
            envvar="RSCCLI_BATCH_SIZE",
            min=1,
            help="Pairs that the model sees at once. Default: what the model likes.",
            rich_help_panel=MODEL,
            show_envvar=False,
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads",
            envvar="RSCCLI_THREADS",
            help="Threads of the model. Default: the cores that this process may use.",
            rich_help_panel=MODEL,
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
    ] = 200,
    seed: Annotated[
        int,
        typer.Option(
            "--seed",
            envvar="RSCCLI_SEED",
            min=0,
            help="Which pairs --limit draws.",
            rich_help_panel=PAIRS,
            show_envvar=False,
        ),
    ] = 0,
    split: Annotated[
        str | None,
        typer.Option(
            "--split",
            envvar="RSCCLI_SPLIT",
            metavar="NAME",
            help="Only pairs of this split, as their file names it (train, val, test, ...).",
            rich_help_panel=PAIRS,
            show_envvar=False,
        ),
    ] = None,
    references: Annotated[
        Path | None,
        typer.Option(
            "--references",
            envvar="RSCCLI_REFERENCES",
            metavar="FILE",
            help="Captions of people for pairs that have none, in any format of rsccli evaluate, joined by id or file "
            "names.",
            rich_help_panel=PAIRS,
            show_envvar=False,
        ),
    ] = None,
    gsd: Annotated[
        float | None,
        typer.Option(
            "--gsd",
            envvar="RSCCLI_GSD",
            metavar="METRES",
            help="Metres per pixel of images without a georeference that do not say theirs.",
            rich_help_panel=PAIRS,
            show_envvar=False,
        ),
    ] = None,
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
        bbox=bbox,
        aoi=None,
        tile_size=tile_size,
        overlap=overlap,
        stride=None,
        edge=flags.EdgeChoice.pad,
        radiometry=radiometry,
        coregister=coregister,
        allow_same=False,
        allow_upsampling=False,
        cache_mb=48,
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
    """Give a command the flags of this module: its parameter ``asked`` becomes what they say.

    Typer reads a function's signature; this one is the command's own, with ``asked`` replaced by those flags.
    """
    own = inspect.signature(command, eval_str=True)
    shared = inspect.signature(_asked, eval_str=True, locals={"CaptionerOptions": Any, "PairChoice": Any})
    names = set(shared.parameters)

    @functools.wraps(command)
    def run(**given: Any) -> None:  # noqa: ANN401 - what Typer parsed
        asked = _asked(**{name: value for name, value in given.items() if name in names})
        command(asked=asked, **{name: value for name, value in given.items() if name not in names})

    inputs, *others = shared.parameters.values()
    parameters = [inputs, *(each for name, each in own.parameters.items() if name != "asked"), *others]
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters]
    )
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    del run.__wrapped__
    return run
