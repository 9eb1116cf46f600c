"""What a benchmark found, as plain frozen values: tables and JSON are made from these alone."""

from __future__ import annotations

from dataclasses import dataclass

from rsccli.evaluation.benchmark.published import PublishedRow
from rsccli.evaluation.result import Evaluation


@dataclass(frozen=True)
class Problem:
    """A pair that was left out, or that a model failed on.

    Attributes:
        pair: its name. what: ``missing`` (no image), ``unread`` (not scored) or ``failed`` (an empty prediction).
        who: models and regimes, or empty where it is for all.
    """

    pair: str
    what: str
    reason: str
    who: str = ""


@dataclass(frozen=True)
class DataFacts:
    """What was measured on.

    Attributes:
        source, references: paths as the user named them. sha256: of the list of pairs, None for folders of images.
        found: pairs of the list. matching: of ``split`` and ``only``. without_references: of these, not asked.
        pairs: asked about, drawn with ``seed`` where ``limit`` says so. missing: of these without usable images.
        splits: pairs asked about of each split, ``""`` where nobody says. notes: on the files.
    """

    source: str
    format: str
    sha256: str | None
    references: str | None
    references_sha256: str | None
    found: int
    matching: int
    without_references: int
    pairs: int
    missing: int
    split: str | None
    only: str | None
    limit: int
    seed: int
    splits: tuple[tuple[str, int], ...]
    notes: tuple[str, ...]

    @property
    def of_split(self) -> str:
        """The split of all pairs, or what they are of."""
        names = [name for name, _ in self.splits]
        return (names[0] or "no named split") if len(names) == 1 else ", ".join(name or "none" for name in names)


@dataclass(frozen=True)
class Speed:
    """How fast, and with what.

    Attributes:
        pairs: that the model saw, over all runs. seconds: of the model; read_seconds: of reading their images.
        peak_mb: memory of this process, 10^6 bytes. gpu_mb: what the GPU had less, or None without one.
        provider: that ran it. batch_size: pairs at once. size_mb, dtype: of the model's files.
    """

    pairs: int
    seconds: float
    read_seconds: float
    peak_mb: float | None
    gpu_mb: float | None
    provider: str | None
    batch_size: int
    size_mb: float
    dtype: str

    @property
    def pairs_per_s(self) -> float | None:
        """Of the model alone."""
        return self.pairs / self.seconds if self.seconds > 0 else None

    @property
    def with_reading(self) -> float | None:
        """Reading included."""
        whole = self.seconds + self.read_seconds
        return self.pairs / whole if whole > 0 else None


@dataclass(frozen=True)
class Run:
    """One model in one regime.

    Attributes:
        model: its label. revision: of it. prompt: what it was asked in, empty where it is not asked in words.
        counts_from: where the counts of its prompt come from, or None where it tells none.
        predictions: file. scored: pairs with a prediction. statuses: of these, how many the model calls ``changed``,
            ``unchanged`` or ``unsure``. unread: pairs whose images could not be read, not scored.
        failed: pairs that the model failed on, scored as empty. cut: to the size that both dates share.
        taken_over: answered in an earlier run.
        evaluations: one for each protocol, in the order of the benchmark.
    """

    model: str
    revision: str
    regime: str
    prompt: str
    counts_from: str | None
    predictions: str
    scored: int
    statuses: tuple[tuple[str, int], ...]
    unread: int
    failed: int
    cut: int
    taken_over: int
    speed: Speed
    evaluations: tuple[Evaluation, ...]

    def of(self, protocol: str) -> Evaluation:
        """The evaluation under a protocol."""
        return next(each for each in self.evaluations if each.protocol == protocol)


@dataclass(frozen=True)
class Benchmark:
    """Everything that a benchmark found.

    Attributes:
        machine: processor and cores. options: of the models, name and value. quoted: published rows, not measured here.
        samples, seed: of the bootstrap. notes: what a reader must know.
    """

    version: str
    machine: str
    data: DataFacts
    protocols: tuple[str, ...]
    runs: tuple[Run, ...]
    quoted: tuple[PublishedRow, ...]
    problems: tuple[Problem, ...]
    options: tuple[tuple[str, str], ...]
    samples: int
    seed: int
    notes: tuple[str, ...]
