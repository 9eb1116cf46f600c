"""Reading a long prompt: in stretches, as the decoders do, against the whole of it at once.

The decoder is synthetic (Qwen 2's layout, random weights, four layers of width 896): only time and memory are asked.
Each figure is of a process of its own, processor seconds of the second of two readings. The limit is the rate of
a plain matrix product of numpy on the same core, for the arithmetic that a causal decoder needs at least.

Usage: python tests/bench/bench_prefill.py [--sizes 1x700,8x700,8x1400,1x6700]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from common import CACHE, last_json, machine, note, own_peak_mb, run_child, table

LAYERS, WIDTH, INNER, HEADS, KV_HEADS, VOCAB = 4, 896, 4864, 14, 2, 32000
HEAD_DIM = WIDTH // HEADS
FOLDER = CACHE / "prefill"


def make_graphs() -> None:
    """A random decoder and its embeddings; made once and kept."""
    import torch
    from transformers import Qwen2Config, Qwen2Model

    from rsccli.models.families.modules.language import language_decoder
    from rsccli.models.large.graphs import write_decoder, write_embedding

    FOLDER.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    config = Qwen2Config(
        hidden_size=WIDTH,
        intermediate_size=INNER,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS,
        vocab_size=VOCAB,
    )
    model, head = Qwen2Model(config).eval(), torch.nn.Linear(WIDTH, VOCAB, bias=False)
    write_embedding(model.embed_tokens.weight, "fp32", 20, FOLDER / "embed.onnx")
    write_decoder(language_decoder(model, head), "fp32", 20, FOLDER / "decoder.onnx")


def read(rows: int, length: int, whole: bool) -> None:
    """Read one prompt twice and print what it took."""
    import numpy as np

    from rsccli.models.decoding import prefill
    from rsccli.models.decoding.lean import LeanDecoder
    from rsccli.models.decoding.tokens import NO_LOOP_RULE, Prompt
    from rsccli.models.devices import Device
    from rsccli.models.manifest import DecoderSpec
    from rsccli.models.sessions import open_session

    if whole:
        prefill.TOKENS = prefill.SCORES_BYTES = 2**60
    device, spec = Device("cpu"), DecoderSpec(LAYERS, KV_HEADS, HEAD_DIM, WIDTH, VOCAB)
    graphs = [open_session(FOLDER / name, device, 1) for name in ("embed.onnx", "decoder.onnx")]
    lean = LeanDecoder(*graphs, spec, ends=frozenset({2}), pad=0, device=device, loops=NO_LOOP_RULE)
    embeds = np.random.default_rng(0).normal(0, 1, (rows, length, WIDTH)).astype(np.float32)
    prompt = Prompt(embeds, np.ones((rows, length), np.int64))
    for _ in range(2):
        start = time.process_time()
        said = lean.decode(prompt, 1)
        seconds = time.process_time() - start
    print(json.dumps({"s": seconds, "peak_mb": own_peak_mb(), "tokens": [each.tokens for each in said]}))


def matmul_rate() -> float:
    """Floating point operations a second of a plain matrix product on one core."""
    import numpy as np

    left, right = np.ones((1024, WIDTH), np.float32), np.ones((WIDTH, INNER), np.float32)
    best = 1e9
    for _ in range(10):
        start = time.process_time()
        left @ right
        best = min(best, time.process_time() - start)
    return 2 * 1024 * WIDTH * INNER / best


def operations(rows: int, length: int) -> float:
    """Least arithmetic of a causal reading: weights once for each token, half of the square of scores twice."""
    weights = LAYERS * (WIDTH * WIDTH * 2 + 2 * WIDTH * KV_HEADS * HEAD_DIM + 3 * WIDTH * INNER)
    return 2 * rows * length * weights + 2 * LAYERS * rows * WIDTH * length * length


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="1x700,8x700,32x700,8x1400,1x6700")
    parser.add_argument("--one", nargs=3)
    given = parser.parse_args()
    if given.one:
        read(int(given.one[0]), int(given.one[1]), given.one[2] == "whole")
        return
    if not (FOLDER / "decoder.onnx").exists():
        run_child([sys.executable, "-c", f"import sys; sys.path[:0]=[{str(Path(__file__).parent)!r}]\n"
                   "import bench_prefill; bench_prefill.make_graphs()"])  # fmt: skip
    rate = matmul_rate()
    rows = []
    for size in given.sizes.split(","):
        count, length = map(int, size.split("x"))
        both = {}
        for way in ("whole", "stretches"):
            both[way] = last_json(run_child([sys.executable, __file__, "--one", str(count), str(length), way]))
            note(f"{size} {way}: {both[way]['s']:.1f} s")
        old, new = both["whole"], both["stretches"]
        share = operations(count, length) / rate / new["s"]
        same = sum(a == b for a, b in zip(old["tokens"], new["tokens"], strict=True))
        rows.append(
            [
                f"{count} x {length}",
                f"{old['s']:.1f}",
                f"{new['s']:.1f}",
                f"x{old['s'] / new['s']:.2f}",
                f"{share:.0%}",
                f"{old['peak_mb']:.0f}",
                f"{new['peak_mb']:.0f}",
                f"{same} of {count}",
            ]
        )
    print("## Long prompts: read in stretches against read at once\n")
    print(f"{machine()}\n")
    print(
        "Synthetic decoder (Qwen 2's layout, random weights, four layers of width 896), fp32, one thread, processor "
        f"seconds; a plain matrix product reached {rate / 1e9:.0f} GFLOP/s in this run, and the column of the limit is "
        "the share of it that the reading in stretches reached. Not measured on a GPU.\n"
    )
    head = ["tiles x tokens", "at once, s", "in stretches, s", "faster", "of the limit", "at once, MB", "stretches, MB"]
    print(table([*head, "same next token"], rows))


if __name__ == "__main__":
    main()
