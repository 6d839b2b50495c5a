import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from tests.weak_supervision.planted import planted
from weak_supervision.classifiers.discriminant import CrossFitted, Discriminant
from weak_supervision.classifiers.linear_head import LinearHead
from weaklight.errors import DataError


@pytest.mark.parametrize("shrinkage", [0.1, 0.5, 1.0])
def test_hard_labels_give_scikit_learns_discriminant(shrinkage):
    _, truth, x = planted(n=400, d=10)
    centred = x - np.stack([x[truth == c].mean(axis=0) for c in range(3)])[truth]
    x /= centred.std(axis=0)  # theirs shrinks towards a sphere, which is the diagonal then
    theirs = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage).fit(x, truth)
    ours = Discriminant(shrinkage=shrinkage).fit(x, np.eye(3)[truth])
    np.testing.assert_allclose(ours.predict_proba(x), theirs.predict_proba(x), atol=1e-3)


def test_the_scale_of_a_feature_does_not_matter():
    _, truth, x = planted(n=300, d=6)
    y = np.eye(3)[truth]
    straight = Discriminant().fit(x, y).predict_proba(x)
    x = np.column_stack([x * [1, 100, 0.01, 3, 1, 1], np.full(300, 7.0)])
    np.testing.assert_allclose(Discriminant().fit(x, y).predict_proba(x), straight, atol=1e-2)


def test_a_weight_of_two_is_the_row_twice_and_a_soft_label_two_halves():
    _, truth, x = planted(n=60, d=4)
    y = np.eye(3)[truth]
    twice = Discriminant().fit(np.vstack([x, x[:20]]), np.vstack([y, y[:20]]))
    weights = np.where(np.arange(60) < 20, 2.0, 1.0)
    weighted = Discriminant().fit(x, y, weights)
    np.testing.assert_allclose(weighted.coef_, twice.coef_, rtol=1e-3, atol=1e-4)
    soft = y.copy()
    soft[0] = [0.25, 0.75, 0.0]
    halves = Discriminant().fit(
        np.vstack([x[:1], x]), np.vstack([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], y[1:]]),
        np.concatenate([[0.75, 0.25], np.ones(59)]),
    )  # fmt: skip
    np.testing.assert_allclose(
        Discriminant().fit(x, soft).coef_, halves.coef_, rtol=1e-3, atol=1e-4
    )


def test_wrong_labels_hurt_it_less_than_logistic_regression():
    _, truth, x = planted(n=2600, n_classes=2, d=100)
    x += np.random.default_rng(1).normal(scale=3.0, size=x.shape)
    wrong = np.where(np.random.default_rng(0).random(600) < 0.35, 1 - truth[:600], truth[:600])
    y = np.eye(2, dtype=np.float32)[wrong]
    ours = Discriminant().fit(x[:600], y).predict_proba(x[600:]).argmax(axis=1)
    theirs = LinearHead().fit(x[:600], y).predict_proba(x[600:]).argmax(axis=1)
    assert (ours == truth[600:]).mean() > (theirs == truth[600:]).mean() + 0.02


def test_out_of_fold_logits_are_those_of_discriminants_without_the_fold():
    _, truth, x = planted(n=200, d=6)
    y, weights = np.eye(3)[truth], (np.arange(200) % 3 > 0).astype(float)
    x[7] = np.nan
    fitted = CrossFitted(x, weights, truth, folds=4)
    assert sorted(np.concatenate(fitted.folds)) == list(range(200))
    logits = fitted.logits(y)
    for rows in fitted.folds:
        rest = weights.copy()
        rest[rows] = 0.0
        alone = Discriminant().fit(x, y, rest)
        np.testing.assert_allclose(logits[rows], alone.logits(x[rows]), rtol=1e-3, atol=1e-3)


def test_rows_without_features_get_the_class_prior():
    _, truth, x = planted(n=90, d=4)
    x[:5] = np.nan
    model = Discriminant().fit(x, np.eye(3)[truth])
    np.testing.assert_allclose(model.predict_proba(x)[:5], np.tile(model.class_prior_, (5, 1)))
    np.testing.assert_allclose(
        model.class_prior_, np.bincount(truth[5:], minlength=3) / 85, atol=1e-6
    )


def test_it_ships_as_a_linear_head(tmp_path):
    _, truth, x = planted(n=90, d=4)
    x[0] = np.nan
    model = Discriminant().fit(x, np.eye(3)[truth])
    model.as_linear_head(("a", "b", "c")).save(tmp_path)
    shipped = LinearHead.load(tmp_path)
    assert shipped.classes_ == ("a", "b", "c")
    np.testing.assert_allclose(shipped.predict_proba(x), model.predict_proba(x), atol=1e-5)


def test_wrong_input_is_refused():
    with pytest.raises(DataError, match="must have the same rows"):
        Discriminant().fit(np.ones((3, 2)), np.ones((2, 2)))
    with pytest.raises(DataError, match="row with finite features"):
        Discriminant().fit(np.full((3, 2), np.nan), np.full((3, 2), 0.5))
