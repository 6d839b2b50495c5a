import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weaklight.contracts import ClassSet, check_posterior, check_votes, expand_votes
from weaklight.errors import DataError
from weaklight.intervals import Proportion, wilson
from weaklight.seeds import derive_seed, numpy_generator, preserve_global_rng


def test_wilson_matches_the_textbook_value() -> None:
    # Newcombe 1998, table I, method 3: 81 of 263.
    low, high = wilson(81, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)


def test_wilson_covers_at_its_nominal_rate() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for k in rng.binomial(60, 0.9, size=4000):
        low, high = wilson(int(k), 60)
        hits += low <= 0.9 <= high
    assert 0.93 < hits / 4000 < 0.98


@given(st.integers(0, 500), st.integers(0, 500))
def test_wilson_stays_in_the_unit_interval_and_holds_the_estimate(k: int, n: int) -> None:
    if k > n:
        with pytest.raises(DataError):
            wilson(k, n)
        return
    low, high = wilson(k, n)
    assert 0 <= low <= high <= 1
    assert n == 0 or low - 1e-12 <= k / n <= high + 1e-12


def test_a_proportion_of_nothing_has_no_value() -> None:
    assert Proportion(0, 0).value is None
    assert str(Proportion(0, 0)) == "no rows"


@pytest.mark.parametrize(
    ("votes", "words"),
    [
        (np.array([0, 1]), "two dimensions"),
        (np.array([[0.5]]), "integers"),
        (np.array([[3]]), "between -1 and 2"),
        (np.array([[-2]]), "between -1 and 2"),
    ],
)
def test_bad_votes_are_refused_with_what_came(votes: np.ndarray, words: str) -> None:
    with pytest.raises(DataError, match=words):
        check_votes(votes, n_classes=2, n_sets=1)


def test_a_class_set_spreads_its_vote_evenly() -> None:
    table = expand_votes(3, (ClassSet("low", (0, 1)),))
    assert table.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.5, 0]]


def test_a_posterior_with_nan_or_wrong_sums_is_refused() -> None:
    with pytest.raises(DataError, match="NaN"):
        check_posterior(np.array([[np.nan, 1.0]]), 2)
    with pytest.raises(DataError, match=r"row 0 sums to 0\.9"):
        check_posterior(np.array([[0.5, 0.4]]), 2)


def test_seeds_depend_on_every_name() -> None:
    seeds = {derive_seed(s, *names) for s in (0, 1) for names in (("a",), ("a", 1), ("b",))}
    assert len(seeds) == 6
    assert numpy_generator(0, "x").random() == numpy_generator(0, "x").random()


def test_a_library_that_seeds_globally_leaves_no_trace() -> None:
    before = (random.getstate(), np.random.get_state()[1].tolist())  # noqa: NPY002
    with preserve_global_rng():
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before  # noqa: NPY002
