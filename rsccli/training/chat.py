"""A large checkpoint from a local folder, and pairs with captions in the form in which it reads them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rsccli.errors import ModelError
from rsccli.types import U8

if TYPE_CHECKING:
    import torch

PROMPT = "These are two images of the same place, the earlier one first. Describe in one or two sentences what changed."
IGNORED = -100
#: Image-text-to-text models that read one picture alone.
ONE_IMAGE = ("vision-encoder-decoder", "blip", "blip-2", "pix2struct", "git")


@dataclass(frozen=True, eq=False)
class Example:
    """One pair and what should be said of it.

    Attributes:
        pre, post: uint8 (3, H, W). caption: a sentence.
    """

    pre: U8
    post: U8
    caption: str


@dataclass(frozen=True, eq=False)
class ChatBatch:
    """Model inputs of some examples.

    Attributes:
        inputs: all that the model's forward takes, padded on the right.
        labels: int64 (N, L), token ids of captions with their end, ``IGNORED`` elsewhere.
    """

    inputs: dict[str, torch.Tensor]
    labels: torch.Tensor

    @property
    def tokens(self) -> int:
        """How many tokens of captions there are."""
        return int((self.labels != IGNORED).sum())

    def to(self, device: torch.device, dtype: torch.dtype) -> ChatBatch:
        """The same on a device; pixels in the model's precision."""
        moved = {
            name: value.to(device, dtype) if value.is_floating_point() else value.to(device)
            for name, value in self.inputs.items()
        }
        return ChatBatch(moved, self.labels.to(device))


class ChatFormat:
    """Turns examples into model inputs with the checkpoint's own processor and chat template."""

    def __init__(self, processor: Any, ends: frozenset[int], prompt: str) -> None:  # noqa: ANN401 - no types there
        self.processor, self._ends = processor, ends
        self._tokenizer = processor.tokenizer
        if self._tokenizer.pad_token_id is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        pictures = [{"type": "image"}, {"type": "image"}]
        self._asked = {"role": "user", "content": [*pictures, {"type": "text", "text": prompt}]}
        self.prompt = self._prompt_text(prompt)
        # A template may write the first token itself.
        bos = self._tokenizer.bos_token
        self._text_options = {"add_special_tokens": not (bos and self.prompt.startswith(bos))}

    def ask(self, pairs: Sequence[tuple[U8, U8]]) -> dict[str, torch.Tensor]:
        """Inputs that end where the caption begins, for ``generate``; padded on the left."""
        from PIL import Image

        images = [[Image.fromarray(np.moveaxis(image, 0, 2)) for image in pair] for pair in pairs]
        options = {"padding": True, "padding_side": "left", "return_tensors": "pt", **self._text_options}
        return dict(self.processor(text=[self.prompt] * len(pairs), images=images, **options))

    def batch(self, examples: Sequence[Example]) -> ChatBatch:
        """Inputs with captions; only the tokens of captions have labels."""
        import torch

        asked = self.ask([(example.pre, example.post) for example in examples])
        ids, attended = asked.pop("input_ids"), asked["attention_mask"].bool()
        answers = [self.answer(example.caption) for example in examples]
        lengths = [int(row.sum()) + len(answer) for row, answer in zip(attended, answers, strict=True)]
        shape = (len(examples), max(lengths))
        whole = torch.full(shape, self._tokenizer.pad_token_id, dtype=torch.long)
        labels = torch.full(shape, IGNORED, dtype=torch.long)
        # Whatever else has a value for every token (such as token types) is 0 in captions.
        rows = {name: torch.zeros(shape, dtype=v.dtype) for name, v in asked.items() if v.shape == ids.shape}
        for i, answer in enumerate(answers):
            begin, end = int(attended[i].sum()), lengths[i]
            whole[i, :begin] = ids[i, attended[i]]
            whole[i, begin:end] = labels[i, begin:end] = torch.tensor(answer)
            for name, row in rows.items():
                row[i, :begin] = asked[name][i, attended[i]]
            rows["attention_mask"][i, :end] = 1
        return ChatBatch({**asked, **rows, "input_ids": whole}, labels)

    def answer(self, caption: str) -> list[int]:
        """Token ids of a caption as the model should go on after the prompt, its end included."""
        said = {"role": "assistant", "content": [{"type": "text", "text": caption}]}
        whole = self._template([self._asked, said], False) if self._has_template else f"{self.prompt}{caption}"
        whole = whole.rstrip()
        if whole.startswith(self.prompt):
            before = list(self._tokenizer(self.prompt, **self._text_options)["input_ids"])
            ids = list(self._tokenizer(whole, **self._text_options)["input_ids"])
            # The words of prompt and caption may share a token: then the caption is split on its own.
            together = ids[: len(before)] == before
            rest = whole[len(self.prompt) :]
            ids = ids[len(before) :] if together else self._tokenizer(rest, add_special_tokens=False)["input_ids"]
        else:
            ids = self._tokenizer(caption, add_special_tokens=False)["input_ids"]
        ends = [place for place, token in enumerate(ids) if token in self._ends]
        return list(ids[: ends[0] + 1]) if ends else [*ids, self._tokenizer.eos_token_id]

    def words(self, ids: torch.Tensor) -> str:
        """Token ids as a sentence."""
        return str(self._tokenizer.decode(ids, skip_special_tokens=True)).strip()

    @property
    def _has_template(self) -> bool:
        return bool(getattr(self.processor, "chat_template", None) or getattr(self._tokenizer, "chat_template", None))

    def _prompt_text(self, prompt: str) -> str:
        if self._has_template:
            return self._template([self._asked], True)
        token = getattr(self.processor, "image_token", None)
        if token is None:
            raise ModelError("the checkpoint has neither a chat template nor an image token: nobody knows its prompt")
        return f"{token}{token}\n{prompt}\n"

    def _template(self, messages: Sequence[Mapping[str, object]], asking: bool) -> str:
        return str(self.processor.apply_chat_template(messages, add_generation_prompt=asking, tokenize=False))


