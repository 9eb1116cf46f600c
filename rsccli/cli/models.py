"""``rsccli models``: which captioners can be used, and what one of them is."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from rsccli.cli.options import JsonOutput

if TYPE_CHECKING:
    from rsccli.models.bundle import Bundle
    from rsccli.models.captioner import CaptionerInfo
    from rsccli.models.large.families import ListedFamily
    from rsccli.models.manifest import Head
    from rsccli.models.registry import ListedCaptioner


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("models")(models)


def models(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME_OR_FOLDER", help="A captioner's name, or the folder of a bundle."),
    ] = None,
    json_output: JsonOutput = False,
) -> None:
    """List the captioners that can be used, or show and verify one.

    Without an argument: a table of every captioner that is installed, and of the families of large models that
    ``rsccli export-onnx`` makes captioners from. With one: what it is, what it was trained
    on, what it cannot do; every file of its bundle is compared with its sha256, and a damaged bundle is an error
    (exit code 4).

    Examples:

    \b
      rsccli models
      rsccli models rsccli-small
      rsccli models path/to/bundle --json
    """
    if name is None:
        from rsccli.models.large.families import list_families
        from rsccli.models.registry import list_captioners

        listed, families = list_captioners(), list_families()
        if json_output:
            both = {"captioners": [asdict(each) for each in listed], "families": [asdict(each) for each in families]}
            typer.echo(_dump(both))
        else:
            typer.echo(f"{_table(listed)}\n\n{_family_table(families)}")
        return
    from rsccli.models.captioner import BundleBacked, CaptionerOptions
    from rsccli.models.registry import find_factory

    factory = find_factory(name)
    info = factory.describe(CaptionerOptions())
    bundle = factory.bundle("full") if isinstance(factory, BundleBacked) else None
    if json_output:
        typer.echo(_dump({"model": name, "info": asdict(info), "bundle": _bundle_document(bundle)}))
    else:
        typer.echo(_details(info, bundle))


def _dump(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False)


def _table(listed: Sequence[ListedCaptioner]) -> str:
    rows = [("NAME", "REVISION", "SIZE", "METRES/PIXEL", "LICENCE", "PACKAGE")]
    for each in listed:
        info = each.info
        if info is None:
            rows.append((each.name, "unusable", "", "", "", each.package or ""))
        else:
            size = f"{info.size_mb:.1f} MB"
            rows.append((each.name, info.revision, size, _gsd(info), info.licence, each.package or ""))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines += [f"{each.name}: {each.problem}" for each in listed if each.problem]
    return "\n".join(lines)


def _family_table(families: Sequence[ListedFamily]) -> str:
    """Families, each with the checkpoints that belong to it and what was compared with PyTorch."""
    lines = ["FAMILIES OF LARGE MODELS, exported by rsccli export-onnx CHECKPOINT -o BUNDLE"]
    for each in families:
        if each.problem:
            lines.append(f"{each.name}: {each.problem}")
            continue
        lines.append("")
        lines.append(f"{each.name}  {each.title}" + (f"  [{each.package}]" if each.package != "rsccli" else ""))
        by_licence: dict[str, list[str]] = {}
        for one in each.published:
            by_licence.setdefault(one.licence, []).append(one.id)
        known = "; ".join(f"{', '.join(ids)} ({licence})" for licence, ids in by_licence.items())
        lines.append(_line("  checkpoints", known))
        lines.append(_line("  two dates", each.pairing))
        lines.append(_line("  as generate()", "; ".join(each.compared) or "not compared by this project"))
    return "\n".join(lines)


def _gsd(info: CaptionerInfo) -> str:
    return "any" if info.gsd_m is None else f"{info.gsd_m[0]:g} to {info.gsd_m[1]:g}"


def _details(info: CaptionerInfo, bundle: Bundle[Head] | None) -> str:
    facts = {
        "name": info.name,
        "revision": info.revision,
        "family": info.family,
        "licence": info.licence,
        "source": " ".join(part for part in (info.source, info.source_revision) if part),
        "weights": f"{info.size_mb:.1f} MB, {info.dtype}",
        "metres/pixel": _gsd(info),
        "longest side": f"{info.max_side_px} px, longer tiles are resampled" if info.max_side_px else "any",
        "batch size": str(info.batch_size),
        "keywords": ", ".join(info.keywords) or "none",
        "trained on": info.training_data,
    }
    lines = [_line(label, text) for label, text in facts.items() if text]
    lines += [_line("limit", limit) for limit in info.limits]
    if bundle is not None:
        lines.append(_line("folder", str(bundle.folder)))
        for entry in bundle.manifest.files:
            lines.append(_line("file", f"{entry.name}, {entry.bytes} bytes, sha256 as in the manifest"))
    return "\n".join(lines)


def _line(label: str, text: str) -> str:
    return textwrap.fill(text, 100, initial_indent=f"{label:<16}", subsequent_indent=" " * 16, break_long_words=False)


def _bundle_document(bundle: Bundle[Head] | None) -> Mapping[str, object] | None:
    if bundle is None:
        return None
    return {
        "folder": str(bundle.folder),
        "digest": bundle.digest,
        "verified": True,
        "manifest": asdict(bundle.manifest),
    }
