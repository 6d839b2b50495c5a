"""What a person asks of the label model reaches it through the choice."""

import numpy as np
import pytest

from tests.weak_supervision.planted import planted
from weak_supervision.candidates import Material
from weak_supervision.label_models import DawidSkene
from weaklight.errors import DataError


def test_balance_and_human_labels_reach_the_models():
    votes, truth, _ = planted(n=600, n_classes=2, accuracies=(0.9, 0.35, 0.35, 0.35), coverage=1.0)
    human = np.where(np.arange(600) < 60, truth, -1)
    material = Material(2, human, models=("dawid_skene",), class_balance=[0.6, 0.4])
    found = material.label_models(votes.astype(np.int16))["dawid_skene"]
    alone = DawidSkene().fit(votes, n_classes=2, class_balance=[0.6, 0.4], gold=human)
    unseen = human < 0
    np.testing.assert_array_equal(found.posterior[unseen], alone.predict_proba(votes)[unseen])
    assert (found.labels == truth)[unseen].mean() > 0.8


def test_crowdlab_gets_a_classifier_that_did_not_see_its_rows():
    votes, truth, features = planted(n=400, d=8, coverage=0.4)
    material = Material(3, np.full(400, -1), features=features, models=("crowdlab",))
    found = material.label_models(votes.astype(np.int16))["crowdlab"]
    assert (found.posterior.argmax(axis=1) == truth)[found.is_covered].mean() > 0.8
    with pytest.raises(DataError, match="needs features"):
        Material(3, np.full(400, -1), models=("crowdlab",)).label_models(votes.astype(np.int16))
