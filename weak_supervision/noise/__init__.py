"""Labels that are partly wrong: finding them, and training in spite of them.

Try it: ``RobustHead().fit(features, labels).predict(features)``.
"""

from weak_supervision.classifiers.out_of_fold import out_of_fold_proba
from weak_supervision.noise.data_issues import DataIssues, find_data_issues
from weak_supervision.noise.detect import Detected, detect_issues
from weak_supervision.noise.dynamics import Margins, area_under_margin
from weak_supervision.noise.find import find_issues
from weak_supervision.noise.robust_head import RobustHead
from weak_supervision.noise.robust_training import TrainingConfig, train_robustly
from weak_supervision.noise.strategies import STRATEGIES
from weak_supervision.noise.transition import LabelNoise, estimate_noise, noise_by_gold
from weak_supervision.noise.without_gold import choose_head

__all__ = [
    "STRATEGIES",
    "DataIssues",
    "Detected",
    "LabelNoise",
    "Margins",
    "RobustHead",
    "TrainingConfig",
    "area_under_margin",
    "choose_head",
    "detect_issues",
    "estimate_noise",
    "find_data_issues",
    "find_issues",
    "noise_by_gold",
    "out_of_fold_proba",
    "train_robustly",
]
