import numpy as np
import pytest

from weak_supervision.evaluation import (
    Comparison,
    CrossoverPoint,
    crossover_curve,
    hand_labels_worth,
)
from weaklight.errors import DataError
from weaklight.intervals import Proportion

GOLD_TEST = np.zeros(1000, dtype=int)


def point(size: int, *successes: int) -> CrossoverPoint:
    return CrossoverPoint(
        size,
        tuple(Proportion(s, 1000) for s in successes),
        tuple(np.zeros(1000, dtype=np.int64) for _ in successes),
    )


def against_all(difference: float, low: float, high: float) -> Comparison:
    return Comparison(1000, 0, 0, difference, low, high, p_value=1.0)


CURVE = (point(20, 400, 500, 600), point(100, 700), point(400, 800))


def test_sizes_draws_and_nesting() -> None:
    asked: list[np.ndarray] = []

    def fit_predict(rows: np.ndarray) -> np.ndarray:
        asked.append(rows)
        return np.where(np.arange(1000) < len(rows), 0, 1)

    points = crossover_curve(
        fit_predict, GOLD_TEST, n_gold=300, sizes=(100, 20, 500), draws=2, seed=0
    )
    assert [(p.size, len(p.accuracies)) for p in points] == [(20, 2), (100, 2), (300, 1)]
    assert [p.mean for p in points] == pytest.approx([0.02, 0.1, 0.3])
    assert set(asked[0]) < set(asked[2])  # within a draw the smaller subset lies in the larger
    assert not np.array_equal(asked[0], asked[1])
    np.testing.assert_array_equal(asked[-1], np.arange(300))


def test_median_draw_and_span() -> None:
    assert CURVE[0].mean == pytest.approx(0.5)
    assert CURVE[0].span == (0.4, 0.6)
    assert point(20, 600, 400, 500, 900).median_draw == 2  # the lower of the two middle ones


def test_worth_is_read_off_in_the_logarithm() -> None:
    worth = hand_labels_worth(CURVE, Proportion(750, 1000), against_all(-0.05, -0.08, -0.02))
    assert worth.labels == 200  # halfway between 100 and 400 in the logarithm
    assert worth.low == 130  # 0.72 is a fifth of the way: 100 * 4 ** 0.2
    assert worth.high == 300  # 0.78 is four fifths of it
    assert worth.sentence == (
        "Your weak labels are worth about 200 hand labels (130 to 300 by the 95 % interval)."
    )


def test_labels_by_hand_that_taught_as_well_are_named() -> None:
    found = against_all(-0.05, -0.08, -0.02)
    alone = hand_labels_worth(CURVE, Proportion(750, 1000), found)
    helped = hand_labels_worth(CURVE, Proportion(750, 1000), found, n_by_hand=30)
    assert helped.labels == alone.labels
    assert helped.sentence.startswith("Your weak labels and 30 by hand together are worth about")


@pytest.mark.parametrize(
    ("right", "ends", "much"),
    [
        (850, (0.05, 0.01, 0.09), "more than all 400 hand labels"),
        (
            850,
            (0.05, -0.1, 0.2),
            "about as much as all 400 hand labels (100 to more than 400 by the 95 % interval)",
        ),
        (
            790,
            (-0.01, -0.06, 0.04),
            "about 350 hand labels (170 to more than 400 by the 95 % interval)",
        ),
        (
            450,
            (-0.35, -0.55, -0.1),
            "fewer than 20 hand labels (fewer than 20 to 100 by the 95 % interval)",
        ),
        (300, (-0.5, -0.6, -0.4), "fewer than 20 hand labels"),
    ],
)
def test_the_end_of_the_curve_is_told_by_the_comparison(
    right: int, ends: tuple[float, float, float], much: str
) -> None:
    found = hand_labels_worth(CURVE, Proportion(right, 1000), against_all(*ends))
    assert found.sentence == f"Your weak labels are worth {much}."


def test_a_curve_that_sinks_at_its_end_does_not_overrule_the_comparison() -> None:
    sinking = (point(20, 500), point(100, 800), point(120, 700))
    better = hand_labels_worth(sinking, Proportion(750, 1000), against_all(0.05, 0.01, 0.09))
    assert better.sentence == "Your weak labels are worth more than all 120 hand labels."
    unclear = hand_labels_worth(sinking, Proportion(720, 1000), against_all(0.02, -0.02, 0.06))
    assert unclear.labels == 65 and unclear.high is None  # 20 * 5 ** (0.22 / 0.3)


def test_a_dip_by_chance_does_not_matter() -> None:
    dipping = (point(20, 500), point(50, 450), point(100, 700))
    found = against_all(-0.2, -0.25, -0.15)
    assert hand_labels_worth(dipping, Proportion(500, 1000), found).labels == 20
    assert hand_labels_worth(dipping, Proportion(600, 1000), found).labels == 71  # sqrt(50 * 100)


def test_nothing_to_measure_is_an_error() -> None:
    with pytest.raises(DataError, match="gold rows to train on"):
        crossover_curve(lambda rows: [], [], n_gold=5, sizes=(2,), draws=1, seed=0)
    with pytest.raises(DataError, match="one is empty"):
        hand_labels_worth(CURVE, Proportion(0, 0), against_all(0, 0, 0))
