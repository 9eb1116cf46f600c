"""Encoders of a few thousand random weights, in the layouts that the neural metrics read. Their scores mean nothing."""

from __future__ import annotations

from pathlib import Path

import torch
from metric_cases import WORDS, WRITTEN
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast, RobertaConfig, RobertaModel

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]


def make_roberta(folder: Path, positions: int = 40, **saved: int) -> Path:
    """A RoBERTa of three layers that knows the words of these tests; ``saved`` with its tokenizer."""
    torch.manual_seed(3)
    written = {word for texts in (WRITTEN[0], *WRITTEN[1]) for text in texts for word in text.split()}
    vocabulary = {word: index for index, word in enumerate([*SPECIAL, *sorted(written | set(WORDS))])}
    plain = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    plain.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    plain.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=plain,
        bos_token="<s>",
        cls_token="<s>",
        sep_token="</s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        **saved,
    )
    config = RobertaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=positions,
        pad_token_id=1,
    )
    RobertaModel(config).eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_sentence_model(folder: Path, encoder: Path) -> Path:
    """A sentence-transformers model: that encoder and a mean over its tokens."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    transformer = Transformer(str(encoder), max_seq_length=32)
    pooling = Pooling(transformer.get_embedding_dimension())
    SentenceTransformer(modules=[transformer, pooling], device="cpu").save(str(folder))
    return folder
