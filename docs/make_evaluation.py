"""Make the tables of docs/evaluation.md again: run the commands that stand in the page, put their answers under them.

A block of the page is

    <!-- run: rsccli evaluate floors FILE --format markdown -->
    ...what the command said the last time...
    <!-- end of run -->

A command may end in `&& cat FILE`: then the file that it wrote is put there. It runs in the folder of this repository,
with the development data in ../shared/data beside it; blocks whose data are not there stay as they are.

Usage: python docs/make_evaluation.py [WORDS ...]    # only blocks whose command has one of the words
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parent / "evaluation.md"
ROOT = PAGE.parents[1]
BLOCK = re.compile(r"<!-- run: (?P<command>.*?) -->\n.*?<!-- end of run -->", re.DOTALL)
# Headings of the answers go below those of the page.
DEEPER = 2


def answer(match: re.Match[str]) -> str:
    """The block with the command as a person types it, and what it says now."""
    command = match["command"]
    asked, _, written = command.partition(" && cat ")
    words = shlex.split(asked)
    missing = [word for word in words if word.startswith("../") and not (ROOT / word).exists()]
    if missing or (len(sys.argv) > 1 and not any(word in command for word in sys.argv[1:])):
        why = f"{missing[0]} is not there" if missing else "not asked for"
        print(f"left as it is ({why}): {command}", file=sys.stderr)
        return match[0]
    print(command, file=sys.stderr)
    start = "import sys; sys.argv[0] = 'rsccli'; from rsccli.cli.main import main; main()"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RSCCLI_")}
    done = subprocess.run(
        [sys.executable, "-c", start, *words[1:]], cwd=ROOT, env=clean, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{command} left with {done.returncode}:\n{done.stderr}")
    told = (ROOT / written).read_text(encoding="utf-8") if written else done.stdout
    told = re.sub(r"^(#+) ", "#" * DEEPER + r"\1 ", told.strip(), flags=re.MULTILINE)
    # Where libraries are installed is no one's business here.
    told = re.sub(r"\S*/site\\?-packages/", "", told)
    shown = command.replace(" --", " \\\n  --")
    return f"<!-- run: {command} -->\n```sh\n{shown}\n```\n\n{told}\n<!-- end of run -->"


def main() -> None:
    """Write the page."""
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(BLOCK.sub(answer, text), encoding="utf-8")


if __name__ == "__main__":
    main()
