"""Write docs/cli.md from what the command line itself says.

Runs `rsccli ... --help` for the root and for every command that a help text lists, in a clean environment with
a fixed width, so that the page does not depend on the terminal or on RSCCLI_ variables. tests/test_docs.py fails
when the page is not what this script would write.

Usage: python docs/make_cli_reference.py [--check]
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PAGE = Path(__file__).resolve().parent / "cli.md"
HEAD = """# Command line reference

What `rsccli --help` and the help of every command say, word for word. Written by `make docs`; do not edit.
"""


def help_text(command: tuple[str, ...]) -> str:
    """What ``rsccli COMMAND --help`` prints at a fixed width."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("RSCCLI_", "_TYPER"))}
    environ |= {"COLUMNS": "100", "TERMINAL_WIDTH": "100", "TERM": "dumb", "NO_COLOR": "1", "LC_ALL": "C.UTF-8"}
    # Run as the console script does: the usage line then says `rsccli`, not `python -m rsccli`.
    start = "import sys; sys.argv[0] = 'rsccli'; from rsccli.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", start, *command, "--help"],
        env=environ,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"rsccli {' '.join(command)} --help left with {done.returncode}:\n{done.stderr}")
    return "\n".join(line.rstrip() for line in done.stdout.strip().splitlines())


def subcommands(text: str) -> list[str]:
    """Names under the last ``Commands:`` heading of a help text, in its order."""
    _, found, listing = text.partition("\nCommands:\n")
    return re.findall(r"^  ([a-z][a-z0-9-]*)(?:  |$)", listing, flags=re.MULTILINE) if found else []


def sections(command: tuple[str, ...] = ()) -> list[str]:
    """Markdown of one command and of all below it."""
    text = help_text(command)
    title = " ".join(("rsccli", *command))
    mine = f"{'#' * (2 + max(0, len(command) - 1))} `{title}`\n\n```text\n{text}\n```\n"
    with ThreadPoolExecutor(2) as pool:
        below = pool.map(sections, [(*command, name) for name in subcommands(text)])
    return [mine, *(part for parts in below for part in parts)]


def page() -> str:
    """The whole reference."""
    return "\n".join([HEAD, *sections()])


def main() -> None:
    """Write the page, or with ``--check`` only say whether it is up to date."""
    wanted = page()
    if "--check" in sys.argv[1:]:
        if not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != wanted:
            raise SystemExit(f"{PAGE.name} is not what the command line says: run `make docs`")
        return
    PAGE.write_text(wanted, encoding="utf-8")


if __name__ == "__main__":
    main()
