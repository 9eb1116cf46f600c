"""The contract that every captioner keeps, built-in or installed by another package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, get_args, runtime_checkable

from rsccli.errors import UsageProblem
from rsccli.models.decoding.tokens import Sampling
from rsccli.models.prompts import CountsFrom
from rsccli.types import Caption, Detection, Tile, TilePair

if TYPE_CHECKING:
    from rsccli.models.bundle import Bundle, Verify
    from rsccli.models.manifest import Head

BackendName = Literal["onnx", "torch"]
DecoderName = Literal["auto", "lean", "optimum"]
WordsName = Literal["auto", "decoder", "grammar"]
RegisterName = Literal["short", "news"]


@dataclass(frozen=True)
class CaptionerInfo:
    """What a captioner is: for run records, model tables and reports.

    Attributes:
        name: the name that it was asked for by, or the name in its bundle's manifest.
        revision: changes whenever the weights, thresholds or files do: two runs with equal revision and
            equal options used the same model.
        family: which runtime reads it.
        licence: of the weights, an SPDX expression where there is one.
        provider: ONNX Runtime provider that really runs it, or None before it was opened (or without one).
        gsd_m: (least, most) metres per pixel that it was made for, or None where it does not say.
        training_data: one or two sentences on what it was trained on.
        limits: what it cannot do, sentences for a report.
        size_mb: size of its files, 10^6 bytes.
        dtype: of the weights, e.g. ``fp32``.
        source: where the weights come from, e.g. ``rsccli train``. source_revision: of that source.
        keywords: names that ``Caption.keywords`` may hold, empty where it has none.
        max_side_px: longer tile sides are resampled to this before the model sees them, or None.
        batch_size: tiles per call that use memory and processor well.
        prompt: regime in which a model is asked in words, or empty for one that is not.
        classes: ``class_names`` of `Detects`, empty where it does not detect or tells none.
    """

    name: str
    revision: str
    family: str
    licence: str
    training_data: str
    provider: str | None = None
    gsd_m: tuple[float, float] | None = None
    limits: tuple[str, ...] = ()
    size_mb: float = 0.0
    dtype: str = "fp32"
    source: str = ""
    source_revision: str = ""
    keywords: tuple[str, ...] = ()
    max_side_px: int | None = None
    batch_size: int = 16
    prompt: str = ""
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class CaptionerOptions:
    """How a captioner is to run. Everything here may decide a result, except ``threads``.

    Attributes:
        device: ``auto`` (CUDA where it works, else CPU), ``cpu``, ``cuda``, ``cuda:INDEX``, ``tensorrt`` or
            ``tensorrt:INDEX``.
        dtype: ``auto`` (what the bundle holds) or a name that must be what the bundle holds.
        backend: ``onnx`` runs bundles; ``torch`` runs a checkpoint's folder through transformers.
        decoder: ``lean`` (onnxruntime alone, greedy or sampling), ``optimum`` (beams; imports torch), or ``auto``.
        num_beams: beams of the optimum decoder; 1 is greedy.
        temperature, top_p, seed: of `rsccli.models.decoding.tokens.Sampling`; temperature 0 is greedy.
        repetition_guard: whether a caption that repeats itself is ended (and marked).
        max_new_tokens: longest caption in tokens, or None for what the bundle says.
        counts_from: what the built-in textual and visual prompts say of counts: those of ``labels`` tell levels of
            damage, those of a ``mask`` do not.
        prompt: of models that are asked in words: ``auto`` (what the bundle says), ``naive``, ``textual``, ``visual``
            or the path of a template.
        words: who words a caption where a model has both: its ``decoder``, a ``grammar``, or ``auto``, what the
            bundle says. register: ``short`` or ``news``, the way of speaking where a model has both.
        provider_options: names and values for ONNX Runtime's execution provider.
        threads: threads of one session, or None for the cores that this process may use.

    Raises:
        UsageProblem: values outside of their range, or that contradict each other.
    """

    device: str = "auto"
    dtype: str = "auto"
    backend: BackendName = "onnx"
    decoder: DecoderName = "auto"
    num_beams: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    repetition_guard: bool = True
    max_new_tokens: int | None = None
    prompt: str = "auto"
    counts_from: CountsFrom = "labels"
    words: WordsName = "auto"
    register: RegisterName = "short"
    provider_options: tuple[tuple[str, str], ...] = ()
    threads: int | None = None

    def __post_init__(self) -> None:
        for name, known in (
            ("backend", get_args(BackendName)),
            ("counts_from", get_args(CountsFrom)),
            ("decoder", get_args(DecoderName)),
            ("words", get_args(WordsName)),
            ("register", get_args(RegisterName)),
        ):
            if getattr(self, name) not in known:
                raise UsageProblem(f"{name} {getattr(self, name)!r} is unknown: choose one of {', '.join(known)}")
        if self.num_beams < 1:
            raise UsageProblem(f"num_beams must be at least 1, not {self.num_beams}")
        if self.num_beams > 1 and self.decoder == "lean":
            raise UsageProblem("beam search needs the optimum decoder: give --decoder optimum, or --num-beams 1")
        if self.sampling.temperature > 0 and self.backend == "onnx" and self.uses_optimum:
            raise UsageProblem("--temperature draws tokens with the lean decoder: leave --decoder and --num-beams out")
        if self.max_new_tokens is not None and self.max_new_tokens < 1:
            raise UsageProblem(f"max_new_tokens must be at least 1, not {self.max_new_tokens}")
        if self.threads is not None and self.threads < 1:
            raise UsageProblem(f"threads must be at least 1, not {self.threads}")

    @property
    def uses_optimum(self) -> bool:
        """Whether the optimum decoder runs: asked for, or needed for beams."""
        return self.decoder == "optimum" or (self.decoder == "auto" and self.num_beams > 1)

    @property
    def sampling(self) -> Sampling:
        """How tokens are chosen."""
        return Sampling(self.temperature, self.top_p, self.seed)


def tile_seed(tile: Tile) -> int:
    """Number of a tile for random draws: the same whatever batch it is in."""
    return (tile.row << 31) + tile.col


@runtime_checkable
class Captioner(Protocol):
    """A loaded model."""

    @property
    def info(self) -> CaptionerInfo:
        """What is loaded, provider included."""
        ...

    def caption(self, pairs: Sequence[TilePair]) -> list[Caption]:
        """Caption a batch.

        Args:
            pairs: tiles of one batch, of any size, equal or not.

        Returns:
            One caption for each pair, in order. A caption depends on the tiles of its batch alone, never on
            earlier calls or on timing.

        Raises:
            ModelError: the model failed on this batch.
        """
        ...

    def close(self) -> None:
        """Give sessions and memory back. The captioner is of no use after that."""
        ...


@runtime_checkable
class Detects(Protocol):
    """What a captioner offers beside `Captioner` where it can say of every pixel whether it changed.

    Attributes:
        class_names: kinds of things that change, in the order of ``Detection.classes``; empty where it tells none.
        longest_tile_px: longest side of a tile that it sees in one piece, or None for any: in longer ones the borders
            of the pieces would show.
    """

    @property
    def class_names(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def longest_tile_px(self) -> int | None: ...  # noqa: D102

    def detect(self, pairs: Sequence[TilePair]) -> list[Detection]:
        """Judge every pixel of a batch.

        Args:
            pairs: tiles of one batch, of any size, equal or not.

        Returns:
            One detection for each pair, in order, at the pair's own size.

        Raises:
            ModelError: the model failed on this batch.
        """
        ...


@runtime_checkable
class CaptionsAndDetects(Detects, Protocol):
    """What a captioner offers where sentence and pixels come from one look at the images.

    Attributes:
        keyword_classes: which of ``class_names`` each of its keywords belongs to.
    """

    @property
    def keyword_classes(self) -> Mapping[str, str]: ...  # noqa: D102

    def caption_and_detect(self, pairs: Sequence[TilePair]) -> list[tuple[Caption, Detection]]:
        """Captions as ``caption`` gives them, and detections as ``detect`` does, for the work of one of them.

        Raises:
            ModelError: the model failed on this batch.
        """
        ...


@runtime_checkable
class BundleBacked(Protocol):
    """What a factory offers beside `CaptionerFactory` where a bundle on disk holds its weights."""

    def bundle(self, verify: Verify = "auto") -> Bundle[Head]:
        """Check the files of the bundle.

        Raises:
            BundleError: a file is missing, damaged or altered; names it.
        """
        ...


@runtime_checkable
class FitsMemory(Protocol):
    """What a factory offers beside `CaptionerFactory` where it can tell how many tiles fit into memory."""

    def fitting_batch_size(self, options: CaptionerOptions, tile_px: int) -> int | None:
        """Tiles of a side that fit at once into what the device has free; None where nobody can say."""
        ...


@runtime_checkable
class CaptionerFactory(Protocol):
    """What an entry point of the group ``rsccli.captioners`` makes.

    The entry point names a class (or function) that is called without arguments for the captioner's own
    weights, and with a ``pathlib.Path`` for a bundle folder whose manifest names the entry point as family.
    """

    def describe(self, options: CaptionerOptions) -> CaptionerInfo:
        """Describe without loading: reads a manifest at most, imports no onnxruntime.

        Raises:
            ModelError: there is nothing usable to describe.
        """
        ...

    def open(self, options: CaptionerOptions) -> Captioner:
        """Load the model.

        Raises:
            ModelError: damaged weights, or a device that cannot be had.
        """
        ...
