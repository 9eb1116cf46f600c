"""Runtime of the small captioner's bundles: pixels -> encoder -> scores and thresholds -> words."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rsccli.errors import ModelError, OutOfMemoryError
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
from rsccli.models.captioner import CaptionerInfo, CaptionerOptions, tile_seed
from rsccli.models.decoding.tokens import NO_LOOP_RULE, Prompt
from rsccli.models.manifest import InputSpec, Manifest
from rsccli.models.small.detect import CLASSES, KEYWORD_CLASSES, read_pixels
from rsccli.models.small.domain import pixel_reason
from rsccli.models.small.facts import KEYWORDS, PROMPT_TOKENS, prompt_words
from rsccli.models.small.grammar import named_keywords, sentence
from rsccli.models.small.reading import Reading, Window, read_windows
from rsccli.models.tokenizer import open_tokenizer
from rsccli.stages import stage
from rsccli.types import Caption, Detection, PxWindow, TilePair

if TYPE_CHECKING:
    import onnxruntime

    from rsccli.models.decoding.tokens import Decoded, Decoder
    from rsccli.models.preprocess import EncoderBatch

logger = logging.getLogger(__name__)

BUNDLED = Path(__file__).resolve().parent.parent / "bundled" / "rsccli-small"
BUNDLED_INT8 = BUNDLED.with_name("rsccli-small-int8")
# Windows in one encoder call: more use no less time on a CPU, and their activations are what memory goes to. A GPU
# wants more at once, and its memory is its own.
CPU_ENCODER_TILES = 4
GPU_ENCODER_TILES = 32
ENCODER_INPUTS = ("pre", "post", "valid", "gsd")
ENCODER_OUTPUTS = (
    "image_tokens",
    "change_logit",
    "change_vector",
    "keyword_logits",
    "mask_logits",
    "class_logits",
    "cloud_logits",
    "domain",
)
BATCH_SIZE = 16

F32 = npt.NDArray[np.float32]


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

    def bundle(self, verify: Verify = "auto") -> Bundle[Manifest]:
        """Check the files of the bundle.

        Raises:
            BundleError: a file is missing, damaged or altered; names it.
        """
        return open_bundle(self._folder, verify)


class SmallInt8Factory(SmallFactory):
    """The same with 8-bit convolutions: the other bundle inside the package."""

    def __init__(self) -> None:
        super().__init__(BUNDLED_INT8)


class SmallCaptioner:
    """A loaded bundle.

    Args:
        bundle: verified. options: device, decoder and threads.
    """

    def __init__(self, bundle: Bundle[Manifest], options: CaptionerOptions) -> None:
        from rsccli.models.sessions import check_signature, open_sessions

        self._manifest = manifest = bundle.manifest
        _check_dtype(manifest, options)
        paths = [bundle.path(name) for name in (ENCODER, EMBED, DECODER)]
        self._tokenizer = open_tokenizer(bundle.path(TOKENIZER))
        device, (encoder, embed, decoder) = open_sessions(
            paths, options.device, options.threads, dict(options.provider_options)
        )
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
        tokens: dict[str, Any] = {"ends": frozenset({manifest.tokens.eos}), "pad": manifest.tokens.pad}
        if not options.repetition_guard:
            tokens["loops"] = NO_LOOP_RULE
        if options.uses_optimum:
            from rsccli.models.decoding.optimum import OptimumDecoder

            self._decoder = OptimumDecoder(embed, decoder, manifest.decoder, num_beams=options.num_beams, **tokens)
        else:
            from rsccli.models.decoding.lean import LeanDecoder

            self._decoder = LeanDecoder(
                embed, decoder, manifest.decoder, device=device, sampling=options.sampling, **tokens
            )
        self._max_new_tokens = options.max_new_tokens or manifest.tokens.max_new_tokens
        self._words = manifest.words if options.words == "auto" else options.words
        self._register = options.register
        self.info = _info(bundle, encoder.get_providers()[0])
        logger.info("%s %s on %s", self.info.name, self.info.revision, device)

    def caption(self, pairs: Sequence[TilePair]) -> list[Caption]:
        """Caption a batch; see `rsccli.models.captioner.Captioner`.

        Raises:
            ModelError: the captioner is closed, or a graph failed.
        """
        return self._captions(pairs, self._read(pairs, self._see(pairs)))

    def detect(self, pairs: Sequence[TilePair]) -> list[Detection]:
        """Judge every pixel of a batch; see `rsccli.models.captioner.Detects`.

        Raises:
            ModelError: the captioner is closed, or a graph failed.
        """
        return self._detections(pairs, self._see(pairs))

    def caption_and_detect(self, pairs: Sequence[TilePair]) -> list[tuple[Caption, Detection]]:
        """Both from one run of the encoder; see `rsccli.models.captioner.CaptionsAndDetects`.

        Raises:
            ModelError: the captioner is closed, or a graph failed.
        """
        seen = self._see(pairs)
        captions = self._captions(pairs, self._read(pairs, seen))
        return list(zip(captions, self._detections(pairs, seen), strict=True))

    @property
    def class_names(self) -> tuple[str, ...]:
        """Kinds of change that `detect` tells apart."""
        return CLASSES

    @property
    def keyword_classes(self) -> Mapping[str, str]:
        """Which class each keyword belongs to."""
        return KEYWORD_CLASSES

    @property
    def longest_tile_px(self) -> int | None:
        """Longest side that is seen in one window."""
        return self._manifest.input.max_side

    def _captions(self, pairs: Sequence[TilePair], readings: Sequence[Reading]) -> list[Caption]:
        """The words of tiles that were read."""
        spoken = [i for i, each in enumerate(readings) if self._words == "decoder" and each.facts.findings]
        decoded = dict(
            zip(
                spoken,
                self._say([readings[i] for i in spoken], [tile_seed(pairs[i].tile) for i in spoken]),
                strict=True,
            )
        )
        captions = []
        for index, each in enumerate(readings):
            text, logprob = self._text(each, decoded.get(index))
            captions.append(Caption(text, each.status, each.score, logprob, each.keywords, each.mask, each.reason))
        return captions

    def close(self) -> None:
        """Give the sessions back."""
        self._encoder = None
        self._decoder = None

    def _text(self, reading: Reading, words: Decoded | None) -> tuple[str, float | None]:
        """The sentence of a tile, and its log-probability where the decoder made it."""
        if reading.status == "unchanged" and self._manifest.unchanged_text is not None:
            return self._manifest.unchanged_text, None
        if reading.status == "unsure" and not reading.facts.findings:
            return f"Not judged: {reading.reason}.", None
        if words is not None:
            text: str = self._tokenizer.decode(list(words.tokens), skip_special_tokens=True).strip()
            # A sentence that says what the facts deny, or leaves one out, is not let through.
            if text and named_keywords(text) == {KEYWORDS[index] for index in reading.facts.keywords}:
                return text, words.logprob
        return sentence(reading.facts, self._register), None

    def _read(self, pairs: Sequence[TilePair], seen: Sequence[Sequence[Window]]) -> list[Reading]:
        """What the windows of each tile mean."""
        return [
            read_windows(windows, pair.valid, self._manifest, pixel_reason(pair, self._manifest.input.gsd_m))
            for pair, windows in zip(pairs, seen, strict=True)
        ]

    def _detections(self, pairs: Sequence[TilePair], seen: Sequence[Sequence[Window]]) -> list[Detection]:
        """What the windows of each tile say of its pixels."""
        return [
            read_pixels(windows, pair.valid, self._manifest, pixel_reason(pair, self._manifest.input.gsd_m))
            for pair, windows in zip(pairs, seen, strict=True)
        ]

    def _see(self, pairs: Sequence[TilePair]) -> list[list[Window]]:
        """Run the encoder over the windows of all tiles, a few at a time; the windows of each tile."""
        from rsccli.models.memory import is_out_of_memory
        from rsccli.models.preprocess import encoder_batches, prepare
        from rsccli.models.sessions import onnxruntime_errors

        if self._encoder is None:
            raise ModelError(f"captioner {self.info.name!r} is closed: load it again")
        spec = self._manifest.input
        parts = [(index, at, _cut(pair, at)) for index, pair in enumerate(pairs) for at in windows(pair, spec)]
        cuts = [part for _, _, part in parts]
        seen: dict[int, list[Window]] = {index: [] for index in range(len(pairs))}
        for indices in encoder_batches(cuts, spec, self._encoder_tiles):
            batch = prepare([cuts[i] for i in indices], spec)
            gsd = np.array([cuts[i].gsd_m for i in indices], np.float32)
            feeds = dict(zip(ENCODER_INPUTS, (batch.pre, batch.post, batch.valid, gsd), strict=True))
            try:
                with stage("encode"):
                    outputs = dict(zip(ENCODER_OUTPUTS, self._encoder.run(ENCODER_OUTPUTS, feeds), strict=True))
            except onnxruntime_errors() as error:
                if is_out_of_memory(error):
                    raise OutOfMemoryError(f"the encoder has not enough memory for {len(indices)} windows") from error
                raise ModelError(f"the encoder failed on tile {cuts[indices[0]].tile.id}: {error}") from error
            for row, part in enumerate(indices):
                index, at, pair = parts[part]
                if not np.isfinite(outputs["change_logit"][row]):
                    raise ModelError(
                        f"the encoder's change score of tile {pair.tile.id} is not finite: check the bundle"
                    )
                seen[index].append(_window(outputs, row, batch, at))
        return [seen[index] for index in range(len(pairs))]

    def _say(self, readings: Sequence[Reading], seeds: Sequence[int]) -> list[Decoded]:
        """Decode the sentences of all tiles at once."""
        if not readings or self._decoder is None:
            return []
        tokens = self._manifest.tokens
        image = np.stack([each.tokens for each in readings])
        prompts = [prompt_words(each.facts, self._register) for each in readings]
        ids = [[*(self._tokenizer.token_to_id(word) for word in words), tokens.bos] for words in prompts]
        if any(index is None for row in ids for index in row):
            raise ModelError(
                f"the tokenizer of {self.info.name!r} does not know its own facts: export the bundle again"
            )
        begin = self._decoder.embed(np.array(ids, np.int64).reshape(len(readings), PROMPT_TOKENS + 1))
        if image.shape[1:] != (tokens.image_tokens, begin.shape[2]):
            raise ModelError(
                f"the graphs of {self.info.name!r} do not fit together: image tokens {image.shape[1:]}, "
                f"expected {(tokens.image_tokens, begin.shape[2])}: export the bundle again"
            )
        prefix = np.concatenate([image, begin], axis=1)
        prompt = Prompt(prefix, np.ones(prefix.shape[:2], np.int64), seeds=np.array(seeds, np.int64))
        with stage("decode"):
            return self._decoder.decode(prompt, self._max_new_tokens)


def windows(pair: TilePair, spec: InputSpec) -> list[PxWindow]:
    """The windows that a tile is seen in: one, or equal parts of about ``spec.window`` where it is too long."""
    height, width = pair.valid.shape
    if spec.window is None or max(height, width) <= spec.max_side:
        return [PxWindow(0, 0, width, height)]
    rows, cols = (_parts(length, spec.window) for length in (height, width))
    return [
        PxWindow(left, top, right - left, bottom - top)
        for top, bottom in itertools.pairwise(rows)
        for left, right in itertools.pairwise(cols)
    ]


def _parts(length: int, window: int) -> list[int]:
    """Bounds of equal parts, each a multiple of 4 but the last, so that cells of the mask fit together."""
    number = max(1, round(length / window))
    step = -(-length // (4 * number)) * 4
    return [*range(0, length, step), length]


def _cut(pair: TilePair, at: PxWindow) -> TilePair:
    if at.width == pair.valid.shape[1] and at.height == pair.valid.shape[0]:
        return pair
    part = (slice(at.row, at.row + at.height), slice(at.col, at.col + at.width))
    return TilePair(pair.tile, pair.pre[:, *part], pair.post[:, *part], pair.valid[part], pair.gsd_m)


def _window(outputs: dict[str, F32], row: int, batch: EncoderBatch, at: PxWindow) -> Window:
    cells = batch.valid[row, 0, 2::4, 2::4] > 0
    domain = outputs["domain"][row]
    return Window(
        tokens=outputs["image_tokens"][row],
        change=float(outputs["change_logit"][row]),
        vectors=float(outputs["change_vector"][row]),
        keywords=outputs["keyword_logits"][row],
        domain=(float(domain[0]), float(domain[1])),
        mask=outputs["mask_logits"][row, 0],
        classes=outputs["class_logits"][row],
        cloud=outputs["cloud_logits"][row],
        valid=cells,
        row=at.row,
        col=at.col,
        height=at.height,
        width=at.width,
    )


def _check_dtype(manifest: Manifest, options: CaptionerOptions) -> None:
    if options.dtype not in ("auto", manifest.dtype):
        raise ModelError(
            f"captioner {manifest.name!r} holds {manifest.dtype} weights, not {options.dtype}: "
            f"give --dtype auto, or a bundle that was exported as {options.dtype}"
        )


def _info(bundle: Bundle[Manifest], provider: str | None) -> CaptionerInfo:
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
        max_side_px=manifest.input.max_side if manifest.input.window is None else None,
        batch_size=BATCH_SIZE,
        classes=CLASSES,
    )
