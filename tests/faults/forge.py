"""A server that starts ``rsccli`` in processes of its own, with the libraries loaded: a third of the processor time.

Each run is a forked process with its own process number, memory and locks; it can be killed and stopped like any other.
The server has one thread and reads lines of JSON:

- ``{"start": [arguments], "environment": {...}, "log": file}`` answers ``{"pid": number}``;
- ``{"poll": pid}`` answers ``{"status": null}`` while it runs, else the exit status, negative for a signal.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import sys
import traceback
from typing import Any

import typer.main

#: What a run with the test's captioner has loaded at its end; what is not there is left out.
LOADED = (
    "rsccli.cli.main",
    "rsccli.run.caption",
    "rsccli.run.detect.rasters",
    "rsccli.cli.progress",
    "rsccli.cli.summary_model",
    "typer._adapters",
    "rsccli.output.report",
    "rsccli.output.writers.geojson",
    "rsccli.output.timeline",
    "rasterio",
    "rasterio.shutil",
    "rasterio.warp",
    "rasterio._env",
    "cv2",
    "pyproj",
    "shapely",
    "antimeridian",
    "jinja2",
    "tqdm",
    "xml.sax.saxutils",
    "concurrent.futures.thread",
    "importlib.metadata",
    "importlib.resources",
    "urllib.request",
    "PIL.Image",
)


def run(arguments: list[str], environment: dict[str, str], log: str) -> None:
    """What the child does; never returns."""
    status = 1
    try:
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(file, 1)
        os.dup2(file, 2)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.environ.update(environment)
        load = getattr(ctypes.CDLL(None), "rsccli_fault_load", None)
        if load is not None:
            load()
        sys.argv = ["rsccli", *arguments]
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)
        try:
            importlib.import_module("rsccli.cli.main").main()
            status = 0
        except SystemExit as left:
            status = left.code if isinstance(left.code, int) else 0 if left.code is None else 1
        except BaseException:
            traceback.print_exc()
        sys.stderr.flush()
        sys.stdout.flush()
    finally:
        os._exit(status)


def serve() -> None:
    """Load, then answer until the input ends."""
    for name in LOADED:
        try:
            importlib.import_module(name)
        except ImportError:
            continue
    # The tree of commands, which ``main`` would build anew for each run.
    commands: Any = importlib.import_module("rsccli.cli.main")
    commands.app = typer.main.get_command(commands.app)
    threads = len(os.listdir("/proc/self/task"))
    answer({"ready": threads})
    for line in sys.stdin:
        asked: dict[str, Any] = json.loads(line)
        if "start" in asked:
            pid = os.fork()
            if pid == 0:
                run(asked["start"], asked["environment"], asked["log"])
            answer({"pid": pid})
        else:
            found, status = os.waitpid(asked["poll"], os.WNOHANG)
            answer({"status": os.waitstatus_to_exitcode(status) if found else None})


def answer(value: dict[str, Any]) -> None:
    """One line of JSON, in one write: a child must not inherit half of it."""
    os.write(1, json.dumps(value).encode() + b"\n")


if __name__ == "__main__":
    serve()
