"""Word2vec: words that occur in the same company get like vectors; a text is their weighted mean.

Try it: ``Word2Vec().fit(texts).nearest("mortgage")``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from ssl_models.text.encoder import check_texts, read_files, write_files
from ssl_models.text.tokens import words
from weaklight.errors import DataError
from weaklight.seeds import derive_seed

__all__ = ["Word2Vec"]


class Word2Vec:
    """Skip-gram with negative sampling (gensim), and smooth inverse frequency for whole texts.

    Parameters
    ----------
    dim
        Length of a vector; 100 as in gensim, more wants more text.
    window
        Words to each side that count as company; a new number from 1 to this for each word.
    negatives
        Noise words for each true one; 5 to 20 for small data (Mikolov et al., section 2.2).
    epochs
        Passes over the text: gensim's 5 is for larger ones; 10 on the 400,000 words of
        ``examples/mail`` take 13 s of one core.
    least_count
        Rarer words are not learnt.
    smoothing
        a of Arora et al., eq. 3: a word of frequency p weighs a / (a + p). Infinity is the plain
        mean.
    seed
        Decides the bytes; training uses one thread, since several race.

    Attributes
    ----------
    vocabulary_ : list of V words, most frequent first
    vectors_ : (V, dim) float32
    weights_ : (V,) float32 in (0, 1]
    center_ : (dim,) float32, mean of the training texts, taken from every text: what all texts
        share tells none apart (Arora et al. take out its direction)

    References
    ----------
    Mikolov et al. 2013, "Distributed representations of words and phrases and their
    compositionality", arXiv:1310.4546, eq. 4. Arora, Liang and Ma 2017, "A simple but
    tough-to-beat baseline for sentence embeddings", ICLR, algorithm 1.
    """

    name = "word2vec"

    def __init__(
        self,
        *,
        dim: int = 100,
        window: int = 5,
        negatives: int = 5,
        epochs: int = 10,
        least_count: int = 3,
        smoothing: float = 1e-3,
        seed: int = 0,
    ) -> None:
        self.dim = dim
        self.window = window
        self.negatives = negatives
        self.epochs = epochs
        self.least_count = least_count
        self.smoothing = smoothing
        self.seed = seed

    def fit(self, texts: Sequence[str]) -> Self:
        """Learn word vectors from the texts; O(words x window x negatives x dim x epochs).

        Raises
        ------
        DataError
            If no word comes ``least_count`` times.
        """
        from gensim.models import Word2Vec as SkipGram

        check_texts(texts)
        sentences = [words(text) for text in texts]
        model = SkipGram(
            vector_size=self.dim,
            window=self.window,
            negative=self.negatives,
            min_count=self.least_count,
            sg=1,
            workers=1,
            seed=derive_seed(self.seed, "word2vec") % 2**32,
        )
        model.build_vocab(sentences)
        if not model.wv.index_to_key:
            raise DataError(
                f"no word comes {self.least_count} times in these {len(texts)} texts, so there is "
                "nothing to learn from; give more text, or take tfidf_svd"
            )
        model.train(sentences, total_examples=len(sentences), epochs=self.epochs)
        self.vocabulary_: list[str] = model.wv.index_to_key
        self.vectors_: NDArray[np.float32] = np.array(model.wv.vectors, np.float32)
        counts = np.array([model.wv.get_vecattr(w, "count") for w in self.vocabulary_], float)
        self.weights_ = _weights(counts / sum(map(len, sentences)), self.smoothing)
        self.n_words_ = sum(map(len, sentences))
        self._index()
        self.center_ = np.zeros(self.dim, np.float32)
        self.center_ = self.encode(texts).mean(axis=0, dtype=np.float64).astype(np.float32)
        return self

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return (n, dim) float32: each text's weighted mean of known words, less the center."""
        check_texts(texts, least=0)
        known = [[self._place[w] for w in words(t) if w in self._place] for t in texts]
        lengths = [len(places) for places in known]
        columns = np.fromiter((p for places in known for p in places), np.int64, sum(lengths))
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        counts = csr_array(
            (self.weights_[columns], columns, starts), (len(texts), len(self.vocabulary_))
        )
        total = np.maximum(lengths, 1).astype(np.float32)[:, None]
        mean = (counts @ self.vectors_) / total - self.center_
        mean[np.equal(lengths, 0)] = 0
        return np.asarray(mean, np.float32)

    def nearest(self, word: str, n: int = 10) -> list[tuple[str, float]]:
        """Return the words whose vectors point the same way, with their cosines.

        Raises
        ------
        DataError
            If the word was not learnt.
        """
        if word not in self._place:
            raise DataError(f"{word!r} is not among the {len(self.vocabulary_)} learnt words")
        unit = self.vectors_ / np.linalg.norm(self.vectors_, axis=1, keepdims=True)
        cosines = unit @ unit[self._place[word]]
        order = [i for i in np.argsort(-cosines, kind="stable") if i != self._place[word]][:n]
        return [(self.vocabulary_[i], float(cosines[i])) for i in order]

    def save(self, folder: Path) -> None:
        """Write the vectors and the words."""
        description = {
            "backbone": self.name,
            "dim": self.dim,
            "n_words": self.n_words_,
            "settings": {k: getattr(self, k) for k in _SETTINGS},
            "vocabulary": self.vocabulary_,
        }
        arrays = {"vectors": self.vectors_, "weights": self.weights_, "center": self.center_}
        write_files(folder, description, arrays)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return what :meth:`save` wrote."""
        description, arrays = read_files(folder, "vectors", "weights", "center")
        encoder = cls(dim=description["dim"], **description["settings"])
        encoder.vectors_, encoder.weights_, encoder.center_ = arrays
        encoder.vocabulary_ = description["vocabulary"]
        encoder.n_words_ = description["n_words"]
        encoder._index()
        return encoder

    def describe(self) -> str:
        """Return one sentence on what was learnt from what."""
        return (
            f"Word2vec learnt {len(self.vocabulary_):,} words from the {self.n_words_:,} running "
            "words of the unlabelled texts, each by the words around it."
        )

    def _index(self) -> None:
        self._place = {word: place for place, word in enumerate(self.vocabulary_)}


_SETTINGS = ("window", "negatives", "epochs", "least_count", "smoothing", "seed")


def _weights(frequency: NDArray[np.float64], smoothing: float) -> NDArray[np.float32]:
    if np.isinf(smoothing):
        return np.ones(len(frequency), np.float32)
    return (smoothing / (smoothing + frequency)).astype(np.float32)
