"""Train: the classifier that ``[train]`` asks for, calibrated on dev gold.

Try it: ``weaklight train``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.config import TrainConfig
from pipelines.payload import load_payload
from pipelines.pixels import Pixels
from pipelines.stages.base import StageResult, Work
from weak_supervision.classifiers import Head, LinearHead, balanced_weights
from weak_supervision.classifiers.discriminant import Discriminant
from weak_supervision.classifiers.temperature import MIN_DEV_ROWS
from weaklight.errors import ConfigError

__all__ = ["TrainInputs", "train"]

MIN_ROWS_TO_CHOOSE = 100  # fewer dev rows tell two heads apart by luck
EPOCHS, BATCH_SIZE, LEARNING_RATE = 30, 256, 1e-3  # of heads that learn by steps; see docs/noise.md


@dataclass(frozen=True)
class TrainInputs:
    """Upstream files of the stage."""

    items: Path
    targets: Path
    weights: Path
    gold_dev: Path
    features: Path
    present: Path
    encoder: Path
    pixels: Path | None = None
    signals: Path | None = None


def train(inputs: TrainInputs, config: TrainConfig, work: Work) -> StageResult:
    """Train on rows with weight; dev gold sets the temperature, and stops where patience is set.

    Raises
    ------
    ConfigError
        If ``finetune`` is asked for items that are no images, or patience without dev gold.
    """
    items = pd.read_parquet(inputs.items, columns=["item_id", "split"])
    features = np.load(inputs.features, allow_pickle=False)
    present = np.load(inputs.present, allow_pickle=False)
    targets = np.load(inputs.targets, allow_pickle=False)
    weights = np.load(inputs.weights, allow_pickle=False)
    used = (weights > 0) & present
    rows, labels = _dev(items["item_id"], pd.read_parquet(inputs.gold_dev), present)
    notes: list[str] = []
    outputs = {"head": "head", "probabilities": "probabilities.npy"}
    enough = len(rows) >= MIN_DEV_ROWS
    chosen: str = config.head
    if not enough:
        notes.append(f"not calibrated: {len(rows)} dev rows, {MIN_DEV_ROWS} are needed")
        if config.patience:
            raise ConfigError(
                f"[train] patience watches dev gold, but {len(rows)} dev rows are fewer than "
                f"{MIN_DEV_ROWS}; label more dev rows or leave patience out"
            )
    work.progress(0, 1, f"training: {config.head}, {config.strategy}")
    if config.head == "finetune":
        payload = load_payload(inputs.items, inputs.pixels, inputs.signals)
        if not isinstance(payload, Pixels):
            raise ConfigError(
                f'[train] head = "finetune" learns from pixels, but the items are {payload.kind}; '
                'take "linear" or "mlp"'
            )
        from pipelines.stages.finetune import Labelled, finetune

        labelled = Labelled(
            features,
            targets,
            np.where(used, weights, 0.0).astype(np.float32),
            (items["split"] == "unlabeled").to_numpy() & present,
            (rows, labels) if enough else None,
        )
        head: Head
        head, features = finetune(
            inputs.encoder,
            payload,
            labelled,
            config,
            classes=work.classes,
            seed=work.seed,
            out=work.out / "encoder",
            scratch=work.scratch,
        )
        features[~present] = np.nan
        outputs["encoder"] = "encoder"
        notes.append("the encoder was tuned: its features are not those of the map and the graph")
    else:
        dev = (features[rows], labels) if enough else None
        learnt = features[used], targets[used], weights[used]
        if config.head != "discriminant":
            head = _new_head(config, work.seed).fit(*learnt, dev=dev, classes=work.classes)
        if config.chooses_head or config.head == "discriminant":
            closed = _discriminant(*learnt, config, work.classes)
            # Gaussian classes are far too sure of themselves; without gold, be as sure as the head
            # agrees with the weak labels
            closed.calibrate(*(dev or (learnt[0], learnt[1].argmax(axis=1))))
            if config.chooses_head:
                chosen, head, note = _better(closed, head, dev)
                notes.append(note)
            else:
                head = closed
    head.save(work.out / "head")
    np.save(work.out / "probabilities.npy", head.predict_proba(features))
    return StageResult(
        outputs=outputs,
        metrics={
            "n_trained_on": int(used.sum()),
            "temperature": float(head.temperature_),
            "head": chosen,
            "strategy": config.strategy,
        },
        notes=tuple(notes),
    )


def _discriminant(
    features: NDArray[np.floating],
    targets: NDArray[np.floating],
    weights: NDArray[np.floating],
    config: TrainConfig,
    classes: tuple[str, ...],
) -> Head:
    if config.balance == "classes":
        weights = balanced_weights(targets, weights)
    return Discriminant().fit(features, targets, weights).as_linear_head(classes)


def _better(
    discriminant: Head, linear: Head, dev: tuple[NDArray[np.floating], NDArray[np.integer]] | None
) -> tuple[str, Head, str]:
    """Return name, head and reason: the one that is right more often on dev.

    Without enough dev gold it is the discriminant: wrong labels hardly move it, though its Gaussian
    classes suit some features only.
    """
    if dev is None or len(dev[1]) < MIN_ROWS_TO_CHOOSE:
        reason = f"choosing by dev takes {MIN_ROWS_TO_CHOOSE} rows of gold"
        return "discriminant", discriminant, f"the head is the discriminant: {reason}"
    features, labels = dev
    hits = [int((head.predict(features) == labels).sum()) for head in (discriminant, linear)]
    name, head = ("linear", linear) if hits[1] >= hits[0] else ("discriminant", discriminant)
    reason = f"right on {hits[0]} (discriminant) and {hits[1]} (linear) of {len(labels)} dev rows"
    return name, head, f"the head is {name}: {reason}"


def _new_head(config: TrainConfig, seed: int) -> Head:
    if config.chooses_head or (config.head == "linear" and config.strategy == "plain"):
        return LinearHead(l2=config.l2, balance=config.balance)
    from weak_supervision.noise import RobustHead

    return RobustHead(
        strategy=config.strategy,
        hidden=0 if config.head == "linear" else config.hidden,
        noise_rate=config.noise_rate,
        balance=config.balance,
        epochs=config.epochs or EPOCHS,
        batch_size=config.batch_size or BATCH_SIZE,
        lr=config.learning_rate or LEARNING_RATE,
        mixup=config.mixup,
        ema=config.ema,
        patience=config.patience,
        seed=seed,
    )


def _dev(
    item_ids: pd.Series, gold: pd.DataFrame, present: NDArray[np.bool_]
) -> tuple[NDArray[np.intp], NDArray[np.integer]]:
    """Return the rows with dev gold and features, and their gold."""
    rows = np.flatnonzero(item_ids.isin(gold["item_id"]).to_numpy() & present)
    labels = gold.set_index("item_id")["gold"].loc[item_ids.iloc[rows]].to_numpy()
    return rows, labels
