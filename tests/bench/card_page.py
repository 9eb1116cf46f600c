"""The page of the model card: the framing text of ``card_framing.md``, the manifest's facts, the measured sections."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from string import Template

from card_bench import Section

from rsccli.models.bundle import Bundle

WIDTH = 120
FRAMING = Path(__file__).with_name("card_framing.md")


def parameters(bundle: Bundle) -> int:
    """Numbers in the graphs' weights."""
    import onnx

    total = 0
    for entry in bundle.manifest.files:
        if not entry.name.endswith(".onnx"):
            continue
        for weight in onnx.load(str(bundle.path(entry.name)), load_external_data=False).graph.initializer:
            size = 1
            for length in weight.dims:
                size *= length
            total += size
    return total


def missed(sections: Sequence[Section]) -> str:
    """Which aims are not reached, by how much."""
    aims = [aim for section in sections for aim in section.aims]
    lines = [f"- {aim.line()}" for aim in aims if not aim.met]
    count = f"{len(aims) - len(lines)} of {len(aims)} aims are met."
    if not lines:
        return f"## Aims that it misses\n\n{count} None is missed."
    return f"## Aims that it misses\n\n{count} Missed, computed from the tables below:\n\n" + "\n".join(lines)


def page(bundle: Bundle, sections: Sequence[Section]) -> str:
    """The whole page."""
    manifest = bundle.manifest
    sampling = manifest.input.gsd_m
    return Template(FRAMING.read_text(encoding="utf-8")).substitute(
        name=manifest.name,
        weights=f"{parameters(bundle) / 1e6:.1f}",
        dtype=manifest.dtype,
        megabytes=f"{manifest.size_bytes / 1e6:.0f}",
        licence=manifest.licence,
        sampling=f"{sampling[0]:g} to {sampling[1]:g} m per pixel" if sampling else "any sampling",
        revision=bundle.revision,
        changed_from=f"{manifest.thresholds.changed:.2f}",
        unchanged_to=f"{manifest.thresholds.unchanged:.2f}",
        keywords=", ".join(manifest.keywords),
        missed=missed(sections),
        sections="\n\n".join(f"## {section.title}\n\n{section.body}" for section in sections),
        source=manifest.source.id,
        checkpoint=manifest.source.revision[:16],
        training_data=manifest.training_data,
        limits="\n".join(f"- {limit}" for limit in manifest.limits),
    )


def flowed(text: str) -> str:
    """Paragraphs and lists in lines of equal length; tables, headings, pictures and code as they are."""
    blocks, code = [], False
    for block in text.strip().split("\n\n"):
        fences = block.count("```")
        if not (code or fences or block.startswith(("|", "#", "!"))):
            items = re.split(r"\n(?=- )", block)
            block = "\n".join(
                textwrap.fill(
                    " ".join(item.split()),
                    WIDTH,
                    subsequent_indent="  " if item.startswith("- ") else "",
                    break_long_words=False,
                    break_on_hyphens=False,
                )
                for item in items
            )
        code ^= bool(fences % 2)
        blocks.append(block)
    return "\n\n".join(blocks) + "\n"


def write(path: Path, text: str) -> None:
    """Write a page."""
    path.write_text(flowed(text), encoding="utf-8")
