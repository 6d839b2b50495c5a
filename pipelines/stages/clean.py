"""Clean: labels that a classifier on the features contradicts, and the targets to train on.

Try it: ``weaklight label``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.sections import CleanConfig
from pipelines.stages.base import StageResult, Work
from weak_supervision.classifiers.discriminant import Discriminant
from weak_supervision.classifiers.out_of_fold import Teachable
from weak_supervision.hybrid import Admitted, admit_conformally
from weak_supervision.label_models import MajorityVote, covered
from weak_supervision.neighbors import NeighborGraph
from weak_supervision.noise import RobustHead, choose_head, detect_issues, out_of_fold_proba
from weaklight.contracts import ABSTAIN, Votes
from weaklight.errors import DataError

__all__ = ["CleanInputs", "clean"]

# the simplest first: it stays unless the other surely agrees more with votes that did not teach it
JUDGES: dict[str, Callable[[], Teachable]] = {"discriminant": Discriminant, "robust": RobustHead}


@dataclass(frozen=True)
class CleanInputs:
    """Upstream files of the stage."""

    items: Path
    weak_labels: Path
    gold_calibration: Path
    human: Path
    votes: Path
    features: Path
    present: Path
    graph: Path


def clean(inputs: CleanInputs, config: CleanConfig, work: Work) -> StageResult:
    """Find doubtful labels by confident learning and set the weights for training.

    The classifier that doubts is taught by the majority of the votes, not by the weak labels: those
    may follow the features already, and whoever learns from them on the same features agrees with
    their mistakes. ``all_weights`` are those of ``weights`` before doubted labels were left out,
    for heads that cope with wrong labels themselves.

    Only covered unlabelled items are trained on; a row's weight is its confidence, 1 for a human
    label, 0 where it is doubted (``action = "drop"``), excluded by a person or without features.

    Raises
    ------
    DataError
        If too few items carry a label to train on.
    """
    weak = pd.read_parquet(inputs.weak_labels)
    split = pd.read_parquet(inputs.items, columns=["split"])["split"]
    human = pd.read_parquet(inputs.human)
    features = np.load(inputs.features, allow_pickle=False)
    present = np.load(inputs.present, allow_pickle=False)
    targets = weak[[f"p_{c}" for c in work.classes]].to_numpy(dtype=np.float32)
    by_human = (weak["source"] == "human").to_numpy()
    excluded = weak["item_id"].isin(human.loc[human["action"] == "exclude", "item_id"]).to_numpy()
    usable = weak["covered"].to_numpy() & (split == "unlabeled").to_numpy() & present & ~excluded
    weights = np.where(usable, weak["confidence"].to_numpy(), 0.0).astype(np.float32)
    weights[usable & by_human] = 1.0
    n_usable = int(usable.sum())
    if n_usable < 2 * len(work.classes):
        raise DataError(
            f"only {n_usable} unlabelled items carry a label and features, too few to train "
            f"{len(work.classes)} classes; widen the labelling functions' coverage"
        )
    if n_usable < config.folds:
        raise DataError(
            f"only {n_usable} unlabelled items carry a label and features, too few for [clean] "
            f"folds = {config.folds}; ask for fewer or widen the labelling functions' coverage"
        )
    labels = np.where(usable, weak["label"].to_numpy(), ABSTAIN)
    votes = np.load(inputs.votes, allow_pickle=False)
    votes[~usable] = ABSTAIN
    work.progress(0, 3, "which classifier suits the votes")
    judge, reason = _judge(votes, features, work)
    work.progress(1, 3, "out-of-fold probabilities")
    taught, taught_weights = _taught(votes, labels, by_human & usable, work)
    if np.count_nonzero(taught_weights) < max(config.folds, n_usable // 2):
        taught, taught_weights = targets, weights  # labels of bags or of people, hardly any votes
    proba = out_of_fold_proba(
        features,
        taught,
        taught_weights,
        folds=config.folds,
        seed=work.seed,
        new_head=JUDGES[judge],
    )
    work.progress(2, 3, "doubting labels")
    found = detect_issues(
        labels,
        proba,
        graph=NeighborGraph.load(inputs.graph),
        votes=votes if config.crowdlab else None,
        features=features if config.margins else None,
        seed=work.seed,
    )
    issues = _issues(weak["item_id"].to_numpy(), found.table, by_human)
    doubts = issues[issues["kind"] == "label"]
    # the other detectors tell people where to look; what trains is decided by one of them
    dropped = doubts.loc[doubts["detectors"].str.contains("confident learning"), "item_id"]
    admitted_note: tuple[str, ...] = ()
    if config.max_error is not None:
        weakly = np.flatnonzero(usable & ~by_human)
        admitted = _admitted(weak, targets, weakly, inputs.gold_calibration, config.max_error)
        weights[weakly[admitted.labels == ABSTAIN]] = 0.0
        admitted_note = (admitted.stop_reason,)
        if not (weights > 0).any():
            raise DataError(f"[clean] max_error = {config.max_error:g}: {admitted.stop_reason}")
    all_weights = weights.copy()
    larger = " or accept a larger [clean] max_error" if config.max_error is not None else ""
    _check_classes_left(weights, labels, work.classes, larger)
    if config.action == "drop":
        weights[weak["item_id"].isin(dropped).to_numpy()] = 0.0
        keep = ' or set [clean] action = "keep"'
        _check_classes_left(weights, labels, work.classes, keep)

    issues.to_parquet(work.out / "issues.parquet", index=False)
    np.save(work.out / "out_of_fold.npy", proba)
    np.save(work.out / "targets.npy", targets)
    np.save(work.out / "weights.npy", weights)
    np.save(work.out / "all_weights.npy", all_weights)
    written = {
        "head": judge,
        "reason": reason,
        "n_labels": n_usable,
        "non_iid_p": found.non_iid_p,
    }
    (work.out / "judge.json").write_text(json.dumps(written) + "\n", encoding="utf-8")
    agreement = float((proba.argmax(axis=1) == labels)[usable].mean())
    return StageResult(
        outputs={
            "issues": "issues.parquet",
            "out_of_fold": "out_of_fold.npy",
            "targets": "targets.npy",
            "weights": "weights.npy",
            "all_weights": "all_weights.npy",
            "judge": "judge.json",
        },
        metrics={
            "judge": judge,
            "n_labelled": n_usable,
            "n_issues": len(dropped),
            "issues_by_kind": issues["kind"].value_counts().sort_index().to_dict(),
            "non_iid_p": found.non_iid_p,
            "n_trained_on": int((weights > 0).sum()),
            "n_excluded": int(excluded.sum()),
            "out_of_fold_agreement": agreement,
        },
        notes=(
            f"{len(dropped)} of {n_usable} labels are doubted by the features"
            + (" and left out of training" if config.action == "drop" else " and kept"),
            *found.notes,
            *admitted_note,
        ),
    )


def _judge(votes: Votes, features: NDArray[np.floating], work: Work) -> tuple[str, str]:
    """Return the name of the classifier that suits votes and features, and why."""
    try:
        return choose_head(
            JUDGES,
            votes,
            features,
            n_classes=len(work.classes),
            class_sets=work.class_sets,
            seed=work.seed,
        )
    except DataError as error:
        return "discriminant", str(error)


def _taught(
    votes: Votes, labels: NDArray[np.int64], by_human: NDArray[np.bool_], work: Work
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return what votes and people say, without the features: targets (n, K), weights (n,)."""
    model = MajorityVote().fit(votes, n_classes=len(work.classes), class_sets=work.class_sets)
    targets = model.predict_proba(votes)
    targets[by_human] = np.eye(len(work.classes), dtype=np.float32)[labels[by_human]]
    return targets, (covered(votes) | by_human).astype(np.float32)


