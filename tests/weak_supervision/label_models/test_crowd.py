"""MACE and GLAD against crowd-kit itself, and without it."""

import sys

import numpy as np
import pandas as pd
import pytest

from tests.weak_supervision.planted import planted
from weak_supervision.label_models import Glad, Mace
from weaklight.errors import ConfigError

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:crowdkit")


def long_table(votes):
    task, worker = np.nonzero(votes >= 0)
    return pd.DataFrame({"task": task, "worker": worker, "label": votes[task, worker]})


@pytest.mark.parametrize("name", ["MACE", "GLAD"])
def test_posteriors_are_crowdkits(name):
    aggregation = pytest.importorskip("crowdkit.aggregation")
    votes, _, _ = planted(n=250, n_classes=3)
    votes[0] = [0, 1, 2, 0, 1]  # labels and workers come sorted, or crowd-kit mixes them up
    if name == "MACE":
        theirs, ours = aggregation.MACE(n_restarts=1, random_state=3), Mace()
    else:
        theirs, ours = aggregation.GLAD(n_iter=20), Glad()
    theirs.fit(long_table(votes))
    if name == "GLAD":  # its posterior is one step behind its parameters
        theirs._e_step(theirs._current_data)
    theirs = theirs.probas_[[0, 1, 2]]
    posterior = ours.fit(votes, n_classes=3).predict_proba(votes)[theirs.index]
    np.testing.assert_allclose(posterior, theirs, atol=0.02)


def test_mace_finds_the_lf_that_always_says_the_same():
    votes, _, _ = planted(n=400, n_classes=2, accuracies=(0.8, 0.8, 0.8), coverage=1.0)
    spammed = np.column_stack([votes, np.zeros(400, dtype=int)])
    model = Mace().fit(spammed, n_classes=2)
    alone = model.predict_proba(np.array([[-1, -1, -1, 0], [0, -1, -1, -1]]))[:, 0]
    assert alone[0] < 0.6 < 0.7 < alone[1]


def test_without_crowdkit_the_line_to_install_is_given(monkeypatch):
    monkeypatch.setitem(sys.modules, "crowdkit.aggregation", None)
    monkeypatch.setitem(sys.modules, "crowdkit", None)
    votes, _, _ = planted(n=20)
    for model in (Mace(), Glad()):
        with pytest.raises(ConfigError, match=r'pip install "weaklight\[crowd\]"'):
            model.fit(votes, n_classes=3)
