"""ONNX Runtime sessions: the device that was asked for is the device that runs, or the error says why not."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib
import io
import logging
import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rsccli.errors import BundleError, DeviceError, ModelError, OutOfMemoryError, RsccliError, UsageProblem
from rsccli.models.cores import usable_cores
from rsccli.models.manifest import MANIFEST_NAME
from rsccli.models.memory import is_out_of_memory

if TYPE_CHECKING:
    import onnxruntime

logger = logging.getLogger(__name__)

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
_PROVIDERS = {"cpu": CPU, "cuda": CUDA, "tensorrt": TENSORRT}
_TITLES = {"cuda": "CUDA", "tensorrt": "TensorRT"}
_SEVERITY_WARNING = 2
_SEVERITY_ERROR = 3
_SEVERITY_FATAL = 4
# The smallest graph there is, y = Identity(x) on one float: made with onnx.helper, kept as bytes because importing
# onnx costs half a second.
_PROBE_GRAPH = (
    b'\x08\x08:;\n\x10\n\x01x\x12\x01y"\x08Identity\x12\x05probeZ\x0f\n\x01x\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01'
    b"b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\x11"
)


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


@dataclass(frozen=True)
class Device:
    """Where sessions run: ``cpu``, or ``cuda`` or ``tensorrt`` with the index of the GPU."""

    kind: str
    index: int = 0

    def __str__(self) -> str:
        return self.kind if self.kind == "cpu" else f"{self.kind}:{self.index}"

    @property
    def provider(self) -> str:
        """The execution provider's name."""
        return _PROVIDERS[self.kind]

    @property
    def memory(self) -> str:
        """Where its tensors are, as bindings and OrtValues name it: ``cpu`` or ``cuda``."""
        return "cpu" if self.kind == "cpu" else "cuda"


def gpu_count() -> int:
    """GPUs that the CUDA driver offers to this process (CUDA_VISIBLE_DEVICES counts); 0 without a driver.

    Asks the driver itself: ONNX Runtime lists its CUDA provider wherever the wheel holds it, GPU or not. A process
    that has asked cannot hand the GPU to a fork of itself: start workers by spawn.
    """
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        count = ctypes.c_int(0)
        if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
            return 0
    except (OSError, AttributeError):
        return 0
    return count.value


def cuda_devices() -> tuple[Device, ...]:
    """The GPUs that this process may use, numbered as the driver numbers them under CUDA_VISIBLE_DEVICES."""
    return tuple(Device("cuda", index) for index in range(gpu_count()))


def resolve_device(asked: str) -> Device:
    """Turn ``auto``, ``cpu``, ``cuda``, ``tensorrt``, or one of the two with ``:INDEX``, into a device.

    Loads no model. ``auto`` is CUDA where there is a GPU, never TensorRT, which builds engines for minutes.

    Raises:
        DeviceError: an unknown name, or a GPU where there is none, no such one, or no provider for it.
    """
    import onnxruntime

    match = re.fullmatch(r"auto|cpu|(cuda|tensorrt)(?::([0-9]+))?", asked)
    if match is None:
        raise DeviceError(
            f"device {asked!r} is unknown: give auto, cpu, cuda or cuda:INDEX, or tensorrt or tensorrt:INDEX"
        )
    if asked == "cpu":
        return Device("cpu")
    if asked == "auto":
        return Device("cuda") if CUDA in onnxruntime.get_available_providers() and gpu_count() else Device("cpu")
    kind, index = match.group(1), int(match.group(2) or 0)
    _check_indices(asked, kind, [index], _gpus_for(asked, kind))
    return Device(kind, index)


def worker_devices(asked: str) -> tuple[str, ...]:
    """One device for each worker, in the form that `open_sessions` takes.

    Args:
        asked: what `resolve_device` takes, for one worker; or several GPUs, ``cuda:0,2`` or ``cuda:all``, and the
            same with ``tensorrt``. ``auto`` stays ``auto``: whether the GPU is usable shows when the worker opens it.

    Raises:
        DeviceError: an unknown form, a GPU that is named twice, or that is not there.
    """
    if asked == "auto":
        return (asked,)
    match = re.fullmatch(r"cpu|(cuda|tensorrt)(?::(all|[0-9]+(?:,[0-9]+)*))?", asked)
    if match is None:
        raise DeviceError(
            f"device {asked!r} is unknown: give auto, cpu, cuda, cuda:INDEX, cuda:INDEX,INDEX or cuda:all, "
            "or one of these with tensorrt"
        )
    kind, which = match.groups()
    if kind is None or which is None or which.isdigit():
        return (str(resolve_device(asked)),)
    count = _gpus_for(asked, kind)
    indices = list(range(count)) if which == "all" else [int(each) for each in which.split(",")]
    _check_indices(asked, kind, indices, count)
    if len(set(indices)) < len(indices):
        raise DeviceError(f"device {asked!r} names a GPU twice: name each once, one worker runs on each")
    return tuple(str(Device(kind, index)) for index in indices)


