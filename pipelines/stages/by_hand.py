"""Which labels that train were given by people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["given_by_hand"]


def given_by_hand(weak_labels: Path, weights: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return (n,) which items train with a label that a person gave.

    Parameters
    ----------
    weak_labels
        What `aggregate` wrote; its ``source`` says who gave each of the n labels.
    weights
        (n,) floats, what each label counts for in training; 0 leaves it out.
    """
    source = pd.read_parquet(weak_labels, columns=["source"])["source"]
    return (source == "human").to_numpy(bool) & (weights > 0)
