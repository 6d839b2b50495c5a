"""A small real project: drawn shapes, rules that look at pixels, and a finished run of the store.

``build`` writes the artifacts through the store's own API with numpy alone, so that the pages can
be tested in seconds and without a stage.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from labeling_functions import analyse
from pipelines.pixels import write_pixels
from pipelines.project import Project, RunRecord, StageRecord
from pipelines.reviews import ReviewStore
from pipelines.sections import Kind
from pipelines.signals import write_signals
from pipelines.store import Manifest, Output, hash_path
from weaklight.contracts import ABSTAIN, ClassSet, expand_votes
from weaklight.intervals import Proportion

CLASSES = ("circle", "square", "cross")
SETS = (ClassSet("angular", (1, 2)),)
N_UNLABELED, N_DEV, N_TEST = 60, 18, 12
SIZE = 16
PARTS = {"image": "patches", "text": "paragraphs", "audio": "windows"}
RUN_ID = "20260101T000000000Z-00001"

TOML = """
classes = ["circle", "square", "cross"]
[class_sets]
angular = ["square", "cross"]
[items]
source = "items.parquet"
[report]
title = "Drawn shapes"
"""


def draw(shape: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a (SIZE, SIZE, 1) uint8 picture with a little noise."""
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2 + rng.uniform(-1.5, 1.5, (2, 1, 1))
    radius = rng.uniform(4, 6)
    inside = (
        np.hypot(x, y) < radius,
        np.maximum(abs(x), abs(y)) < radius,
        (np.minimum(abs(x), abs(y)) < 1.6) & (np.maximum(abs(x), abs(y)) < radius),
    )[shape]
    noisy = 230.0 * inside + rng.uniform(0, 25, inside.shape)
    return noisy.astype(np.uint8)[..., None]


def vote(pixels: np.ndarray) -> tuple[np.ndarray, list[dict]]:
    """Let four rules look at the pictures; one never votes."""
    ink = pixels[..., 0] > 120
    fill = np.array([i.sum() / (np.ptp(np.argwhere(i), axis=0) + 1).prod() for i in ink])
    rules = [
        ("mostly_full", "Square: fills its box.", np.where(fill > 0.8, 1, ABSTAIN)),
        ("mostly_empty", "Cross: leaves its box open.", np.where(fill < 0.5, 2, ABSTAIN)),
        ("in_between", "", np.where((fill > 0.68) & (fill < 0.99), 0, ABSTAIN)),
        ("has_corners", "Angular: <b>full</b>.", np.where(fill > 0.95, 3, -1)),
        ("asleep", "Never says anything.", np.full(len(fill), ABSTAIN)),
    ]
    reports = [
        {
            "name": name, "description": text, "author": "ada", "tags": [], "digest": "0" * 24,
            "columns": None, "n_votes": int((v >= 0).sum()), "n_errors": 0,
            "first_traceback": None, "timed_out_shards": 0, "timed_out_rows": 0,
            "note": "never votes" if name == "asleep" else "",
        }
        for name, text, v in rules
    ]  # fmt: skip
    reports[2] |= {"n_errors": 2, "first_traceback": "ZeroDivisionError: division by zero"}
    return np.stack([v for _, _, v in rules], axis=1).astype(np.int16), reports


