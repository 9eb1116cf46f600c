"""Greedy decoding over OrtValues with onnxruntime and numpy alone: no torch, so a job starts at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rsccli.errors import ModelError
from rsccli.models.bundle import past_names
from rsccli.models.decoding.tokens import Decoded, loop_tokens, without_loop
from rsccli.models.manifest import DecoderSpec, TokenSpec
from rsccli.models.sessions import Device, onnxruntime_errors

if TYPE_CHECKING:
    import onnxruntime

I64 = npt.NDArray[np.int64]
F32 = npt.NDArray[np.float32]


class LeanDecoder:
    """Greedy decoder of a whole batch.

    Keys and values never leave the device: the outputs of a step are bound as the inputs of the next.

    Args:
        embed: session of ``embed.onnx``. decoder: session of ``decoder.onnx``.
        spec: shape of the decoder's past. tokens: special tokens.
        device: where the sessions run.
    """

    def __init__(
        self,
        embed: onnxruntime.InferenceSession,
        decoder: onnxruntime.InferenceSession,
        spec: DecoderSpec,
        tokens: TokenSpec,
        device: Device,
    ) -> None:
        self._embed = embed
        self._decoder = decoder
        self._spec = spec
        self._tokens = tokens
        self._device = device
        self._past_names, self._present_names = past_names(spec.layers)

    def embed(self, input_ids: I64) -> F32:
        """Embeddings (N, L, D) of token ids (N, L)."""
        values: F32 = self._embed.run(["inputs_embeds"], {"input_ids": input_ids})[0]
        return values

    def decode(self, prefix: F32, mask: I64, max_new_tokens: int) -> list[Decoded]:
        """Decode a batch greedily; see `rsccli.models.decoding.tokens.Decoder`.

        Raises:
            ModelError: the graphs failed, or gave no finite logits.
        """
        try:
            return self._decode(prefix, mask, max_new_tokens)
        except onnxruntime_errors() as error:
            raise ModelError(f"the decoder failed on a batch of {len(prefix)}: {error}") from error

    def _decode(self, prefix: F32, mask: I64, max_new_tokens: int) -> list[Decoded]:
        rows = len(prefix)
        generated: list[list[int]] = [[] for _ in range(rows)]
        logprobs: list[list[float]] = [[] for _ in range(rows)]
        running = np.ones(rows, dtype=bool)
        embeds, attention = prefix, mask
        # Padding on the left has position 0 like the first real token; the mask keeps it from being seen.
        positions = np.maximum(np.cumsum(mask, axis=1) - 1, 0)
        past: list[Any] = []
        for step in range(max_new_tokens):
            logits, past = self._step(embeds, attention, positions, past)
            chosen, logprob = self._choose(logits, generated, running)
            for row in np.flatnonzero(running):
                logprobs[row].append(float(logprob[row]))
                if chosen[row] == self._tokens.eos:
                    running[row] = False
                else:
                    generated[row].append(int(chosen[row]))
            if not running.any() or step == max_new_tokens - 1:
                break
            # Finished rows run along until the batch is done: their tokens are not looked at.
            following = np.where(running, chosen, self._tokens.pad).astype(np.int64)[:, None]
            embeds = self.embed(following)
            attention = np.concatenate([attention, np.ones((rows, 1), np.int64)], axis=1)
            positions = positions[:, -1:] + 1
        return [
            Decoded(without_loop(ids), float(np.mean(values))) for ids, values in zip(generated, logprobs, strict=True)
        ]

    def _step(self, embeds: F32, attention: I64, positions: I64, past: list[Any]) -> tuple[F32, list[Any]]:
        """One call: logits (N, V) of the last position, and the present keys and values on the device."""
        binding = self._decoder.io_binding()
        binding.bind_cpu_input("inputs_embeds", np.ascontiguousarray(embeds))
        binding.bind_cpu_input("attention_mask", attention)
        binding.bind_cpu_input("position_ids", np.ascontiguousarray(positions))
        if past:
            for name, value in zip(self._past_names, past, strict=True):
                binding.bind_ortvalue_input(name, value)
        else:
            empty = np.zeros((len(embeds), self._spec.heads, 0, self._spec.head_dim), np.float32)
            for name in self._past_names:
                binding.bind_cpu_input(name, empty)
        binding.bind_output("logits", "cpu")
        for name in self._present_names:
            binding.bind_output(name, self._device.kind, self._device.index)
        self._decoder.run_with_iobinding(binding)
        logits, *present = binding.get_outputs()
        return logits.numpy()[:, -1, :], present

    def _choose(
        self, logits: F32, generated: list[list[int]], running: npt.NDArray[np.bool_]
    ) -> tuple[I64, npt.NDArray[np.float64]]:
        """Best token of each row, or its end where that would loop; and the log-probability of it."""
        if not np.isfinite(logits[running]).all():
            raise ModelError("the decoder's logits are not finite: the weights or the input are damaged")
        chosen = logits.argmax(axis=1).astype(np.int64)
        for row in np.flatnonzero(running):
            if chosen[row] in loop_tokens(generated[row]):
                chosen[row] = self._tokens.eos
        # In float64: the probability of a sure token is 1 minus less than float32 can tell.
        exact = logits.astype(np.float64)
        peak = exact.max(axis=1)
        total = peak + np.log(np.exp(exact - peak[:, None]).sum(axis=1))
        best = np.take_along_axis(exact, chosen[:, None], axis=1)[:, 0]
        return chosen, best - total
