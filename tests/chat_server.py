"""An OpenAI-compatible server in a process of its own, which answers, refuses, hangs and lies as its address asks.

    with ChatServer() as server:
        server.address("ok"); server.asked()

The first part of the address says how it behaves:

| part | behaviour |
|---|---|
| `ok` | answers |
| `limit-N` | 429 with `Retry-After: 1` for the first N requests |
| `flaky-N` | 500 for each Nth request |
| `down` | 503 always |
| `hang-N` | says nothing to the first N requests |
| `drip-N` | sends a byte now and then to the first N requests |
| `cut-N` | closes the connection in the middle of the first N answers |
| `rubbish-N` | no JSON, no choices, no text, in turn, for the first N requests |
| `long` | an answer that was cut at its longest length |
| `refusal` | an answer that is none |
| `thinks` | thoughts, then the answer |
| `parts` | the answer in parts |
| `slow-N` | N milliseconds an answer |
| `status-N` | that status, with a text that holds the key |
| `redirect` | 307 to another path |
| `wait-N` | 429 with `Retry-After: N` always |

The answer names the first eight digits of the sha256 of the earlier picture.
"""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

RUBBISH = [
    b"<html>busy</html>",
    b'{"choices": []}',
    b'{"choices": [{"message": {"content": "  "}, "finish_reason": "stop"}]}',
    b'{"choices": [{"message": {"content": null}}]}',
    b"[1, 2]",
    b'{"error": {"message": "overloaded"}}',
]


class Handler(http.server.BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    asked: list[dict[str, Any]] = []  # noqa: RUF012 - one server a process
    counts: dict[str, int] = {}  # noqa: RUF012
    lock = threading.Lock()

    def log_message(self, format: str, *args: object) -> None:
        """Be quiet."""

    def do_GET(self) -> None:
        with self.lock:
            body = json.dumps(self.asked).encode()
        self._send(200, body)

    def do_POST(self) -> None:
        mode = self.path.split("/")[1]
        data = self.rfile.read(int(self.headers["Content-Length"]))
        number = self._remember(mode, data)
        kind, _, amount = mode.partition("-")
        many = int(amount or 0)
        first = number <= many
        if not self.path.split("?")[0].endswith("/v1/chat/completions"):
            self._send(404, b'{"error": {"message": "no such path"}}')
        elif kind == "limit" and first:
            self._send(429, b'{"error": {"message": "slow down"}}', {"Retry-After": "1"})
        elif kind == "wait":
            self._send(429, b'{"error": {"message": "quota"}}', {"Retry-After": amount})
        elif kind == "flaky" and number % many == 0:
            self._send(500, b"oops")
        elif kind == "down":
            self._send(503, b'{"error": {"message": "no GPU is free"}}')
        elif kind == "hang" and first:
            time.sleep(30)
        elif kind == "drip" and first:
            self._drip()
        elif kind == "cut" and first:
            self._cut()
        elif kind == "rubbish" and first:
            self._send(200, RUBBISH[(number - 1) % len(RUBBISH)])
        elif kind == "status":
            said = f"bad key {self.headers.get('Authorization')} for {self.headers.get('Host')}"
            self._send(many, json.dumps({"error": {"message": said}}).encode())
        elif kind == "redirect":
            self._send(307, b"", {"Location": "/ok/v1/chat/completions"})
        else:
            if kind == "slow":
                time.sleep(many / 1000)
            self._send(200, json.dumps(answer(kind, data)).encode())

    def _remember(self, mode: str, data: bytes) -> int:
        body = json.loads(data)
        content = body["messages"][0]["content"]
        pictures = [base64.b64decode(part["image_url"]["url"].split(",")[1]) for part in content[1:]]
        with self.lock:
            self.counts[mode] = self.counts.get(mode, 0) + 1
            self.asked.append(
                {
                    "mode": mode,
                    "time": time.monotonic(),
                    "key": self.headers.get("Authorization"),
                    "path": self.path,
                    "prompt": content[0]["text"],
                    "pictures": [hashlib.sha256(picture).hexdigest() for picture in pictures],
                    "kinds": [part["image_url"]["url"][:22] for part in content[1:]],
                    **{name: body.get(name) for name in ("model", "temperature", "max_tokens")},
                }
            )
            return self.counts[mode]

    def _send(self, status: int, body: bytes, more: dict[str, str] | None = None) -> None:
        try:
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **(more or {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _drip(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        try:
            for _ in range(300):
                self.wfile.write(b" ")
                time.sleep(0.1)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _cut(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b'{"choices": [')
        self.close_connection = True


def answer(kind: str, data: bytes) -> dict[str, Any]:
    """A whole answer."""
    picture = base64.b64decode(json.loads(data)["messages"][0]["content"][1]["image_url"]["url"].split(",")[1])
    text: Any = f"Houses near {hashlib.sha256(picture).hexdigest()[:8]}\n  were   damaged."
    message: dict[str, Any] = {"role": "assistant", "content": text}
    reason = "stop"
    if kind == "long":
        reason = "length"
    elif kind == "refusal":
        message = {"role": "assistant", "content": None, "refusal": "I cannot help with that."}
    elif kind == "thinks":
        message["content"] = f"<think>\nLet me see. Was it {{a}}?\n</think>\n\n{text}"
    elif kind == "parts":
        message["content"] = [{"type": "text", "text": text[:7]}, {"type": "text", "text": text[7:]}]
    return {
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        "usage": {"prompt_tokens": 700, "completion_tokens": 20},
    }


class ChatServer:
    """The server in another process, for a ``with`` statement."""

    def __enter__(self) -> ChatServer:
        """Start and wait for the port."""
        self._process = subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.strip():
            raise RuntimeError("the chat server did not start")
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

    def address(self, mode: str) -> str:
        """For ``RSCCLI_ENDPOINT``."""
        return f"http://127.0.0.1:{self.port}/{mode}/v1"

    def asked(self, mode: str | None = None) -> list[dict[str, Any]]:
        """Requests so far, of one way of behaving or of all."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=10) as reply:
            found: list[dict[str, Any]] = json.load(reply)
        return [each for each in found if mode in (None, each["mode"])]


def serve() -> None:
    """Serve until terminated; the port is the first line on stdout."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    assert Path(__file__).name == "chat_server.py"
    serve()
