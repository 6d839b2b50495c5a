"""From evidence to gains with lower bounds: one row a candidate.

Try it: ``Judge(share_voted=0.9, n_items=100, seed=0).label_model("snorkel", evidence)``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weak_supervision.candidates import FILLED, Evidence
from weak_supervision.evidence import (
    LEVEL,
    bootstrap_means,
    mean_over_groups,
    neighbor_agreement,
)
from weak_supervision.neighbors import NeighborGraph, cut_statistic
from weaklight.seeds import derive_seed

__all__ = ["BASELINE", "Judge", "Row", "agrees", "fits_neighbors", "mean_of", "number_of", "wins"]

BASELINE = "majority_vote"

Row = dict[str, float | str | None]


@dataclass(frozen=True)
class Judge:
    """Turns evidence into one row a candidate.

    Attributes
    ----------
    share_voted
        Share of the items that any LF votes on.
    n_items, seed
        How many items were judged; seed of the bootstrap.
    """

    share_voted: float
    n_items: int
    seed: int

    def label_model(self, name: str, evidence: dict[str, Evidence]) -> Row:
        """Judge a label model by the classifier that it teaches, by its labels without features."""
        base, own = evidence[BASELINE], evidence[name]
        measure = "taught" if self.can_teach(evidence) else "voted"
        agreement, before = (self._over_groups(getattr(e, measure)) for e in (own, base))
        gain = agreement - before
        return self._row(name, BASELINE, own) | {
            "compared": mean_of(agreement),
            "compared_before": mean_of(before),
            "agreement_low": _bound(bootstrap_means(agreement, seed=self.seed)),
            "gain": mean_of(gain),
            # one bound for many challengers (Bonferroni): some would win by luck
            "gain_low": _bound(
                bootstrap_means(gain, seed=self.seed, draws=4000), max(len(evidence) - 1, 1)
            ),
            "gain_voted_low": None,
        }

    def can_teach(self, evidence: dict[str, Evidence]) -> bool:
        """Return whether a classifier taught by majority vote surely predicts left-out votes.

        Where it does not, the features know nothing that the LFs speak of and can judge nobody.
        """
        taught = self._over_groups(evidence[BASELINE].taught)
        low = _bound(bootstrap_means(taught, seed=self.seed))
        return low is not None and low > 0

    def with_features(self, name: str, model: str, evidence: dict[str, Evidence]) -> Row:
        """Judge what features make of a label model by the labels, voted and silent items apart."""
        base, own = evidence[model], evidence[name]
        own_voted, own_silent = self._over_groups(own.voted), self._over_groups(own.silent)
        voted = own_voted - self._over_groups(base.voted)
        silent = own_silent - self._over_groups(base.silent)
        if name.endswith(FILLED):
            voted = np.zeros(1)  # by construction, even where no two LFs vote on one item
        voted_means = bootstrap_means(voted, seed=derive_seed(self.seed, "voted"))
        silent_means = bootstrap_means(silent, seed=derive_seed(self.seed, "silent"))
        gain = self._mixed(np.array([mean_of(voted)], float), np.array([mean_of(silent)], float))
        agreement_means = self._mixed(
            bootstrap_means(own_voted, seed=derive_seed(self.seed, "own voted")),
            bootstrap_means(own_silent, seed=derive_seed(self.seed, "own silent")),
        )
        return self._row(name, model, own) | {
            "compared": self._agreement(own),
            "compared_before": self._agreement(base),
            "agreement_low": _bound(agreement_means),
            "gain": _finite(gain),
            "gain_low": _bound(self._mixed(voted_means, silent_means)),
            "gain_voted_low": _bound(voted_means),
        }

    def neighbors(
        self,
        labels: NDArray[np.integer],
        base: NDArray[np.integer],
        graph: NeighborGraph | None,
    ) -> Row:
        """Judge labels by those of similar items, beside the labels ``base`` of majority vote."""
        if graph is None:
            return {"neighbor_agreement": None, "cut_statistic": None, "cut_gain_high": None}
        cut = cut_statistic(labels, graph)  # the lower, the better neighbors agree
        loss = _bound(bootstrap_means(cut - cut_statistic(base, graph), seed=self.seed))
        return {
            "neighbor_agreement": neighbor_agreement(labels, graph),
            "cut_statistic": mean_of(cut),
            "cut_gain_high": None if loss is None else -loss,
        }

    def _row(self, name: str, against: str, own: Evidence) -> Row:
        return {
            "name": name,
            "agreement": self._agreement(own),
            "taught_agreement": mean_of(self._over_groups(own.taught)),
            "against": against,
            "stability": mean_of(self._over_groups(own.kept)),
        }

    def _agreement(self, evidence: Evidence) -> float | None:
        voted, silent = (
            mean_of(self._over_groups(parts)) for parts in (evidence.voted, evidence.silent)
        )
        return _finite(self._mixed(np.array([voted], float), np.array([silent], float)))

    def _mixed(
        self, voted: NDArray[np.float64], silent: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Weigh items that LFs vote on and items that none votes on as they occur."""
        total = np.zeros(len(voted))
        for share, part in ((self.share_voted, voted), (1.0 - self.share_voted, silent)):
            if share > 0:
                total = total + share * part
        return total

    def _over_groups(self, parts: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        return mean_over_groups(parts, self.n_items)


def mean_of(values: NDArray[np.float64]) -> float | None:
    """Return the mean of the finite values, None without any."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else None


def number_of(value: float | str | None) -> float:
    """Return a number of a row, minus infinity where it was not measured."""
    return float(value) if isinstance(value, int | float) else -np.inf


def agrees(row: Row) -> bool:
    """Return whether a candidate's labels surely predict left-out votes better than chance."""
    return number_of(row["agreement_low"]) > 0


def wins(row: Row) -> bool:
    """Return whether a candidate agrees and surely gains more than another seed changes labels."""
    return agrees(row) and number_of(row["gain_low"]) > 1.0 - number_of(row["seed_stability"])


def fits_neighbors(row: Row) -> bool:
    """Return whether labels may fit those of similar items as well as majority vote's do.

    Asked of label models alone: what features make of labels fits neighbors by construction.
    """
    return row["cut_gain_high"] is None or number_of(row["cut_gain_high"]) >= 0


def _bound(means: NDArray[np.float64], comparisons: int = 1) -> float | None:
    return _finite(np.quantile(means, [(1.0 - LEVEL) / comparisons]))


def _finite(value: NDArray[np.float64]) -> float | None:
    return float(value[0]) if np.isfinite(value[0]) else None
