"""``rsccli caption`` as a user types it, on every real pair at hand and on every odd GeoTIFF; prints two tables.

Needs ../shared/data. Usage: python tests/bench/real_input.py [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import collections
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "geo")]

from odd_worker import good_pre  # noqa: E402 - beside the tests that use it

PRAIRIE = "prairie/m_4709963_se_14_1_{}.tif"
PAIRS = [
    ("example", ROOT / "examples/prairie_2012-07-31.tif", ROOT / "examples/prairie_2014-07-20.tif", []),
    ("Long Beach 2016/2020", DATA / "mosaic/long_beach_2016.tif", DATA / "mosaic/long_beach_2020.tif", []),
    ("prairie 2009/2010", DATA / PRAIRIE.format(20090818), DATA / PRAIRIE.format(20100629), ["--bands", "1,2,3"]),
    ("Pucallpa 1985/2000, no bands", DATA / "pucallpa/1985.tif", DATA / "pucallpa/2000.tif", []),
    ("Pucallpa 1985/2000", DATA / "pucallpa/1985.tif", DATA / "pucallpa/2000.tif", ["--bands", "1,2,3"]),
    ("canyon", DATA / "canyon/reference2.tif", DATA / "canyon/source2.tif", []),
]
LIMIT_MB = 4000


def caption(pre: Path, post: Path, output: Path, options: list[str]) -> tuple[int, float, str]:
    """Exit code, seconds and stderr of one run under a limit of address space."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "rsccli", "caption", str(pre), str(post), "-o", str(output), *options],
        capture_output=True,
        text=True,
        timeout=900,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (LIMIT_MB * 2**20, LIMIT_MB * 2**20)),
    )
    return done.returncode, time.perf_counter() - start, done.stderr


def statuses(output: Path) -> str:
    """Tiles by status."""
    if not output.exists():
        return "no output"
    features = json.loads(output.read_text())["features"]
    counts = collections.Counter(f["properties"]["status"] for f in features)
    return f"{len(features)} tiles: " + ", ".join(f"{n} {s}" for s, n in counts.most_common())


def said(stderr: str) -> str:
    """The message, without what is the same in every run."""
    lines = [
        line for line in stderr.splitlines() if line.strip() and " report: " not in line and " tiles: " not in line
    ]
    text = "Traceback!" if "Traceback" in stderr else " ".join(lines)
    return text.replace(str(ROOT.parent) + "/", "").replace("|", "/")[:230]


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--keep", type=Path, default=None)
    folder = parser.parse_args().keep or Path(tempfile.mkdtemp())
    folder.mkdir(exist_ok=True)
    print("| pair | exit | result | s | what was said |\n|---|---|---|---|---|")
    for name, pre, post, options in PAIRS:
        output = folder / f"{name.split(',')[0].replace(' ', '_').replace('/', '_')}.geojson"
        code, seconds, stderr = caption(pre, post, output, [*options, "--overwrite"])
        print(f"| {name} | {code} | {statuses(output)} | {seconds:.1f} | {said(stderr)} |", flush=True)
    print("\n| odd file | exit | result | what was said |\n|---|---|---|---|")
    outcome: collections.Counter[str] = collections.Counter()
    for post in sorted((DATA / "odd_tiffs").glob("*.tif")):
        output = folder / f"odd_{post.stem}.geojson"
        pre = good_pre(folder, post)
        code, _, stderr = caption(pre, post, output, ["--overwrite", "--no-report", "--allow-upsampling"])
        outcome["traceback" if "Traceback" in stderr else f"exit {code}"] += 1
        print(f"| {post.name} | {code} | {statuses(output)} | {said(stderr)} |", flush=True)
    print("\n" + ", ".join(f"{count} with {what}" for what, count in sorted(outcome.items())))


if __name__ == "__main__":
    main()
