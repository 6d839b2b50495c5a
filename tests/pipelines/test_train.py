"""Which head trains: asked for by name, or the better one on dev."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.config import TrainConfig
from pipelines.stages.base import StageResult, Work
from pipelines.stages.train import TrainInputs, train
from weak_supervision.classifiers import LinearHead, load_head
from weak_supervision.classifiers.discriminant import Discriminant

CLASSES = ("a", "b", "c")


def run(root: Path, config: TrainConfig, *, n_dev: int, wrong: float = 0.3) -> StageResult:
    """Train on 600 planted items, some of whose labels are wrong, and ``n_dev`` right ones."""
    rng = np.random.default_rng(0)
    n = 600 + n_dev
    truth = rng.integers(0, 3, n)
    features = (2 * np.eye(12)[truth] + rng.normal(size=(n, 12))).astype(np.float32)
    labels = np.where(rng.random(n) < wrong, rng.integers(0, 3, n), truth)
    ids = np.array([f"i{i}" for i in range(n)])
    split = np.repeat(["unlabeled", "dev"], [600, n_dev])
    for name, array in {
        "targets": np.eye(3, dtype=np.float32)[labels],
        "weights": (split == "unlabeled").astype(np.float32),
        "features": features,
        "present": np.ones(n, dtype=bool),
    }.items():
        np.save(root / f"{name}.npy", array)
    pd.DataFrame({"item_id": ids, "split": split}).to_parquet(root / "items.parquet")
    dev = split == "dev"
    pd.DataFrame({"item_id": ids[dev], "gold": truth[dev]}).to_parquet(root / "gold_dev.parquet")
    files = {f: root / f"{f}.npy" for f in ("targets", "weights", "features", "present")}
    out = root / "out"
    out.mkdir()
    work = Work(out, root / "scratch", root / "cache", root, 0, CLASSES)
    return train(
        TrainInputs(
            items=root / "items.parquet",
            gold_dev=root / "gold_dev.parquet",
            encoder=root,
            **files,
        ),
        config,
        work,
    )


def test_dev_decides_between_the_closed_forms_and_says_so(tmp_path: Path) -> None:
    result = run(tmp_path, TrainConfig(), n_dev=150)
    features, targets, weights = (
        np.load(tmp_path / f"{name}.npy") for name in ("features", "targets", "weights")
    )
    gold = pd.read_parquet(tmp_path / "gold_dev.parquet")["gold"].to_numpy()
    hits = {
        "linear": LinearHead().fit(features, targets, weights).predict(features[600:]) == gold,
        "discriminant": Discriminant()
        .fit(features, targets, weights)
        .predict_proba(features[600:])
        .argmax(axis=1)
        == gold,
    }
    better = max(hits, key=lambda name: (hits[name].sum(), name == "linear"))
    assert result.metrics["head"] == better
    assert f"right on {hits['discriminant'].sum()} (discriminant)" in result.notes[-1]
    assert (load_head(tmp_path / "out" / "head").predict(features[600:]) == gold).sum() == max(
        h.sum() for h in hits.values()
    )
    assert load_head(tmp_path / "out" / "head").temperature_ != 1.0


def test_without_gold_wrong_labels_call_for_the_discriminant(tmp_path: Path) -> None:
    result = run(tmp_path, TrainConfig(), n_dev=15)
    assert result.metrics["head"] == "discriminant"
    assert "takes 100 rows of gold" in result.notes[-1]
    # calibrated by how often it agrees with the weak labels, for want of gold
    assert load_head(tmp_path / "out" / "head").temperature_ != 1.0


@pytest.mark.parametrize("head", ["linear", "discriminant", "mlp"])
def test_a_head_asked_for_by_name_is_taken(tmp_path: Path, head: str) -> None:
    result = run(tmp_path, TrainConfig(head=head), n_dev=120)
    assert result.metrics["head"] == head
    proba = np.load(tmp_path / "out" / "probabilities.npy")
    assert proba.shape == (720, 3) and np.allclose(proba.sum(axis=1), 1, atol=1e-5)


def test_a_strategy_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="which a discriminant has none of"):
        TrainConfig(head="discriminant", strategy="elr")
    with pytest.raises(ValueError, match="epochs would change nothing"):
        TrainConfig(epochs=3)
