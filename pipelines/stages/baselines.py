"""What the weak labels are measured against: cheaper ways to a classifier, on the same test rows.

Every baseline uses the features, the linear head and the test rows of the run itself, so that a
difference comes from the labels alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.encoders import BASELINES, baseline_features
from pipelines.sections import EvaluateConfig
from pipelines.stages.judged import Judged, Step
from ssl_models.knn import knn_predict_proba
from weak_supervision.classifiers import LinearHead
from weak_supervision.evaluation import (
    MIN_ROWS,
    CrossoverPoint,
    accuracy,
    crossover_curve,
    hand_labels_worth,
)
from weaklight.contracts import ABSTAIN
from weaklight.seeds import numpy_generator

__all__ = ["FEW_GOLD", "NO_TEST_GOLD", "Rival", "crossover", "gold_only_curve", "rivals"]

FEW_GOLD = 100  # what one person labels in an hour: the bar that weak labels have to clear
NO_TEST_GOLD = "no gold on the test split"
_L2 = (LinearHead().l2, 1.0)  # what noisy labels want, and what a few hundred clean ones may
_FOLDS = 5


@dataclass(frozen=True)
class Rival:
    """A baseline's labels of the test rows with gold, or the reason why there are none.

    ``n_by_hand`` is how many labels by hand it has to learn from; None where it takes weak ones.
    """

    key: str
    title: str
    labels: NDArray[np.int64] | None
    reason: str = ""
    n_by_hand: int | None = None


def rivals(
    run: Judged, curve: Sequence[CrossoverPoint], config: EvaluateConfig, seed: int
) -> list[Rival]:
    """Return every baseline.

    Parameters
    ----------
    curve
        From :func:`gold_only_curve`; its point at 100 gold rows is shown by the draw of median
        accuracy, unless these are all.
    """
    test, (hand, said) = run.rows("test"), _hand_labels(run)
    query = test[run.present[test]]
    voted = np.flatnonzero(run.in_split("unlabeled") & run.present & run.knows("majority_vote"))
    few = next((point for point in curve if point.size == FEW_GOLD), None)
    n_hand = f"{len(hand):,}"
    no_hand = "" if len(hand) else "no gold on the dev split"

    def rival(
        key: str,
        title: str,
        label_query: Callable[[], NDArray[np.int64]],
        missing: str,
        n_by_hand: int | None = len(hand),
    ) -> Rival:
        if len(query) == 0:
            return Rival(key, title, None, NO_TEST_GOLD, n_by_hand)
        if missing:
            return Rival(key, title, None, missing, n_by_hand)
        labels = np.full(len(test), ABSTAIN, dtype=np.int64)  # no features, no label
        labels[run.present[test]] = label_query()
        return Rival(key, title, labels, n_by_hand=n_by_hand)

    def nearest(
        values: NDArray[np.floating], query_values: NDArray[np.floating]
    ) -> NDArray[np.int64]:
        proba = knn_predict_proba(values, said[hand], query_values, len(run.classes), k=config.knn)
        return np.asarray(proba.argmax(axis=1), dtype=np.int64)

    plain, plain_words = BASELINES[run.payload.kind]

    def nearest_plain() -> NDArray[np.int64]:
        learn = np.flatnonzero(run.in_split("unlabeled"))
        return nearest(*baseline_features(run.payload, learn, hand, query, seed=seed))

    on_few: list[Rival] = []
    if len(hand) != FEW_GOLD:  # else these are all
        title = f"Classifier on {FEW_GOLD} hand labels, nothing else"
        missing = no_hand or ("" if few else f"only {n_hand} hand labels with features")
        few_labels = few.labels[few.median_draw] if few else np.empty(0, np.int64)
        on_few.append(rival("gold_only_accuracy_100", title, lambda: few_labels, missing))
    hand_only: list[Rival] = []
    if n := len(run.by_hand):
        title = f"Classifier on the {n:,} labels by hand that taught it, nothing else"
        taught = rival(
            "hand_only_accuracy", title, lambda: _hand_only(run, said, query, seed), "", n
        )
        hand_only.append(taught)

    return [
        rival(
            "majority_vote_head_accuracy",
            "Majority vote, then a linear classifier",
            lambda: _head_labels(run, run.posterior("majority_vote"), voted, query),
            "" if len(voted) else "no unlabeled item has a vote",
            n_by_hand=None,
        ),
        *on_few,
        rival(
            "gold_only_accuracy_all",
            f"Classifier on all {n_hand} hand labels, nothing else",
            lambda: curve[-1].labels[0],
            no_hand,
        ),
        *hand_only,
        rival(
            "knn_ssl",
            f"{config.knn} nearest of {n_hand} hand labels, by features",
            lambda: nearest(run.features[hand], run.features[query]),
            no_hand,
        ),
        rival(
            f"knn_{plain}",
            f"{config.knn} nearest of {n_hand} hand labels, by {plain_words}",
            nearest_plain,
            no_hand,
        ),
    ]


def gold_only_curve(run: Judged, config: EvaluateConfig, seed: int) -> tuple[CrossoverPoint, ...]:
    """Train the head on labels by hand alone, ever more of them; empty without them or test gold.

    They are those of dev and those that people gave to teach: who has them could do without weak
    ones. Measured on the test rows that have features, which nearly always is all of them. Gold is
    cleaner than weak labels and may want less shrinkage, so the baseline gets the ``l2`` that does
    best in cross-validation on all of them: it must not lose for a setting made for others.
    """
    test, (hand, said) = run.rows("test"), _hand_labels(run)
    query = test[run.present[test]]
    if len(hand) == 0 or len(query) == 0:
        return ()
    one_hot = _one_hot(run, said)
    l2 = _best_l2(run, one_hot, hand, seed)
    return crossover_curve(
        lambda drawn: _head_labels(run, one_hot, hand[drawn], query, l2),
        run.gold[query],
        n_gold=len(hand),
        sizes=(*config.crossover_sizes, FEW_GOLD),
        draws=config.crossover_draws,
        probability=run.chance_of(query),
        seed=seed,
    )


def crossover(
    run: Judged,
    curve: Sequence[CrossoverPoint],
    others: Sequence[Rival],
    classifier: Step,
    config: EvaluateConfig,
    seed: int,
) -> dict[str, Any]:
    """Return the curve of :func:`gold_only_curve` and where the classifier meets it, or why not.

    Parameters
    ----------
    others
        From :func:`rivals`; the classifier is compared with the one on all labels by hand.
    """
    if not curve:
        gap = "dev" if len(run.rows("test")) else "test"
        return {"reason": f"the curve needs gold on dev and test, but {gap} has none"}
    test = run.rows("test")
    query = test[run.present[test]]
    if len(query) < MIN_ROWS:
        return {
            "reason": f"only {len(query)} test items have gold, too few to say what the weak "
            "labels are worth"
        }
    by_hand = next(other.labels for other in others if other.key == "gold_only_accuracy_all")
    assert by_hand is not None  # there is a curve
    gold = run.gold[test]
    against_all = run.compare(classifier.labels[test] == gold, by_hand == gold, seed)
    weak = accuracy(classifier.labels[query], run.gold[query], run.chance_of(query))
    return {
        "draws": config.crossover_draws,
        "points": [
            {
                "size": point.size,
                "mean": point.mean,
                "low": point.span[0],
                "high": point.span[1],
                "values": [a.value for a in point.accuracies],
                "n": point.accuracies[0].n,
            }
            for point in curve
        ],
        "weak": weak.as_dict(),
        **asdict(hand_labels_worth(curve, weak, against_all, n_by_hand=len(run.by_hand))),
    }


def _hand_only(
    run: Judged, said: NDArray[np.int64], query: NDArray[np.int64], seed: int
) -> NDArray[np.int64]:
    one_hot = _one_hot(run, said)
    l2 = _best_l2(run, one_hot, run.by_hand, seed)
    return _head_labels(run, one_hot, run.by_hand, query, l2)


def _one_hot(run: Judged, said: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return targets (n, K); those of rows without a label mean nothing."""
    return np.eye(len(run.classes), dtype=np.float32)[np.maximum(said, 0)]


