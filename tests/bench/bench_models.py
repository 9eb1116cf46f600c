"""Large models: a bundle against what scripts do with the same checkpoint, captions a second at equal tokens.

The checkpoint is synthetic: Qwen2-VL's layout with random weights (about 50 M), because no published one is here; what
is compared is speed, not words. Every way captions the same tiles with the same prompt, greedily, the same number of
tokens. In each repetition all ways run in a new random order; the table shows medians, and the median of the ratios to
the first way within a repetition. Peak memory is that of a process of its own.

Usage: python tests/bench/bench_models.py [--tiles 32] [--repetitions 5] [--tokens 32] [--ways WORDS]
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from common import CACHE, last_json, machine, note, own_peak_mb, run_child, table

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "large")]

SIDE = 224
FIRST = "Describe what changed between the two images of this place, in one sentence."
TEXT_FIRST = f"{FIRST} Before: {{pre}} After: {{post}} Answer:"

Run = Callable[[], list[tuple[int, ...]]]
#: name -> (backend, batch size, decoder, shared beginning, prompt, bundle)
WAYS: dict[str, dict[str, Any]] = {
    "transformers generate(), one tile at a time": {"kind": "script", "batch": 1},
    "transformers generate(), batches of 8": {"kind": "script", "batch": 8},
    "--backend torch, 8": {"kind": "torch", "batch": 8},
    "bundle, lean, 1": {"kind": "bundle", "batch": 1},
    "bundle, lean, 8": {"kind": "bundle", "batch": 8},
    "bundle, lean, 8, beginning not shared": {"kind": "bundle", "batch": 8, "shared": False},
    "bundle, lean, 32": {"kind": "bundle", "batch": 32},
    "bundle, lean, 32, beginning not shared": {"kind": "bundle", "batch": 32, "shared": False},
    "bundle, lean, 32, words before the pictures": {"kind": "bundle", "batch": 32, "prompt": TEXT_FIRST},
    "the same, beginning not shared": {"kind": "bundle", "batch": 32, "prompt": TEXT_FIRST, "shared": False},
    "bundle, optimum, 8": {"kind": "bundle", "batch": 8, "decoder": "optimum"},
    "bundle, optimum, 32": {"kind": "bundle", "batch": 32, "decoder": "optimum"},
    "bundle, int8 decoder, lean, 8": {"kind": "int8", "batch": 8},
    "bundle, int8 decoder, lean, 32": {"kind": "int8", "batch": 32},
}


def make_checkpoint(folder: Path) -> None:
    """Qwen2-VL's layout at a size that this machine captions in seconds."""
    import checkpoints_a as made

    tokenizer = made._qwen_tokenizer(made.QWEN, False, 0)
    end, begin = made._ids(tokenizer, end="<|im_end|>", begin="<|endoftext|>").values()
    config = {
        "model_type": "qwen2_vl",
        "bos_token_id": begin,
        "eos_token_id": end,
        **made._qwen_vl_ids(tokenizer),
        "hidden_act": "silu",
        "hidden_size": 512,
        "intermediate_size": 1408,
        "num_attention_heads": 8,
        "num_key_value_heads": 2,
        "num_hidden_layers": 8,
        "vocab_size": 32000,
        "max_position_embeddings": 32768,
        "rms_norm_eps": 1e-06,
        "rope_theta": 1000000.0,
        "tie_word_embeddings": False,
        "use_sliding_window": False,
        "vision_config": {
            "depth": 6,
            "embed_dim": 384,
            "mlp_ratio": 4,
            "num_heads": 6,
            "hidden_size": 512,
            "in_chans": 3,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "spatial_patch_size": 14,
            "temporal_patch_size": 2,
        },
        "rope_scaling": {"type": "mrope", "mrope_section": [8, 12, 12]},
    }
    made.write_checkpoint(
        folder,
        config,
        tokenizer,
        made.QWEN2_TEMPLATE,
        files={"preprocessor_config": made._qwen2_pixels(14, "Qwen2VLProcessor", True)},
        generation=made._qwen_generation(tokenizer),
        seed=3,
    )


