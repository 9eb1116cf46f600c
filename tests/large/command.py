"""The command line in another process, and the checkpoints that its tests are run on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file


def run_cli(*arguments: str | Path, cwd: Path | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    """``rsccli`` in another process, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "rsccli", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | environ,
        cwd=cwd,
        timeout=600,
        check=False,
    )


@dataclass(frozen=True)
class Made:
    """A bundle, what it was made from, and what the command said.

    Attributes:
        manifest: ``rsccli.json`` as it was written.
    """

    checkpoint: Path
    bundle: Path
    done: subprocess.CompletedProcess[str]

    @property
    def manifest(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.bundle / "rsccli.json").read_text(encoding="utf-8"))
        return document


def one_layer(source: Path, folder: Path) -> Path:
    """A copy of the tiny Qwen2-VL with one layer of text and one of vision: its export takes two thirds of the time."""
    folder.mkdir(parents=True)
    for path in source.iterdir():
        if path.name not in ("config.json", "model.safetensors"):
            (folder / path.name).write_bytes(path.read_bytes())
    weights = load_file(source / "model.safetensors")
    kept = {name: value for name, value in weights.items() if ".layers.1." not in name and ".blocks.1." not in name}
    save_file(kept, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    config["num_hidden_layers"] = config["vision_config"]["depth"] = 1
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder
