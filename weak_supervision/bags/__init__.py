"""Bags: learning from labels on groups of items, and voting on the items."""

from weak_supervision.bags.attention import AttentionBagClassifier
from weak_supervision.bags.votes import bag_votes, cross_fit_instances, thresholds

__all__ = ["AttentionBagClassifier", "bag_votes", "cross_fit_instances", "thresholds"]