def _issues(
    item_ids: NDArray[np.object_], found: pd.DataFrame, by_human: NDArray[np.bool_]
) -> pd.DataFrame:
    """Return what was found by item id; what a person decided is not doubted."""
    open_to_doubt = (found["kind"] != "label") | ~by_human[found["row"].to_numpy()]
    found = found[open_to_doubt]
    columns = ["kind", "label", "suggested", "score", "detectors"]
    return found[columns].assign(item_id=item_ids[found["row"].to_numpy()])[["item_id", *columns]]


def _admitted(
    weak: pd.DataFrame,
    posterior: NDArray[np.float32],
    rows: NDArray[np.intp],
    gold_calibration: Path,
    max_error: float,
) -> Admitted:
    """Return which labels of ``rows`` are sure enough, judged by gold that trained nothing.

    These are the weak labels that would train. Labels by hand are not among them: many that are
    right would vouch for weak ones that are wrong.
    """
    gold = pd.read_parquet(gold_calibration).set_index("item_id")["gold"]
    known = np.flatnonzero(weak["item_id"].isin(gold.index).to_numpy() & weak["covered"].to_numpy())
    truth = gold.loc[weak["item_id"].iloc[known]].to_numpy(np.int64)
    return admit_conformally(posterior[rows], posterior[known], truth, alpha=max_error)


def _check_classes_left(
    weights: NDArray[np.float32], labels: NDArray[np.int64], classes: tuple[str, ...], or_else: str
) -> None:
    """Raise where fewer than two have labels; ``or_else``: what undoes the cleaning that did it."""
    left = np.unique(labels[weights > 0])
    if len(left) < 2:
        names = [classes[c] for c in left]
        after = "after cleaning " if or_else else ""
        raise DataError(
            f"{after}only the classes {names} have labels to train on, two are needed; "
            f"write LFs for the others{or_else}"
        )
