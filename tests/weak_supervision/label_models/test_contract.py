"""What every label model of the registry owes its users."""

import inspect
import typing

import numpy as np
import pytest
from sklearn.base import clone

from pipelines.sections import AggregateConfig
from tests.weak_supervision.planted import planted
from weak_supervision.label_models import CANDIDATES, MODELS, MajorityVote, covered, hard_labels
from weaklight.contracts import ClassSet
from weaklight.errors import DataError

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:crowdkit")
ALL = pytest.mark.parametrize("model_class", MODELS.values(), ids=MODELS)


def classifier(model_class, votes, n_classes):
    """Return what a model cannot do without: here a timid echo of the majority."""
    if not model_class.needs_classifier:
        return None
    majority = MajorityVote().fit(votes, n_classes=n_classes).predict_proba(votes)
    return 0.5 * majority + 0.5 / n_classes


# crowd-kit's searches take seconds; what a model owes holds after a few steps too
QUICK = {"glad": {"n_iter": 3, "search_steps": 4}, "mace": {"n_iter": 15}}


def make(model_class):
    return model_class(**QUICK.get(model_class.name, {}))


def fit_predict(model_class, votes, n_classes=3, **known):
    asked = classifier(model_class, votes, n_classes)
    model = make(model_class).fit(votes, n_classes=n_classes, classifier=asked, **known)
    return model, model.predict_proba(votes, classifier=asked)


def test_the_settings_know_every_model():
    names = typing.get_args(AggregateConfig.model_fields["model"].annotation)
    assert set(names) == {"auto", *MODELS}
    assert set(CANDIDATES) <= set(MODELS)


