"""The training loop of the small captioner: AdamW, cosine, averaged weights, checkpoints, resuming."""

from __future__ import annotations

import contextlib
import copy
import json
import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from pickle import PickleError
from types import ModuleType
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from rsccli.datasets.backgrounds import REAL_CHANGE_SHARE
from rsccli.errors import DeviceError, InputError, JournalMismatchError, OutputError, UsageProblem
from rsccli.models.small.network import Scores, SmallCaptioner, SmallConfig
from rsccli.models.small.tokenizer import captioner_tokenizer
from rsccli.training.batches import Batch, GeneratedDataset, batches
from rsccli.training.development import HeldOut, measure, read_held_out
from rsccli.training.losses import Losses, score_losses

STATE = "last.pt"
LOG = "log.jsonl"
REPORT_STEPS = 25
WARM_UP_STEPS = 150
AVERAGE_DECAY = 0.998
GRADIENT_NORM = 2.0


@dataclass(frozen=True)
class TrainSpec:
    """All that decides a training run.

    Attributes:
        data: folder with ``naip/`` and ``prairie/``. output: folder for checkpoints.
        minutes: length of the schedule by the clock; None: by ``pairs``.
        pairs: length of the schedule in generated pairs; None: by ``minutes``.
        seed: of weights and pairs. batch_size: pairs of 128 px in a step.
        rate: highest learning rate. checkpoint_minutes: between checkpoints.
        threads: of the network. workers: processes that generate pairs; 0: none beside this one.
        development_pairs: generated pairs of the development set.
        start: checkpoint or bundled ``weights.pt`` whose network is where a new run begins; None: random weights.
        real_share: share of the pairs that are cut around real change marked by eye, 0-1.
        device: ``auto``, ``cpu`` or ``cuda``. precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``.
    """

    data: Path
    output: Path
    minutes: float | None = None
    pairs: int | None = None
    seed: int = 0
    batch_size: int = 24
    rate: float = 1.5e-3
    checkpoint_minutes: float = 5.0
    threads: int = 1
    workers: int = 1
    development_pairs: int = 240
    start: Path | None = None
    real_share: float = REAL_CHANGE_SHARE
    device: str = "auto"
    precision: str = "auto"


@dataclass
class Progress:
    """Where a run stands; stored in its checkpoints."""

    step: int = 0
    pairs: int = 0
    seconds: float = 0.0