def _hand_labels(run: Judged) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows with features that people labelled, test apart, and (n,) what they said."""
    said = np.where(run.in_split("dev"), run.gold, ABSTAIN)
    said[run.by_hand] = run.posterior("chosen")[run.by_hand].argmax(axis=1)
    return np.flatnonzero((said >= 0) & run.present), said


def _best_l2(
    run: Judged, one_hot: NDArray[np.float32], gold_rows: NDArray[np.int64], seed: int
) -> float:
    """Return the shrinkage with the most hits in cross-validation; a tie goes to the larger."""
    order = numpy_generator(seed, "gold_only", "folds").permutation(gold_rows)
    said = one_hot.argmax(axis=1)
    folds = [fold for fold in np.array_split(order, _FOLDS) if len(fold)]
    if len(folds) < _FOLDS:
        return _L2[0]
    hits = [
        sum(
            int((_head_labels(run, one_hot, np.setdiff1d(order, f), f, l2) == said[f]).sum())
            for f in folds
        )
        for l2 in _L2
    ]
    return _L2[int(np.argmax(hits))]


def _head_labels(
    run: Judged,
    targets: NDArray[np.float32],
    train: NDArray[np.int64],
    query: NDArray[np.int64],
    l2: float = _L2[0],
) -> NDArray[np.int64]:
    head = LinearHead(l2=l2).fit(run.features[train], targets[train])
    return np.asarray(head.predict_proba(run.features[query]).argmax(axis=1), dtype=np.int64)