def prepare() -> tuple[Path, Path, Path]:
    """Checkpoint, bundle and int8 bundle; made once and kept."""
    folder = CACHE / "models"
    checkpoint, bundle, small = folder / "checkpoint", folder / "bundle", folder / "bundle-int8"
    if not small.exists():
        from rsccli.models.bundle import DECODER
        from rsccli.models.large.export import ExportJob, export, plan_export
        from rsccli.models.large.quantize import _quantize_graph
        from rsccli.models.large.sample import sample_pairs

        shutil.rmtree(folder, ignore_errors=True)
        note("making a checkpoint and its bundles")
        make_checkpoint(checkpoint)
        plan = plan_export(ExportJob(str(checkpoint), bundle, max_new_tokens=512))
        export(plan, sample_pairs(), note)
        # Past the check of --quantize: random weights say nothing about words, and only speed is asked here.
        work = folder / "part"
        shutil.copytree(bundle, work)
        _quantize_graph(bundle / DECODER, work / DECODER, True)
        manifest = json.loads((work / "rsccli.json").read_text())
        manifest["files"][DECODER]["bytes"] = (work / DECODER).stat().st_size
        import hashlib

        manifest["files"][DECODER]["sha256"] = hashlib.sha256((work / DECODER).read_bytes()).hexdigest()
        (work / "rsccli.json").write_text(json.dumps(manifest))
        work.rename(small)
    return checkpoint, bundle, small


def pairs_of(count: int) -> list[Any]:
    """Tile pairs cut from the example pair, all different."""
    import numpy as np
    import rasterio

    from rsccli.types import MapBounds, PxWindow, Tile, TilePair

    root = Path(__file__).resolve().parents[2] / "examples"
    dates = []
    for name in ("prairie_2012-07-31.tif", "prairie_2014-07-20.tif"):
        with rasterio.open(root / name) as source:
            dates.append(source.read([1, 2, 3]))
    rng = np.random.default_rng(0)
    valid = np.ones((SIDE, SIDE), bool)
    pairs = []
    for index in range(count):
        row, col = rng.integers(0, dates[0].shape[1] - SIDE), rng.integers(0, dates[0].shape[2] - SIDE)
        pre, post = (np.ascontiguousarray(date[:, row : row + SIDE, col : col + SIDE]) for date in dates)
        tile = Tile(f"r00000c{index:05d}", 0, index, PxWindow(0, 0, SIDE, SIDE), MapBounds(0.0, 0.0, 1.0, 1.0))
        pairs.append(TilePair(tile, pre, post, valid, 5.0))
    return pairs


def script(checkpoint: Path, batch: int, tokens: int, threads: int, pairs: Sequence[Any]) -> Run:
    """What published scripts do: processor and ``generate()``."""
    import numpy as np
    import torch
    from PIL import Image

    from rsccli.models.large.chat import chat_of
    from rsccli.models.large.checkpoint import load_processor, load_whole

    torch.set_num_threads(threads)
    processor = load_processor(checkpoint)
    model = load_whole("Qwen2VLForConditionalGeneration", checkpoint, torch.float32)
    model.generation_config.eos_token_id = None
    text = chat_of(processor).text(FIRST)

    def run() -> list[tuple[int, ...]]:
        said = []
        for start in range(0, len(pairs), batch):
            part = pairs[start : start + batch]
            images = [[Image.fromarray(np.moveaxis(d, 0, -1)) for d in (pair.pre, pair.post)] for pair in part]
            inputs = processor(
                text=[text] * len(part), images=images, padding=True, padding_side="left", return_tensors="pt"
            )
            with torch.inference_mode():
                out = model.generate(**inputs, do_sample=False, max_new_tokens=tokens)
            said += [tuple(row) for row in out[:, inputs["input_ids"].shape[1] :].tolist()]
        return said

    return run


