"""Which bag classifier? Ask the training bags, and take the simplest of those that do as well.

Try it: ``AutoBagClassifier().fit(bags, y).chosen_``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import compress
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from weak_supervision.bags.attention import AttentionBagClassifier
from weak_supervision.bags.base import (
    Bag,
    BagClassifier,
    check_bags,
    check_labels,
)
from weak_supervision.bags.dsmil import DualStreamBagClassifier
from weak_supervision.bags.embedding import EmbeddingBagClassifier
from weak_supervision.bags.instance_pooling import NoisyOrBagClassifier, TopKBagClassifier
from weak_supervision.bags.mi_svm import MiSVM
from weak_supervision.bags.set_kernel import SetKernelBagClassifier
from weak_supervision.bags.transformer import TransformerBagClassifier
from weak_supervision.folds import deal_folds
from weaklight.errors import DataError
from weaklight.progress import Progress, no_progress

__all__ = ["BAG_CLASSIFIERS", "CANDIDATES", "AutoBagClassifier"]

# the simplest first: fixed statistics, a fixed kernel, an instance classifier, learnt poolings
CANDIDATES: Mapping[str, Callable[[int], Any]] = {
    "embedding": lambda seed: EmbeddingBagClassifier(seed=seed),
    "set_kernel": lambda seed: SetKernelBagClassifier(seed=seed),
    "mi_svm": lambda seed: MiSVM(),
    "noisy_or": lambda seed: NoisyOrBagClassifier(seed=seed),
    "attention": lambda seed: AttentionBagClassifier(seed=seed),
}


class AutoBagClassifier:
    """Candidates judged by cross-validation inside the training bags.

    Parameters
    ----------
    candidates
        Names of `CANDIDATES`, the simplest first.
    folds
        Inner folds.
    seed
        Of the folds and the candidates.

    Attributes
    ----------
    scores_
        Inner accuracy of each candidate.
    chosen_
        The simplest candidate within one standard error of the best: on a hundred bags the best by
        a bag or two is the best by luck.

    Notes
    -----
    Time: ``folds`` trainings of each candidate and one more of the chosen. Judge it on bags that
    were not passed to ``fit``: the choice itself is fitted to these.

    References
    ----------
    Breiman et al. 1984, "Classification and regression trees", section 3.4.3 (one standard error).
    """

    classes_: NDArray[np.int64]
    scores_: dict[str, float]
    chosen_: str

    def __init__(
        self, *, candidates: Sequence[str] = tuple(CANDIDATES), folds: int = 5, seed: int = 0
    ) -> None:
        self.candidates = candidates
        self.folds = folds
        self.seed = seed

    def fit(self, bags: Sequence[Bag], y: ArrayLike, *, progress: Progress = no_progress) -> Self:
        """Train on ``bags``, (n_i, d) arrays, with integer labels ``y`` (n_bags,).

        ``progress`` is told before each training.

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
        total = self.folds * len(names) + 1
        for held in range(self.folds):
            inside, outside = fold != held, fold == held
            training, judged = (list(compress(bags, part)) for part in (inside, outside))
            for number, name in enumerate(names):
                done = held * len(names) + number
                progress(done, total, f"{name} on inner fold {held + 1} of {self.folds}")
                model = CANDIDATES[name](self.seed).fit(training, numbers[inside])
                proba = model.predict_proba(judged)
                hits[name][outside] = proba.argmax(axis=1) == numbers[outside]
        self.scores_ = {name: float(h.mean()) for name, h in hits.items()}
        best = max(self.scores_.values())
        error = float(np.sqrt(best * (1 - best) / len(bags)))
        self.chosen_ = next(n for n in names if self.scores_[n] >= best - error)
        progress(total - 1, total, f"{self.chosen_} on all of them")
        self._model: BagClassifier = CANDIDATES[self.chosen_](self.seed).fit(bags, numbers)
        return self

    def predict_proba(self, bags: Sequence[Bag]) -> NDArray[np.float32]:
        """Return the chosen candidate's probabilities, (n_bags, K) float32."""
        return self._model.predict_proba(bags)

    def predict_instances(self, bags: Sequence[Bag]) -> list[NDArray[np.float32]]:
        """Return the chosen candidate's instance scores, one (n_i, K) array a bag."""
        return self._model.predict_instances(bags)


# Every bag classifier by the name that settings use; called with a seed.
BAG_CLASSIFIERS: Mapping[str, Callable[[int], Any]] = {
    "auto": lambda seed: AutoBagClassifier(seed=seed),
    **CANDIDATES,
    "top_k": lambda seed: TopKBagClassifier(seed=seed),
    "dsmil": lambda seed: DualStreamBagClassifier(seed=seed),
    "transformer": lambda seed: TransformerBagClassifier(seed=seed),
}
