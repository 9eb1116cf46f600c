"""Demonstrates ``rsccli train finetune`` on Harvey pairs, split by place. Nothing made from them is released.

The data set has changed pairs only, so two more kinds are made: pairs with their dates swapped (water loss), and an
earlier date against itself under other light (unchanged). The copies are trivially easy: change vectors alone tell
them, so the AUC says nothing. What can be gained is the keyword: which of two dates is flooded. The labels are rough:
by eye a good half of the data set's pairs show flood water, the others other damage or nothing clear.

    python tests/bench/finetune_harvey.py --from CHECKPOINT -o out/finetune-harvey
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np

from rsccli.datasets import nuisance
from rsccli.training.places import Box, places_of_boxes

ROOT = Path(__file__).resolve().parents[2]
HARVEY = ROOT.parent / "shared" / "data" / "harvey"
PLACE_KM = 5.0
#: The data set does not say its resolution; houses of 20 to 30 px tell about this.
GSD_M = 0.6
HALF_DEGREES = 0.0004


def make_records(harvey: Path, folder: Path, number: int, seed: int) -> Path:
    """Write images and ``pairs.jsonl``: a third flooded, a third the other way round, a third unchanged copies.

    All kinds come from every place alike, so that the place does not give the answer away.
    """
    with (harvey / "pairs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    rng = np.random.default_rng(seed)
    rows = [rows[i] for i in rng.choice(len(rows), min(number, len(rows)), replace=False)]
    boxes: list[Box] = []
    for row in rows:
        lon, lat = float(row["lon"]), float(row["lat"])
        boxes.append((lon - HALF_DEGREES, lat - HALF_DEGREES, lon + HALF_DEGREES, lat + HALF_DEGREES))
    places = places_of_boxes(boxes, PLACE_KM)
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    with zipfile.ZipFile(harvey / "harvey.zip") as archive:
        for index, (row, place) in enumerate(zip(rows, places, strict=True)):
            pre, post = folder / f"{row['id']}_pre.png", folder / f"{row['id']}_post.png"
            images = [
                np.asarray(cv2.imdecode(np.frombuffer(archive.read(row[date]), np.uint8), cv2.IMREAD_COLOR))
                for date in ("pre", "post")
            ]
            label: dict[str, object] = {"status": "changed", "keywords": [("flood", "water loss", "")[index % 3]]}
            if index % 3 == 1:
                images.reverse()
            if index % 3 == 2:
                light = np.ascontiguousarray(images[0][:, :, ::-1]).astype(np.float32)
                copy = nuisance.one_date(light, rng, strength=0.9, most_px=2.0, gsd_m=GSD_M)
                images[1] = np.ascontiguousarray(copy.counts[:, :, ::-1])
                label = {"status": "unchanged"}
            cv2.imwrite(str(pre), images[0])
            cv2.imwrite(str(post), images[1])
            lines.append(json.dumps({"pre": pre.name, "post": post.name, **label, "place": place}))
    path = folder / "pairs.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def main() -> int:
    """Make the records and run the command on them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="start", type=Path, help="checkpoint or bundle; default: the bundled captioner")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "out" / "finetune-harvey")
    parser.add_argument("--harvey", type=Path, default=HARVEY)
    parser.add_argument("--pairs", type=int, default=360)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    if not (asked.harvey / "harvey.zip").is_file():
        print(f"the Harvey pairs are not at {asked.harvey}", file=sys.stderr)
        return 3
    pairs = make_records(asked.harvey, asked.output / "pairs", asked.pairs, asked.seed)
    command = [sys.executable, "-m", "rsccli", "train", "finetune", str(pairs), "-o", str(asked.output / "run")]
    command += ["--epochs", str(asked.epochs), "--seed", str(asked.seed), "--gsd", str(GSD_M), "--no-bundle"]
    command += ["--from", str(asked.start)] if asked.start else []
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
