"""docs/security.md has one line for each threat, and each line names a test that is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "security.md"


def _rows() -> list[list[str]]:
    text = PAGE.read_text(encoding="utf-8").split("## Threats", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def test_every_threat_has_a_test_that_is_there() -> None:
    rows = _rows()
    assert len(rows) >= 30
    for threat, answer, test in rows:
        found = re.fullmatch(r"`(tests/[\w/]+\.py)::(\w+)`", test)
        assert threat and answer and found, test
        tree = ast.parse((ROOT / found[1]).read_text(encoding="utf-8"))
        names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert found[2] in names, test


def test_every_test_of_this_folder_guards_a_threat() -> None:
    """A new file of tests belongs into the table."""
    named = {test.split("::")[0].strip("`") for _, _, test in _rows()}
    files = {f"tests/security/{path.name}" for path in Path(__file__).parent.glob("test_*.py")}
    assert files - named == {"tests/security/test_threat_model.py"}
