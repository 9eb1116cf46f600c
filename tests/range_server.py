"""A file server with byte ranges in a process of its own: what a cloud store looks like to GDAL.

Serves a folder over HTTP/1.1 with keep-alive, HEAD, Range, ETag and Last-Modified, and enough of S3's path-style
requests for ``/vsis3/`` (unsigned). Latency, failures and request counts can be asked for. Used by tests and
benchmarks:

    with RangeServer(folder, latency_ms=40) as server:
        rasterio.open(server.url("pre.tif")); server.stats()

Or by hand: python tests/range_server.py FOLDER [--latency-ms 40] [--fail-first 2] [--port 0]
"""

from __future__ import annotations

import argparse
import email.utils
import http.server
import json
import re
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

CHUNK = 1 << 20
EMPTY_LISTING = (
    b'<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    b"<IsTruncated>false</IsTruncated></ListBucketResult>"
)
NO_SUCH_KEY = b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>NoSuchKey</Code></Error>'


@dataclass
class Counters:
    """What was asked of the server, and what it was told to do wrong."""

    requests: int = 0
    bytes_sent: int = 0
    missing: int = 0
    failures_left: int = 0


class Handler(http.server.BaseHTTPRequestHandler):
    """One request. The class attributes are set by ``serve``."""

    protocol_version = "HTTP/1.1"
    root: Path
    latency_s = 0.0
    counters = Counters()
    lock = threading.Lock()

    def do_HEAD(self) -> None:
        self._serve(body=False)

    def do_GET(self) -> None:
        self._serve(body=True)

    def log_message(self, format: str, *args: object) -> None:
        """Be quiet: a test's output is the test's own."""

    def _answer(self, status: int, content: bytes, kind: str, body: bool) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def _serve(self, body: bool) -> None:
        split = urllib.parse.urlsplit(self.path)
        if split.path == "/__stats__":
            return self._answer(200, json.dumps(vars(self.counters)).encode(), "application/json", body)
        time.sleep(self.latency_s)
        with self.lock:
            self.counters.requests += 1
            failing = self.counters.failures_left > 0
            self.counters.failures_left -= failing
        if failing:
            return self._answer(503, b"try again", "text/plain", body)
        query = urllib.parse.parse_qs(split.query)
        if {"list-type", "prefix", "delimiter"} & set(query):
            return self._answer(200, EMPTY_LISTING, "application/xml", body)
        path = (self.root / urllib.parse.unquote(split.path).lstrip("/")).resolve()
        if not path.is_relative_to(self.root) or not path.is_file():
            with self.lock:
                self.counters.missing += 1
            return self._answer(404, NO_SUCH_KEY, "application/xml", body)
        self._send_file(path, body)

    def _send_file(self, path: Path, body: bool) -> None:
        stat = path.stat()
        first, last = 0, stat.st_size - 1
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if asked and (asked[1] or asked[2]):
            if asked[1]:
                first, last = int(asked[1]), min(int(asked[2] or last), last)
            else:
                first = max(0, stat.st_size - int(asked[2]))
            if first > last:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{stat.st_size}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{last}/{stat.st_size}")
        self.send_header("Content-Type", "image/tiff")
        self.send_header("Content-Length", str(last - first + 1))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", f'"{stat.st_mtime_ns:x}-{stat.st_size:x}"')
        self.send_header("Last-Modified", email.utils.formatdate(stat.st_mtime, usegmt=True))
        self.end_headers()
        if not body:
            return
        left = last - first + 1
        with path.open("rb") as file:
            file.seek(first)
            while left > 0 and (chunk := file.read(min(CHUNK, left))):
                try:
                    self.wfile.write(chunk)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True
                    return
                left -= len(chunk)
                with self.lock:
                    self.counters.bytes_sent += len(chunk)


class RangeServer:
    """The server in another process, for a ``with`` statement."""

    def __init__(self, folder: Path, latency_ms: float = 0.0, fail_first: int = 0) -> None:
        options = ["--latency-ms", str(latency_ms), "--fail-first", str(fail_first)]
        self._command = [sys.executable, __file__, str(folder), *options]

    def __enter__(self) -> RangeServer:
        """Start and wait for the port."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.strip():
            raise RuntimeError("the range server did not start")
        self.port = int(line)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the process that was started here."""
        self._process.terminate()
        self._process.wait(timeout=10)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def url(self, name: str) -> str:
        """HTTP address of a file in the folder."""
        return f"http://127.0.0.1:{self.port}/{name}"

    def s3_environment(self) -> dict[str, str]:
        """Variables under which ``s3://BUCKET/KEY`` is the file ``BUCKET/KEY`` in the folder."""
        return {
            "AWS_S3_ENDPOINT": f"127.0.0.1:{self.port}",
            "AWS_NO_SIGN_REQUEST": "YES",
            "AWS_HTTPS": "NO",
            "AWS_VIRTUAL_HOSTING": "FALSE",
            "AWS_REGION": "us-east-1",
        }

    def stats(self) -> dict[str, int]:
        """Requests, bytes sent and misses so far."""
        with urllib.request.urlopen(self.url("__stats__"), timeout=10) as answer:
            counted: dict[str, int] = json.load(answer)
        return counted


def serve() -> None:
    """Serve until terminated; the port is the first line on stdout."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--latency-ms", type=float, default=0.0)
    parser.add_argument("--fail-first", type=int, default=0, help="answer 503 to this many requests first")
    parser.add_argument("--port", type=int, default=0)
    arguments = parser.parse_args()
    Handler.root = arguments.folder.resolve()
    Handler.latency_s = arguments.latency_ms / 1000
    Handler.counters = Counters(failures_left=arguments.fail_first)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", arguments.port), Handler)
    server.daemon_threads = True
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    serve()
