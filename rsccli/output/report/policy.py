"""The page's Content-Security-Policy: its own styles and scripts by their hashes, pictures within it, no network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from rsccli.output.report.basemap import Basemap


def content_policy(styles: Sequence[str], scripts: Sequence[str], basemap: Basemap | None = None) -> str:
    """The policy of a page (W3C, Content Security Policy Level 3).

    Args:
        styles, scripts: all that the page holds, byte for byte. basemap: the one host that it may ask, or None.
    """
    images = "data:" if basemap is None else f"data: {basemap.origin}"
    return "; ".join(
        [
            "default-src 'none'",
            f"img-src {images}",
            f"style-src {' '.join(map(_hash, styles))}",
            f"script-src {' '.join(map(_hash, scripts))}",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
