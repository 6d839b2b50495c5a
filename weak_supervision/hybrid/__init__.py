"""Few good labels and many weak ones: which labels to trust, in what order, and which to ask for.

``fixmatch`` works on networks, and is imported by itself because it needs torch.

Try it: ``SelfTraining().fit(votes, features, n_classes=10).stop_reason_``.
"""

from weak_supervision.hybrid.active import CRITERIA, labelling_order
from weak_supervision.hybrid.admitted import Admitted
from weak_supervision.hybrid.conformal import admit_conformally, gold_rows_needed
from weak_supervision.hybrid.curriculum import Curriculum
from weak_supervision.hybrid.pseudo_labels import adaptive_thresholds, pseudo_labels
from weak_supervision.hybrid.selection import select_by_cut_statistic
from weak_supervision.hybrid.self_training import SelfTraining

__all__ = [
    "CRITERIA",
    "Admitted",
    "Curriculum",
    "SelfTraining",
    "adaptive_thresholds",
    "admit_conformally",
    "gold_rows_needed",
    "labelling_order",
    "pseudo_labels",
    "select_by_cut_statistic",
]
