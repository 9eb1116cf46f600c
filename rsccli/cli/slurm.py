"""``rsccli slurm``: scripts that run ``rsccli caption`` as jobs of SLURM."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from rsccli.cli import caption
from rsccli.cli import manifest as manifest_options
from rsccli.cli import options as flags
from rsccli.cli import slurm_options as job_options
from rsccli.cli.flag_groups import with_group
from rsccli.cli.forwarding import Forwarded, Words, flags_of
from rsccli.errors import InputError, UsageProblem

if TYPE_CHECKING:
    from rsccli.run.slurm.scripts import JobCommands

#: Of `rsccli caption`: what this command has itself, what a job decides, and what would undo a resumed run.
OWN = ("images", "output", "manifest", "summary_file", "overwrite", "config", "quiet", "verbose", "json_output")
NOT_FOR_JOBS = (
    "shard",
    "resume",
    "dry_run",
    "pairs",
    "dates",
    "asset",
    "scheduler",
    "scheduler_option",
)
#: Shards refuse them, the merge takes them.
OF_THE_REPORT = ("summary_model", "basemap", "report")
OF_THE_MERGE = (*OF_THE_REPORT, "mask")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("slurm")(with_group(slurm, "forwarded", flags_of(caption.COMMAND, (*OWN, *NOT_FOR_JOBS))))


def slurm(
    context: typer.Context,
    images: job_options.Images = None,
    output: job_options.Output = None,
    array: job_options.Array = "8",
    time: job_options.Time = None,
    partition: job_options.Partition = None,
    account: job_options.Account = None,
    qos: job_options.Qos = None,
    nodes: job_options.Nodes = 1,
    gpus: job_options.Gpus = None,
    cpus: job_options.Cpus = 4,
    memory: job_options.Memory = None,
    merge_time: job_options.MergeTime = None,
    merge_partition: job_options.MergePartition = None,
    directives: job_options.Directives = None,
    modules: job_options.Modules = None,
    setup: job_options.Setup = None,
    container: job_options.Container = None,
    binds: job_options.Binds = None,
    program: job_options.Program = None,
    warn: job_options.Warn = 120,
    requeue: job_options.Requeue = True,
    max_requeues: job_options.MaxRequeues = 20,
    submit: job_options.Submit = False,
    overwrite: flags.Overwrite = False,
    manifest: manifest_options.Manifest = None,
    summary_file: manifest_options.SummaryFile = None,
    config: flags.Config = None,
    quiet: flags.Quiet = False,
    *,
    forwarded: Forwarded,
) -> None:
    """Write scripts that run a pair (or a list of them) as jobs of SLURM.

    The scripts are array.sbatch (a shard in each element), merge.sbatch (which waits for it) and submit.sh (which
    submits both and prints their numbers), in out.slurm for out.geojson. Read them: they are yours to edit. Every
    option of rsccli caption may be given and stands in them.

    \b
    Examples:
      rsccli slurm pre.tif post.tif -o out.geojson --array 16 --time 04:00:00
      rsccli slurm pre.tif post.tif -o out.geojson --array 32%8 --gpus 1 -m BUNDLE --batch-size 16 --submit
      rsccli slurm pre.tif post.tif -o out.geojson --module gcc/12 --setup 'source venv/bin/activate'
      rsccli slurm pre.tif post.tif -o out.geojson --gpus 1 --container rsccli.sif
      rsccli slurm --manifest scenes.csv --array 50 --time 12:00:00
    """
    from rsccli.run.slurm.options import SlurmOptions
    from rsccli.run.slurm.write import submit as submit_jobs
    from rsccli.run.slurm.write import write_scripts

    images, output = manifest_options.asked_output(images, output, manifest, summary_file)
    _check(images, output, manifest, forwarded, overwrite)
    paths = [*images, *([str(manifest)] if manifest else []), *([output] if output else [])]
    caption_words = list(forwarded.words(context, () if manifest is not None else OF_THE_REPORT))
    merge_words = list(forwarded.words(context, [name for name in forwarded.values if name not in OF_THE_MERGE]))
    options = SlurmOptions(
        array=array,
        nodes=nodes,
        cpus=cpus,
        gpus=gpus,
        memory=memory,
        time=time,
        partition=partition,
        account=account,
        qos=qos,
        directives=tuple(directives or ()),
        merge_time=merge_time,
        merge_partition=merge_partition,
        modules=tuple(modules or ()),
        setup=tuple(setup or ()),
        container=container,
        binds=() if container is None else _binds(paths, caption_words + merge_words, binds),
        program=_program(program, container),
        warn_s=warn,
        requeues=max_requeues if requeue else 0,
    )
    if options.gpu_count and forwarded["device"] == "auto":
        # Where the GPU is not there after all, an error says so; auto would go on with the CPU.
        caption_words.append(("--device", "cuda" if options.gpu_count == 1 else "cuda:all"))
    if overwrite:
        caption_words.append(("--overwrite",))
        merge_words.append(("--overwrite",))
    commands = _commands(images, output, manifest, summary_file, caption_words, merge_words)
    folder = Path(output).with_name(f"{Path(output).stem}.slurm") if manifest is None else _list_folder(manifest)
    scripts = write_scripts(folder, options, commands, overwrite)
    if not quiet:
        print(f"rsccli: {scripts.array.parent}: {options.shards} shards in {scripts.array.name}", file=sys.stderr)
    if submit:
        print(submit_jobs(scripts), end="")
    elif not quiet:
        print(f"rsccli: submit with: bash {shlex.quote(str(scripts.submit))}", file=sys.stderr)


def _check(images: list[str], output: str, manifest: Path | None, forwarded: Forwarded, overwrite: bool) -> None:
    """Refuse here what every job would refuse after it waited."""
    from rsccli.geo.identity import local_path
    from rsccli.output.writers import check_output

    if manifest is None:
        if len(images) != 2:
            raise UsageProblem(
                f"name two images, before and after: {len(images)} are named. A series runs as a list of its pairs "
                "(--manifest)"
            )
        if output == "-":
            raise UsageProblem("-o -: jobs write into a file: name it with -o FILE")
        if forwarded["batch_size"] == "auto":
            raise UsageProblem(
                "--batch-size auto: each shard would choose for its own machine, and shards of different sizes are no "
                "one run: give a number"
            )
        check_output(Path(output), overwrite)
    elif forwarded["mask"] is not None:
        raise UsageProblem("--mask names one file: give the list a column mask")
    if (textfile := forwarded["metrics_textfile"]) is not None and textfile.suffix == ".prom":
        raise UsageProblem(
            "--metrics-textfile: every job needs a file of its own: name the folder that node_exporter reads"
        )
    for path in (*images, *([str(manifest)] if manifest else [])):
        local = local_path(path)
        if local is not None and not Path(local).exists():
            raise InputError(f"{path}: no such file")


def _commands(
    images: list[str],
    output: str,
    manifest: Path | None,
    summary_file: Path | None,
    caption_words: list[Words],
    merge_words: list[Words],
) -> JobCommands:
    from rsccli.run.shard import shard_folder
    from rsccli.run.slurm.scripts import JobCommands, job_name

    here = str(Path.cwd())
    if manifest is not None:
        named: list[Words] = [("--manifest", str(manifest))]
        named += [("--output", output)] if output else []
        named += [("--summary", str(summary_file))] if summary_file else []
        return JobCommands(job_name(manifest.stem), here, (("caption",), *named, *caption_words), None)
    place = Path(output)
    target: Words = ("--output", output)
    return JobCommands(
        job_name(place.stem),
        here,
        (("caption",), *((_no_flag(image),) for image in images), target, *caption_words),
        (("merge",), (_no_flag(str(shard_folder(place))),), target, *merge_words),
    )


def _no_flag(path: str) -> str:
    """A path that is not taken for an option."""
    return f"./{path}" if path.startswith("-") else path


def _list_folder(manifest: Path) -> Path:
    return manifest.with_name(f"{manifest.stem}.slurm")


def _program(text: str | None, container: str | None) -> tuple[str, ...]:
    if text is not None:
        try:
            given = tuple(shlex.split(text))
        except ValueError as error:
            raise UsageProblem(f"--program {text}: {error}") from error
        if not given:
            raise UsageProblem("--program: give at least one word, e.g. rsccli")
        return given
    return ("rsccli",) if container is not None else (sys.executable, "-m", "rsccli")


def _binds(paths: list[str], given: list[Words], more: list[str] | None) -> tuple[str, ...]:
    """Folders of everything local that the commands name, those above others alone."""
    named = [path for path in paths if "://" not in path] + [value for _, *rest in given for value in rest]
    found = {Path.cwd()}
    for name in named:
        path = Path(name).absolute()
        if path.is_dir():
            found.add(path)
        elif path.exists() or name in paths:
            found.add(path.parent)
    found |= {Path(path).absolute() for path in more or ()}
    return tuple(sorted(str(path) for path in found if not any(above in found for above in path.parents)))
