"""Report: one self-contained page for people, and the same numbers as JSON for programs.

Right and wrong labels are shown on dev items, what the encoder sees on unlabelled ones: whoever
looks at mistakes on test and then changes an LF has used test up. Nothing in either file depends on
a clock, a host or a folder's name.

Try it: ``weaklight report``.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipelines.payload import Payload, load_payload
from pipelines.report import headline_sentence, percent, render, what_was_done
from pipelines.report.features import Unlabelled, nearest_pictures, patch_pictures
from pipelines.report.heat import bag_pictures, heat_pictures
from pipelines.report.shown import shown
from pipelines.sections import ReportConfig
from pipelines.stages.base import StageResult, Work
from pipelines.store import hash_path
from weak_supervision.neighbors import NeighborGraph
from weaklight import __version__
from weaklight.seeds import numpy_generator

__all__ = ["ReportInputs", "report"]

MAX_PICTURE_SIDE = 128  # keeps the page under a megabyte with 24 pictures in colour
N_DOUBTED = 12
N_PAIRS = 8


@dataclass(frozen=True)
class ReportInputs:
    """Everything that the page shows; gold of test is not among it."""

    items: Path
    ingest_report: Path
    gold_dev: Path
    encoder: Path
    graph: Path
    bags_summary: Path
    bags: Path
    instances: Path
    instance_scores: Path
    weak_labels: Path
    choice: Path
    issues: Path
    judge: Path
    probabilities: Path
    evaluation: Path
    lf_table: Path
    pixels: Path | None = None
    signals: Path | None = None


def report(inputs: ReportInputs, config: ReportConfig, work: Work) -> StageResult:
    """Write ``report.html`` and ``report.json``."""
    weak = pd.read_parquet(inputs.weak_labels)
    found = pd.read_parquet(inputs.issues)
    # what cleaning acts on; the others are for people to look at, and only counted here
    acted_on = (found["kind"] == "label") & found["detectors"].str.contains("confident learning")
    issues = found[acted_on].reset_index(drop=True)
    work.progress(0, 2, "collecting the numbers")
    facts = _facts(inputs, config, work, weak, issues)
    facts["cleaning"]["others"] = {
        kind: int(n) for kind, n in found.loc[~acted_on, "kind"].value_counts().sort_index().items()
    }
    work.progress(1, 2, "drawing the page")
    payload = load_payload(inputs.items, inputs.pixels, inputs.signals)
    page = render(
        facts,
        {
            **_label_pictures(inputs, payload, config, work, weak, issues),
            **_feature_pictures(inputs, payload, work, weak, facts["encoder"]["backbone"]),
            **_bag_pictures(inputs, payload, work.seed),
        },
    )
    text = json.dumps(facts, indent=1, allow_nan=False) + "\n"
    (work.out / "report.json").write_text(text, encoding="utf-8")
    (work.out / "report.html").write_text(page, encoding="utf-8")
    work.progress(2, 2, "done")
    return StageResult(
        outputs={"report": "report.html", "numbers": "report.json"},
        metrics={"sentence": facts["sentence"], "kib": len(page.encode()) // 1024},
        notes=(facts["sentence"],),
    )


def _facts(
    inputs: ReportInputs,
    config: ReportConfig,
    work: Work,
    weak: pd.DataFrame,
    issues: pd.DataFrame,
) -> dict[str, Any]:
    """Return what ``report.json`` holds; see docs/report.md."""
    evaluation, judge = _read_json(inputs.evaluation), _read_json(inputs.judge)
    history = _read_json(inputs.encoder / "history.json")
    covered = weak[weak["covered"]]
    pairs = Counter(zip(issues["label"], issues["suggested"], strict=True)).most_common()
    pairs.sort(key=lambda pair: (-pair[1], pair[0]))  # ties by class, not by order of appearance
    facts: dict[str, Any] = {
        "title": config.title or "What the weak labels are worth",
        "evaluation": evaluation,
        "lfs": _lf_rows(inputs.lf_table),
        "choice": _read_json(inputs.choice),
        "weak_labels": {
            "covered": len(covered),
            "by_source": {str(k): int(v) for k, v in sorted(Counter(covered["source"]).items())},
            "by_class": {
                name: int((covered["label"] == c).sum()) for c, name in enumerate(work.classes)
            },
        },
        "cleaning": {
            "n_issues": len(issues),
            "n_labels": judge["n_labels"],
            "non_iid_p": judge["non_iid_p"],
            "pairs": [
                {"label": work.classes[a], "suggested": work.classes[b], "count": n}
                for (a, b), n in pairs[:N_PAIRS]
            ],
        },
        "bags": _read_json(inputs.bags_summary),
        "encoder": {
            **{k: v for k, v in _read_json(inputs.encoder / "encoder.json").items() if k in _SHOWN},
            **history,
        },
        "ingest": _read_json(inputs.ingest_report),
        "provenance": {
            "weaklight": __version__,
            "seed": work.seed,
            "inputs": {
                f.name: hash_path(getattr(inputs, f.name))[0]
                for f in fields(inputs)
                if getattr(inputs, f.name) is not None
            },
        },
    }
    return {
        "sentence": headline_sentence(evaluation),
        "what_was_done": what_was_done(facts),
        **facts,
    }


_SHOWN = ("backbone", "width", "image_size", "channels")


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _lf_rows(path: Path) -> list[dict[str, Any]]:
    """Return the LF table as JSON rows: lists for arrays, None for NaN."""
    return [
        {k: None if isinstance(v, float) and np.isnan(v) else v for k, v in row.items()}
        for row in json.loads(pd.read_parquet(path).to_json(orient="records"))
    ]


def _label_pictures(
    inputs: ReportInputs,
    payload: Payload,
    config: ReportConfig,
    work: Work,
    weak: pd.DataFrame,
    issues: pd.DataFrame,
) -> dict[str, list[dict[str, Any]]]:
    """Return dev items with a right and with a wrong weak label, and the most doubted labels."""
    said = np.load(inputs.probabilities).argmax(axis=1)
    row_of = {item: row for row, item in enumerate(weak["item_id"])}
    gold = pd.read_parquet(inputs.gold_dev)
    rows = np.array([row_of[item] for item in gold["item_id"]], dtype=np.int64)
    labelled = weak["covered"].to_numpy(bool)[rows]
    rows, truth = rows[labelled], gold["gold"].to_numpy(np.int64)[labelled]
    is_right = weak["label"].to_numpy()[rows] == truth
    truth_of = dict(zip(rows.tolist(), truth.tolist(), strict=True))

    def describe(row: int) -> dict[str, Any]:
        label, confidence = int(weak["label"].iloc[row]), float(weak["confidence"].iloc[row])
        return {
            **shown(payload, row, MAX_PICTURE_SIDE),
            "title": str(weak["item_id"].iloc[row]),
            "lines": [
                ("weak", f"{work.classes[label]}, {percent(confidence, 0)}"),
                ("gold", work.classes[truth_of[row]]),
                ("classifier", work.classes[said[row]]),
            ],
        }

    pictures: dict[str, list[dict[str, Any]]] = {}
    for name, chosen, count in (
        ("right", rows[is_right], config.pictures // 2),
        ("wrong", rows[~is_right], config.pictures - config.pictures // 2),
    ):
        order = numpy_generator(work.seed, "report", name).permutation(len(chosen))[:count]
        pictures[name] = [describe(int(row)) for row in np.sort(chosen[order])]
    doubted = issues.head(min(N_DOUBTED, config.pictures))
    pictures["doubted"] = [
        {
            **shown(payload, row_of[item], MAX_PICTURE_SIDE),
            "title": str(item),
            "lines": [("weak", work.classes[label]), ("suggested", work.classes[suggested])],
        }
        for item, label, suggested in zip(
            doubted["item_id"], doubted["label"], doubted["suggested"], strict=True
        )
    ]
    return pictures


def _bag_pictures(inputs: ReportInputs, payload: Payload, seed: int) -> dict[str, list[Any]]:
    """Return bags under the scores of their instances: of parts of an item, or of whole items."""
    items = pd.read_parquet(inputs.items, columns=["item_id", "bag_id", "split"])
    may_show = (items["split"] == "unlabeled").to_numpy(bool)
    bags = pd.read_parquet(inputs.bags)
    instances, scores = pd.read_parquet(inputs.instances), np.load(inputs.instance_scores)
    return {
        "heat": heat_pictures(payload, bags, instances, may_show, seed),
        "bags": bag_pictures(payload, bags, items, scores, may_show, seed),
    }


def _feature_pictures(
    inputs: ReportInputs, payload: Payload, work: Work, weak: pd.DataFrame, backbone: str
) -> dict[str, list[Any]]:
    """Return nearest unlabelled items and, for a vision transformer, pictures of patches."""
    split = pd.read_parquet(inputs.items, columns=["split"])["split"]
    items = Unlabelled.shuffled(
        payload,
        weak["item_id"].tolist(),
        [work.classes[label] for label in weak["label"]],
        ((split == "unlabeled") & weak["covered"]).to_numpy(bool),
        work.seed,
    )
    neighbors = nearest_pictures(items, NeighborGraph.load(inputs.graph))
    attention, groups = (
        patch_pictures(items, inputs.encoder) if backbone.startswith("vit_") else ([], [])
    )
    return {"neighbors": neighbors, "attention": attention, "groups": groups}
