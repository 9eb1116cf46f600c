"""What a family of large models has to say about itself: to be exported, and to be run from its bundle.

A family is one class in one file of ``rsccli.models.families``, or in another package, registered as an entry point of
the group ``rsccli.families``. Methods that get torch modules run at export; a `Reader` runs beside a bundle and imports
no torch of its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from rsccli.models.decoding.tokens import PerToken, Prompt
from rsccli.models.large.boxes import BoxRule, View

if TYPE_CHECKING:
    import torch

    from rsccli.models.large.chat import Chat

F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
Array = npt.NDArray[Any]
Embed = Callable[[I64], F32]

#: The encoder's output that every family has, (N, T, D): image tokens in the language model's width.
IMAGE_TOKENS = "image_tokens"


@dataclass(frozen=True)
class Published:
    """A checkpoint of others that belongs to a family; nothing of it is in this package.

    Attributes:
        id: on the model hub. licence: what its card says. note: anything a user must know.
    """

    id: str
    licence: str
    note: str = ""


@dataclass(frozen=True, eq=False)
class Picture:
    """One image as the encoder takes it.

    Attributes:
        arrays: inputs of this image, without the batch axis. Images of equal ``shape`` share a call, their arrays
            stacked. shared: inputs that depend on the shape alone (indices, masks), given once for a call.
        tokens: ids that stand for the image in the prompt; those that are the image token get its features, in order.
        grid: (rows, columns) of image tokens, for families with positions in the image.
        tiles: how many pieces of the encoder's own size it is cut into; that many fewer pictures share a call.
    """

    arrays: Mapping[str, Array]
    shared: Mapping[str, Array]
    shape: tuple[int, ...]
    tokens: tuple[int, ...]
    grid: tuple[int, int] | None = None
    tiles: int = 1


@dataclass(frozen=True, eq=False)
class Features:
    """What the encoder made of one picture: its outputs without the batch axis, by name."""

    picture: Picture
    outputs: Mapping[str, F32]


@dataclass(frozen=True, eq=False)
class Row:
    """One prompt, ready for the decoder.

    Attributes:
        embeds: (L, D). positions: (L) or (3, L).
        per_token: (value (L, ...), value of generated tokens (1, ...)) by name.
        context: inputs that stay, by name.
    """

    embeds: F32
    positions: I64
    per_token: Mapping[str, tuple[Array, Array]] = field(default_factory=dict)
    context: Mapping[str, Array] = field(default_factory=dict)


class Reader(ABC):
    """A family beside its bundle: pixels to encoder inputs, ids and features to decoder inputs.

    Attributes:
        inputs: names of the encoder's inputs. outputs: of its outputs. per_token, context: of the decoder's further
            inputs. mosaic: one picture of both dates side by side, for families that read one image.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...] = (IMAGE_TOKENS,)
    per_token: tuple[str, ...] = ()
    context: tuple[str, ...] = ()
    mosaic: bool = False
    image_token: int

    @abstractmethod
    def picture(self, image: U8) -> Picture:
        """Prepare an image, uint8 (H, W, 3)."""

    def view(self, height: int, width: int) -> View:
        """The part of an image of this size that the model sees, and its size there; by default all of it as it is."""
        return View(0, 0, width, height, width, height)

    def question(self, text: str) -> Mapping[str, Array]:
        """Further encoder inputs of one image (no batch axis) that depend on what is asked; most families have none.

        The batch is filled up with zeros where they differ in length.
        """
        return {}

    def positions(self, ids: I64, pictures: Sequence[Picture]) -> I64:
        """Positions of a prompt's tokens, (L) or (3, L)."""
        return np.arange(len(ids), dtype=np.int64)

    def row(self, ids: I64, features: Sequence[Features], embed: Embed) -> Row:
        """Decoder inputs of one prompt.

        Args:
            ids: (L), image tokens in their places. features: of its pictures in order. embed: the embedding graph.
        """
        embeds = embed(ids[None])[0].copy()
        seen = [each.outputs[IMAGE_TOKENS] for each in features]
        embeds[ids == self.image_token] = np.concatenate(seen) if seen else np.zeros((0, embeds.shape[1]), np.float32)
        return Row(embeds, self.positions(ids, [each.picture for each in features]))


@dataclass(frozen=True, eq=False)
class GraphInput:
    """One input of a graph to export.

    Attributes:
        example: a tensor, 2 or more long in every dynamic axis. dynamic: axes of free length.
    """

    example: torch.Tensor
    dynamic: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class EncoderExport:
    """The encoder with its connector, ready to be exported.

    Attributes:
        module: its forward takes the inputs in order and returns the outputs in order, float32 both.
        inputs, outputs: by name.
    """

    module: torch.nn.Module
    inputs: Mapping[str, GraphInput]
    outputs: tuple[str, ...] = (IMAGE_TOKENS,)


@dataclass(frozen=True, eq=False)
class DecoderExport:
    """The language model, ready to be exported.

    Attributes:
        module: takes (inputs_embeds, 4D float mask, position_ids, past keys and values as a list, further inputs as a
            list) and returns (logits (N, 1, V), list of present keys and values). See `rsccli.models.large.graphs`.
        layers, heads, head_dim, width, vocab: as in `rsccli.models.manifest.DecoderSpec`.
        axes: 1, or 3 where positions have time, height and width. further: inputs beside, per token or constant.
    """

    module: torch.nn.Module
    layers: int
    heads: int
    head_dim: int
    width: int
    vocab: int
    axes: int = 1
    further: Mapping[str, GraphInput] = field(default_factory=dict)