def build(root: Path, seed: int = 0, kind: Kind = "image", parts: bool = False) -> Project:
    """Write the project and one finished run into ``root``; texts or clips in place of pictures.

    The first twenty items lie in two bags; with ``parts`` each item is a bag of its own parts.
    """
    root.mkdir(parents=True, exist_ok=True)
    (root / "weaklight.toml").write_text(TOML)
    project = Project.open(root)
    rng = np.random.default_rng(seed)
    n = N_UNLABELED + N_DEV + N_TEST
    truth = rng.integers(0, 3, n)
    pixels = np.stack([draw(c, rng) for c in truth])
    ids = np.array([f"s{i:03d}" for i in range(n)], dtype=object)
    split = np.repeat(["unlabeled", "dev", "test"], [N_UNLABELED, N_DEV, N_TEST])
    in_bag = (np.arange(n) < 20) & (not parts)
    bag_id = np.where(in_bag, [f"bag{i // 10}" for i in range(n)], None)
    artifacts: dict[str, str] = {}
    stages: list[StageRecord] = []

    def write(stage: str, extra: dict[str, str] | None = None, **outputs: object) -> None:
        digest = f"{len(artifacts):02d}" + "a" * 22
        with project.store.writing(stage, digest) as out:
            written = {}
            for name, value in outputs.items():
                if value is None:
                    continue
                file = _save(out, name, value)
                sha256, size = hash_path(out / file)
                written[name] = Output(file, sha256, size)
            config = {
                "classes": list(CLASSES),
                "class_sets": [[s.name, *s.members] for s in SETS],
            }
            notes = ("1 image was dropped: it is empty",) if stage == "ingest" else ()
            manifest = Manifest(
                stage, digest, 1, {}, config, 0, extra or {}, {}, written, {}, notes
            )
            project.store.commit(out, manifest)
        artifacts[stage] = digest
        stages.append(StageRecord(stage, digest, stage == "ingest", 1.5, 210.0, {}, notes))

    items = pd.DataFrame({"item_id": ids, "split": split, "bag_id": bag_id, "noisy_label": None})
    payload: dict[str, object] = {"pixels": pixels} if kind == "image" else {}
    if kind == "text":
        items["text"] = [
            f"<b>A {CLASSES[c]}</b>, as {i} says.\n\nMore." for i, c in zip(ids, truth, strict=True)
        ]
    if kind == "audio":
        payload["signals"] = [np.full(800 + i, 100 * c, np.int16) for i, c in enumerate(truth)]
    gold = pd.DataFrame({"item_id": ids, "gold": truth})
    write(
        "ingest",
        items=items,
        **payload,
        gold_dev=gold[split == "dev"],
        gold_test=gold[split == "test"].assign(chance=np.nan),
        labeled=gold[:0].rename(columns={"gold": "label"}),
        bag_labels=pd.DataFrame({"bag_id": ["bag0", "bag1"], "bag_label": [1, 0]}),
    )
    write(
        "reviews",
        {"human": ReviewStore(project.state / "reviews.sqlite").digest()},
        human=pd.DataFrame({"item_id": [], "action": [], "label": []}),
    )
    features = pixels.reshape(n, -1).astype(np.float32)
    features -= features.mean(axis=0)
    write("embed", features=features, graph=_graph(features), map=_layout(features))
    votes, reports = vote(pixels)
    write("vote", votes=votes, lfs=reports)
    write(
        "bags",
        votes=np.where(in_bag & (bag_id == "bag1"), 3, ABSTAIN).astype(np.int16),
        scores=np.where(in_bag, 0.4 + np.arange(n) / 100, np.nan).astype(np.float32),
        bags=pd.DataFrame({"bag_id": ids, "label": 1, "probability": 0.9}) if parts else None,
        instances=_parts(items, kind) if parts else None,
        summary={
            "method": "noisy_or",
            "positive": "angular",
            "instances": PARTS[kind] if parts else "items",
        },
    )
    mass = np.vstack([expand_votes(3, SETS), np.zeros(3)])[votes].sum(axis=1) + 0.05
    posterior = (mass / mass.sum(axis=1, keepdims=True)).astype(np.float32)
    covered = (votes != ABSTAIN).any(axis=1)
    # Another label model calls every square a circle, knows all crosses, and doubts the rest.
    other = (np.full((n, 3), 1 / 3, np.float32), np.ones(n, bool))
    other[0][truth == 1] = (0.8, 0.1, 0.1)
    other[0][truth == 2] = (0.1, 0.1, 0.8)
    weak = pd.DataFrame(
        {
            "item_id": ids,
            **{f"p_{c}": posterior[:, k] for k, c in enumerate(CLASSES)},
            "label": np.where(covered, posterior.argmax(axis=1), ABSTAIN),
            "confidence": posterior.max(axis=1),
            "covered": covered,
            "source": "votes",
            "round": 0,
        }
    )
    write(
        "aggregate",
        weak_labels=weak,
        posteriors={"majority_vote": (posterior, covered), "other": other, "chosen": other},
        choice={
            "chosen": "majority_vote",
            "reason": "No challenger predicts left-out functions better.",
            "candidates": [{"name": "majority_vote", "against": "majority_vote", "gain": 0.0}],
            "overruled_unanimous": [ids[np.flatnonzero(votes[:, 0] == 1)[0]]],
        },
    )
    doubted = np.flatnonzero((weak["label"] != truth) & covered & (split != "test"))[:4]
    write(
        "clean",
        issues=pd.DataFrame(
            {
                "item_id": ids[doubted],
                "kind": "label",
                "label": weak["label"].to_numpy()[doubted],
                "suggested": truth[doubted],
                "score": np.linspace(0.1, 0.3, len(doubted)),
                "detectors": "confident learning",
            }
        ),
    )
    write(
        "train",
        probabilities=posterior,
        label_next=pd.DataFrame({"item_id": ids[split == "unlabeled"][[5, 2, 9]]}),
    )
    judged = {s: np.where(split == s, truth, ABSTAIN) for s in ("dev", "test")}
    names = [r["name"] for r in reports]
    on_test = analyse(votes, names, classes=CLASSES, class_sets=SETS, gold=judged["test"])
    right = int((weak["label"].to_numpy() == judged["test"])[split == "test"].sum())
    measured = Proportion(right, N_TEST).as_dict()
    headline = [
        {"key": key, "title": title, "split": "test", **measured}
        for key, title in (
            ("classifier_accuracy", "Classifier"),
            ("posterior_accuracy", "Weak labels"),
            ("majority_vote_accuracy", "Majority vote, all items"),
            ("coverage", "Items that a labelling function votes on"),
        )
    ]
    missing = {"value": None, "low": None, "high": None, "n": 0, "reason": "too few dev items"}
    headline.append({"key": "knn_ssl", "title": "Neighbours", "split": "test", **missing})
    lf_table = on_test.reset_index()[["name", "accuracy", "low", "high", "gold_n"]]
    lf_table.columns = ["name", "test_accuracy", "test_low", "test_high", "test_n"]
    on_dev = {"majority_vote": Proportion(11, N_DEV), "other": Proportion(5, N_DEV)}
    steps = [{"key": key, "dev": {"overall": p.as_dict()}} for key, p in on_dev.items()]
    write("evaluate", evaluation={"headline": headline, "steps": steps}, lf_table=lf_table)
    project.save_run(
        RunRecord(
            run_id=RUN_ID,
            started="2026-01-01T00:00:00+00:00",
            finished="2026-01-01T00:01:00+00:00",
            seed=0,
            host="here",
            libraries={},
            status="done",
            artifacts=artifacts,
            stages=stages,
        )
    )
    return project


