"""LFs in the space of learned features: look-alikes of examples, and descriptions of classes.

Try it: ``looks_like_bag = prototype("bag", positives=["00017"], negatives=["00090"])``.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labeling_functions.ballot import Ballot, Problem, RowVotes, UnknownVoteError
from labeling_functions.soft import LIKELY, given_in_columns, soften
from labeling_functions.templates.base import Template, listing
from weaklight.contracts import ABSTAIN

__all__ = ["EncodeText", "FeatureTemplate", "Prototype", "ZeroShot"]

ROUNDING = 1e-9  # so that an example reaches at_least=1 against itself
SHARPNESS = 20.0  # of a softmax over cosines, as sentence encoders are trained with

EncodeText = Callable[[Sequence[str]], NDArray[np.floating]]


@dataclass(frozen=True, kw_only=True)
class FeatureTemplate(Template):
    """A template that looks at all items' features together."""

    def read_columns(self) -> tuple[str, ...]:
        """Return the one column that names the items."""
        return ("item_id",)

    def check_similarity(self, at_least: float) -> None:
        """Refuse a limit that no cosine, or every one, reaches."""
        if not -1 < at_least <= 1:
            usual = type(self).at_least  # type: ignore[attr-defined]
            why = f"must be a cosine similarity in (-1, 1], but is {at_least:g}; {usual:g} is usual"
            self.refuse("at_least", why)

    def run(
        self,
        item_ids: Sequence[str],
        features: NDArray[np.floating] | None,
        ballot: Ballot,
        *,
        encode_text: EncodeText | None = None,
        rows_at_once: int = 4096,
    ) -> RowVotes:
        """Vote on every item.

        Parameters
        ----------
        item_ids
            The n ids.
        features : (n, d) float
            In the same order; a row that is not finite or is all zero abstains.
        encode_text
            Maps k texts to (k, d) float in the space of the features.

        Notes
        -----
        O(n d k) time for k examples or descriptions, O(rows_at_once d) memory. Each similarity is
        a sum over that row alone (no BLAS product, whose rounding depends on the shape), so an
        item gets the same vote whatever items come with it.
        """
        out = RowVotes.abstaining(len(item_ids), len(ballot.classes) if self.is_soft else None)
        try:
            if features is None:
                raise _LackingError("needs features, but none were given; run embed first")
            examples = _unit_rows(self.anchors(item_ids, features, encode_text))
            for start in range(0, len(item_ids), rows_at_once):
                rows = slice(start, start + rows_at_once)
                unit = _unit_rows(features[rows])
                similarity = np.stack([(unit * e).sum(axis=1) for e in examples], axis=1)
                out.votes[rows] = self.judge(similarity, ballot)
                if out.soft is not None:
                    out.soft[rows] = self.soften(similarity, ballot)
        except UnknownVoteError as unknown:
            out.fail(slice(None), Problem("unknown", str(unknown)))
        except _LackingError as lacking:
            out.fail(slice(None), Problem("example", str(lacking)))
        return out

    @abstractmethod
    def anchors(
        self,
        item_ids: Sequence[str],
        features: NDArray[np.floating],
        encode_text: EncodeText | None,
    ) -> NDArray[np.floating]:
        """Return the (k, d) vectors to which items are compared."""

    @abstractmethod
    def judge(self, similarity: NDArray[np.float64], ballot: Ballot) -> NDArray[np.int16]:
        """Return votes from (n, k) cosine similarities; NaN where an item has no features."""

    @abstractmethod
    def soften(self, similarity: NDArray[np.float64], ballot: Ballot) -> NDArray[np.float64]:
        """Return probabilities (n, K) from the same similarities; NaN where it says nothing."""


