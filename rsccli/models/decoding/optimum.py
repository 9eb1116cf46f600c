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
from transformers import GenerationConfig, LlamaConfig, LogitsProcessor, LogitsProcessorList

from rsccli.errors import ModelError
from rsccli.models.decoding.tokens import Decoded, loop_tokens, without_loop
from rsccli.models.manifest import DecoderSpec, TokenSpec
from rsccli.models.sessions import onnxruntime_errors

if TYPE_CHECKING:
    import onnxruntime

I64 = npt.NDArray[np.int64]
F32 = npt.NDArray[np.float32]


class EmbedsModel(ORTModelForCausalLM):  # type: ignore[misc]  # optimum carries no types
    """A decoder graph that takes embeddings: the prefix at first, then those of generated tokens."""

    def __init__(
        self, embed: onnxruntime.InferenceSession, decoder: onnxruntime.InferenceSession, config: LlamaConfig
    ) -> None:
        super().__init__(config=config, session=decoder, generation_config=GenerationConfig())
        self._embed_session = embed
        self.num_key_value_heads = config.num_key_value_heads
        self.embed_size_per_head = config.head_dim
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
        **_: Any,  # noqa: ANN401
    ) -> dict[str, Any]:
        """Inputs of one step: the prefix at first, then the embedding of the newest token."""
        if attention_mask is None:
            raise ModelError("the decoder needs an attention mask")
        if past_key_values is None:
            embeds = inputs_embeds
        else:
            newest = input_ids[:, -1:].numpy(force=True)
            embeds = torch.from_numpy(self.embed(newest)).to(self.device)
        if embeds is None:
            raise ModelError("the decoder starts from embeddings, not from token ids")
        positions = (attention_mask.long().cumsum(-1) - 1).clamp(min=0)[:, -embeds.shape[1] :]
        return {
            "inputs_embeds": embeds,
            "attention_mask": attention_mask,
            "position_ids": positions,
            "past_key_values": past_key_values,
        }

    def forward(
        self,
        inputs_embeds: torch.Tensor,
        attention_mask: torch.Tensor,
        position_ids: torch.Tensor,
        past_key_values: Any = None,  # noqa: ANN401
        **_: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401 - CausalLMOutputWithPast
        """Run the graph once."""
        rows, length, _width = inputs_embeds.shape
        if past_key_values is None:
            shape = (rows, self.num_key_value_heads, 0, self.embed_size_per_head)
            flat = [torch.zeros(shape, dtype=self.dtype, device=self.device) for _ in self.key_value_input_names]
        else:
            flat = [tensor for layer in past_key_values for tensor in layer]
        inputs = {
            "inputs_embeds": inputs_embeds,
            "attention_mask": attention_mask,
            "position_ids": position_ids,
        }
        inputs.update(zip(self.key_value_input_names, flat, strict=True))
        outputs = self._run(inputs, rows, length + flat[0].shape[2])
        present = [outputs[name] for name in self.key_value_output_names]
        layers = tuple((present[i], present[i + 1]) for i in range(0, len(present), 2))
        from transformers.modeling_outputs import CausalLMOutputWithPast

        return CausalLMOutputWithPast(logits=outputs["logits"], past_key_values=layers)

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


class LoopGuard(LogitsProcessor):  # type: ignore[misc]
    """The rule against loops of `rsccli.models.decoding.tokens`, as transformers wants it."""

    def __init__(self, eos: int) -> None:
        self._eos = eos

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Leave nothing but the end to rows whose best token would complete a loop."""
        allowed = scores.clone()
        for row, ids in enumerate(input_ids.tolist()):
            if int(scores[row].argmax()) in loop_tokens(ids):
                allowed[row] = -torch.inf
                allowed[row, self._eos] = scores[row, self._eos]
        return allowed


class OptimumDecoder:
    """Decoder with beams, over the same graphs as the lean one; with one beam it gives the same tokens.

    Args:
        embed: session of ``embed.onnx``. decoder: session of ``decoder.onnx``.
        spec: shape of the decoder's past. tokens: special tokens.
        num_beams: at least 1.
    """

    def __init__(
        self,
        embed: onnxruntime.InferenceSession,
        decoder: onnxruntime.InferenceSession,
        spec: DecoderSpec,
        tokens: TokenSpec,
        num_beams: int = 1,
    ) -> None:
        config = LlamaConfig(
            vocab_size=spec.vocab,
            hidden_size=spec.width,
            num_hidden_layers=spec.layers,
            num_attention_heads=spec.heads,
            num_key_value_heads=spec.heads,
            head_dim=spec.head_dim,
            bos_token_id=tokens.bos,
            eos_token_id=tokens.eos,
            pad_token_id=tokens.pad,
        )
        self._model = EmbedsModel(embed, decoder, config)
        self._tokens = tokens
        self._num_beams = num_beams

    def embed(self, input_ids: I64) -> F32:
        """Embeddings (N, L, D) of token ids (N, L)."""
        return self._model.embed(input_ids)

    def decode(self, prefix: F32, mask: I64, max_new_tokens: int) -> list[Decoded]:
        """Decode a batch; see `rsccli.models.decoding.tokens.Decoder`.

        Raises:
            ModelError: the graphs failed.
        """
        settings = GenerationConfig(
            max_new_tokens=max_new_tokens,
            num_beams=self._num_beams,
            do_sample=False,
            bos_token_id=self._tokens.bos,
            eos_token_id=self._tokens.eos,
            pad_token_id=self._tokens.pad,
            return_dict_in_generate=True,
            output_scores=self._num_beams > 1,
            output_logits=True,
        )
        try:
            with torch.inference_mode():
                result = self._model.generate(
                    inputs_embeds=torch.from_numpy(np.ascontiguousarray(prefix)).to(self._model.device),
                    attention_mask=torch.from_numpy(mask).to(self._model.device),
                    generation_config=settings,
                    logits_processor=LogitsProcessorList([LoopGuard(self._tokens.eos)]),
                )
        except onnxruntime_errors() as error:
            raise ModelError(f"the decoder failed on a batch of {len(prefix)}: {error}") from error
        sequences = result.sequences.numpy(force=True)
        return [self._row(sequences[row], result, row) for row in range(len(sequences))]

    def _row(self, ids: I64, result: Any, row: int) -> Decoded:  # noqa: ANN401 - a generate() output
        ends = np.flatnonzero(ids == self._tokens.eos)
        length = int(ends[0]) if len(ends) else len(ids)
        tokens = without_loop([int(token) for token in ids[:length]])
        if self._num_beams > 1:
            # With length penalty 1 the score of a beam is the mean log-probability of its tokens.
            return Decoded(tokens, float(result.sequences_scores[row]))
        spent = min(length + 1, len(ids))
        logprobs = [
            float(torch.log_softmax(result.logits[step][row].double(), dim=-1)[ids[step]]) for step in range(spent)
        ]
        return Decoded(tokens, float(np.mean(logprobs)))
