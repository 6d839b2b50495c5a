"""Accuracies in closed form from triplets of LFs, for any number of classes.

Try it: ``Triplets().fit(votes, n_classes=3).accuracies_``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

from weak_supervision.label_models.ballots import Ballots
from weak_supervision.label_models.base import (
    BaseLabelModel,
    NotLearnableError,
    log,
    naive_bayes,
)

__all__ = ["Triplets"]

MIN_LFS = 3
MAX_TOKENS = 4000  # a dozen float64 matrices of the square are held
NOTHING = 1e-12


class Triplets(BaseLabelModel):
    """Learns what every vote is worth from how LFs vary together, without iterating.

    FlyingSquid's idea, derived anew so that any number of classes, class sets and LFs that only
    ever say one thing fit one set of equations, and nothing is divided by zero.

    Parameters
    ----------
    shrinkage
        How many votes beside others' votes a token needs to count as much as its LF, and an LF as
        much as the typical LF. On planted votes 5 to 50 do alike, none loses up to 15 points where
        LFs vote a few times a class.

    Notes
    -----
    Say a token t = (LF, value) is said of an item with probability r_t if the item's class is none
    of the classes S_t that the value names, and r_t + l_t if it is one of them. If LFs err
    independently given the class, tokens t, u of different LFs have the covariance

        C_tu = l_t l_u s_tu,    s_tu = P(S_t and S_u) - P(S_t) P(S_u),

    where s follows from the class balance. Write l_t = q_t P(t) / P(S_t): the *strength* q_t is 1
    for a token that is never wrong, 0 for one that says nothing, negative for one that misleads.
    Scaled to unit variance, so that noise is alike everywhere, this reads R_tu = q_t q_u a_tu with
    known R and a. A third LF's token w gives the ratio of two strengths,

        q_t / q_u = (R_tw a_uw) / (R_uw a_tw),

    and R_tu then both of them: q_t^2 = (q_t / q_u) R_tu / a_tu. The ratio is the least squares fit
    over all w, so a covariance of zero is divided by nothing. q_t^2 is the median over all u,
    weighted by what their covariances tell, so that a few LFs that copy one another do not carry
    it. Signs are those of the leading eigenvector, turned so that most LFs beat chance.

    The same equations hold for LFs instead of tokens, if all tokens of an LF are equally strong;
    tokens are drawn towards their LF and LFs towards the mean, by ``shrinkage``.

    Time O(n m + T^3), memory O(v + T^2) for T tokens that occur and v votes in distinct rows.
    Assumes besides that a token is as likely under every class that it does not name, and a class
    balance (uniform unless told otherwise). Silence says nothing when predicting.

    References
    ----------
    Fu, Chen, Sala, Hooper, Fatahalian and Re 2020, "Fast and three-rious: speeding up weak
    supervision with triplet methods", arXiv:2002.11955, algorithm 1 (two classes, accuracies).
    """

    name = "triplets"

    def __init__(self, *, shrinkage: float = 20.0) -> None:
        self.shrinkage = shrinkage

    def _learn(self, ballots: Ballots) -> None:
        n_classes = len(self.class_prior_)
        n_items = ballots.counts.sum()
        tokens = ballots.tokens()
        names = np.tile(ballots.meanings > 0, (ballots.n_lfs, 1))  # (m * V, K)
        heard = np.flatnonzero((tokens.T @ ballots.counts > 0) & ~names.all(axis=1))
        lf = heard // len(ballots.meanings)
        if (n_voting := len(np.unique(lf))) < MIN_LFS:
            raise NotLearnableError(f"triplets need {MIN_LFS} LFs that vote but found {n_voting}")
        if len(heard) > MAX_TOKENS:
            raise NotLearnableError(
                f"{len(heard)} different votes are too many for triplets (up to {MAX_TOKENS})"
            )
        tokens = tokens[:, heard]
        rate = tokens.T @ ballots.counts / n_items  # P(t)
        named = names[heard] @ self.class_prior_  # P(S_t)
        strength = self._strengths(ballots, tokens, lf, rate, names[heard].astype(np.float64))

        lift = strength * rate / np.maximum(named, NOTHING)  # l_t
        at_least = 0.5 / n_items  # half an item: what was never seen may still happen
        outside = np.maximum(rate - lift * named, at_least)  # r_t
        inside = np.maximum(outside + lift, at_least)
        self._log_theta = np.zeros((len(names), n_classes))
        self._log_theta[heard] = np.where(names[heard], log(inside)[:, None], log(outside)[:, None])

    def _posterior(self, ballots: Ballots) -> NDArray[np.float64]:
        return naive_bayes(ballots, self._log_theta, self.class_prior_)

    def _strengths(
        self,
        ballots: Ballots,
        tokens: sparse.csr_matrix,
        lf: NDArray[np.intp],
        rate: NDArray[np.float64],
        names: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return q (T,) of the tokens (d, T), which name the classes ``names`` (T, K)."""
        weighed = sparse.diags_array(ballots.counts) @ tokens
        second = (tokens.T @ weighed).toarray() / ballots.counts.sum()
        covariance = second - np.outer(rate, rate)
        named = names @ self.class_prior_
        s = (names * self.class_prior_) @ names.T - np.outer(named, named)
        scale = 1 / np.sqrt(np.maximum(np.diag(covariance), NOTHING))
        top = rate / np.maximum(named, NOTHING) * scale
        of_others = lf[:, None] != lf
        R = covariance * np.outer(scale, scale) * of_others  # (T, T)
        a = s * np.outer(top, top) * of_others

        # tokens of an LF pooled by least squares: sum R a = q_j q_k sum a^2 over its tokens
        of_lf = np.unique(lf, return_inverse=True)[1]
        pool = sparse.csr_matrix((np.ones(len(lf)), (np.arange(len(lf)), of_lf)))  # (T, LFs)
        a_lf = np.sqrt(pool.T @ (a * a) @ pool)
        R_lf = (pool.T @ (R * a) @ pool) / np.maximum(a_lf, NOTHING)

        is_beside = ballots.said().sum(axis=1) > 1  # some other LF votes too
        beside = tokens.T @ (ballots.counts * is_beside)  # (T,)
        beside_lf = pool.T @ beside
        q_lf = _solve(R_lf, a_lf)
        typical = (beside_lf @ q_lf) / max(beside_lf.sum(), NOTHING)
        q_lf = (beside_lf * q_lf + self.shrinkage * typical) / (beside_lf + self.shrinkage)
        strength: NDArray[np.float64] = (beside * _solve(R, a) + self.shrinkage * q_lf[of_lf]) / (
            beside + self.shrinkage
        )
        return strength


