"""Dealing rows out into folds: the one draw behind every out-of-fold number.

Try it: ``python -c "from weak_supervision.folds import *; print(deal_folds([0, 0, 1, 1]))"``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from weaklight.seeds import numpy_generator

__all__ = ["deal_folds"]


def deal_folds(strata: ArrayLike, *, folds: int = 5, seed: int = 0) -> NDArray[np.int64]:
    """Return a fold in 0..folds-1 for each row, every stratum dealt out evenly.

    Parameters
    ----------
    strata
        (n,) integers, for instance class ids.
    folds, seed
        How many folds; the draw depends on these and the strata alone.

    Examples
    --------
    >>> sorted(deal_folds([7, 7, 7, 8], folds=2).tolist())
    [0, 0, 1, 1]
    """
    stratum = np.asarray(strata)
    order = numpy_generator(seed, "folds").permutation(len(stratum))
    order = order[np.argsort(stratum[order], kind="stable")]
    fold = np.empty(len(stratum), dtype=np.int64)
    fold[order] = np.arange(len(stratum)) % folds
    return fold