class Family(ABC):
    """A family of large models.

    Attributes:
        name: in manifests and tables. title: for people. model_class: of transformers.
        published: checkpoints that belong to it. pairing: how it gets two dates, a sentence.
        mosaic: whether it reads one image, both dates side by side.
        crops: whether each of two images gets crops beside the whole; None: the family has no choice there.
        boxes: how it writes boxes, as it was published; None: nobody says that it does.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    model_class: ClassVar[str]
    published: ClassVar[tuple[Published, ...]]
    pairing: ClassVar[str] = "Both dates are two images of one prompt."
    mosaic: ClassVar[bool] = False
    boxes: ClassVar[BoxRule | None] = None
    crops: bool | None = None

    @abstractmethod
    def reads(self, config: Mapping[str, Any]) -> bool:
        """Whether a checkpoint's ``config.json`` is of this family."""

    def check(self, config: Mapping[str, Any]) -> str | None:
        """Why a checkpoint of this family cannot be exported, or None."""
        return None

    def processor(self, folder: Path) -> Any:  # noqa: ANN401 - transformers is not typed
        """The checkpoint's processor."""
        from rsccli.models.large.checkpoint import load_processor

        return load_processor(folder)

    def model(self, folder: Path, dtype: torch.dtype) -> Any:  # noqa: ANN401 - as above
        """The checkpoint's model, with every weight in its place.

        Raises:
            ModelError: weights are missing, of another shape or of another architecture.
        """
        from rsccli.models.large.checkpoint import load_whole

        return load_whole(self.model_class, folder, dtype)

    @abstractmethod
    def encoder(self, model: Any) -> EncoderExport:  # noqa: ANN401
        """The encoder of a loaded model."""

    @abstractmethod
    def decoder(self, model: Any) -> DecoderExport:  # noqa: ANN401
        """The decoder of a loaded model."""

    def embedding(self, model: Any) -> torch.Tensor:  # noqa: ANN401
        """Table (V, D) of token embeddings."""
        table: torch.Tensor = model.get_input_embeddings().weight
        return table

    @abstractmethod
    def vision(self, model: Any, processor: Any) -> dict[str, Any]:  # noqa: ANN401
        """What the reader needs to know, as JSON values; kept in the manifest."""

    def files(self, processor: Any, folder: Path) -> None:  # noqa: ANN401
        """Write what the reader needs beside the graphs: by default the image processor's settings."""
        processor.image_processor.save_pretrained(folder)

    @abstractmethod
    def reader(self, vision: Mapping[str, Any], folder: Path) -> Reader:
        """The reader of a bundle.

        Args:
            vision: what `vision` returned. folder: where `files` wrote.
        """

    def chat(self, processor: Any) -> Chat:  # noqa: ANN401
        """How the model is asked: taken from the checkpoint's own chat template."""
        from rsccli.models.large.chat import chat_of

        return chat_of(processor)

    def reference(
        self,
        processor: Any,  # noqa: ANN401
        images: Sequence[Sequence[U8]],
        texts: Sequence[str],
    ) -> Mapping[str, torch.Tensor]:
        """Inputs of ``generate()`` made by the checkpoint's own processor, for parity and the torch backend.

        Args:
            images: of each prompt, uint8 (H, W, 3). texts: whole prompts with image places, as `Chat.text` gives.
        """
        from rsccli.models.large.reference import processor_inputs

        return processor_inputs(processor, images, texts)

    def generated(self, sequences: torch.Tensor, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """What was generated, without the prompt that ``generate()`` repeats."""
        return sequences[:, inputs["input_ids"].shape[1] :]


def collate(
    rows: Sequence[Row],
    shared: int = 0,
    shared_key: object = None,
    seeds: I64 | None = None,
    ids: Sequence[I64] | None = None,
) -> Prompt:
    """Rows of different length as one prompt, padded behind what they share.

    Args:
        rows: at least one. shared: leading tokens that are equal in all rows. shared_key: see `Prompt`.
        seeds: one for each row. ids: token ids of each row.
    """
    length = max(len(row.embeds) for row in rows)

    def padded(values: Array, axis: int = 0) -> Array:
        missing = length - values.shape[axis]
        if not missing:
            return values
        gap = np.zeros((*values.shape[:axis], missing, *values.shape[axis + 1 :]), values.dtype)
        head, tail = np.split(values, [shared], axis=axis)
        return np.concatenate([head, gap, tail], axis=axis)

    return Prompt(
        embeds=np.stack([padded(row.embeds) for row in rows]),
        mask=np.stack([padded(np.ones(len(row.embeds), np.int64)) for row in rows]),
        positions=np.stack([padded(row.positions, row.positions.ndim - 1) for row in rows]),
        per_token={
            name: PerToken(
                np.stack([padded(row.per_token[name][0]) for row in rows]),
                np.stack([row.per_token[name][1] for row in rows]),
            )
            for name in rows[0].per_token
        },
        context={name: np.stack([row.context[name] for row in rows]) for name in rows[0].context},
        shared=shared,
        shared_key=shared_key,
        seeds=seeds,
        ids=None if ids is None else tuple(ids),
    )
