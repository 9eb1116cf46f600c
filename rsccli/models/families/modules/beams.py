"""Beam search over prompts of several images, mended.

Where images lie one behind another along the first axis, the library's expansion for beams repeats each image on its
own: the first beams of a prompt would see its first image twice and the last ones its second. Here the images of one
prompt are repeated together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Counts = Callable[[Tensor, Tensor], Sequence[int]]


def equally(input_ids: Tensor, values: Tensor) -> list[int]:
    """The same number of entries for every prompt."""
    return [len(values) // len(input_ids)] * len(input_ids)


def keep_prompts_together(model: Any, names: Sequence[str], counts: Counts = equally) -> Any:  # noqa: ANN401
    """Mend the expansion for beams of a model.

    Args:
        model: of transformers, changed in place. names: its inputs with an entry for each image.
        counts: entries of each prompt, from (input_ids, input).

    Returns:
        The same model.
    """
    plain = model._expand_inputs_for_generation

    def expand(
        expand_size: int = 1,
        is_encoder_decoder: bool = False,
        input_ids: Tensor | None = None,
        **given: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        own = {}
        if expand_size > 1 and input_ids is not None:
            for name in names:
                if given.get(name) is not None:
                    values = given.pop(name)
                    own[name] = _repeat(values, counts(input_ids, values), expand_size)
        ids, others = plain(
            expand_size=expand_size, is_encoder_decoder=is_encoder_decoder, input_ids=input_ids, **given
        )
        return ids, {**others, **own}

    model._expand_inputs_for_generation = expand
    return model


def _repeat(values: Tensor, counts: Sequence[int], times: int) -> Tensor:
    own = torch.split(values, list(counts))
    return torch.cat([part for each in own for part in [each] * times])
