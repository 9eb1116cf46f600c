"""``make audit`` says what was found, what has no explanation, and when nobody answered."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FINE = {"name": "numpy", "version": "2.0", "vulns": []}
HOLE = {"name": "pillow", "version": "9.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["9.1"], "description": "x"}]}
SKIPPED = {"name": "torch", "skip_reason": "Dependency not found on PyPI"}


def audit(folder: Path, *packages: object, explained: str = "") -> tuple[int, str, str]:
    (folder / "report.json").write_text(json.dumps({"dependencies": packages, "fixes": []}))
    (folder / "audit.toml").write_text(f"[explained]\n{explained}")
    done = subprocess.run(
        [
            *(sys.executable, ROOT / "docs" / "make_audit.py", "--report", folder / "report.json"),
            *("--page", folder / "audit.md", "--explained", folder / "audit.toml"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, (folder / "audit.md").read_text(), done.stderr


def test_a_finding_without_an_explanation_fails(tmp_path: Path) -> None:
    code, page, told = audit(tmp_path, FINE, HOLE, SKIPPED)
    assert code == 1 and "PYSEC-1 has no explanation" in told
    assert "| pillow 9.0 | PYSEC-1 | 9.1 | **not explained** |" in page and "Without an answer: torch." in page


def test_an_explained_finding_passes(tmp_path: Path) -> None:
    code, page, told = audit(tmp_path, FINE, HOLE, explained='PYSEC-1 = "Of a part that is not called."')
    assert (code, told) == (0, "")
    assert "| PYSEC-1 | 9.1 | Of a part that is not called. |" in page


@pytest.mark.parametrize("packages", [(SKIPPED,), ()])
def test_no_answer_is_not_a_good_one(tmp_path: Path, packages: tuple[object, ...]) -> None:
    code, page, told = audit(tmp_path, *packages)
    assert code == 3 and "cannot be reached" in told
    assert "nothing is known" in page
