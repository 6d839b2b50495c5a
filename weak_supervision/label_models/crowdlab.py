"""CROWDLAB: the LFs and a classifier on the features, each weighed by how often it is confirmed.

Try it: ``Crowdlab().fit(votes, n_classes=3, classifier=out_of_fold)``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from weak_supervision.label_models.ballots import Ballots
from weak_supervision.label_models.base import BaseLabelModel, NotLearnableError
from weaklight.contracts import ABSTAIN
from weaklight.seeds import preserve_global_rng

__all__ = ["Crowdlab"]


class Crowdlab(BaseLabelModel):
    """A weighted mean of what the LFs say and of a classifier's out-of-fold probabilities.

    A classifier that was taught by these very rows would only repeat the votes. Class sets and gold
    are left out, and a class balance counts nowhere, as the classifier knows it. Uncovered rows get
    the classifier's word.

    Attributes
    ----------
    model_weight_
        float, of the classifier; ``lf_weights_`` (m,), NaN for an LF that never votes.

    Notes
    -----
    Time O(n m K) and memory O(n m) through cleanlab, which wants every item. Rank by the
    posterior, never print it as a probability: it is not calibrated (measured: 0.46 where 0.88
    are right).

    References
    ----------
    Goh, Tkachenko and Mueller 2022, "CROWDLAB: supervised learning to infer consensus labels and
    quality scores for data with multiple annotators", arXiv:2210.06812, eqs. 2-7, through
    cleanlab.
    """

    name = "crowdlab"
    uses_class_sets = False
    needs_classifier = True

    def _learn(self, ballots: Ballots) -> None:
        assert ballots.classifier is not None
        is_voted = (ballots.rows != ABSTAIN).any(axis=1)
        self._lfs = np.flatnonzero((ballots.rows != ABSTAIN).any(axis=0))
        votes = ballots.rows[is_voted][:, self._lfs].astype(np.float64)
        if ((votes != ABSTAIN).sum(axis=1) < 2).all():
            raise NotLearnableError("crowdlab needs rows where two LFs vote but found none")
        votes[votes == ABSTAIN] = np.nan
        with preserve_global_rng():
            from cleanlab.multiannotator import get_label_quality_multiannotator

            try:
                found = get_label_quality_multiannotator(
                    votes,
                    ballots.classifier[is_voted],
                    return_detailed_quality=False,
                    return_annotator_stats=False,
                    return_weights=True,
                    verbose=False,
                )
            except ValueError as error:  # a handful of rows can leave nothing to compare
                raise NotLearnableError(f"cleanlab gave up: {error}") from error
        quality = found["label_quality"]
        self.model_weight_ = float(found["model_weight"])
        self.lf_weights_ = np.full(ballots.rows.shape[1], np.nan)
        self.lf_weights_[self._lfs] = found["annotator_weight"]
        several = quality["num_annotations"] > 1
        self._confirmed = float(quality.loc[several, "annotator_agreement"].mean())

    def _posterior(self, ballots: Ballots) -> NDArray[np.float64]:
        n_classes = len(self.class_prior_)
        otherwise = (1 - self._confirmed) / (n_classes - 1)
        assert ballots.classifier is not None
        weighed = self.model_weight_ * ballots.classifier  # (d, K)
        for lf in self._lfs:
            says = ballots.rows[:, lf] != ABSTAIN
            weighed[says] += self.lf_weights_[lf] * otherwise
            weighed[says, ballots.rows[says, lf]] += self.lf_weights_[lf] * (
                self._confirmed - otherwise
            )
        posterior: NDArray[np.float64] = weighed / weighed.sum(axis=1, keepdims=True)
        return posterior
