"""A SLURM cluster on this machine, for tests: the real slurmctld, munged, and a slurmd for each of two nodes.

Everything of it lies in one folder: configuration, key, state, logs, sockets. Nothing of the machine is changed, no
cgroups and no accounting data base are needed, and it does not mind another SLURM beside it.

    python tests/slurm/local_slurm.py start FOLDER    # prints how to use it
    python tests/slurm/local_slurm.py stop FOLDER
"""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

#: Debian's packages are slurm-wlm and munge.
PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "srun", "scontrol", "squeue", "scancel", "sinfo")
#: Of a node; more than the machine may have: jobs of tests wait more than they compute.
CPUS, GPUS = 2, 1
#: A requeued job waits this long (two minutes by default, and so it is on clusters).
REQUEUE_SECONDS = 6
NODES = ("node1", "node2")


class SlurmProblem(Exception):
    """The cluster cannot be had here."""


@dataclass(frozen=True)
class LocalSlurm:
    """A cluster that runs from a folder."""

    folder: Path

    @property
    def conf(self) -> Path:
        """What ``SLURM_CONF`` names."""
        return self.folder / "slurm.conf"

    def environment(self) -> dict[str, str]:
        """This process's environment for SLURM's commands, and nothing of a job that it may itself be in."""
        mine = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "SBATCH", "SRUN"))}
        return {**mine, "SLURM_CONF": str(self.conf)}

    def run(self, *command: str, timeout: float = 60) -> str:
        """A command's output; its error where it fails."""
        done = subprocess.run(
            command, env=self.environment(), capture_output=True, text=True, timeout=timeout, check=False
        )
        if done.returncode:
            raise SlurmProblem(f"{' '.join(command)}: {done.stderr or done.stdout}")
        return done.stdout

    def is_up(self) -> bool:
        """Whether all nodes take jobs."""
        try:
            states = self.run("sinfo", "--noheader", "--Node", "--partition=main", "--format=%T", timeout=15).split()
            return len(states) == len(NODES) and {*states} <= {"idle", "mixed", "allocated"}
        except (SlurmProblem, subprocess.TimeoutExpired, OSError):
            return False


def missing_programs() -> list[str]:
    """What is not installed here."""
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
    return [name for name in PROGRAMS if shutil.which(name, path=path) is None]


def start(folder: Path) -> LocalSlurm:
    """Start a cluster, or find the one that runs from this folder.

    Raises:
        SlurmProblem: it cannot be had here; the message says why.
    """
    if missing := missing_programs():
        raise SlurmProblem(f"not installed: {', '.join(missing)} (Debian, Ubuntu: apt-get install slurm-wlm munge)")
    slurm = LocalSlurm(folder.resolve())
    if slurm.conf.exists() and slurm.is_up():
        return slurm
    _write(slurm)
    socket_path = folder.resolve() / "munge.socket"
    munged = [
        _which("munged"), f"--key-file={folder / 'munge.key'}", f"--socket={socket_path}",
        f"--pid-file={folder / 'munged.pid'}", f"--log-file={folder / 'munged.log'}",
        f"--seed-file={folder / 'munge.seed'}", "--force",
    ]  # fmt: skip
    # Each stays in the foreground of its own session, so that its process is the one to be stopped.
    _spawn(slurm, "munged", [*munged, "--foreground"])
    _wait(lambda: socket_path.exists(), 20, slurm, "munged")
    _spawn(slurm, "slurmctld", [_which("slurmctld"), "-D", "-c"])
    for node in NODES:
        _spawn(slurm, f"slurmd-{node}", [_which("slurmd"), "-D", "-N", node])
    _wait(slurm.is_up, 60, slurm, "slurmd")
    return slurm


