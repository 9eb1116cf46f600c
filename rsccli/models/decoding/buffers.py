"""Memory of keys and values that is allocated once and written to in turn.

A step of a decoder graph reads the past and writes it again, one token longer. Two blocks for each tensor, as long as
the longest sequence needs, take turns: nothing is allocated between steps, on the host or on a GPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rsccli.models.manifest import DecoderSpec

if TYPE_CHECKING:
    import onnxruntime

#: ONNX's element types of keys and values, and the numpy type that has their bytes.
ELEMENTS: dict[str, tuple[int, np.dtype[Any]]] = {
    "fp32": (1, np.dtype(np.float32)),
    "fp16": (10, np.dtype(np.float16)),
    "bf16": (16, np.dtype(np.uint16)),
}


@dataclass(frozen=True)
class Placed:
    """Keys or values of one layer on the device: where they begin and their shape (N, heads, P, head_dim)."""

    pointer: int
    shape: tuple[int, int, int, int]


class KeyValueBuffers:
    """Two blocks for each of the decoder's keys and values.

    Args:
        spec: shape of the decoder's past. dtype: ``fp32``, ``fp16`` or ``bf16``.
        memory: ``cpu`` or ``cuda``. index: of the GPU.
    """

    def __init__(self, spec: DecoderSpec, dtype: str, memory: str, index: int) -> None:
        self._spec, self._memory, self._index = spec, memory, index
        self.element, self.numpy_type = ELEMENTS[dtype]
        self._capacity = 0
        self._blocks: tuple[list[Any], list[Any]] = ([], [])
        self._turn = 0

    @property
    def bytes(self) -> int:
        """Memory that is held now."""
        return self._capacity * self.numpy_type.itemsize * 4 * self._spec.layers

    def reserve(self, rows: int, length: int) -> None:
        """Make room for N rows of a length; what is there is kept where it is large enough."""
        wanted = rows * self._spec.heads * length * self._spec.head_dim
        if wanted <= self._capacity:
            return
        self.release()
        count = 2 * self._spec.layers
        self._blocks = ([self._allocate(wanted) for _ in range(count)], [self._allocate(wanted) for _ in range(count)])
        self._capacity = wanted

    def release(self) -> None:
        """Give the memory back; the next `reserve` takes it anew."""
        self._blocks = ([], [])
        self._capacity = 0

    def _allocate(self, elements: int) -> Any:  # noqa: ANN401 - an OrtValue
        import onnxruntime

        # Of the stand-in type: numpy has no bfloat16, and only the bytes matter.
        return onnxruntime.OrtValue.ortvalue_from_shape_and_type(
            [elements], self.numpy_type.type, self._memory, self._index
        )

    def written(self) -> list[Any]:
        """The blocks that the last step wrote, as OrtValues."""
        return self._blocks[1 - self._turn]

    def output(self, tensor: int, rows: int, length: int) -> Placed:
        """Where the next step writes one of its keys or values."""
        shape = (rows, self._spec.heads, length, self._spec.head_dim)
        return Placed(self._blocks[self._turn][tensor].data_ptr(), shape)

    def turn(self) -> None:
        """What was written is now the past; the other block is written next."""
        self._turn = 1 - self._turn

    def bind_input(self, binding: onnxruntime.IOBinding, name: str, placed: Placed) -> None:
        """Bind a past."""
        binding.bind_input(name, self._memory, self._index, self.element, placed.shape, placed.pointer)

    def bind_output(self, binding: onnxruntime.IOBinding, name: str, placed: Placed) -> None:
        """Bind a present."""
        binding.bind_output(name, self._memory, self._index, self.element, placed.shape, placed.pointer)
