import numpy as np
import pytest

from weak_supervision.evaluation import CrossoverPoint, crossover_curve, hand_labels_worth
from weaklight.errors import DataError
from weaklight.intervals import Proportion

GOLD_TEST = np.zeros(1000, dtype=int)


def point(size: int, *successes: int) -> CrossoverPoint:
    return CrossoverPoint(
        size,
        tuple(Proportion(s, 1000) for s in successes),
        tuple(np.zeros(1000, dtype=np.int64) for _ in successes),
    )


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
    worth = hand_labels_worth(CURVE, Proportion(750, 1000))
    assert worth.labels == 200  # halfway between 100 and 400 in the logarithm
    # Wilson of 0.75 at n=1000 is [0.722, 0.776]
    assert worth.low == 140
    assert worth.high == 290
    assert worth.sentence == (
        "Your weak labels are worth about 200 hand labels "
        "(140 to 290 by the 95 % interval of their accuracy)."
    )


def test_labels_by_hand_that_taught_as_well_are_named() -> None:
    alone = hand_labels_worth(CURVE, Proportion(750, 1000))
    helped = hand_labels_worth(CURVE, Proportion(750, 1000), n_by_hand=30)
    assert helped.labels == alone.labels
    assert helped.sentence.startswith("Your weak labels and 30 by hand together are worth about")


def test_outside_the_curve() -> None:
    above = hand_labels_worth(CURVE, Proportion(850, 1000))
    assert above.sentence == "Your weak labels are worth more than all 400 hand labels."
    assert above.labels is None
    below = hand_labels_worth(CURVE, Proportion(300, 1000))
    assert below.sentence == "Your weak labels are worth fewer than 20 hand labels."
    edge = hand_labels_worth(CURVE, Proportion(790, 1000))
    assert edge.high is None
    assert "to more than 400" in edge.sentence


def test_a_dip_by_chance_does_not_matter() -> None:
    dipping = (point(20, 500), point(50, 450), point(100, 700))
    assert hand_labels_worth(dipping, Proportion(500, 1000)).labels == 20
    assert hand_labels_worth(dipping, Proportion(600, 1000)).labels == 71  # sqrt(50 * 100)


def test_nothing_to_measure_is_an_error() -> None:
    with pytest.raises(DataError, match="gold rows to train on"):
        crossover_curve(lambda rows: [], [], n_gold=5, sizes=(2,), draws=1, seed=0)
    with pytest.raises(DataError, match="one is empty"):
        hand_labels_worth(CURVE, Proportion(0, 0))
