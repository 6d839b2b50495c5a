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
    # right on 3, of 3, as it is; a tie is broken by the row's number
    accuracies = [float((_majority(s)[:3] == [0, 1, 1]).mean()) for s in silent]
    assert found.accuracy == 1.0 and found.accuracies == pytest.approx(accuracies)
    assert found.most_influential == ["a", "b", "c"][int(np.argmax(flips))]


def test_a_range_holds_the_number_that_it_stands_beside() -> None:
    """Every change does harm: 4 of 4 are right as it is, 2 and 3 of 4 after the changes."""
    gold = np.array([0, 1, 0, 1])
    found = sensitivity(gold, {"x": np.array([1, 0, 0, 1]), "y": np.array([1, 1, 0, 1])}, gold)
    assert found.accuracies == (0.5, 0.75) and found.span == (0.5, 1.0)


def test_without_gold_only_flips_are_known() -> None:
    found = sensitivity(np.array([0, 1]), {"x": np.array([0, 0])})
    assert found.flipped == (0.5,) and found.accuracy is None and found.span is None
    with pytest.raises(DataError, match="must label the same 2 items"):
        sensitivity(np.array([0, 1]), {"x": np.array([0])})


def test_a_shifted_balance_is_bayes_rule() -> None:
    shifted = dict(shifted_balance(np.array([[0.5, 0.5]]), by=0.2))
    assert shifted["class 0 +20%"] == pytest.approx(np.array([[0.6 / 1.1, 0.5 / 1.1]]))
    assert len(shifted) == 4