def say_on_stderr(text: str) -> None:
    """One line of progress."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


class Trainer:
    """One run: made from a spec, continued from its folder where that holds a checkpoint."""

    def __init__(self, spec: TrainSpec, say: Callable[[str], None] = say_on_stderr) -> None:
        if (spec.minutes is None) == (spec.pairs is None):
            raise ValueError("a schedule needs either minutes or pairs")
        self.spec, self._say = spec, say
        self.progress = Progress()
        torch.set_num_threads(spec.threads)
        torch.manual_seed(spec.seed)
        self.device = chosen_device(spec.device)
        self.precision = chosen_precision(spec.precision, self.device)
        self.tokenizer: Tokenizer = captioner_tokenizer()
        if spec.start is None:
            self.model = SmallCaptioner(SmallConfig(vocab=self.tokenizer.get_vocab_size()))
        else:
            self.model = model_of(load_state(spec.start))
        self.model.encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model.to(self.device)
        self._scaler = torch.amp.GradScaler(self.device.type, enabled=self.precision == torch.float16)
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        # The decoder learns alone, from facts, when the encoder is done.
        decayed = [p for p in self.model.encoder.parameters() if p.ndim > 1]
        plain = [p for p in self.model.encoder.parameters() if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": 0.03}, {"params": plain, "weight_decay": 0.0}], lr=spec.rate
        )
        try:
            spec.output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make {spec.output}: {error}; name a folder that can be written") from error
        if (spec.output / STATE).exists():
            self._resume(spec.output / STATE)

    @property
    def done(self) -> float:
        """Share of the schedule, 0-1."""
        if self.spec.minutes is not None:
            return min(1.0, self.progress.seconds / (60.0 * self.spec.minutes))
        return min(1.0, self.progress.pairs / max(self.spec.pairs or 1, 1))

    def run(self) -> list[Path]:
        """Train to the end of the schedule; the checkpoints that were kept, oldest first."""
        spec = self.spec
        if self.done >= 1.0:
            return kept_checkpoints(spec.output)
        held_out = read_held_out(spec.data, "development", spec.development_pairs)
        dataset = GeneratedDataset(spec.data, spec.seed, spec.batch_size, spec.real_share)
        saved = noted = time.monotonic()
        recent: list[tuple[float, ...]] = []
        # Closing ends the worker processes before the interpreter does.
        with contextlib.closing(batches(dataset, self.progress.step, spec.workers)) as stream:
            while self.done < 1.0:
                recent.append(self._step(batch := next(stream)))
                now = time.monotonic()
                # Waiting for the generator counts, time spent on development pairs does not.
                self.progress.seconds += now - noted
                noted = now
                self.progress.step += 1
                self.progress.pairs += batch.pre.shape[0]
                if self.progress.step % REPORT_STEPS == 0:
                    self._report(recent)
                    recent.clear()
                if now - saved > 60.0 * spec.checkpoint_minutes:
                    self._keep(held_out)
                    saved = noted = time.monotonic()
        self._keep(held_out)
        return kept_checkpoints(spec.output)

    def _step(self, batch: Batch) -> tuple[float, ...]:
        self.model.train()
        warm = min(1.0, (self.progress.step + 1) / WARM_UP_STEPS)
        rate = self.spec.rate * warm * (0.02 + 0.98 * 0.5 * (1.0 + math.cos(math.pi * self.done)))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        batch = Batch(*(part.to(self.device) for part in batch))
        rows = torch.channels_last
        batch = batch._replace(
            pre=batch.pre.contiguous(memory_format=rows), post=batch.post.contiguous(memory_format=rows)
        )
        losses = batch_losses(self.model, batch, self.precision)
        self.optimizer.zero_grad(set_to_none=True)
        self._scaler.scale(losses.total).backward()  # type: ignore[no-untyped-call]
        self._scaler.unscale_(self.optimizer)
        torch.nn.utils.clip_grad_norm_(self.model.encoder.parameters(), GRADIENT_NORM)
        self._scaler.step(self.optimizer)
        self._scaler.update()
        # Early weights are forgotten faster, so that a short run has an average worth having.
        decay = min(AVERAGE_DECAY, (1.0 + self.progress.step) / (10.0 + self.progress.step))
        with torch.no_grad():
            for mine, theirs in zip(_floats(self.average), _floats(self.model), strict=True):
                mine.lerp_(theirs, 1.0 - decay)
        return tuple(float(loss.detach()) for loss in losses)

    def _report(self, recent: list[tuple[float, ...]]) -> None:
        losses = dict(zip(Losses._fields, np.mean(recent, axis=0).round(4).tolist(), strict=True))
        parts = " ".join(f"{name} {loss:.3f}" for name, loss in losses.items())
        speed = self.progress.pairs / max(self.progress.seconds, 1e-9)
        self._say(
            f"step {self.progress.step} pairs {self.progress.pairs} ({100 * self.done:.0f} %, {speed:.0f}/s) {parts}"
        )
        self._log({"losses": losses})

    def _log(self, content: dict[str, Any]) -> None:
        """One line of the run's log, which curves are drawn from."""
        line = json.dumps({**asdict(self.progress), **content})
        try:
            with (self.spec.output / LOG).open("a", encoding="utf-8") as log:
                log.write(f"{line}\n")
        except OSError as error:
            raise OutputError(f"cannot write {self.spec.output / LOG}: {error}; free some space") from error

    def _keep(self, held_out: HeldOut) -> None:
        figures = measure(self.average, held_out).figures
        self._log({"development": figures.as_dict()})
        self._say(f"checkpoint at step {self.progress.step}: {json.dumps(figures.as_dict())}")
        common = {
            "config": self.model.config.as_dict(),
            "tokenizer": self.tokenizer.to_str(),
            "progress": asdict(self.progress),
            "seed": self.spec.seed,
            "development": figures.as_dict(),
            "choice": figures.choice,
        }
        folder = self.spec.output
        save_state({**common, "average": self.average.state_dict()}, folder / f"step_{self.progress.step:07d}.pt")
        whole = {
            "average": self.average.state_dict(),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            # Dropout goes on where it was, so that a run that was stopped ends like one that was not.
            "chance": {self.device.type: self._chance().get_rng_state()},
        }
        save_state({**common, **whole}, folder / STATE)

    def _chance(self) -> ModuleType:
        return torch.cuda if self.device.type == "cuda" else torch.random

    def _resume(self, path: Path) -> None:
        state = load_state(path)
        if state["seed"] != self.spec.seed:
            raise JournalMismatchError(
                f"{path} was trained with --seed {state['seed']}, not {self.spec.seed}; "
                "use that seed, or another output folder"
            )
        if state["tokenizer"] != self.tokenizer.to_str():
            raise JournalMismatchError(f"{path} was trained with another grammar; use another output folder")
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.progress = Progress(**state["progress"])
        chance = state.get("chance", {}).get(self.device.type)
        if chance is not None:
            self._chance().set_rng_state(chance)
        self._say(f"going on from {path}: step {self.progress.step}, {100 * self.done:.0f} % done")


