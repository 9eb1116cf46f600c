"""Runtime of the small captioner's bundles: pixels -> encoder -> scores and thresholds -> words."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from rsccli.errors import BundleError, ModelError
from rsccli.models.bundle import (
    DECODER,
    DECODER_INPUTS,
    EMBED,
    EMBED_NAMES,
    ENCODER,
    TOKENIZER,
    Bundle,
    Verify,
    open_bundle,
    past_names,
    read_manifest,
)
from rsccli.models.captioner import CaptionerInfo, CaptionerOptions
from rsccli.models.manifest import Manifest
from rsccli.models.small.facts import MAX_KEYWORDS
from rsccli.types import Bool, Caption, CaptionStatus, TilePair

if TYPE_CHECKING:
    import onnxruntime
    from tokenizers import Tokenizer

    from rsccli.models.decoding.tokens import Decoded, Decoder
    from rsccli.models.preprocess import EncoderBatch

logger = logging.getLogger(__name__)

BUNDLED = Path(__file__).resolve().parent.parent / "bundled" / "rsccli-small"
# Tiles in one encoder call: more use no less time on a CPU, and their activations are what memory goes to. A GPU
# wants more at once, and its memory is its own.
CPU_ENCODER_TILES = 4
GPU_ENCODER_TILES = 32
ENCODER_INPUTS = ("pre", "post", "valid")
ENCODER_OUTPUTS = ("image_tokens", "change_logit", "keyword_logits", "mask_logits")
# What is said where the decoder ends a sentence before its first word.
SPEECHLESS: dict[CaptionStatus, str] = {
    "changed": "Something changed here.",
    "unchanged": "No change is visible.",
    "unsure": "It is unclear whether something changed here.",
}
BATCH_SIZE = 16

F32 = npt.NDArray[np.float32]


class Seen(NamedTuple):
    """What the encoder says of one tile, thresholds applied.

    Attributes:
        image_tokens: float32 (T, D). score: calibrated, 0-1. status: by the two thresholds.
        keywords: strongest first. mask: bool, at the tile's own size.
    """

    image_tokens: F32
    score: float
    status: CaptionStatus
    keywords: tuple[str, ...]
    mask: Bool


class SmallFactory:
    """Describes and opens bundles of the family ``rsccli-small``.

    Args:
        folder: a bundle, or None for the one inside the package.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or BUNDLED

    def describe(self, options: CaptionerOptions) -> CaptionerInfo:
        """Describe from the manifest alone.

        Raises:
            BundleError: no manifest, or one that does not hold.
            ModelError: the bundle has another dtype than was asked for.
        """
        manifest, digest = read_manifest(self._folder)
        _check_dtype(manifest, options)
        return _info(Bundle(self._folder, manifest, digest), None)

    def open(self, options: CaptionerOptions) -> SmallCaptioner:
        """Verify the bundle and open its graphs.

        Raises:
            BundleError: a file is missing, damaged, or no graph.
            ModelError: the bundle has another dtype than was asked for. DeviceError: no such device.
        """
        return SmallCaptioner(self.bundle(), options)

    def bundle(self, verify: Verify = "auto") -> Bundle:
        """Check the files of the bundle.

        Raises:
            BundleError: a file is missing, damaged or altered; names it.
        """
        return open_bundle(self._folder, verify)


