"""Train: a linear head on frozen features with soft targets, calibrated on dev gold.

Try it: ``weaklight train``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipelines.config import TrainConfig
from pipelines.stages.base import StageResult, Work
from weak_supervision.classifiers import LinearHead

__all__ = ["TrainInputs", "train"]

# Fewer dev rows give a temperature that is mostly chance.
_MIN_DEV_ROWS = 20


@dataclass(frozen=True)
class TrainInputs:
    """Upstream files of the stage."""

    items: Path
    targets: Path
    weights: Path
    gold_dev: Path
    features: Path
    present: Path


def train(inputs: TrainInputs, config: TrainConfig, work: Work) -> StageResult:
    """Fit the head on rows with weight; dev gold sets the temperature and nothing else."""
    items = pd.read_parquet(inputs.items, columns=["item_id"])
    features = np.load(inputs.features, allow_pickle=False)
    present = np.load(inputs.present, allow_pickle=False)
    targets = np.load(inputs.targets, allow_pickle=False)
    weights = np.load(inputs.weights, allow_pickle=False)
    used = (weights > 0) & present
    gold = pd.read_parquet(inputs.gold_dev)
    dev_rows = items["item_id"].isin(gold["item_id"]).to_numpy() & present
    notes: tuple[str, ...] = ()
    dev = None
    if dev_rows.sum() >= _MIN_DEV_ROWS:
        of_item = gold.set_index("item_id")["gold"]
        dev = (features[dev_rows], of_item.loc[items["item_id"][dev_rows]].to_numpy())
    else:
        notes = (f"not calibrated: {int(dev_rows.sum())} dev rows, {_MIN_DEV_ROWS} are needed",)
    head = LinearHead(l2=config.l2).fit(
        features[used], targets[used], weights[used], dev=dev, classes=work.classes
    )
    probabilities = head.predict_proba(features)
    head.save(work.out / "head")
    np.save(work.out / "probabilities.npy", probabilities)
    return StageResult(
        outputs={"head": "head", "probabilities": "probabilities.npy"},
        metrics={"n_trained_on": int(used.sum()), "temperature": float(head.temperature_)},
        notes=notes,
    )
