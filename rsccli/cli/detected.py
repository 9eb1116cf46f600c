"""What ``rsccli detect`` says of itself: its plan, and what it found."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rsccli.run.detect.found import Found
    from rsccli.run.detect.job import PreparedDetect


def print_plan(prepared: PreparedDetect, as_json: bool, to: TextIO | None = None) -> None:
    """What a run would do, on stdout unless told otherwise."""
    plan = prepared.plan_facts()
    stream = to or sys.stdout
    if as_json:
        import orjson

        print(orjson.dumps(plan, option=orjson.OPT_INDENT_2).decode(), file=stream)
        return
    for key, value in plan.items():
        text = ", ".join(map(str, value)) if isinstance(value, list) else value
        print(f"{key.replace('_', ' '):24} {text}", file=stream)


def print_found(prepared: PreparedDetect, found: Found) -> None:
    """What a run found, in a few lines on stderr."""
    job, looked = prepared.job, found.looked
    kinds = ", ".join(
        f"{kind.polygons} {name} ({_area(kind.area_m2)})"
        for name, kind in found.classes.items()
        if kind.polygons and len(found.classes) > 1
    )
    where = "stdout" if job.output is None else job.output
    lines = [f"{where}: {found.polygons} changes, {_area(found.area_m2)}{': ' if kinds else ''}{kinds}"]
    if found.dropped.regions:
        lines.append(
            f"{found.dropped.regions} smaller than {prepared.min_area_m2:.4g} m2 left out "
            f"({_area(found.dropped.area_m2)} together; --min-area)"
        )
    if looked.not_judged:
        reasons = "; ".join(f"{count} {reason}" for reason, count in looked.reasons.most_common(3))
        share = found.not_judged_px / max(1, found.judged_px + found.not_judged_px)
        lines.append(
            f"{looked.not_judged} of {looked.tiles} tiles not judged ({share:.0%} of the ground; --judge-anyway takes "
            f"their numbers): {reasons}"
        )
    lines += [f"{kind}: {path}" for kind, path in (("mask", job.mask), ("score", job.score)) if path is not None]
    for line in lines:
        print(f"rsccli: {line}", file=sys.stderr)


def _area(area_m2: float) -> str:
    return f"{area_m2 / 10_000:.2f} ha" if area_m2 >= 1000 else f"{area_m2:.0f} m2"


def print_json(prepared: PreparedDetect, found: Found) -> None:
    """The same for programs, on stdout."""
    import orjson

    job, looked = prepared.job, found.looked
    told: dict[str, Any] = {
        "output": str(job.output),
        "mask": None if job.mask is None else str(job.mask),
        "score": None if job.score is None else str(job.score),
        "polygons": found.polygons,
        "area_m2": round(found.area_m2, 2),
        "classes": {
            name: {"polygons": kind.polygons, "area_m2": round(kind.area_m2, 2)} for name, kind in found.classes.items()
        },
        "left_out": {
            "min_area_m2": round(prepared.min_area_m2, 4),
            "regions": found.dropped.regions,
            "area_m2": round(found.dropped.area_m2, 2),
        },
        "threshold": prepared.threshold,
        "judged_px": found.judged_px,
        "not_judged_px": found.not_judged_px,
        "tiles": {
            "judged": looked.judged,
            "not_judged": looked.not_judged,
            "nodata": looked.nodata,
            "failed": looked.failed,
        },
        "not_judged_reasons": dict(looked.reasons),
        "model": prepared.base.facts.model,
        "model_revision": prepared.base.facts.model_revision,
        "spec_hash": prepared.base.facts.spec_hash,
    }
    print(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode())
