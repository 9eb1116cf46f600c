"""Write docs/audit.md: known holes in the packages of constraints.txt, each with what it means here.

``python docs/make_audit.py --pip-audit PROGRAM`` asks the vulnerability service through pip-audit; with ``--report
FILE`` it takes pip-audit's JSON (``-f json``) from a file. Explanations stand in docs/audit.toml, by the number of the
hole. The exit status is 1 where a hole has no explanation, and 3 where the service gave no answer: pip-audit itself
calls that "no known vulnerabilities".
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CONSTRAINTS, EXPLAINED, PAGE = ROOT / "constraints.txt", ROOT / "docs" / "audit.toml", ROOT / "docs" / "audit.md"
_HEAD = """# Known holes in the packages that rsccli needs

`make audit` asks the Python Packaging Advisory Database about every package of `constraints.txt`, through
[pip-audit](https://pypi.org/project/pip-audit/), and writes this page. It needs a network. Each finding is explained
in `audit.toml`; one without an explanation makes `make audit` fail.
"""


@dataclass(frozen=True)
class Hole:
    """One finding: package and version, its number, versions that mend it."""

    package: str
    version: str
    number: str
    mended: tuple[str, ...]


@dataclass(frozen=True)
class Audit:
    """An answer. Attributes: answered: packages that the service knew. unanswered: the others. holes: findings."""

    answered: tuple[str, ...]
    unanswered: tuple[str, ...]
    holes: tuple[Hole, ...]


def read_audit(report: dict[str, Any]) -> Audit:
    """What pip-audit's JSON says."""
    packages = report["dependencies"]
    holes = [
        Hole(each["name"], each["version"], hole["id"], tuple(hole.get("fix_versions", ())))
        for each in packages
        for hole in each.get("vulns", ())
    ]
    skipped = tuple(sorted(each["name"] for each in packages if "skip_reason" in each))
    answered = tuple(sorted(each["name"] for each in packages if "skip_reason" not in each))
    return Audit(answered, skipped, tuple(holes))


def render(audit: Audit, explained: dict[str, str], date: str) -> str:
    """The page."""
    asked = len(audit.answered) + len(audit.unanswered)
    lines = [
        _HEAD,
        f"Asked on {date}: {asked} packages, {len(audit.answered)} answers, {len(audit.holes)} findings.",
        "",
    ]
    if not audit.answered:
        lines += [
            "**Not measured:** the service could not be reached from the machine where this page was written, so "
            "nothing is known. Run `make audit` where there is a network.",
            "",
        ]
    elif audit.unanswered:
        lines += [f"Without an answer: {', '.join(audit.unanswered)}.", ""]
    if audit.holes:
        lines += ["| package | finding | mended in | what it means here |", "|---|---|---|---|"]
        lines += [
            f"| {hole.package} {hole.version} | {hole.number} | {', '.join(hole.mended) or 'no version yet'} | "
            f"{explained.get(hole.number, '**not explained**')} |"
            for hole in audit.holes
        ]
        lines += [""]
    return "\n".join(lines)


def main() -> int:
    """Ask, write the page, and say what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pip-audit", default="pip-audit", help="the program")
    parser.add_argument("--report", type=Path, help="its JSON, instead of asking")
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--explained", type=Path, default=EXPLAINED)
    given = parser.parse_args()
    if given.report is not None:
        text = given.report.read_text(encoding="utf-8")
    else:
        flags = ["--no-deps", "--disable-pip", "--progress-spinner", "off", "-f", "json"]
        done = subprocess.run([given.pip_audit, "-r", str(CONSTRAINTS), *flags], capture_output=True, text=True)
        if not done.stdout.strip():
            print(f"pip-audit gave no report:\n{done.stderr[-2000:]}", file=sys.stderr)
            return 3
        text = done.stdout
    audit = read_audit(json.loads(text))
    explained = tomllib.loads(given.explained.read_text(encoding="utf-8")).get("explained", {})
    given.page.write_text(render(audit, explained, datetime.now(UTC).date().isoformat()), encoding="utf-8")
    print(f"{given.page}: {len(audit.answered)} packages answered for, {len(audit.holes)} findings")
    if not audit.answered:
        print("the vulnerability service cannot be reached: nothing is known", file=sys.stderr)
        return 3
    open_holes = [hole for hole in audit.holes if hole.number not in explained]
    for hole in open_holes:
        print(f"{hole.package} {hole.version}: {hole.number} has no explanation in {given.explained}", file=sys.stderr)
    return 1 if open_holes else 0


if __name__ == "__main__":
    sys.exit(main())