def _solve(R: NDArray[np.float64], a: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return q (T,), -1 to 1, such that R_tu = q_t q_u a_tu; a (T, T) is 0 where R says nothing."""
    known = np.abs(a) > NOTHING
    safe_a = np.where(known, a, 1.0)
    agreement = R * a
    evidence = (a * a) @ (R * R)  # (T, T): sum over w of a_tw^2 R_uw^2
    ratio = (agreement @ agreement) / np.maximum(evidence, NOTHING)  # q_t / q_u
    square = np.where(known, ratio * R / safe_a, 0.0)  # q_t^2 by way of u
    weight = np.where(known, a * a * evidence, 0.0)
    order = square.argsort(axis=1)
    reached = np.take_along_axis(weight, order, axis=1).cumsum(axis=1)
    middle = (reached >= reached[:, -1:] / 2).argmax(axis=1)
    median = square[np.arange(len(square)), order[np.arange(len(order)), middle]]

    last = len(R) - 1
    leading = linalg.eigh(agreement, subset_by_index=[last, last])[1][:, 0]
    leading = leading if leading.sum() >= 0 else -leading
    sign = np.where(leading < 0, -1.0, 1.0)
    strength: NDArray[np.float64] = np.minimum(np.sqrt(np.maximum(median, 0.0)), 1.0) * sign
    return strength
