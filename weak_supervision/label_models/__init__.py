"""Label models: from many LFs' votes to one posterior an item.

Try it: ``MODELS["dawid_skene"]().fit(votes, n_classes=3).predict_proba(votes)``.
"""

from weak_supervision.label_models.base import TIE_RULE, LabelModel, covered, hard_labels
from weak_supervision.label_models.dawid_skene import DawidSkene
from weak_supervision.label_models.majority_vote import MajorityVote
from weak_supervision.label_models.snorkel_model import SnorkelModel

__all__ = [
    "MODELS",
    "TIE_RULE",
    "DawidSkene",
    "LabelModel",
    "MajorityVote",
    "SnorkelModel",
    "covered",
    "hard_labels",
]

MODELS: dict[str, type[LabelModel]] = {
    "majority_vote": MajorityVote,
    "snorkel": SnorkelModel,
    "dawid_skene": DawidSkene,
}
