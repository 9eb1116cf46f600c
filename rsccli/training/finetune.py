"""Adapt the small captioner to a user's labelled pairs, and say what that gained on places that it never saw.

Places are split three ways: held-out ones, which are scored once before and once after; inner validation
places, which stop the training and set thresholds; and the others, which alone reach the optimizer. The
statistics of batch normalisation stay as they are: a few pairs would not estimate them.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from rsccli.errors import InputError, JournalMismatchError, OutputError
from rsccli.models.small.export import WEIGHTS, Calibration, Checkpoint, export_bundle
from rsccli.models.small.network import SmallCaptioner
from rsccli.training.batches import GeneratedDataset
from rsccli.training.bundle import LIMITS, TRAINING_DATA, training_looks
from rsccli.training.calibrate import fit_looks
from rsccli.training.gain import Figures, figures, recalibrated, score_pairs, shipped_calibration, with_domain
from rsccli.training.loop import (
    LOG,
    STATE,
    batch_losses,
    chosen_device,
    load_state,
    model_of,
    save_state,
    say_on_stderr,
)
from rsccli.training.losses import Losses
from rsccli.training.records import PairRecord
from rsccli.training.sides import Sides, split_pairs
from rsccli.training.user_pairs import UserPair, batch_of, fixed_views, native_share, training_view

BUNDLED = Path(__file__).parents[1] / "models" / "bundled" / "rsccli-small" / WEIGHTS
ADAPTED = "adapted.pt"
REPORT = "gain.json"
WARM_UP_STEPS = 10
GRADIENT_NORM = 1.0


@dataclass(frozen=True)
class FinetuneSpec:
    """All that decides a fine-tuning run.

    Attributes:
        output: folder of the run. start: checkpoint or bundled weights to start from; None: the bundled ones.
        data: imagery for generated pairs that are mixed in, against forgetting; None: user pairs alone.
        held_out: share of the pairs, by whole places, that is never learned from. validation: share of the others
            that stops the training and sets thresholds.
        epochs: most passes over the pairs. patience: epochs without progress on validation places before it stops.
        gsd_m: metres per pixel of images that do not say theirs.
    """

    output: Path
    start: Path | None = None
    data: Path | None = None
    held_out: float = 0.3
    validation: float = 0.25
    epochs: int = 12
    patience: int = 3
    batch_size: int = 8
    rate: float = 3e-4
    seed: int = 1
    threads: int = 1
    device: str = "auto"
    gsd_m: float = 0.6


@dataclass(frozen=True)
class Gain:
    """What a run was worth, on held-out places.

    Attributes:
        before: the start as it is shipped. recalibrated: the start with thresholds from the user's validation pairs.
        after: the adapted network with its thresholds. sides: see ``Sides.numbers``.
        epochs: learned. best_epoch: kept. notes: what to keep in mind. bundle: where it was written.
    """

    before: Figures
    recalibrated: Figures
    after: Figures
    sides: dict[str, dict[str, int]]
    epochs: int
    best_epoch: int
    notes: tuple[str, ...] = ()
    bundle: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        content = {**asdict(self), "notes": list(self.notes)}
        for name in ("before", "recalibrated", "after"):
            content[name] = getattr(self, name).as_dict()
        return content


@dataclass
class _Standing:
    """Where a run stands; stored in its checkpoint."""

    epoch: int = 0
    best: float = math.inf
    best_epoch: int = 0
    shown: dict[str, int] = field(default_factory=dict)


class Finetuner:
    """One run: made from sides and a spec, continued from its folder where that holds a checkpoint."""

    def __init__(
        self, sides: Sides, spec: FinetuneSpec, start: dict[str, Any], say: Callable[[str], None] = say_on_stderr
    ) -> None:
        self.sides, self.spec, self._say = sides, spec, say
        self.standing = _Standing()
        torch.set_num_threads(spec.threads)
        self.device = chosen_device(spec.device)
        self.model = network_of(start).to(self.device)
        self.best = copy.deepcopy(self.model.state_dict())
        self.share = native_share(sides.training)
        self.optimizer = torch.optim.AdamW(self.model.encoder.parameters(), spec.rate, weight_decay=0.01)
        self._generated = None if spec.data is None else GeneratedDataset(spec.data, spec.seed, spec.batch_size)
        self._steps = -(-len(sides.training) // spec.batch_size)
        self._origin = _fingerprint(sides, spec, start)
        try:
            spec.output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make {spec.output}: {error}; name a folder that can be written") from error
        if (spec.output / STATE).exists():
            self._resume(spec.output / STATE)

    def run(self) -> SmallCaptioner:
        """Train until validation places gain no more; the best network, in eval mode."""
        spec, standing = self.spec, self.standing
        if standing.epoch == 0:
            # What is kept must be better than where it started.
            standing.best = self._validation()
        while standing.epoch < spec.epochs and standing.epoch - standing.best_epoch < spec.patience:
            losses = self._epoch(standing.epoch)
            standing.epoch += 1
            loss = self._validation()
            if loss < standing.best:
                standing.best, standing.best_epoch = loss, standing.epoch
                self.best = copy.deepcopy(self.model.state_dict())
            self._log({"epoch": standing.epoch, "losses": losses, "validation": _number(loss)})
            self._say(f"epoch {standing.epoch} of at most {spec.epochs}: loss {losses['total']}, validation {loss:.4f}")
            self._keep()
        self.model.load_state_dict(self.best)
        return self.model.eval()

    def _epoch(self, epoch: int) -> dict[str, float]:
        spec = self.spec
        # Chance depends on seed and epoch alone: a resumed run goes on as if nothing had happened.
        torch.manual_seed(spec.seed * 100_003 + epoch)
        rng = np.random.default_rng([spec.seed, epoch])
        order = rng.permutation(len(self.sides.training))
        rows = []
        for step in range(self._steps):
            chosen = [self.sides.training[i] for i in order[step * spec.batch_size :][: spec.batch_size]]
            rows.append(self._step(chosen, rng, epoch * self._steps + step))
        means = dict(zip(Losses._fields, np.mean(rows, axis=0).round(4).tolist(), strict=True))
        return {**means, "total": round(float(np.mean([_weighted(Losses(*map(torch.tensor, r))) for r in rows])), 4)}

    def _step(self, pairs: Sequence[UserPair], rng: np.random.Generator, number: int) -> list[float]:
        self.model.train()
        for module in self.model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        part = number / max(1, self._steps * self.spec.epochs)
        rate = self.spec.rate * min(1.0, (number + 1) / WARM_UP_STEPS) * 0.5 * (1.0 + math.cos(math.pi * part))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        for pair in pairs:
            self.standing.shown[pair.record.where] = self.standing.shown.get(pair.record.where, 0) + 1
        losses = self._losses(pairs, [training_view(pair, rng, self.share) for pair in pairs])
        total = _weighted(losses)
        if self._generated is not None:
            batch = self._generated[number]
            total = total + batch_losses(self.model, type(batch)(*(x.to(self.device) for x in batch))).total
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.encoder.parameters(), GRADIENT_NORM)
        self.optimizer.step()
        return [float(loss.detach()) for loss in losses]

    def _losses(self, pairs: Sequence[UserPair], views: Sequence[Any]) -> Losses:
        batch = batch_of(views, [pair.complete for pair in pairs])
        return batch_losses(self.model, type(batch)(*(part.to(self.device) for part in batch)))

    def _validation(self) -> float:
        """Mean loss on inner validation pairs; without any, each epoch counts as progress."""
        pairs = [(pair, view) for pair in self.sides.validation for view in fixed_views(pair, self.share)]
        if not pairs:
            return -float(self.standing.epoch)
        self.model.eval()
        losses = []
        with torch.inference_mode():
            for first in range(0, len(pairs), self.spec.batch_size):
                some = pairs[first : first + self.spec.batch_size]
                value = float(_weighted(self._losses([pair for pair, _ in some], [view for _, view in some])))
                losses += [value] * len(some)
        return float(np.mean(losses))

    def _log(self, content: dict[str, Any]) -> None:
        try:
            with (self.spec.output / LOG).open("a", encoding="utf-8") as log:
                log.write(f"{json.dumps(content)}\n")
        except OSError as error:
            raise OutputError(f"cannot write {self.spec.output / LOG}: {error}; free some space") from error

    def _keep(self) -> None:
        content = {
            "origin": self._origin,
            "standing": asdict(self.standing),
            "model": self.model.state_dict(),
            "best": self.best,
            "optimizer": self.optimizer.state_dict(),
        }
        save_state(content, self.spec.output / STATE)

    def _resume(self, path: Path) -> None:
        state = load_state(path)
        if state.get("origin") != self._origin:
            raise JournalMismatchError(
                f"{path} belongs to other pairs, weights or options; use another output folder, or remove that one"
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.best, self.standing = state["best"], _Standing(**state["standing"])
        self._say(f"going on from {path}: {self.standing.epoch} epochs done")


def finetune(
    records: Sequence[PairRecord],
    spec: FinetuneSpec,
    *,
    bundle: bool = True,
    overwrite: bool = False,
    say: Callable[[str], None] = say_on_stderr,
) -> Gain:
    """Adapt, measure on held-out places, and write a bundle to ``bundle/`` in the folder of the run.

    Raises:
        InputError: no weights to start from, fewer than two places, nothing to learn from.
    """
    folder = spec.output / "bundle"
    if bundle and folder.exists() and not overwrite:
        raise OutputError(f"{folder} exists already; add --overwrite to replace it, or name another folder")
    path = start_path(spec.start)
    start = load_state(path)
    notes: list[str] = []
    sides = split_pairs(records, notes, spec.held_out, spec.validation, spec.seed, spec.gsd_m)
    if spec.data is None:
        notes.append("without --data, what the captioner knew beside these pairs is likely to fade")
    tuner = Finetuner(sides, spec, start, say)
    original = network_of(start).to(tuner.device)
    shipped = shipped_calibration(path)
    first = shipped or Calibration()
    seen = score_pairs(original, sides.held_out, tuner.share)
    fitted = recalibrated(first, score_pairs(original, sides.validation, tuner.share)) if sides.validation else first
    model = tuner.run()
    looks = _learn_looks(model, sides, spec, tuner.share)
    calibration = first
    if sides.validation:
        validation = score_pairs(model, sides.validation, tuner.share)
        calibration = recalibrated(first, validation)
        calibration = with_domain(calibration, validation) if looks else calibration
    else:
        notes.append("too few pairs to set thresholds: they stay as they were")
    if shipped is None:
        notes.append("the start has no thresholds of its own: before has them from the validation pairs too")
    after = figures(score_pairs(model, sides.held_out, tuner.share), calibration)
    if after.auc is not None and after.auc_vectors is not None and after.auc <= after.auc_vectors:
        notes.append("change vectors alone, which learn nothing, do as well: these pairs are too easy to tell by AUC")
    gain = Gain(
        before=figures(seen, shipped or fitted),
        recalibrated=figures(seen, fitted),
        after=after,
        sides=sides.numbers(),
        epochs=tuner.standing.epoch,
        best_epoch=tuner.standing.best_epoch,
        notes=tuple(notes),
        bundle=str(folder) if bundle else None,
    )
    save_state({**start, "average": model.cpu().state_dict()}, spec.output / ADAPTED)
    if bundle:
        write_bundle(model, start, calibration, spec, gain, overwrite=overwrite)
    (spec.output / REPORT).write_text(json.dumps(gain.as_dict(), indent=1) + "\n", encoding="utf-8")
    return gain


def start_path(start: Path | None) -> Path:
    """Weights to start from: a checkpoint, a bundle folder that holds ``weights.pt``, or the bundled ones.

    Raises:
        InputError: there are none.
    """
    path = BUNDLED if start is None else start
    path = path / WEIGHTS if path.is_dir() else path
    if not path.is_file():
        raise InputError(
            f"no weights at {path}: name a checkpoint of rsccli train captioner, or a bundle that it exported, with "
            "--from"
        )
    return path


def network_of(start: dict[str, Any]) -> SmallCaptioner:
    """The network of a checkpoint, in eval mode.

    Raises:
        InputError: it is a network of another shape, or none.
    """
    try:
        return model_of(start)
    except (RuntimeError, KeyError, TypeError) as error:
        raise InputError(
            "the weights to start from are not those of this version's captioner; train or export them again with "
            f"rsccli train captioner ({type(error).__name__})"
        ) from None


def write_bundle(
    model: SmallCaptioner,
    start: dict[str, Any],
    calibration: Calibration,
    spec: FinetuneSpec,
    gain: Gain,
    *,
    overwrite: bool,
) -> Path:
    """Export the adapted network as a bundle that ``rsccli caption -m`` takes."""
    training = gain.sides["training"]
    adapted = f" Adapted by its user to {training['pairs']} labelled pairs of {training['places']} places."
    checkpoint = Checkpoint(
        model=model.cpu().eval(),
        tokenizer=Tokenizer.from_str(start["tokenizer"]),
        calibration=calibration,
        revision=hashlib.sha256((spec.output / ADAPTED).read_bytes()).hexdigest(),
        training_data=TRAINING_DATA + adapted,
    )
    return export_bundle(checkpoint, spec.output / "bundle", limits=LIMITS, overwrite=overwrite)


def _learn_looks(model: SmallCaptioner, sides: Sides, spec: FinetuneSpec, share: float) -> bool:
    """Teach the network what its training data look like now: otherwise a user's imagery would stay foreign."""
    looks = score_pairs(model, sides.training, share).scores.looks
    rows = looks.reshape(-1, looks.shape[2])
    if spec.data is not None:
        rows = np.concatenate([rows, training_looks(model, spec.data, spec.seed)])
    if len(rows) < 2:
        return False
    fitted = fit_looks(rows)
    model.encoder.domain_mean.copy_(torch.from_numpy(fitted.mean))
    model.encoder.domain_white.copy_(torch.from_numpy(fitted.white))
    return True


def _weighted(losses: Losses) -> Tensor:
    """Their sum without clouds, which no user record tells of."""
    return losses._replace(cloud=torch.zeros_like(losses.cloud)).total


def _fingerprint(sides: Sides, spec: FinetuneSpec, start: dict[str, Any]) -> str:
    """Of all that decides the weights."""
    settings = {name: str(value) for name, value in asdict(spec).items() if name not in ("output", "threads", "start")}
    text = json.dumps([settings, [[str(pair.record) for pair in side] for side in (sides.training, sides.validation)]])
    digest = hashlib.sha256(text.encode())
    for value in start["average"].values():
        digest.update(value.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _number(value: float) -> float | None:
    return round(value, 5) if math.isfinite(value) else None
