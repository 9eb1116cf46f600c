"""A checkpoint through transformers, without an export: slower, but any family that transformers can ask works.

Where one of our families reads the checkpoint its way of asking is used, so that a user can compare both backends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsccli.errors import DeviceError, ModelError, OutOfMemoryError
from rsccli.models.captioner import CaptionerInfo, CaptionerOptions
from rsccli.models.large.answer import status_of, stop_note
from rsccli.models.large.chat import chat_of
from rsccli.models.large.checkpoint import Checkpoint, end_tokens, load_processor, quiet_transformers, read_checkpoint
from rsccli.models.large.families import usable_families
from rsccli.models.large.family import Family
from rsccli.models.large.pictures import pair_pictures
from rsccli.models.large.question import Question, question_of, shown
from rsccli.models.prompts import PromptTemplate, load_template
from rsccli.types import Caption, TilePair

if TYPE_CHECKING:
    import torch

MAX_NEW_TOKENS = 256
BATCH_SIZE = 4
LIMITS = (
    "Its words are its own: no score, no mask; whether a tile counts as changed is read off its words.",
    "Run through transformers (--backend torch), not through a verified bundle.",
)


class TorchFactory:
    """Describes and opens the folder of a checkpoint.

    Args:
        folder: with config.json, weights and processor files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def describe(self, options: CaptionerOptions) -> CaptionerInfo:
        """Describe from the configuration and the heads of the weight files.

        Raises:
            ModelError: no checkpoint, or a damaged one.
        """
        return _info(read_checkpoint(self._folder), options, None)

    def open(self, options: CaptionerOptions) -> TorchCaptioner:
        """Load the checkpoint.

        Raises:
            ModelError: it cannot be loaded. DeviceError: no such device.
        """
        return TorchCaptioner(read_checkpoint(self._folder), options)


class TorchCaptioner:
    """A loaded checkpoint.

    Args:
        checkpoint: whose files are there. options: device, dtype, beams, sampling and prompt.
    """

    def __init__(self, checkpoint: Checkpoint, options: CaptionerOptions) -> None:
        import torch

        if options.threads:
            torch.set_num_threads(options.threads)
        self._options = options
        self._device = _device(options.device)
        self._dtype = _dtype(options.dtype, self._device)
        self._family = _family(checkpoint)
        self._template = _template(options)
        if self._family is not None:
            self._processor = self._family.processor(checkpoint.folder)
            model = self._family.model(checkpoint.folder, self._dtype)
            self._chat = self._family.chat(self._processor)
            self._mosaic = self._family.mosaic
        else:
            self._processor = load_processor(checkpoint.folder)
            model = _any_model(checkpoint.folder, self._dtype)
            self._chat = chat_of(self._processor)
            self._mosaic = False
        self._model: Any = model.to(self._device)
        self._ends = frozenset(end_tokens(self._model, self._processor.tokenizer))
        self.info = _info(checkpoint, options, f"torch {self._device}")

    def caption(self, pairs: Sequence[TilePair]) -> list[Caption]:
        """Caption a batch; see `rsccli.models.captioner.Captioner`.

        Raises:
            OutOfMemoryError: the batch does not fit. ModelError: the model failed.
        """
        import torch
        from transformers import LogitsProcessorList

        from rsccli.models.decoding.generated import LoopGuard, decoded_rows
        from rsccli.models.large.captioner import LOOPS

        if self._model is None:
            raise ModelError(f"captioner {self.info.name!r} is closed: load it again")
        options = self._options
        asked = [question_of(self._template, pair, self._chat, self._mosaic) for pair in pairs]
        inputs = self._inputs(pairs, asked)
        skip = inputs["input_ids"].shape[1] if "input_ids" in inputs else 0
        guard = LoopGuard(min(self._ends), LOOPS, skip, options.num_beams) if options.repetition_guard else None
        sampling: dict[str, Any] = {"do_sample": False}
        if options.temperature > 0:
            torch.manual_seed(options.seed)
            sampling = {"do_sample": True, "temperature": options.temperature, "top_p": options.top_p, "top_k": 0}
        try:
            with torch.inference_mode(), quiet_transformers():
                result = self._model.generate(
                    **inputs,
                    **sampling,
                    num_beams=options.num_beams,
                    max_new_tokens=options.max_new_tokens or MAX_NEW_TOKENS,
                    logits_processor=LogitsProcessorList([guard] if guard else []),
                    return_dict_in_generate=True,
                    output_logits=True,
                    output_scores=options.num_beams > 1,
                )
        except torch.OutOfMemoryError as error:
            raise OutOfMemoryError(f"{len(pairs)} tiles do not fit into the memory of {self._device}") from error
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"transformers failed on a batch of {len(pairs)}: {error}") from error
        sequences = (
            result.sequences[:, skip:] if self._family is None else self._family.generated(result.sequences, inputs)
        )
        rows = decoded_rows(result, sequences, self._ends, guard, options.num_beams)
        return [self._caption(words, question) for words, question in zip(rows, asked, strict=True)]

    def close(self) -> None:
        """Give the memory back."""
        self._model = None

    def _inputs(self, pairs: Sequence[TilePair], asked: Sequence[Question]) -> dict[str, torch.Tensor]:
        from rsccli.models.large.reference import processor_inputs

        images = [pair_pictures(shown(self._template, pair), self._mosaic) for pair in pairs]
        texts = [each.text for each in asked]
        if self._family is None:
            made: Mapping[str, torch.Tensor] = processor_inputs(self._processor, images, texts)
        else:
            made = self._family.reference(self._processor, images, texts)
        return {
            name: value.to(self._device, self._dtype) if value.is_floating_point() else value.to(self._device)
            for name, value in made.items()
        }

    def _caption(self, words: Any, question: Question) -> Caption:  # noqa: ANN401 - a Decoded
        text = str(self._processor.tokenizer.decode(list(words.tokens), skip_special_tokens=True)).strip()
        status, why = status_of(text)
        parts = (why, stop_note(words.stopped, self._options.max_new_tokens or MAX_NEW_TOKENS), question.source)
        return Caption(text, status, None, words.logprob, reason="; ".join(filter(None, parts)) or None)


