"""Asks a large model for boxes, and reads them strictly."""

from __future__ import annotations

from collections.abc import Sequence

from rsccli.errors import ModelError, UsageProblem
from rsccli.models.answering import Answers
from rsccli.models.captioner import Captioner, CaptionerInfo
from rsccli.models.large.boxes import FORMS, BoxRule, Malformed, Scale, grounding_prompt, parse_boxes
from rsccli.models.large.families import find_family
from rsccli.output.text import storable
from rsccli.run.ground.place import box_window, view_of
from rsccli.run.ground.record import FoundBox, TileFinds
from rsccli.types import Caption, Grid, TilePair

#: Of a malformed answer this much is kept, so that a person can see what came.
KEPT_WORDS = 200


def rule_for(info: CaptionerInfo, scale: Scale | None) -> BoxRule:
    """How a captioner writes boxes.

    Args:
        scale: what the user says, or None for what its family says.

    Raises:
        UsageProblem: nobody says, or its boxes would say nothing.
    """
    family = find_family(info.family)
    if family is not None and family.mosaic:
        raise UsageProblem(
            f"{info.name} ({family.title}) sees both dates as one picture: a box in it does not say of which date it "
            "is; choose a model that reads two images"
        )
    own = None if family is None else family.boxes
    if scale is not None:
        return BoxRule(scale, own.form if own is not None and own.scale == scale else FORMS[scale])
    if own is None:
        raise UsageProblem(
            f"{info.name}: nobody says in which numbers the family {info.family!r} writes boxes: give --boxes "
            "absolute, normalised, percent or thousand if its card does"
        )
    return own


class BoxAsker:
    """Asks for each phrase in turn; pictures are encoded once for all phrases, where the model allows it.

    Args:
        captioner: loaded. phrases: as they were given. rule: of its boxes. grid: of the run. name: of the captioner.

    Raises:
        ModelError: it cannot be asked.
    """

    def __init__(self, captioner: Captioner, phrases: Sequence[str], rule: BoxRule, grid: Grid, name: str) -> None:
        if not isinstance(captioner, Answers):
            raise ModelError(
                f"{name} captions, but takes no questions: give the bundle of a large model with -m "
                "(rsccli export-onnx)"
            )
        self._captioner, self._answers = captioner, captioner.answer
        self._prompts = [grounding_prompt(phrase, rule.form) for phrase in phrases]
        self._rule, self._grid = rule, grid

    def finds(self, pairs: Sequence[TilePair]) -> list[tuple[TileFinds, ...]]:
        """For each pair what each phrase gave.

        Raises:
            ModelError: the model failed on this batch.
        """
        by_phrase = self._answers(pairs, self._prompts)
        return [tuple(self._one(pair, answers[index]) for answers in by_phrase) for index, pair in enumerate(pairs)]

    def _one(self, pair: TilePair, said: Caption) -> TileFinds:
        view = view_of(self._captioner, pair)
        logprob = None if said.logprob is None else round(float(said.logprob), 4)
        boxes = parse_boxes(said.text, self._rule.scale, view)
        if isinstance(boxes, Malformed):
            words = storable(" ".join(said.text.split()))
            answer = words if len(words) <= KEPT_WORDS else words[: KEPT_WORDS - 1] + "…"
            return TileFinds("malformed", logprob=logprob, reason=boxes.reason, answer=answer)
        windows = [(box_window(box, view, pair, self._grid), box.label) for box in boxes]
        found = tuple(FoundBox(window, storable(label)) for window, label in windows if window is not None)
        return TileFinds("found" if found else "nothing", found, logprob)
