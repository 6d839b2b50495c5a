import numpy as np

from tests.weak_supervision.planted import planted
from weak_supervision.label_models import SnorkelModel, covered
from weaklight.contracts import ClassSet
from weaklight.seeds import derive_seed, preserve_global_rng


def test_what_is_learned_is_what_snorkel_learns_from_the_whole_matrix():
    votes, _, _ = planted(n=5000, coverage=0.5)
    ours = SnorkelModel(seed=3).fit(votes, n_classes=3, class_balance=[0.5, 0.3, 0.2])
    with preserve_global_rng():
        from snorkel.labeling.model import LabelModel

        theirs = LabelModel(cardinality=3, verbose=False)
        theirs.fit(
            votes,
            class_balance=[0.5, 0.3, 0.2],
            n_epochs=200,
            lr=0.01,
            seed=derive_seed(3, "snorkel") % 2**32,
            progress_bar=False,
        )
        posterior = theirs.predict_proba(votes)
        weights = theirs.get_weights()
    np.testing.assert_allclose(ours.accuracies_, weights, atol=1e-4)
    np.testing.assert_allclose(ours.predict_proba(votes), posterior, atol=1e-3)


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
