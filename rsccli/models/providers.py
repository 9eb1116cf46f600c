"""Options, order and libraries of ONNX Runtime's execution providers, and what they say of an option of a user."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import logging
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rsccli.errors import UsageProblem
from rsccli.models.devices import CPU, CUDA, TENSORRT, Device
from rsccli.models.manifest import MANIFEST_NAME

logger = logging.getLogger(__name__)

# What ONNX Runtime 1.31 says of a provider option: CUDA's name and value, TensorRT's name and value.
_OPTION_COMPLAINTS = (
    re.compile(r'Unknown provider option: "(?P<name>[^"]*)"'),
    re.compile(r'Failed to parse provider option "(?P<name>[^"]*)"'),
    re.compile(r"Invalid TensorRT EP option: (?P<name>\S+)"),
    re.compile(r"The value for the key '(?P<name>[^']*)'"),
)
# Options whose value is an address in memory: a number from outside would be a crash.
_ADDRESSES = frozenset(
    {
        "has_user_compute_stream",
        "user_compute_stream",
        "gpu_external_alloc",
        "gpu_external_free",
        "gpu_external_empty_cache",
        "trt_onnx_bytestream",
        "trt_external_data_bytestream",
    }
)


def parse_provider_options(entries: Iterable[str]) -> dict[str, str]:
    """Parse ``NAME=VALUE`` entries; a value may hold ``=`` itself.

    Raises:
        UsageProblem: an entry of another form, a name that is given twice, or one that cannot be set from outside.
    """
    options: dict[str, str] = {}
    for entry in entries:
        name, _, value = (part.strip() for part in entry.partition("="))
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or not value:
            raise UsageProblem(
                f"provider option {entry!r} is not of the form NAME=VALUE, as in gpu_mem_limit=8000000000"
            )
        if name in options:
            raise UsageProblem(f"provider option {name!r} is given twice")
        options[name] = value
    check_option_names(options)
    return options


def check_option_names(options: Iterable[str]) -> None:
    """Check that options may be set from outside.

    Raises:
        UsageProblem: one that another option of ours is for, or an address.
    """
    for name in options:
        if name == "device_id":
            raise UsageProblem("provider option 'device_id' is what --device says: give --device cuda:INDEX")
        if name in _ADDRESSES:
            raise UsageProblem(f"provider option {name!r} is an address inside the process and cannot be set here")


def refused_option(error: Exception, device: Device, options: Mapping[str, str]) -> UsageProblem | None:
    """An error of ONNX Runtime in our own class, if it is about an option that was given; None for any other."""
    message = str(error).strip()
    found = next(filter(None, (each.search(message) for each in _OPTION_COMPLAINTS)), None)
    if found and found["name"] in options:
        name = found["name"]
        what = "has no option of this name" if "nknown" in message or "Invalid TensorRT" in message else "refuses it"
        return UsageProblem(f"provider option {name}={options[name]}: {device.provider} {what}")
    # A number that TensorRT cannot read.
    if options and isinstance(error, (ValueError, IndexError)):
        given = ", ".join(f"{name}={value}" for name, value in options.items())
        return UsageProblem(f"{device.provider} refuses a value in {given}: {message}")
    return None


def is_device_failure(message: str) -> bool:
    """Whether an error of ONNX Runtime is about a GPU or its libraries, not about the graph."""
    words = ("cuda", "cudnn", "cublas", "tensorrt", "nvinfer", "provider option")
    return any(word in message.lower() for word in words)


def cuda_provider_options(index: int) -> dict[str, str]:
    """Options of the CUDA provider: same results each time, close to the CPU's, and no greedy arena."""
    return {
        "device_id": str(index),
        # EXHAUSTIVE times the algorithms at each start and may pick another one the next time.
        "cudnn_conv_algo_search": "HEURISTIC",
        "use_tf32": "0",
        "arena_extend_strategy": "kSameAsRequested",
    }


