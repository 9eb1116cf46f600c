"""How much memory a device has left for this process, and whether an error says that it was too little."""

from __future__ import annotations

import ctypes
import errno
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rsccli.errors import OutOfMemoryError

if TYPE_CHECKING:
    from rsccli.models.devices import Device

_MB = 2**20
_MEMINFO = Path("/proc/meminfo")
_STATM = Path("/proc/self/statm")
_OWN_GROUPS = Path("/proc/self/cgroup")
_GROUPS = Path("/sys/fs/cgroup")
# The older control groups say "no limit" as a number near 2**63.
_NO_LIMIT = 2**60

# In lower case. The first three are ONNX Runtime's arena, on the CPU as on a GPU; std::bad_alloc is what comes past the
# arena and while a graph is loaded; the rest is CUDA, cuBLAS, cuDNN, torch, and ENOMEM where a thread cannot start.
_WORDS = (
    "failed to allocate memory for requested buffer",
    "is smaller than requested bytes of",
    "failed to find a free memory block despite calling extend",
    "bad_alloc",
    "bad allocation",
    "out of memory",
    "cudaerrormemoryallocation",
    "cuda failure 2:",
    "cublas failure 3:",
    "alloc_failed",
    "allocation_failed",
    "can't allocate memory",
    "cannot allocate memory",
)


class _GpuMemory(ctypes.Structure):
    """NVML's nvmlMemory_t, bytes."""

    _fields_ = (
        ("total", ctypes.c_ulonglong),
        ("free", ctypes.c_ulonglong),
        ("used", ctypes.c_ulonglong),
    )


def available_mb(device: Device) -> float | None:
    """Memory that this process may still take on a device, in 2**20 bytes; None where nobody says.

    On the CPU the least of what the system has, what the control groups leave and what the limit on the address space
    (``ulimit -v``) leaves. On a GPU what is free there for all processes.
    """
    if device.memory == "cuda":
        found = [_gpu(device.index)]
    else:
        found = [_system(_MEMINFO), _control_groups(_OWN_GROUPS, _GROUPS), _address_space(_STATM)]
    told = [each for each in found if each is not None]
    return max(0, min(told)) / _MB if told else None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, or what it was raised from, says that there was too little memory.

    ONNX Runtime has no class for it: on the CPU it comes as Fail, RuntimeException, RuntimeError or MemoryError.
    """
    return any(
        isinstance(each, (MemoryError, OutOfMemoryError))
        or (isinstance(each, OSError) and each.errno == errno.ENOMEM)
        or any(word in str(each).lower() for word in _WORDS)
        for each in _causes(error)
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        yield each
        each = each.__cause__


def _system(meminfo: Path) -> int | None:
    """Linux's own estimate of what can be had without swapping."""
    try:
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return None


def _address_space(statm: Path) -> int | None:
    """What RLIMIT_AS leaves; None without a limit, or where the system does not tell what is used."""
    try:
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit == resource.RLIM_INFINITY:
            return None
        return limit - int(statm.read_text().split()[0]) * resource.getpagesize()
    except (ImportError, OSError, ValueError, IndexError):
        return None


def _control_groups(own: Path, root: Path) -> int | None:
    """The least that the process's control group and those above it leave; a job's limit is often on one above."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return None
    left = []
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers == "":
            left += [_left(group, "memory.max", "memory.current", "inactive_file ") for group in _groups(root, path)]
        elif "memory" in controllers.split(","):
            left += [
                _left(group, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file ")
                for group in _groups(root / "memory", path)
            ]
    return min((each for each in left if each is not None), default=None)


def _groups(root: Path, path: str) -> Iterator[Path]:
    """A group and those above it. In a container the path may be the host's: then only the root is there."""
    parts = [part for part in path.split("/") if part]
    if ".." in parts:
        parts = []
    for length in range(len(parts), -1, -1):
        yield root.joinpath(*parts[:length])


def _left(group: Path, limit: str, usage: str, cache: str) -> int | None:
    """Limit less usage of one group; pages of files that were read count as free, since the kernel drops them first."""
    try:
        most = int((group / limit).read_text())
        used = int((group / usage).read_text())
    except (OSError, ValueError):
        return None  # not there, or "max"
    if most >= _NO_LIMIT:
        return None
    try:
        for line in (group / "memory.stat").read_text().splitlines():
            if line.startswith(cache):
                used -= int(line.split()[1])
    except (OSError, ValueError, IndexError):
        pass
    return most - used


def _gpu(index: int) -> int | None:
    """Free bytes of a GPU, asked of NVML: the CUDA driver itself would need a context, some hundred MB of the same.

    NVML knows nothing of CUDA_VISIBLE_DEVICES and of the driver's order (fastest first), nor do its indices count the
    parts of a divided GPU: so the driver turns the index into a UUID, and NVML is asked for that.
    """
    windows = sys.platform == "win32"
    try:
        driver = ctypes.CDLL("nvcuda.dll" if windows else "libcuda.so.1")
        nvml = ctypes.CDLL("nvml.dll" if windows else "libnvidia-ml.so.1")
        name = _gpu_uuid(driver, index)
        if name is None or nvml.nvmlInit_v2() != 0:
            return None
        try:
            return _gpu_free(nvml, name)
        finally:
            nvml.nvmlShutdown()
    except (OSError, AttributeError):
        return None


def _gpu_uuid(driver: ctypes.CDLL, index: int) -> str | None:
    device = ctypes.c_int(0)
    found = (ctypes.c_ubyte * 16)()
    if driver.cuInit(0) != 0 or driver.cuDeviceGet(ctypes.byref(device), ctypes.c_int(index)) != 0:
        return None
    # The second version tells the part of a divided GPU from the whole.
    ask = getattr(driver, "cuDeviceGetUuid_v2", None) or driver.cuDeviceGetUuid
    return None if ask(ctypes.byref(found), device) != 0 else str(uuid.UUID(bytes=bytes(found)))


def _gpu_free(nvml: ctypes.CDLL, name: str) -> int | None:
    handle, memory = ctypes.c_void_p(), _GpuMemory()
    for prefix in ("GPU", "MIG"):
        if nvml.nvmlDeviceGetHandleByUUID(f"{prefix}-{name}".encode(), ctypes.byref(handle)) == 0:
            break
    else:
        return None
    return None if nvml.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory)) != 0 else int(memory.free)
