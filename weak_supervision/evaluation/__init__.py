"""Honest numbers: accuracy with its n, calibration with its null band, paired comparisons.

Try it::

    from weak_supervision.evaluation import accuracy
    print(accuracy([0, 1], [0, 0]))
"""

from weak_supervision.evaluation.accuracy import (
    MIN_ROWS,
    Quality,
    accuracy,
    class_accuracy,
    quality,
)
from weak_supervision.evaluation.calibration import Calibration, ReliabilityBin, calibration
from weak_supervision.evaluation.compare import Comparison, compare_paired
from weak_supervision.evaluation.confusion import ConfusionMatrix, confusion_matrix
from weak_supervision.evaluation.crossover import (
    CrossoverPoint,
    Worth,
    crossover_curve,
    hand_labels_worth,
)
from weak_supervision.evaluation.sample_size import rows_for_width
from weak_supervision.evaluation.sensitivity import (
    Sensitivity,
    leave_one_out,
    sensitivity,
    shifted_balance,
)
from weak_supervision.evaluation.slices import Slice, slice_accuracy
from weak_supervision.evaluation.weighted import (
    Share,
    WeightedProportion,
    chance_over_draws,
    compare_weighted,
    share,
)

__all__ = [
    "MIN_ROWS",
    "Calibration",
    "Comparison",
    "ConfusionMatrix",
    "CrossoverPoint",
    "Quality",
    "ReliabilityBin",
    "Sensitivity",
    "Share",
    "Slice",
    "WeightedProportion",
    "Worth",
    "accuracy",
    "calibration",
    "chance_over_draws",
    "class_accuracy",
    "compare_paired",
    "compare_weighted",
    "confusion_matrix",
    "crossover_curve",
    "hand_labels_worth",
    "leave_one_out",
    "quality",
    "rows_for_width",
    "sensitivity",
    "share",
    "shifted_balance",
    "slice_accuracy",
]
