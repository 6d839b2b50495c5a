"""Embed: features of every item from the frozen encoder, one neighbor graph, a 2-D map.

Try it: ``weaklight embed``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.encoders import embedder
from pipelines.item_cache import cached_rows
from pipelines.payload import load_payload
from pipelines.sections import EmbedConfig
from pipelines.stages.base import StageResult, Work
from pipelines.store import hash_path
from weak_supervision.neighbors import build_graph
from weaklight.errors import DataError
from weaklight.seeds import derive_seed, numpy_generator
from weaklight.words import counted

__all__ = ["EmbedInputs", "embed"]

# t-SNE of all items would take minutes; these landmarks show the shape and the rest join them.
_LANDMARKS = 1500
_JOIN = 3  # nearest landmarks that place an item
_BLOCK = 8192  # items placed at a time


@dataclass(frozen=True)
class EmbedInputs:
    """Upstream files of the stage."""

    items: Path
    encoder: Path
    pixels: Path | None = None
    signals: Path | None = None


def embed(inputs: EmbedInputs, config: EmbedConfig, work: Work) -> StageResult:
    """Write features, the neighbor graph and the map; only items new to this encoder are embedded.

    Raises
    ------
    DataError
        If no item has finite features.
    """
    items = pd.read_parquet(inputs.items, columns=["sha256"])
    payload = load_payload(inputs.items, inputs.pixels, inputs.signals)
    cache = work.cache / "features" / f"{hash_path(inputs.encoder)[0][:24]}-{payload.form}"
    encode = None

    def compute(rows: NDArray[np.intp]) -> NDArray[np.float32]:
        nonlocal encode
        if encode is None:
            encode = embedder(inputs.encoder, work.project_root)
        return encode(payload.take(rows))

    features = cached_rows(
        cache,
        items["sha256"].to_numpy(dtype=str),
        compute,
        progress=lambda done, total: work.progress(done, total, "embedding"),
    )
    present = np.asarray(np.isfinite(features).all(axis=1))
    if not present.any():
        raise DataError(
            f"none of the {len(features)} items has finite features; the encoder has diverged: "
            "look at the collapse monitor in the report and lower [pretrain] learning_rate"
        )
    np.save(work.out / "features.npy", features)
    np.save(work.out / "present.npy", present)
    work.progress(1, 3, "neighbor graph")
    graph = build_graph(features, present, k=config.neighbors)
    graph.save(work.out / "graph")
    work.progress(2, 3, "map")
    np.save(work.out / "map.npy", lay_out(features, present, work.seed))
    missing = int((~present).sum())
    told = f"{counted(missing, 'item has', 'items have')} features that are not finite"
    return StageResult(
        outputs={
            "features": "features.npy",
            "present": "present.npy",
            "graph": "graph",
            "map": "map.npy",
        },
        metrics={"n": len(features), "d": features.shape[1], "n_missing": missing},
        notes=(told,) if missing else (),
    )


def lay_out(
    features: NDArray[np.float32], present: NDArray[np.bool_], seed: int
) -> NDArray[np.float32]:
    """Return a 2-D layout for looking at, never for measuring.

    Returns
    -------
    (n, 2) float32: t-SNE (van der Maaten and Hinton 2008) of at most 1,500 landmarks; every other
    item lies among its three nearest landmarks; items without features lie at NaN. Where all
    landmarks are alike, as those of a collapsed encoder, it is a cloud without a shape.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    rows = np.flatnonzero(present)
    flat = np.full((len(features), 2), np.nan, dtype=np.float32)
    unit = features[rows] / np.maximum(np.linalg.norm(features[rows], axis=1, keepdims=True), 1e-12)
    if unit.shape[1] == 1:  # t-SNE starts from two directions
        unit = np.pad(unit, ((0, 0), (0, 1)))
    if len(rows) < 8:
        flat[rows] = np.arange(len(rows))[:, None]
        return flat
    rng = numpy_generator(seed, "map")
    chosen = np.sort(rng.choice(len(rows), size=min(_LANDMARKS, len(rows)), replace=False))
    if np.ptp(unit[chosen], axis=0).max() == 0:  # t-SNE would end the process, without a word
        flat[rows] = rng.normal(size=(len(rows), 2))
        return flat
    # 500 tiny parallel steps: threads that wait for one another lose more than they share out as
    # soon as anything else runs on the machine
    with threadpool_limits(1):
        layout = TSNE(
            perplexity=min(30.0, (len(chosen) - 1) / 3),
            init="pca",
            max_iter=500,
            random_state=derive_seed(seed, "tsne") % 2**32,
        ).fit_transform(unit[chosen])
    placed = np.empty((len(rows), 2))
    for start in range(0, len(rows), _BLOCK):
        cosines = unit[start : start + _BLOCK] @ unit[chosen].T  # (block, landmarks)
        near = np.argpartition(-cosines, _JOIN - 1, axis=1)[:, :_JOIN]
        weight = np.exp(20 * (np.take_along_axis(cosines, near, axis=1) - 1.0))  # (block, 3)
        weight /= np.maximum(weight.sum(axis=1, keepdims=True), 1e-30)
        placed[start : start + _BLOCK] = (layout[near] * weight[..., None]).sum(axis=1)
    placed += rng.normal(0, 0.01 * np.abs(layout).max(), size=placed.shape)
    placed[chosen] = layout
    flat[rows] = placed
    return flat
