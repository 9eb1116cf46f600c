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

    try:
        text = path.read_text(encoding="utf-8")
        document = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"{path} is no tokenizer ({error}): copy or export the bundle again") from error
    if not isinstance(document, dict) or "model" not in document:
        raise BundleError(f"{path} is no tokenizer (it has no 'model'): copy or export the bundle again")
    try:
        return Tokenizer.from_str(text)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # the bare Exception for what it cannot read, or a panic of its own class
        raise BundleError(f"{path} is no tokenizer ({error}): copy or export the bundle again") from error
