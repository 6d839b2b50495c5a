"""Bags: learning from labels on groups of items, and voting on the items.

Try it: ``NoisyOrBagClassifier().fit(bags, y).predict_instances(bags)``.
"""

from weak_supervision.bags.attention import AttentionBagClassifier
from weak_supervision.bags.auto import BAG_CLASSIFIERS, AutoBagClassifier
from weak_supervision.bags.base import Bag, BagClassifier
from weak_supervision.bags.dsmil import DualStreamBagClassifier
from weak_supervision.bags.embedding import EmbeddingBagClassifier
from weak_supervision.bags.instance_pooling import NoisyOrBagClassifier, TopKBagClassifier
from weak_supervision.bags.mi_svm import MiSVM
from weak_supervision.bags.set_kernel import SetKernelBagClassifier
from weak_supervision.bags.sources import (
    heat_map,
    image_patches,
    paragraph_spans,
    paragraphs,
    patch_grid,
    window_starts,
    windows,
)
from weak_supervision.bags.transformer import TransformerBagClassifier
from weak_supervision.bags.votes import (
    bag_votes,
    cross_fit_instances,
    posterior_votes,
    thresholds,
)

__all__ = [
    "BAG_CLASSIFIERS",
    "AttentionBagClassifier",
    "AutoBagClassifier",
    "Bag",
    "BagClassifier",
    "DualStreamBagClassifier",
    "EmbeddingBagClassifier",
    "MiSVM",
    "NoisyOrBagClassifier",
    "SetKernelBagClassifier",
    "TopKBagClassifier",
    "TransformerBagClassifier",
    "bag_votes",
    "cross_fit_instances",
    "heat_map",
    "image_patches",
    "paragraph_spans",
    "paragraphs",
    "patch_grid",
    "posterior_votes",
    "thresholds",
    "window_starts",
    "windows",
]
