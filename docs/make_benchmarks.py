"""Put the tables that `make bench` left in out/bench/ into docs/benchmarks.md; sections not measured again stay.

Usage: python docs/make_benchmarks.py [FOLDER]
"""

from __future__ import annotations

import re
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


PAGE = HERE / "benchmarks.md"


def sections(page: str) -> dict[str, str]:
    """What a page holds: sections by the benchmark that their last line names."""
    found = {}
    for part in re.split(r"^(?=## )", page, flags=re.MULTILINE)[1:]:
        named = re.search(r"^Command: `make bench-(\w+)\b.*\s*\Z", part, re.MULTILINE)
        if named is None:
            raise SystemExit(f"{PAGE}: a section has no last line that names its command: {part.splitlines()[0]}")
        found[named[1]] = part.strip() + "\n"
    return found


def main() -> None:
    """Write the page from the tables that are there and the sections that it has."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "out" / "bench"
    found = sections(PAGE.read_text(encoding="utf-8")) if PAGE.exists() else {}
    measured = [name for name in ORDER if (folder / f"{name}.md").is_file()]
    if not measured:
        raise SystemExit(f"{folder} holds no tables: run `make bench` first")
    for name in measured:
        table = (folder / f"{name}.md").read_text(encoding="utf-8").strip()
        found[name] = f"{table}\n\nCommand: `make bench-{name}`.\n"
    PAGE.write_text("\n".join([HEAD, *(found[name] for name in ORDER if name in found)]), encoding="utf-8")
    print(f"{PAGE.name}: measured: {', '.join(measured)}")


if __name__ == "__main__":
    main()
