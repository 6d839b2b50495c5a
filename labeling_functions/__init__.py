"""Labelling functions: writing, loading, applying and analysing them.

Try it: ``apply_lfs(load_folder(Path("lfs")), items, classes=classes)``; the way from a blank file
to a table of votes is in ``docs/labeling_functions.md``.
"""

from labeling_functions.analysis import analyse
from labeling_functions.apply import ApplyResult, LFReport, apply_lfs
from labeling_functions.checks import Finding, find_problems
from labeling_functions.drill import drill, drill_pair, settle_most_conflicts
from labeling_functions.functions import LabelingFunction, labeling_function
from labeling_functions.load import load_folder, load_readable, raise_broken
from labeling_functions.pairs import PairCounts, pair_counts
from labeling_functions.templates import (
    Condition,
    annotator,
    keywords,
    lookup,
    metadata,
    model,
    prototype,
    regex,
    rule,
    threshold,
    zero_shot,
)
from weaklight.contracts import ABSTAIN

__all__ = [
    "ABSTAIN",
    "ApplyResult",
    "Condition",
    "Finding",
    "LFReport",
    "LabelingFunction",
    "PairCounts",
    "analyse",
    "annotator",
    "apply_lfs",
    "drill",
    "drill_pair",
    "find_problems",
    "keywords",
    "labeling_function",
    "load_folder",
    "load_readable",
    "lookup",
    "metadata",
    "model",
    "pair_counts",
    "prototype",
    "raise_broken",
    "regex",
    "rule",
    "settle_most_conflicts",
    "threshold",
    "zero_shot",
]