class SmallCaptioner:
    """A loaded bundle.

    Args:
        bundle: verified. options: device, decoder and threads.
    """

    def __init__(self, bundle: Bundle, options: CaptionerOptions) -> None:
        from rsccli.models.sessions import check_signature, open_sessions

        self._manifest = manifest = bundle.manifest
        _check_dtype(manifest, options)
        paths = [bundle.path(name) for name in (ENCODER, EMBED, DECODER)]
        self._tokenizer = _open_tokenizer(bundle.path(TOKENIZER))
        device, (encoder, embed, decoder) = open_sessions(paths, options.device, options.threads)
        past, present = past_names(manifest.decoder.layers)
        signatures = (
            (ENCODER_INPUTS, ENCODER_OUTPUTS),
            EMBED_NAMES,
            ((*DECODER_INPUTS, *past), ("logits", *present)),
        )
        for session, path, (inputs, outputs) in zip((encoder, embed, decoder), paths, signatures, strict=True):
            check_signature(session, path, inputs, outputs)
        self._encoder_tiles = CPU_ENCODER_TILES if device.kind == "cpu" else GPU_ENCODER_TILES
        self._encoder: onnxruntime.InferenceSession | None = encoder
        self._decoder: Decoder | None
        if options.decoder == "optimum":
            from rsccli.models.decoding.optimum import OptimumDecoder

            self._decoder = OptimumDecoder(embed, decoder, manifest.decoder, manifest.tokens, options.num_beams)
        else:
            from rsccli.models.decoding.lean import LeanDecoder

            self._decoder = LeanDecoder(embed, decoder, manifest.decoder, manifest.tokens, device)
        self._max_new_tokens = options.max_new_tokens or manifest.tokens.max_new_tokens
        self.info = _info(bundle, encoder.get_providers()[0])
        logger.info("%s %s on %s", self.info.name, self.info.revision, device)

    def caption(self, pairs: Sequence[TilePair]) -> list[Caption]:
        """Caption a batch; see `rsccli.models.captioner.Captioner`.

        Raises:
            ModelError: the captioner is closed, or a graph failed.
        """
        seen = self._see(pairs)
        wordless = self._manifest.unchanged_text
        spoken = [i for i, each in enumerate(seen) if wordless is None or each.status != "unchanged"]
        decoded = dict(zip(spoken, self._say([seen[i] for i in spoken]), strict=True))
        captions = []
        for index, each in enumerate(seen):
            words = decoded.get(index)
            text = (self._text(words) if words is not None else wordless) or SPEECHLESS[each.status]
            logprob = words.logprob if words is not None else None
            captions.append(Caption(text, each.status, each.score, logprob, each.keywords, each.mask))
        return captions

    def close(self) -> None:
        """Give the sessions back."""
        self._encoder = None
        self._decoder = None

    def _see(self, pairs: Sequence[TilePair]) -> list[Seen]:
        """Run the encoder over all tiles, a few at a time."""
        from rsccli.models.preprocess import encoder_batches, prepare
        from rsccli.models.sessions import onnxruntime_errors

        if self._encoder is None:
            raise ModelError(f"captioner {self.info.name!r} is closed: load it again")
        seen: dict[int, Seen] = {}
        for indices in encoder_batches(pairs, self._manifest.input, self._encoder_tiles):
            batch = prepare([pairs[i] for i in indices], self._manifest.input)
            feeds = dict(zip(ENCODER_INPUTS, (batch.pre, batch.post, batch.valid), strict=True))
            try:
                outputs = dict(zip(ENCODER_OUTPUTS, self._encoder.run(ENCODER_OUTPUTS, feeds), strict=True))
            except onnxruntime_errors() as error:
                raise ModelError(f"the encoder failed on tile {pairs[indices[0]].tile.id}: {error}") from error
            for row, index in enumerate(indices):
                seen[index] = self._read(outputs, row, batch, pairs[index])
        return [seen[index] for index in range(len(pairs))]

    def _read(self, outputs: dict[str, F32], row: int, batch: EncoderBatch, pair: TilePair) -> Seen:
        """Apply calibration and thresholds to the outputs for one tile."""
        from rsccli.models.preprocess import restore_mask

        manifest = self._manifest
        limits = manifest.thresholds
        logit = float(outputs["change_logit"][row])
        if not np.isfinite(logit):
            raise ModelError(f"the encoder's change score of tile {pair.tile.id} is not finite: check the bundle")
        score = _sigmoid(manifest.calibration.scale * logit + manifest.calibration.bias)
        if score >= limits.changed:
            status: CaptionStatus = "changed"
        elif score <= limits.unchanged:
            status = "unchanged"
        else:
            status = "unsure"
        tokens = outputs["image_tokens"][row]
        if status == "unchanged":
            # Keywords and mask would contradict the status: what is left of them is noise under a low score.
            return Seen(tokens, score, status, (), np.zeros(pair.valid.shape, dtype=bool))
        mask = restore_mask(outputs["mask_logits"][row, 0], batch, row, pair.valid, limits.mask)
        return Seen(tokens, score, status, self._keywords(outputs["keyword_logits"][row]), mask)

    def _keywords(self, logits: F32) -> tuple[str, ...]:
        """Names above their thresholds, by how far they are above, at most as many as a sentence holds."""
        limits = np.clip(np.asarray(self._manifest.thresholds.keywords, np.float64), 1e-12, 1 - 1e-12)
        margin = logits.astype(np.float64) - np.log(limits / (1 - limits))
        order = np.argsort(-margin, kind="stable")[:MAX_KEYWORDS]
        return tuple(self._manifest.keywords[i] for i in order if margin[i] >= 0)

    def _say(self, seen: Sequence[Seen]) -> list[Decoded]:
        """Decode the sentences of all tiles at once."""
        if not seen or self._decoder is None:
            return []
        tokens = self._manifest.tokens
        image = np.stack([each.image_tokens for each in seen])
        begin = self._decoder.embed(np.full((len(seen), 1), tokens.bos, np.int64))
        if image.shape[1:] != (tokens.image_tokens, begin.shape[2]):
            raise ModelError(
                f"the graphs of {self.info.name!r} do not fit together: image tokens {image.shape[1:]}, "
                f"expected {(tokens.image_tokens, begin.shape[2])}: export the bundle again"
            )
        prefix = np.concatenate([image, begin], axis=1)
        mask = np.ones(prefix.shape[:2], np.int64)
        return self._decoder.decode(prefix, mask, self._max_new_tokens)

    def _text(self, words: Decoded) -> str:
        text: str = self._tokenizer.decode(list(words.tokens), skip_special_tokens=True)
        return text.strip()


