"""One probe from what a user asks for to its result: pairs, captioner, figures."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeAlias

from rsccli.errors import InputError, UsageProblem
from rsccli.evaluation.probes.answering import Progress
from rsccli.evaluation.probes.domain import DomainSpec, probe_domain
from rsccli.evaluation.probes.pairs import PairChoice, PairSet, find_pairs
from rsccli.evaluation.probes.resolution import ResolutionSpec, probe_resolution
from rsccli.evaluation.probes.result import ProbeResult
from rsccli.evaluation.probes.same import SameSpec, probe_same
from rsccli.evaluation.probes.shift import ShiftSpec, probe_shift
from rsccli.evaluation.probes.swap import probe_swap
from rsccli.models.captioner import Captioner, CaptionerOptions
from rsccli.models.registry import DEFAULT_CAPTIONER, describe_captioner, load_captioner


@dataclass(frozen=True)
class SwapSpec:
    """The swap of the dates has no choices."""


Spec: TypeAlias = ResolutionSpec | DomainSpec | SwapSpec | SameSpec | ShiftSpec
NAMES: dict[type, str] = {
    ResolutionSpec: "resolution",
    DomainSpec: "domain",
    SwapSpec: "swap",
    SameSpec: "same",
    ShiftSpec: "shift",
}


@dataclass(frozen=True)
class ProbeJob:
    """One ``rsccli probe``.

    Attributes:
        inputs: see `rsccli.evaluation.probes.pairs.find_pairs`. choice: which of them. spec: which probe, and how.
        model, captioner: as for ``rsccli caption``. batch_size: pairs at once, None for what the captioner likes.
    """

    inputs: tuple[str, ...]
    spec: Spec
    choice: PairChoice = field(default_factory=PairChoice)
    model: str = DEFAULT_CAPTIONER
    captioner: CaptionerOptions = field(default_factory=CaptionerOptions)
    batch_size: int | None = None

    def __post_init__(self) -> None:
        if self.batch_size is not None and self.batch_size < 1:
            raise UsageProblem(f"--batch-size {self.batch_size}: at least 1")

    @property
    def name(self) -> str:
        """Of the probe."""
        return NAMES[type(self.spec)]


def gather_pairs(job: ProbeJob) -> PairSet:
    """Check the model by its description, then find the pairs; loads nothing.

    Raises:
        ModelError: no such captioner. UsageProblem: it would be asked with counts, which a probe has none of.
        InputError: no pairs.
    """
    info = describe_captioner(job.model, job.captioner)
    if info.prompt in ("textual", "visual"):
        raise UsageProblem(f"the {info.prompt} prompt tells counts, which a probe has none of: give --prompt naive")
    choice = job.choice
    if isinstance(job.spec, DomainSpec) and job.spec.away:
        choice = replace(choice, regions=(*job.spec.home, *job.spec.away))
    return find_pairs(job.inputs, choice)


def run_probe(job: ProbeJob, pairs: PairSet, progress: Progress = lambda pairs, old: None) -> ProbeResult:
    """Load the captioner and probe it.

    Raises:
        ModelError: it cannot be loaded. InputError: not one pair could be used.
    """
    captioner = load_captioner(job.model, job.captioner)
    try:
        result = probe(
            captioner, pairs, job.spec, job.batch_size or captioner.info.batch_size, job.choice.seed, progress
        )
    finally:
        captioner.close()
    if not result.answers:
        first = result.failures[0]
        raise InputError(f"none of {len(result.failures)} pairs could be used; {first.name}: {first.reason}")
    return result


def probe(
    captioner: Captioner,
    pairs: PairSet,
    spec: Spec,
    batch_size: int,
    seed: int = 0,
    progress: Progress = lambda pairs, old: None,
) -> ProbeResult:
    """Probe a loaded captioner.

    Args:
        spec: which probe, and how. batch_size: pairs at once. seed: that the pairs were drawn with, for the record.
    """
    match spec:
        case ResolutionSpec():
            return probe_resolution(captioner, pairs, spec, batch_size, seed, progress)
        case DomainSpec():
            return probe_domain(captioner, pairs, spec, batch_size, seed, progress)
        case SwapSpec():
            return probe_swap(captioner, pairs, batch_size, seed, progress)
        case SameSpec():
            return probe_same(captioner, pairs, spec, batch_size, seed, progress)
        case ShiftSpec():
            return probe_shift(captioner, pairs, spec, batch_size, seed, progress)
