"""Progress as a terminal shows it: a bar with rate and time left; nothing but lines where there is no terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
from pathlib import Path


def test_a_terminal_gets_a_bar_with_rate_and_time_left(cli, tmp_path: Path) -> None:
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    process = subprocess.Popen(
        cli.arguments(tmp_path / "out.geojson", "--no-report"),
        env={**os.environ, "BRIGHTNESS_SLEEP_S": "0.01"},
        stdout=subprocess.PIPE,
        stderr=follower,
    )
    os.close(follower)
    shown = b""
    while True:
        try:
            part = os.read(leader, 4096)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
    assert process.wait(timeout=30) == 0
    text = shown.decode()
    assert "162/162" in text and "tile/s" in text and "100%" in text
    assert process.stdout is not None and process.stdout.read() == b""


def test_a_log_gets_no_bar(cli, tmp_path: Path) -> None:
    done = cli.run(tmp_path / "out.geojson", "--no-report")
    assert done.returncode == 0 and "%|" not in done.stderr and done.stderr.count("\n") == 1
