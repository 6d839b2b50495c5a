"""A finished run with planted truth: real stages' files, written by the same components."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipelines.pixels import write_pixels
from weak_supervision.classifiers import LinearHead
from weak_supervision.label_models import DawidSkene, MajorityVote, covered, hard_labels
from weaklight.contracts import ABSTAIN

CLASSES = ("plain", "<b>bold & loud</b>", "third")
LF_NAMES = ("good", "fair", "poor", "shy", "<script>alert(1)</script>")
ACCURACY = np.array([0.9, 0.75, 0.5, 0.95, 0.7])
PROPENSITY = np.array([0.7, 0.6, 0.5, 0.02, 0.4])
CHOSEN = "dawid_skene+features"


@dataclass(frozen=True)
class Planted:
    """Paths of every output of a run, and the truth behind it."""

    files: dict[str, Path]
    gold: np.ndarray
    split: np.ndarray
    votes: np.ndarray


def write_run(
    state: Path,
    *,
    sizes: tuple[int, int, int] = (400, 120, 200),
    gold_splits: tuple[str, ...] = ("dev", "test"),
    seed: int = 0,
) -> Planted:
    """Write the artifacts of a run up to `train`, as the stages lay them out."""
    rng = np.random.default_rng(seed)
    n, k = sum(sizes), len(CLASSES)
    split = np.repeat(["unlabeled", "dev", "test"], sizes)
    gold = rng.integers(0, k, size=n)
    features = (2.2 * np.eye(k, 8)[gold] + rng.normal(size=(n, 8))).astype(np.float32)
    wrong = (gold[:, None] + rng.integers(1, k, size=(n, 5))) % k
    votes = np.where(rng.random((n, 5)) < ACCURACY, gold[:, None], wrong)
    votes[rng.random((n, 5)) >= PROPENSITY] = ABSTAIN
    votes = votes.astype(np.int16)
    known = covered(votes)

    posteriors = {}
    for name, model in (("majority_vote", MajorityVote()), ("dawid_skene", DawidSkene())):
        posteriors[name] = model.fit(votes, n_classes=k).predict_proba(votes)
        head = LinearHead().fit(features[known], posteriors[name][known])
        posteriors[f"{name}+features"] = head.predict_proba(features)
    chosen = posteriors[CHOSEN]
    weights = np.where(split == "unlabeled", chosen.max(axis=1), 0).astype(np.float32)
    probabilities = LinearHead().fit(features, chosen, weights).predict_proba(features)

    folder = state / "artifacts" / "all" / "planted"
    folder.mkdir(parents=True)
    ids = np.array([f"item-{i:04d}" for i in range(n)])

    def table(name: str, columns: dict[str, object]) -> None:
        pd.DataFrame(columns).to_parquet(folder / f"{name}.parquet", index=False)

    def record(name: str, value: object) -> None:
        (folder / name).write_text(json.dumps(value), encoding="utf-8")

    table("items", {"item_id": ids, "split": split, "bag_id": np.full(n, None)})
    for part in ("dev", "test"):
        rows = (split == part) & (part in gold_splits)
        columns = {"item_id": ids[rows], "gold": gold[rows]}
        table(f"gold_{part}", columns | ({"chance": np.nan} if part == "test" else {}))
    pixels = rng.integers(0, 60, size=(n, 8, 8, 1)) + 60 * gold[:, None, None, None]
    write_pixels(pixels.astype(np.uint8), folder / "pixels.json")
    arrays = {
        "features": features,
        "present": np.ones(n, dtype=bool),
        "votes": votes,
        "bag_votes": np.full(n, ABSTAIN, dtype=np.int16),
        "instance_scores": np.full(n, np.nan, dtype=np.float32),
        "targets": chosen,
        "weights": weights,
        "probabilities": probabilities,
        "out_of_fold": probabilities,
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    (folder / "posteriors").mkdir()
    for name, posterior in {**posteriors, "chosen": chosen}.items():
        spread = name == "chosen" or "+" in name
        np.save(folder / "posteriors" / f"{name}.npy", posterior)
        np.save(folder / "posteriors" / f"{name}.covered.npy", known | spread)
    record(
        "judge.json",
        {"head": "discriminant", "reason": "planted", "n_labels": sizes[0], "non_iid_p": 0.0004},
    )
    record(
        "lfs.json",
        [
            {"name": name, "description": f"Says {name}.", "n_errors": 0, "note": ""}
            for name in LF_NAMES
        ],
    )
    record(
        "choice.json",
        {
            "chosen": CHOSEN,
            "reason": "It predicts left-out functions <better>.",
            "class_balance": None,
            "candidates": [{"name": name, "agreement": 0.5, "note": ""} for name in posteriors],
            "overruled_unanimous": [],
            "hybrid": None,
        },
    )
    labels = hard_labels(chosen)
    table(
        "weak_labels",
        {
            "item_id": ids,
            **{f"p_{name}": chosen[:, c] for c, name in enumerate(CLASSES)},
            "label": labels,
            "confidence": chosen.max(axis=1),
            "covered": np.ones(n, dtype=bool),
            "source": np.where(known, "votes", "features"),
        },
    )
    table(
        "issues",
        {
            "item_id": ids[:2],
            "kind": ["label"] * 2,
            "label": labels[:2],
            "suggested": (labels[:2] + 1) % k,
            "score": [0.01, 0.02],
            "detectors": ["confident learning"] * 2,
        },
    )
    record(
        "bags_summary.json", {"n_bags": 0, "positive": None, "reason": "no bags in this project"}
    )
    table("bags", {"bag_id": [], "label": [], "probability": []})
    table("instances", {"item_id": [], "score": []})
    record(
        "ingest.json",
        {
            "source": "items.parquet",
            "kind": "image",
            "read": n + 3,
            "kept": n,
            "dropped": {"image cannot be decoded": 3},
            "examples": {},
            "splits": dict(zip(("unlabeled", "dev", "test"), sizes, strict=True)),
            "image": [8, 8, 1],
            "notes": [],
        },
    )
    (folder / "encoder").mkdir()
    record("encoder/encoder.json", {"backbone": "compact", "width": 8, "mean": [0.1]})
    steps = [{"step": 10 * i, "loss": 5.0 / i, "std": 0.8, "rank_share": 0.5} for i in (1, 2, 3)]
    record("encoder/history.json", {"steps": steps, "verdict": "Healthy: features spread."})
    files = {path.stem: path for path in folder.iterdir()}
    files |= {"ingest_report": files["ingest"]}
    return Planted(files, gold, split, votes)
