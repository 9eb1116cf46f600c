"""What the tests of hostile input share: the fuzz targets, and a server that only counts."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "fuzz"))


@dataclass
class Listener:
    """A server on this machine. Attributes: url: its address. lines: paths that somebody asked for."""

    url: str = ""
    lines: list[str] = field(default_factory=list)

    def asked(self) -> list[str]:
        """Paths that others asked for, up to now."""
        own = f"/own-{len(self.lines)}"
        with contextlib.suppress(urllib.error.HTTPError):
            urllib.request.urlopen(self.url + own, timeout=10)
        end = time.monotonic() + 10
        while own not in self.lines and time.monotonic() < end:
            time.sleep(0.01)
        return [line for line in self.lines if not line.startswith("/own-")]


_SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print(self.path, flush=True)
        self.send_error(404)
    do_HEAD = do_POST = do_GET
    def log_message(self, *values):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


@pytest.fixture
def listener() -> Iterator[Listener]:
    """A process of its own: GDAL asks while it holds the interpreter's lock."""
    process = subprocess.Popen([sys.executable, "-c", _SERVER], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    found = Listener(f"http://127.0.0.1:{process.stdout.readline().strip()}")
    reader = threading.Thread(
        target=lambda out: found.lines.extend(line.strip() for line in out), args=[process.stdout]
    )
    reader.start()
    try:
        yield found
    finally:
        process.terminate()
        process.wait()
        reader.join()
