from __future__ import annotations

from itertools import pairwise

import pytest

from ssl_models.schedules import warmup_cosine


def test_rises_then_falls() -> None:
    factors = [warmup_cosine(step, 100, 10) for step in range(100)]
    assert factors[0] == pytest.approx(0.1) and factors[9] == factors[10] == 1
    assert factors[55] == pytest.approx(0.5)
    assert 0 < factors[99] < 0.001
    assert all(a >= b for a, b in pairwise(factors[10:]))


def test_one_step_without_warmup() -> None:
    assert warmup_cosine(0, 1, 0) == 1
