"""Every way of turning votes into labels, and how each fares when LFs are left out.

Try it: ``Material(n_classes=3, human=np.full(n, -1)).label_models(votes)["snorkel"].labels``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from weak_supervision.classifiers.discriminant import CrossFitted
from weak_supervision.evidence import agreement_above_chance, said_by
from weak_supervision.joint_model import JointModel
from weak_supervision.label_models import (
    CANDIDATES,
    MODELS,
    ClassBalance,
    MajorityVote,
    covered,
    hard_labels,
)
from weak_supervision.neighbors import ALPHA, NeighborGraph, build_graph, reached, spread
from weaklight.contracts import ABSTAIN, ClassSet, Votes
from weaklight.errors import DataError

__all__ = [
    "FILLED",
    "JOINT",
    "SPREAD",
    "Candidate",
    "Evidence",
    "Material",
    "Trial",
    "same_labels",
]

SPREAD = "+features"  # labels of a model, spread over the neighbor graph
FILLED = "+filled"  # labels of a model, and the joint model's where no LF votes
JOINT = "joint"
FOLDS = 2  # of the classifier that judges label models; all are judged by the same one
MIN_ROWS_PER_FOLD = 20


@dataclass(frozen=True)
class Candidate:
    """One way of turning votes into labels.

    Attributes
    ----------
    posterior
        (n, K) float32, rows sum to 1.
    is_covered
        (n,) bool: rows about which it knows anything.
    note
        What it had to leave out.
    """

    posterior: NDArray[np.float32]
    is_covered: NDArray[np.bool_]
    note: str

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """The likeliest classes (n,), -1 where nothing is known."""
        return hard_labels(self.posterior, self.is_covered)


@dataclass(frozen=True)
class Material:
    """What candidates are made from, besides the votes.

    Attributes
    ----------
    n_classes, class_sets
        K and the sets that votes from K on speak of.
    human
        (n,) class ids of people's labels, -1 elsewhere. They replace the posterior of their rows
        and never move.
    graph
        Neighbors of the n items; without it nothing is spread.
    features
        (n, d) floats; without them there is no joint model.
    seed
        Of folds, and of label models that draw.
    models
        Names of the label models.
    class_balance
        As label models take it; None leaves it to each of them.
    """

    n_classes: int
    human: NDArray[np.integer]
    class_sets: tuple[ClassSet, ...] = ()
    graph: NeighborGraph | None = None
    features: NDArray[np.floating] | None = None
    seed: int = 0
    models: tuple[str, ...] = CANDIDATES
    class_balance: ClassBalance = None

    def label_models(self, votes: Votes) -> dict[str, Candidate]:
        """Return every label model's labels by name, ``"majority_vote"`` first."""
        found = {}
        is_human = self.human != ABSTAIN
        known = covered(votes) | is_human
        for name in self.models:
            model = MODELS[name]()
            if "seed" in model.get_params():
                model.set_params(seed=self.seed)
            classifier = self._classifier(votes) if model.needs_classifier else None
            model.fit(
                votes,
                n_classes=self.n_classes,
                class_sets=self.class_sets,
                class_balance=self.class_balance,
                classifier=classifier,
                gold=self.human if model.uses_gold else None,
            )
            posterior = model.predict_proba(votes, classifier=classifier)
            posterior[is_human] = np.eye(self.n_classes, dtype=np.float32)[self.human[is_human]]
            found[name] = Candidate(posterior, known, model.note_)
        return found

    def _classifier(self, votes: Votes) -> NDArray[np.float32]:
        """Return out-of-fold probabilities (n, K) of a classifier taught by majority vote."""
        if self.features is None:
            raise DataError(
                "a label model that weighs the LFs against a classifier needs features, but there "
                "are none; run embed first or choose another [aggregate] model"
            )
        majority = MajorityVote().fit(votes, n_classes=self.n_classes, class_sets=self.class_sets)
        voted = covered(votes)
        weights, strata = voted.astype(np.float64), voted.astype(np.int64)
        crossed = CrossFitted(self.features, weights, strata, seed=self.seed)
        logits = crossed.logits(majority.predict_proba(votes))
        probabilities: NDArray[np.float32] = softmax(logits, axis=1)
        return probabilities

    def with_features(
        self, votes: Votes, models: dict[str, Candidate], *, only: str | None = None
    ) -> dict[str, Candidate]:
        """Return what features make of the votes and of the labels of ``models``.

        ``only`` names the one that is wanted, which saves the others.
        """
        found = {}
        is_human = self.human != ABSTAIN
        joint = None
        if self.features is not None and not (only or "").endswith(SPREAD):
            joint = self._joint(votes, self.features)
        graph = self.graph
        if graph is None and self.features is not None and (only or "").endswith(SPREAD):
            graph = build_graph(self.features)
        for name, model in models.items():
            if graph is not None and only in (None, name + SPREAD):
                clamp = np.where(is_human, 1.0, 1.0 - ALPHA)
                found[name + SPREAD] = Candidate(
                    spread(model.posterior, model.is_covered, graph, clamp=clamp),
                    reached(model.is_covered, graph),
                    model.note,
                )
            if joint is not None:
                filled = np.where(model.is_covered[:, None], model.posterior, joint.posterior)
                found[name + FILLED] = Candidate(
                    filled, model.is_covered | joint.is_covered, model.note
                )
        if joint is not None:
            found[JOINT] = joint
        return found

    def _joint(self, votes: Votes, features: NDArray[np.floating]) -> Candidate:
        model = JointModel(seed=self.seed).fit(
            votes,
            features,
            n_classes=self.n_classes,
            class_sets=self.class_sets,
            human=self.human,
            class_balance=self.class_balance,
        )
        known = covered(votes) | (self.human != ABSTAIN)
        if model.is_taught_:
            known = known | np.isfinite(features).all(axis=1)
        return Candidate(model.posterior_, known, model.note_)


