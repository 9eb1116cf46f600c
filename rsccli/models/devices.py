"""Devices: which one is asked for, whether it is there, and which weights it runs. Opens no session."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rsccli.errors import DeviceError

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
_PROVIDERS = {"cpu": CPU, "cuda": CUDA, "tensorrt": TENSORRT}
_TITLES = {"cuda": "CUDA", "tensorrt": "TensorRT"}


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
    """One device for each worker, in the form that `resolve_device` takes.

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
