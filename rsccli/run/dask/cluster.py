"""Workers: started here, found by their address, or submitted as jobs. What we start speaks TLS among itself.

Whoever reaches a scheduler of Dask may run what he likes as its user, and others may be logged in on this machine, too.
So what is started here has a key of its own, made for this run and kept in memory (for jobs of SLURM: in files that
nobody else may read, in a folder that the nodes share).
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
from distributed import Client, LocalCluster, Nanny, Security, SpecCluster
from distributed import Scheduler as DaskScheduler

from rsccli.errors import UsageProblem, WorkerError
from rsccli.models.cores import usable_cores
from rsccli.models.devices import gpu_count
from rsccli.run.dask.scheduler import Scheduler

#: How often workers may die under one task before it is given up.
DEATHS = 5
PRELOAD = "rsccli.run.dask.preload"
_CONNECT_S = 30
#: dask-jobqueue does not quote what it writes into its scripts.
_PLAIN = re.compile(r"[A-Za-z0-9_./+@=-]+")


@dataclass(frozen=True)
class Workers:
    """A scheduler that is reached.

    Attributes:
        client: talks to it. own: we started the workers, and end them. dashboard: address of its page, or None.
        wanted: workers that there will be, as far as that is known.
    """

    client: Client
    own: bool
    dashboard: str | None
    wanted: int


@dataclass(frozen=True)
class WorkerDevices:
    """Devices of workers that are started here.

    Attributes:
        device: what each worker is told. gpus: one for each worker, in turn; empty: none are dealt out.
    """

    device: str
    gpus: tuple[str, ...] = ()


def deal_devices(scheduler: Scheduler, asked: str) -> WorkerDevices:
    """One GPU for each worker of this machine; elsewhere a worker takes what its job or its starter gave it.

    Args:
        asked: ``--device``.

    Raises:
        UsageProblem: a list of GPUs for workers that are not started here.
    """
    kind, colon, which = asked.partition(":")
    several = which == "all" or "," in which
    if scheduler.kind != "local":
        if several or (colon and kind != "cpu"):
            raise UsageProblem(
                f"--device {asked}: GPUs are numbered on each worker's own machine: give --device {kind}, and each "
                "worker one GPU (CUDA_VISIBLE_DEVICES, or --scheduler-option gpus=1)"
            )
        return WorkerDevices(asked)
    if kind not in ("cuda", "tensorrt") and not (kind == "auto" and gpu_count() > 1):
        return WorkerDevices(asked)
    visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    visible = visible or [str(index) for index in range(gpu_count())]
    chosen = visible
    if colon and which != "all":
        numbers = [int(number) for number in which.split(",")] if re.fullmatch(r"\d+(,\d+)*", which) else []
        if not numbers or max(numbers) >= len(visible):
            raise UsageProblem(f"--device {asked}: the GPUs here are {kind}:0 to {kind}:{len(visible) - 1}")
        chosen = [visible[number] for number in numbers]
    return WorkerDevices("cuda" if kind == "auto" else kind, tuple(chosen))


@contextmanager
def open_workers(scheduler: Scheduler, devices: WorkerDevices, folder: Path) -> Iterator[Workers]:
    """Start or reach the workers; what was started ends with it.

    Args:
        folder: that all of them share, for files that go with jobs.

    Raises:
        WorkerError: there is no scheduler at the address, or jobs cannot be submitted.
    """
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    settings = {
        "distributed.scheduler.allowed-failures": DEATHS,
        # A task is minutes of work: one that waits is not to be bound to a worker beforehand.
        "distributed.scheduler.worker-saturation": 1.0,
        "distributed.scheduler.work-stealing": False,
    }
    with dask.config.set(settings):
        if scheduler.kind == "address":
            with _reach(str(scheduler.address)) as client:
                yield Workers(client, False, client.dashboard_link, len(client.scheduler_info(-1)["workers"]))
            return
        cluster = _local(scheduler, devices) if scheduler.kind == "local" else _slurm(scheduler, folder)
        client = None
        try:
            client = Client(cluster)
            wanted = scheduler.workers or len(cluster.worker_spec)
            yield Workers(client, True, cluster.dashboard_link, wanted)
        finally:
            for each in (client, cluster):
                # What is being ended may be gone already; what counts is in files.
                with suppress(Exception):
                    if each is not None:
                        each.close()


@contextmanager
def _reach(address: str) -> Iterator[Client]:
    try:
        client = Client(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise WorkerError(
            f"--scheduler {address}: no scheduler of Dask answers there: {error}. Start one with: dask scheduler"
        ) from error
    try:
        yield client
    finally:
        with suppress(Exception):
            client.close()


def _security() -> Security:
    try:
        return Security.temporary()
    except ImportError as error:
        raise WorkerError('the workers need keys of their own: pip install "rsccli[dask]"') from error


def _local(scheduler: Scheduler, devices: WorkerDevices) -> SpecCluster:
    """Processes of this machine, one thread each; a GPU each where there are some."""
    count = scheduler.workers or len(devices.gpus) or max(1, usable_cores() // 2)
    if not devices.gpus:
        return LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            memory_limit=0,
            preload=[PRELOAD],
            security=_security(),
            protocol="tls://",
            silence_logs=logging.CRITICAL,
        )
    security = _security()
    common: dict[str, Any] = {
        "nthreads": 1, "memory_limit": 0, "security": security, "protocol": "tls://", "host": "127.0.0.1",
        "silence_logs": logging.CRITICAL, "dashboard": False, "preload": [PRELOAD],
    }  # fmt: skip
    workers = {
        index: {
            "cls": Nanny,
            "options": {**common, "env": {"CUDA_VISIBLE_DEVICES": devices.gpus[index % len(devices.gpus)]}},
        }
        for index in range(count)
    }
    options = {
        "host": "127.0.0.1", "security": security, "protocol": "tls://", "dashboard": True,
        "dashboard_address": "127.0.0.1:0",
    }  # fmt: skip
    return SpecCluster(
        workers=workers,
        scheduler={"cls": DaskScheduler, "options": options},
        security=security,
        silence_logs=logging.CRITICAL,
    )


def _slurm(scheduler: Scheduler, folder: Path) -> SpecCluster:
    """Jobs of SLURM with one worker each; a job that ends before the run does is submitted again."""
    try:
        from dask_jobqueue import SLURMCluster
    except ImportError as error:
        raise WorkerError('--scheduler slurm needs dask-jobqueue: pip install "rsccli[dask]"') from error
    if not _PLAIN.fullmatch(str(folder)):
        raise WorkerError(
            f"{folder}: dask-jobqueue writes such a name into its scripts without quotes: write the output into a "
            "folder with letters, digits and _ - . only, or use rsccli slurm, which takes every name"
        )
    cores = int(scheduler.option("cpus-per-task") or 4)
    memory = scheduler.option("mem") or "8G"
    gpus = scheduler.option("gpus")
    directives = [*([f"--gpus-per-node={gpus}"] if gpus else []), "--nodes=1", *scheduler.each("sbatch")]
    offline = ["export HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1", f"export OMP_NUM_THREADS={cores} GDAL_NUM_THREADS=1"]
    folder.mkdir(exist_ok=True)
    try:
        cluster = SLURMCluster(
            # A job has one worker with one thread: one task at a time, and the model's own threads take the cores.
            cores=1,
            processes=1,
            job_cpu=cores,
            memory=memory if memory.endswith("B") else f"{memory}iB",
            job_mem=memory.removesuffix("B"),
            walltime=scheduler.option("time"),
            queue=scheduler.option("partition"),
            account=scheduler.option("account"),
            interface=scheduler.option("interface"),
            job_extra_directives=directives,
            job_script_prologue=[*offline, *scheduler.each("setup")],
            job_name="rsccli-worker",
            log_directory=str(folder),
            security=_security(),
            protocol="tls://",
            shared_temp_directory=str(folder),
            scheduler_options={"dashboard_address": "127.0.0.1:0"},
        )
        cluster.adapt(minimum_jobs=scheduler.workers, maximum_jobs=scheduler.workers)
    except (OSError, RuntimeError, ValueError) as error:
        raise WorkerError(f"--scheduler slurm: no jobs can be submitted from here: {error}") from error
    return cluster