def _save(out: Path, name: str, value: object) -> str:
    if name == "pixels":
        write_pixels(value, out / "pixels.json")
        return "pixels.json"
    if name == "signals":
        write_signals(value, out / "signals.json", kind="audio", sample_rate=8000)
        return "signals.json"
    if isinstance(value, pd.DataFrame):
        value.to_parquet(out / f"{name}.parquet", index=False)
        return f"{name}.parquet"
    if isinstance(value, np.ndarray):
        np.save(out / f"{name}.npy", value)
        return f"{name}.npy"
    if name == "posteriors":
        (out / name).mkdir()
        for model, (posterior, covered) in value.items():
            np.save(out / name / f"{model}.npy", posterior)
            np.save(out / name / f"{model}.covered.npy", covered)
        return name
    if isinstance(value, tuple):
        (out / name).mkdir()
        for part, array in zip(("indptr", "indices", "data"), value, strict=True):
            np.save(out / name / f"{part}.npy", array)
        return name
    (out / f"{name}.json").write_text(json.dumps(value))
    return f"{name}.json"


def _parts(items: pd.DataFrame, kind: Kind) -> pd.DataFrame:
    """Return two parts an item: the upper and lower half, the two paragraphs, the two halves."""
    rows = []
    for i, item_id in enumerate(items["item_id"]):
        if kind == "image":
            places = [(0, 0, 8, 16), (8, 0, 8, 16)]
        elif kind == "text":
            text = items["text"].iloc[i]
            places = [(0, text.index("\n")), (len(text) - len("More."), len(text))]
        else:
            places = [(0, 400), (400, 800 + i)]
        rows += [
            (item_id, *place, score) for place, score in zip(places, (0.91, 0.07), strict=True)
        ]
    where = ["top", "left", "height", "width"] if kind == "image" else ["start", "stop"]
    return pd.DataFrame(rows, columns=["item_id", *where, "score"])


def _graph(features: np.ndarray, k: int = 6) -> tuple[np.ndarray, ...]:
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -np.inf)
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    indptr = np.arange(0, k * len(features) + 1, k)
    return indptr, nearest.ravel(), np.take_along_axis(similarity, nearest, axis=1).ravel()


def _layout(features: np.ndarray) -> np.ndarray:
    _, _, axes = np.linalg.svd(features, full_matrices=False)
    return (features @ axes[:2].T).astype(np.float32)
