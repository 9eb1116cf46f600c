"""Neural metrics with random encoders, against sentence-transformers, bert-score and transformers themselves."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from metric_cases import WRITTEN
from tiny_encoder import make_roberta, make_sentence_model

from rsccli.errors import ModelError
from rsccli.evaluation.metrics.bert_score import BertScore
from rsccli.evaluation.metrics.sentences import SentenceCosine
from rsccli.evaluation.metrics.states import RobertaCosine

PREDICTIONS, REFERENCES = WRITTEN
FIRST = [[texts[0]] for texts in REFERENCES]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_roberta(tmp_path_factory.mktemp("encoder") / "tiny-roberta")


@pytest.fixture(scope="module")
def sentence_model(tmp_path_factory: pytest.TempPathFactory, encoder: Path) -> Path:
    pytest.importorskip("sentence_transformers")
    return make_sentence_model(tmp_path_factory.mktemp("sentences") / "tiny-sentences", encoder)


def rscc_scores(folder: Path) -> np.ndarray:
    """|cos³| and cosine of each pair as RSCC's evaluation computes them: encode, normalise, cosine of sklearn."""
    from sentence_transformers import SentenceTransformer
    from sklearn.metrics.pairwise import cosine_similarity

    model = SentenceTransformer(str(folder), device="cpu")
    said = model.encode(PREDICTIONS, normalize_embeddings=True)
    true = model.encode([texts[0] for texts in FIRST], normalize_embeddings=True)
    cosines = np.diag(cosine_similarity(said, true))
    return np.stack([np.abs(cosines**3), cosines], axis=1)


def test_st5_scs_is_the_mean_of_cubed_cosines(sentence_model: Path) -> None:
    measured = SentenceCosine(sentence_model).measure(PREDICTIONS, FIRST)
    expected = rscc_scores(sentence_model)
    assert measured.keys == ("st5_scs", "cosine")
    assert measured.statistics == pytest.approx(expected, abs=1e-5)
    assert measured.value() == pytest.approx(100 * expected.mean(axis=0), abs=1e-3)
    assert measured.notes == ("st5_scs and cosine with tiny-sentences",)


def test_of_several_references_the_most_similar_counts(sentence_model: Path) -> None:
    metric = SentenceCosine(sentence_model)
    each = [metric.measure(PREDICTIONS, [[texts[i]] for texts in REFERENCES]).statistics[:, 1] for i in range(3)]
    assert metric.measure(PREDICTIONS, REFERENCES).statistics[:, 1] == pytest.approx(np.max(each, axis=0), abs=1e-6)


def test_a_text_is_as_similar_as_can_be_to_itself(sentence_model: Path) -> None:
    same = [[text] for text in PREDICTIONS]
    assert SentenceCosine(sentence_model).measure(PREDICTIONS, same).value() == pytest.approx([100, 100], abs=1e-3)


def test_an_encoder_is_no_sentence_model(encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"tiny-roberta is no sentence-transformers model: it has no modules\.json"):
        SentenceCosine(encoder)
    with pytest.raises(ModelError, match="there is no such folder"):
        SentenceCosine(tmp_path / "sentence-t5-xxl")


def test_a_damaged_sentence_model_is_named(sentence_model: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(sentence_model, damaged)
    (damaged / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ModelError, match="damaged cannot be loaded"):
        SentenceCosine(damaged)


def padded_cosines(folder: Path) -> list[float]:
    """Each prediction and its reference as one padded batch of transformers, averaged over all positions."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    cosines = []
    for prediction, texts in zip(PREDICTIONS, FIRST, strict=True):
        inputs = tokenizer([prediction, texts[0]], padding=True, return_tensors="pt")
        with torch.inference_mode():
            states = model(**inputs).last_hidden_state.mean(dim=1)
        cosines.append(float(torch.cosine_similarity(states[0], states[1], dim=0)))
    return cosines


def test_the_cosine_of_states_counts_padding(encoder: Path) -> None:
    measured = RobertaCosine(encoder, batch_size=3).measure(PREDICTIONS, FIRST)
    assert measured.statistics[:, 0] == pytest.approx(padded_cosines(encoder), abs=1e-5)


def test_a_pair_scores_the_same_in_any_company(encoder: Path) -> None:
    metric = RobertaCosine(encoder)
    alone = metric.measure(PREDICTIONS[4:5], FIRST[4:5]).statistics[0, 0]
    assert metric.measure(PREDICTIONS, FIRST).statistics[4, 0] == pytest.approx(alone, abs=1e-6)


def test_texts_beyond_the_positions_are_cut(encoder: Path) -> None:
    long = " ".join(["road"] * 200)
    assert RobertaCosine(encoder).measure([long], [[long + " house"]]).value() == pytest.approx([100.0], abs=1e-3)
    value = BertScore(encoder, layers=2).measure([long], [[long + " house"]]).value()
    assert value == pytest.approx([100.0] * 3, abs=1e-3)


def test_bert_score_is_that_of_its_library(tmp_path: Path) -> None:
    # The library itself cannot use a tokenizer that was saved without its limit.
    encoder = make_roberta(tmp_path / "tiny-roberta", model_max_length=38)
    bert_score = pytest.importorskip("bert_score")
    precision, recall, f1 = bert_score.score(
        PREDICTIONS, REFERENCES, model_type=str(encoder), num_layers=2, device="cpu"
    )
    measured = BertScore(encoder, layers=2).measure([*PREDICTIONS, PREDICTIONS[0]], [*REFERENCES, REFERENCES[0]])
    expected = np.stack([np.asarray(part) for part in (precision, recall, f1)], axis=1)
    assert measured.keys == ("bert_score_p", "bert_score_r", "bert_score_f1")
    assert measured.statistics[:-1] == pytest.approx(expected, abs=1e-6)
    assert measured.statistics[-1] == pytest.approx(expected[0], abs=1e-6)
    assert measured.notes == ("bert_score with tiny-roberta, layer 2, no idf, not rescaled",)


def test_bert_score_needs_a_layer_where_the_model_is_unknown(encoder: Path) -> None:
    with pytest.raises(ModelError, match="knows no layer for a model named tiny-roberta"):
        BertScore(encoder)
    with pytest.raises(ModelError, match="cannot be used for BERTScore with 9 layers"):
        BertScore(encoder, layers=9)


def test_a_folder_that_is_no_encoder_is_refused(tmp_path: Path) -> None:
    for metric in (BertScore, RobertaCosine):
        with pytest.raises(ModelError, match=r"is no encoder: it has no config\.json"):
            metric(tmp_path)
