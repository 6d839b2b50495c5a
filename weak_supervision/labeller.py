"""Labels new items by what was chosen on the old ones, as far as the new votes deserve it.

Try it: ``Labeller(choice).fit(votes, features, n_classes=3).predict_proba(new_votes, new)``.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray

from weak_supervision.candidates import FILLED, JOINT, SPREAD
from weak_supervision.choice import Choice
from weak_supervision.classifiers.discriminant import Discriminant
from weak_supervision.evidence import LEVEL, agreement_above_chance, bootstrap_means, said_by
from weak_supervision.joint_model import JointModel
from weak_supervision.label_models import MODELS, ClassBalance, covered
from weak_supervision.neighbors import append_items, build_graph, spread
from weaklight.contracts import ABSTAIN, ClassSet, Votes, check_votes

__all__ = ["Labeller"]

KEPT = 0.5  # new votes that agree with the features half as well as before are no longer trusted


class Labeller:
    """What the tool ships for new items: their votes, their features, or both.

    New items with votes get the chosen candidate's answer, those without the answer of a
    classifier taught by its labels. Where the choice uses the features and
    the new items' votes agree with them far less than the old items' did, the votes are not
    what they were (LFs run on other columns, rows out of order, another source), and the features
    alone answer.

    Parameters
    ----------
    choice
        Made from the votes and features that ``fit`` gets.
    seed
        The one the choice was made with.

    Attributes
    ----------
    classifier_
        `Discriminant` taught by the chosen labels; None without features.
    note_
        What ``predict_proba`` had to say about the last new items' votes.
    """

    note_: str

    def __init__(self, choice: Choice, *, seed: int = 0) -> None:
        self.choice = choice
        self.seed = seed

    def fit(
        self,
        votes: NDArray[np.generic],
        features: NDArray[np.floating] | None,
        *,
        n_classes: int,
        class_sets: tuple[ClassSet, ...] = (),
        class_balance: ClassBalance = None,
    ) -> Self:
        """Fit the chosen candidate once more, and a classifier on its labels.

        Parameters
        ----------
        votes, features
            (n, m) and (n, d) of the items that were chosen on.
        class_balance
            The one that the choice was made with.
        """
        self._n_classes, self._class_sets = n_classes, class_sets
        self._votes = check_votes(votes, n_classes, len(class_sets))
        self._features = features
        choice = self.choice
        self._model = MODELS[choice.label_model]().fit(
            self._votes, n_classes=n_classes, class_sets=class_sets, class_balance=class_balance
        )
        self.classifier_: Discriminant | None = None
        self._joint: JointModel | None = None
        self.note_ = ""
        if features is None:
            return self
        confidence = np.where(choice.is_covered, choice.posterior.max(axis=1), 0.0)
        if (confidence * np.isfinite(features).all(axis=1)).any():
            self.classifier_ = Discriminant().fit(features, choice.posterior, confidence)
        if choice.chosen == JOINT or choice.chosen.endswith(FILLED):
            self._joint = JointModel(seed=self.seed).fit(
                self._votes,
                features,
                n_classes=n_classes,
                class_sets=class_sets,
                class_balance=class_balance,
            )
        return self

    def predict_proba(
        self, votes: NDArray[np.generic], features: NDArray[np.floating] | None
    ) -> NDArray[np.float32]:
        """Return the posterior (n, K) float32 of new items.

        Parameters
        ----------
        votes, features
            (n, m) and (n, d) of the new items; features None where ``fit`` got none.
        """
        checked = check_votes(votes, self._n_classes, len(self._class_sets))
        if features is None or self.classifier_ is None:
            return self._model.predict_proba(checked)
        from_features = self.classifier_.predict_proba(features)
        self.note_ = self._doubt(checked, features)
        if self.note_:
            return from_features
        has_votes = covered(checked)[:, None]
        return np.where(has_votes, self.by_choice(checked, features), from_features)

    def by_choice(
        self, votes: NDArray[np.generic], features: NDArray[np.floating] | None
    ) -> NDArray[np.float32]:
        """Return the chosen candidate's posterior (n, K), the votes trusted as they are.

        Rows without votes hold the class balance, unless the candidate uses the features.
        """
        checked = check_votes(votes, self._n_classes, len(self._class_sets))
        if features is None:
            return self._model.predict_proba(checked)
        chosen = self.choice.chosen
        if chosen == JOINT and self._joint is not None:
            return self._joint.predict_proba(checked, features)
        by_votes = self._model.predict_proba(checked)
        if chosen.endswith(FILLED) and self._joint is not None:
            filled = self._joint.predict_from_features(features)
            return np.where(covered(checked)[:, None], by_votes, filled)
        if chosen.endswith(SPREAD) and self._features is not None:
            everyone = np.vstack([self._features, features])
            graph = append_items(build_graph(self._features), everyone)
            posterior = np.vstack([self._model.predict_proba(self._votes), by_votes])
            known = np.concatenate([covered(self._votes), covered(checked)])
            return spread(posterior, known, graph)[len(self._features) :]
        return by_votes

    def _doubt(self, votes: Votes, features: NDArray[np.floating]) -> str:
        """Return why the new votes are not trusted, empty where they are."""
        if self._joint is None:
            return ""
        before = self._agreement(self._votes, self._joint.from_features_)
        now = self._agreement(votes, self._joint.predict_from_features(features))
        if not np.isfinite(now).any() or not np.isfinite(before).any():
            return ""
        was = float(np.nanmean(before))
        high = float(np.quantile(bootstrap_means(now, seed=self.seed), LEVEL))
        if high >= KEPT * was:
            return ""
        return (
            f"The new items' votes agree with the features, above chance, on "
            f"{np.nanmean(now):.3f} (at most {high:.3f}), where the old items' did on {was:.3f}: "
            "they are not the same LFs on the same kind of item, so the features alone answer. "
            "Check that votes and items stand in the same order."
        )

    def _agreement(self, votes: Votes, proba: NDArray[np.floating]) -> NDArray[np.float64]:
        said = said_by(votes, self._n_classes, self._class_sets)
        return agreement_above_chance(proba, said, (votes != ABSTAIN).any(axis=1))
