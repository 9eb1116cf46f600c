from __future__ import annotations

import ctypes
import errno
import json
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from rsccli.errors import ModelError, OutOfMemoryError
from rsccli.models import memory
from rsccli.models.devices import Device, gpu_count
from rsccli.models.memory import available_mb, is_out_of_memory

NOWHERE = Path("/nonexistent")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux tells of memory in /proc")


@linux
def test_the_cpu_has_some_memory() -> None:
    total = int(Path("/proc/meminfo").read_text().split()[1]) / 1024
    left = available_mb(Device("cpu"))
    assert left is not None and 0 < left <= total


def test_nobody_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_MEMINFO", "_STATM", "_OWN_GROUPS", "_GROUPS"):
        monkeypatch.setattr(memory, name, NOWHERE)
    monkeypatch.setattr(memory, "_address_space", lambda statm: None)
    assert available_mb(Device("cpu")) is None


def test_the_least_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_system", lambda path: 3 * 2**20)
    monkeypatch.setattr(memory, "_control_groups", lambda own, root: 2 * 2**20)
    monkeypatch.setattr(memory, "_address_space", lambda path: None)
    assert available_mb(Device("cpu")) == 2.0
    monkeypatch.setattr(memory, "_control_groups", lambda own, root: -5)
    assert available_mb(Device("cpu")) == 0.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [("MemTotal: 9 kB\nMemAvailable:   24 kB\n", 24 * 1024), ("MemTotal: 9 kB\n", None), ("MemAvailable: x\n", None)],
)
def test_what_the_system_says(tmp_path: Path, text: str, expected: int | None) -> None:
    (tmp_path / "meminfo").write_text(text)
    assert memory._system(tmp_path / "meminfo") == expected


def group(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("_of_", ".")).write_text(text)


def own(tmp_path: Path, text: str) -> Path:
    (tmp_path / "own").write_text(text)
    return tmp_path / "own"


def test_a_limit_on_a_group_above_counts(tmp_path: Path) -> None:
    """A job manager limits the job, and its processes run in groups below."""
    root = tmp_path / "groups"
    group(root, memory_of_stat="inactive_file 1\n")
    group(root / "job", memory_of_max="1000", memory_of_current="700", memory_of_stat="anon 5\ninactive_file 200\n")
    group(root / "job" / "task", memory_of_max="max\n", memory_of_current="600")
    assert memory._control_groups(own(tmp_path, "0::/job/task\n"), root) == 500
    group(root / "job" / "task", memory_of_max="650\n")
    assert memory._control_groups(own(tmp_path, "0::/job/task\n"), root) == 50


@pytest.mark.parametrize("path", ["/", "/host/only/path", "/../.."])
def test_a_container_sees_its_own_group_as_the_root(tmp_path: Path, path: str) -> None:
    root = tmp_path / "groups"
    group(root, memory_of_max="1000", memory_of_current="400")
    assert memory._control_groups(own(tmp_path, f"0::{path}\n"), root) == 600


def test_older_control_groups(tmp_path: Path) -> None:
    root = tmp_path / "groups"
    group(root / "memory", memory_of_limit_in_bytes="9223372036854771712", memory_of_usage_in_bytes="5")
    listed = own(tmp_path, "9:name=systemd:/\n4:cpu,memory:/job\n0::/\n")
    assert memory._control_groups(listed, root) is None
    group(
        root / "memory" / "job",
        memory_of_limit_in_bytes="1000",
        memory_of_usage_in_bytes="900",
        memory_of_stat="inactive_file 7\ntotal_inactive_file 300\n",
    )
    assert memory._control_groups(listed, root) == 400


@pytest.mark.parametrize("text", ["", "odd", "0::/\n"])
def test_no_control_groups(tmp_path: Path, text: str) -> None:
    assert memory._control_groups(own(tmp_path, text), NOWHERE) is None
    assert memory._control_groups(NOWHERE, NOWHERE) is None


