import numpy as np
import pytest

from tests.weak_supervision.planted import planted
from weak_supervision.label_models import SnorkelModel, covered
from weak_supervision.label_models.snorkel_model import _in_order
from weaklight.contracts import ClassSet
from weaklight.seeds import derive_seed, preserve_global_rng


@pytest.mark.parametrize("balance", [[0.5, 0.3, 0.2], [1 / 3, 1 / 3, 1 / 3]])
def test_what_is_learned_is_what_snorkel_learns_from_the_whole_matrix(balance):
    votes, _, _ = planted(n=5000, coverage=0.5)
    ours = SnorkelModel(seed=3).fit(votes, n_classes=3, class_balance=balance)
    with preserve_global_rng():
        from snorkel.labeling.model import LabelModel

        theirs = LabelModel(cardinality=3, verbose=False)
        theirs.fit(
            votes,
            class_balance=balance,
            n_epochs=200,
            lr=0.01,
            seed=derive_seed(3, "snorkel") % 2**32,
            progress_bar=False,
        )
        posterior = theirs.predict_proba(votes)
        weights = theirs.get_weights()
    np.testing.assert_allclose(ours.accuracies_, weights, atol=1e-5)
    np.testing.assert_allclose(ours.predict_proba(votes), posterior, atol=1e-5)


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


def test_equally_common_classes_are_swapped_where_that_makes_the_lfs_right():
    mu = np.array([[0.1, 0.7, 0.0], [0.8, 0.2, 0.0], [0.1, 0.1, 1.0]])  # one LF, three classes
    swapped = _in_order(mu, np.array([0.4, 0.4, 0.2]))
    np.testing.assert_array_equal(swapped, mu[:, [1, 0, 2]])
    np.testing.assert_array_equal(_in_order(mu, np.array([0.5, 0.3, 0.2])), mu)
