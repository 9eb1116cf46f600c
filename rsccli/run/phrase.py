"""The scene's paragraph in a model's words, where these pass the check; else it stays as it is, and says why."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from rsccli.errors import ModelError, UsageProblem
from rsccli.models.captioner import CaptionerInfo, CaptionerOptions
from rsccli.models.devices import worker_devices
from rsccli.models.registry import describe_captioner, load_captioner
from rsccli.output.phrasing.check import objection
from rsccli.output.phrasing.prompt import phrasing_prompt
from rsccli.output.scene import Scene
from rsccli.output.summary import Summary

#: Longest paragraph, tokens.
MAX_NEW_TOKENS = 768


@dataclass(frozen=True)
class SummaryModel:
    """Which model phrases the paragraph.

    Attributes:
        model: folder of a bundle, or the name of a captioner. options: how it runs; it is always greedy.
    """

    model: str
    options: CaptionerOptions = field(default_factory=CaptionerOptions)

    def describe(self) -> CaptionerInfo:
        """Describe without loading, so that what cannot work is told before hours of captioning.

        Raises:
            ModelError: no such model. UsageProblem: one that is not asked in words.
        """
        info = describe_captioner(self.model, self.options)
        if not info.prompt:
            raise UsageProblem(
                f"--summary-model {self.model}: {info.name} is not asked in words; give the bundle of a large model "
                "(rsccli export-onnx)"
            )
        return info


def summary_model(model: str | None, device: str = "auto", threads: int | None = None) -> SummaryModel | None:
    """The model of ``--summary-model``, or None where none is asked for."""
    if model is None:
        return None
    return SummaryModel(model, CaptionerOptions(device=worker_devices(device)[0], threads=threads))


def phrase_summary(summary: Summary, chosen: SummaryModel | None) -> Summary:
    """The summary with its paragraph in the model's words, if they hold.

    Raises:
        ModelError: the model is gone.
    """
    if chosen is None or not summary.tiles:
        return summary
    return replace(summary, scene=phrase_scene(summary.scene, chosen))


def phrase_scene(scene: Scene, chosen: SummaryModel) -> Scene:
    """Ask the model, check its words against the claims, and keep them or say why not.

    A model that fails now costs its words alone: what was captioned is there.

    Raises:
        ModelError: the model is gone.
    """
    from rsccli.models.large.texts import answer_text

    info = chosen.describe()
    name = f"{info.name} {info.revision}"
    try:
        captioner = load_captioner(chosen.model, chosen.options)
        try:
            words = answer_text(captioner, phrasing_prompt(scene), MAX_NEW_TOKENS)
        finally:
            captioner.close()
    except (ModelError, UsageProblem, MemoryError) as error:
        return replace(scene, rejected=f"{name} did not phrase the paragraph: {str(error) or 'not enough memory'}.")
    found = objection(words, scene)
    if found is not None:
        return replace(scene, rejected=f"The paragraph of {name} was not used: {found}.")
    return replace(scene, paragraph=" ".join(words.split()), phrased_by=name)