def _family(checkpoint: Checkpoint) -> Family | None:
    families, _ = usable_families()
    reading = (each for each in families if each.reads(checkpoint.config) and each.check(checkpoint.config) is None)
    return next(reading, None)


def _any_model(folder: Path, dtype: torch.dtype) -> Any:  # noqa: ANN401 - transformers is not typed
    from transformers import AutoModelForImageTextToText

    try:
        return AutoModelForImageTextToText.from_pretrained(
            folder, dtype=dtype, local_files_only=True, trust_remote_code=False
        ).eval()
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise ModelError(f"{folder}: transformers cannot load it: {error}") from error


def _template(options: CaptionerOptions) -> PromptTemplate:
    return load_template("naive" if options.prompt == "auto" else options.prompt, options.counts_from)


def _device(asked: str) -> torch.device:
    import torch

    if asked == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if asked == "cpu":
        return torch.device("cpu")
    if not asked.startswith("cuda"):
        raise DeviceError(f"device {asked!r}: the torch backend runs on cpu or cuda")
    if not torch.cuda.is_available():
        raise DeviceError(f"device {asked!r}: torch {torch.__version__} finds no GPU here: give --device cpu")
    return torch.device(asked)


def _dtype(asked: str, device: torch.device) -> torch.dtype:
    import torch

    if asked == "auto":
        asked = "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "fp32"
    kinds = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
    if asked not in kinds:
        raise DeviceError(f"dtype {asked!r}: the torch backend takes auto, {', '.join(kinds)}")
    return kinds[asked]


def _info(checkpoint: Checkpoint, options: CaptionerOptions, provider: str | None) -> CaptionerInfo:
    from rsccli.models.large.revision import revision_of

    family = _family(checkpoint)
    digest = revision_of(checkpoint)
    return CaptionerInfo(
        name=checkpoint.folder.resolve().name,
        revision=f"torch+{digest[:12]}",
        family=family.name if family else str(checkpoint.config["model_type"]),
        licence="see the card of the checkpoint",
        training_data="See the card of the checkpoint; not trained by this project.",
        provider=provider,
        limits=LIMITS,
        size_mb=round(checkpoint.stored_bytes / 1e6, 1),
        dtype=options.dtype,
        source=str(checkpoint.folder.name),
        source_revision=digest,
        batch_size=BATCH_SIZE,
        prompt=_template(options).regime,
    )
