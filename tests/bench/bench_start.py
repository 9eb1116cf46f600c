"""How long a user waits: for ``rsccli --help``, and for the first caption of a small pair, on a warm machine.

Usage: python tests/bench/bench_start.py [--repeat 7]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import common

EXAMPLES = common.ROOT / "examples"
PAIR = [str(EXAMPLES / "prairie_2012-07-31.tif"), str(EXAMPLES / "prairie_2014-07-20.tif")]


def first_line_s() -> float:
    """Seconds until the first feature of a stream stands on stdout."""
    import subprocess

    start = time.perf_counter()
    command = [*common.rsccli(), "caption", *PAIR, "-o", "-", "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        waited = time.perf_counter() - start
        process.communicate()
    if process.returncode or b"Feature" not in line:
        raise SystemExit(f"caption left with {process.returncode}")
    return waited


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=7)
    repeat = parser.parse_args().repeat
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "out.geojson")
        whole = [*common.rsccli(), "caption", *PAIR, "-o", out, "--overwrite", "--quiet"]
        cases = {
            "`rsccli --help`": lambda: common.run_child([*common.rsccli(), "--help"]).wall_s,
            "`rsccli caption --help`": lambda: common.run_child([*common.rsccli(), "caption", "--help"]).wall_s,
            "first caption of the example pair, streamed": first_line_s,
            "the whole example pair, with report": lambda: common.run_child(whole).wall_s,
        }
        for case in cases.values():  # bytecode and page cache are warm after this
            case()
        told = {name: [case() for _ in range(repeat)] for name, case in cases.items()}
    limits = {"`rsccli --help`": 0.4, "first caption of the example pair, streamed": 3.0}
    rows = [
        [
            name,
            common.spread(seconds, 2),
            f"{limits[name]}" if name in limits else "",
            ("yes" if statistics.median(seconds) <= limits[name] else "**no**") if name in limits else "",
        ]
        for name, seconds in told.items()
    ]
    common.say("## Time to start\n")
    common.say(f"{common.machine()}. Median of {repeat} (range), seconds, files in the page cache.\n")
    common.say(common.table(["what", "seconds", "asked for at most", "kept"], rows))


if __name__ == "__main__":
    main()
