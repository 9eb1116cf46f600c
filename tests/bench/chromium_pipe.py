"""A headless Chromium over its own debugging pipe, for measurements: nothing watches the network, which costs time."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any


class Chromium:
    """One browser; use it in a ``with`` statement.

    The protocol is the Chrome DevTools Protocol: JSON messages that end with a zero byte, on file descriptors 3 and 4.
    """

    def __init__(self, program: str, width: int = 1280, height: int = 900) -> None:
        self._profile = tempfile.TemporaryDirectory(prefix="chromium-")
        to_read, self._out = os.pipe()
        self._in, to_write = os.pipe()

        def place() -> None:
            # Copied far up first: one of the pipes may lie on 3 or 4 itself.
            high = os.dup2(to_read, 100), os.dup2(to_write, 101)
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        self._process = subprocess.Popen(
            [
                program,
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--remote-debugging-pipe",
                f"--user-data-dir={self._profile.name}",
                f"--window-size={width},{height}",
                "about:blank",
            ],
            preexec_fn=place,
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        self._number, self._rest = 0, b""

    def __enter__(self) -> Chromium:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.terminate()
        self._process.wait()
        os.close(self._out)
        os.close(self._in)
        self._profile.cleanup()

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its answer."""
        self._number += 1
        message = {
            "id": self._number,
            "method": method,
            "params": parameters,
            **({"sessionId": session} if session else {}),
        }
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._message()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise SystemExit(f"{method}: {answer['error']}")
                return dict(answer["result"])

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            part = os.read(self._in, 2**20)
            if not part:
                raise SystemExit("the browser has gone")
            self._rest += part
        text, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(text))


class Page:
    """One page of a browser."""

    def __init__(self, browser: Chromium) -> None:
        self._browser = browser
        self._target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        attached = browser.call("Target.attachToTarget", targetId=self._target, flatten=True)
        self._session = attached["sessionId"]
        self.call("Performance.enable", timeDomain="threadTicks")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command to this page."""
        return self._browser.call(method, self._session, **parameters)

    def open(self, path: Path) -> None:
        """Begin to load a file."""
        self.call("Page.navigate", url=path.as_uri())

    def run(self, expression: str) -> Any:
        """Run a script; promises are waited for."""
        return self.call("Runtime.evaluate", expression=expression, awaitPromise=True)["result"].get("value")

    def spent(self) -> tuple[float, float]:
        """Processor time in ms so far: of the page's main thread, and of its whole process."""
        told = {each["name"]: each["value"] for each in self.call("Performance.getMetrics")["metrics"]}
        return 1000 * told["ThreadTime"], 1000 * told["ProcessTime"]

    def close(self) -> None:
        """Close it."""
        self._browser.call("Target.closeTarget", targetId=self._target)
