"""A report as PDF, printed by a Chromium that is installed; rsccli brings no browser of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rsccli.errors import OutputError
from rsccli.output.writers.atomic import replacing

NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
    "msedge",
)
_MAC = "/Applications/{0}.app/Contents/MacOS/{0}"
_SECONDS = 180


def find_chromium(named: str | None = None) -> str:
    """The browser that prints: a named one, or the first that is on the PATH.

    Args:
        named: program or path, as ``RSCCLI_CHROMIUM`` has it; None: any.

    Raises:
        OutputError: there is none.
    """
    if named:
        found = shutil.which(named)
        if found is None:
            raise OutputError(f"RSCCLI_CHROMIUM={named}: no such program; name a Chromium, Chrome or Edge")
        return found
    candidates = [*NAMES, *(_MAC.format(name) for name in ("Chromium", "Google Chrome", "Microsoft Edge"))]
    for name in candidates:
        if found := shutil.which(name):
            return found
    raise OutputError(
        "a PDF is printed by Chromium, Chrome or Edge, and none of them is on the PATH: install one (Debian, Ubuntu: "
        "apt install chromium), name one with RSCCLI_CHROMIUM=/path/to/chromium, or write the page with -o page.html "
        "and print it from any browser"
    )


def print_pdf(page: bytes, path: Path, chromium: str, network: bool = False) -> None:
    """Print a page to a PDF; whole or not at all.

    Args:
        page: HTML. path: of the PDF. chromium: see ``find_chromium``.
        network: let the browser ask the network, for a page with a background map.

    Raises:
        OutputError: the browser failed, or the file cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="rsccli-pdf-") as folder, replacing(path) as part:
        source = Path(folder) / "page.html"
        source.write_bytes(page)
        command = [
            chromium,
            "--headless=new",
            "--disable-gpu",
            "--disable-extensions",
            "--disable-background-networking",
            "--disable-component-update",
            "--no-first-run",
            "--no-default-browser-check",
            "--no-pdf-header-footer",
            "--virtual-time-budget=20000",
            f"--user-data-dir={folder}/profile",
            f"--print-to-pdf={part.resolve()}",
        ]
        if not network:
            command.append("--host-resolver-rules=MAP * ~NOTFOUND")
        if sys.platform.startswith("linux") and os.geteuid() == 0:
            # Chromium's sandbox does not run as root, as one is in a container; the page is ours and inert.
            command.append("--no-sandbox")
        try:
            done = subprocess.run(
                [*command, source.as_uri()], capture_output=True, timeout=_SECONDS, check=False, text=True
            )
        except subprocess.TimeoutExpired as error:
            raise OutputError(
                f"{path}: {chromium} printed nothing within {_SECONDS} s; write the page with -o page.html and print "
                "it from any browser"
            ) from error
        if done.returncode != 0 or not part.is_file() or not part.read_bytes().startswith(b"%PDF-"):
            told = [line for line in done.stderr.splitlines() if line.strip()]
            raise OutputError(
                f"{path}: {chromium} could not print it (exit code {done.returncode}"
                f"{': ' + told[-1][:200] if told else ''}); write the page with -o page.html and print it from any "
                "browser"
            )