def stop(folder: Path) -> None:
    """End the jobs and the three programs, and remove the folder."""
    slurm = LocalSlurm(folder.resolve())
    if not slurm.conf.exists():
        return
    if slurm.is_up():
        subprocess.run(["scancel", "--me"], env=slurm.environment(), timeout=30, check=False)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and slurm.run("squeue", "-h", "-o", "%i").strip():
            time.sleep(0.5)
    for name in (*(f"slurmd-{node}" for node in NODES), "slurmctld", "munged"):
        _end(folder / f"{name}.process")
    shutil.rmtree(folder, ignore_errors=True)


def _end(file: Path) -> None:
    try:
        pid = int(file.read_text())
        os.kill(pid, signal.SIGTERM)
    except (OSError, ValueError):
        return
    for _ in range(100):
        try:
            if os.waitpid(pid, os.WNOHANG)[0]:
                return
        except ChildProcessError:
            # Not our child: started by another process of ours.
            if not Path(f"/proc/{pid}").exists():
                return
        time.sleep(0.1)
    os.kill(pid, signal.SIGKILL)


def _which(name: str) -> str:
    found = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin")))
    assert found is not None
    return found


def _spawn(slurm: LocalSlurm, name: str, command: list[str]) -> None:
    with open(slurm.folder / f"{name}.out", "wb") as log:
        process = subprocess.Popen(
            command, env=slurm.environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    (slurm.folder / f"{name}.process").write_text(str(process.pid))


def _wait(true: Callable[[], bool], seconds: float, slurm: LocalSlurm, name: str) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            logs = sorted(slurm.folder.glob("*.out"))
            tails = "\n".join(f"{log.name}: {log.read_text(errors='replace')[-800:]}" for log in logs)
            stop(slurm.folder)
            raise SlurmProblem(f"{name} did not start in {seconds:g} s:\n{tails}")
        time.sleep(0.2)


def _write(slurm: LocalSlurm) -> None:
    folder, user = slurm.folder, getpass.getuser()
    folder.mkdir(parents=True, exist_ok=True)
    # munged wants nobody else to be able to write where its socket and key lie.
    folder.chmod(0o755)
    for name in ("state", *(f"spool-{node}" for node in NODES)):
        (folder / name).mkdir(exist_ok=True)
    key = folder / "munge.key"
    key.unlink(missing_ok=True)
    key.touch(0o600)
    key.write_bytes(secrets.token_bytes(128))
    control_port, *node_ports = _free_ports(1 + len(NODES))
    nodes = "\n".join(
        f"NodeName={node} NodeHostname={socket.gethostname()} NodeAddr=127.0.0.1 Port={port} CPUs={CPUS} "
        f"RealMemory={_memory_mb()} Gres=gpu:{GPUS} State=UNKNOWN"
        for node, port in zip(NODES, node_ports, strict=True)
    )
    host = socket.gethostname()
    slurm.conf.write_text(
        f"""ClusterName=rsccli
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={control_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire={REQUEUE_SECONDS}
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
# No cgroups: processes are found by their parents.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
JobRequeue=1
KillWait=10
MinJobAge=300
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,sched_min_interval=100000
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu
SlurmdParameters=config_overrides
# Jobs of the second partition take the place of those of the first, which are warned and go back into the queue.
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
{nodes}
PartitionName=main Nodes={",".join(NODES)} Default=YES PriorityTier=1 GraceTime=30 State=UP
PartitionName=urgent Nodes={",".join(NODES)} PriorityTier=10 PreemptMode=OFF State=UP
"""
    )
    # Devices that everybody has stand for GPUs: SLURM gives them out, nothing computes on them.
    (folder / "gres.conf").write_text(f"NodeName={','.join(NODES)} Name=gpu Count={GPUS} File=/dev/null\n")


def _memory_mb() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20


def _free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    for each in held:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


def main() -> int:
    """``start FOLDER`` or ``stop FOLDER``."""
    verb, folder = sys.argv[1], Path(sys.argv[2])
    if verb == "stop":
        stop(folder)
        return 0
    try:
        slurm = start(folder)
    except SlurmProblem as problem:
        print(f"no SLURM here: {problem}", file=sys.stderr)
        return 1
    print(f"export SLURM_CONF={slurm.conf}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
