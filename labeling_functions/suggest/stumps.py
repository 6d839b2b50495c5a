"""Limits on one or two columns: "aspect above 1.6 and leg_gap above 0.3".

Try it: ``weaklight lf suggest --kind stumps``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labeling_functions.suggest.material import MIN_HITS, Material
from labeling_functions.templates import Condition
from labeling_functions.templates.base import numbers_of

__all__ = ["propose"]

N_CUTS = 24  # limits tried per column and direction
N_STARTS = 24  # conditions per class that a second one is added to
MAX_PER_VOTE = 12
GAIN = 1.0  # right votes that a second condition must be worth beyond either one alone
MAX_VALUES = 20  # a column of words with more of them names items, not kinds


def propose(
    material: Material, rows: NDArray[np.bool_], precision: float, seed: int
) -> list[Mapping[str, Any]]:
    """Return threshold, metadata and two-condition rules, at most one for each set of columns.

    A beam search of width ``N_STARTS`` and depth 2, as in subgroup discovery: the conditions that
    lift the class most above its share (weighted relative accuracy) get a second one each.

    References
    ----------
    Varma and Re 2018, "Snuba: automating weak supervision to label training data", PVLDB 12(3):
    heuristics from primitives and a small labelled set; Lavrac, Flach and Zupan 1999, "Rule
    evaluation measures: a unifying view": weighted relative accuracy.
    """
    asked = _conditions(material)
    if not asked:
        return []
    conditions = [condition for condition, _ in asked]
    holds = np.stack([holds[rows] for _, holds in asked]).astype(np.float32)  # (c, b)
    fits = material.fits[rows].astype(np.float32)  # (b, V)
    single_n = holds.sum(axis=1)  # (c,)
    single_right = holds @ fits  # (c, V)
    found: list[Mapping[str, Any]] = []
    for value, name in enumerate(material.ballot.names):
        right = single_right[:, value]
        lift = right - single_n * fits[:, value].mean()
        starts = np.argsort(-lift, kind="stable")[:N_STARTS]
        pair_n = holds[starts] @ holds.T  # (starts, c)
        pair_right = (holds[starts] * fits[:, value]) @ holds.T
        alone, spare = right - precision * single_n, pair_right - precision * pair_n
        rules: list[tuple[tuple[int, ...], float, float]]
        rules = [((int(c),), right[c], single_n[c]) for c in range(len(conditions))]
        rules += [
            ((int(starts[s]), int(c)), pair_right[s, c], pair_n[s, c])
            for s, c in np.argwhere(spare > np.maximum(alone[starts][:, None], alone) + GAIN)
        ]
        rules = [r for r in rules if r[2] >= MIN_HITS and r[1] > precision * r[2]]
        rules.sort(key=lambda r: (precision * r[2] - r[1], len(r[0]), r[0]))
        taken: set[frozenset[str]] = set()
        for members, _, _ in rules:
            columns = frozenset(conditions[c].column for c in members)
            if columns not in taken:
                taken.add(columns)
                found.append({**_table([conditions[c] for c in members]), "vote": name})
            if len(taken) == MAX_PER_VOTE:
                break
    return found


def _conditions(material: Material) -> list[tuple[Condition, NDArray[np.bool_]]]:
    """Return what may be asked, limits at quantiles and values, each with the rows it holds on.

    As ``Condition.holds`` says it, but a column of numbers is read once for all of its limits.
    """
    found: list[tuple[Condition, NDArray[np.bool_]]] = []
    for name in material.columns:
        values = material.table[name].dropna()
        if pd.api.types.is_bool_dtype(values) or pd.api.types.is_string_dtype(values):
            kinds = values.value_counts()
            if 2 <= len(kinds) <= MAX_VALUES:
                for kind in sorted(kinds.index.tolist()):
                    condition = Condition(name, equals=kind)
                    found.append((condition, condition.holds(material.table)))
        elif pd.api.types.is_numeric_dtype(values) and len(values):
            levels = np.linspace(0, 1, N_CUTS + 2)[1:-1]
            # written as people write them, so that the rule is judged as it will stand in the file
            cuts = sorted({float(f"{cut:.3g}") for cut in np.quantile(values, levels)})
            numbers = numbers_of(material.table, name)
            found += [(Condition(name, above=cut), numbers > cut) for cut in cuts]
            found += [(Condition(name, below=cut), numbers < cut) for cut in cuts]
    return found


def _table(conditions: list[Condition]) -> dict[str, Any]:
    tests: dict[str, dict[str, Any]] = {}
    for condition in conditions:
        asked = {test: getattr(condition, test) for test in condition.tests}
        tests.setdefault(condition.column, {}).update(asked)
    if len(tests) == 1:
        ((column, asked),) = tests.items()
        kind = "metadata" if "equals" in asked else "threshold"
        return {"kind": kind, "column": column, **asked}
    return {"kind": "rule", "conditions": [{"column": c, **asked} for c, asked in tests.items()]}
