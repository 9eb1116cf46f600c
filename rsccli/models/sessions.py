"""ONNX Runtime sessions: the device that was asked for is the device that runs, or the error says why not."""

from __future__ import annotations

import contextlib
import ctypes
import io
import logging
import re
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rsccli.errors import BundleError, DeviceError
from rsccli.models.cores import usable_cores

if TYPE_CHECKING:
    import onnxruntime

logger = logging.getLogger(__name__)

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
_SEVERITY_ERROR = 3
_SEVERITY_FATAL = 4
# The smallest graph there is, y = Identity(x) on one float: made with onnx.helper, kept as bytes because importing
# onnx costs half a second.
_PROBE_GRAPH = (
    b'\x08\x08:;\n\x10\n\x01x\x12\x01y"\x08Identity\x12\x05probeZ\x0f\n\x01x\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01'
    b"b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\x11"
)


@dataclass(frozen=True)
class Device:
    """Where sessions run: ``cpu``, or ``cuda`` with the index of the GPU."""

    kind: str
    index: int = 0

    def __str__(self) -> str:
        return self.kind if self.kind == "cpu" else f"{self.kind}:{self.index}"

    @property
    def provider(self) -> str:
        """The execution provider's name."""
        return CUDA if self.kind == "cuda" else CPU


def gpu_count() -> int:
    """GPUs that the CUDA driver offers to this process (CUDA_VISIBLE_DEVICES counts); 0 without a driver.

    Asks the driver itself: ONNX Runtime lists its CUDA provider wherever the wheel holds it, GPU or not.
    """
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        count = ctypes.c_int(0)
        if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
            return 0
    except (OSError, AttributeError):
        return 0
    return count.value


def resolve_device(asked: str) -> Device:
    """Turn ``auto``, ``cpu``, ``cuda`` or ``cuda:INDEX`` into a device, without loading a model.

    Raises:
        DeviceError: an unknown name, or CUDA where there is no GPU, no such GPU, or no CUDA provider.
    """
    import onnxruntime

    match = re.fullmatch(r"auto|cpu|cuda(?::(\d+))?", asked)
    if match is None:
        raise DeviceError(f"device {asked!r} is unknown: give auto, cpu, cuda or cuda:INDEX")
    if asked == "cpu":
        return Device("cpu")
    has_provider = CUDA in onnxruntime.get_available_providers()
    count = gpu_count()
    if asked == "auto":
        return Device("cuda") if has_provider and count else Device("cpu")
    index = int(match.group(1) or 0)
    if not has_provider:
        raise DeviceError(
            f"device {asked!r}: the installed onnxruntime has no CUDA provider: "
            "install onnxruntime-gpu, or give --device cpu"
        )
    if count == 0:
        raise DeviceError(f"device {asked!r}: the CUDA driver finds no GPU here: see nvidia-smi, or give --device cpu")
    if index >= count:
        raise DeviceError(f"device {asked!r}: there are {count} GPUs, cuda:0 to cuda:{count - 1}")
    return Device("cuda", index)


def open_sessions(
    paths: Sequence[Path], asked: str, threads: int | None = None
) -> tuple[Device, list[onnxruntime.InferenceSession]]:
    """Open the graphs of one model, all on one device.

    Args:
        paths: the graphs.
        asked: ``auto``, ``cpu``, ``cuda`` or ``cuda:INDEX``; only ``auto`` may fall back to the CPU.
        threads: threads of one operator, or None for the usable cores.

    Returns:
        The device that really runs them, and a session for each path.

    Raises:
        BundleError: a file is no graph that ONNX Runtime can load.
        DeviceError: the device that was asked for cannot be had.
    """
    device = resolve_device(asked)
    try:
        return device, [open_session(path, device, threads) for path in paths]
    except DeviceError as error:
        if asked != "auto":
            raise
        logger.warning("a GPU is there but not usable, going on with the CPU: %s", error)
    device = Device("cpu")
    return device, [open_session(path, device, threads) for path in paths]


def open_session(path: Path, device: Device, threads: int | None = None) -> onnxruntime.InferenceSession:
    """Open one graph on one device.

    Args:
        path: the graph; external data lies beside it.
        device: from `resolve_device`.
        threads: threads of one operator, or None for the usable cores.

    Raises:
        BundleError: the file is no graph that ONNX Runtime can load.
        DeviceError: CUDA was asked for, but the session would run on the CPU.
    """
    try:
        return _create(str(path), path.name, device, threads)
    except onnxruntime_errors() as error:
        if device.kind == "cuda" and _is_device_failure(str(error)):
            raise DeviceError(f"{path.name} cannot be set up on {device}: {error}: give --device cpu") from error
        raise BundleError(f"{path} is no graph that ONNX Runtime can load: copy or export the bundle again") from error


def check_signature(
    session: onnxruntime.InferenceSession, path: Path, inputs: Collection[str], outputs: Collection[str]
) -> None:
    """Check that a graph takes and gives what its runtime will feed and fetch.

    Args:
        session: of the graph. path: its file, for messages.
        inputs: all names that are fed. outputs: names that are fetched; the graph may have more.

    Raises:
        BundleError: another graph than the runtime expects.
    """
    has_inputs = {each.name for each in session.get_inputs()}
    has_outputs = {each.name for each in session.get_outputs()}
    wrong = [f"has no input {name!r}" for name in inputs if name not in has_inputs]
    wrong += [f"has an unknown input {name!r}" for name in sorted(has_inputs - set(inputs))]
    wrong += [f"has no output {name!r}" for name in outputs if name not in has_outputs]
    if wrong:
        raise BundleError(f"{path} {', '.join(wrong)}: export the bundle again with this version of rsccli")


def why_unusable(asked: str) -> str | None:
    """Run a graph of one node on a device: None where it really ran there, else why it did not."""
    try:
        device = resolve_device(asked)
        session = _create(_PROBE_GRAPH, "a graph of one node", device, 1)
        session.run(None, {"x": np.zeros(1, np.float32)})
    except DeviceError as error:
        return str(error)
    except onnxruntime_errors() as error:
        return f"{asked}: {error}"
    return None


def _create(graph: str | bytes, name: str, device: Device, threads: int | None) -> onnxruntime.InferenceSession:
    import onnxruntime

    providers: list[Any] = [CPU]
    if device.kind == "cuda":
        _preload_cuda_libraries()
        providers = [(CUDA, cuda_provider_options(device.index)), CPU]
    session = onnxruntime.InferenceSession(graph, session_options(device, threads), providers=providers)
    got = session.get_providers()[0]
    if got != device.provider:
        raise DeviceError(
            f"asked for {device}, but ONNX Runtime {onnxruntime.__version__} would run {name} on {got}: "
            "install CUDA 13 and cuDNN 9 (pip install 'onnxruntime-gpu[cuda,cudnn]'), or give --device cpu"
        )
    logger.debug("%s runs on %s", name, got)
    return session


def session_options(device: Device, threads: int | None = None) -> onnxruntime.SessionOptions:
    """Options of every session: deterministic, quiet, and with memory that stays flat."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or usable_cores()
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    # Idle worker threads that spin would take the cores from the threads that read the next tiles.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Planning one block for all activations costs 30 MB and gains nothing measurable on the small captioner; without
    # the arena every large activation is a fresh mapping, and the peak is 10 % higher (docs/models.md).
    options.enable_cpu_mem_arena = True
    options.enable_mem_pattern = False
    # Where CUDA cannot be had ONNX Runtime prints a page before it falls back: we say it in one line.
    options.log_severity_level = _SEVERITY_FATAL if device.kind == "cuda" else _SEVERITY_ERROR
    return options


def cuda_provider_options(index: int) -> dict[str, str]:
    """Options of the CUDA provider: same results each time, close to the CPU's, and no greedy arena."""
    return {
        "device_id": str(index),
        # EXHAUSTIVE times the algorithms at each start and may pick another one the next time.
        "cudnn_conv_algo_search": "HEURISTIC",
        "use_tf32": "0",
        "arena_extend_strategy": "kSameAsRequested",
    }


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


def _is_device_failure(message: str) -> bool:
    return any(word in message for word in ("CUDA", "cuda", "cuDNN", "CUDNN"))


def onnxruntime_errors() -> tuple[type[Exception], ...]:
    """Every class of error that ONNX Runtime raises; they share no base of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    found = (getattr(state, name) for name in dir(state))
    classes = (each for each in found if isinstance(each, type) and issubclass(each, Exception))
    return (RuntimeError, *classes)
