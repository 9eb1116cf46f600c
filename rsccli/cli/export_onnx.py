"""``rsccli export-onnx``: a checkpoint to a bundle that ``rsccli caption -m`` runs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rsccli.cli.options import Config, JsonOutput, Overwrite, Quiet
from rsccli.errors import UsageProblem

if TYPE_CHECKING:
    from rsccli.models.dual.checkpoint import DualSource
    from rsccli.models.dual.export import DualJob
    from rsccli.models.large.export import ExportJob

Say = Callable[[str], None]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("export-onnx")(export_onnx)


def export_onnx(
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            envvar="RSCCLI_OUTPUT",
            metavar="DIR",
            show_envvar=False,
            help="Folder of the bundle; it appears only when everything holds.",
        ),
    ],
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]",
            help="Folder of a transformers checkpoint, a file of OpenCLIP weights, or an id on the model hub (needs a "
            "network). Without it the bundled captioner is exported again from its checkpoint.",
        ),
    ] = None,
    revision: Annotated[
        str | None,
        typer.Option(
            "--revision", envvar="RSCCLI_REVISION", help="Branch, tag or commit on the model hub.", show_envvar=False
        ),
    ] = None,
    dtype: Annotated[
        str,
        typer.Option(
            "--dtype",
            envvar="RSCCLI_DTYPE",
            metavar="fp32|fp16|bf16",
            help="Precision of the weights. bf16 needs a GPU to run.",
            show_envvar=False,
        ),
    ] = "fp32",
    opset: Annotated[
        int,
        typer.Option(
            "--opset",
            envvar="RSCCLI_OPSET",
            help="Of ONNX, 18 to 23. 23 has attention as one operator.",
            show_envvar=False,
        ),
    ] = 20,
    quantize: Annotated[
        str | None,
        typer.Option(
            "--quantize",
            envvar="RSCCLI_QUANTIZE",
            metavar="int8",
            help="8-bit weights of the decoder, if they say nearly what the float weights say; else an error.",
            show_envvar=False,
        ),
    ] = None,
    prompt_regime: Annotated[
        str,
        typer.Option(
            "--prompt-regime",
            envvar="RSCCLI_PROMPT_REGIME",
            metavar="naive|textual|visual",
            help="What the model is asked where the caption command says nothing else.",
            show_envvar=False,
        ),
    ] = "naive",
    crops: Annotated[
        bool,
        typer.Option(
            "--crops/--no-crops",
            envvar="RSCCLI_CROPS",
            help="Give each date its crops beside the whole, where two images come without (LLaVA-OneVision).",
            show_envvar=False,
        ),
    ] = False,
    max_new_tokens: Annotated[
        int,
        typer.Option(
            "--max-new-tokens", envvar="RSCCLI_MAX_NEW_TOKENS", help="Longest caption by default.", show_envvar=False
        ),
    ] = 256,
    tokenizer: Annotated[
        Path | None,
        typer.Option(
            "--tokenizer",
            envvar="RSCCLI_TOKENIZER",
            metavar="DIR",
            help="Folder of a dual encoder's tokenizer, where it does not lie beside the weights. OpenCLIP weights "
            "with CLIP's vocabulary need none.",
            show_envvar=False,
        ),
    ] = None,
    activation: Annotated[
        str | None,
        typer.Option(
            "--activation",
            envvar="RSCCLI_ACTIVATION",
            metavar="gelu|quick_gelu",
            help="Of OpenCLIP weights, where neither settings beside them nor the name of the file tell.",
            show_envvar=False,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", envvar="RSCCLI_NAME", help="Of the bundle. Default: its folder's.", show_envvar=False),
    ] = None,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify/--no-verify",
            envvar="RSCCLI_VERIFY",
            help="Compare with PyTorch on real tile pairs (tokens and logits, or vectors); a difference is an error.",
            show_envvar=False,
        ),
    ] = True,
    overwrite: Overwrite = False,
    config: Config = None,
    quiet: Quiet = False,
    json_output: JsonOutput = False,
) -> None:
    """Export a large model or a dual encoder as a bundle of ONNX graphs, compared with PyTorch before that counts.

    Large models caption (`rsccli caption -m`). Dual encoders (CLIP and SigLIP of transformers, OpenCLIP weights as of
    RemoteCLIP and GeoRSCLIP) search (`rsccli index --model`).

    What cannot work (an unknown family, a missing or cut file, too little memory or disk) is told before the work
    starts. An interrupted export leaves nothing that looks like a bundle.

    \b
    Examples:
      rsccli export-onnx path/to/Qwen2.5-VL-3B-Instruct -o qwen3b
      rsccli export-onnx Qwen/Qwen2-VL-2B-Instruct -o qwen2b --dtype fp16
      rsccli export-onnx checkpoint -o bundle --quantize int8
      rsccli export-onnx -o small-again
      rsccli export-onnx RemoteCLIP-ViT-B-32.pt -o remoteclip
      rsccli caption pre.tif post.tif -o out.geojson -m qwen3b
    """

    def say(line: str) -> None:
        if not quiet:
            print(f"rsccli: {line}", file=sys.stderr, flush=True)

    source: DualSource | None = None
    if model is None:
        given = (dtype, opset, quantize, prompt_regime, crops, max_new_tokens, revision, name, verify)
        if given != ("fp32", 20, None, "naive", False, 256, None, None, True) or tokenizer or activation:
            raise UsageProblem(
                "the bundled captioner is exported as it is: give -o and --overwrite alone, or name a checkpoint "
                "(rsccli-small-int8 is its 8-bit form)"
            )
        from rsccli.models.small.reexport import reexport

        say("exporting the bundled captioner from its checkpoint")
        reexport(output, overwrite=overwrite)
        say(f"{output}: done, compared with PyTorch")
    else:
        from rsccli.models.dual.checkpoint import find_dual
        from rsccli.models.dual.export import DualJob
        from rsccli.models.large.export import ExportJob

        source = find_dual(model, revision)
        if source is not None:
            if (quantize, prompt_regime, crops, max_new_tokens) != (None, "naive", False, 256):
                raise UsageProblem(
                    f"{model} is a dual encoder, which says nothing: leave --quantize, --prompt-regime, --crops and "
                    "--max-new-tokens out"
                )
            dual = DualJob(model, output, dtype, opset, tokenizer, activation, verify, overwrite, name)
            _dual(dual, source, say)
        elif tokenizer or activation:
            raise UsageProblem(f"--tokenizer and --activation are for dual encoders, and {model} is none")
        else:
            job = ExportJob(
                model=model,
                output=output,
                revision=revision,
                dtype=dtype,
                opset=opset,
                quantize=quantize,
                prompt=prompt_regime,
                crops=crops,
                max_new_tokens=max_new_tokens,
                verify=verify,
                overwrite=overwrite,
                name=name,
            )
            _captioner(job, say)
    if json_output:
        typer.echo((output / "rsccli.json").read_text(encoding="utf-8"), nl=False)
    elif source is None:
        say(f"try it: rsccli caption PRE POST -o out.geojson -m {output}")
    else:
        say(f"try it: rsccli index out.geojson --model {output}")


def _captioner(job: ExportJob, say: Say) -> None:
    from rsccli.models.large.export import export, plan_export
    from rsccli.models.large.sample import sample_pairs

    plan = plan_export(job)
    say(
        f"{plan.family.title}, {plan.checkpoint.parameters / 1e6:.1f} M parameters: about "
        f"{plan.memory_bytes / 1e9:.1f} GB of memory and {plan.disk_bytes / 1e9:.1f} GB of disk"
    )
    export(plan, sample_pairs(), say)


def _dual(job: DualJob, source: DualSource, say: Say) -> None:
    from rsccli.models.dual.export import export_dual, plan_dual
    from rsccli.models.large.sample import sample_pairs

    plan = plan_dual(job, source)
    say(
        f"a dual encoder in the layout of {source.layout}: about {plan.memory_bytes / 1e9:.1f} GB of memory and "
        f"{plan.disk_bytes / 1e9:.1f} GB of disk"
    )
    export_dual(plan, sample_pairs(), say)
