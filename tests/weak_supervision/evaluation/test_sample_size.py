import pytest
from hypothesis import given
from hypothesis import strategies as st

from weak_supervision.evaluation import rows_for_width
from weaklight.errors import DataError
from weaklight.intervals import wilson_share


@given(st.floats(0.01, 0.9), st.floats(0, 1))
def test_is_the_fewest_that_suffice(width: float, guess: float) -> None:
    n = rows_for_width(width, guess=guess)
    low, high = wilson_share(guess, n)
    assert high - low <= width
    if n > 1:
        low, high = wilson_share(guess, n - 1)
        assert high - low > width


def test_nonsense_is_refused() -> None:
    with pytest.raises(DataError, match="between 0 and 1"):
        rows_for_width(5)
