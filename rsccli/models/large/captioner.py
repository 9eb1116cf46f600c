"""Runtime of large models' bundles: pairs -> pictures -> image tokens -> prompts -> words."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rsccli.errors import ModelError, OutOfMemoryError, UsageProblem
from rsccli.models.bundle import (
    DECODER,
    DECODER_INPUTS,
    EMBED,
    EMBED_NAMES,
    ENCODER,
    TOKENIZER,
    Bundle,
    Verify,
    open_bundle_as,
    past_names,
    read_manifest_as,
)
from rsccli.models.captioner import CaptionerInfo, CaptionerOptions, tile_seed
from rsccli.models.decoding.tokens import NO_LOOP_RULE, Decoded, Decoder, LoopRule, Prompt
from rsccli.models.large.answer import status_of, stop_note
from rsccli.models.large.families import family_named
from rsccli.models.large.family import Features, Picture, Reader, collate
from rsccli.models.large.manifest import LargeManifest, parse_large
from rsccli.models.large.pictures import pair_pictures
from rsccli.models.large.question import Question, question_of, shown
from rsccli.models.prompts import PromptTemplate, load_template
from rsccli.models.tokenizer import open_tokenizer
from rsccli.stages import stage
from rsccli.types import Caption, TilePair

if TYPE_CHECKING:
    import onnxruntime

    from rsccli.models.devices import Device

logger = logging.getLogger(__name__)

#: Repetition as published models do it: whole sentences again and again. The zeros of 1000000 are none.
LOOPS = LoopRule(longest=64, least=24)
#: Pictures in one encoder call: more use no less time on a CPU, and their activations are what memory goes to.
CPU_PICTURES, GPU_PICTURES = 4, 32
BATCH_SIZE = 8


@dataclass(frozen=True, eq=False)
class Seen:
    """A pair whose pictures went through the encoder: kept, it can be asked again without looking again."""

    pair: TilePair
    features: tuple[Features, ...]
    question: Question


class LargeFactory:
    """Describes and opens bundles of large models.

    Args:
        folder: a bundle.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def describe(self, options: CaptionerOptions) -> CaptionerInfo:
        """Describe from the manifest alone.

        Raises:
            BundleError: no manifest, or one that does not hold.
            ModelError: the bundle has another dtype than was asked for. UsageProblem: no such prompt.
        """
        manifest, digest = read_manifest_as(self._folder, parse_large)
        _check_dtype(manifest, options)
        return info_of(Bundle(self._folder, manifest, digest), options, None)

    def fitting_batch_size(self, options: CaptionerOptions, tile_px: int) -> int | None:
        """See `rsccli.models.captioner.FitsMemory`."""
        from rsccli.models.devices import resolve_device
        from rsccli.models.large.room import rows_that_fit
        from rsccli.models.memory import available_mb

        manifest, _ = read_manifest_as(self._folder, parse_large)
        free = available_mb(resolve_device(options.device))
        if free is None:
            return None
        reader = family_named(manifest.family).reader(manifest.vision, self._folder)
        return rows_that_fit(manifest, reader, tile_px, free * 2**20)

    def open(self, options: CaptionerOptions) -> LargeCaptioner:
        """Verify the bundle and open its graphs.

        Raises:
            BundleError: a file is missing, damaged, or no graph.
            ModelError: the bundle has another dtype than was asked for. DeviceError: no such device.
        """
        return LargeCaptioner(self.bundle(), options)

    def open_unverified(self, options: CaptionerOptions) -> LargeCaptioner:
        """The same while an export is still changing the files."""
        manifest, digest = read_manifest_as(self._folder, parse_large)
        return LargeCaptioner(Bundle(self._folder, manifest, digest), options)

    def bundle(self, verify: Verify = "auto") -> Bundle[LargeManifest]:
        """Check the files of the bundle.

        Raises:
            BundleError: a file is missing, damaged or altered; names it.
        """
        return open_bundle_as(self._folder, parse_large, verify)


