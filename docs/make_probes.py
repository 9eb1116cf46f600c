"""Measure the probes on real pairs and write docs/probes.md again: the tables, and the commands above them.

Usage: python docs/make_probes.py [--data ../shared/data] [--out out/probes] [--only-pairs | --only-page]

Files of pairs are written into the folder first; docs/probes/framing.md, the part of the page that is written
by hand, says how they are chosen. About seven minutes on one core.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import shlex
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from rsccli.datasets.backgrounds import read_sources
from rsccli.datasets.naip import GSD_M
from rsccli.training.development import labelled_pairs

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PAGE, PICTURES = HERE / "probes.md", HERE / "probes"
FRAMING = PICTURES / "framing.md"
COLUMNS = ("id", "pre", "post", "place", "region", "split", "changed", "captions", "gsd_m")
# As in the model card: houses are about 40 px wide, the data set's card gives no sampling distance.
HARVEY_GSD_M, HARVEY_EVERY, HARVEY_PLACE_DEG = 0.5, 28, 0.01
Row = dict[str, str]


def naip_test(data: Path) -> list[Row]:
    """Every two dates of every test place, whole chips, with the label of a person where there is one."""
    sources = read_sources(data, "test")
    rows = []
    for place in sources.places:
        for at, first in enumerate(place.chips):
            for second in place.chips[at + 1 :]:
                name = f"{place.name}:{first.year}-{second.year}"
                label = sources.labels.get(name)
                rows.append(
                    {
                        "id": name,
                        "pre": str(data / "naip" / f"{place.city}_{first.year}_{place.number}.tif"),
                        "post": str(data / "naip" / f"{place.city}_{second.year}_{place.number}.tif"),
                        "place": place.name,
                        "region": place.city,
                        "split": place.split,
                        "changed": "" if label is None else label.seen if label.seen != "unclear" else "",
                        "captions": "" if label is None or not label.caption else json.dumps([label.caption]),
                    }
                )
    return rows


def naip_quarters(data: Path, folder: Path) -> list[Row]:
    """Labelled quarters (128 px): development places of three cities, test places of the fourth."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for split in ("development", "test"):
        for pair in labelled_pairs(read_sources(data, split))[1]:
            place = pair.name.split(":")[0]
            city = place.rsplit("_", 1)[0]
            if split == "development" and city == "riverside":
                continue
            names = []
            for date, image in (("pre", pair.pre), ("post", pair.post)):
                name = f"{re.sub('[:/,]', '_', pair.name)}_{date}.png"
                cv2.imwrite(str(folder / name), np.ascontiguousarray(np.moveaxis(image, 0, 2)[..., ::-1]))
                names.append(f"{folder.name}/{name}")
            rows.append(
                {
                    "id": pair.name,
                    "pre": names[0],
                    "post": names[1],
                    "place": place,
                    "region": city,
                    "split": split,
                    "changed": "changed" if pair.changed else "unchanged",
                    "captions": "",
                    "gsd_m": str(GSD_M),
                }
            )
    return rows


