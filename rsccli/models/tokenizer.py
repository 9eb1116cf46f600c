"""The tokenizer file of a bundle, read without trusting it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from rsccli.errors import BundleError

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def open_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of a bundle.

    Raises:
        BundleError: the file is no tokenizer.
    """
    from tokenizers import Tokenizer

    text = path.read_text(encoding="utf-8")
    # The library raises the bare Exception for whatever it cannot read, so the check stands here.
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise BundleError(f"{path} is no tokenizer ({error}): copy or export the bundle again") from error
    if not isinstance(document, dict) or "model" not in document:
        raise BundleError(f"{path} is no tokenizer (it has no 'model'): copy or export the bundle again")
    return Tokenizer.from_str(text)
