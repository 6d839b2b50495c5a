"""Which label model, and do the features help? Decided without gold, with the reason written down.

Try it: ``print(choose(votes, n_classes=3, features=features).reason)``.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from weak_supervision.candidates import WITH_FEATURES, Material, Trial
from weak_supervision.evidence import (
    bootstrap_bound,
    group_lfs,
    mean_over_groups,
    neighbor_agreement,
    unanimous,
)
from weak_supervision.neighbors import NeighborGraph, build_graph, cut_statistic
from weaklight.contracts import ABSTAIN, ClassSet, check_votes
from weaklight.errors import DataError

__all__ = ["BASELINE", "Choice", "choose"]

BASELINE = "majority_vote"
# Stricter than the usual 95 %: three comparisons are made, and a bootstrap over items knows
# nothing of how the result would change with other LFs.
LEVEL = 0.99
logger = logging.getLogger(__name__)

Row = dict[str, float | str | None]


@dataclass(frozen=True)
class Choice:
    """What was chosen, why, and everything it was chosen from.

    Attributes
    ----------
    chosen
        Name of the candidate, for instance ``"dawid_skene+features"``.
    reason
        One paragraph in plain words, with the numbers.
    candidates
        One flat dict a candidate, ready for JSON. ``name``; ``agreement``: of its labels with the
        votes of left-out LFs, above chance; ``taught_agreement``: the same of a classifier taught
        by them; ``gain``, ``gain_low``: the deciding difference to the candidate named
        ``against``, and its lower bound; ``neighbor_agreement``, ``cut_statistic``, ``stability``
        (labels that stay when LFs are left out), ``coverage``, ``note``. ``None`` where not
        measured. None of it is accuracy: without gold the word is agreement.
    overruled_unanimous
        (u,) rows where two or more LFs vote, all for one class, and the chosen label differs.
    posteriors
        Name to (n, K) float32 of every candidate.
    is_covered
        (n,) bool: rows about which the chosen candidate knows anything.
    """

    chosen: str
    reason: str
    candidates: list[Row]
    overruled_unanimous: NDArray[np.intp]
    posteriors: dict[str, NDArray[np.float32]] = field(repr=False)
    is_covered: NDArray[np.bool_] = field(repr=False)

    @property
    def posterior(self) -> NDArray[np.float32]:
        """The chosen posterior (n, K) float32."""
        return self.posteriors[self.chosen]


def choose(
    votes: NDArray[np.generic],
    *,
    n_classes: int,
    class_sets: tuple[ClassSet, ...] = (),
    features: NDArray[np.floating] | None = None,
    graph: NeighborGraph | None = None,
    human: NDArray[np.integer] | None = None,
    seed: int = 0,
) -> Choice:
    """Choose a label model, then whether to spread its labels over the features.

    Groups of alike LFs are left out in turn and every candidate is fitted on the other LFs.

    1. Label model: its labels teach a classifier on the features, whose out-of-fold predictions
       are compared with what the left-out LFs say. (The labels themselves would be rewarded for
       errors that LFs share item by item. Without features there is nothing else to compare.)
    2. Features: spread and unspread labels of that model are compared with the left-out votes
       directly. Shared errors speak for the unspread ones here, so the comparison is cautious.

    The simpler side stays, unless the lower bootstrap bound of the other's gain lies above zero.

    Parameters
    ----------
    votes
        (n, m): -1 abstains, 0..K-1 a class, K+s the s-th class set.
    features
        (n, d) floats; rows that are not finite take no part in what concerns features.
    graph
        Of the same items, as `build_graph` makes it; built from ``features`` where left out.
    human
        (n,) class ids of people's labels, -1 elsewhere. They outrank every vote, and are no
        evidence about a candidate, because reviewers do not draw items at random.
    seed
        Of folds and bootstrap.

    Returns
    -------
    The choice, with all posteriors.

    Raises
    ------
    DataError
        If the shapes do not fit, or votes or human labels break their contract.

    Notes
    -----
    Time: up to 6 fits of each label model and 30 small logistic regressions; n = 10,000, m = 20,
    K = 10 and d = 256 take about 15 s on one core. Blind to errors that LFs of different groups
    share and that the features follow too.
    """
    checked = check_votes(votes, n_classes, len(class_sets))
    n_items = len(checked)
    people = np.full(n_items, ABSTAIN) if human is None else np.asarray(human)
    if people.shape != (n_items,) or not ABSTAIN <= people.min(initial=0) <= people.max(
        initial=0
    ) < max(n_classes, 1):
        raise DataError(
            f"human must hold a class id below {n_classes}, or -1, for each of {n_items} items, "
            f"but came with shape {people.shape}, from {people.min(initial=0)} to "
            f"{people.max(initial=0)}; map class names to ids first"
        )
    if features is not None and len(features) != n_items:
        raise DataError(
            f"features must have a row for each of {n_items} items, but have {len(features)}; "
            "run embed on the same items"
        )
    if graph is None and features is not None:
        graph = build_graph(features)
    material = Material(n_classes, people, class_sets, graph)
    found = material.candidates(checked)
    groups = group_lfs(checked)
    trial = Trial(found, features, seed)
    for group in groups if len(groups) > 1 else []:
        trial.leave_out(group, checked, material)

    is_taught = bool(trial.taught[BASELINE])  # enough covered items with features to teach with
    judged = trial.taught if is_taught else trial.direct
    rows = []
    for name, candidate in found.items():
        model = name.removesuffix(WITH_FEATURES)
        measure, against = (trial.direct, model) if name != model else (judged, BASELINE)
        gain = mean_over_groups(measure[name], n_items) - mean_over_groups(
            measure[against], n_items
        )
        low = bootstrap_bound(gain, level=LEVEL, seed=seed)
        labels = candidate.labels
        row: Row = {
            "name": name,
            "agreement": _mean(trial.direct[name], n_items),
            "taught_agreement": _mean(trial.taught.get(name, []), n_items),
            "against": against,
            "gain": _mean([gain], n_items),
            "gain_low": low if np.isfinite(low) else None,
            "stability": _mean(trial.kept[name], n_items),
            "neighbor_agreement": None if graph is None else neighbor_agreement(labels, graph),
            "cut_statistic": (
                None if graph is None else _mean([cut_statistic(labels, graph)], n_items)
            ),
            "coverage": float(candidate.is_covered.mean()) if n_items else 0.0,
            "note": candidate.note,
        }
        rows.append(row)

    by_name = {str(row["name"]): row for row in rows}
    chosen, reason = _decide(by_name, len(groups), is_taught)
    agreed = unanimous(checked, n_classes)
    overruled = np.flatnonzero(
        (agreed != ABSTAIN) & (agreed != found[chosen].labels) & (people == ABSTAIN)
    )
    reason += (
        f" It contradicts {len(overruled)} unanimous votes of two or more LFs, which are listed."
        if len(overruled)
        else " It contradicts no unanimous vote of two or more LFs."
    )
    logger.info("%s", reason)
    return Choice(
        chosen,
        reason,
        rows,
        overruled,
        {name: candidate.posterior for name, candidate in found.items()},
        found[chosen].is_covered,
    )


def _decide(rows: dict[str, Row], n_groups: int, is_taught: bool) -> tuple[str, str]:
    """Return the chosen name and the reason in plain words."""
    if rows[BASELINE]["agreement"] is None or rows[BASELINE]["gain"] is None:
        return BASELINE, (
            f"{BASELINE} stays, because there is nothing to compare by: the LFs form {n_groups} "
            "group(s) of alike LFs, and judging without gold takes LFs that can be left out while "
            "others still cover items."
        )
    measure = "taught_agreement" if is_taught else "agreement"
    rivals = [row for name, row in rows.items() if name != BASELINE and WITH_FEATURES not in name]
    best = max(rivals, key=lambda row: _number(row["gain_low"]))
    model = str(best["name"]) if _number(best["gain_low"]) > 0 else BASELINE
    how = "a classifier taught by the others' labels" if is_taught else "the others' labels"
    reason = (
        f"The LFs were left out in {n_groups} groups of alike LFs, and {how} had to predict what "
        f"they say. Above chance, majority vote agrees with them on "
        f"{_number(rows[BASELINE][measure]):.3f} and {best['name']}, the best challenger, on "
        f"{_number(best[measure]):.3f}: {_gain(best)}. "
        f"So {model} {'stays' if model == BASELINE else 'was chosen'}."
    )
    spread_row = rows.get(model + WITH_FEATURES)
    if spread_row is None:
        return model, reason + " There are no features to spread the labels over."
    helps = _number(spread_row["gain_low"]) > 0
    reason += (
        f" Spreading its labels over the features changes the agreement of the labels themselves "
        f"from {_number(rows[model]['agreement']):.3f} to {_number(spread_row['agreement']):.3f}: "
        f"{_gain(spread_row)}. So the features are {'used' if helps else 'left out'}."
    )
    return (model + WITH_FEATURES if helps else model), reason


def _gain(row: Row) -> str:
    sure = "surely better" if _number(row["gain_low"]) > 0 else "not surely better"
    return (
        f"a gain of {_number(row['gain']):+.3f}, at least {_number(row['gain_low']):+.3f} with "
        f"{LEVEL:.0%} confidence, {sure}"
    )


def _number(value: float | str | None) -> float:
    return float(value) if isinstance(value, int | float) else -np.inf


def _mean(parts: list[NDArray[np.float64]], n_items: int) -> float | None:
    values = mean_over_groups(parts, n_items)
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else None
