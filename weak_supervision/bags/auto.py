"""Which bag classifier? Ask the training bags, and let the best ones answer together.

Try it: ``AutoBagClassifier().fit(bags, y).chosen_``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import compress
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from weak_supervision.bags.attention import AttentionBagClassifier
from weak_supervision.bags.base import Bag, BagClassifier, check_bags, check_labels
from weak_supervision.bags.dsmil import DualStreamBagClassifier
from weak_supervision.bags.embedding import EmbeddingBagClassifier
from weak_supervision.bags.instance_pooling import NoisyOrBagClassifier, TopKBagClassifier
from weak_supervision.bags.mi_svm import MiSVM
from weak_supervision.bags.set_kernel import SetKernelBagClassifier
from weak_supervision.bags.transformer import TransformerBagClassifier
from weak_supervision.folds import deal_folds
from weaklight.errors import DataError

__all__ = ["BAG_CLASSIFIERS", "CANDIDATES", "AutoBagClassifier"]

CANDIDATES: Mapping[str, Callable[[int], Any]] = {
    "embedding": lambda seed: EmbeddingBagClassifier(seed=seed),
    "set_kernel": lambda seed: SetKernelBagClassifier(seed=seed),
    "mi_svm": lambda seed: MiSVM(),
    "noisy_or": lambda seed: NoisyOrBagClassifier(seed=seed),
    "attention": lambda seed: AttentionBagClassifier(seed=seed),
}


class AutoBagClassifier:
    """Candidates judged by cross-validation inside the training bags; those near the best vote.

    Parameters
    ----------
    candidates
        Names of `CANDIDATES`.
    folds
        Inner folds.
    seed
        Of the folds and the candidates.

    Attributes
    ----------
    scores_
        Inner accuracy of each candidate.
    chosen_
        Candidates within one standard error of the best. Their probabilities are averaged: on a
        hundred bags the best by a bag or two is the best by luck.

    Notes
    -----
    Time: ``folds`` + 1 trainings of each candidate. Judge it on bags that were not passed to
    ``fit``: the choice itself is fitted to these.

    References
    ----------
    Breiman et al. 1984, "Classification and regression trees", section 3.4.3 (one standard error).
    """

    classes_: NDArray[np.int64]
    scores_: dict[str, float]
    chosen_: tuple[str, ...]

    def __init__(
        self, *, candidates: Sequence[str] = tuple(CANDIDATES), folds: int = 5, seed: int = 0
    ) -> None:
        self.candidates = candidates
        self.folds = folds
        self.seed = seed

    def fit(self, bags: Sequence[Bag], y: ArrayLike) -> Self:
        """Train on ``bags``, (n_i, d) arrays, with integer labels ``y`` (n_bags,).

        Raises
        ------
        DataError
            If a class has fewer bags than there are folds.
        """
        check_bags(bags)
        self.classes_, numbers = check_labels(y, len(bags))
        fewest = int(np.bincount(numbers).min())
        if fewest < self.folds:
            raise DataError(
                f"the rarest class has {fewest} bags, {self.folds} inner folds need that many; "
                "ask for fewer folds or name one classifier"
            )
        names = [n for n in self.candidates if len(self.classes_) == 2 or n != "mi_svm"]
        fold = deal_folds(numbers, folds=self.folds, seed=self.seed)
        hits = {name: np.zeros(len(bags)) for name in names}
        for held in range(self.folds):
            inside, outside = fold != held, fold == held
            training, judged = (list(compress(bags, part)) for part in (inside, outside))
            for name in names:
                model = CANDIDATES[name](self.seed).fit(training, numbers[inside])
                proba = model.predict_proba(judged)
                hits[name][outside] = proba.argmax(axis=1) == numbers[outside]
        self.scores_ = {name: float(h.mean()) for name, h in hits.items()}
        best = max(self.scores_.values())
        error = float(np.sqrt(best * (1 - best) / len(bags)))
        self.chosen_ = tuple(n for n in names if self.scores_[n] >= best - error)
        self._models: list[BagClassifier] = [
            CANDIDATES[name](self.seed).fit(bags, numbers) for name in self.chosen_
        ]
        return self

    def predict_proba(self, bags: Sequence[Bag]) -> NDArray[np.float32]:
        """Return the mean probabilities of the chosen, (n_bags, K) float32."""
        of_model = [m.predict_proba(bags) for m in self._models]
        return np.asarray(np.mean(of_model, axis=0), dtype=np.float32)

    def predict_instances(self, bags: Sequence[Bag]) -> list[NDArray[np.float32]]:
        """Return the mean instance scores of the chosen, one (n_i, K) array a bag."""
        of_model = [m.predict_instances(bags) for m in self._models]
        return [np.mean(scores, axis=0) for scores in zip(*of_model, strict=True)]


# Every bag classifier by the name that settings use; called with a seed.
BAG_CLASSIFIERS: Mapping[str, Callable[[int], Any]] = {
    "auto": lambda seed: AutoBagClassifier(seed=seed),
    **CANDIDATES,
    "top_k": lambda seed: TopKBagClassifier(seed=seed),
    "dsmil": lambda seed: DualStreamBagClassifier(seed=seed),
    "transformer": lambda seed: TransformerBagClassifier(seed=seed),
}
