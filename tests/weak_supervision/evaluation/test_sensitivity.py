import numpy as np
import pytest

from weak_supervision.evaluation import leave_one_out, sensitivity, shifted_balance
from weak_supervision.label_models import MajorityVote, hard_labels
from weaklight.errors import DataError

VOTES = np.array([[0, 0, 1], [1, 1, 1], [0, 1, 1], [1, -1, -1]], dtype=np.int16)


def _majority(votes: np.ndarray) -> np.ndarray:
    return hard_labels(MajorityVote().fit(votes, n_classes=2).predict_proba(votes))


def test_leaving_out_each_function_by_hand() -> None:
    assert _majority(VOTES).tolist() == [0, 1, 1, 1]
    found = leave_one_out(VOTES, ["a", "b", "c"], _majority, gold=np.array([0, 1, 1, -1]))
    # without c the first row stays 0 and the third is a tie; without a the first is a tie
    silent = [np.delete(VOTES, j, axis=1) for j in range(3)]
    flips = [float((_majority(s) != _majority(VOTES)).mean()) for s in silent]
    assert found.flipped == pytest.approx(flips)
    assert found.span is not None and found.span[1] == 1.0
    assert found.most_influential == ["a", "b", "c"][int(np.argmax(flips))]


def test_without_gold_only_flips_are_known() -> None:
    found = sensitivity(np.array([0, 1]), {"x": np.array([0, 0])})
    assert found.flipped == (0.5,) and found.accuracies is None and found.span is None
    with pytest.raises(DataError, match="must label the same 2 items"):
        sensitivity(np.array([0, 1]), {"x": np.array([0])})


def test_a_shifted_balance_is_bayes_rule() -> None:
    shifted = shifted_balance(np.array([[0.5, 0.5]]), by=0.2)
    assert shifted["class 0 +20%"] == pytest.approx(np.array([[0.6 / 1.1, 0.5 / 1.1]]))
    assert len(shifted) == 4
