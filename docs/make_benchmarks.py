"""Put the tables that `make bench` left in out/bench/ together as docs/benchmarks.md.

Usage: python docs/make_benchmarks.py [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ORDER = (
    "raster",
    "caption",
    "detect",
    "captioner",
    "models",
    "prefill",
    "evaluate",
    "search",
    "memory",
    "start",
    "output",
    "scale",
)
HEAD = """# Benchmarks

Each section is the output of one command on one machine, with its date: compare the ratios, not the absolutes.
`make bench` repeats them all (half an hour, 3 GB of generated files in the temporary folder), `make bench-page` brings
them here. Everything that a table compares was measured in the same run. What is synthetic says so.
"""


def main() -> None:
    """Write the page from the sections that are there."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "out" / "bench"
    parts = [HEAD]
    for name in ORDER:
        table = folder / f"{name}.md"
        if table.is_file():
            parts.append(f"{table.read_text(encoding='utf-8').strip()}\n\nCommand: `make bench-{name}`.\n")
    if len(parts) == 1:
        raise SystemExit(f"{folder} holds no tables: run `make bench` first")
    (HERE / "benchmarks.md").write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
