"""Labelling functions: writing, loading, applying and analysing them.

Try it: ``apply_lfs(load_folder(Path("lfs")), items, classes=classes)``; the way from a blank file
to a table of votes is in ``docs/labeling_functions.md``.
"""

from labeling_functions.analysis import analyse, drill, settle_most_conflicts
from labeling_functions.apply import ApplyResult, LFReport, apply_lfs
from labeling_functions.functions import LabelingFunction, labeling_function
from labeling_functions.load import load_folder
from labeling_functions.prototypes import prototype
from weaklight.contracts import ABSTAIN

__all__ = [
    "ABSTAIN",
    "ApplyResult",
    "LFReport",
    "LabelingFunction",
    "analyse",
    "apply_lfs",
    "drill",
    "labeling_function",
    "load_folder",
    "prototype",
    "settle_most_conflicts",
]
