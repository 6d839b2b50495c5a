"""What suggestions are made from: items whose class is known, others, and their features.

Try it: ``Material(table, gold, Ballot(("ham", "spam"))).fits``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labeling_functions.ballot import Ballot
from weaklight.contracts import expand_votes

__all__ = ["MIN_HITS", "NO_MATTER", "Material", "Propose", "calibrate"]

MIN_HITS = 5  # rows a rule must vote on where it is found: fewer say nothing
NO_MATTER = frozenset({"item_id", "bag_id", "path"})  # name an item or its place: no rule


@dataclass(frozen=True)
class Material:
    """n items and what is known of them.

    Attributes
    ----------
    table : n rows with ``item_id`` and the columns that LFs may read
    gold : (n,) int64 class ids, -1 where unknown
    ballot : the project's classes and class sets
    features : (n, d) float of a frozen encoder, NaN rows where an item has none; or None
    """

    table: pd.DataFrame
    gold: NDArray[np.int64]
    ballot: Ballot
    features: NDArray[np.floating] | None = None

    @cached_property
    def fits(self) -> NDArray[np.bool_]:
        """(n, V): whether a vote for each class or class set would be right; False if unknown."""
        members = expand_votes(len(self.ballot.classes), self.ballot.class_sets) > 0
        right: NDArray[np.bool_] = members.T[self.gold] & (self.gold >= 0)[:, None]
        return right

    @cached_property
    def unit_features(self) -> NDArray[np.float32]:
        """(n, d) features of length one, rows of zeros where an item has none."""
        assert self.features is not None
        rows = np.nan_to_num(np.asarray(self.features, np.float32), posinf=0.0, neginf=0.0)
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        unit: NDArray[np.float32] = np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0)
        return unit

    @cached_property
    def columns(self) -> list[str]:
        """The columns that a rule may be about: those that hold something."""
        filled = self.table.dropna(axis="columns", how="all") if len(self.table) else self.table
        return [str(name) for name in filled.columns if name not in NO_MATTER]


Propose = Callable[[Material, NDArray[np.bool_], float, int], list[Mapping[str, Any]]]
"""``propose(material, rows, precision, seed)`` returns ``[[lf]]`` tables without their names.

Of the gold, it looks at ``rows`` (n,) bool alone; on these the rules reach ``precision``.
"""


def calibrate(
    similarity: NDArray[np.floating], is_right: NDArray[np.bool_], precision: float
) -> float | None:
    """Return the lowest similarity to accept, None where no limit is precise enough.

    Parameters
    ----------
    similarity, is_right : (b,)
        Of each judged row; -inf where the rule stays silent whatever the limit.

    Notes
    -----
    The limit maximises right votes less ``precision`` times all votes: what the rule has to spare
    over the precision asked for.
    """
    order = np.argsort(-similarity, kind="stable")
    order = order[np.isfinite(similarity[order])]
    spare = np.cumsum(is_right[order] - precision)
    if not len(order) or spare.max() <= 0:
        return None
    best = int(spare.argmax())
    if best + 1 < MIN_HITS:
        return None
    return math.floor(float(similarity[order[best]]) * 1000) / 1000
