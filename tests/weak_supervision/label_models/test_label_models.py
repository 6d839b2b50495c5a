import numpy as np
import pytest
from sklearn.metrics import f1_score

from tests.weak_supervision.planted import planted
from tests.weak_supervision.real_data import labelme, wrench
from weak_supervision.label_models import (
    MODELS,
    DawidSkene,
    MajorityVote,
    SnorkelModel,
    covered,
    hard_labels,
)
from weaklight.contracts import ClassSet
from weaklight.errors import DataError

ALL = pytest.mark.parametrize("model_class", MODELS.values(), ids=MODELS)


def test_majority_vote_by_hand():
    votes = np.array(
        [[0, 0, 0, 0, 0, 1], [2, -1, -1, -1, -1, -1], [0, 1, -1, -1, -1, -1], [-1] * 6]
    )
    posterior = MajorityVote().fit(votes, n_classes=3).predict_proba(votes)
    expected = [[5 / 6, 1 / 6, 0], [0, 0, 1], [0.5, 0.5, 0], [1 / 3] * 3]
    np.testing.assert_allclose(posterior, expected, rtol=1e-6)


def test_a_class_set_shares_one_voice_among_its_members():
    votes = np.array([[3, 1], [3, -1]])
    model = MajorityVote().fit(votes, n_classes=3, class_sets=(ClassSet("a or b", (0, 1)),))
    np.testing.assert_allclose(model.predict_proba(votes), [[0.25, 0.75, 0], [0.5, 0.5, 0]])


def test_an_uncovered_row_gets_the_class_balance():
    votes = np.array([[-1, -1], [0, 1]])
    model = MajorityVote().fit(votes, n_classes=2, class_balance=[3, 1])
    np.testing.assert_allclose(model.predict_proba(votes)[0], [0.75, 0.25])
    assert covered(votes).tolist() == [False, True]


def test_ties_follow_snorkels_rule():
    from snorkel.utils import probs_to_preds

    posterior = np.random.default_rng(0).integers(1, 3, (200, 4)).astype(float)
    posterior /= posterior.sum(axis=1, keepdims=True)
    assert hard_labels(posterior).tolist() == probs_to_preds(posterior).tolist()


def test_hard_labels_leave_uncovered_rows_open():
    assert hard_labels(np.array([[0.9, 0.1], [0.4, 0.6]]), np.array([False, True])).tolist() == [
        -1,
        1,
    ]


@ALL
@pytest.mark.parametrize("n", [0, 1, 7])
@pytest.mark.parametrize("m", [0, 1, 2, 5])
@pytest.mark.parametrize("fill", [-1, 0, 2], ids=["all abstain", "one class", "last class"])
@pytest.mark.parametrize("n_classes", [1, 3])
def test_thin_votes_give_a_posterior(model_class, n, m, fill, n_classes):
    votes = np.full((n, m), min(fill, n_classes - 1))
    posterior = model_class().fit(votes, n_classes=n_classes).predict_proba(votes)
    assert posterior.shape == (n, n_classes) and posterior.dtype == np.float32
    np.testing.assert_allclose(posterior.sum(axis=1), 1.0, rtol=1e-5)


