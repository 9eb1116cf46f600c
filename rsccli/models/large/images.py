"""Image processors of transformers from a bundle: pixels become exactly what the checkpoint's own processor makes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rsccli.errors import BundleError

SETTINGS = "preprocessor_config.json"


def load_image_processor(folder: Path) -> Any:  # noqa: ANN401 - transformers is not typed
    """The image processor whose settings lie in a folder, in the form that needs numpy and pillow alone.

    Raises:
        BundleError: the settings are missing, damaged, or of a class that transformers does not have.
    """
    import transformers

    path = folder / SETTINGS
    try:
        name = json.loads(path.read_text(encoding="utf-8"))["image_processor_type"]
    except FileNotFoundError as error:
        raise BundleError(f"{path} is missing: the bundle is partial, copy or export it again") from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise BundleError(f"{path} holds no image processor settings ({error}): export the bundle again") from error
    kind = getattr(transformers, str(name).removesuffix("Fast"), None)
    # Only classes of that kind: the name comes from a file.
    if not (isinstance(kind, type) and issubclass(kind, transformers.BaseImageProcessor)):
        raise BundleError(f"{path}: transformers {transformers.__version__} has no image processor {name!r}")
    made: Any = kind
    try:
        return made.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError) as error:
        raise BundleError(f"{path}: settings that {name} does not take ({error}): export the bundle again") from error
