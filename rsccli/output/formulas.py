"""Texts in CSV that a spreadsheet would take for a formula, and back.

A spreadsheet runs what begins with ``=``, ``+``, ``-`` or ``@`` (also their full-width forms, and behind blanks or
control characters); an apostrophe before it makes it a text (OWASP, "CSV Injection"). The report's own button does the
same (``csv.js``). Numbers of ours are no texts and stay as they are.
"""

from __future__ import annotations

import re

_MARK = "'"
_LIVE = re.compile(r"'*(?:[\s\x00-\x1f]*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n])")


def shielded(text: str) -> str:
    """The text as it stands in a cell: with one apostrophe more where a spreadsheet would compute it."""
    return _MARK + text if _LIVE.match(text) else text


def unshielded(text: str) -> str:
    """The text that `shielded` was given."""
    return text[1:] if text.startswith(_MARK) and _LIVE.match(text, 1) else text
