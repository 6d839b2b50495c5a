"""What dev gold says of a choice that was made without it.

Try it: ``print(check_with_gold(choice.posteriors, choice.chosen, dev_gold))``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from weak_supervision.evaluation import MIN_ROWS, compare_paired
from weak_supervision.judging import BASELINE
from weak_supervision.label_models import hard_labels
from weak_supervision.names import model_name, settings_for
from weaklight.contracts import ABSTAIN
from weaklight.intervals import wilson

__all__ = ["check_with_gold"]

FEW_ROWS = 100  # below this even a clear gain is 10 points wide or more
MAX_P = 0.05


def check_with_gold(
    posteriors: Mapping[str, NDArray[np.floating]],
    chosen: str,
    gold: NDArray[np.integer],
    *,
    keys: Sequence[object] | None = None,
) -> str:
    """Say in a sentence whether gold agrees with a choice that was made without it.

    Where it surely does not, the sentence names the settings of ``[aggregate]`` that ask for what
    does best. "Surely" allows for its being the best of all candidates (Bonferroni).

    Parameters
    ----------
    posteriors
        Name to (n, K) of the candidates, ``"majority_vote"`` and ``chosen`` among them.
    chosen
        Name of the one that was chosen.
    gold
        (n,) class ids of items that were drawn at random, -1 elsewhere. Dev gold, never test.
    keys
        n item ids to break ties by, see :func:`~weak_supervision.label_models.hard_labels`.
    """
    rows = np.flatnonzero(gold != ABSTAIN)
    if not len(rows):
        return "There is no gold to check the choice with."
    if len(rows) < MIN_ROWS:
        return f"{len(rows)} hand-labelled items are too few to check the choice with."
    right = {name: hard_labels(p, keys=keys)[rows] == gold[rows] for name, p in posteriors.items()}
    best = max(right, key=lambda name: (right[name].mean(), name == chosen))
    low, high = wilson(int(right[chosen].sum()), len(rows))
    share = {name: f"{100 * is_right.mean():.1f} %" for name, is_right in right.items()}
    sentence = (
        f"On {len(rows)} hand-labelled items the choice is right on {share[chosen]} "
        f"({100 * low:.1f} to {100 * high:.1f}), majority vote on {share[BASELINE]}"
    )
    if best == chosen:
        return sentence + ": no candidate does better on them."
    if best != BASELINE:
        sentence += f", {model_name(best)} on {share[best]}"
    found = compare_paired(right[best], right[chosen])
    sentence += (
        f". The best of {len(right)} candidates is {100 * found.difference:.1f} points ahead of "
        f"the choice (95 % interval {100 * found.low:+.1f} to {100 * found.high:+.1f})"
    ).replace("-", "\N{MINUS SIGN}")
    if found.low <= 0:
        return f"{sentence}, which may be chance."
    if found.p_value * len(right) > MAX_P:
        return f"{sentence}, but the best of several may be ahead by chance."
    settings = settings_for(best) | ({"hybrid": "none"} if "hybrid" in posteriors else {})
    lines = ", ".join(f'{key} = "{value}"' for key, value in settings.items())
    few = (
        f" But {len(rows)} items are few: label more of dev before you rely on it."
        if len(rows) < FEW_ROWS
        else ""
    )
    return (
        f"{sentence}, more than chance explains.{few} To try it, put this under [aggregate] in "
        f"weaklight.toml and run again: {lines}."
    )