@ALL
@pytest.mark.parametrize("n", [0, 1, 7])
@pytest.mark.parametrize("m", [0, 1, 2, 5])
@pytest.mark.parametrize("fill", [-1, 0, 2], ids=["all abstain", "one class", "last class"])
@pytest.mark.parametrize("n_classes", [1, 3])
def test_thin_votes_give_a_posterior(model_class, n, m, fill, n_classes):
    votes = np.full((n, m), min(fill, n_classes - 1))
    model, posterior = fit_predict(model_class, votes, n_classes)
    assert posterior.shape == (n, n_classes) and posterior.dtype == np.float32
    np.testing.assert_allclose(posterior.sum(axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(model.class_prior_.sum(), 1.0)
    assert model.accuracies_.shape == (m,)


@ALL
@pytest.mark.parametrize("seed", range(4))
def test_scarce_votes_never_give_nan(model_class, seed):
    rng = np.random.default_rng(seed)
    votes = np.where(rng.random((9, 4)) < 0.4, rng.integers(0, 4, (9, 4)), -1)
    posterior = fit_predict(model_class, votes, 5)[1]
    assert np.isfinite(posterior).all()
    np.testing.assert_allclose(posterior.sum(axis=1), 1.0, rtol=1e-5)


@ALL
def test_silent_lfs_one_class_lfs_and_empty_rows_change_nothing_else(model_class):
    votes, truth, _ = planted(n=600)
    odd = np.column_stack([votes, np.full(600, -1), np.where(truth == 0, 0, -1)])
    odd = np.vstack([odd, np.full((3, odd.shape[1]), -1)])
    model, posterior = fit_predict(model_class, odd)
    np.testing.assert_allclose(posterior.sum(axis=1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(posterior[-3:], np.tile(model.class_prior_, (3, 1)), rtol=1e-5)
    assert (hard_labels(posterior[:600]) == truth).mean() > 0.85
    assert np.isnan(model.accuracies_[5]) and "1 of 7 LFs never vote" in model.note_


@ALL
def test_row_order_does_not_matter(model_class):
    votes, _, _ = planted(n=200)
    order = np.random.default_rng(1).permutation(200)
    straight = fit_predict(model_class, votes)[1]
    shuffled = fit_predict(model_class, votes[order])[1]
    np.testing.assert_allclose(shuffled, straight[order], atol=1e-4)


@ALL
def test_class_numbers_do_not_matter(model_class):
    votes, _, _ = planted(n=200)
    new_number = np.array([2, 0, 1])
    renamed = np.where(votes < 0, -1, new_number[votes])
    straight = fit_predict(model_class, votes)[1]
    other = fit_predict(model_class, renamed)[1]
    # cleanlab breaks ties between classes in their order
    atol = 0.01 if model_class.name == "crowdlab" else 2e-3
    np.testing.assert_allclose(other[:, new_number], straight, atol=atol)


@ALL
def test_fitting_twice_gives_the_same_bytes_and_leaves_the_global_generator(model_class):
    votes, _, _ = planted(n=200)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = fit_predict(model_class, votes)[1]
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    assert first.tobytes() == fit_predict(model_class, votes)[1].tobytes()


@ALL
def test_what_a_model_cannot_use_changes_nothing_and_is_said(model_class):
    votes, truth, _ = planted(n=200)
    sets = (ClassSet("a or b", (0, 1)),)
    with_set = np.column_stack([votes, np.where(truth < 2, 3, -1)])
    plain = fit_predict(model_class, np.column_stack([votes, np.full(200, -1)]))[1]
    asked = classifier(model_class, votes, 3)
    model = make(model_class).fit(with_set, n_classes=3, class_sets=sets, classifier=asked)
    posterior = model.predict_proba(with_set, classifier=asked)
    assert (posterior.tobytes() == plain.tobytes()) != model_class.uses_class_sets
    assert ("votes for class sets left out" in model.note_) != model_class.uses_class_sets

    gold = np.where(np.arange(200) < 60, truth, -1)
    model, posterior = fit_predict(model_class, votes, gold=gold)
    assert ("60 gold rows left out" in model.note_) != model_class.uses_gold


@ALL
@pytest.mark.parametrize("balance", ["uniform", "estimated", [0.6, 0.3, 0.1]])
def test_the_class_balance_is_what_was_asked_for(model_class, balance):
    votes, truth, _ = planted(n=600, accuracies=(0.9, 0.9, 0.8))
    rare = truth != 2
    votes = votes[rare]  # a third class that never occurs
    model, posterior = fit_predict(model_class, votes, class_balance=balance)
    np.testing.assert_allclose(posterior.sum(axis=1), 1.0, rtol=1e-5)
    if balance == "estimated":
        assert model.class_prior_[2] < 0.15
    else:
        expected = [1 / 3] * 3 if balance == "uniform" else balance
        np.testing.assert_allclose(model.class_prior_, expected)


@ALL
def test_settings_survive_clone_and_learning_leaves_them_alone(model_class):
    for model in (make(model_class), clone(make(model_class))):
        before = model.get_params()
        assert set(before) == set(inspect.signature(model_class).parameters)
        votes, _, _ = planted(n=60)
        asked = classifier(model_class, votes, 3)
        assert model.fit(votes, n_classes=3, classifier=asked).get_params() == before


@ALL
def test_wrong_input_is_refused(model_class):
    votes = np.array([[0, 1]])
    asked = np.full((1, 3), 1 / 3) if model_class.needs_classifier else None

    def fit(given=votes, **known):
        return make(model_class).fit(given, **{"n_classes": 3, "classifier": asked, **known})

    with pytest.raises(DataError, match="between -1 and 2"):
        fit(np.array([[3]]))
    with pytest.raises(DataError, match="class_balance must hold 3 shares"):
        fit(class_balance=[0.5, 0.5])
    with pytest.raises(DataError, match="class_balance must be"):
        fit(class_balance="learned")
    with pytest.raises(DataError, match="gold must hold a class id below 3"):
        fit(gold=np.array([3]))
    with pytest.raises(DataError, match="fitted on 2 LFs"):
        fit().predict_proba(np.array([[0]]), classifier=asked)


@pytest.mark.parametrize("name", [n for n in MODELS if n not in ("majority_vote", "crowdlab")])
def test_learning_who_is_right_beats_counting_heads(name):
    votes, truth, _ = planted(n=600, accuracies=(0.95, 0.9, 0.4, 0.4, 0.4), coverage=1.0)
    counted = hard_labels(fit_predict(MajorityVote, votes)[1])
    learned = hard_labels(fit_predict(MODELS[name], votes)[1])
    assert (learned == truth).mean() > (counted == truth).mean() + 0.05


def test_uncovered_rows_are_told_apart():
    assert covered(np.array([[-1, -1], [0, 1]])).tolist() == [False, True]
