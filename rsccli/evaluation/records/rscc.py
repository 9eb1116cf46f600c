"""JSON lines as RSCC (Chen et al. 2025) writes them, predictions and ground truth alike.

``{"model_id": "m", "inference_type": "zero-shot", "pre_image": "a.png", "post_image": "b.png", "change_caption": ""}``:
a pair is known by the file names of its two images; `rsccli.evaluation.records.lines` reads these names of fields, too.
"""

from __future__ import annotations

from collections.abc import Iterable

from rsccli.errors import UsageProblem
from rsccli.evaluation.records.record import CaptionRecord
from rsccli.output.text import json_bytes


def rscc_bytes(records: Iterable[CaptionRecord]) -> bytes:
    """One line per caption, and one with an empty caption for a record without any.

    The change flag, the split and an id of its own are lost: the layout has no place for them.

    Raises:
        UsageProblem: a record does not name its images.
    """
    lines = []
    for record in records:
        if record.pre is None or record.post is None:
            raise UsageProblem(
                f"{record.where or record.key}: RSCC's lines name a pair by its two images, which are not known here; "
                "write jsonl or csv instead"
            )
        for caption in record.captions or ("",):
            lines.append(
                {
                    "model_id": record.model or "",
                    "inference_type": record.regime or "",
                    "pre_image": record.pre,
                    "post_image": record.post,
                    "change_caption": caption,
                }
            )
    return b"".join(json_bytes(line) + b"\n" for line in lines)