@dataclass(frozen=True)
class Prototype(FeatureTemplate):
    """Vote where an item looks like some examples and less like the counterexamples.

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
    soft
        Say besides how clearly an item that gets the vote lies within the limits: 0.5 on them,
        nearly 1 far inside.
    """

    kind: ClassVar[str] = "prototype"

    vote: str | int
    positives: tuple[str, ...]
    negatives: tuple[str, ...] = ()
    at_least: float = 0.8
    _: KW_ONLY
    soft: bool = False

    def check(self) -> None:
        """Refuse a prototype without positives, an item that is both, an impossible cosine."""
        if not self.positives:
            self.refuse("positives", "must hold at least one item id, but is empty")
        if both := sorted(set(self.positives) & set(self.negatives)):
            self.refuse("negatives", f"must hold no positive, but {', '.join(both)} came as both")
        self.check_similarity(self.at_least)

    def sentence(self) -> str:
        """Say it in words."""
        n = len(self.positives)
        return f"Looks like {n} example{'s' * (n > 1)} of {self.vote}."

    def options(self) -> dict[str, Any]:
        """Return what its votes depend on; the order of the examples does not matter."""
        examples = {
            "positives": sorted(set(self.positives)),
            "negatives": sorted(set(self.negatives)),
        }
        return {**super().options(), **examples}

    def anchors(
        self,
        item_ids: Sequence[str],
        features: NDArray[np.floating],
        encode_text: EncodeText | None,
    ) -> NDArray[np.floating]:
        """Return the features of the examples, positives first."""
        named = [*self.positives, *self.negatives]
        places = pd.Index(item_ids).get_indexer(pd.Index(named))
        examples = np.asarray(features[np.maximum(places, 0)])
        usable = (places >= 0) & np.isfinite(_unit_rows(examples)).all(axis=1)
        if not usable.all():
            lost = [
                item_id for item_id, is_usable in zip(named, usable, strict=True) if not is_usable
            ]
            text = f"examples that are not among the items or lack features: {', '.join(lost)}"
            raise _LackingError(text)
        return examples

    def judge(self, similarity: NDArray[np.float64], ballot: Ballot) -> NDArray[np.int16]:
        """Vote for the class where the best positive is near and no negative is nearer."""
        n_positive = len(self.positives)
        like = similarity[:, :n_positive].max(axis=1)  # NaN compares False: abstains
        unlike = similarity[:, n_positive:].max(axis=1, initial=-np.inf)
        hits = (like >= self.at_least - ROUNDING) & (like > unlike)
        return np.where(hits, ballot.read(self.vote), ballot.read(None)).astype(np.int16)

    def soften(self, similarity: NDArray[np.float64], ballot: Ballot) -> NDArray[np.float64]:
        """Return the logistic of how far an item lies within the limits, where it gets the vote."""
        n_positive = len(self.positives)
        like = similarity[:, :n_positive].max(axis=1)
        limit = similarity[:, n_positive:].max(axis=1, initial=self.at_least)
        likely = 1.0 / (1.0 + np.exp(-SHARPNESS * (like - limit)))
        likely[self.judge(similarity, ballot) == ABSTAIN] = np.nan
        given = given_in_columns(likely, self.vote, ballot)
        return np.asarray(soften(given, ballot, LIKELY).soft)


@dataclass(frozen=True)
class ZeroShot(FeatureTemplate):
    """Vote for the class whose description is most similar to the item's text.

    Parameters
    ----------
    descriptions
        Class name to a sentence, such as "an advertisement that promises a prize".
    at_least
        Lowest accepted cosine similarity. What is similar depends on the text encoder.
    margin
        By how much the best class must beat the second; unclear items abstain.
    soft
        Say besides how the similarities of an item compare; classes without a description get 0.

    Notes
    -----
    Needs features of a text encoder, and that encoder for the descriptions.
    """

    kind: ClassVar[str] = "zero_shot"

    descriptions: Mapping[str, str]
    _: KW_ONLY
    at_least: float = 0.2
    margin: float = 0.05
    soft: bool = False

    def check(self) -> None:
        """Refuse one class, which would win every time, and impossible limits."""
        if len(self.descriptions) < 2:
            self.refuse("descriptions", "must describe two classes or more, to choose between them")
        self.check_similarity(self.at_least)
        if self.margin < 0:
            self.refuse("margin", f"must not be negative, but is {self.margin:g}")

    def sentence(self) -> str:
        """Say it in words."""
        return f"Votes {listing(list(self.descriptions))}, whichever description is nearest."

    def anchors(
        self,
        item_ids: Sequence[str],
        features: NDArray[np.floating],
        encode_text: EncodeText | None,
    ) -> NDArray[np.floating]:
        """Return the vectors of the descriptions."""
        if encode_text is None:
            raise _LackingError(
                "needs the text encoder that made the features, but none was given; "
                "embed the items with a text encoder"
            )
        vectors = np.asarray(encode_text(list(self.descriptions.values())))
        if vectors.shape[1:] != features.shape[1:]:
            raise _LackingError(
                f"needs features of the text encoder ({vectors.shape[1]} numbers an item), "
                f"but they hold {features.shape[1]}; embed the items with that encoder"
            )
        return vectors

    def judge(self, similarity: NDArray[np.float64], ballot: Ballot) -> NDArray[np.int16]:
        """Vote for the nearest description where it is near enough and clearly the nearest."""
        values = np.array([ballot.read(name) for name in self.descriptions], np.int16)
        second, best = np.sort(similarity, axis=1)[:, -2:].T
        is_clear = (best >= self.at_least - ROUNDING) & (best - second >= self.margin)
        votes = values[np.nan_to_num(similarity, nan=-np.inf).argmax(axis=1)]
        return np.where(is_clear, votes, ballot.read(None)).astype(np.int16)

    def soften(self, similarity: NDArray[np.float64], ballot: Ballot) -> NDArray[np.float64]:
        """Return the softmax of the similarities."""
        weights = np.exp(SHARPNESS * (similarity - similarity.max(axis=1, keepdims=True)))
        shares = np.zeros((len(similarity), len(ballot.classes)))
        described = [ballot.read(name) for name in self.descriptions]
        shares[:, described] = weights / weights.sum(axis=1, keepdims=True)
        shares[np.isnan(similarity).any(axis=1)] = np.nan
        return shares


class _LackingError(Exception):
    """What the template compares with is not there."""


def _unit_rows(features: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return rows of length one; rows without a direction become NaN."""
    rows = np.asarray(features, dtype=np.float64)
    norms = np.sqrt((rows * rows).sum(axis=1, keepdims=True))
    norms[~np.isfinite(norms) | (norms == 0)] = np.nan
    with np.errstate(invalid="ignore"):
        unit: NDArray[np.float64] = rows / norms
    return unit
