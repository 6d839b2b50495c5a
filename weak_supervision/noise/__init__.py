"""Doubting labels: out-of-fold probabilities and confident learning."""

from weak_supervision.noise.find import find_issues, out_of_fold_proba

__all__ = ["find_issues", "out_of_fold_proba"]
