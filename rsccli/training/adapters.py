"""Low-rank adapters on the language model of a large checkpoint, and their merging into its weights."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsccli.errors import ModelError, UsageProblem

#: Attention and MLP of the language model; the vision encoder stays as it is.
TARGETS = (
    r".*(language_model|text_model).*\.(q_proj|k_proj|v_proj|o_proj|qkv_proj|gate_proj|up_proj|down_proj|gate_up_proj)"
)
#: Files beside the weights that a merged checkpoint takes over where nothing else wrote them.
BESIDE = (".json", ".jinja", ".txt", ".md", ".model")


@dataclass(frozen=True)
class Adapters:
    """Which layers get adapters, and of what size.

    Attributes:
        rank: of the added matrices. alpha: their sum is scaled by alpha / rank. dropout: before them, 0-1.
        targets: regular expression that a linear layer's whole name must match.
    """

    rank: int
    alpha: int
    dropout: float
    targets: str = TARGETS


def with_adapters(model: Any, adapters: Adapters) -> Any:  # noqa: ANN401 - transformers is not typed
    """The model with adapters that change nothing yet; only they can be trained.

    Raises:
        ModelError: peft is not installed, or no layer has such a name. UsageProblem: no regular expression.
    """
    import torch

    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise ModelError("fine-tuning with adapters needs peft: pip install 'rsccli[train]'") from error
    try:
        pattern = re.compile(adapters.targets)
    except re.error as error:
        raise UsageProblem(f"--targets {adapters.targets!r} is no regular expression: {error}") from error
    linear = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    if not any(pattern.fullmatch(name) for name in linear):
        raise ModelError(
            f"--targets {adapters.targets!r} matches none of the {len(linear)} linear layers of the checkpoint; "
            f"they are named like {', '.join(linear[:: max(1, len(linear) // 4)][:5])}"
        )
    config = LoraConfig(
        r=adapters.rank, lora_alpha=adapters.alpha, lora_dropout=adapters.dropout, target_modules=adapters.targets
    )
    return get_peft_model(model, config)


def write_merged(model: Any, processor: Any, checkpoint: Path, folder: Path) -> Any:  # noqa: ANN401 - as above
    """Write a checkpoint like the one that came in, with adapters added to its weights; whole, or not at all.

    Args:
        model: with adapters; afterwards it has none. processor: of the checkpoint. checkpoint: its folder.
        folder: to write; replaced if it is there.

    Returns:
        The merged model, in the precision in which the checkpoint was stored.
    """
    import torch

    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    merged = model.merge_and_unload()
    stored = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    name = stored.get("dtype") or stored.get("torch_dtype")
    if isinstance(name, str):
        merged = merged.to(getattr(torch, name))
    merged.save_pretrained(part)
    processor.save_pretrained(part)
    for path in checkpoint.iterdir():
        # What the processor was loaded without (video settings), licence texts, model cards.
        beside = path.suffix in BESIDE or path.name.upper().startswith("LICENSE")
        if beside and ".index." not in path.name and not (part / path.name).exists():
            shutil.copy(path, part / path.name)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(part, folder)
    return merged