def load_model(folder: Path, dtype: torch.dtype) -> Any:  # noqa: ANN401 - transformers is not typed
    """The model of a local folder, in eval mode on the CPU.

    Raises:
        ModelError: no checkpoint is there, or of a kind that does not read two images with a prompt.
    """
    from transformers import AutoConfig, AutoModelForImageTextToText

    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} holds no config.json; give the folder of a checkpoint that was downloaded whole")
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        if config.model_type in ONE_IMAGE:
            raise ModelError(f"{folder}: a {config.model_type} reads one image; give a model that reads two (Qwen2-VL)")
        model = AutoModelForImageTextToText.from_pretrained(
            folder, dtype=dtype, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise ModelError(f"{folder}: transformers cannot load it: {error}") from error
    return model.eval()


def end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:  # noqa: ANN401 - transformers is not typed
    """Tokens that end what the model says."""
    told = getattr(model.generation_config, "eos_token_id", None)
    ids = [*(told if isinstance(told, list) else [told]), tokenizer.eos_token_id]
    found = frozenset(int(token) for token in ids if token is not None)
    if not found:
        raise ModelError("the checkpoint names no token that ends a sentence (eos_token_id)")
    return found


def caption_logits(model: Any, batch: ChatBatch) -> tuple[torch.Tensor, torch.Tensor]:  # noqa: ANN401 - as above
    """Logits float32 (T, V) of every caption token of a batch, and the tokens themselves int64 (T)."""
    labelled = batch.labels != IGNORED
    first = int(labelled.any(0).nonzero()[0]) - 1
    length = batch.labels.shape[1]
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    keeps = "logits_to_keep" in inspect.signature(base.forward).parameters
    # Logits of the prompt, thousands of image tokens times the vocabulary, would be most of the memory.
    options = {"logits_to_keep": length - first} if keeps else {}
    logits = model(**batch.inputs, use_cache=False, **options).logits
    logits = logits[:, -(length - first) : -1]
    wanted = batch.labels[:, first + 1 :]
    chosen = wanted != IGNORED
    return logits[chosen].float(), wanted[chosen]
