"""Classifiers on features: one contract, several ways to learn."""

from weak_supervision.classifiers.balance import balanced_weights
from weak_supervision.classifiers.base import Head
from weak_supervision.classifiers.linear_head import LinearHead
from weak_supervision.classifiers.load import load_head
from weak_supervision.classifiers.temperature import fit_temperature

__all__ = ["Head", "LinearHead", "balanced_weights", "fit_temperature", "load_head"]
