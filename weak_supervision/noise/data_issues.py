"""Near-duplicates, outliers and drift in the order of the items, seen in the neighbor graph.

Try it: ``find_data_issues(build_graph(features)).table``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from weak_supervision.neighbors import NeighborGraph

__all__ = ["DataIssues", "find_data_issues"]

KINDS = ("near_duplicate", "outlier")
MIN_ITEMS = 50  # fewer give no picture of what is usual


@dataclass(frozen=True)
class DataIssues:
    """What is odd about items, whatever their labels.

    Attributes
    ----------
    table
        Columns ``row`` int, ``kind`` (``near_duplicate`` or ``outlier``) and ``score`` float in
        0..1, low = worse; worst first within a kind.
    non_iid_p
        p-value of the items' order having nothing to do with where they lie (Datalab's non-iid
        check): small where the data drifts or is sorted. None where there are too few items.
    """

    table: pd.DataFrame
    non_iid_p: float | None


def find_data_issues(graph: NeighborGraph, *, seed: int = 0) -> DataIssues:
    """Run cleanlab's Datalab checks on our own neighbor graph.

    Parameters
    ----------
    graph
        Neighbors by cosine similarity; items without neighbors are left out.
    seed
        The non-iid check permutes at random.

    Notes
    -----
    Time O(n k). A near-duplicate lies closer to its nearest neighbor than 0.13 of the median such
    distance, an outlier far from all its neighbors: Datalab's defaults.

    References
    ----------
    cleanlab 2.9, Datalab; Cummings et al. 2023, "Detecting dataset drift and non-IID sampling via
    k-nearest neighbors", arXiv:2305.15696.
    """
    empty = pd.DataFrame({"row": [], "kind": [], "score": []}).astype(
        {"row": "int64", "kind": object, "score": "float64"}
    )
    rows = np.flatnonzero(np.diff(graph.indptr) > 0)
    if len(rows) < MIN_ITEMS:
        return DataIssues(empty, None)
    from cleanlab import Datalab

    lab = Datalab(data={"item": np.arange(len(rows))}, verbosity=0)
    checks: dict[str, dict[str, int]] = {kind: {} for kind in KINDS}
    checks["non_iid"] = {"seed": seed}
    lab.find_issues(knn_graph=_distances(graph, rows), issue_types=checks)
    parts = []
    for kind in KINDS:
        found = lab.get_issues(kind)
        flagged = np.flatnonzero(found[f"is_{kind}_issue"])
        score = found[f"{kind}_score"].to_numpy(np.float64)[flagged]
        part = pd.DataFrame({"row": rows[flagged], "kind": kind, "score": score})
        parts.append(part.sort_values(["score", "row"], kind="stable"))
    table = pd.concat([empty, *(p for p in parts if len(p))], ignore_index=True)
    return DataIssues(table, float(lab.get_info("non_iid")["p-value"]))


def _distances(graph: NeighborGraph, rows: np.ndarray) -> sparse.csr_matrix:
    """Return cosine distances among ``rows``, nearest first in each row, as Datalab wants them."""
    position = np.full(graph.n_items, -1)
    position[rows] = np.arange(len(rows))
    # rounding makes the distance of equal rows tiny or negative; a stored zero stays an edge
    distance = np.maximum(1.0 - graph.data.astype(np.float64), 0.0)
    indptr = np.concatenate([[0], np.cumsum(np.diff(graph.indptr)[rows])])
    return sparse.csr_matrix(
        (distance, position[graph.indices], indptr), shape=(len(rows), len(rows))
    )
