"""The approximate neighbor graph of a million items: time, memory and what it misses.

Try it: ``python -m benchmarks.neighbors``; ``--rows 250000`` for a look. Needs faiss.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import describe, peak_mib
from weak_supervision.neighbor_search import search
from weak_supervision.neighbors import NeighborGraph, build_graph

ROWS, DIMENSIONS, NEIGHBORS = 1_000_000, 64, 15
CLUSTERS = (1_000, 50)  # some that the index's cells can follow, and wide ones that they cut
SPREAD = 0.7  # of a cluster, where cluster centres are drawn with 1
JUDGED = 1_000  # items whose true neighbors are looked up


def measure(rows: int, n_clusters: int) -> dict[str, object]:
    """Build the graph of planted clusters and compare it with the truth."""
    features = _clustered(rows, n_clusters)
    started, cpu_started = time.perf_counter(), time.process_time()
    graph = build_graph(features, k=NEIGHBORS)
    name = f"clusters_{n_clusters}"
    return {
        f"{name}_s": round(time.perf_counter() - started, 1),
        f"{name}_cpu_s": round(time.process_time() - cpu_started, 1),
        **{f"{name}_{key}": value for key, value in _compare(graph, features).items()},
    }


def _compare(graph: NeighborGraph, features: NDArray[np.float32]) -> dict[str, float]:
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    judged = np.random.default_rng(1).choice(len(unit), JUDGED, replace=False)
    nearest, similarity = search(unit[judged], judged, unit, NEIGHBORS)
    found = [graph.neighbors(item) for item in judged]
    hits = [len(np.intersect1d(true, got)) for true, (got, _) in zip(nearest, found, strict=True)]
    return {
        "recall": round(sum(hits) / nearest.size, 3),
        "similarity": round(float(np.mean([cosine.mean() for _, cosine in found])), 4),
        "similarity_exact": round(float(similarity.mean()), 4),
    }


def _clustered(rows: int, n_clusters: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((n_clusters, DIMENSIONS)).astype(np.float32)
    features = centres[rng.integers(0, n_clusters, rows)]
    for start in range(0, rows, 100_000):
        part = features[start : start + 100_000]
        part += SPREAD * rng.standard_normal(part.shape, dtype=np.float32)
    return features


def main() -> None:
    """Measure each number of clusters and print all keys."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    rows = parser.parse_args().rows
    results: dict[str, object] = {}
    for n_clusters in CLUSTERS:
        results |= measure(rows, n_clusters)
    peak = peak_mib()
    print(json.dumps(results | {"peak_mib": round(peak)} | describe()))


if __name__ == "__main__":
    main()
