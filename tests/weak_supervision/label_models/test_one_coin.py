import numpy as np
import pytest

from tests.weak_supervision.planted import planted
from weak_supervision.label_models import OneCoin
from weaklight.contracts import ClassSet


@pytest.mark.filterwarnings("ignore::DeprecationWarning:crowdkit")
def test_one_coin_is_crowdkits():
    pandas = pytest.importorskip("pandas")
    aggregation = pytest.importorskip("crowdkit.aggregation")
    votes, _, _ = planted(n=300, accuracies=(0.9, 0.7, 0.6, 0.5), coverage=0.8)
    task, worker = np.nonzero(votes >= 0)
    table = pandas.DataFrame({"task": task, "worker": worker, "label": votes[task, worker]})
    theirs = aggregation.OneCoinDawidSkene(n_iter=20, tol=-1e9).fit(table)
    ours = OneCoin(smoothing=0.0, max_iter=20, tol=-1e9).fit(votes, n_classes=3)
    posterior = ours.predict_proba(votes)[theirs.probas_.index]
    np.testing.assert_allclose(posterior, theirs.probas_[[0, 1, 2]], atol=1e-3)


def test_planted_accuracies_are_recovered_with_sets_and_a_skewed_balance():
    rng = np.random.default_rng(0)
    truth = rng.choice(4, 8000, p=[0.5, 0.3, 0.1, 0.1])

    def say(accuracy):
        wrong = (truth + rng.integers(1, 4, 8000)) % 4
        return np.where(rng.random(8000) < accuracy, truth, wrong)

    # the last LF names {0, 1} or {2, 3}, and is right nine times of ten
    side = np.where(rng.random(8000) < 0.9, truth // 2, 1 - truth // 2)
    votes = np.column_stack([say(0.9), say(0.7), say(0.5), say(0.8), 4 + side])
    sets = (ClassSet("low", (0, 1)), ClassSet("high", (2, 3)))
    model = OneCoin().fit(votes, n_classes=4, class_sets=sets)
    np.testing.assert_allclose(model.accuracies_, [0.9, 0.7, 0.5, 0.8, 0.9], atol=0.03)
    np.testing.assert_allclose(model.class_prior_, [0.5, 0.3, 0.1, 0.1], atol=0.03)


def test_a_set_of_all_classes_says_nothing():
    votes, _, _ = planted(n=200)
    sets = (ClassSet("any", (0, 1, 2)),)
    with_set = np.column_stack([votes, np.full(200, 3)])
    plain = OneCoin().fit(votes, n_classes=3).predict_proba(votes)
    other = OneCoin().fit(with_set, n_classes=3, class_sets=sets)
    covered = (votes >= 0).any(axis=1)
    np.testing.assert_allclose(other.predict_proba(with_set)[covered], plain[covered], atol=1e-3)
