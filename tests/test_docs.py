"""The documentation says what the program does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("docs/*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "examples" / "README.md"])


def test_cli_reference_is_what_the_command_line_says() -> None:
    done = subprocess.run(
        [sys.executable, "docs/make_cli_reference.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_cli_reference_has_every_command() -> None:
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert {
        "caption",
        "report",
        "detect",
        "ask",
        "ground",
        "merge",
        "slurm",
        "status",
        "evaluate",
        "benchmark",
        "probe",
        "search",
        "dataset",
        "info",
        "models",
        "env",
        "train",
    } <= set(re.findall(r"^#+ `rsccli (\w+)", text, re.M))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = [t.split("#")[0] for t in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in t]
    missing = [t for t in targets if t and not (page.parent / t).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_in_prose_exist(page: Path) -> None:
    """An option that a page shows with `rsccli COMMAND` is in that command's help."""
    reference = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    helps = {
        match[1]: match[2]
        for match in re.finditer(r"^#+ `rsccli (\w+(?: \w+)*)`\n\n```text\n(.*?)```", reference, re.M | re.DOTALL)
    }
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    wrong = []
    for command, rest in re.findall(r"\brsccli (\w+) ([^`\n|;#]*)", text):
        # A group's own commands have options of their own.
        below = f"{command} {rest.split(' ')[0]}"
        command = below if below in helps else command
        if command not in helps:
            continue
        for option in re.findall(r"(?<!\S)--?[a-zA-Z][\w-]*", rest):
            if not re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", helps[command]):
                wrong.append(f"rsccli {command} {option}")
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_bare_options_in_prose_exist(page: Path) -> None:
    """An option that stands alone in code, as in `--res`, belongs to some command of ours."""
    reference = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(--[a-z][a-z-]*)", page.read_text(encoding="utf-8")))
    assert {option for option in named if not re.search(rf"{option}(?![\w-])", reference)} == set()


def test_make_targets_in_prose_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    for page in PAGES:
        named = set(re.findall(r"`make ([a-z-]+)", page.read_text(encoding="utf-8")))
        assert named <= targets, f"{page.name}: {sorted(named - targets)}"
