import numpy as np
import pytest
from scipy.special import softmax

from weak_supervision.classifiers import fit_temperature
from weak_supervision.classifiers.temperature import is_at_bound


def logits_of(margins, labels, n_classes):
    """Return logits that name ``labels``, each other class ``margins`` below."""
    logits = np.zeros((len(labels), n_classes))
    logits[np.arange(len(labels)), labels] = margins
    return logits


@pytest.mark.parametrize(("n_rows", "n_classes"), [(20, 2), (150, 2), (150, 4)])
def test_rows_that_are_all_right_warrant_n_plus_1_of_n_plus_2(n_rows, n_classes):
    labels = np.arange(n_rows) % n_classes
    logits = logits_of(5.0, labels, n_classes)
    temperature = fit_temperature(logits, labels)
    # (n + 1) : 1 / (K - 1) are the odds of a class against each other one
    assert temperature == pytest.approx(5 / np.log((n_rows + 1) * (n_classes - 1)), rel=1e-3)
    proba = softmax(logits / temperature, axis=1)[np.arange(n_rows), labels]
    np.testing.assert_allclose(proba, (n_rows + 1) / (n_rows + 2), rtol=1e-4)


def test_rows_that_are_all_right_by_unequal_margins_leave_room_for_doubt():
    labels = np.arange(150) % 2
    margins = np.linspace(0.3, 7.6, 150)
    logits = logits_of(margins, labels, 2)
    proba = softmax(logits / fit_temperature(logits, labels), axis=1)
    doubt = proba[np.arange(150), 1 - labels]
    assert np.average(doubt, weights=margins) == pytest.approx(1 / 152, rel=1e-3)
    assert doubt.mean() > 1 / 152


def test_many_rows_give_back_the_temperature_that_they_were_drawn_with():
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=2, size=(20_000, 3))
    drawn = softmax(logits, axis=1).cumsum(axis=1) > rng.random((20_000, 1))
    assert fit_temperature(30 * logits, drawn.argmax(axis=1)) == pytest.approx(30, rel=0.03)


def test_scores_that_are_wrong_end_at_the_bound_and_say_so(caplog):
    labels = np.arange(60) % 2
    temperature = fit_temperature(logits_of(4.0, 1 - labels, 2), labels)
    assert is_at_bound(temperature) and not is_at_bound(1.0)
    assert "ended at its bound" in caplog.text
    assert "dev" not in caplog.text  # they may as well be weak labels
