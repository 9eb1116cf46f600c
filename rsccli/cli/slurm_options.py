"""Flags of ``rsccli slurm`` that say what the jobs ask of the scheduler and what surrounds them.

| name | flag |
|---|---|
| `Images` | arguments |
| `Output` | `-o`, `--output` |
| `Array` | `--array` |
| `Time` | `--time` |
| `Partition` | `--partition` |
| `Account` | `--account` |
| `Qos` | `--qos` |
| `Nodes` | `--nodes` |
| `Gpus` | `--gpus` |
| `Cpus` | `--cpus-per-task` |
| `Memory` | `--mem` |
| `MergeTime` | `--merge-time` |
| `MergePartition` | `--merge-partition` |
| `Directives` | `--sbatch` |
| `Modules` | `--module` |
| `Setup` | `--setup` |
| `Container` | `--container` |
| `Binds` | `--bind` |
| `Program` | `--program` |
| `Warn` | `--warn` |
| `Requeue` | `--requeue/--no-requeue` |
| `MaxRequeues` | `--max-requeues` |
| `Submit` | `--submit` |
"""

from __future__ import annotations

from typing import Annotated

import typer

Images = Annotated[
    list[str] | None,
    typer.Argument(metavar="PRE POST", help="Image before and image after.", show_default=False),
]
Output = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--output",
        envvar="RSCCLI_OUTPUT",
        metavar="FILE",
        help="What the jobs write, as for rsccli caption. The scripts go into FILE's name with .slurm.",
        show_envvar=False,
    ),
]
Array = Annotated[
    str,
    typer.Option(
        "--array",
        envvar="RSCCLI_SLURM_ARRAY",
        metavar="N|N%M",
        help="Elements of the job array, a shard each; 100%10: at most ten at a time.",
        show_envvar=False,
    ),
]
Time = Annotated[
    str | None,
    typer.Option("--time", envvar="RSCCLI_SLURM_TIME", help="Limit of an element, e.g. 04:00:00.", show_envvar=False),
]
Partition = Annotated[
    str | None,
    typer.Option("--partition", envvar="RSCCLI_SLURM_PARTITION", help="Where it runs.", show_envvar=False),
]
Account = Annotated[
    str | None,
    typer.Option("--account", envvar="RSCCLI_SLURM_ACCOUNT", help="Who pays for it.", show_envvar=False),
]
Qos = Annotated[
    str | None, typer.Option("--qos", envvar="RSCCLI_SLURM_QOS", help="Quality of service.", show_envvar=False)
]
Nodes = Annotated[
    int,
    typer.Option(
        "--nodes",
        envvar="RSCCLI_SLURM_NODES",
        help="Nodes of an element; each captions a shard of its own.",
        show_envvar=False,
    ),
]
Gpus = Annotated[
    str | None,
    typer.Option(
        "--gpus",
        envvar="RSCCLI_SLURM_GPUS",
        metavar="N|TYPE:N",
        help="GPUs of a shard; the model runs on all of them unless --device says otherwise.",
        show_envvar=False,
    ),
]
Cpus = Annotated[
    int, typer.Option("--cpus-per-task", envvar="RSCCLI_SLURM_CPUS", help="Cores of a shard.", show_envvar=False)
]
Memory = Annotated[
    str | None,
    typer.Option("--mem", envvar="RSCCLI_SLURM_MEM", help="Memory of a node, e.g. 16G.", show_envvar=False),
]
MergeTime = Annotated[
    str | None,
    typer.Option(
        "--merge-time", envvar="RSCCLI_SLURM_MERGE_TIME", help="Limit of the merge; as --time.", show_envvar=False
    ),
]
MergePartition = Annotated[
    str | None,
    typer.Option(
        "--merge-partition",
        envvar="RSCCLI_SLURM_MERGE_PARTITION",
        help="Where the merge runs, which needs no GPU; as --partition.",
        show_envvar=False,
    ),
]
Directives = Annotated[
    list[str] | None,
    typer.Option(
        "--sbatch",
        envvar="RSCCLI_SLURM_SBATCH",
        metavar="OPTION",
        help="Any other option of sbatch, e.g. --sbatch=--constraint=a100. May be repeated.",
        show_envvar=False,
    ),
]
Modules = Annotated[
    list[str] | None,
    typer.Option(
        "--module",
        envvar="RSCCLI_SLURM_MODULE",
        metavar="NAME",
        help="Module to load first. May be repeated.",
        show_envvar=False,
    ),
]
Setup = Annotated[
    list[str] | None,
    typer.Option(
        "--setup",
        envvar="RSCCLI_SLURM_SETUP",
        metavar="LINE",
        help="Line of bash that a job runs before rsccli, as it is. May be repeated.",
        show_envvar=False,
    ),
]
Container = Annotated[
    str | None,
    typer.Option(
        "--container",
        envvar="RSCCLI_SLURM_CONTAINER",
        metavar="IMAGE.sif",
        help="Run within this image of Apptainer; folders of inputs and output are bound into it.",
        show_envvar=False,
    ),
]
Binds = Annotated[
    list[str] | None,
    typer.Option(
        "--bind",
        envvar="RSCCLI_SLURM_BIND",
        metavar="DIR",
        help="One more folder that the container sees. May be repeated.",
        show_envvar=False,
    ),
]
Program = Annotated[
    str | None,
    typer.Option(
        "--program",
        envvar="RSCCLI_SLURM_PROGRAM",
        metavar="WORDS",
        help="How a job calls rsccli. Default: with this Python; in a container: rsccli.",
        show_envvar=False,
    ),
]
Warn = Annotated[
    int,
    typer.Option(
        "--warn",
        envvar="RSCCLI_SLURM_WARN",
        metavar="SECONDS",
        help="How long before its limit an element is told to stop at a safe point.",
        show_envvar=False,
    ),
]
Requeue = Annotated[
    bool,
    typer.Option(
        "--requeue/--no-requeue",
        envvar="RSCCLI_SLURM_REQUEUE",
        help="Put an element that was stopped (limit, preemption, lost node) back into the queue: it goes on.",
        show_envvar=False,
    ),
]
MaxRequeues = Annotated[
    int,
    typer.Option("--max-requeues", envvar="RSCCLI_SLURM_MAX_REQUEUES", help="How often at most.", show_envvar=False),
]
Submit = Annotated[
    bool,
    typer.Option(
        "--submit",
        envvar="RSCCLI_SLURM_SUBMIT",
        help="Submit the jobs, too; prints their numbers.",
        show_envvar=False,
    ),
]
