"""What every hybrid method returns: which labels it admits, from where, when and how sure.

Try it: ``select_by_cut_statistic(labels, graph).n_admitted``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from weaklight.contracts import ABSTAIN

__all__ = ["Admitted"]


@dataclass(frozen=True)
class Admitted:
    """Labels that are trusted enough to train on.

    Attributes
    ----------
    labels
        (n,) int64 class ids, -1 where no label is admitted.
    confidence
        (n,) float32 in 0..1, 0 where no label is admitted. It ranks; it is a probability only where
        the method says so.
    round
        (n,) int64: the round that admitted the label, from 0; -1 where none did.
    source
        (n,) object: what the label rests on, such as "gold", "votes" or "student"; "" where none.
    stop_reason
        Why no more labels were admitted, one plain sentence.
    """

    labels: NDArray[np.int64]
    confidence: NDArray[np.float32]
    round: NDArray[np.int64]
    source: NDArray[np.object_]
    stop_reason: str

    @property
    def n_admitted(self) -> int:
        """How many labels are admitted."""
        return int((self.labels != ABSTAIN).sum())

    def frame(self) -> pd.DataFrame:
        """Return the columns ``label``, ``confidence``, ``round``, ``source``; one row an item."""
        return pd.DataFrame(
            {
                "label": self.labels,
                "confidence": self.confidence,
                "round": self.round,
                "source": self.source,
            }
        )


def once(
    labels: NDArray[np.integer],
    admitted: NDArray[np.bool_],
    confidence: NDArray[np.floating],
    source: str,
    stop_reason: str,
) -> Admitted:
    """Return labels that were all admitted in round 0 from one source."""
    return Admitted(
        labels=np.where(admitted, labels, ABSTAIN).astype(np.int64),
        confidence=np.where(admitted, confidence, 0.0).astype(np.float32),
        round=np.where(admitted, 0, -1).astype(np.int64),
        source=np.where(admitted, source, "").astype(object),
        stop_reason=stop_reason,
    )
