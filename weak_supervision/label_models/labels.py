"""From a posterior to one label an item, ties broken by a rule that anybody can repeat.

Try it: ``hard_labels(np.array([[0.2, 0.8], [0.5, 0.5]]))``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from weaklight.contracts import ABSTAIN, TIE
from weaklight.errors import DataError

__all__ = ["TIE_RULE", "hard_labels"]

TIE_RULE = (
    "a tie goes to one of the tied classes by the SHA-1 of the item id; "
    "an item without any evidence counts as a tie between all classes"
)


def hard_labels(
    posterior: NDArray[np.floating],
    is_covered: NDArray[np.bool_] | None = None,
    *,
    keys: Sequence[object] | None = None,
) -> NDArray[np.int64]:
    """Return the likeliest class of each row; -1 where ``is_covered`` is false.

    Ties are broken by :data:`TIE_RULE`; always taking the first class would inflate it.

    Parameters
    ----------
    posterior
        (n, K) floats, rows sum to 1.
    is_covered
        (n,) bool, or None to label every row.
    keys
        n item ids, so that a label depends on its own row alone; row numbers where left out, which
        is the rule of Snorkel and WRENCH, so figures compare.

    Raises
    ------
    DataError
        If there is not one key per row.

    References
    ----------
    Snorkel 0.10, ``probs_to_preds(tie_break_policy="random")``.

    Examples
    --------
    >>> hard_labels(np.array([[0.2, 0.8], [0.5, 0.5]])).tolist()
    [1, 1]
    """
    if keys is not None and len(keys) != len(posterior):
        raise DataError(
            f"expected one key per row, but came {len(keys)} keys for {len(posterior)} rows; "
            "pass the item ids of the same rows"
        )
    tied = posterior >= posterior.max(axis=1, keepdims=True, initial=0.0) - TIE  # (n, K)
    labels: NDArray[np.int64] = tied.argmax(axis=1).astype(np.int64)
    is_open = tied.sum(axis=1) > 1
    if is_covered is not None:
        is_open &= is_covered
        labels[~is_covered] = ABSTAIN
    rows = np.flatnonzero(is_open)
    names = rows.tolist() if keys is None else [keys[row] for row in rows.tolist()]
    n_tied = tied[rows].sum(axis=1).tolist()
    draws = [_digest(str(name)) % count for name, count in zip(names, n_tied, strict=True)]
    is_drawn = tied[rows].cumsum(axis=1) > np.array(draws, dtype=np.int64)[:, None]
    labels[rows] = is_drawn.argmax(axis=1)
    return labels


@lru_cache(maxsize=1 << 16)  # the automatic choice asks for the same rows dozens of times
def _digest(text: str) -> int:
    return int.from_bytes(hashlib.sha1(text.encode(), usedforsecurity=False).digest(), "big")
