import numpy as np
import pytest

from tests.weak_supervision.planted import planted
from weak_supervision.label_models import Crowdlab, hard_labels
from weaklight.errors import DataError


def classifier(truth, accuracy=0.7, seed=1):
    rng = np.random.default_rng(seed)
    said = np.where(rng.random(len(truth)) < accuracy, truth, rng.integers(0, 3, len(truth)))
    return np.eye(3)[said] * 0.6 + 0.4 / 3


def test_the_posterior_is_cleanlabs():
    from cleanlab.multiannotator import get_label_quality_multiannotator

    votes, truth, _ = planted(n=300)
    votes = votes[(votes >= 0).any(axis=1)]
    said = classifier(truth[: len(votes)])
    model = Crowdlab().fit(votes, n_classes=3, classifier=said)
    posterior = model.predict_proba(votes, classifier=said)
    theirs = get_label_quality_multiannotator(
        np.where(votes < 0, np.nan, votes), said, verbose=False
    )["label_quality"]
    of_consensus = posterior[np.arange(len(votes)), theirs["consensus_label"]]
    np.testing.assert_allclose(of_consensus, theirs["consensus_quality_score"], atol=1e-6)


def test_the_classifier_fills_in_where_nobody_votes_and_helps_elsewhere():
    votes, truth, _ = planted(n=600, accuracies=(0.9, 0.8, 0.7), coverage=0.6)
    said = classifier(truth)
    model = Crowdlab().fit(votes, n_classes=3, classifier=said)
    posterior = model.predict_proba(votes, classifier=said)
    silent = (votes < 0).all(axis=1)
    np.testing.assert_allclose(posterior[silent], said[silent], rtol=1e-5)
    alone = (said.argmax(axis=1) == truth).mean()
    assert (hard_labels(posterior) == truth).mean() > alone + 0.02


def test_it_says_what_it_needs():
    votes, truth, _ = planted(n=60)
    with pytest.raises(DataError, match=r"pass its out-of-fold.*classifier=pred_probs"):
        Crowdlab().fit(votes, n_classes=3)
    said = classifier(truth)
    with pytest.raises(DataError, match="must give 60 rows of 3"):
        Crowdlab().fit(votes, n_classes=3, classifier=said[:7])
    said[3] = np.nan
    with pytest.raises(DataError, match="must be finite"):
        Crowdlab().fit(votes, n_classes=3, classifier=said)
    alone = Crowdlab().fit(votes[:, :1], n_classes=3, classifier=classifier(truth))
    assert "rows where two LFs vote" in alone.note_
