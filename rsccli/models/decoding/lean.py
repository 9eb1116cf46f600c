"""Decoding over OrtValues with onnxruntime and numpy alone: no torch, so a job starts at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rsccli.errors import ModelError, OutOfMemoryError
from rsccli.models.bundle import past_names
from rsccli.models.decoding.buffers import KeyValueBuffers, Placed
from rsccli.models.decoding.prefill import stretches
from rsccli.models.decoding.sampling import choose, log_probabilities
from rsccli.models.decoding.tokens import (
    GREEDY,
    I64,
    LOOP_RULE,
    Decoded,
    LoopRule,
    Prompt,
    Sampling,
    Stopped,
    loop_tokens,
    next_positions,
    penalised,
    tokens_so_far,
    without_loop,
)
from rsccli.models.devices import Device
from rsccli.models.manifest import DecoderSpec
from rsccli.models.memory import is_out_of_memory
from rsccli.models.sessions import onnxruntime_errors

if TYPE_CHECKING:
    import onnxruntime

F32 = npt.NDArray[np.float32]


class LeanDecoder:
    """Greedy (or sampling) decoder of a whole batch.

    Keys and values never leave the device: a step writes them into memory that was allocated once, and the next step
    reads them there. Those of leading tokens that all rows share are computed once for all of them, and kept.

    Args:
        embed: session of ``embed.onnx``. decoder: session of ``decoder.onnx``.
        spec: shape of the decoder's past. ends: tokens that end a caption. pad: token of finished rows.
        device: where the sessions run.
        sampling: how tokens are chosen. loops: when repetition ends a caption.
        penalty: on tokens of the prompt and of the caption so far, as `penalised` has it; 1: none.
    """

    def __init__(
        self,
        embed: onnxruntime.InferenceSession,
        decoder: onnxruntime.InferenceSession,
        spec: DecoderSpec,
        *,
        ends: frozenset[int],
        pad: int,
        device: Device,
        sampling: Sampling = GREEDY,
        loops: LoopRule = LOOP_RULE,
        penalty: float = 1.0,
    ) -> None:
        self._embed = embed
        self._decoder = decoder
        self._spec = spec
        self._ends, self._pad = ends, pad
        self._end = min(ends)
        self._sampling, self._loops, self._penalty = sampling, loops, penalty
        self._device = device
        self._past_names, self._present_names = past_names(spec.layers)
        self._buffers = KeyValueBuffers(spec, spec.dtype, device.memory, device.index)
        self._logits = np.empty((0, 1, spec.vocab), np.float32)
        self._shared_key: object = None
        self._shared: list[npt.NDArray[Any]] = []

    def embed(self, input_ids: I64) -> F32:
        """Embeddings (N, L, D) of token ids (N, L)."""
        values: F32 = self._embed.run(["inputs_embeds"], {"input_ids": input_ids})[0]
        return values

    def decode(self, prompt: Prompt, max_new_tokens: int) -> list[Decoded]:
        """Decode a batch; see `rsccli.models.decoding.tokens.Decoder`.

        Raises:
            OutOfMemoryError: the batch does not fit. ModelError: the graphs failed, or gave no finite logits.
        """
        try:
            return self._decode(prompt, max_new_tokens)
        except onnxruntime_errors() as error:
            if is_out_of_memory(error):
                # What was taken for the whole batch shall not be missing for its parts.
                self._buffers.release()
                raise OutOfMemoryError(f"the decoder has not enough memory for a batch of {prompt.rows}") from error
            raise ModelError(f"the decoder failed on a batch of {prompt.rows}: {error}") from error

    def forced_logits(self, prompt: Prompt, tokens: I64) -> F32:
        """Logits (N, S + 1, V) of the next token along given tokens (N, S), for comparisons."""
        rows, steps = tokens.shape
        self._buffers.reserve(rows, prompt.embeds.shape[1] + steps)
        self._room(rows)
        context = self._context(prompt)
        following = {name: each.following for name, each in prompt.per_token.items()}
        attention, after = prompt.mask, next_positions(prompt.token_positions())
        found = np.empty((rows, steps + 1, self._spec.vocab), np.float32)
        found[:, 0], past = self._read(prompt, context, self._no_past(), 0, prompt.embeds.shape[1])
        for step in range(steps):
            attention = np.concatenate([attention, np.ones((rows, 1), np.int64)], axis=1)
            embeds = self.embed(tokens[:, step : step + 1])
            found[:, step + 1], past = self._step(embeds, attention, after + step, following, context, past)
        return found

    def _room(self, rows: int) -> None:
        """Make room for the logits of N rows."""
        if len(self._logits) < rows:
            self._logits = np.empty((rows, 1, self._spec.vocab), np.float32)

    def _decode(self, prompt: Prompt, max_new_tokens: int) -> list[Decoded]:
        rows, length = prompt.embeds.shape[:2]
        self._room(rows)
        self._buffers.reserve(rows, length + max_new_tokens)
        seeds = np.arange(rows) if prompt.seeds is None else prompt.seeds
        generated: list[list[int]] = [[] for _ in range(rows)]
        logprobs: list[list[float]] = [[] for _ in range(rows)]
        stopped: list[Stopped] = ["length"] * rows
        running = np.ones(rows, dtype=bool)
        context = self._context(prompt)
        attention, positions = prompt.mask, next_positions(prompt.token_positions())
        following = {name: each.following for name, each in prompt.per_token.items()}
        seen = tokens_so_far(prompt, self._spec.vocab) if self._penalty != 1 else None
        past = self._shared_past(prompt) if prompt.shared else self._no_past()
        logits, past = self._read(prompt, context, past, prompt.shared, length)
        for step in range(max_new_tokens):
            scores = logits if seen is None else penalised(logits, seen, self._penalty)
            chosen = self._choose(scores, running, seeds, step)
            if seen is not None:
                seen[np.arange(rows), chosen] = True
            for row in np.flatnonzero(running):
                if chosen[row] in loop_tokens(generated[row], self._loops):
                    chosen[row], stopped[row] = self._end, "loop"
            logprob = log_probabilities(logits, chosen, running)
            for row in np.flatnonzero(running):
                logprobs[row].append(float(logprob[row]))
                if int(chosen[row]) in self._ends:
                    running[row] = False
                    stopped[row] = "loop" if stopped[row] == "loop" else "end"
                else:
                    generated[row].append(int(chosen[row]))
            if not running.any() or step == max_new_tokens - 1:
                break
            # Finished rows run along until the batch is done: their tokens are not looked at.
            embeds = self.embed(np.where(running, chosen, self._pad).astype(np.int64)[:, None])
            attention = np.concatenate([attention, np.ones((rows, 1), np.int64)], axis=1)
            logits, past = self._step(embeds, attention, positions + step, following, context, past)
        return [
            Decoded(without_loop(ids, self._loops) if why == "loop" else tuple(ids), float(np.mean(values)), why)
            for ids, values, why in zip(generated, logprobs, stopped, strict=True)
        ]

    def _context(self, prompt: Prompt) -> list[tuple[str, Any]]:
        return [(name, self._on_device(value)) for name, value in prompt.context.items()]

    def _no_past(self) -> list[Any]:
        return [None] * len(self._past_names)

    def _read(
        self, prompt: Prompt, context: list[tuple[str, Any]], past: list[Any], start: int, stop: int
    ) -> tuple[F32, list[Any]]:
        """Read a part of the prompt, in stretches: logits (N, V) behind it, and its keys and values."""
        positions = prompt.token_positions()
        logits = self._logits
        for first, last in stretches(self._spec, prompt.rows, start, stop):
            per_token = {name: each.values[:, first:last] for name, each in prompt.per_token.items()}
            logits, past = self._step(
                prompt.embeds[:, first:last],
                prompt.mask[:, :last],
                positions[..., first:last],
                per_token,
                context,
                past,
            )
        return logits, past

    def _step(
        self,
        embeds: F32,
        attention: I64,
        positions: I64,
        per_token: dict[str, npt.NDArray[Any]],
        context: list[tuple[str, Any]],
        past: list[Any],
    ) -> tuple[F32, list[Any]]:
        """One call: logits (N, V) of the last position, and where the present keys and values are."""
        rows, total = attention.shape
        binding = self._decoder.io_binding()
        feeds = {"inputs_embeds": embeds, "attention_mask": attention, "position_ids": positions, **per_token}
        # Bound arrays must outlive the call.
        held = {name: np.ascontiguousarray(value) for name, value in feeds.items()}
        for name, value in held.items():
            binding.bind_cpu_input(name, value)
        for name, value in context:
            binding.bind_ortvalue_input(name, value)
        for name, value in zip(self._past_names, past, strict=True):
            self._bind_past(binding, name, value, rows)
        logits = self._logits[:rows]
        binding.bind_output("logits", "cpu", 0, np.float32, logits.shape, logits.ctypes.data)
        present = [self._buffers.output(i, rows, total) for i in range(len(self._present_names))]
        for name, placed in zip(self._present_names, present, strict=True):
            self._buffers.bind_output(binding, name, placed)
        self._decoder.run_with_iobinding(binding)
        self._buffers.turn()
        return logits[:, 0], present

    def _bind_past(self, binding: onnxruntime.IOBinding, name: str, value: Any, rows: int) -> None:  # noqa: ANN401
        if isinstance(value, Placed):
            self._buffers.bind_input(binding, name, value)
        elif value is not None:
            # By its address: on a GPU the stand-in type of bfloat16 would be taken for another type than the graph's.
            self._buffers.bind_input(binding, name, Placed(value.data_ptr(), tuple(value.shape())))
        else:
            # No past yet; the address of an empty tensor is not read.
            empty = (rows, self._spec.heads, 0, self._spec.head_dim)
            self._buffers.bind_input(binding, name, Placed(self._buffers.output(0, rows, 0).pointer, empty))

    def _shared_past(self, prompt: Prompt) -> list[Any]:
        """Keys and values of the shared leading tokens for every row; computed once for one row and then copied."""
        if prompt.shared_key is None or prompt.shared_key != self._shared_key:
            alone = prompt.first_row
            _, present = self._read(alone, self._context(alone), self._no_past(), 0, prompt.shared)
            self._shared = [self._fetch(placed) for placed in present]
            self._shared_key = prompt.shared_key
        wide = (prompt.rows, *self._shared[0].shape[1:])
        return [self._on_device(np.broadcast_to(each, wide)) for each in self._shared]

    def _fetch(self, placed: Placed) -> npt.NDArray[Any]:
        """Keys or values as an array of the stand-in type."""
        import onnxruntime

        if self._device.memory == "cpu":
            import ctypes

            stored = ctypes.string_at(placed.pointer, int(np.prod(placed.shape)) * self._buffers.numpy_type.itemsize)
            return np.frombuffer(stored, self._buffers.numpy_type).reshape(placed.shape)
        # The block's OrtValue is larger than what was written: its head is what is wanted.
        block = next(each for each in self._buffers.written() if each.data_ptr() == placed.pointer)
        whole: npt.NDArray[Any] = onnxruntime.OrtValue.numpy(block)
        return whole[: int(np.prod(placed.shape))].reshape(placed.shape)

    def _on_device(self, value: npt.NDArray[Any]) -> Any:  # noqa: ANN401 - an OrtValue
        import onnxruntime

        whole = np.ascontiguousarray(value)
        memory, index = self._device.memory, self._device.index
        return onnxruntime.OrtValue.ortvalue_from_numpy(whole, memory, index)

    def _choose(self, logits: F32, running: npt.NDArray[np.bool_], seeds: npt.NDArray[Any], step: int) -> I64:
        """Token of each row: the best, or a drawn one."""
        if not np.isfinite(logits[running]).all():
            raise ModelError("the decoder's logits are not finite: the weights or the input are damaged")
        if self._sampling.temperature == 0:
            best: I64 = logits.argmax(axis=1).astype(np.int64)
            return best
        return choose(logits, running, seeds, step, self._sampling)
