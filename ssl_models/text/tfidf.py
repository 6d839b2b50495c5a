"""The plain baseline: which words a text has, weighted by rarity, in few dimensions.

Try it: ``TfidfSVD().fit(texts).encode(texts).shape``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ssl_models.text.encoder import check_texts, read_files, write_files
from ssl_models.text.tokens import words
from weaklight.errors import DataError
from weaklight.seeds import derive_seed

__all__ = ["TfidfSVD"]


class TfidfSVD:
    """TF-IDF with logarithmic counts, then a truncated singular value decomposition.

    Parameters
    ----------
    dim
        Directions that are kept; fewer where the texts have fewer.
    least_texts
        Words in fewer texts are left out: they can join nothing.
    seed
        Of the randomised decomposition.

    Attributes
    ----------
    vocabulary_ : list of V words
    idf_ : (V,) float32
    components_ : (dim, V) float32, orthonormal rows

    References
    ----------
    Deerwester et al. 1990, "Indexing by latent semantic analysis", JASIS 41(6).
    """

    name = "tfidf_svd"

    def __init__(self, *, dim: int = 100, least_texts: int = 2, seed: int = 0) -> None:
        self.dim = dim
        self.least_texts = least_texts
        self.seed = seed

    def fit(self, texts: Sequence[str]) -> Self:
        """Learn words and directions; O(n V dim) time at worst, memory of the words that occur.

        Raises
        ------
        DataError
            If fewer than two words come in ``least_texts`` texts.
        """
        from sklearn.decomposition import TruncatedSVD

        check_texts(texts, least=2)
        counter = _counter(min_df=min(self.least_texts, len(texts)))
        try:
            table = counter.fit_transform(texts)
        except ValueError:  # no word is left
            table = np.empty((0, 0))
        if table.shape[1] < 2:
            raise DataError(
                f"fewer than two words come in {self.least_texts} of these {len(texts)} texts, so "
                "nothing tells them apart; check that the column holds the text"
            )
        self.vocabulary_: list[str] = counter.get_feature_names_out().tolist()
        self.idf_ = np.asarray(counter.idf_, np.float32)
        self.n_texts_ = len(texts)
        self.dim = min(self.dim, min(table.shape) - 1) or 1
        decomposed = TruncatedSVD(
            self.dim, random_state=derive_seed(self.seed, "tfidf_svd") % 2**32
        ).fit(table)
        self.components_ = np.asarray(decomposed.components_, np.float32)
        self._prepare()
        return self

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return (n, dim) float32."""
        check_texts(texts, least=0)
        if not len(texts):
            return np.empty((0, self.dim), np.float32)
        return np.asarray(self._counter.transform(texts) @ self.components_.T, np.float32)

    def save(self, folder: Path) -> None:
        """Write words, rarities and directions."""
        description = {
            "backbone": self.name,
            "dim": self.dim,
            "n_texts": self.n_texts_,
            "settings": {"least_texts": self.least_texts, "seed": self.seed},
            "vocabulary": self.vocabulary_,
        }
        write_files(folder, description, {"idf": self.idf_, "components": self.components_})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return what :meth:`save` wrote."""
        description, arrays = read_files(folder, "idf", "components")
        encoder = cls(dim=description["dim"], **description["settings"])
        encoder.idf_, encoder.components_ = arrays
        encoder.vocabulary_ = description["vocabulary"]
        encoder.n_texts_ = description["n_texts"]
        encoder._prepare()
        return encoder

    def describe(self) -> str:
        """Return one sentence on what was learnt from what."""
        return (
            f"TF-IDF over {len(self.vocabulary_):,} words, in the {self.dim} directions that keep "
            f"most of {self.n_texts_:,} unlabelled texts."
        )

    def _prepare(self) -> None:
        self._counter = _counter(vocabulary=self.vocabulary_)
        self._counter.idf_ = self.idf_


def _counter(**options: Any) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        tokenizer=words, token_pattern=None, lowercase=False, sublinear_tf=True,
        dtype=np.float32, **options,
    )  # fmt: skip