def ours(folder: Path, way: dict[str, Any], tokens: int, threads: int, pairs: Sequence[Any], prompt: Path) -> Run:
    """Our captioners; nothing ends a caption but its length, so that all ways make as many tokens."""
    import dataclasses

    from rsccli.models.captioner import CaptionerOptions
    from rsccli.models.large.captioner import LargeFactory
    from rsccli.models.large.torch_backend import TorchFactory

    options = CaptionerOptions(
        device="cpu",
        backend="torch" if way["kind"] == "torch" else "onnx",
        decoder=way.get("decoder", "auto"),
        repetition_guard=False,
        max_new_tokens=tokens,
        prompt=str(prompt),
        threads=threads,
    )
    batch = way["batch"]
    if way["kind"] == "torch":
        captioner: Any = TorchFactory(folder).open(options)
        captioner._model.generation_config.eos_token_id = None

        def run_torch() -> list[tuple[int, ...]]:
            captions = [c for i in range(0, len(pairs), batch) for c in captioner.caption(pairs[i : i + batch])]
            return [(len(c.text),) for c in captions]

        return run_torch
    captioner = LargeFactory(folder).open(options)
    decoder = captioner._decoder
    if way.get("decoder") != "optimum":
        decoder._ends = frozenset({10**9})
    else:
        decoder._ends = frozenset({31999})
    if not way.get("shared", True):
        make = captioner._prompt
        captioner._prompt = lambda *given: dataclasses.replace(make(*given), shared=0)

    def run() -> list[tuple[int, ...]]:
        said = []
        for start in range(0, len(pairs), batch):
            said += captioner.decode(captioner.see(pairs[start : start + batch]), tokens)
        return [each.tokens for each in said]

    return run


def build(name: str, folders: tuple[Path, Path, Path], given: argparse.Namespace, pairs: Sequence[Any]) -> Run:
    """Load one way."""
    way = WAYS[name]
    checkpoint, bundle, small = folders
    if way["kind"] == "script":
        return script(checkpoint, way["batch"], given.tokens, given.threads, pairs)
    prompt = CACHE / "models" / f"prompt-{len(way.get('prompt', FIRST))}.txt"
    prompt.write_text(way.get("prompt", FIRST), encoding="utf-8")
    folder = {"torch": checkpoint, "bundle": bundle, "int8": small}[way["kind"]]
    return ours(folder, way, given.tokens, given.threads, pairs, prompt)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiles", type=int, default=32)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--ways", help="only ways with one of these words, e.g. 'lean, 8|optimum, 8'")
    parser.add_argument("--one", metavar="WAY")
    given = parser.parse_args()
    if not given.one:
        # In a process of its own, for the same reason.
        run_child([sys.executable, __file__, "--one", "nothing"])
    folders = prepare()
    pairs = pairs_of(given.tiles)
    if given.one == "nothing":
        return
    if given.one:
        run = build(given.one, folders, given, pairs)
        run()
        print(json.dumps({"peak_mb": own_peak_mb()}))
        return
    base = next(iter(WAYS))
    chosen = [name for name in WAYS if given.ways is None or any(each in name for each in given.ways.split("|"))]
    names = list(dict.fromkeys([base, *chosen]))
    # Before anything large is loaded here: a child inherits the peak of the process that started it.
    size = ["--tiles", str(given.tiles), "--tokens", str(given.tokens), "--threads", str(given.threads)]
    peaks = {n: last_json(run_child([sys.executable, __file__, "--one", n, *size]))["peak_mb"] for n in names}
    note("peak memory is measured")
    runs = {name: build(name, folders, given, pairs) for name in names}
    said = {}
    for name, run in runs.items():
        said[name] = run()
        note(f"warm: {name}")
    gc.collect()
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for repetition in range(given.repetitions):
        order = list(names)
        random.Random(repetition).shuffle(order)
        for name in order:
            start = time.perf_counter()
            runs[name]()
            seconds[name].append(time.perf_counter() - start)
        note(f"repetition {repetition + 1} of {given.repetitions}")
    rows = []
    for name in names:
        ratios = [first / own for first, own in zip(seconds[base], seconds[name], strict=True)]
        same = sum(a == b for a, b in zip(said[name], said[base], strict=True))
        equal = f"{same} of {given.tiles}" if WAYS[name]["kind"] != "torch" and "prompt" not in WAYS[name] else "-"
        rows.append(
            [
                name,
                f"{given.tiles / statistics.median(seconds[name]):.2f}",
                f"x{statistics.median(ratios):.2f}",
                equal,
                f"{peaks[name]:.0f}",
            ]
        )
    print("## Large models: ways to caption with one checkpoint\n")
    print(f"{machine()}\n")
    print(
        f"Synthetic checkpoint (Qwen2-VL's layout, random weights, 50 M); {given.tiles} real tile pairs of {SIDE} px, "
        f"{given.tokens} new tokens each, {given.threads} threads, fp32 unless said; medians of {given.repetitions} "
        "shuffled repetitions, ratios within a repetition. Not measured on a GPU.\n"
    )
    print(table(["way", "captions/s", "against the first", "same tokens as the first", "peak MB"], rows))


if __name__ == "__main__":
    main()
