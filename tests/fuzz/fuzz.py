"""``make fuzz``: atheris looks for files that a reader does not expect, target by target, in a given time.

``python tests/fuzz/fuzz.py --seconds 300`` shares the time among all targets (``targets.py``). What it finds lies under
``out/fuzz/TARGET/`` (crash-..., timeout-..., oom-...); a file that is worth keeping goes into
``tests/fuzz/corpus/TARGET/`` with the suffix of its kind, and is then read by every run of the tests.
``python tests/fuzz/fuzz.py --one TARGET FILE`` reads one such file again.
"""

from __future__ import annotations

import argparse
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

#: A reader that takes longer, or more memory than that, is a finding.
TIMEOUT_S, MEMORY_MB = 30, 2048


def main() -> int:
    """Run every target in a process of its own; the exit status is 1 where one of them found something."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=300, help="for all targets together")
    parser.add_argument("--targets", default="", help="only these, separated by commas")
    parser.add_argument("--out", type=Path, default=Path("out/fuzz"))
    parser.add_argument("--one", nargs=2, metavar=("TARGET", "FILE"), help="read one file")
    parser.add_argument("--worker", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker:
        worker(*asked.worker)
        return 0
    from targets import TARGETS

    if asked.one:
        name, path = asked.one[0], Path(asked.one[1])
        with tempfile.TemporaryDirectory() as folder:
            print("taken" if TARGETS[name](path.read_bytes(), Path(folder), path.suffix) else "refused")
        return 0
    names = asked.targets.split(",") if asked.targets else list(TARGETS)
    each = max(5, asked.seconds // len(names))
    print(f"{len(names)} targets, {each} s each\n\n| target | runs | findings |\n|---|---:|---:|", flush=True)
    total = found = 0
    for name in names:
        runs, findings = _run(name, asked.out / name, each)
        print(f"| {name} | {runs} | {findings} |", flush=True)
        total, found = total + runs, found + findings
    print(f"| all | {total} | {found} |")
    return 1 if found else 0


def _run(name: str, out: Path, seconds: int) -> tuple[int, int]:
    """Fuzz one target; returns how often it was called and how many files were found."""
    (out / "corpus").mkdir(parents=True, exist_ok=True)
    before = set(_findings(out))
    flags = [f"-max_total_time={seconds}", f"-timeout={TIMEOUT_S}", f"-rss_limit_mb={MEMORY_MB}", "-max_len=20000"]
    command = [sys.executable, __file__, "--worker", name, str(out / "corpus"), f"-artifact_prefix={out}/", *flags]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    (out / "log.txt").write_text(done.stdout, encoding="utf-8")
    runs = re.findall(r"^#(\d+)|Done (\d+) runs", done.stdout, re.MULTILINE)
    found = set(_findings(out)) - before
    if done.returncode and not found:
        print(f"{name}: ended with {done.returncode}:\n{done.stdout[-2000:]}", file=sys.stderr)
        return 0, 1
    return max((int(a or b) for a, b in runs), default=0), len(found)


def _findings(out: Path) -> list[Path]:
    return [path for path in out.iterdir() if path.name.startswith(("crash-", "timeout-", "oom-", "slow-"))]


def worker(name: str, corpus: str, *flags: str) -> None:
    """The process that atheris drives."""
    import atheris
    from mutations import mutated
    from targets import TARGETS

    target = TARGETS[name]
    seeds = target.all_seeds()
    suffixes = sorted({suffix for suffix, _ in seeds})
    folder = Path(tempfile.mkdtemp(prefix="rsccli-fuzz-"))
    with atheris.instrument_imports(include=["rsccli"]):
        # Readers import what they need when they are called: once each, to have it instrumented.
        for number, (suffix, data) in enumerate(seeds):
            target(data, folder, suffix)
            (Path(corpus) / f"seed-{number}").write_bytes(bytes([suffixes.index(suffix)]) + data)

    def one(data: bytes) -> None:
        # The first byte picks the suffix.
        target(data[1:], folder, suffixes[data[0] % len(suffixes)] if data else suffixes[0])

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if rng.random() < 0.5 or not data:
            return bytes(atheris.Mutate(data, max_size))
        return (data[:1] + mutated(data[1:], rng))[:max_size]

    atheris.Setup([sys.argv[0], corpus, *flags], one, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    sys.exit(main())
