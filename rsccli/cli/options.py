"""Every flag that more than one command has, defined once.

| name | flag | what it does |
|---|---|---|
| `JsonOutput` | `--json` | the result as JSON on stdout, for programs |
"""

from __future__ import annotations

from typing import Annotated

import typer

JsonOutput = Annotated[bool, typer.Option("--json", envvar="RSCCLI_JSON", help="Print JSON, for programs.")]
