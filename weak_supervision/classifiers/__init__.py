"""Classifiers on frozen features."""

from weak_supervision.classifiers.linear_head import LinearHead

__all__ = ["LinearHead"]
