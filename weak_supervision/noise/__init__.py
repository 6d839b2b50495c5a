"""Labels that are partly wrong: finding them, and training in spite of them.

Try it: ``RobustHead(strategy="elr").fit(features, labels).predict(features)``.
"""

from weak_supervision.noise.find import find_issues, out_of_fold_proba
from weak_supervision.noise.robust_head import RobustHead
from weak_supervision.noise.robust_training import TrainingConfig, train_robustly
from weak_supervision.noise.strategies import STRATEGIES
from weak_supervision.noise.transition import LabelNoise, estimate_noise, noise_by_gold

__all__ = [
    "STRATEGIES",
    "LabelNoise",
    "RobustHead",
    "TrainingConfig",
    "estimate_noise",
    "find_issues",
    "noise_by_gold",
    "out_of_fold_proba",
    "train_robustly",
]