@dataclass
class Evidence:
    """How a candidate fares against left-out votes, one (n,) array a group of LFs, NaN unknown.

    Attributes
    ----------
    voted, silent
        Agreement of its labels with what the left-out LFs say, above chance: where other LFs vote
        too, and where none does.
    taught
        Agreement of a classifier taught by its labels.
    kept
        1 where its label is the same as with all LFs, 0 where it is another.
    """

    voted: list[NDArray[np.float64]]
    silent: list[NDArray[np.float64]]
    taught: list[NDArray[np.float64]]
    kept: list[NDArray[np.float64]]


class Trial:
    """Leaves groups of LFs out in turn and compares what candidates say with what those say.

    Parameters
    ----------
    votes
        (n, m) int16.
    groups
        Columns of LFs to leave out together.
    material
        Of the same items.
    """

    def __init__(self, votes: Votes, groups: list[NDArray[np.intp]], material: Material) -> None:
        self._votes, self._groups, self._material = votes, groups, material
        self._models: list[dict[str, Candidate]] = []  # one dict a group

    def label_models(self, full: dict[str, Candidate]) -> dict[str, Evidence]:
        """Return the evidence on every label model; ``full`` holds them fitted on all LFs."""
        found = {name: Evidence([], [], [], []) for name in full}
        self._models = []
        for group in self._groups:
            others, said = self._leave_out(group)
            models = self._material.label_models(others)
            self._models.append(models)
            teacher = self._teacher(covered(others))
            for name, candidate in models.items():
                _compare(found[name], candidate, full[name], said, covered(others))
                if teacher is not None:
                    taught = teacher.logits(candidate.posterior)
                    found[name].taught.append(agreement_above_chance(taught, said))
        return found

    def with_features(self, full: dict[str, Candidate], model: str) -> dict[str, Evidence]:
        """Return the evidence on what features make of one label model, after `label_models`."""
        found = {name: Evidence([], [], [], []) for name in full}
        for group, models in zip(self._groups, self._models, strict=True):
            others, said = self._leave_out(group)
            for name, candidate in self._material.with_features(
                others, {model: models[model]}
            ).items():
                if name in full:
                    _compare(found[name], candidate, full[name], said, covered(others))
        return found

    def _leave_out(self, group: NDArray[np.intp]) -> tuple[Votes, NDArray[np.float64]]:
        """Return the others' votes and what the group says, (n, K), rows sum to 1 or to 0."""
        material = self._material
        said = said_by(self._votes[:, group], material.n_classes, material.class_sets)
        said[material.human != ABSTAIN] = 0.0
        others = self._votes.copy()
        others[:, group] = ABSTAIN
        return others, said

    def _teacher(self, voted: NDArray[np.bool_]) -> CrossFitted | None:
        features = self._material.features
        if features is None:
            return None
        usable = voted & np.isfinite(features).all(axis=1)
        if usable.sum() < FOLDS * MIN_ROWS_PER_FOLD:
            return None
        return CrossFitted(
            features, usable.astype(np.float64), usable, folds=FOLDS, seed=self._material.seed
        )


def _compare(
    evidence: Evidence,
    candidate: Candidate,
    full: Candidate,
    said: NDArray[np.float64],
    voted: NDArray[np.bool_],
) -> None:
    for rows, parts in ((voted, evidence.voted), (~voted, evidence.silent)):
        agreement = np.full(len(said), np.nan)
        agreement[rows] = agreement_above_chance(
            candidate.posterior[rows], said[rows], candidate.is_covered[rows]
        )
        parts.append(agreement)
    evidence.kept.append(same_labels(full, candidate))


def same_labels(first: Candidate, second: Candidate) -> NDArray[np.float64]:
    """Return 1 where both give a row the same label, 0 where another, NaN where one gives none."""
    before, after = first.labels, second.labels
    both = (before != ABSTAIN) & (after != ABSTAIN)
    return np.where(both, before == after, np.nan)
