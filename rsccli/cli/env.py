"""``rsccli env``: what a bug report needs."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import typer

from rsccli import __version__
from rsccli.cli.options import JsonOutput

# Read from the installed metadata: importing torch, transformers and optimum would take five seconds.
PACKAGES = (
    "numpy",
    "rasterio",
    "pyproj",
    "opencv-python-headless",
    "onnxruntime-gpu",
    "onnxruntime",
    "tokenizers",
    "torch",
    "transformers",
    "optimum",
    "optimum-onnx",
    "dask",
)
# What changes a run from outside of its command line. Values of others may be secret; these are not.
VARIABLES = (
    "CUDA_VISIBLE_DEVICES",
    "GDAL_CACHEMAX",
    "GDAL_DATA",
    "OMP_NUM_THREADS",
    "PROJ_DATA",
    "PROJ_NETWORK",
    "SLURM_CPUS_PER_TASK",
    "SLURM_JOB_ID",
)


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("env")(env)


def env(json_output: JsonOutput = False) -> None:
    """Show versions, processor, memory and which devices can really run a model.

    This is what a bug report needs. The only paths in it are those of Python and of variables named RSCCLI_.

    Examples:

    \b
      rsccli env
      rsccli env --json
    """
    document = environment()
    typer.echo(json.dumps(document, indent=2) if json_output else _text(document))


def environment() -> dict[str, dict[str, object]]:
    """Gather everything, by section."""
    return {
        "rsccli": {"version": __version__},
        "system": _system(),
        "rasters": _rasters(),
        "devices": _devices(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "variables": {name: os.environ[name] for name in _variables()},
    }


def _variables() -> list[str]:
    ours = [name for name in os.environ if name.startswith("RSCCLI_")]
    return sorted([*(name for name in VARIABLES if name in os.environ), *ours])


def _system() -> dict[str, object]:
    from rsccli.models.cores import usable_cores

    return {
        "python": f"{platform.python_version()} ({platform.python_implementation()}, {sys.executable})",
        "platform": platform.platform(),
        "cores": usable_cores(),
        "cores of the machine": os.cpu_count() or 1,
        **_memory(Path("/proc/meminfo"), Path("/sys/fs/cgroup/memory.max")),
    }


def _memory(meminfo: Path, cgroup_limit: Path) -> dict[str, object]:
    """Megabytes of memory, all, available, and what a control group allows; empty where the system does not say."""
    found: dict[str, object] = {}
    try:
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
        for label, key in (("memory MB", "MemTotal"), ("memory available MB", "MemAvailable")):
            found[label] = int(lines[key].split()[0]) // 1024
    except (OSError, KeyError, ValueError):
        pass
    try:
        limit = cgroup_limit.read_text().strip()
        if limit.isdigit():
            found["memory allowed MB"] = int(limit) // 2**20
    except OSError:
        pass
    return found


def _rasters() -> dict[str, object]:
    import pyproj
    import rasterio

    from rsccli.geo.raster import gdal_options

    with rasterio.Env() as gdal:
        drivers = gdal.drivers()
    wanted = ("GTiff", "COG", "VRT", "JP2OpenJPEG", "PNG", "JPEG", "HTTP")
    return {
        "GDAL": rasterio.__gdal_version__,
        "PROJ of GDAL": rasterio.__proj_version__,
        "PROJ of pyproj": pyproj.proj_version_str,
        "GDAL cache MB": gdal_options()["GDAL_CACHEMAX"] // 2**20,
        "GDAL drivers": f"{len(drivers)}, of these {', '.join(name for name in wanted if name in drivers)}",
    }


def _devices() -> dict[str, object]:
    import onnxruntime

    from rsccli.models.devices import gpu_count, resolve_device
    from rsccli.models.sessions import why_unusable

    found: dict[str, object] = {
        "onnxruntime": onnxruntime.__version__,
        "providers in this build": ", ".join(onnxruntime.get_available_providers()),
        "GPUs of the CUDA driver": gpu_count(),
    }
    for device in ("cpu", "cuda"):
        found[device] = why_unusable(device) or "usable"
    found["auto takes"] = str(resolve_device("auto")) if found["cuda"] == "usable" else "cpu"
    return found


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _text(document: Mapping[str, Mapping[str, object]]) -> str:
    lines = []
    for section, items in document.items():
        lines.append(section)
        lines += [f"  {label:<24} {value}" for label, value in items.items()] or ["  none are set"]
    return "\n".join(lines)
