"""Label models: from many LFs' votes to one posterior an item.

Try it: ``MODELS["dawid_skene"]().fit(votes, n_classes=3).predict_proba(votes)``.
"""

from weak_supervision.label_models.base import BaseLabelModel, LabelModel, covered
from weak_supervision.label_models.checks import ClassBalance
from weak_supervision.label_models.confidence import ConfidenceLevels
from weak_supervision.label_models.crowd import Glad, Mace
from weak_supervision.label_models.crowdlab import Crowdlab
from weak_supervision.label_models.dawid_skene import DawidSkene
from weak_supervision.label_models.labels import TIE_RULE, hard_labels
from weak_supervision.label_models.majority_vote import MajorityVote
from weak_supervision.label_models.one_coin import OneCoin
from weak_supervision.label_models.one_per_class import OnePerClass
from weak_supervision.label_models.snorkel_model import SnorkelModel
from weak_supervision.label_models.triplets import Triplets
from weak_supervision.label_models.weighted_vote import WeightedVote

__all__ = [
    "CANDIDATES",
    "MODELS",
    "TIE_RULE",
    "BaseLabelModel",
    "ClassBalance",
    "ConfidenceLevels",
    "Crowdlab",
    "DawidSkene",
    "Glad",
    "LabelModel",
    "Mace",
    "MajorityVote",
    "OneCoin",
    "OnePerClass",
    "SnorkelModel",
    "Triplets",
    "WeightedVote",
    "covered",
    "hard_labels",
]

MODELS: dict[str, type[BaseLabelModel]] = {
    model.name: model
    for model in (
        MajorityVote,
        WeightedVote,
        SnorkelModel,
        DawidSkene,
        OneCoin,
        Triplets,
        Mace,
        Glad,
        Crowdlab,
    )
}

# What the automatic choice compares: each one more is one more chance to be misled by luck.
CANDIDATES = ("majority_vote", "snorkel", "dawid_skene")