@ALL
def test_silent_lfs_one_class_lfs_and_empty_rows_change_nothing_else(model_class):
    votes, truth, _ = planted(n=600)
    odd = np.column_stack([votes, np.full(600, -1), np.where(truth == 0, 0, -1)])
    odd = np.vstack([odd, np.full((3, odd.shape[1]), -1)])
    model = model_class().fit(odd, n_classes=3)
    posterior = model.predict_proba(odd)
    np.testing.assert_allclose(posterior.sum(axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(posterior[-3:], np.tile(model.class_prior_, (3, 1)), rtol=1e-5)
    assert (hard_labels(posterior[:600]) == truth).mean() > 0.85


@ALL
def test_row_order_does_not_matter(model_class):
    votes, _, _ = planted(n=500)
    order = np.random.default_rng(1).permutation(500)
    straight = model_class().fit(votes, n_classes=3).predict_proba(votes)
    shuffled = model_class().fit(votes[order], n_classes=3).predict_proba(votes[order])
    np.testing.assert_allclose(shuffled, straight[order], atol=1e-4)


@ALL
def test_class_numbers_do_not_matter(model_class):
    votes, _, _ = planted(n=500)
    new_number = np.array([2, 0, 1])
    renamed = np.where(votes < 0, -1, new_number[votes])
    straight = model_class().fit(votes, n_classes=3).predict_proba(votes)
    other = model_class().fit(renamed, n_classes=3).predict_proba(renamed)
    np.testing.assert_allclose(other[:, new_number], straight, atol=2e-3)


@ALL
def test_fitting_twice_gives_the_same_bytes_and_leaves_the_global_generator(model_class):
    votes, _, _ = planted(n=300)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = model_class().fit(votes, n_classes=3).predict_proba(votes)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    assert first.tobytes() == model_class().fit(votes, n_classes=3).predict_proba(votes).tobytes()


@pytest.mark.parametrize("model_class", [DawidSkene, SnorkelModel])
def test_learning_who_is_right_beats_counting_heads(model_class):
    votes, truth, _ = planted(accuracies=(0.95, 0.9, 0.4, 0.4, 0.4), coverage=1.0)
    counted = hard_labels(MajorityVote().fit(votes, n_classes=3).predict_proba(votes))
    learnt = hard_labels(model_class().fit(votes, n_classes=3).predict_proba(votes))
    assert (learnt == truth).mean() > (counted == truth).mean() + 0.05


def test_dawid_skene_recovers_planted_accuracies():
    accuracies = (0.9, 0.8, 0.7, 0.6)
    votes, _, _ = planted(n=20_000, accuracies=accuracies, coverage=0.8)
    model = DawidSkene(abstain="symbol").fit(votes, n_classes=3)
    said = np.exp(model._log_theta).reshape(4, 4, 3)  # (LF, symbol, class)
    heard = said[:, :3].sum(axis=1).mean(axis=1)
    right = np.einsum("jkk->j", said[:, :3]) / 3 / heard
    np.testing.assert_allclose(right, accuracies, atol=0.03)
    np.testing.assert_allclose(heard, 0.8, atol=0.02)


@pytest.mark.parametrize("abstain", ["ignore", "symbol"])
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


def test_snorkel_says_what_it_leaves_out():
    votes, _, _ = planted(n=300)
    sets = (ClassSet("a or b", (0, 1)),)
    with_set = np.column_stack([votes, np.full(300, 3)])
    model = SnorkelModel().fit(with_set, n_classes=3, class_sets=sets)
    assert "300 votes for class sets left out" in model.note_
    plain = SnorkelModel().fit(votes, n_classes=3)
    assert plain.note_ == ""
    np.testing.assert_array_equal(model.predict_proba(with_set), plain.predict_proba(votes))
    thin = SnorkelModel().fit(votes[:, :2], n_classes=3)
    assert "needs 3 LFs" in thin.note_ and "majority vote stands in" in thin.note_
    many = SnorkelModel().fit(np.tile([[0, 1]], (3, 2000)), n_classes=2)
    assert "too many for Snorkel" in many.note_
    unheard = SnorkelModel().fit(votes, n_classes=5)
    assert "classes [3, 4] never get a vote" in unheard.note_
    assert unheard.predict_proba(votes)[covered(votes), 3:].max() == 0


@ALL
def test_wrong_input_is_refused(model_class):
    with pytest.raises(DataError, match="between -1 and 2"):
        model_class().fit(np.array([[3]]), n_classes=3)
    with pytest.raises(DataError, match="class_balance must hold 3 shares"):
        model_class().fit(np.array([[0]]), n_classes=3, class_balance=[0.5, 0.5])


@pytest.mark.parametrize(
    ("name", "metric", "majority", "dawid_skene"),
    [("youtube", "accuracy", 84.00, 83.20), ("sms", "f1", 23.97, 4.94)],
)
def test_wrench_figures_are_met_to_the_digit(name, metric, majority, dawid_skene):
    """WRENCH, arXiv:2109.11377 v3, table 3; its DS hears silence and does not smooth."""
    train, _ = wrench(name, "train")
    votes, gold = wrench(name, "test")
    for model, published in (
        (MajorityVote(), majority),
        (DawidSkene(abstain="symbol", smoothing=0.0, tol=1e-5), dawid_skene),
    ):
        labels = hard_labels(model.fit(train, n_classes=2).predict_proba(votes))
        score = f1_score(gold, labels) if metric == "f1" else (labels == gold).mean()
        assert round(100 * score, 2) == published


def test_dawid_skene_beats_majority_vote_on_labelme():
    votes, _, gold = labelme()
    right = {
        name: (hard_labels(model().fit(votes, n_classes=8).predict_proba(votes)) == gold).mean()
        for name, model in MODELS.items()
        if name != "snorkel"
    }
    assert 0.745 < right["majority_vote"] < 0.77
    assert right["dawid_skene"] > right["majority_vote"] + 0.03
