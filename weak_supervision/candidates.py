"""Every label model, with and without spreading, and how each fares when LFs are left out.

Try it: ``Material(n_classes=3, human=np.full(n, -1)).candidates(votes)["snorkel"].labels``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weak_supervision.evidence import agreement_above_chance
from weak_supervision.label_models import MODELS, covered, hard_labels
from weak_supervision.neighbors import ALPHA, NeighborGraph, reached, spread
from weak_supervision.noise.find import out_of_fold_proba
from weaklight.contracts import ABSTAIN, ClassSet, Votes, expand_votes

__all__ = ["WITH_FEATURES", "Candidate", "Material", "Trial"]

WITH_FEATURES = "+features"
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
        What the label model had to leave out.
    """

    posterior: NDArray[np.float32]
    is_covered: NDArray[np.bool_]
    note: str

    @property
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
        and never move while labels spread.
    graph
        Neighbors of the n items; without it nothing is spread.
    """

    n_classes: int
    human: NDArray[np.integer]
    class_sets: tuple[ClassSet, ...] = ()
    graph: NeighborGraph | None = None

    def candidates(self, votes: Votes) -> dict[str, Candidate]:
        """Return every candidate by name, ``"majority_vote"`` first."""
        found = {}
        is_human = self.human != ABSTAIN
        known = covered(votes) | is_human
        for name, model_class in MODELS.items():
            model = model_class().fit(votes, n_classes=self.n_classes, class_sets=self.class_sets)
            posterior = model.predict_proba(votes)
            posterior[is_human] = np.eye(self.n_classes, dtype=np.float32)[self.human[is_human]]
            found[name] = Candidate(posterior, known, model.note_)
            if self.graph is not None:
                clamp = np.where(is_human, 1.0, 1.0 - ALPHA)
                found[name + WITH_FEATURES] = Candidate(
                    spread(posterior, known, self.graph, clamp=clamp),
                    reached(known, self.graph),
                    model.note_,
                )
        return found


class Trial:
    """Collects, group by group, how candidates fare without some of the LFs.

    Attributes
    ----------
    direct, taught, kept
        Name to one (n,) array a group: agreement of the labels, agreement of a classifier taught
        by them (label models only, where features allow), and which labels stay as they were.
    """

    def __init__(
        self, found: dict[str, Candidate], features: NDArray[np.floating] | None, seed: int
    ) -> None:
        self._full = {name: candidate.labels for name, candidate in found.items()}
        self._features = features
        self._seed = seed
        self.direct: dict[str, list[NDArray[np.float64]]] = {name: [] for name in found}
        self.kept: dict[str, list[NDArray[np.float64]]] = {name: [] for name in found}
        self.taught: dict[str, list[NDArray[np.float64]]] = {
            name: [] for name in found if not name.endswith(WITH_FEATURES)
        }

    def leave_out(self, group: NDArray[np.intp], votes: Votes, material: Material) -> None:
        """Fit all candidates without the LFs of ``group`` and compare with what those say."""
        voice = np.vstack(
            [
                expand_votes(material.n_classes, material.class_sets),
                np.zeros(material.n_classes),  # last, for ABSTAIN = -1
            ]
        )
        said = voice[votes[:, group]].sum(axis=1)  # (n, K)
        said /= np.maximum(said.sum(axis=1, keepdims=True), 1e-12)
        said[material.human != ABSTAIN] = 0.0
        others = votes.copy()
        others[:, group] = ABSTAIN
        for name, candidate in material.candidates(others).items():
            self.direct[name].append(
                agreement_above_chance(candidate.posterior, said, candidate.is_covered)
            )
            before, after = self._full[name], candidate.labels
            both = (before != ABSTAIN) & (after != ABSTAIN)
            self.kept[name].append(np.where(both, before == after, np.nan))
            if name in self.taught and self._features is not None:
                self._teach(name, candidate, self._features, said)

    def _teach(
        self,
        name: str,
        candidate: Candidate,
        features: NDArray[np.floating],
        said: NDArray[np.float64],
    ) -> None:
        usable = candidate.is_covered & np.isfinite(features).all(axis=1)
        if usable.sum() < FOLDS * MIN_ROWS_PER_FOLD:
            return
        predicted = out_of_fold_proba(
            features,
            candidate.posterior,
            usable.astype(np.float32),
            folds=FOLDS,
            seed=self._seed,
            max_iter=50,
        )
        self.taught[name].append(agreement_above_chance(predicted, said))
