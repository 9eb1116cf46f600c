"""Every layout again at its published width (hidden size, heads, vocabulary, patch grid) with two layers.

Minutes and up to 20 GB of memory each. ``make parity-real`` runs the same and writes the table of docs/models.md.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from cases import CASES, Case
from family_checks import check_wide, export_small


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.layout)
def test_the_bundle_says_what_generate_says(case: Case, tmp_path: Path) -> None:
    check_wide(export_small(partial(case.make, real=True), tmp_path, **case.options), case.wide_beam_tiles)
