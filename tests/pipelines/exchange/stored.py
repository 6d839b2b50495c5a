"""A run with known weak labels, stored as its stages would store it."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from pipelines.project import Project, RunRecord
from pipelines.queries import RunView
from pipelines.store import Manifest, Output, hash_path

CLASSES = ("ham", "spam & <eggs>", "=other")
# One text an item: what a spreadsheet runs, what CSV readers trip over, what pandas takes for gone.
TEXTS = (
    "=cmd()",
    "'quoted",
    "\ttab",
    "line\nbreak\rreturn",
    'comma, "quote"',
    "NA",
    "0012",
    "ürdümö 🎉",
    "excluded",
    "dev",
    "test",
    "test, too",
)
SPLITS = ["unlabeled"] * 9 + ["dev"] + ["test"] * 2
GOLD = [None] * 9 + ["=other"] * 3
LABELS = [0, 1, 2, 0, 1, 2, 0, 1, 1, 0, 0, 1]
CONFIDENCE = [0.9, 0.8, 0.7, 0.6, 0.5, 0.95, 0.9, 0.4, 0.9, 0.9, 0.9, 0.9]
UNCOVERED, EXCLUDED = 7, 8
KEPT = [0, 1, 2, 3, 4, 5, 6]  # rows that leave by default
RUN_ID = "20260101T000000000Z-00001"


def png(level: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((4, 4), level, np.uint8)).save(buffer, format="PNG")
    return buffer.getvalue()


def ids() -> list[str]:
    return [f"{i:04d}.a/b" for i in range(len(TEXTS))]  # a number with zeros, a dot and a slash


def probabilities() -> np.ndarray:
    p = np.repeat((1 - np.array(CONFIDENCE, np.float32))[:, None] / 2, 3, axis=1)
    p[np.arange(len(p)), LABELS] = CONFIDENCE
    return p


def out_of_fold() -> np.ndarray:
    p = np.full((len(TEXTS), 3), 0.1, np.float32)
    p[np.arange(len(p)), [2, 1, 2, 0, 1, 2, 0, 1, 1, 0, 0, 1]] = 0.8  # row 0 is doubted
    return p


def store(
    project: Project,
    stage: str,
    outputs: Mapping[str, Any],
    config: Mapping[str, Any],
    **metrics: Any,
) -> None:
    with project.store.writing(stage, "d") as folder:
        stored = {}
        for name, value in outputs.items():
            if isinstance(value, pd.DataFrame):
                path = folder / f"{name}.parquet"
                value.to_parquet(path, index=False)
            elif isinstance(value, np.ndarray):
                path = folder / f"{name}.npy"
                np.save(path, value)
            else:
                path = folder / f"{name}.json"
                path.write_text(json.dumps(value))
            stored[name] = Output(path.name, *hash_path(path))
        manifest = Manifest(
            stage=stage, digest="d", version=1, inputs={}, config=config, seed=0, extra={},
            libraries={}, outputs=stored, metrics=metrics, notes=(),
        )  # fmt: skip
        project.store.commit(folder, manifest)


def write_run(root: Path, kind: str) -> RunView:
    root.mkdir()
    payloads = [png(20 * i) for i in range(len(TEXTS))] if kind == "image" else list(TEXTS)
    source = pd.DataFrame({"item_id": ids(), kind: payloads, "split": SPLITS, "gold": GOLD})
    source.to_parquet(root / "items.parquet", index=False)
    names = json.dumps(CLASSES)
    (root / "weaklight.toml").write_text(
        f'classes = {names}\n[items]\nsource = "items.parquet"\n{kind} = "{kind}"\n'
    )
    project = Project.open(root)
    items = pd.DataFrame({"item_id": ids(), "split": SPLITS, "path": None})
    raw = [p if isinstance(p, bytes) else p.encode() for p in payloads]
    items["sha256"] = [hashlib.sha256(p).hexdigest() for p in raw]
    if kind == "text":
        items["text"] = payloads
    gold = pd.DataFrame({"item_id": ids()[9:], "gold": [2, 2, 2]})
    config = {"classes": CLASSES, "class_sets": []}
    store(
        project, "ingest", {"items": items, "gold_dev": gold[:1], "gold_test": gold[1:]}, config,
        kind=kind,
    )  # fmt: skip
    human = {"item_id": [ids()[EXCLUDED], ids()[0]], "action": ["exclude", "accept"]}
    store(project, "reviews", {"human": pd.DataFrame({**human, "label": [-1, 0]})}, {})
    lfs = [{"name": "rule", "description": "", "digest": "abc"}]
    votes = np.array(LABELS, np.int16)[:, None]
    store(project, "vote", {"votes": votes, "lfs": lfs}, config)
    covered = np.arange(len(TEXTS)) != UNCOVERED
    weak = pd.DataFrame({"item_id": ids()})
    weak[[f"p_{name}" for name in CLASSES]] = probabilities()
    weak["label"], weak["confidence"], weak["covered"] = LABELS, CONFIDENCE, covered
    weak["confidence"] = weak["confidence"].astype(np.float32)
    weak["source"] = ["human", *["votes"] * 11]
    choice = {"chosen": "majority_vote", "reason": "Nothing beats it."}
    store(project, "aggregate", {"weak_labels": weak, "choice": choice}, {})
    weights = np.where(covered, CONFIDENCE, 0).astype(np.float32)
    store(project, "clean", {"weights": weights, "out_of_fold": out_of_fold()}, {})
    stages = ("ingest", "reviews", "vote", "aggregate", "clean")
    record = RunRecord(
        RUN_ID, "now", 0, "here", {}, status="done", artifacts=dict.fromkeys(stages, "d")
    )
    project.save_run(record)
    return RunView(project, record)
