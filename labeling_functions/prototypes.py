"""LFs from examples: vote where an item looks like the positives more than like the negatives.

Try it: ``looks_like_bag = prototype("bag", positives=["00017"], negatives=["00090"])``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labeling_functions.ballot import Ballot, Problem, RowVotes, UnknownVoteError
from labeling_functions.functions import LabelingFunction
from weaklight.errors import LabelingError

__all__ = ["PrototypeFunction", "prototype"]

ROUNDING = 1e-9  # so that an example reaches at_least=1 against itself


@dataclass(frozen=True, kw_only=True)
class PrototypeFunction(LabelingFunction):
    """An LF in feature space; see ``prototype``."""

    vote: str | int
    positives: tuple[str, ...]
    negatives: tuple[str, ...] = ()
    at_least: float = 0.8
    columns: tuple[str, ...] | None = ("item_id",)

    def options(self) -> dict[str, Any]:
        """Return what its votes depend on; the order of the examples does not matter."""
        return {
            **super().options(),
            "vote": self.vote,
            "positives": sorted(set(self.positives)),
            "negatives": sorted(set(self.negatives)),
            "at_least": self.at_least,
        }

    def own_digest(self) -> str:
        """Return the digest of the options: unlike code, they say everything about it."""
        return hashlib.sha256(json.dumps(self.options(), sort_keys=True).encode()).hexdigest()

    def run(
        self,
        item_ids: Sequence[str],
        features: NDArray[np.floating] | None,
        ballot: Ballot,
        rows_at_once: int = 4096,
    ) -> RowVotes:
        """Vote on every item.

        Parameters
        ----------
        item_ids
            The n ids, among which the examples must be.
        features : (n, d) float
            In the same order; a row that is not finite or is all zero abstains.

        Notes
        -----
        O(n d (P + N)) time, O(rows_at_once d) memory. Each similarity is a sum over that row
        alone (no BLAS product, whose rounding depends on the shape), so an item gets the same
        vote whatever items come with it.
        """
        out = RowVotes.abstaining(len(item_ids))
        try:
            value = ballot.read(self.vote)
        except UnknownVoteError as unknown:
            out.fail(slice(None), Problem("unknown", str(unknown)))
            return out
        if features is None:
            text = "needs features, but none were given; run embed first"
            out.fail(slice(None), Problem("example", text))
            return out
        places = pd.Index(item_ids).get_indexer(pd.Index([*self.positives, *self.negatives]))
        examples = _unit_rows(features[np.maximum(places, 0)])
        usable = (places >= 0) & np.isfinite(examples).all(axis=1)
        if not usable.all():
            named = np.array([*self.positives, *self.negatives])[~usable]
            text = f"examples that are not among the items or lack features: {', '.join(named)}"
            out.fail(slice(None), Problem("example", text))
            return out
        n_positive = len(self.positives)
        for start in range(0, len(item_ids), rows_at_once):
            unit = _unit_rows(features[start : start + rows_at_once])
            similarity = np.stack([(unit * example).sum(axis=1) for example in examples], axis=1)
            like = similarity[:, :n_positive].max(axis=1)  # NaN compares False: abstains
            unlike = similarity[:, n_positive:].max(axis=1, initial=-np.inf)
            hits = (like >= self.at_least - ROUNDING) & (like > unlike)
            out.votes[start : start + rows_at_once][hits] = value
        return out


def prototype(
    vote: str | int,
    positives: Sequence[str],
    negatives: Sequence[str] = (),
    at_least: float = 0.8,
    name: str | None = None,
    description: str | None = None,
    author: str = "",
    tags: Sequence[str] = (),
) -> PrototypeFunction:
    """Make an LF from a handful of example items.

    It votes where the highest cosine similarity to a positive reaches ``at_least`` and exceeds
    the highest cosine similarity to every negative (1-nearest-neighbour with a reject option).
    A positive always votes for itself, so leave the examples out when you judge its accuracy.

    Parameters
    ----------
    vote
        Class, class set or id.
    positives, negatives
        Item ids; negatives are look-alikes that must not be taken for the class.
    at_least
        Lowest accepted cosine similarity, above -1 and at most 1. What is "alike" depends on the
        encoder: tune it on dev, and again when the encoder changes.
    name
        By default the name of the variable in the LF file.

    Raises
    ------
    LabelingError
        If there is no positive, an item is both, or the threshold is no cosine.
    """
    for ids in (positives, negatives):
        if isinstance(ids, str) or not all(isinstance(item_id, str) for item_id in ids):
            raise LabelingError(
                f"examples must be a list of item ids as text, but came as {ids!r:.60}; "
                'write ["00017", "00342"]'
            )
    if not positives:
        raise LabelingError("a prototype needs at least one positive example, but has none")
    if both := sorted(set(positives) & set(negatives)):
        raise LabelingError(
            f"an example is either positive or negative, but {', '.join(both)} came as both"
        )
    if not -1 < at_least <= 1:
        raise LabelingError(
            f"at_least is a cosine similarity in (-1, 1], but is {at_least}; 0.8 is usual"
        )
    n = len(positives)
    default = f"Looks like {n} example{'s' * (n > 1)} of {vote}."
    return PrototypeFunction(
        name=name or "",
        description=description or default,
        author=author,
        tags=tuple(tags),
        vote=vote,
        positives=tuple(positives),
        negatives=tuple(negatives),
        at_least=float(at_least),
    )


def _unit_rows(features: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return rows of length one; rows without a direction become NaN."""
    rows = np.asarray(features, dtype=np.float64)
    norms = np.sqrt((rows * rows).sum(axis=1, keepdims=True))
    norms[~np.isfinite(norms) | (norms == 0)] = np.nan
    with np.errstate(invalid="ignore"):
        unit: NDArray[np.float64] = rows / norms
    return unit