def harvey(data: Path, folder: Path) -> list[Row]:
    """Every 28th Harvey pair; all count as changed, as in the model card."""
    folder.mkdir(parents=True, exist_ok=True)
    with (data / "harvey" / "pairs.csv").open(newline="") as lines:
        chosen = list(csv.DictReader(lines))[::HARVEY_EVERY]
    rows = []
    with zipfile.ZipFile(data / "harvey" / "harvey.zip") as archive:
        for row in chosen:
            names = []
            for date in ("pre", "post"):
                name = f"{row['id']}_{date}.jpg"
                (folder / name).write_bytes(archive.read(row[date]))
                names.append(f"{folder.name}/{name}")
            cell = "/".join(str(int(float(row[axis]) // HARVEY_PLACE_DEG)) for axis in ("lon", "lat"))
            rows.append(
                {
                    "id": f"harvey:{row['id']}",
                    "pre": names[0],
                    "post": names[1],
                    "place": f"harvey {cell}",
                    "region": "harvey",
                    "split": "never trained on",
                    "changed": "changed",
                    "captions": "",
                    "gsd_m": str(HARVEY_GSD_M),
                }
            )
    return rows


def write_pairs(path: Path, rows: Sequence[Row]) -> None:
    """Write one file of pairs."""
    with path.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.DictWriter(lines, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(rows)


def make_pairs(data: Path, out: Path) -> None:
    """Write all files of pairs."""
    out.mkdir(parents=True, exist_ok=True)
    data = data.resolve()
    write_pairs(out / "naip.csv", naip_test(data))
    write_pairs(out / "quarters.csv", naip_quarters(data, out / "quarters"))
    write_pairs(out / "harvey.csv", harvey(data, out / "harvey"))


@dataclass(frozen=True)
class Run:
    """One command of the page.

    Attributes:
        probe: its name. pairs: files of pairs. to: folder of the results. options: further ones. title: over its table.
    """

    probe: str
    pairs: tuple[str, ...]
    to: str
    options: str
    title: str

    @property
    def picture(self) -> str:
        """File name of the plot."""
        return f"{self.probe}-{self.to}.svg"

    def arguments(self, out: Path) -> list[str]:
        """What stands behind ``rsccli``."""
        named = [str(out / name) for name in self.pairs]
        more = shlex.split(self.options)
        return ["probe", self.probe, *named, *more, "--limit", "0", "--threads", "1", "-o", str(out / self.to)]


HOME = "long_beach,palm_springs,santa_monica"
RUNS: tuple[Run, ...] = (
    Run("resolution", ("naip.csv",), "naip", "--levels 0.6,1.2,2,5,10", "NAIP test chips"),
    Run(
        "resolution",
        ("naip.csv",),
        "naip-enlarged",
        "--levels 0.6,1.2,2,5,10 --shown enlarged",
        "The same, enlarged back to their first size",
    ),
    Run("resolution", ("harvey.csv",), "harvey", "--levels 0.5,1,2,4", "Harvey"),
    Run("domain", ("quarters.csv",), "naip", f"--from {HOME} --to riverside", "From three cities to a fourth"),
    Run("domain", ("quarters.csv",), "naip-back", f"--from riverside --to {HOME}", "And back, city by city"),
    Run(
        "domain",
        ("quarters.csv", "harvey.csv"),
        "naip-to-harvey",
        "--from riverside --to harvey",
        "From one Californian city to floods in Texas, another sensor",
    ),
    Run("swap", ("naip.csv",), "naip", "", "NAIP test chips"),
    Run("swap", ("harvey.csv",), "harvey", "", "Harvey"),
    Run("same", ("naip.csv",), "naip", "", "NAIP test chips"),
    Run("same", ("harvey.csv",), "harvey", "", "Harvey"),
    Run("shift", ("naip.csv",), "naip", "", "NAIP test chips"),
    Run("shift", ("harvey.csv",), "harvey", "", "Harvey"),
)


def measure(run: Run, out: Path) -> None:
    """Run one command."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "rsccli", *run.arguments(out), "--overwrite", "-q"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{shlex.join(command)} left with {done.returncode}:\n{done.stderr}")
    print(f"{run.probe} {run.to}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)


def section(run: Run, out: Path) -> str:
    """Command, table and plot of one run."""
    shown = shlex.join(["rsccli", *run.arguments(Path("out/probes"))])
    table = (out / run.to / f"{run.probe}.md").read_text(encoding="utf-8").strip()
    shutil.copyfile(out / run.to / f"{run.probe}.svg", PICTURES / run.picture)
    return f"#### {run.title}\n\n```sh\n{shown}\n```\n\n{table}\n\n![{run.probe}: {run.title}](probes/{run.picture})\n"


def page(out: Path) -> str:
    """The whole page."""
    framing = FRAMING.read_text(encoding="utf-8").strip()
    facts = json.loads((out / RUNS[0].to / f"{RUNS[0].probe}.json").read_text(encoding="utf-8"))["facts"]
    if facts["revision"] not in framing:
        print(f"{FRAMING.name} tells of another revision than {facts['revision']}: read it again", file=sys.stderr)
    parts = [framing]
    for probe in dict.fromkeys(run.probe for run in RUNS):
        parts.append(f"### `{probe}`")
        parts += [section(run, out).strip() for run in RUNS if run.probe == probe]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Write pairs, measure, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "probes")
    parser.add_argument("--only-pairs", action="store_true", help="write the files of pairs, measure nothing")
    parser.add_argument("--only-page", action="store_true", help="write the page from results that are there")
    given = parser.parse_args()
    if not given.only_page:
        make_pairs(given.data, given.out)
        if given.only_pairs:
            return
        for run in RUNS:
            measure(run, given.out)
    PAGE.write_text(page(given.out), encoding="utf-8")
    print(f"wrote {PAGE}; now read {FRAMING} again: its sentences are written by hand", file=sys.stderr)


if __name__ == "__main__":
    main()