def tensorrt_provider_options(index: int, dtype: str = "fp32", cache: Path | None = None) -> dict[str, str]:
    """Options of the TensorRT provider: the bundle's own dtype and nothing less, engines kept in a folder.

    Args:
        index: of the GPU. dtype: of the weights; TensorRT may use fp16 or bf16 only where they are.
        cache: folder for engines, or None to build them at each start.
    """
    options = {"device_id": str(index)}
    if dtype in ("fp16", "bf16"):
        options[f"trt_{dtype}_enable"] = "True"
    if cache is not None:
        options |= {"trt_engine_cache_enable": "True", "trt_engine_cache_path": str(cache)}
    return options


def engine_folder(path: Path, root: str | None = None) -> Path | None:
    """Make the folder for the TensorRT engines of one graph; None, with a warning, where it cannot be made.

    ONNX Runtime names an engine by the graph's file and node names and by versions, not by its weights: in a common
    folder a retrained bundle would run with the weights of the old one. So the manifest, which holds the digests of
    all files, names the folder; without one the graph itself does.

    Args:
        path: the graph. root: where such folders are, or None for ``rsccli/tensorrt`` in the user's cache folder.
    """
    manifest = path.with_name(MANIFEST_NAME)
    try:
        with (manifest if manifest.is_file() else path).open("rb") as file:
            name = hashlib.file_digest(file, "sha256").hexdigest()[:16]
        folder = (_cache_root() if root is None else Path(root)) / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:
        logger.warning("TensorRT engines are built again at each start, there is no folder for them: %s", error)
        return None
    return folder


def _cache_root() -> Path:
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The specification has relative paths ignored.
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "rsccli" / "tensorrt"


def providers_of(
    device: Device, options: Mapping[str, str] | None = None, dtype: str = "fp32", cache: Path | None = None
) -> list[Any]:
    """Providers of a session in order; what one has no kernel for goes to the next."""
    if device.kind == "cpu":
        return [CPU]
    cuda = cuda_provider_options(device.index)
    if device.kind == "cuda":
        return [(CUDA, cuda | dict(options or {})), CPU]
    own = tensorrt_provider_options(device.index, dtype, cache) | dict(options or {})
    return [(TENSORRT, own), (CUDA, cuda), CPU]


def preload_libraries(device: Device) -> None:
    """Find the libraries of a GPU's provider in wheels, where the system has none on its library path."""
    if device.kind != "cpu":
        _preload_cuda_libraries()
    if device.kind == "tensorrt":
        _preload_tensorrt_libraries()


def _preload_cuda_libraries() -> None:
    """Find CUDA and cuDNN in NVIDIA's or torch's wheels, where the system has none on its library path."""
    import onnxruntime

    if not hasattr(onnxruntime, "preload_dlls"):
        return
    # It prints what it cannot load to stdout, where our features go.
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        onnxruntime.preload_dlls()
    for line in told.getvalue().splitlines():
        logger.debug("onnxruntime: %s", line)


def _preload_tensorrt_libraries() -> None:
    """Find TensorRT in NVIDIA's wheel, which loads its libraries when it is imported."""
    try:
        importlib.import_module("tensorrt_libs")
    except (ImportError, OSError) as error:
        logger.debug("no TensorRT wheel: %s", error)


def what_is_missing(device: Device) -> str:
    """The end of a sentence on a GPU's provider that does not load: what it cannot load, and what to install."""
    if device.kind == "tensorrt":
        # TensorRT 11 is on the package index, but ONNX Runtime 1.31 links libnvinfer.so.10.
        return (
            "cannot load the TensorRT libraries, or what they need: install CUDA 13, cuDNN 9 and TensorRT 10 "
            "(pip install 'onnxruntime-gpu[cuda,cudnn]' 'tensorrt-cu13<11'), or give --device cuda or --device cpu"
        )
    return (
        "cannot load the CUDA libraries: install CUDA 13 and cuDNN 9 (pip install 'onnxruntime-gpu[cuda,cudnn]'), "
        "or give --device cpu"
    )
