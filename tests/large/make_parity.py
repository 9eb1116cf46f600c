"""Export a checkpoint of every layout, compare it with PyTorch, and write down what was compared.

``python tests/large/make_parity.py`` does all small ones; ``--real`` those of published width with two layers (an hour,
20 GB of disk), ``--only NAME`` one family. Rows of other runs are kept.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from cases import CASES, Case
from family_checks import check_parity, check_wide, export_small

from rsccli.models.large.compared import TABLE

LIBRARIES = ("torch", "transformers", "onnx", "onnxruntime-gpu", "optimum", "optimum-onnx")


def compare(case: Case, real: bool) -> dict[str, object]:
    """One row of the table; raises where anything differs."""
    with tempfile.TemporaryDirectory() as folder:
        make = partial(case.make, real=True) if real else case.make
        exported = export_small(make, Path(folder), **case.options)
        if real:
            greedy, beams = check_wide(exported, case.wide_beam_tiles)
        else:
            greedy, beams = check_parity(exported), check_parity(exported, 4)
        parity = json.loads((exported.bundle / "rsccli.json").read_text())["parity"]
    return {
        "family": case.family,
        "layout": case.layout,
        "width": "real" if real else "small",
        "greedy": [greedy.captions, greedy.captions],
        "beams": [beams.captions, beams.captions],
        "tokens": greedy.tokens + beams.tokens,
        "logits": parity["logits_relative"],
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


def main() -> None:
    """Parse, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", action="store_true")
    parser.add_argument("--only", action="append", default=[])
    given = parser.parse_args()
    known = json.loads(TABLE.read_text(encoding="utf-8"))["rows"] if TABLE.exists() else []
    rows = {(row["layout"], row["width"]): row for row in known}
    failed = []
    for case in CASES:
        if given.only and case.family not in given.only:
            continue
        key = (case.layout, "real" if given.real else "small")
        try:
            rows[key] = compare(case, given.real)
        except Exception as error:  # every kind of failure belongs into the list of what failed
            rows.pop(key, None)
            failed.append(f"{case.layout}: {type(error).__name__}: {error}")
            print(f"FAILED {failed[-1]}", file=sys.stderr, flush=True)
        else:
            print(f"{case.layout}: {rows[key]}", file=sys.stderr, flush=True)
        gc.collect()
        order = {case.layout: index for index, case in enumerate(CASES)}
        ordered = sorted(rows.values(), key=lambda row: (order.get(row["layout"], 99), row["width"] == "real"))
        document = {"versions": {name: version(name) for name in LIBRARIES}, "rows": ordered}
        TABLE.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    if failed:
        sys.exit("\n".join(failed))


if __name__ == "__main__":
    main()
