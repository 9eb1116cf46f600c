"""Write the table of families in docs/models.md again, from the families themselves and from what was compared.

Usage: python docs/make_families.py [--check]
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from rsccli.models.large.compared import ComparedRow, compared_rows, versions
from rsccli.models.large.families import ListedFamily, list_families

PAGE = Path(__file__).resolve().parent / "models.md"
BEGIN, END = "<!-- families: make families -->", "<!-- end of families -->"


def main() -> None:
    """Write, or check, the part between the marks."""
    text = PAGE.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    _, tail = rest.split(END)
    wanted = f"{head}{BEGIN}\n{_tables()}\n{END}{tail}"
    if "--check" in sys.argv:
        if text != wanted:
            raise SystemExit("models.md does not say what the families say: run `make families`")
        return
    PAGE.write_text(wanted, encoding="utf-8")


def _tables() -> str:
    families = list_families()
    lines = ["| family | two dates | published checkpoints, licence |", "|---|---|---|"]
    lines += [f"| {each.title} (`{each.name}`) | {each.pairing} | {_published(each)} |" for each in families]
    lines += [
        "",
        "What was compared with `generate()` of transformers, on random weights in the published layout (processor, "
        "special tokens, chat format); *small* is tiny in every width, *real* has the published widths, vocabulary and "
        "patch grid with two layers. Each row: a single tile, a batch with different valid areas, a batch of mixed "
        "shapes, fp32; a row is there only if every token was the same.",
        "",
        "| layout | width | greedy captions | with 4 beams | tokens | logits differ by | date |",
        "|---|---|---|---|---|---|---|",
        *(_compared(row) for row in compared_rows()),
        "",
        f"Libraries: {', '.join(f'{name} {number}' for name, number in versions().items())}. "
        "Command: `make parity` (small), `make parity-real` (real width; 24 GB of memory).",
    ]
    return "\n".join(lines)


def _published(family: ListedFamily) -> str:
    by_licence: dict[tuple[str, str], list[str]] = {}
    for each in family.published:
        by_licence.setdefault((each.licence, each.note), []).append(f"`{each.id}`")
    return "; ".join(_line(names, licence, note) for (licence, note), names in by_licence.items())


def _line(names: Iterable[str], licence: str, note: str) -> str:
    return f"{', '.join(names)}: {licence}" + (f" ({note.rstrip('.')})" if note else "")


def _compared(row: ComparedRow) -> str:
    beams = f"{row.beams[0]} of {row.beams[1]}" if row.beams[1] else "not compared"
    return (
        f"| {row.layout} | {row.width} | {row.greedy[0]} of {row.greedy[1]} | {beams} | {row.tokens} | "
        f"{row.logits:.0e} | {row.date} |"
    )


if __name__ == "__main__":
    main()
