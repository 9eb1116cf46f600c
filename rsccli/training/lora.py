"""Fine-tuning of a large checkpoint with low-rank adapters (LoRA, Hu et al. 2021), on labelled pairs."""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from pickle import PickleError
from typing import TYPE_CHECKING, Any

import numpy as np

from rsccli.errors import DeviceError, InputError, OutputError
from rsccli.models.large.checkpoint import load_processor
from rsccli.training.adapters import TARGETS, Adapters, with_adapters, write_merged
from rsccli.training.chat import PROMPT, ChatFormat, Example, caption_logits, end_tokens, load_model
from rsccli.training.curves import LOG, draw_curves
from rsccli.training.images import read_images
from rsccli.training.places import split_by_place
from rsccli.training.recipe import Recipe, option_names, refuse_other_recipe, write_recipe
from rsccli.training.records import PLACE_KM, PairRecord, read_records

if TYPE_CHECKING:
    import torch

STATE, REPORT, ADAPTER, MERGED = "last.pt", "report.json", "adapter", "merged"
WARM_UP = 0.05
GRADIENT_NORM = 1.0
REPORT_STEPS = 5
#: Settings that a resumed run may change: they decide no number.
FREE = frozenset({"device", "checkpoint-steps", "output"})


@dataclass(frozen=True)
class LoraSpec:
    """All that decides a run.

    Attributes:
        checkpoint: folder of the large model. pairs: file of records. output: folder of the run.
        prompt: what the model is asked. max_side: larger images are averaged down, pixels.
        rank, alpha, dropout: of the adapters. targets: regular expression on names of linear layers.
        epochs: times that every pair is seen. rate: highest learning rate.
        batch_size: pairs at once. accumulate: batches in a step.
        held_out: share of pairs that is never trained on. place_km: see ``read_records``.
        samples: held-out pairs that are captioned before and after. checkpoint_steps: between checkpoints.
        save_memory: compute activations again instead of keeping them.
    """

    checkpoint: Path
    pairs: Path
    output: Path
    prompt: str = PROMPT
    max_side: int = 448
    rank: int = 16
    alpha: int = 32
    dropout: float = 0.05
    targets: str = TARGETS
    epochs: int = 3
    rate: float = 1e-4
    batch_size: int = 1
    accumulate: int = 8
    held_out: float = 0.2
    place_km: float = PLACE_KM
    samples: int = 4
    seed: int = 1
    device: str = "auto"
    precision: str = "auto"
    checkpoint_steps: int = 50
    save_memory: bool = False


@dataclass(frozen=True)
class HeldOutFigures:
    """Figures of held-out pairs, captions forced.

    Attributes:
        pairs, tokens: how many. loss: mean over tokens, nats. token_accuracy: share of tokens that come first, 0-1.
        exact_captions: captions that greedy decoding would say word for word.
    """

    pairs: int
    tokens: int
    loss: float
    token_accuracy: float
    exact_captions: int


