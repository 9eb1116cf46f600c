"""The script that a user would write today: one tile at a time, WarpedVRT, the same three graphs and thresholds.

Opens both images for every window of pre's grid, warps post onto it, runs the encoder on one tile, takes the facts from
its scores, decodes greedily with the past handed over as numpy arrays, and writes one GeoJSON at the end. No mask
beyond the VRT's alpha, no shift measured, no journal, no report.

Usage: python tests/bench/naive_caption.py PRE POST OUT BUNDLE [--skip-unchanged]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import rasterio
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds
from rasterio.windows import Window
from tokenizers import Tokenizer

from rsccli.models.manifest import parse_manifest
from rsccli.models.small.facts import prompt_words
from rsccli.models.small.reading import Window as Scores
from rsccli.models.small.reading import read_windows

TILE = 256


def prepare(pixels: np.ndarray, manifest: dict) -> np.ndarray:
    """Normalised (1, 3, side, side)."""
    values = (pixels.transpose(1, 2, 0) / 255 - manifest["input"]["mean"]) / manifest["input"]["std"]
    return values.transpose(2, 0, 1)[None].astype(np.float32)


def seen(encoder, feeds: dict) -> Scores:
    """The encoder's scores of one tile."""
    names = [output.name for output in encoder.get_outputs()]
    out = dict(zip(names, encoder.run(names, feeds), strict=True))
    return Scores(
        tokens=out["image_tokens"][0],
        change=float(out["change_logit"][0]),
        vectors=float(out["change_vector"][0]),
        keywords=out["keyword_logits"][0],
        domain=tuple(map(float, out["domain"][0])),
        mask=out["mask_logits"][0, 0],
        classes=out["class_logits"][0],
        cloud=out["cloud_logits"][0],
        valid=feeds["valid"][0, 0, 2::4, 2::4] > 0,
        row=0,
        col=0,
        height=TILE,
        width=TILE,
    )


def decode(embed, decoder, tokens: np.ndarray, prompt: list[int], manifest: dict) -> list[int]:
    """Greedy decoding of one tile after its facts."""
    spec, special = manifest["decoder"], manifest["tokens"]
    begin = embed.run(None, {"input_ids": np.array([[*prompt, special["bos"]]], np.int64)})[0]
    embeds = np.concatenate([tokens, begin], axis=1)
    total = embeds.shape[1]
    positions = np.arange(total, dtype=np.int64)[None]
    names = [f"past_key_values.{i}.{kind}" for i in range(spec["layers"]) for kind in ("key", "value")]
    past = [np.zeros((1, spec["heads"], 0, spec["head_dim"]), np.float32) for _ in names]
    out: list[int] = []
    for _ in range(special["max_new_tokens"]):
        feeds = {
            "inputs_embeds": embeds,
            "attention_mask": np.ones((1, total), np.int64),
            "position_ids": positions,
            **dict(zip(names, past, strict=True)),
        }
        logits, *past = decoder.run(None, feeds)
        token = int(logits[0, -1].argmax())
        if token == special["eos"]:
            break
        out.append(token)
        embeds = embed.run(None, {"input_ids": np.array([[token]], np.int64)})[0]
        positions = np.array([[total]], np.int64)
        total += 1
    return out


def main() -> None:
    """Caption every window."""
    pre_path, post_path, out_path, bundle = sys.argv[1:5]
    skip_unchanged = "--skip-unchanged" in sys.argv
    folder = Path(bundle)
    manifest = json.loads((folder / "rsccli.json").read_text())
    rules = parse_manifest((folder / "rsccli.json").read_text(), folder / "rsccli.json")
    encoder, embed, decoder = (
        onnxruntime.InferenceSession(folder / f"{name}.onnx", providers=["CPUExecutionProvider"])
        for name in ("encoder", "embed", "decoder")
    )
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    with rasterio.open(pre_path) as src:
        width, height, crs, grid = src.width, src.height, src.crs, src.transform
    features = []
    for row in range(0, height, TILE):
        for col in range(0, width, TILE):
            window = Window(col, row, TILE, TILE)
            with rasterio.open(pre_path) as src:
                transform = src.window_transform(window)
                pre = src.read([1, 2, 3], window=window, boundless=True)
            with (
                rasterio.open(post_path) as src,
                WarpedVRT(
                    src,
                    crs=crs,
                    transform=transform,
                    width=TILE,
                    height=TILE,
                    resampling=Resampling.bilinear,
                    add_alpha=True,
                ) as vrt,
            ):
                post = vrt.read()
            valid = post[3] > 0
            if not valid.any():
                continue
            mask = valid.astype(np.float32)[None, None]
            feeds = {
                "pre": prepare(pre, manifest) * mask,
                "post": prepare(post[:3], manifest) * mask,
                "valid": mask,
                "gsd": np.array([abs(transform.a)], np.float32),
            }
            scores = seen(encoder, feeds)
            reading = read_windows([scores], valid, rules, None)
            if skip_unchanged and reading.status == "unchanged":
                text = manifest.get("unchanged_text") or ""
            else:
                prompt = [tokenizer.token_to_id(word) for word in prompt_words(reading.facts, "short")]
                text = tokenizer.decode(decode(embed, decoder, scores.tokens[None], prompt, manifest))
            left, top = grid @ (col, row)
            right, bottom = grid @ (col + TILE, row + TILE)
            west, south, east, north = transform_bounds(crs, "EPSG:4326", left, bottom, right, top)
            ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
            features.append(
                {
                    "type": "Feature",
                    "geometry": {"type": "Polygon", "coordinates": [ring]},
                    "properties": {
                        "tile_row": row // TILE,
                        "tile_col": col // TILE,
                        "caption": text,
                        "change_score": reading.score,
                    },
                }
            )
    Path(out_path).write_text(json.dumps({"type": "FeatureCollection", "features": features}))


if __name__ == "__main__":
    main()
