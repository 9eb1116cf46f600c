"""What a run would do and take, without loading a model: for ``--dry-run``."""

from __future__ import annotations

from typing import Any

from rsccli.run.caption import PreparedJob

#: Resident set of an interpreter that has imported what a run needs (rsccli.run.caption, onnxruntime, cv2, rasterio,
#: pyproj): 112 MB on Linux x86-64. The rest of the formula is reckoned from array sizes; the runs of bench_memory.py
#: lie within a tenth of it where a superblock is full.
BASE_MB = 112


def estimate(prepared: PreparedJob) -> dict[str, Any]:
    """Grid, tiles and about how much memory: JSON values, for people and programs."""
    pair, facts, job = prepared.pair, prepared.facts, prepared.job
    plan, grid = pair.plan, pair.grid
    block_px = min(plan.block_rows, plan.rows) * min(plan.block_cols, plan.cols) * plan.tile_size**2
    # Per block: aligned tiles of both dates and mask, and the source windows that they were cut from.
    blocks_mb = block_px * 7 * (job.jobs + 1) / 2**20 + block_px * 14 * job.jobs / 2**20
    side = min(plan.tile_size, prepared.info.max_side_px or plan.tile_size)
    # Weights and what ONNX Runtime makes of them; inputs of both dates and a few activations of that size.
    model_mb = prepared.info.size_mb * 1.5 + prepared.batch_size * side**2 * 6 * 4 * 4 / 2**20
    shift = facts.registration
    return {
        "pre": f"{pair.pre.path} ({pair.pre.width}x{pair.pre.height} {pair.pre.dtype}, bands {_bands(pair.pre.bands)})",
        "post": (
            f"{pair.post.path} ({pair.post.width}x{pair.post.height} {pair.post.dtype}, "
            f"bands {_bands(pair.post.bands)})"
        ),
        "grid_crs": grid.crs,
        "grid_size_px": [grid.width, grid.height],
        "grid_bounds": [round(v, 6) for v in grid.map_bounds],
        "gsd_m": round(facts.gsd_m, 4),
        "shift_px": None if shift.shift_px is None else round(shift.shift_px, 2),
        "shift_trusted": shift.trusted,
        "shift_corrected": shift.applied,
        "radiometry": facts.radiometry,
        "tiles": len(plan),
        "tile_rows_cols": [plan.rows, plan.cols],
        "tile_size_px": plan.tile_size,
        "stride_px": plan.stride,
        "superblocks": plan.block_count,
        "batch_size": prepared.batch_size,
        "model": facts.model,
        "model_revision": facts.model_revision,
        "expected_memory_mb": round(BASE_MB + blocks_mb + model_mb + job.geometry.cache_mb),
        "warnings": list(facts.warnings),
        "spec_hash": facts.spec_hash,
    }


def _bands(bands: tuple[int, ...]) -> str:
    return ",".join(map(str, bands))
