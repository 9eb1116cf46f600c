"""ONNX Runtime sessions: the device that was asked for is the device that runs, or the error says why not."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rsccli.errors import BundleError, DeviceError, ModelError, OutOfMemoryError, RsccliError, UsageProblem
from rsccli.models.cores import usable_cores
from rsccli.models.devices import Device, check_dtype, resolve_device
from rsccli.models.graphfile import check_graph
from rsccli.models.memory import is_out_of_memory
from rsccli.models.providers import (
    check_option_names,
    engine_folder,
    is_device_failure,
    preload_libraries,
    providers_of,
    refused_option,
    what_is_missing,
)

if TYPE_CHECKING:
    import onnxruntime

logger = logging.getLogger(__name__)

_SEVERITY_WARNING = 2
_SEVERITY_ERROR = 3
_SEVERITY_FATAL = 4
# The smallest graph there is, y = Identity(x) on one float: made with onnx.helper, kept as bytes because importing
# onnx costs half a second.
_PROBE_GRAPH = (
    b'\x08\x08:;\n\x10\n\x01x\x12\x01y"\x08Identity\x12\x05probeZ\x0f\n\x01x\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01'
    b"b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\x11"
)


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
        BundleError: the file is no graph that ONNX Runtime can load, or names files outside of its folder.
        DeviceError: a GPU was asked for, but the session would run elsewhere.
        OutOfMemoryError: the graph does not fit.
        UsageProblem: an option that the provider does not take; the CPU's takes none.
    """
    check_graph(path)
    options = dict(provider_options or {})
    check_option_names(options)
    if options and device.kind == "cpu":
        # ONNX Runtime would take any name for the CPU, and do nothing with it.
        raise UsageProblem("provider options are for cuda and tensorrt, the CPU provider takes none: leave them out")
    cache = engine_folder(path, options.pop("trt_engine_cache_path", None)) if device.kind == "tensorrt" else None
    providers = providers_of(device, options, dtype, cache)
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
    if (refused := refused_option(error, device, options)) is not None:
        return refused
    if device.kind != "cpu" and is_device_failure(message):
        return DeviceError(f"{path.name} cannot be set up on {device}: {message}: give --device cpu")
    if "NOT_IMPLEMENTED" in message:
        # Without CUDA's libraries it is the CPU that lacks an operator, e.g. for bf16: then the libraries are missing.
        try:
            _create(_PROBE_GRAPH, path.name, device, 1, providers_of(device))
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
        session = _create(_PROBE_GRAPH, "a graph of one node", device, 1, providers_of(device))
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

    preload_libraries(device)
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
        raise DeviceError(f"asked for {device}, but ONNX Runtime {version} {what_is_missing(device)}") from error
    got = session.get_providers()[0]
    if got != device.provider:
        raise DeviceError(
            f"asked for {device}, but ONNX Runtime {version} would run {name} on {got}: it {what_is_missing(device)}"
        )
    logger.debug("%s runs on %s", name, got)
    return session


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


def onnxruntime_errors() -> tuple[type[Exception], ...]:
    """Every class of error that ONNX Runtime raises; they share no base of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    found = (getattr(state, name) for name in dir(state))
    classes = (each for each in found if isinstance(each, type) and issubclass(each, Exception))
    # An OrtValue that does not fit raises MemoryError.
    return (RuntimeError, MemoryError, *classes)