class LargeCaptioner:
    """A loaded bundle.

    Args:
        bundle: verified. options: device, decoder, prompt and threads.
    """

    def __init__(self, bundle: Bundle[LargeManifest], options: CaptionerOptions) -> None:
        from rsccli.models.devices import check_dtype, resolve_device
        from rsccli.models.sessions import check_signature, open_sessions

        self.manifest = manifest = bundle.manifest
        _check_dtype(manifest, options)
        check_dtype(resolve_device(options.device), manifest.dtype, bundle.folder)
        self.template = template_of(manifest, options)
        self.reader: Reader = family_named(manifest.family).reader(manifest.vision, bundle.folder)
        self.tokenizer = open_tokenizer(bundle.path(TOKENIZER))
        paths = [bundle.path(name) for name in (ENCODER, EMBED, DECODER)]
        device, (encoder, embed, decoder) = open_sessions(
            paths, options.device, options.threads, dict(options.provider_options), manifest.decoder.dtype
        )
        past, present = past_names(manifest.decoder.layers)
        further = (*self.reader.per_token, *self.reader.context)
        signatures = (
            (self.reader.inputs, self.reader.outputs),
            EMBED_NAMES,
            ((*DECODER_INPUTS, *further, *past), ("logits", *present)),
        )
        for session, path, (inputs, outputs) in zip((encoder, embed, decoder), paths, signatures, strict=True):
            check_signature(session, path, inputs, outputs)
        self._at_once = CPU_PICTURES if device.memory == "cpu" else GPU_PICTURES
        self._encoder: onnxruntime.InferenceSession | None = encoder
        self._decoder = _decoder(options, embed, decoder, manifest, device)
        self._max_new_tokens = options.max_new_tokens or manifest.tokens.max_new_tokens
        self.info = info_of(bundle, options, encoder.get_providers()[0])
        logger.info("%s %s on %s", self.info.name, self.info.revision, device)

    def caption(self, pairs: Sequence[TilePair]) -> list[Caption]:
        """Caption a batch; see `rsccli.models.captioner.Captioner`.

        Raises:
            OutOfMemoryError: the batch does not fit. ModelError: the captioner is closed, or a graph failed.
        """
        return self.say(self.see(pairs))

    def answer(self, pairs: Sequence[TilePair], questions: Sequence[str]) -> list[list[Caption]]:
        """Answers to several questions of each pair; the pictures go through the encoder once, if it hears no question.

        Args:
            pairs: one batch. questions: plain text each.

        Returns:
            For each question one answer for each pair.
        """
        if not questions:
            return []
        plain = [text.replace("{", "{{").replace("}", "}}") for text in questions]
        templates = [PromptTemplate("question", text, "asked") for text in plain]
        if self.reader.question(""):
            # The encoder reads the question, too.
            return [self.say(self.see(pairs, each), each) for each in templates]
        seen = self.see(pairs, templates[0])
        return [self.say(seen, each) for each in templates]

    def see(self, pairs: Sequence[TilePair], template: PromptTemplate | None = None) -> list[Seen]:
        """Run the encoder over the pictures of all pairs; equal shapes share a call."""
        if self._encoder is None:
            raise ModelError(f"captioner {self.info.name!r} is closed: load it again")
        asked = [question_of(template or self.template, pair, self.manifest.chat, self.reader.mosaic) for pair in pairs]
        pictures: list[tuple[int, Picture]] = []
        for index, pair in enumerate(pairs):
            for image in pair_pictures(shown(template or self.template, pair), self.reader.mosaic):
                pictures.append((index, self.reader.picture(image)))
        features: list[Features | None] = [None] * len(pictures)
        groups: dict[tuple[int, ...], list[int]] = {}
        for place, (_, picture) in enumerate(pictures):
            groups.setdefault(picture.shape, []).append(place)
        for places in groups.values():
            at_once = max(1, self._at_once // pictures[places[0]][1].tiles)
            for start in range(0, len(places), at_once):
                call = places[start : start + at_once]
                beside = [self.reader.question(asked[pictures[place][0]].prompt) for place in call]
                made = self._encode([pictures[place][1] for place in call], beside)
                for place, each in zip(call, made, strict=True):
                    features[place] = each
        by_pair: list[list[Features]] = [[] for _ in pairs]
        for (index, _), feature in zip(pictures, features, strict=True):
            assert feature is not None
            by_pair[index].append(feature)
        return [Seen(pair, tuple(own), question) for pair, own, question in zip(pairs, by_pair, asked, strict=True)]

    def say(self, seen: Sequence[Seen], template: PromptTemplate | None = None) -> list[Caption]:
        """Decode captions of pairs that were seen, or answers to another question about them."""
        decoded = self.decode(seen, self._max_new_tokens, template)
        return [self._caption(each, words) for each, words in zip(seen, decoded, strict=True)]

    def decode(
        self, seen: Sequence[Seen], max_new_tokens: int, template: PromptTemplate | None = None
    ) -> list[Decoded]:
        """Tokens of the captions of pairs that were seen."""
        if not seen:
            return []
        prompt = self._prompt(seen, template)
        with stage("decode"):
            return self._open_decoder().decode(prompt, max_new_tokens)

    def forced_logits(self, seen: Sequence[Seen], tokens: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Logits (N, S + 1, V) along given tokens (N, S), for comparisons; of the lean decoder alone."""
        from rsccli.models.decoding.lean import LeanDecoder

        decoder = self._open_decoder()
        if not isinstance(decoder, LeanDecoder):
            raise ModelError("logits are looked at with the lean decoder")
        return decoder.forced_logits(self._prompt(seen, None), tokens)

    def _open_decoder(self) -> Decoder:
        if self._decoder is None:
            raise ModelError(f"captioner {self.info.name!r} is closed: load it again")
        return self._decoder

    def _prompt(self, seen: Sequence[Seen], template: PromptTemplate | None) -> Prompt:
        """The batch's prompts, with their common beginning marked."""
        decoder = self._open_decoder()
        rows, ids = [], []
        for each in seen:
            question = each.question
            if template is not None:
                question = question_of(template, each.pair, self.manifest.chat, self.reader.mosaic)
            own = self.ids(question, [one.picture for one in each.features])
            ids.append(own)
            rows.append(self.reader.row(own, each.features, decoder.embed))
        shared = 0 if self.reader.context else _common(ids, self.manifest.tokens.image)
        return collate(
            rows,
            shared,
            tuple(ids[0][:shared].tolist()),
            np.array([tile_seed(each.pair.tile) for each in seen], np.int64),
            ids,
        )

    def ids(self, question: Question, pictures: Sequence[Picture]) -> npt.NDArray[np.int64]:
        """Token ids of a prompt, image tokens in their places."""
        plain = self.tokenizer.encode(question.text, add_special_tokens=not self.manifest.chat.bare).ids
        image, remaining = self.manifest.tokens.image, iter(pictures)
        ids: list[int] = []
        for token in plain:
            if token != image:
                ids.append(token)
                continue
            picture = next(remaining, None)
            if picture is None:
                mark = self.tokenizer.id_to_token(image)
                raise UsageProblem(f"the prompt holds what stands for a picture ({mark}): word it otherwise")
            ids += picture.tokens
        return np.array(ids, np.int64)

    def close(self) -> None:
        """Give the sessions back."""
        self._encoder = None
        self._decoder = None

    def _encode(self, pictures: Sequence[Picture], beside: Sequence[Mapping[str, Any]]) -> list[Features]:
        from rsccli.models.memory import is_out_of_memory
        from rsccli.models.sessions import onnxruntime_errors

        assert self._encoder is not None
        feeds = {name: np.stack([each.arrays[name] for each in pictures]) for name in pictures[0].arrays}
        feeds |= pictures[0].shared
        feeds |= {name: _filled([each[name] for each in beside]) for name in beside[0]}
        try:
            with stage("encode"):
                outputs = self._encoder.run(list(self.reader.outputs), feeds)
        except onnxruntime_errors() as error:
            if is_out_of_memory(error):
                raise OutOfMemoryError(f"the encoder has not enough memory for {len(pictures)} pictures") from error
            raise ModelError(f"the encoder failed on {len(pictures)} pictures: {error}") from error
        named = dict(zip(self.reader.outputs, outputs, strict=True))
        return [
            Features(picture, {name: value[row] for name, value in named.items()})
            for row, picture in enumerate(pictures)
        ]

    def _caption(self, seen: Seen, words: Decoded) -> Caption:
        text = self.tokenizer.decode(list(words.tokens), skip_special_tokens=True).strip()
        status, why = status_of(text)
        parts = (why, stop_note(words.stopped, self._max_new_tokens), seen.question.source)
        return Caption(text, status, None, words.logprob, reason="; ".join(filter(None, parts)) or None)


def template_of(manifest: LargeManifest, options: CaptionerOptions) -> PromptTemplate:
    """The prompt that was asked for, or the bundle's own."""
    return load_template(manifest.prompt if options.prompt == "auto" else options.prompt, options.counts_from)


def _common(ids: Sequence[npt.NDArray[np.int64]], image: int) -> int:
    """Leading tokens that all rows share, before any picture and short of the last one."""
    shared = 0
    for column in range(min(len(each) for each in ids) - 1):
        tokens = {int(each[column]) for each in ids}
        if len(tokens) > 1 or image in tokens:
            break
        shared += 1
    return shared


def _filled(arrays: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Stack arrays (L) of different length, zeros behind the shorter."""
    length = max(len(each) for each in arrays)
    return np.stack([np.pad(each, (0, length - len(each))) for each in arrays])


def _decoder(
    options: CaptionerOptions,
    embed: onnxruntime.InferenceSession,
    decoder: onnxruntime.InferenceSession,
    manifest: LargeManifest,
    device: Device,
) -> Decoder | None:
    tokens: dict[str, Any] = {"ends": frozenset(manifest.tokens.ends), "pad": manifest.tokens.pad}
    tokens["penalty"] = manifest.tokens.repetition_penalty
    tokens["loops"] = LOOPS if options.repetition_guard else NO_LOOP_RULE
    if options.uses_optimum:
        from rsccli.models.decoding.optimum import OptimumDecoder

        return OptimumDecoder(embed, decoder, manifest.decoder, num_beams=options.num_beams, **tokens)
    from rsccli.models.decoding.lean import LeanDecoder

    return LeanDecoder(embed, decoder, manifest.decoder, device=device, sampling=options.sampling, **tokens)


def _check_dtype(manifest: LargeManifest, options: CaptionerOptions) -> None:
    if options.dtype not in ("auto", manifest.dtype):
        raise ModelError(
            f"captioner {manifest.name!r} holds {manifest.dtype} weights, not {options.dtype}: "
            f"give --dtype auto, or a bundle that was exported as {options.dtype}"
        )


def info_of(bundle: Bundle[LargeManifest], options: CaptionerOptions, provider: str | None) -> CaptionerInfo:
    """What a bundle is."""
    manifest = bundle.manifest
    template = template_of(manifest, options)
    return CaptionerInfo(
        name=manifest.name,
        revision=bundle.revision,
        family=manifest.family,
        licence=manifest.licence,
        training_data=manifest.training_data,
        provider=provider,
        limits=manifest.limits,
        size_mb=round(manifest.size_bytes / 1e6, 1),
        dtype=manifest.dtype,
        source=manifest.source.id,
        source_revision=manifest.source.revision,
        batch_size=BATCH_SIZE,
        prompt=template.regime,
    )
