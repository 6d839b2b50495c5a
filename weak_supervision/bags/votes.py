"""From labels of bags to votes on their instances, without fooling ourselves.

Try it: ``scores, _ = cross_fit_instances(features, bag_index, bag_labels)``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from weak_supervision.bags.auto import BAG_CLASSIFIERS, AutoBagClassifier
from weak_supervision.folds import deal_folds
from weaklight.contracts import ABSTAIN
from weaklight.errors import DataError
from weaklight.progress import Progress, no_progress
from weaklight.seeds import derive_seed

__all__ = ["bag_votes", "cross_fit_instances", "posterior_votes", "thresholds"]

UNKNOWN = -1


def cross_fit_instances(
    features: NDArray[np.floating],
    bag_index: NDArray[np.integer],
    bag_labels: NDArray[np.integer],
    *,
    folds: int = 5,
    seed: int = 0,
    method: str = "attention",
    progress: Progress = no_progress,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return instance and bag probabilities from models that never saw the bag.

    Parameters
    ----------
    features
        (n, d) floats; rows that are not finite are left out of their bag.
    bag_index
        (n,) integers: the bag of each item, -1 for items outside bags.
    bag_labels
        (n_bags,) integers: 1 holds a positive, 0 holds none, -1 unknown.
    folds, seed
        Bags are dealt out by label; bags of unknown label are scored by the mean of all folds.
    method
        Name of one of `BAG_CLASSIFIERS`.
    progress
        Is told how many trainings are done, of how many, and which comes next.

    Returns
    -------
    scores
        (n,) float32 instance probabilities, NaN outside bags and without features.
    bag_proba
        (n_bags,) float32, NaN for bags without a usable instance.

    Raises
    ------
    DataError
        If the shapes do not fit or fewer bags than folds carry either label.

    Notes
    -----
    Time: ``folds`` trainings of `AttentionBagClassifier`, 300 bags of 8 instances in d = 256 about
    3 s on one core.
    """
    if len(bag_index) != len(features) or (len(bag_index) and bag_index.max() >= len(bag_labels)):
        raise DataError(
            f"bag_index must name one of {len(bag_labels)} bags for each of {len(features)} items, "
            f"but has {len(bag_index)} entries up to {bag_index.max(initial=UNKNOWN)}"
        )
    usable = (bag_index >= 0) & np.isfinite(features).all(axis=1)
    members = _members(np.where(usable, bag_index, UNKNOWN), len(bag_labels))
    filled = np.array([len(rows) > 0 for rows in members], dtype=np.bool_)
    known = filled & (bag_labels != UNKNOWN)
    fewest = min(int((known & (bag_labels == label)).sum()) for label in (0, 1))
    if folds < 2 or fewest < folds:
        raise DataError(
            f"cross-fitting in {folds} folds needs at least {max(folds, 2)} bags of each label, "
            f"but the rarer one has {fewest}; label more bags or ask for fewer folds"
        )
    fold = deal_folds(bag_labels, folds=folds, seed=seed)
    scores = np.zeros(len(features))
    bag_proba = np.zeros(len(bag_labels))
    n_models = np.where(known, 1, folds)
    for held in range(folds):
        training = np.flatnonzero(known & (fold != held))
        taught = [features[members[bag]] for bag in training], bag_labels[training]
        model = BAG_CLASSIFIERS[method](derive_seed(seed, "bags", held))
        part = f"fold {held + 1} of {folds}"
        if isinstance(model, AutoBagClassifier):
            model.fit(*taught, progress=_within(progress, held, folds, part))
        else:
            progress(held, folds, f"{method}, {part}")
            model.fit(*taught)
        judged = np.flatnonzero(filled & (~known | (fold == held)))
        if not len(judged):
            continue
        bags = [features[members[bag]] for bag in judged]
        bag_proba[judged] += model.predict_proba(bags)[:, 1]
        for bag, proba in zip(judged, model.predict_instances(bags), strict=True):
            scores[members[bag]] += proba[:, 1]
    bag_proba = np.where(filled, bag_proba / n_models, np.nan)
    scores = np.where(usable, scores / n_models[np.maximum(bag_index, 0)], np.nan)
    return scores.astype(np.float32), bag_proba.astype(np.float32)


def _within(progress: Progress, held: int, folds: int, part: str) -> Progress:
    """Return what a fold tells of its own trainings, as a share of those of all folds."""

    def told(done: int, total: int, message: str) -> None:
        progress(held * total + done, folds * total, f"{part}: {message}")

    return told


