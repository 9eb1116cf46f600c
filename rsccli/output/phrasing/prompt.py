"""What a model that phrases the paragraph is told: the claims, and to add nothing."""

from __future__ import annotations

from rsccli.output.scene import Scene

_TASK = (
    "Below are the facts about what changed between two images of one place from above. Write one paragraph of plain "
    "English sentences for a person who has to decide what to do. Use these facts alone. Copy every number, date and "
    "unit exactly as it stands. End every sentence with the tiles that its facts cite, in square brackets, copied "
    "exactly. Give the first fact first. Add no number, no cause, no advice and no heading."
)


def phrasing_prompt(scene: Scene) -> str:
    """The prompt: the task, then the claims as a list."""
    facts = "\n".join(f"- {plain(claim.text)}" for claim in scene.claims)
    return f"{_TASK}\n\nFacts:\n{facts}\n\nParagraph:"


def plain(text: str) -> str:
    """Text with common spaces alone; braces, which stand for pictures in a prompt, as parentheses."""
    return " ".join(text.split()).translate(str.maketrans("{}", "()"))
