"""Adapters on tiny random checkpoints: what is learnt, what never is, and that nothing changes on the way."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from tiny_checkpoint import make_llava, make_qwen2_vl

from rsccli.errors import DeviceError, InputError, JournalMismatchError, ModelError, UsageProblem
from rsccli.models.large.checkpoint import load_processor
from rsccli.training.chat import IGNORED, ChatFormat, Example, caption_logits, end_tokens, load_model
from rsccli.training.lora import LoraSpec, LoraTrainer
from rsccli.training.records import PairRecord

CAPTIONS = ("A house is new.", "Nothing.")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six pairs at six places, of two sizes; bright ones have a new house."""
    folder = tmp_path_factory.mktemp("pairs")
    rng = np.random.default_rng(0)
    lines = []
    for i in range(6):
        for date in ("pre", "post"):
            pixels = rng.integers(0, 100, (32, 48 if i < 3 else 32, 3)) + (150 if date == "post" and i % 2 == 0 else 0)
            cv2.imwrite(str(folder / f"place{i}_{date}.png"), pixels.astype(np.uint8))
        lines.append({"pre": f"place{i}_pre.png", "post": f"place{i}_post.png", "caption": CAPTIONS[i % 2]})
    (folder / "pairs.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder / "pairs.jsonl"


@pytest.fixture(scope="module")
def llava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_llava(tmp_path_factory.mktemp("llava"))


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_qwen2_vl(tmp_path_factory.mktemp("qwen"))


def _spec(checkpoint: Path, pairs: Path, output: Path) -> LoraSpec:
    return LoraSpec(
        checkpoint, pairs, output, prompt="What changed?", max_side=48, rank=4, alpha=16, epochs=4, rate=2e-2,
        batch_size=2, accumulate=2, held_out=0.34, samples=1, device="cpu", precision="fp32", checkpoint_steps=2,
    )  # fmt: skip


@pytest.fixture(scope="module")
def run(qwen: Path, pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> LoraSpec:
    """The spec of a run that is done."""
    spec = _spec(qwen, pairs, tmp_path_factory.mktemp("lora") / "run")
    LoraTrainer(spec).run()
    return spec


def _format(folder: Path) -> tuple[ChatFormat, object]:
    model, processor = load_model(folder, torch.float32), load_processor(folder)
    return ChatFormat(processor, end_tokens(model, processor.tokenizer), "What changed?"), model


def _examples() -> list[Example]:
    rng = np.random.default_rng(1)
    sizes = ((32, 32), (32, 48))
    return [
        Example(*(rng.integers(0, 255, (3, *size)).astype(np.uint8) for _ in range(2)), caption)
        for size, caption in zip(sizes, CAPTIONS, strict=True)
    ]


@pytest.mark.parametrize("make", [make_llava, make_qwen2_vl])
def test_only_the_words_of_captions_and_their_end_are_learnt(make: Callable[[Path], Path], tmp_path: Path):
    chat, _ = _format(make(tmp_path))
    batch = chat.batch(_examples())
    tokenizer = chat.processor.tokenizer
    for ids, labels, caption in zip(batch.inputs["input_ids"], batch.labels, CAPTIONS, strict=True):
        said = labels[labels != IGNORED]
        assert tokenizer.decode(said[:-1]).strip() == caption
        assert int(said[-1]) == tokenizer.eos_token_id
        assert torch.equal(ids[labels != IGNORED], said)
        before = tokenizer.decode(ids[: int((labels != IGNORED).nonzero()[0])])
        assert before.rstrip().lower().endswith(("assistant:", "assistant")) and caption not in before
    assert batch.tokens == sum(len(caption) for caption in CAPTIONS) + 2


@pytest.mark.parametrize("make", [make_llava, make_qwen2_vl])
def test_a_caption_counts_the_same_alone_and_in_a_batch(make: Callable[[Path], Path], tmp_path: Path):
    chat, model = _format(make(tmp_path))
    examples = _examples()
    with torch.no_grad():
        together = caption_logits(model, chat.batch(examples))[0]
        alone = torch.cat([caption_logits(model, chat.batch([example]))[0] for example in examples])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)


def test_a_prompt_ends_where_the_model_goes_on(qwen: Path):
    """Forced captions and ``generate`` see the same tokens before the caption."""
    chat, _ = _format(qwen)
    example = _examples()[0]
    asked = chat.ask([(example.pre, example.post)])["input_ids"][0]
    ids = chat.batch([example]).inputs["input_ids"][0]
    assert torch.equal(ids[: len(asked)], asked)


def test_the_loss_falls_and_the_report_has_held_out_figures_alone(run: LoraSpec, pairs: Path):
    log = [json.loads(line) for line in (run.output / "log.jsonl").read_text().splitlines()]
    losses = [entry["losses"]["caption"] for entry in log if "losses" in entry]
    development = [entry["development"]["loss"] for entry in log if "development" in entry]
    report = json.loads((run.output / "report.json").read_text())
    held = report["held_out"]
    assert held["after"]["loss"] == development[-1] and held["before"]["loss"] == development[0]
    trainer = LoraTrainer(run)
    assert trainer.step == trainer.steps == 4
    learnt = trainer.measure(trainer.train_records)
    fresh = LoraTrainer(replace(run, output=run.output.with_name("fresh")))
    assert learnt.loss < fresh.measure(fresh.train_records).loss - 0.2
    assert losses and held["before"]["pairs"] == held["after"]["pairs"] == len(held["places"]) == 2
    assert set(held["places"]).isdisjoint(report["train"]["places"]) and len(report["train"]["places"]) == 4
    assert "<polyline" in (run.output / "curves.svg").read_text()
    (sample,) = report["samples"]
    assert Path(sample["pre"]).stem.removesuffix("_pre") in held["places"] and {"before", "after"} <= set(sample)


def test_held_out_places_are_never_trained_on(run: LoraSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    trainer = LoraTrainer(replace(run, output=tmp_path))
    held_out = {record.place for record in trainer.held_out_records}
    seen: list[str] = []
    original = LoraTrainer._example

    def note(self: LoraTrainer, record: PairRecord, choice: int) -> Example:
        seen.append(record.place)
        return original(self, record, choice)

    monkeypatch.setattr(LoraTrainer, "_example", note)
    for step in range(trainer.steps):
        trainer._examples(step)
    assert set(seen) == {record.place for record in trainer.train_records} and not held_out & set(seen)
    assert len(seen) == 4 * len(trainer.train_records), "every pair once an epoch"


def test_merged_weights_say_what_the_adapters_say(run: LoraSpec):
    trainer = LoraTrainer(run)
    merged = load_model(run.output / "merged", torch.float32)
    chat = ChatFormat(load_processor(run.output / "merged"), end_tokens(merged, trainer.processor.tokenizer), "What?")
    batch = chat.batch(_examples())
    trainer.model.eval()
    with torch.no_grad():
        adapted, plain = caption_logits(trainer.model, batch)[0], caption_logits(merged, batch)[0]
        base = caption_logits(load_model(run.checkpoint, torch.float32), batch)[0]
    torch.testing.assert_close(plain, adapted, atol=2e-4, rtol=2e-4)
    assert (adapted - base).abs().max() > 0.1
    vision = [name for name, weight in trainer.model.named_parameters() if weight.requires_grad and "visual" in name]
    assert vision == [], "the vision encoder has no adapters"


def test_a_resumed_run_equals_an_uninterrupted_one(run: LoraSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    class Killed(Exception):
        pass

    spec = replace(run, output=tmp_path / "run")
    stopped = LoraTrainer(spec)
    update = stopped._update

    def until_the_fourth(examples: list[Example]) -> float:
        if stopped.step == 3:
            raise Killed
        return update(examples)

    monkeypatch.setattr(stopped, "_update", until_the_fourth)
    with pytest.raises(Killed):
        stopped.run()
    resumed = LoraTrainer(spec)
    assert resumed.step == 2
    report = resumed.run()
    whole = torch.load(run.output / "last.pt", weights_only=True)["adapter"]
    again = torch.load(spec.output / "last.pt", weights_only=True)["adapter"]
    assert whole.keys() == again.keys() and all(torch.equal(whole[name], again[name]) for name in whole)
    assert report["held_out"] == json.loads((run.output / "report.json").read_text())["held_out"]
    assert resumed.run() == report | {"samples": json.loads(json.dumps(report["samples"]))}, "done is done"


def test_a_run_is_not_resumed_with_other_settings(run: LoraSpec):
    with pytest.raises(JournalMismatchError, match="--rank 4, now it is 8"):
        LoraTrainer(replace(run, rank=8))


def test_settings_and_files_that_cannot_be_are_refused(run: LoraSpec, llava: Path, tmp_path: Path):
    with pytest.raises(ModelError, match="matches none of the"):
        LoraTrainer(replace(run, output=tmp_path / "a", targets="nothing"))
    with pytest.raises(UsageProblem, match="no regular expression"):
        LoraTrainer(replace(run, output=tmp_path / "b", targets="("))
    with pytest.raises(ModelError, match=r"config\.json"):
        LoraTrainer(replace(run, output=tmp_path / "c", checkpoint=tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "vision-encoder-decoder"}')
    with pytest.raises(ModelError):
        LoraTrainer(replace(run, output=tmp_path / "d", checkpoint=tmp_path))
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match="--device cpu"):
            LoraTrainer(replace(run, output=tmp_path / "e", device="cuda"))
    with pytest.raises(DeviceError, match="needs a GPU"):
        LoraTrainer(replace(run, output=tmp_path / "f", precision="fp16"))
    silent = run.pairs.with_name("silent.jsonl")
    silent.write_text('{"pre": "place0_pre.png", "post": "place0_post.png", "status": "changed"}')
    with pytest.raises(InputError, match="no record has a caption"):
        LoraTrainer(replace(run, output=tmp_path / "g", pairs=silent))


@pytest.mark.slow
def test_the_command_trains_llava_and_repeats_itself_from_its_recipe(llava: Path, pairs: Path, tmp_path: Path):
    def train(*options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "rsccli", "train", "lora", str(llava), str(pairs), *options]
        return subprocess.run(command, capture_output=True, text=True, timeout=300)

    first, second = tmp_path / "first", tmp_path / "second"
    options = ("--epochs", "1", "--rank", "2", "--max-side", "32", "--held-out", "0.3", "--samples", "0")
    done = train("-o", str(first), "--device", "cpu", "--save-memory", *options)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(first / "merged") and "exact captions" in done.stdout
    again = train("-o", str(second), "--config", str(first / "recipe.toml"), "--json", "-q")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["held_out"] == json.loads((first / "report.json").read_text())["held_out"]
    loaded = load_model(first / "merged", torch.float32)
    assert loaded.config.model_type == "llava"
