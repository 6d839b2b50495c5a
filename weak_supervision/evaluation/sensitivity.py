"""How far a result hangs on one labelling function, on the assumed class balance, on the seed.

A headline number comes from one way to do it. The same work is done again with one thing changed,
and the range of what comes out is shown beside it.

Try it::

    from weak_supervision.evaluation import leave_one_out
    found = leave_one_out(votes, names, label=lambda v: hard_labels(model.fit(v).predict_proba(v)))
    print(found.most_influential)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from weak_supervision.evaluation.accuracy import accuracy
from weaklight.contracts import ABSTAIN
from weaklight.errors import DataError

__all__ = ["Sensitivity", "leave_one_out", "sensitivity", "shifted_balance"]

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Sensitivity:
    """What the same work gives with one thing changed.

    Attributes
    ----------
    variants : what was changed, one name each
    flipped : share of items whose label is another than before, one number a variant
    accuracy : accuracy on gold with nothing changed; None where no gold was given
    accuracies : the same of each variant, one number a variant
    """

    variants: tuple[str, ...]
    flipped: tuple[float, ...]
    accuracy: float | None
    accuracies: tuple[float, ...]

    @property
    def span(self) -> tuple[float, float] | None:
        """Lowest and highest accuracy, changed or not; None without gold."""
        if self.accuracy is None:
            return None
        every = (self.accuracy, *self.accuracies)
        return min(every), max(every)

    @property
    def most_influential(self) -> str | None:
        """The variant that changes the most labels; the first one of a tie."""
        return self.variants[int(np.argmax(self.flipped))] if self.variants else None


def sensitivity(
    labels: Labels,
    variants: Mapping[str, Labels],
    gold: Labels | None = None,
    probability: ArrayLike | None = None,
) -> Sensitivity:
    """Compare labels with those of each variant.

    Parameters
    ----------
    labels
        (n,) class ids as they are, -1 without a label.
    variants
        (n,) class ids of each variant, by what was changed.
    gold
        (n,) class ids, -1 where unknown; None to speak of flips alone.
    probability
        (n,) chance of each row with gold to be drawn, see :func:`share`; None where all were drawn
        alike. Flips speak of these n items and are not weighted.

    Raises
    ------
    DataError
        If a variant has other rows than the labels.
    """
    for name, changed in variants.items():
        if changed.shape != labels.shape:
            raise DataError(
                f"the variant {name!r} must label the same {len(labels)} items, but came with "
                f"shape {changed.shape}"
            )
    flips = tuple(float((changed != labels).mean()) for changed in variants.values())
    if gold is None or not (gold >= 0).any():
        return Sensitivity(tuple(variants), flips, None, ())
    judged = [
        float(accuracy(c, gold, probability).value or 0.0) for c in (labels, *variants.values())
    ]
    return Sensitivity(tuple(variants), flips, judged[0], tuple(judged[1:]))


def leave_one_out(
    votes: NDArray[np.int16],
    names: Sequence[str],
    label: Callable[[NDArray[np.int16]], Labels],
    gold: Labels | None = None,
    probability: ArrayLike | None = None,
) -> Sensitivity:
    """Leave out each LF in turn and label again.

    Parameters
    ----------
    votes
        (n, m) votes.
    names
        The m LFs' names.
    label
        From votes (n, m) to labels (n,); it is called once more for the full matrix.
    gold, probability
        As in :func:`sensitivity`.

    Notes
    -----
    Time: m + 1 calls of ``label``. The LF's column is silenced rather than cut out, so the others
    keep their places.
    """

    def without(column: int) -> NDArray[np.int16]:
        silenced = votes.copy()
        silenced[:, column] = ABSTAIN
        return silenced

    variants = {name: label(without(j)) for j, name in enumerate(names)}
    return sensitivity(label(votes), variants, gold, probability)


def shifted_balance(
    posterior: NDArray[np.floating], *, by: float = 0.2
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yield the posterior under each class being more or less common than assumed.

    Parameters
    ----------
    posterior
        (n, K) floats, rows sum to 1.
    by
        Each class's prior times 1 + ``by`` and times 1 - ``by``, the others unchanged.

    Yields
    ------
    ``"class 0 +20%"`` and so on with (n, K) float64, rows sum to 1: by Bayes' rule a prior enters
    as a factor, so a new one is a reweighting (Saerens et al. 2002, eq. 2.4). One at a time, as all
    2 K take 2 K times the memory.
    """
    p = np.asarray(posterior, dtype=np.float64)
    for k in range(p.shape[1]):
        for change in (by, -by):
            q = p.copy()
            q[:, k] *= 1 + change
            q /= q.sum(axis=1, keepdims=True)
            yield f"class {k} {change:+.0%}", q
