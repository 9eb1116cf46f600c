"""``make soak``: a random mixture of faults for half an hour (``SOAK_MINUTES``); the table goes to stdout.

The seed is printed; ``SOAK_SEED`` repeats the draws (moments of kills hang on the machine, too). Leaves with 1 where
anything was lost, doubled or wrong.
"""

from __future__ import annotations

import os
import platform
import random
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from storm import Storm


def main() -> int:
    """Run, print, and say whether all is well."""
    minutes = float(os.environ.get("SOAK_MINUTES", "30"))
    seed = int(os.environ.get("SOAK_SEED") or random.SystemRandom().randrange(10**6))
    print(f"soak: {minutes:g} minutes, SOAK_SEED={seed}", file=sys.stderr, flush=True)
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="rsccli-soak-") as name:
        storm = Storm(Path(name), rng)
        deadline = time.monotonic() + 60 * minutes
        told = time.monotonic()
        try:
            # Each kind once, then by weight.
            kinds = storm.kinds()
            waiting = list(kinds)
            while time.monotonic() < deadline:
                kind = waiting.pop(0) if waiting else rng.choices(list(kinds), [w for w, _ in kinds.values()])[0]
                before = len(storm.problems)
                storm.episode(kind)
                for problem in storm.problems[before:]:
                    print(f"soak: {problem}", file=sys.stderr, flush=True)
                if time.monotonic() - told > 60:
                    told = time.monotonic()
                    done = sum(count.injected for count in storm.counts.values())
                    print(f"soak: {done} faults, {len(storm.problems)} problems", file=sys.stderr, flush=True)
        finally:
            storm.close()
        print(
            f"{date.today()}, {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, ",
            end="",
        )
        print(f"{minutes:g} minutes, SOAK_SEED={seed}; synthetic pair of 640 x 384 pixels.\n")
        print(storm.table())
        print("\n| where kill -9 struck | times |\n|---|---|")
        for where, times in sorted(storm.phases.items(), key=lambda item: -item[1]):
            print(f"| {where} | {times} |")
        print(f"\nProblems: {len(storm.problems)}")
        return 1 if storm.problems else 0


if __name__ == "__main__":
    sys.exit(main())
