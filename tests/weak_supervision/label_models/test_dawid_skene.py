import numpy as np
import pandas as pd
import pytest

from tests.weak_supervision.planted import planted
from weak_supervision.label_models import DawidSkene, hard_labels
from weaklight.contracts import ClassSet


@pytest.mark.filterwarnings("ignore::DeprecationWarning:crowdkit")
@pytest.mark.parametrize("n_gold", [0, 40])
def test_posteriors_are_crowdkits(n_gold):
    aggregation = pytest.importorskip("crowdkit.aggregation")
    votes, truth, _ = planted(n=400, accuracies=(0.9, 0.7, 0.6, 0.5), coverage=0.8)
    task, worker = np.nonzero(votes >= 0)
    table = pd.DataFrame({"task": task, "worker": worker, "label": votes[task, worker]})
    gold = np.where((np.arange(400) < n_gold) & (votes >= 0).any(axis=1), truth, -1)
    known = pd.Series(gold, name="gold")[gold >= 0] if n_gold else None
    n_iter = 150 if n_gold else 20  # gold starts EM elsewhere; both end alike
    theirs = aggregation.DawidSkene(n_iter=n_iter, tol=-1e9).fit(table, true_labels=known)
    ours = DawidSkene(abstain="missing", smoothing=0.0, max_iter=n_iter, tol=-1e9)
    posterior = ours.fit(votes, n_classes=3, gold=gold).predict_proba(votes)
    open_rows = theirs.probas_.index[gold[theirs.probas_.index] < 0]
    np.testing.assert_allclose(
        posterior[open_rows], theirs.probas_.loc[open_rows, [0, 1, 2]], atol=1e-3
    )


def test_dawid_skene_recovers_planted_accuracies():
    accuracies = (0.9, 0.8, 0.7, 0.6)
    votes, _, _ = planted(n=20_000, accuracies=accuracies, coverage=0.8)
    model = DawidSkene(abstain="symbol").fit(votes, n_classes=3)
    said = np.exp(model._log_theta).reshape(4, 4, 3)  # (LF, symbol, class)
    heard = said[:, :3].sum(axis=1).mean(axis=1)
    right = np.einsum("jkk->j", said[:, :3]) / 3 / heard
    np.testing.assert_allclose(right, accuracies, atol=0.03)
    np.testing.assert_allclose(heard, 0.8, atol=0.02)


@pytest.mark.parametrize("abstain", ["ignore", "missing", "symbol"])
@pytest.mark.parametrize("smoothing", [0.0, 0.01, 1.0])
def test_dawid_skenes_objective_never_falls(abstain, smoothing):
    votes, _, _ = planted(n=400, accuracies=(0.7, 0.5, 0.4, 0.6), coverage=0.4)
    model = DawidSkene(abstain=abstain, smoothing=smoothing, tol=0.0).fit(votes, n_classes=3)
    steps = np.diff(model.objective_)
    assert len(steps) > 3
    assert (steps >= -1e-7 * abs(model.objective_[-1])).all()


def test_dawid_skene_weighs_repeated_rows_like_distinct_ones():
    votes, _, _ = planted(n=200, coverage=1.0)
    once = DawidSkene(smoothing=0.0, max_iter=20).fit(votes, n_classes=3)
    thrice = DawidSkene(smoothing=0.0, max_iter=20).fit(np.tile(votes, (3, 1)), n_classes=3)
    np.testing.assert_allclose(once.predict_proba(votes), thrice.predict_proba(votes), atol=1e-5)


def test_dawid_skene_learns_what_a_class_set_means_in_practice():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 3000)
    noisy = np.where(rng.random((3000, 3)) < 0.8, truth[:, None], rng.integers(0, 3, (3000, 3)))
    # the set names classes 0 and 1, but is only ever said of class 1
    said = np.where((truth == 1) & (rng.random(3000) < 0.9), 3, -1)
    votes = np.column_stack([noisy, said])
    model = DawidSkene().fit(votes, n_classes=3, class_sets=(ClassSet("a or b", (0, 1)),))
    alone = model.predict_proba(np.array([[-1, -1, -1, 3]]))
    assert alone[0, 1] > 0.9


def test_dawid_skene_keeps_the_class_balance_it_is_given():
    votes, _, _ = planted(n=300)
    model = DawidSkene().fit(votes, n_classes=3, class_balance=[0.7, 0.2, 0.1])
    np.testing.assert_allclose(model.class_prior_, [0.7, 0.2, 0.1])


def test_dawid_skene_ignores_a_vote_it_never_saw():
    votes = np.array([[0, 0], [0, 0], [1, -1], [1, -1]])
    model = DawidSkene().fit(votes, n_classes=2)
    np.testing.assert_allclose(
        model.predict_proba(np.array([[-1, 1]]))[0], model.class_prior_, rtol=1e-5
    )


def test_gold_rows_turn_dawid_skene_round_where_most_lfs_mislead():
    votes, truth, _ = planted(n=2000, n_classes=2, accuracies=(0.9, 0.35, 0.35, 0.35), coverage=1.0)
    gold = np.where(np.arange(2000) < 60, truth, -1)
    blind = hard_labels(DawidSkene().fit(votes, n_classes=2).predict_proba(votes))
    guided = hard_labels(DawidSkene().fit(votes, n_classes=2, gold=gold).predict_proba(votes))
    assert (guided == truth).mean() > 0.8 > (blind == truth).mean()