def _sigmoid(x: float) -> float:
    return float(0.5 * (1.0 + np.tanh(0.5 * x)))


def _check_dtype(manifest: Manifest, options: CaptionerOptions) -> None:
    if options.dtype not in ("auto", manifest.dtype):
        raise ModelError(
            f"captioner {manifest.name!r} holds {manifest.dtype} weights, not {options.dtype}: "
            f"give --dtype auto, or a bundle that was exported as {options.dtype}"
        )


def _open_tokenizer(path: Path) -> Tokenizer:
    from tokenizers import Tokenizer

    text = path.read_text(encoding="utf-8")
    # The library raises the bare Exception for whatever it cannot read, so the check stands here.
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise BundleError(f"{path} is no tokenizer ({error}): copy or export the bundle again") from error
    if not isinstance(document, dict) or "model" not in document:
        raise BundleError(f"{path} is no tokenizer (it has no 'model'): copy or export the bundle again")
    return Tokenizer.from_str(text)


def _info(bundle: Bundle, provider: str | None) -> CaptionerInfo:
    manifest = bundle.manifest
    return CaptionerInfo(
        name=manifest.name,
        revision=bundle.revision,
        family=manifest.family,
        licence=manifest.licence,
        training_data=manifest.training_data,
        provider=provider,
        gsd_m=manifest.input.gsd_m,
        limits=manifest.limits,
        size_mb=round(manifest.size_bytes / 1e6, 1),
        dtype=manifest.dtype,
        source=manifest.source.id,
        source_revision=manifest.source.revision,
        keywords=manifest.keywords,
        max_side_px=manifest.input.max_side,
        batch_size=BATCH_SIZE,
    )