class LoraTrainer:
    """One run; goes on from its folder where that holds a checkpoint."""

    def __init__(self, spec: LoraSpec, say: Callable[[str], None] = lambda _: None) -> None:
        import torch

        self.spec, self._say = spec, say
        records = tuple(record for record in read_records(spec.pairs, spec.place_km) if record.captions)
        if not records:
            raise InputError(f"{spec.pairs}: no record has a caption, and captions are what is learnt here")
        self.train_records, self.held_out_records = split_by_place(records, spec.held_out, spec.seed)
        self.device, self.dtype = _device(spec.device), _precision(spec.precision, _device(spec.device))
        recipe = _recipe(spec, records)
        refuse_other_recipe(spec.output, recipe, FREE)
        torch.manual_seed(spec.seed)
        base = load_model(spec.checkpoint, self.dtype)
        if spec.save_memory:
            base.gradient_checkpointing_enable({"use_reentrant": False})
        adapters = Adapters(spec.rank, spec.alpha, spec.dropout, spec.targets)
        self.model = with_adapters(base, adapters).to(self.device)
        self.processor = load_processor(spec.checkpoint)
        self.format = ChatFormat(self.processor, end_tokens(self.model, self.processor.tokenizer), spec.prompt)
        self._weights = [weight for weight in self.model.parameters() if weight.requires_grad]
        self._optimizer = torch.optim.AdamW(self._weights, lr=spec.rate, weight_decay=0.0)
        self._scaler = torch.amp.GradScaler(self.device.type, enabled=self.dtype == torch.float16)
        self.step, self.seconds = 0, 0.0
        self.before: HeldOutFigures | None = None
        self._said_before: list[str] = []
        write_recipe(spec.output, recipe)
        if (spec.output / STATE).exists():
            self._resume(spec.output / STATE)

    @property
    def steps_in_epoch(self) -> int:
        """Updates of the weights in one pass over the training records."""
        return -(-len(self.train_records) // (self.spec.batch_size * self.spec.accumulate))

    @property
    def steps(self) -> int:
        """Updates of the whole schedule."""
        return self.steps_in_epoch * self.spec.epochs

    def run(self) -> dict[str, Any]:
        """Train to the end, write adapter, merged weights and report; the report's content."""
        spec = self.spec
        if self.step >= self.steps and (spec.output / REPORT).is_file() and (spec.output / MERGED).is_dir():
            report: dict[str, Any] = json.loads((spec.output / REPORT).read_text(encoding="utf-8"))
            return report
        places = len({record.place for record in self.held_out_records})
        self._say(
            f"{len(self.train_records)} pairs to learn from, {len(self.held_out_records)} held out in {places} places; "
            f"{self.steps} steps on {self.device} in {str(self.dtype).removeprefix('torch.')}"
        )
        if self.before is None:
            self.before = self.measure(self.held_out_records)
            self._said_before = self._samples()
            self._log({"development": asdict(self.before)})
            self._say(f"before: {_line(self.before)}")
        after: HeldOutFigures | None = None
        recent: list[float] = []
        noted = time.monotonic()
        while self.step < self.steps:
            recent.append(self._update(self._examples(self.step)))
            self.step += 1
            self.seconds += time.monotonic() - noted
            if self.step % REPORT_STEPS == 0 or self.step == self.steps:
                loss = float(np.mean(recent))
                recent.clear()
                self._log({"losses": {"caption": round(loss, 5)}})
                self._say(f"step {self.step} of {self.steps}: loss {loss:.4f}, {self.seconds / 60:.1f} min")
            if self.step % self.steps_in_epoch == 0:
                after = self.measure(self.held_out_records)
                self._log({"development": asdict(after)})
                self._say(f"after {self.step // self.steps_in_epoch} of {spec.epochs} epochs: {_line(after)}")
            if self.step % spec.checkpoint_steps == 0 or self.step == self.steps:
                self._keep()
            noted = time.monotonic()
        return self._finish(after or self.measure(self.held_out_records))

    def measure(self, records: Sequence[PairRecord]) -> HeldOutFigures:
        """Figures of records, by the first caption of each."""
        import torch

        self.model.eval()
        tokens = right = exact = 0
        total = 0.0
        with torch.no_grad():
            for record in records:
                batch = self.format.batch([self._example(record, 0)]).to(self.device, self.dtype)
                logits, wanted = caption_logits(self.model, batch)
                total += float(torch.nn.functional.cross_entropy(logits, wanted, reduction="sum"))
                hits = int((logits.argmax(-1) == wanted).sum())
                tokens, right, exact = tokens + len(wanted), right + hits, exact + (hits == len(wanted))
        return HeldOutFigures(len(records), tokens, round(total / tokens, 5), round(right / tokens, 5), exact)

    def _examples(self, step: int) -> list[Example]:
        """Examples of one update; they depend on the seed and the step alone, so that a resumed run sees the same."""
        epoch, within = divmod(step, self.steps_in_epoch)
        rng = np.random.default_rng([self.spec.seed, epoch])
        order = rng.permutation(len(self.train_records))
        captions = rng.integers(0, 2**31, len(self.train_records))
        size = self.spec.batch_size * self.spec.accumulate
        return [self._example(self.train_records[i], captions[i]) for i in order[within * size : (within + 1) * size]]

    def _example(self, record: PairRecord, choice: int) -> Example:
        images = read_images(record, self.spec.max_side)
        return Example(images.pre, images.post, record.captions[int(choice) % len(record.captions)])

    def _update(self, examples: Sequence[Example]) -> float:
        import torch

        # Dropout is drawn anew from the step: resuming changes nothing.
        torch.manual_seed(self.spec.seed * 1_000_003 + self.step)
        self.model.train()
        size = self.spec.batch_size
        batches = [self.format.batch(examples[i : i + size]) for i in range(0, len(examples), size)]
        tokens = sum(batch.tokens for batch in batches)
        total = 0.0
        for batch in batches:
            logits, wanted = caption_logits(self.model, batch.to(self.device, self.dtype))
            # Divided by the tokens of the whole step: long captions count as much as short ones, token by token.
            loss = torch.nn.functional.cross_entropy(logits, wanted, reduction="sum") / tokens
            self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        for group in self._optimizer.param_groups:
            group["lr"] = self.spec.rate * _schedule(self.step, self.steps)
        self._scaler.unscale_(self._optimizer)
        torch.nn.utils.clip_grad_norm_(self._weights, GRADIENT_NORM)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._optimizer.zero_grad(set_to_none=True)
        return total

    def _samples(self) -> list[str]:
        """What the model says now of the first held-out pairs."""
        import torch

        self.model.eval()
        said = []
        for record in self.held_out_records[: self.spec.samples]:
            images = read_images(record, self.spec.max_side)
            inputs = self.format.ask([(images.pre, images.post)])
            inputs = {k: v.to(self.device, self.dtype if v.is_floating_point() else v.dtype) for k, v in inputs.items()}
            with torch.no_grad():
                ids = self.model.generate(**inputs, do_sample=False, max_new_tokens=96)
            said.append(self.format.words(ids[0, inputs["input_ids"].shape[1] :]))
        return said

    def _keep(self) -> None:
        from peft import get_peft_model_state_dict

        content = {
            "adapter": get_peft_model_state_dict(self.model),
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "progress": {"step": self.step, "seconds": self.seconds},
            "before": asdict(self.before) if self.before else None,
            "said_before": self._said_before,
        }
        _save(content, self.spec.output / STATE)

    def _resume(self, path: Path) -> None:
        import torch
        from peft import set_peft_model_state_dict

        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            set_peft_model_state_dict(self.model, state["adapter"])
            self._optimizer.load_state_dict(state["optimizer"])
            self._scaler.load_state_dict(state["scaler"])
            self.step, self.seconds = int(state["progress"]["step"]), float(state["progress"]["seconds"])
            self.before, self._said_before = HeldOutFigures(**state["before"]), list(state["said_before"])
        except (OSError, RuntimeError, EOFError, KeyError, TypeError, ValueError, PickleError) as error:
            raise InputError(f"{path}: not a checkpoint of rsccli train lora ({error}); use another folder") from error
        self._say(f"going on from {path}: step {self.step} of {self.steps}")

    def _log(self, content: dict[str, Any]) -> None:
        pairs = min(self.step * self.spec.batch_size * self.spec.accumulate, self.spec.epochs * len(self.train_records))
        line = {"step": self.step, "pairs": pairs, "seconds": round(self.seconds, 2), **content}
        try:
            with (self.spec.output / LOG).open("a", encoding="utf-8") as log:
                log.write(json.dumps(line) + "\n")
        except OSError as error:
            raise OutputError(f"cannot write {self.spec.output / LOG}: {error}; free some space") from error

    def _finish(self, after: HeldOutFigures) -> dict[str, Any]:
        output = self.spec.output
        said = zip(self.held_out_records, self._said_before, self._samples(), strict=False)
        report = {
            "checkpoint": str(self.spec.checkpoint),
            "train": {"pairs": len(self.train_records), "places": sorted({r.place for r in self.train_records})},
            "held_out": {
                "places": sorted({r.place for r in self.held_out_records}),
                "before": asdict(self.before) if self.before else None,
                "after": asdict(after),
            },
            "steps": self.step,
            "seconds": round(self.seconds, 1),
            "samples": [
                {"pre": r.pre.name, "post": r.post.name, "captions": r.captions, "before": b, "after": a}
                for r, b, a in said
            ],
        }
        try:
            self.model.save_pretrained(output / ADAPTER)
            self.model = write_merged(self.model, self.processor, self.spec.checkpoint, output / MERGED)
            (output / REPORT).write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        except OSError as error:
            raise OutputError(f"cannot write into {output}: {error}; free some space, then run it again") from error
        draw_curves(output / LOG, output / "curves.svg")
        return report


def _schedule(step: int, steps: int) -> float:
    """Linear from 0, then a cosine down to a hundredth."""
    warm = max(1, round(WARM_UP * steps))
    if step < warm:
        return (step + 1) / warm
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def _recipe(spec: LoraSpec, records: Sequence[PairRecord]) -> Recipe:
    digest = hashlib.sha256()
    for record in records:
        digest.update(json.dumps([record.pre.name, record.post.name, record.captions, record.place]).encode())
    files = sorted((path.name, path.stat().st_size) for path in spec.checkpoint.glob("*.safetensors"))
    model = hashlib.sha256(json.dumps(files).encode())
    if (spec.checkpoint / "config.json").is_file():
        model.update((spec.checkpoint / "config.json").read_bytes())
    settings = option_names(
        {name: value for name, value in asdict(spec).items() if name not in ("checkpoint", "pairs")}
    )
    inputs = {"records": digest.hexdigest(), "checkpoint": model.hexdigest()}
    return Recipe("lora", (str(spec.checkpoint), str(spec.pairs)), settings, inputs)


def _device(name: str) -> torch.device:
    import torch

    if name.startswith("cuda") and not torch.cuda.is_available():
        raise DeviceError("no CUDA device can be used by this PyTorch; use --device cpu, or a CUDA build of torch")
    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)


def _precision(name: str, device: torch.device) -> torch.dtype:
    import torch

    if name == "fp16" and device.type == "cpu":
        raise DeviceError("--precision fp16 needs a GPU; use bf16 or fp32 on the CPU")
    if name == "auto":
        name = "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "fp32"
    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[name]


def _line(figures: HeldOutFigures) -> str:
    return (
        f"loss {figures.loss:.4f}, {100 * figures.token_accuracy:.1f} % of {figures.tokens} tokens, "
        f"{figures.exact_captions} of {figures.pairs} captions exact on held-out places"
    )


def _save(content: dict[str, Any], path: Path) -> None:
    import torch

    part = path.with_suffix(".part")
    try:
        torch.save(content, part)
        os.replace(part, path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error}; free some space and run the command again") from error
