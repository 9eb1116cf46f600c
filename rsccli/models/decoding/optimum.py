"""Decoding through optimum's ``ORTModelForCausalLM``: beams and every other option of ``generate()``.

This module imports torch, transformers and optimum, 4 s and 300 MB: the caption path imports it only when
asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from optimum.onnxruntime import ORTModelForCausalLM
from transformers import GenerationConfig, LlamaConfig, LogitsProcessorList

from rsccli.errors import ModelError, OutOfMemoryError
from rsccli.models.decoding.generated import LoopGuard, PromptPenalty, decoded_rows
from rsccli.models.decoding.prefill import stretches
from rsccli.models.decoding.tokens import I64, LOOP_RULE, Decoded, LoopRule, Prompt, next_positions
from rsccli.models.manifest import DecoderSpec
from rsccli.models.memory import is_out_of_memory
from rsccli.models.sessions import onnxruntime_errors

if TYPE_CHECKING:
    import onnxruntime

F32 = npt.NDArray[np.float32]
TORCH_TYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


class EmbedsModel(ORTModelForCausalLM):  # type: ignore[misc]  # optimum carries no types
    """A decoder graph that takes embeddings: the prefix at first, then those of generated tokens."""

    def __init__(
        self,
        embed: onnxruntime.InferenceSession,
        decoder: onnxruntime.InferenceSession,
        config: LlamaConfig,
        spec: DecoderSpec,
    ) -> None:
        super().__init__(config=config, session=decoder, generation_config=GenerationConfig())
        self._embed_session = embed
        self.num_key_value_heads = config.num_key_value_heads
        self.embed_size_per_head = config.head_dim
        self._spec, self._past_type = spec, TORCH_TYPES[spec.dtype]
        if self.device.type == "cuda" and not torch.cuda.is_available():
            # ONNX Runtime has the GPU but torch is a CPU build: only the tensors stay on the host.
            self._device = torch.device("cpu")
            self._use_io_binding = False

    def embed(self, input_ids: I64) -> F32:
        """Embeddings (N, L, D) of token ids (N, L)."""
        values: F32 = self._embed_session.run(["inputs_embeds"], {"input_ids": input_ids})[0]
        return values

    def prepare_inputs_for_generation(
        self,
        input_ids: torch.Tensor,
        past_key_values: Any = None,  # noqa: ANN401 - optimum's nested tuples
        attention_mask: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        positions: torch.Tensor | None = None,
        next_position: torch.Tensor | None = None,
        **rest: Any,  # noqa: ANN401
    ) -> dict[str, Any]:
        """Inputs of one step: the prompt at first, then the embedding of the newest token.

        ``rest`` holds inputs with a value per token as ``token:NAME`` and ``following:NAME``, constant ones as
        ``context:NAME``. Beam search repeats every tensor for its beams by itself.
        """
        if attention_mask is None or positions is None or next_position is None:
            raise ModelError("the decoder needs an attention mask and positions")
        first = past_key_values is None
        if first:
            embeds, place = inputs_embeds, positions
        else:
            newest = input_ids[:, -1:].numpy(force=True)
            embeds = torch.from_numpy(self.embed(newest)).to(self.device)
            place = next_position + (attention_mask.shape[1] - positions.shape[-1] - 1)
        if embeds is None:
            raise ModelError("the decoder starts from embeddings, not from token ids")

        def named(kind: str) -> dict[str, torch.Tensor]:
            return {name.removeprefix(kind): value for name, value in rest.items() if name.startswith(kind)}

        return {
            "inputs_embeds": embeds,
            "attention_mask": attention_mask,
            "position_ids": place,
            "past_key_values": past_key_values,
            "per_token": named("token:" if first else "following:"),
            "context": named("context:"),
        }

    def forward(
        self,
        inputs_embeds: torch.Tensor,
        attention_mask: torch.Tensor,
        position_ids: torch.Tensor,
        past_key_values: Any = None,  # noqa: ANN401
        per_token: dict[str, torch.Tensor] | None = None,
        context: dict[str, torch.Tensor] | None = None,
        **_: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401 - CausalLMOutputWithPast
        """Run the graph; over a long prompt more than once."""
        rows, length, _width = inputs_embeds.shape
        if past_key_values is None:
            shape = (rows, self.num_key_value_heads, 0, self.embed_size_per_head)
            flat = [torch.zeros(shape, dtype=self._past_type, device=self.device) for _ in self.key_value_input_names]
        else:
            flat = [tensor for layer in past_key_values for tensor in layer]
        before = flat[0].shape[2]
        outputs: dict[str, torch.Tensor] = {}
        for first, last in stretches(self._spec, rows, before, before + length):
            own = slice(first - before, last - before)
            inputs = {
                "inputs_embeds": inputs_embeds[:, own].contiguous(),
                "attention_mask": attention_mask[:, :last].contiguous(),
                "position_ids": position_ids[..., own].contiguous(),
                **{name: value[:, own].contiguous() for name, value in (per_token or {}).items()},
                **{name: value.contiguous() for name, value in (context or {}).items()},
            }
            inputs.update(zip(self.key_value_input_names, flat, strict=True))
            outputs = self._run(inputs, rows, last)
            flat = [outputs[name] for name in self.key_value_output_names]
        layers = tuple((flat[i], flat[i + 1]) for i in range(0, len(flat), 2))
        from transformers.modeling_outputs import CausalLMOutputWithPast

        return CausalLMOutputWithPast(logits=outputs["logits"], past_key_values=layers)

    def _validate_model_kwargs(self, model_kwargs: dict[str, Any]) -> None:
        """Further inputs are named by the graph, which the library cannot know."""

    def _run(self, inputs: dict[str, torch.Tensor], rows: int, length: int) -> dict[str, torch.Tensor]:
        if not self.use_io_binding:
            outputs = self.session.run(None, self._prepare_onnx_inputs(True, inputs))
            named: dict[str, torch.Tensor] = self._prepare_onnx_outputs(True, outputs)
            return named
        past = (rows, self.num_key_value_heads, length, self.embed_size_per_head)
        shapes: dict[str, tuple[int, ...]] = {name: past for name in self.key_value_output_names}
        shapes["logits"] = (rows, 1, self.config.vocab_size)
        shapes, buffers = self._prepare_io_binding(inputs, known_output_shapes=shapes)
        self._io_binding.synchronize_inputs()
        self.session.run_with_iobinding(self._io_binding)
        self._io_binding.synchronize_outputs()
        return {name: buffer.view(shapes[name]) for name, buffer in buffers.items()}


class OptimumDecoder:
    """Decoder with beams, over the same graphs as the lean one; with one beam it gives the same tokens.

    Args:
        embed: session of ``embed.onnx``. decoder: session of ``decoder.onnx``.
        spec: shape of the decoder's past. ends: tokens that end a caption. pad: token of finished rows.
        num_beams: at least 1. loops: when repetition ends a caption.
        penalty: see `rsccli.models.decoding.lean.LeanDecoder`.
    """

    def __init__(
        self,
        embed: onnxruntime.InferenceSession,
        decoder: onnxruntime.InferenceSession,
        spec: DecoderSpec,
        *,
        ends: frozenset[int],
        pad: int,
        num_beams: int = 1,
        loops: LoopRule = LOOP_RULE,
        penalty: float = 1.0,
    ) -> None:
        config = LlamaConfig(
            vocab_size=spec.vocab,
            hidden_size=spec.width,
            num_hidden_layers=spec.layers,
            num_attention_heads=spec.heads,
            num_key_value_heads=spec.heads,
            head_dim=spec.head_dim,
            eos_token_id=min(ends),
            pad_token_id=pad,
        )
        self._model = EmbedsModel(embed, decoder, config, spec)
        self._ends, self._pad, self._loops = ends, pad, loops
        self._num_beams, self._penalty = num_beams, penalty

    def embed(self, input_ids: I64) -> F32:
        """Embeddings (N, L, D) of token ids (N, L)."""
        return self._model.embed(input_ids)

    def decode(self, prompt: Prompt, max_new_tokens: int) -> list[Decoded]:
        """Decode a batch; see `rsccli.models.decoding.tokens.Decoder`.

        Raises:
            OutOfMemoryError: the batch does not fit. ModelError: the graphs failed.
        """
        settings = GenerationConfig(
            max_new_tokens=max_new_tokens,
            num_beams=self._num_beams,
            do_sample=False,
            eos_token_id=sorted(self._ends),
            pad_token_id=self._pad,
            return_dict_in_generate=True,
            output_scores=self._num_beams > 1,
            output_logits=True,
        )
        guard = LoopGuard(min(self._ends), self._loops, beams=self._num_beams) if self._loops.longest else None
        try:
            with torch.inference_mode():
                result = self._model.generate(
                    inputs_embeds=self._tensor(prompt.embeds),
                    attention_mask=self._tensor(prompt.mask),
                    generation_config=settings,
                    logits_processor=LogitsProcessorList(
                        [
                            *([PromptPenalty(prompt, self._penalty, self._num_beams)] if self._penalty != 1 else []),
                            *([guard] if guard else []),
                        ]
                    ),
                    **self._further(prompt),
                )
        except onnxruntime_errors() as error:
            if is_out_of_memory(error):
                raise OutOfMemoryError(f"the decoder has not enough memory for a batch of {prompt.rows}") from error
            raise ModelError(f"the decoder failed on a batch of {prompt.rows}: {error}") from error
        return decoded_rows(result, result.sequences, self._ends, guard, self._num_beams)

    def _tensor(self, values: npt.NDArray[Any]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self._model.device)

    def _further(self, prompt: Prompt) -> dict[str, torch.Tensor]:
        positions = prompt.token_positions()
        found = {"positions": positions, "next_position": next_positions(positions)}
        found |= {f"token:{name}": each.values for name, each in prompt.per_token.items()}
        found |= {f"following:{name}": each.following for name, each in prompt.per_token.items()}
        found |= {f"context:{name}": each for name, each in prompt.context.items()}
        return {name: self._tensor(each) for name, each in found.items()}