@linux
def test_a_limit_on_the_address_space_counts() -> None:
    code = (
        "import resource; from rsccli.models.memory import available_mb; from rsccli.models.devices import Device;"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize();"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 50 * 2**20, resource.RLIM_INFINITY));"
        "print(available_mb(Device('cpu')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert 30 < float(done.stdout) <= 50


class Library:
    """A stand-in for the CUDA driver or NVML; functions that it lacks raise AttributeError, as those of ctypes do."""

    def __init__(self, **functions: Any) -> None:
        self.__dict__.update(functions)


FIRST, SECOND = uuid.UUID(int=1), uuid.UUID(int=2)


def fake_libraries(monkeypatch: pytest.MonkeyPatch, visible: list[uuid.UUID], kind: str, **changes: Any) -> list[str]:
    """Let the driver show GPUs and NVML know two of one kind; the list says when NVML was shut down."""
    free = {f"{kind}-{FIRST}": 1 * 2**30, f"{kind}-{SECOND}": 2 * 2**30}
    events: list[str] = []

    def set_device(device: Any, index: ctypes.c_int) -> int:
        device._obj.value = index.value
        return 0 if index.value < len(visible) else 101

    def get_uuid(found: Any, device: ctypes.c_int) -> int:
        found._obj[:] = list(visible[device.value].bytes)
        return 0

    def get_handle(name: bytes, handle: Any) -> int:
        if name.decode() not in free:
            return 6
        handle._obj.value = free[name.decode()]
        return 0

    def get_memory(handle: ctypes.c_void_p, told: Any) -> int:
        told._obj.total, told._obj.free, told._obj.used = 2**40, handle.value, 5
        return 0

    driver = {"cuInit": lambda flags: 0, "cuDeviceGet": set_device, "cuDeviceGetUuid_v2": get_uuid}
    nvml = {
        "nvmlInit_v2": lambda: 0,
        "nvmlDeviceGetHandleByUUID": get_handle,
        "nvmlDeviceGetMemoryInfo": get_memory,
        "nvmlShutdown": lambda: events.append("shut down"),
    }
    for each in (driver, nvml):
        each.update({name: function for name, function in changes.items() if name in each})

    def load(name: str) -> Library:
        return Library(**(driver if "cuda" in name else nvml))

    monkeypatch.setattr(ctypes, "CDLL", load)
    return events


@pytest.mark.parametrize("kind", ["GPU", "MIG"])
def test_free_memory_is_that_of_the_gpu_which_the_driver_means(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Index 0 of the driver need not be NVML's: it goes by the UUID, of a GPU or of a part of one."""
    events = fake_libraries(monkeypatch, [SECOND, FIRST], kind)
    assert available_mb(Device("cuda", 0)) == 2048.0
    assert available_mb(Device("tensorrt", 1)) == 1024.0
    assert available_mb(Device("cuda", 2)) is None
    assert events == ["shut down"] * 2


@pytest.mark.parametrize(
    "changes",
    [
        {"cuInit": lambda flags: 100},
        {"nvmlInit_v2": lambda: 9},
        {"nvmlDeviceGetHandleByUUID": lambda name, handle: 6},
        {"nvmlDeviceGetMemoryInfo": lambda handle, told: 3},
    ],
)
def test_a_gpu_of_which_nobody_says(monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]) -> None:
    fake_libraries(monkeypatch, [FIRST], "GPU", **changes)
    assert available_mb(Device("cuda")) is None


def test_libraries_that_are_missing_or_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Library())
    assert available_mb(Device("cuda")) is None

    def missing(name: str) -> Library:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert available_mb(Device("cuda")) is None


@pytest.mark.skipif(gpu_count() == 0, reason="no GPU here")
def test_a_real_gpu_has_some_memory() -> None:
    left = available_mb(Device("cuda"))
    assert left is not None and left > 0


# Runs one attempt under a limit on the address space, in a process of its own, and tells how it ended.
ATTEMPT = """
import json, resource, sys
import numpy as np
import onnxruntime
from onnx import TensorProto, helper
from pathlib import Path
from rsccli.models.memory import is_out_of_memory
from rsccli.models.devices import Device
from rsccli.models.sessions import open_session, session_options

what, arena, folder = sys.argv[1], sys.argv[2] == "arena", Path(sys.argv[3])
VALUE = helper.make_tensor_value_info

def save(name, nodes, inputs, outputs, weights=(), **how):
    graph = helper.make_graph(nodes, "g", inputs, outputs, list(weights))
    (folder / name).write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()
    )
    return folder / name

def limit(megabytes):
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + megabytes * 2**20, resource.RLIM_INFINITY))

grow = save(
    "grow.onnx",
    [helper.make_node("Expand", ["x", "shape"], ["wide"]), helper.make_node("MatMul", ["wide", "wide"], ["y"])],
    [VALUE("x", TensorProto.FLOAT, [1, 1]), VALUE("shape", TensorProto.INT64, [2])],
    [VALUE("y", TensorProto.FLOAT, ["a", "b"])],
)
options = session_options(Device("cpu"), 1)
options.enable_cpu_mem_arena = arena
options.log_severity_level = 4
session = onnxruntime.InferenceSession(grow, options, providers=["CPUExecutionProvider"])
feeds = lambda side: {"x": np.ones((1, 1), np.float32), "shape": np.array([side, side])}

def run():
    limit(100)
    session.run(None, feeds(20_000))

def binding():
    limit(100)
    bound = session.io_binding()
    for name, value in feeds(20_000).items():
        bound.bind_cpu_input(name, value)
    bound.bind_output("y", "cpu")
    session.run_with_iobinding(bound)

def value():
    limit(100)
    onnxruntime.OrtValue.ortvalue_from_shape_and_type([20_000, 20_000], np.float32, "cpu")

def load():
    count = 40_000_000
    weights = helper.make_tensor("w", TensorProto.FLOAT, [count], bytes(4 * count), raw=True)
    ends = [VALUE(name, TensorProto.FLOAT, [count]) for name in "xy"]
    path = save("large.onnx", [helper.make_node("Add", ["x", "w"], ["y"])], ends[:1], ends[1:], [weights])
    del weights
    limit(60)
    open_session(path, Device("cpu"), 1)

def threads():
    limit(1)
    open_session(grow, Device("cpu"), 2)

def overflow():
    session.run(None, feeds(2**40))

try:
    {each.__name__: each for each in (run, binding, value, load, threads, overflow)}[what]()
    told = ["no error", "", None]
except BaseException as error:
    told = [type(error).__name__, str(error), is_out_of_memory(error)]
# After a failure the same session goes on with less.
again = list(session.run(None, feeds(50))[0].shape) if what == "run" else None
print(json.dumps([*told, again]))
"""


