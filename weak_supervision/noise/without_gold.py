"""Which classifier to train where there is no gold to compare them with.

Try it: ``choose_head({"discriminant": Discriminant, "robust": RobustHead}, votes, features, ...)``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from weak_supervision.classifiers.out_of_fold import Teachable
from weak_supervision.evidence import LEVEL, bootstrap_means, group_lfs, said_by
from weak_supervision.folds import deal_folds
from weak_supervision.label_models import MajorityVote, covered
from weaklight.contracts import ABSTAIN, ClassSet, Votes
from weaklight.errors import DataError
from weaklight.seeds import numpy_generator

__all__ = ["choose_head", "held_out_agreement"]

FOLDS = 3
MAX_ROWS = 20_000  # heads are compared on at most so many items, drawn at random

Heads = Mapping[str, Callable[[], Teachable]]


def choose_head(
    heads: Heads,
    votes: Votes,
    features: NDArray[np.floating],
    *,
    n_classes: int,
    class_sets: tuple[ClassSet, ...] = (),
    seed: int = 0,
) -> tuple[str, str]:
    """Choose by what voters say that the classifier was not taught by, on items it did not see.

    Parameters
    ----------
    heads
        Makes each classifier; the simplest first. It stays unless another surely agrees more often
        (lower bootstrap bound of the gain above 0 with 99 % confidence).
    votes
        (n, m): -1 abstains, 0..K-1 a class, K+s the s-th class set.
    features
        (n, d) floats; rows that are not finite take no part.
    seed
        Of folds, bootstrap and, above 20,000 items, of the items.

    Returns
    -------
    Its name and the reason in a sentence.
    """
    said = held_out_agreement(
        heads, votes, features, n_classes=n_classes, class_sets=class_sets, seed=seed
    )
    first, *others = said
    bounds = {
        name: float(np.quantile(bootstrap_means(said[name] - said[first], seed=seed), 1 - LEVEL))
        for name in others
    }
    best = max(others, key=lambda name: bounds[name], default=first)
    chosen = best if bounds.get(best, 0.0) > 0 else first
    means = ", ".join(f"{name} {np.mean(agreed):.3f}" for name, agreed in said.items())
    return chosen, (
        f"agreement with voters that did not teach it, on {len(said[first]):,} items that it did "
        f"not see: {means}"
    )


def held_out_agreement(
    heads: Heads,
    votes: Votes,
    features: NDArray[np.floating],
    *,
    n_classes: int,
    class_sets: tuple[ClassSet, ...] = (),
    seed: int = 0,
) -> dict[str, NDArray[np.float64]]:
    """Return how far each classifier's label agrees with held-out voters, one number an item.

    Raises
    ------
    DataError
        If fewer than 3 items have both votes and features.

    Notes
    -----
    Groups of alike voters are left out in turn, together with a third of the items: the majority of
    the other voters teaches on the other items. A classifier that learns the mistakes of its
    teachers by heart gains nothing by it. A single group of voters has no others and teaches
    itself, so that only the items are held out; that is right where its mistakes depend on the
    class and not on the features. Time: three trainings of each classifier, five at most.
    """
    rows = np.flatnonzero(covered(votes) & np.isfinite(features).all(axis=1))
    if len(rows) < FOLDS:
        raise DataError(
            f"comparing heads takes {FOLDS} items with votes, but there are {len(rows)}"
        )
    if len(rows) > MAX_ROWS:
        drawn = numpy_generator(seed, "choose_head").choice(rows, MAX_ROWS, replace=False)
        rows = np.sort(drawn)
    said, x = votes[rows], features[rows]
    groups = group_lfs(said, max_groups=FOLDS)
    n_parts = max(len(groups), FOLDS)
    fold = deal_folds(said.max(axis=1), folds=n_parts, seed=seed)
    agreed: dict[str, list[NDArray[np.float64]]] = {name: [] for name in heads}
    for part in range(n_parts):
        judges = groups[part % len(groups)]
        teachers = said.copy()
        if len(groups) > 1:
            teachers[:, judges] = ABSTAIN
        taught = (fold != part) & covered(teachers)
        judged = (fold == part) & covered(said[:, judges])
        if not taught.any() or not judged.any():
            continue
        majority = MajorityVote().fit(teachers, n_classes=n_classes, class_sets=class_sets)
        targets = majority.predict_proba(teachers[taught])
        verdict = said_by(said[judged][:, judges], n_classes, class_sets)
        for name, make in heads.items():
            head = make()
            head.fit(x[taught], targets)
            label = head.predict_proba(x[judged]).argmax(axis=1)
            agreed[name].append(verdict[np.arange(len(label)), label])
    if not any(agreed.values()):
        raise DataError("no item is left to compare heads on: no two groups of voters can be split")
    return {name: np.concatenate(parts) for name, parts in agreed.items()}
