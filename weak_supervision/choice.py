"""Which label model, and do the features help? Decided without gold, with the reason written down.

Try it: ``print(choose(votes, n_classes=3, features=features).reason)``.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from weak_supervision.candidates import (
    FILLED,
    JOINT,
    SPREAD,
    Candidate,
    Material,
    Trial,
    same_labels,
)
from weak_supervision.evidence import group_lfs, unanimous
from weak_supervision.explain import features_words, model_words, steady_words, unanimous_words
from weak_supervision.judging import BASELINE, Judge, Row, fits_neighbors, mean_of, number_of, wins
from weak_supervision.label_models import CANDIDATES, ClassBalance, covered
from weak_supervision.names import model_name
from weak_supervision.neighbors import NeighborGraph, build_graph
from weaklight.contracts import ABSTAIN, ClassSet, check_votes
from weaklight.errors import DataError
from weaklight.seeds import derive_seed, numpy_generator

__all__ = ["BASELINE", "Choice", "choose"]

WORSE = 0.01  # what features may at most lose where LFs vote, for what they gain elsewhere
MAX_JUDGED_ITEMS = 10_000  # evidence on a draw of so many: its bounds are a point wide or less
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choice:
    """What was chosen, why, and everything it was chosen from.

    Attributes
    ----------
    chosen
        Name of the candidate: a label model (``"dawid_skene"``), its labels spread over the
        neighbor graph (``"dawid_skene+features"``), its labels with the features' answer where no
        LF votes (``"dawid_skene+filled"``), or votes and features together (``"joint"``).
    label_model
        Name of the label model in it, before features came in.
    reason
        One paragraph in plain words, with the numbers (`weak_supervision.explain`).
    candidates
        One flat dict a candidate, ready for JSON, ``None`` where not measured. None of it is
        accuracy: without gold the word is agreement.

        ``agreement``: of its labels with the votes of left-out LFs, above chance;
        ``taught_agreement``: the same of a classifier taught by them; ``compared``: the one of the
        two that decides, ``agreement_low`` its lower bound; ``gain``: the difference to
        ``compared_before``, that of the candidate named ``against``, ``gain_low`` its lower bound,
        ``gain_voted_low`` the same where other LFs vote too.

        ``cut_statistic`` and ``neighbor_agreement``: how its labels fit those of similar items,
        ``cut_gain_high`` the upper bound of what they do so better than majority vote's;
        ``stability``: share of labels that stay when LFs are left out, ``seed_stability``: with
        another seed; ``name``, ``coverage``, ``note``.
    overruled_unanimous
        (u,) rows where two or more LFs vote, all for one class, and the chosen label differs.
    posteriors
        Name to (n, K) float32 of every label model and, above 10,000 items, of the chosen
        candidate; up to 10,000 of every candidate.
    knows
        Name to (n,) bool: rows about which the candidate knows anything.
    """

    chosen: str
    label_model: str
    reason: str
    candidates: list[Row]
    overruled_unanimous: NDArray[np.intp]
    posteriors: dict[str, NDArray[np.float32]] = field(repr=False)
    knows: dict[str, NDArray[np.bool_]] = field(repr=False)

    @property
    def posterior(self) -> NDArray[np.float32]:
        """The chosen posterior (n, K) float32."""
        return self.posteriors[self.chosen]

    @property
    def is_covered(self) -> NDArray[np.bool_]:
        """(n,) bool: rows about which the chosen candidate knows anything."""
        return self.knows[self.chosen]


def choose(
    votes: NDArray[np.generic],
    *,
    n_classes: int,
    class_sets: tuple[ClassSet, ...] = (),
    features: NDArray[np.floating] | None = None,
    graph: NeighborGraph | None = None,
    human: NDArray[np.integer] | None = None,
    class_balance: ClassBalance = None,
    model: str | None = None,
    use_features: Literal["auto", "on", "off", "spread", "filled", "joint"] = "auto",
    seed: int = 0,
) -> Choice:
    """Choose a label model, then what features make of it.

    Groups of alike LFs are left out in turn and every candidate is fitted on the other LFs.

    1. Label model: its labels teach a classifier on the features, whose out-of-fold predictions
       are compared with what the left-out LFs say. (The labels themselves would be rewarded for
       errors that LFs share item by item. Without features there is nothing else to compare.)
    2. Features: that model's labels, the same spread over the neighbor graph, the same filled in
       where no LF votes, and the joint model's are compared with the left-out votes directly.
       Items that other LFs vote on and items that none votes on are judged apart and weighed as
       they occur, because leaving LFs out makes silence look commoner than it is. Shared errors
       speak for the unspread labels here, so the comparison is cautious.

    The simpler side stays, unless the lower bootstrap bound of the other's agreement lies above
    zero (less wrong than chance is no praise where both are worse than chance) and that of its gain
    above the share of labels that another seed alone would change;
    what changes the labels of items that LFs vote on must surely not lose a point on those, however
    much it gains where they are silent.

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
    class_balance
        K shares, "uniform" or "estimated" for every label model; None leaves it to each of them.
    model
        Name of a label model that a person insists on: only what features make of it is chosen,
        and the joint model, which needs none, is left out unless ``use_features`` asks for it.
    use_features
        Whether a person insists that features repair the labels, in which way, or that they do not.
    seed
        Of folds, bootstrap and, above 10,000 items, of the items that are judged.

    Returns
    -------
    The choice, with all posteriors.

    Raises
    ------
    DataError
        If the shapes do not fit, or votes or human labels break their contract.

    Notes
    -----
    Time: every label model once on all items and up to 7 times on 10,000 of them; what features
    make of it 7 times on 10,000, and the chosen one on all. A million items with 20 LFs take about
    20 s on one core.

    Blind to errors that LFs of different groups share and that the features follow too.
    """
    checked = check_votes(votes, n_classes, len(class_sets))
    people = _checked_human(human, len(checked), n_classes)
    if features is not None and len(features) != len(checked):
        raise DataError(
            f"features must have a row for each of {len(checked)} items, but have {len(features)}; "
            "run embed on the same items"
        )
    judged = _draw(len(checked), seed)
    is_whole = len(judged) == len(checked)
    if graph is None and features is not None and is_whole:
        graph = build_graph(features)
    models = CANDIDATES if model is None else tuple(dict.fromkeys([*CANDIDATES, model]))
    material = Material(n_classes, people, class_sets, graph, features, seed, models, class_balance)
    small = material if is_whole else _restrict(material, judged)
    groups = group_lfs(checked[judged])
    trial = Trial(checked[judged], groups if len(groups) > 1 else [], small)
    voted = covered(checked) & (people == ABSTAIN)
    judge = Judge(float(voted.sum() / max((people == ABSTAIN).sum(), 1)), len(judged), seed)

    found = material.label_models(checked)
    shown = found if is_whole else _restrict_all(found, judged)
    evidence = trial.label_models(shown)
    rows = {name: judge.label_model(name, evidence) for name in found}
    fitted = shown if is_whole else small.label_models(checked[judged])
    reseeded = replace(small, seed=derive_seed(seed, "again"))
    again = reseeded.label_models(checked[judged])
    _note_seed_stability(rows, fitted, again)
    for name, candidate in shown.items():
        rows[name] |= judge.neighbors(candidate.labels, shown[BASELINE].labels, small.graph)
    best, rival = _decide_model(rows)
    reason = model_words(rival, best, n_groups=len(groups), is_taught=judge.can_teach(evidence))
    asked = model if model not in (None, best) else None
    best = model or best

    featured = small.with_features(
        checked[judged], {name: shown[name] for name in dict.fromkeys([BASELINE, best])}
    )
    rivals = {
        name: candidate
        for name, candidate in featured.items()
        if name.partition("+")[0] == best
        or (name == JOINT and (model is None or use_features == JOINT))
    }
    evidence |= trial.with_features(rivals, best)
    rows |= {name: judge.with_features(name, best, evidence) for name in rivals}
    _note_seed_stability(rows, rivals, reseeded.with_features(checked[judged], {best: again[best]}))
    for name, candidate in rivals.items():
        rows[name] |= judge.neighbors(candidate.labels, shown[BASELINE].labels, small.graph)
    for name, candidate in (shown | rivals).items():
        is_covered = candidate.is_covered
        rows[name]["coverage"] = float(is_covered.mean()) if len(is_covered) else 0.0
        rows[name]["note"] = candidate.note
    chosen, why = _decide_features(rows, best, list(rivals))
    reason += why
    wanted = {
        "auto": chosen,
        "off": best,
        "on": best + SPREAD if chosen == best else chosen,
        "spread": best + SPREAD,
        "filled": best + FILLED,
        "joint": JOINT,
    }
    if wanted[use_features] != chosen and features is not None:
        asked = chosen = wanted[use_features]
    if is_whole:
        found |= featured
    elif chosen not in found:
        found |= material.with_features(checked, {best: found[best]}, only=chosen)

    reason += steady_words(rows[chosen])
    agreed = unanimous(checked, n_classes)
    overruled = np.flatnonzero(
        (agreed != ABSTAIN) & (agreed != found[chosen].labels) & (people == ABSTAIN)
    )
    if (agreed != ABSTAIN).any():
        reason += unanimous_words(len(overruled))
    if asked is not None:
        reason = f"The settings ask for {model_name(asked)}; left alone, the tool says: {reason}"
    logger.info("%s", reason)
    return Choice(
        chosen,
        best,
        reason,
        list(rows.values()),
        overruled,
        {name: candidate.posterior for name, candidate in found.items()},
        {name: candidate.is_covered for name, candidate in found.items()},
    )


def _checked_human(
    human: NDArray[np.integer] | None, n_items: int, n_classes: int
) -> NDArray[np.integer]:
    people = np.full(n_items, ABSTAIN) if human is None else np.asarray(human)
    if people.shape != (n_items,) or not ABSTAIN <= people.min(initial=0) <= people.max(
        initial=0
    ) < max(n_classes, 1):
        raise DataError(
            f"human must hold a class id below {n_classes}, or -1, for each of {n_items} items, "
            f"but came with shape {people.shape}, from {people.min(initial=0)} to "
            f"{people.max(initial=0)}; map class names to ids first"
        )
    return people


def _draw(n_items: int, seed: int) -> NDArray[np.intp]:
    """Return the rows that are judged, in order."""
    if n_items <= MAX_JUDGED_ITEMS:
        return np.arange(n_items)
    generator = numpy_generator(seed, "judged items")
    return np.sort(generator.choice(n_items, MAX_JUDGED_ITEMS, replace=False))


def _restrict(material: Material, rows: NDArray[np.intp]) -> Material:
    """Return the material of some items, with a graph of their own."""
    features = None if material.features is None else material.features[rows]
    return replace(
        material,
        human=material.human[rows],
        graph=None if features is None else build_graph(features),
        features=features,
    )


def _restrict_all(found: dict[str, Candidate], rows: NDArray[np.intp]) -> dict[str, Candidate]:
    return {
        name: Candidate(c.posterior[rows], c.is_covered[rows], c.note) for name, c in found.items()
    }


def _note_seed_stability(
    rows: dict[str, Row], first: dict[str, Candidate], again: dict[str, Candidate]
) -> None:
    """Enter how many labels of each candidate stay with another seed."""
    for name, candidate in first.items():
        rows[name]["seed_stability"] = mean_of(same_labels(candidate, again[name]))


def _decide_model(rows: dict[str, Row]) -> tuple[str, Row | None]:
    """Return the chosen label model, and the best rival of majority vote if any was compared."""
    if rows[BASELINE]["gain"] is None:
        return BASELINE, None
    rivals = [row for name, row in rows.items() if name != BASELINE]
    best = max(rivals, key=lambda row: number_of(row["gain_low"]))
    return str(best["name"]) if wins(best) and fits_neighbors(best) else BASELINE, best


def _decide_features(rows: dict[str, Row], model: str, rivals: list[str]) -> tuple[str, str]:
    """Return the chosen candidate and the reason in plain words."""
    if not rivals:
        return model, " There are no features to repair its labels with."
    if not any(_is_judged(rows[name]) for name in rivals):
        return model, " Whether features repair its labels cannot be judged, so they are left out."
    sure = [name for name in rivals if _is_better(rows[name])]
    best = max(sure or rivals, key=lambda name: number_of(rows[name]["gain"]))
    return best if sure else model, features_words(rows[best], is_used=bool(sure))


def _is_judged(row: Row) -> bool:
    """Return whether any item could be compared: a gain of nothing at all is none."""
    return row["gain"] is not None and (row["compared"] is not None or number_of(row["gain"]) != 0)


def _is_better(row: Row) -> bool:
    keeps_votes = str(row["name"]).endswith(FILLED)
    where_voted = 0.0 if keeps_votes else number_of(row["gain_voted_low"])
    return wins(row) and where_voted > -WORSE