def chosen_device(name: str) -> torch.device:
    """``auto`` is CUDA where there is one.

    Raises:
        DeviceError: CUDA was asked for and is not there.
    """
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise DeviceError("no CUDA device can be used by this PyTorch; use --device cpu, or a CUDA build of torch")
    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)


def chosen_precision(name: str, device: torch.device) -> torch.dtype:
    """``auto``: bfloat16 on a GPU that has it, float32 elsewhere (a CPU without such instructions is slower with it).

    Raises:
        UsageProblem: an unknown name, or float16 on a CPU.
    """
    if name == "auto":
        return torch.bfloat16 if device.type == "cuda" and torch.cuda.is_bf16_supported() else torch.float32
    known = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    if name not in known:
        raise UsageProblem(f"precision {name!r} is unknown; choose one of auto, {', '.join(known)}")
    if name == "fp16" and device.type == "cpu":
        raise UsageProblem("fp16 needs a GPU; use --precision bf16 or fp32 on a CPU")
    return known[name]


def batch_losses(model: SmallCaptioner, batch: Batch, precision: torch.dtype = torch.float32) -> Losses:
    """Losses of one batch; the encoder in a lower precision where asked, its heads in float32."""
    with torch.autocast(batch.pre.device.type, precision, enabled=precision != torch.float32):
        scores = model.encoder(batch.pre, batch.post, batch.valid, batch.gsd)
    return score_losses(Scores(*(part.float() for part in scores)), batch)


def _floats(model: SmallCaptioner) -> list[Tensor]:
    """Weights and batch statistics, without counters."""
    return [value for value in model.state_dict().values() if value.is_floating_point()]


def save_state(content: dict[str, Any], path: Path) -> None:
    """Write a checkpoint file: whole, or not at all.

    Raises:
        OutputError: the folder or the disk does not take it.
    """
    part = path.with_suffix(".part")
    try:
        torch.save(content, part)
        os.replace(part, path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error}; free some space and run the command again") from error


def load_state(path: Path) -> dict[str, Any]:
    """Read a checkpoint file; plain tensors and values, no code.

    Raises:
        InputError: it is not there, or not a checkpoint.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except PickleError as error:
        raise InputError(f"{path} is no checkpoint: more than numbers and texts in it, which is not loaded") from error
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        raise InputError(f"{path} is not a checkpoint of rsccli train: {error}") from error
    return state


def kept_checkpoints(folder: Path) -> list[Path]:
    """Checkpoints of a run, oldest first."""
    return sorted(folder.glob("step_*.pt"))


def best_checkpoint(folder: Path) -> Path:
    """The kept checkpoint with the best figure on development pairs.

    Raises:
        InputError: the folder has none.
    """
    kept = kept_checkpoints(folder)
    if not kept:
        raise InputError(f"{folder} holds no checkpoint (step_*.pt); run rsccli train -o {folder} first")
    return max(kept, key=lambda path: float(load_state(path)["choice"]))


def model_of(state: dict[str, Any]) -> SmallCaptioner:
    """The averaged network of a checkpoint, in eval mode."""
    model = SmallCaptioner(SmallConfig(**state["config"]))
    model.load_state_dict(state["average"])
    return model.eval()