def _gpus_for(asked: str, kind: str) -> int:
    """How many GPUs there are for a provider; at least 1, or an error."""
    import onnxruntime

    if _PROVIDERS[kind] not in onnxruntime.get_available_providers():
        raise DeviceError(
            f"device {asked!r}: the installed onnxruntime has no {_TITLES[kind]} provider: "
            "install onnxruntime-gpu, or give --device cpu"
        )
    count = gpu_count()
    if count == 0:
        raise DeviceError(
            f"device {asked!r}: the CUDA driver finds no GPU here{_visible()}: see nvidia-smi, or give --device cpu"
        )
    return count


def _check_indices(asked: str, kind: str, indices: Sequence[int], count: int) -> None:
    if all(index < count for index in indices):
        return
    there = f"there is 1 GPU, {kind}:0" if count == 1 else f"there are {count} GPUs, {kind}:0 to {kind}:{count - 1}"
    raise DeviceError(f"device {asked!r}: {there}{_visible()}")


def _visible() -> str:
    """What the environment hides, for messages: the driver numbers only what is left."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return "" if visible is None else f" (CUDA_VISIBLE_DEVICES is {visible!r})"


def check_dtype(device: Device, dtype: str, path: Path) -> None:
    """Check that a device can run a bundle's weights.

    ONNX Runtime 1.31's CPU provider runs fp16 graphs (in fp32 inside: same speed, half the file), but has no kernels
    for bf16: MatMul, Add and nearly all others end in NOT_IMPLEMENTED.

    Args:
        device: from `resolve_device`. dtype: what the manifest says. path: of the bundle, for the message.

    Raises:
        DeviceError: it cannot.
    """
    if device.kind == "cpu" and dtype == "bf16":
        raise DeviceError(
            f"{path}: the bundle holds bf16 weights, which ONNX Runtime's CPU provider does not run: "
            "give --device cuda, or export it as fp32"
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
    _check_option_names(options)
    return options


def _check_option_names(options: Iterable[str]) -> None:
    for name in options:
        if name == "device_id":
            raise UsageProblem("provider option 'device_id' is what --device says: give --device cuda:INDEX")
        if name in _ADDRESSES:
            raise UsageProblem(f"provider option {name!r} is an address inside the process and cannot be set here")


def open_sessions(
    paths: Sequence[Path],
    asked: str,
    threads: int | None = None,
    provider_options: Mapping[str, str] | None = None,
    dtype: str = "fp32",
) -> tuple[Device, list[onnxruntime.InferenceSession]]:
    """Open the graphs of one model, all on one device.

    Args:
        paths: the graphs.
        asked: what `resolve_device` takes; only ``auto`` may fall back to the CPU.
        threads: threads of one operator, or None for the usable cores.
        provider_options: of the device's provider, over our own, e.g. ``gpu_mem_limit``; see `open_session`.
        dtype: of the weights, ``fp32``, ``fp16`` or ``bf16``.

    Returns:
        The device that really runs them, and a session for each path.

    Raises:
        BundleError: a file is no graph that ONNX Runtime can load.
        DeviceError: the device that was asked for cannot be had, or does not run this dtype.
        OutOfMemoryError: the model does not fit.
        UsageProblem: an option that the provider does not take; any, where ``cpu`` was asked for.
    """
    device = resolve_device(asked)
    if device.kind != "cpu":
        try:
            return device, [open_session(path, device, threads, provider_options, dtype) for path in paths]
        except (DeviceError, OutOfMemoryError) as error:
            if asked != "auto":
                raise
            logger.warning("a GPU is there but not usable, going on with the CPU: %s", error)
        device = Device("cpu")
    if provider_options and asked == "auto":
        logger.warning("the CPU provider takes no provider options, going on without them")
        provider_options = None
    if paths:
        check_dtype(device, dtype, paths[0].parent)
    return device, [open_session(path, device, threads, provider_options, dtype) for path in paths]


def open_session(
    path: Path,
    device: Device,
    threads: int | None = None,
    provider_options: Mapping[str, str] | None = None,
    dtype: str = "fp32",
) -> onnxruntime.InferenceSession:
    """Open one graph on one device.

    Args:
        path: the graph; external data lies beside it.
        device: from `resolve_device`.
        threads: threads of one operator, or None for the usable cores.
        provider_options: of the device's own provider, over ours. ``trt_engine_cache_path`` is where bundles get
            their folders.
        dtype: of the weights.

    Raises:
        BundleError: the file is no graph that ONNX Runtime can load.
        DeviceError: a GPU was asked for, but the session would run elsewhere.
        OutOfMemoryError: the graph does not fit.
        UsageProblem: an option that the provider does not take; the CPU's takes none.
    """
    options = dict(provider_options or {})
    _check_option_names(options)
    if options and device.kind == "cpu":
        # ONNX Runtime would take any name for the CPU, and do nothing with it.
        raise UsageProblem("provider options are for cuda and tensorrt, the CPU provider takes none: leave them out")
    cache = engine_folder(path, options.pop("trt_engine_cache_path", None)) if device.kind == "tensorrt" else None
    providers = _providers(device, options, dtype, cache)
    # A number that TensorRT cannot read comes as ValueError or IndexError.
    expected: tuple[type[Exception], ...] = (ValueError, IndexError, *onnxruntime_errors())
    try:
        return _create(str(path), path.name, device, threads, providers)
    except expected as error:
        raise _explained(error, path, device, options) from error


def _explained(error: Exception, path: Path, device: Device, options: Mapping[str, str]) -> RsccliError:
    """What went wrong with a graph, in our own classes."""
    message = str(error).strip()
    if is_out_of_memory(error):
        less = "give --device cpu" if device.kind != "cpu" else "raise the job's memory limit"
        if "gpu_mem_limit" in options:
            less = f"raise gpu_mem_limit={options['gpu_mem_limit']}"
        return OutOfMemoryError(f"{path.name} does not fit into the memory of {device}: end other programs, or {less}")
    found = next(filter(None, (each.search(message) for each in _OPTION_COMPLAINTS)), None)
    if found and found["name"] in options:
        name = found["name"]
        what = "has no option of this name" if "nknown" in message or "Invalid TensorRT" in message else "refuses it"
        return UsageProblem(f"provider option {name}={options[name]}: {device.provider} {what}")
    if options and isinstance(error, (ValueError, IndexError)):
        given = ", ".join(f"{name}={value}" for name, value in options.items())
        return UsageProblem(f"{device.provider} refuses a value in {given}: {message}")
    if device.kind != "cpu" and _is_device_failure(message):
        return DeviceError(f"{path.name} cannot be set up on {device}: {message}: give --device cpu")
    if "NOT_IMPLEMENTED" in message:
        # Without CUDA's libraries it is the CPU that lacks an operator, e.g. for bf16: then the libraries are missing.
        try:
            _create(_PROBE_GRAPH, path.name, device, 1, _providers(device))
        except DeviceError as reason:
            return reason
        return BundleError(f"{path} needs an operator that {device.provider} does not have: {message}")
    return BundleError(f"{path} is no graph that ONNX Runtime can load: copy or export the bundle again")


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
        session = _create(_PROBE_GRAPH, "a graph of one node", device, 1, _providers(device))
        session.run(None, {"x": np.zeros(1, np.float32)})
    except ModelError as error:
        return str(error)
    except onnxruntime_errors() as error:
        return f"{asked}: {error}"
    return None


def _create(
    graph: str | bytes, name: str, device: Device, threads: int | None, providers: list[Any]
) -> onnxruntime.InferenceSession:
    import onnxruntime

    if device.kind != "cpu":
        _preload_cuda_libraries()
    if device.kind == "tensorrt":
        _preload_tensorrt_libraries()
    version = onnxruntime.__version__
    try:
        with _quiet_default_logger(device):
            # With its fallback on, ONNX Runtime answers a wrong option or a failing GPU with the CPU and a page on
            # stdout, and does so again in the middle of a run.
            session = onnxruntime.InferenceSession(
                graph, session_options(device, threads), providers=providers, enable_fallback=0
            )
    except RuntimeError as error:
        if "install TensorRT libraries" not in str(error):
            raise
        raise DeviceError(f"asked for {device}, but ONNX Runtime {version} {_lacks(device)}") from error
    got = session.get_providers()[0]
    if got != device.provider:
        raise DeviceError(
            f"asked for {device}, but ONNX Runtime {version} would run {name} on {got}: it {_lacks(device)}"
        )
    logger.debug("%s runs on %s", name, got)
    return session


def _lacks(device: Device) -> str:
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


@contextlib.contextmanager
def _quiet_default_logger(device: Device) -> Iterator[None]:
    """Keep stderr free of what ONNX Runtime logs outside of a session, e.g. at every CUDA session with a device_id."""
    import onnxruntime

    if device.kind == "cpu" or logger.isEnabledFor(logging.DEBUG):
        yield
        return
    onnxruntime.set_default_logger_severity(_SEVERITY_FATAL)
    try:
        yield
    finally:
        onnxruntime.set_default_logger_severity(_SEVERITY_WARNING)


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
    # What a GPU cannot do ONNX Runtime logs and then raises: we say it once.
    options.log_severity_level = _SEVERITY_ERROR if device.kind == "cpu" else _SEVERITY_FATAL
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


def _providers(
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


def _is_device_failure(message: str) -> bool:
    words = ("cuda", "cudnn", "cublas", "tensorrt", "nvinfer", "provider option")
    return any(word in message.lower() for word in words)


def onnxruntime_errors() -> tuple[type[Exception], ...]:
    """Every class of error that ONNX Runtime raises; they share no base of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    found = (getattr(state, name) for name in dir(state))
    classes = (each for each in found if isinstance(each, type) and issubclass(each, Exception))
    # An OrtValue that does not fit raises MemoryError.
    return (RuntimeError, MemoryError, *classes)
