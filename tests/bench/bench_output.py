"""Writers and readers: features a second and peak memory, on synthetic features.

Each row is a child process of its own, so that its peak memory is its own. A writer is fed from a list of 10,000
features over and over: what is timed is writing, not making them. The first row is making them; the second is what
one would write with the ``geojson`` library alone.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from itertools import chain, islice, repeat
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from common import last_json, machine, own_cpu_s, own_peak_mb, run_child, say, table
from made_run import make_facts, make_features, make_results

from rsccli.types import Grid

FORMATS = (".geojson", ".geojsonl", ".geojsons", ".gpkg", ".fgb", ".parquet", ".csv")


def measure(what: str, suffix: str, count: int, folder: Path) -> dict[str, float]:
    """Seconds and peak memory of one job in this process."""
    from affine import Affine

    columns = 500
    facts = make_facts(
        Grid("EPSG:32611", Affine(0.6, 0, 390000.0, 0, -0.6, 3740000.0), columns * 256, (count // columns + 1) * 256),
        tiles=count,
    )
    few = make_features(min(count, 10_000), facts)
    many = islice(chain.from_iterable(repeat(few)), count)
    path = folder / f"out{suffix}"
    from rsccli.output import writers
    from rsccli.output.features import as_geojson, build_features
    from rsccli.output.readers import read_outputs

    if what == "read":
        writers.write_features(path, many, facts)
    before, start, cpu = own_peak_mb(), time.perf_counter(), own_cpu_s()
    if what == "build":
        made = sum(1 for _ in build_features(make_results(count, facts), facts))
    elif what == "library":
        import geojson

        with path.open("w") as out:
            geojson.dump(geojson.FeatureCollection([as_geojson(feature) for feature in many]), out)
        made = count
    elif what == "write":
        made = writers.write_features(path, many, facts)
    else:
        made = sum(1 for _ in read_outputs(path)[1])
    assert made == count
    return {
        "wall": time.perf_counter() - start,
        "cpu": own_cpu_s() - cpu,
        "before": before,
        "peak": own_peak_mb(),
        "bytes": path.stat().st_size if path.exists() else 0,
    }


def main() -> None:
    """Print the tables; or, as a child, one measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=int, default=200_000)
    parser.add_argument("--child", nargs=2, metavar=("WHAT", "SUFFIX"))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if asked.child:
            sys.stdout.write(json.dumps(measure(*asked.child, asked.features, Path(folder))) + "\n")
            return
    jobs = [("build", ".none"), ("library", ".json"), *(("write", s) for s in FORMATS), *(("read", s) for s in FORMATS)]
    say("## Writers and readers\n")
    say(f"Synthetic features, {asked.features // 10:,} and {asked.features:,}. {machine()}")
    say()
    rows = []
    for what, suffix in jobs:
        told = [
            last_json(run_child([sys.executable, __file__, "--features", str(n), "--child", what, suffix]))
            for n in (asked.features // 10, asked.features)
        ]
        name = {"build": "make the features", "library": "`geojson` library, in memory"}.get(what, f"{what} `{suffix}`")
        rows.append(
            [
                name,
                f"{asked.features / told[1]['wall'] / 1000:.0f}k",
                f"{asked.features / told[1]['cpu'] / 1000:.0f}k",
                f"{told[0]['peak']:.0f}",
                f"{told[1]['peak']:.0f}",
                f"{told[1]['bytes'] / 1e6:.0f}" if what != "build" else "",
            ]
        )
    head = ["job", "features/s", "features per CPU second", "peak MB, a tenth", "peak MB, all", "file MB"]
    say(table(head, rows))


if __name__ == "__main__":
    main()