def attempt(what: str, arena: str, folder: Path) -> list[Any]:
    command = [sys.executable, "-c", ATTEMPT, what, arena, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    told: list[Any] = json.loads(done.stdout.splitlines()[-1])
    return told


@linux
@pytest.mark.parametrize(
    ("what", "arena", "error", "message"),
    [
        ("run", "arena", "Fail", "Failed to allocate memory for requested buffer of size 1600000000"),
        ("run", "no arena", "RuntimeException", "std::bad_alloc"),
        ("binding", "arena", "RuntimeError", "Failed to allocate memory for requested buffer of size 1600000000"),
        ("value", "arena", "MemoryError", "std::bad_alloc"),
        ("load", "arena", "OutOfMemoryError", "large.onnx does not fit into the memory of cpu"),
        ("threads", "arena", "OutOfMemoryError", "grow.onnx does not fit into the memory of cpu"),
    ],
)
def test_a_real_lack_of_memory_is_recognised(tmp_path: Path, what: str, arena: str, error: str, message: str) -> None:
    got, text, recognised, again = attempt(what, arena, tmp_path)
    assert recognised is True, (got, text)
    assert got == error
    assert message in text
    assert again == ([50, 50] if what == "run" else None)


@linux
def test_a_shape_beyond_all_numbers_is_no_lack_of_memory(tmp_path: Path) -> None:
    got, text, recognised, _again = attempt("overflow", "arena", tmp_path)
    assert (got, recognised) == ("Fail", False), text


def caused(message: str) -> ModelError:
    """Our own error over that of a library, as the captioners raise it."""
    try:
        raise ModelError("the encoder failed on tile 7") from RuntimeError(message)
    except ModelError as error:
        return error


@pytest.mark.parametrize(
    "message",
    [
        "bfc_arena.cc:360 AllocateRawInternal Available memory of 999680 is smaller than requested bytes of 16000000",
        "Failed to find a free memory block despite calling Extend. rounded_bytes=256",
        "CUDA failure 2: out of memory ; GPU=0 ; hostname=node ; expr=cudaStreamCreateWithFlags(&stream, 1);",
        "CUBLAS failure 3: the resource allocation failed ; GPU=0",
        "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0",
        "CUDNN failure 2003: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
        "CUDA out of memory. Tried to allocate 2.00 GiB",
        "bad allocation",
        "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory",
    ],
)
def test_messages_of_other_libraries_and_systems(message: str) -> None:
    assert is_out_of_memory(RuntimeError(message))
    assert is_out_of_memory(caused(message))


def test_classes_that_say_it() -> None:
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(OSError(errno.ENOMEM, "no more"))
    assert is_out_of_memory(OutOfMemoryError("a batch of 16 does not fit"))


def test_other_errors() -> None:
    assert not is_out_of_memory(RuntimeError("CUDA failure 700: an illegal memory access was encountered"))
    assert not is_out_of_memory(OSError(errno.ENOSPC, "No space left on device"))
    assert not is_out_of_memory(caused("Non-zero status code returned while running MatMul node"))
    error = RuntimeError("turns in a circle")
    error.__cause__ = error
    assert not is_out_of_memory(error)
