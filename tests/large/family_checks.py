"""What every family must hold: a small random checkpoint, exported, says what ``generate()`` says.

A test of a family makes its checkpoint (see ``checkpoints_a.py`` and ``checkpoints_b.py``), exports it once, and runs
`check_parity` for greedy decoding and four beams, one tile, batches, and tiles of other shapes.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from rsccli.models.captioner import CaptionerOptions
from rsccli.models.decoding import prefill
from rsccli.models.large.captioner import LargeCaptioner, LargeFactory
from rsccli.models.large.export import ExportJob, export, plan_export
from rsccli.models.large.family import Family
from rsccli.models.large.parity import reference_captions
from rsccli.models.large.pictures import pair_pictures
from rsccli.models.large.question import question_of
from rsccli.models.large.sample import sample_pairs
from rsccli.run.caption import CaptionJob, prepare_job, run_caption
from rsccli.types import TilePair

STEPS = 16
BATCHES = ((0,), (0, 2), (1, 0, 2))


@dataclass(frozen=True)
class Exported:
    """A checkpoint and the bundle made from it, with the model still at hand."""

    checkpoint: Path
    bundle: Path
    family: Family
    model: Any
    processor: Any

    def open(self, **options: Any) -> LargeCaptioner:
        """The bundle, without the guard against repetition: ``generate()`` has none."""
        given = {"device": "cpu", "repetition_guard": False, "max_new_tokens": STEPS, "threads": 1, **options}
        return LargeFactory(self.bundle).open(CaptionerOptions(**given))


def export_small(make: Callable[..., Any], folder: Path, **options: Any) -> Exported:
    """Make a checkpoint and export it (with the comparison that every export does)."""
    checkpoint, bundle = folder / "checkpoint", folder / "bundle"
    make(checkpoint)
    # At published width the model that was saved would lie beside the one that is exported.
    gc.collect()
    plan = plan_export(ExportJob(str(checkpoint), bundle, **options))
    export(plan, sample_pairs())
    processor = plan.family.processor(checkpoint)
    return Exported(checkpoint, bundle, plan.family, plan.family.model(checkpoint, torch.float32), processor)


def reference(exported: Exported, captioner: LargeCaptioner, pairs: Sequence[TilePair], beams: int = 1) -> list[Any]:
    """Tokens of ``generate()``, cut at the first end."""
    reader, chat = captioner.reader, captioner.manifest.chat
    images = [pair_pictures(pair, reader.mosaic) for pair in pairs]
    texts = [question_of(captioner.template, pair, chat, reader.mosaic).text for pair in pairs]
    rows, _, _ = reference_captions(
        exported.family,
        exported.model,
        exported.processor,
        images,
        texts,
        do_sample=False,
        num_beams=beams,
        max_new_tokens=STEPS,
    )
    ends = captioner.manifest.tokens.ends
    return [row[: next((i for i, token in enumerate(row) if token in ends), len(row))] for row in rows]


@contextmanager
def short_stretches() -> Iterator[None]:
    """Prompts are read five tokens at a time, as very long ones are read in stretches."""
    with patch.object(prefill, "SCORES_BYTES", 0), patch.object(prefill, "LEAST_TOKENS", 5):
        yield


@dataclass(frozen=True)
class Compared:
    """How much was compared, and all of it equal: captions and their tokens."""

    captions: int
    tokens: int


def check_wide(exported: Exported, beam_tiles: int = 2) -> tuple[Compared, Compared]:
    """A checkpoint of published width: all of `check_parity` greedily, a batch of tiles with four beams."""
    # Reading five tokens at a time would take half an hour at this width.
    greedy = check_parity(exported, in_stretches=False)
    return greedy, check_parity(exported, 4, [BATCHES[1][:beam_tiles]], in_stretches=False)


def check_parity(
    exported: Exported, beams: int = 1, batches: Sequence[Sequence[int]] = BATCHES, *, in_stretches: bool = True
) -> Compared:
    """One tile, a batch with different valid areas, and mixed shapes: the same tokens as ``generate()``.

    Args:
        batches: of the sample pairs: 0 is whole, 1 has another shape, 2 is valid in part.
        in_stretches: read the last batch again, a few tokens at a time.
    """
    captioner = exported.open(num_beams=beams)
    try:
        samples = sample_pairs()
        seen_words, captions, tokens = set(), 0, 0
        for batch in batches:
            pairs = [samples[place] for place in batch]
            ours = [each.tokens for each in captioner.decode(captioner.see(pairs), STEPS)]
            theirs = reference(exported, captioner, pairs, beams)
            assert ours == theirs
            captions, tokens = captions + len(ours), tokens + sum(map(len, ours))
            seen_words.update(ours)
        if in_stretches:
            with short_stretches():
                assert [each.tokens for each in captioner.decode(captioner.see(pairs), STEPS)] == ours
        assert len(seen_words) >= min(2, max(map(len, batches))), (
            "the checkpoint says the same of everything: nothing was tested"
        )
        assert max(len(set(words)) for words in seen_words) >= 4, "the checkpoint is too dull to test anything"
        return Compared(captions, tokens)
    finally:
        captioner.close()


def check_example(exported: Exported, folder: Path) -> None:
    """``rsccli caption`` on the example pair through the bundle: every tile is a feature in its place, with words."""
    root = Path(__file__).resolve().parents[2] / "examples"
    output = folder / "out.geojson"
    job = CaptionJob(
        pre=str(root / "prairie_2012-07-31.tif"),
        post=str(root / "prairie_2014-07-20.tif"),
        output=output,
        model=str(exported.bundle),
        captioner=CaptionerOptions(device="cpu", max_new_tokens=STEPS, threads=1),
        jobs=1,
        report=False,
    )
    summary = run_caption(prepare_job(job))
    features = json.loads(output.read_text(encoding="utf-8"))["features"]
    assert summary.tiles == len(features) == 12
    for feature in features:
        given = feature["properties"]
        assert given["status"] in ("changed", "unchanged", "unsure")
        assert given["caption"] or given["status"] == "unsure"
        assert given["logprob"] <= 0
        west, south, east, north = feature["bbox"]
        assert -99.2 < west < east < -99.1 and 47 < south < north < 48
    assert len({feature["properties"]["caption"] for feature in features}) > 1