def thresholds(
    scores: NDArray[np.floating],
    bag_index: NDArray[np.integer],
    bag_labels: NDArray[np.integer],
    *,
    error: float = 0.05,
) -> tuple[float, float]:
    """Return the scores (low, high) below and above which an instance's side is clear.

    Two groups have a known side although no instance was ever labelled. Every instance of a
    negative bag is negative: at most a share ``error`` of negatives scores above the first cut.
    Every positive bag holds a positive, most likely its top instance: at most a share ``error`` of
    these witnesses scores below the second cut. Between the two
    the side is unclear.

    Returns
    -------
    low, high
        The smaller and the larger cut; ``-inf`` or ``inf`` where a group is too small to say.
    """
    label = np.where(bag_index >= 0, bag_labels[bag_index], UNKNOWN)
    negatives = scores[(label == 0) & np.isfinite(scores)]
    positive = (label == 1) & np.isfinite(scores)
    witness = np.full(len(bag_labels), -np.inf)
    np.maximum.at(witness, bag_index[positive], scores[positive])
    witnesses = witness[np.isfinite(witness)]
    # ranks with the + 1 of split conformal prediction: valid for any number of rows
    above_negatives = _upper(negatives, error)
    below_witnesses = -_upper(-witnesses, error)
    return min(above_negatives, below_witnesses), max(above_negatives, below_witnesses)


def bag_votes(
    scores: NDArray[np.floating],
    bag_index: NDArray[np.integer],
    bag_labels: NDArray[np.integer],
    *,
    positive_vote: int,
    negative_vote: int,
    error: float = 0.05,
) -> NDArray[np.int16]:
    """Return one vote an item from the labels of the bags.

    In a negative bag every instance votes negative, which is certain under the standard assumption
    (a bag is positive exactly when it holds a positive). In a positive bag the `thresholds` decide:
    above them positive, below them negative, between them abstain.

    Parameters
    ----------
    scores
        (n,) from `cross_fit_instances`; scores of models that saw the bag would be too sure.
    bag_index, bag_labels
        As in `cross_fit_instances`; bags of unknown label are voted on like positive ones.
    positive_vote, negative_vote
        Vote values, a class or a class set.
    error
        Of `thresholds`.

    Returns
    -------
    (n,) int16, -1 outside bags and where the side is unclear.
    """
    clear = _clear(
        scores,
        thresholds(scores, bag_index, bag_labels, error=error),
        (positive_vote, negative_vote),
    )
    inside = bag_index >= 0
    certain = inside & (np.where(inside, bag_labels[bag_index], UNKNOWN) == 0)
    return np.where(certain, negative_vote, np.where(inside, clear, ABSTAIN)).astype(np.int16)


def posterior_votes(
    bag_proba: NDArray[np.floating],
    bag_labels: NDArray[np.integer],
    is_known: NDArray[np.bool_],
    *,
    positive_vote: int,
    negative_vote: int,
    error: float = 0.05,
) -> NDArray[np.int16]:
    """Return one vote a bag, where the bags are the items to label.

    A known label is voted for as it is. Of the others, those vote whose probability is clear: at
    most a share ``error`` of the bags labelled negative lies above the one cut, and of those
    labelled positive below the other, as in `thresholds`.

    Parameters
    ----------
    bag_proba
        (n_bags,) from `cross_fit_instances`.
    bag_labels
        (n_bags,) integers: 1, 0, or -1 unknown; they set the cuts.
    is_known
        (n_bags,) bool: the label is a fact, not a guess such as the majority of other votes.
    positive_vote, negative_vote, error
        As in `bag_votes`.

    Returns
    -------
    (n_bags,) int16, -1 where the side is unclear.
    """
    cuts = thresholds(bag_proba, np.arange(len(bag_proba)), bag_labels, error=error)
    clear = _clear(bag_proba, cuts, (positive_vote, negative_vote))
    known = np.where(bag_labels == 1, positive_vote, negative_vote)
    return np.where(is_known, known, clear).astype(np.int16)


def _clear(
    scores: NDArray[np.floating], cuts: tuple[float, float], votes: tuple[int, int]
) -> NDArray[np.int16]:
    """Return the first vote above both cuts, the second below both, else -1; -1 for NaN."""
    low, high = cuts
    clear = np.full(len(scores), ABSTAIN, dtype=np.int16)
    clear[scores > high], clear[scores < low] = votes
    return clear


def _members(bag_index: NDArray[np.integer], n_bags: int) -> list[NDArray[np.intp]]:
    """Return the rows of each bag, in row order."""
    order = np.argsort(bag_index, kind="stable")
    ends = np.searchsorted(bag_index[order], np.arange(n_bags + 1))
    return [order[ends[bag] : ends[bag + 1]] for bag in range(n_bags)]


def _upper(values: NDArray[np.floating], error: float) -> float:
    """Return the value that a share of at most ``error`` exceeds; inf where too few are known."""
    rank = int(np.ceil((len(values) + 1) * (1 - error)))
    return float(np.sort(values)[rank - 1]) if rank <= len(values) else np.inf
