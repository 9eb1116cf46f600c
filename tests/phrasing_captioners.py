"""A captioner for tests that can be asked in words alone: it says what ``PHRASE_FILE`` holds.

``{facts}`` in it stands for the facts that the prompt tells, joined to a paragraph: what a model that changes nothing
would write. ``PHRASE_FAILS`` makes it fail. What it was asked is appended to ``PHRASE_LOG``.
"""

from __future__ import annotations

import os
from pathlib import Path

from captioners import BrightnessCaptioner

from rsccli.errors import ModelError
from rsccli.models.captioner import CaptionerInfo, CaptionerOptions


class WriterFactory:
    """Makes `Writer`."""

    def describe(self, options: CaptionerOptions) -> CaptionerInfo:
        """Describe."""
        return CaptionerInfo("writer", "7", "writer", "MIT", "None: prepared words, for tests.", prompt="naive")

    def open(self, options: CaptionerOptions) -> Writer:
        """Open."""
        return Writer(self.describe(options))


class Writer(BrightnessCaptioner):
    """Says what a file holds."""

    def answer_text(self, prompt: str, max_new_tokens: int) -> str:
        """See `rsccli.models.large.texts.AnswersText`."""
        if log := os.environ.get("PHRASE_LOG"):
            with Path(log).open("a", encoding="utf-8") as stream:
                stream.write(prompt + "\n")
        if "PHRASE_FAILS" in os.environ:
            raise ModelError("the model fails, as the test asked")
        facts = " ".join(line.removeprefix("- ") for line in prompt.splitlines() if line.startswith("- "))
        return Path(os.environ["PHRASE_FILE"]).read_text(encoding="utf-8").replace("{facts}", facts)


class DeafFactory(WriterFactory):
    """Makes a captioner that is asked in words with pictures alone."""

    def open(self, options: CaptionerOptions) -> BrightnessCaptioner:
        """Open."""
        return BrightnessCaptioner(self.describe(options))
