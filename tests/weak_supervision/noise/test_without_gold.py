"""Which head suits the votes: planted mistakes that follow the features, and such that do not."""

import numpy as np
import pytest

from weak_supervision.noise.without_gold import choose_head, held_out_agreement
from weaklight.errors import DataError


class Rule:
    """A head that was told the answer beforehand: a column of the features."""

    def __init__(self, column: int) -> None:
        self.column = column

    def fit(self, features, targets, weights=None):
        return self

    def predict_proba(self, features):
        return np.eye(2, dtype=np.float32)[features[:, self.column].astype(int)]


class Copycat(Rule):
    """A head that takes the column that its teachers follow, mistakes and all."""

    def fit(self, features, targets, weights=None):
        self.column = int((features == targets.argmax(axis=1)[:, None]).mean(axis=0).argmax())
        return self


@pytest.fixture(scope="module")
def items():
    """Return features (truth, what half of the voters say) and the truth of 900 items."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 900)
    shared = np.where(rng.random(900) < 0.3, 1 - truth, truth)
    return np.column_stack([truth, shared]).astype(np.float32), truth, shared


def test_mistakes_that_voters_do_not_share_earn_nothing(items) -> None:
    features, truth, shared = items
    rng = np.random.default_rng(1)
    others = [np.where(rng.random(900) < 0.3, 1 - truth, truth) for _ in range(2)]
    votes = np.column_stack([shared, shared, *others]).astype(np.int16)
    votes[rng.random(900) < 0.4, :2] = -1  # voters of one opinion are silent together
    votes[:, 2:][rng.random((900, 2)) < 0.4] = -1
    heads = {"copycat": lambda: Copycat(0), "right": lambda: Rule(0)}
    chosen, reason = choose_head(heads, votes, features, n_classes=2)
    assert chosen == "right" and "copycat 0." in reason
    alone, _ = choose_head(heads, votes[:, :1], features, n_classes=2)
    assert alone == "copycat"  # a single voter is all there is to agree with


class Parrot(Rule):
    """A head that knows by heart what it was taught, and nothing else."""

    def fit(self, features, targets, weights=None):
        self.taught = dict(zip(features[:, 0].tolist(), targets.argmax(axis=1), strict=True))
        return self

    def predict_proba(self, features):
        return np.eye(2)[[self.taught.get(x, 0) for x in features[:, 0].tolist()]]


@pytest.mark.parametrize("n_voters", [1, 3])
def test_nobody_is_judged_on_items_that_taught_him(n_voters: int) -> None:
    rng = np.random.default_rng(2)
    features, votes = np.arange(900.0)[:, None], rng.integers(0, 2, (900, 1)).repeat(n_voters, 1)
    said = held_out_agreement({"parrot": lambda: Parrot(0)}, votes, features, n_classes=2)
    assert said["parrot"].mean() == pytest.approx(0.5, abs=0.06)


def test_a_lead_that_may_be_chance_leaves_the_simplest(items) -> None:
    features, truth, _ = items
    nearly = features.copy()
    nearly[:, 1] = truth
    nearly[:2, 0] = 1 - truth[:2]  # the first head is wrong on two items of 900
    heads = {"simple": lambda: Rule(0), "other": lambda: Rule(1)}
    votes = truth[:, None].astype(np.int16)
    said = held_out_agreement(heads, votes, nearly, n_classes=2)
    assert said["other"].mean() == 1 and said["simple"].sum() == 898
    assert choose_head(heads, votes, nearly, n_classes=2)[0] == "simple"


def test_votes_for_a_set_of_classes_count_in_part(items) -> None:
    from weaklight.contracts import ClassSet

    features, _, _ = items
    votes = np.full((900, 1), 3, dtype=np.int16)  # "either of the first two"
    heads = {"only": lambda: Rule(0)}
    either = (ClassSet("either", (0, 1)),)
    said = held_out_agreement(heads, votes, features, n_classes=3, class_sets=either)
    assert said["only"] == pytest.approx(0.5)


def test_without_votes_there_is_nothing_to_compare_by(items) -> None:
    with pytest.raises(DataError, match="takes 3 items with votes, but there are 0"):
        choose_head({"only": lambda: Rule(0)}, np.full((9, 2), -1), items[0][:9], n_classes=2)
