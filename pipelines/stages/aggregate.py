"""Aggregate: from votes, bags, features and people to one weak label an item, choice explained.

Try it: ``weaklight label``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.report.words import model_name
from pipelines.sections import AggregateConfig
from pipelines.stages.base import StageResult, Work
from pipelines.stages.rounds import HYBRID, Taught, teach
from weak_supervision.choice import choose
from weak_supervision.label_models import ConfidenceLevels, hard_labels
from weak_supervision.neighbors import NeighborGraph
from weaklight.contracts import ABSTAIN
from weaklight.errors import DataError

__all__ = ["AggregateInputs", "aggregate", "read_votes"]


@dataclass(frozen=True)
class AggregateInputs:
    """Upstream files of the stage."""

    items: Path
    votes: Path
    soft_votes: Path
    bag_votes: Path
    features: Path
    present: Path
    graph: Path
    human: Path


def aggregate(inputs: AggregateInputs, config: AggregateConfig, work: Work) -> StageResult:
    """Compute every candidate, choose one without gold, write its labels and the reason.

    Raises
    ------
    DataError
        If neither an LF nor a bag nor a person says anything about any item.
    """
    items = pd.read_parquet(inputs.items, columns=["item_id", "split"])
    votes, has_bags = read_votes(inputs.votes, inputs.bag_votes)
    human = _human_labels(items["item_id"], inputs.human)
    if (votes == ABSTAIN).all() and (human == ABSTAIN).all():
        silent, what_to_do = (
            ("every LF abstains on every item", "run `weaklight lf check` to see what each LF does")
            if votes.shape[1]
            else ("there is no labelling function", "`weaklight lf new` writes a first one")
        )
        raise DataError(f"{silent}, no bag votes and nobody has labelled anything; {what_to_do}")
    soft_votes = {int(file.stem): np.load(file) for file in inputs.soft_votes.glob("*.npy")}
    if soft_votes:
        levels = ConfidenceLevels().fit(votes, soft_votes, class_sets=work.class_sets)
        votes = levels.transform(votes, soft_votes)
    features = np.load(inputs.features, allow_pickle=False)
    features[~np.load(inputs.present, allow_pickle=False)] = np.nan
    graph = NeighborGraph.load(inputs.graph)
    balance = None if config.class_balance == "auto" else config.class_balance
    work.progress(0, 1, "label models, and which to trust")
    choice = choose(
        votes,
        n_classes=len(work.classes),
        class_sets=work.class_sets,
        features=features,
        graph=graph,
        human=human,
        class_balance=balance,
        model=None if config.model == "auto" else config.model,
        use_features=config.features,
        seed=work.seed,
    )
    posterior, known, taught = choice.posterior, choice.is_covered, None
    if config.hybrid != "none":
        work.progress(0, 1, f"{config.hybrid.replace('_', '-')}, round by round")
        taught = teach(
            config.hybrid, choice, votes, features, graph, human,
            n_classes=len(work.classes), class_sets=work.class_sets, seed=work.seed,
        )  # fmt: skip
        posterior, known = taught.posterior, taught.is_covered
    labels = hard_labels(posterior, known, keys=items["item_id"].tolist())
    source = _sources(votes, human, has_bags)
    if taught is not None:
        source[taught.by_student & (source == "features")] = "student"
    # at once: pandas warns of frames that grow by hundreds of columns
    weak = pd.DataFrame(
        {
            "item_id": items["item_id"],
            **{f"p_{name}": posterior[:, k] for k, name in enumerate(work.classes)},
            "label": labels,
            "confidence": np.where(known, posterior.max(axis=1), 0.0).astype(np.float32),
            "covered": known,
            "source": source,
            "round": 0 if taught is None else taught.round,
        }
    )
    weak.to_parquet(work.out / "weak_labels.parquet", index=False)

    folder = work.out / "posteriors"
    folder.mkdir()
    for name, candidate in choice.posteriors.items():
        np.save(folder / f"{name}.npy", candidate)
        np.save(folder / f"{name}.covered.npy", choice.knows[name])
    if taught is not None:
        np.save(folder / f"{HYBRID}.npy", posterior)
        np.save(folder / f"{HYBRID}.covered.npy", known)
    np.save(folder / "chosen.npy", posterior)
    np.save(folder / "chosen.covered.npy", known)
    overruled = items["item_id"].to_numpy()[choice.overruled_unanimous].tolist()
    written = {
        "chosen": choice.chosen,
        "reason": choice.reason,
        "class_balance": balance,
        "candidates": choice.candidates,
        "overruled_unanimous": overruled,
        "hybrid": None if taught is None else taught.summary,
    }
    (work.out / "choice.json").write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    return StageResult(
        outputs={
            "weak_labels": "weak_labels.parquet",
            "posteriors": "posteriors",
            "choice": "choice.json",
        },
        metrics={
            "chosen": choice.chosen,
            "coverage": float(known.mean()),
            "n_human": int((human != ABSTAIN).sum()),
            "n_overruled_unanimous": len(overruled),
        },
        notes=(f"chose {model_name(choice.chosen)}", *_told(taught)),
    )


def read_votes(votes: Path, bag_votes_file: Path) -> tuple[NDArray[np.int16], bool]:
    """Return LF votes with the bags' votes as one more column, and whether there is one."""
    lf_votes = np.load(votes, allow_pickle=False)
    of_bags = np.load(bag_votes_file, allow_pickle=False)
    if (of_bags == ABSTAIN).all():
        return lf_votes, False
    return np.column_stack([lf_votes, of_bags]).astype(np.int16), True


def _told(taught: Taught | None) -> tuple[str, ...]:
    if taught is None:
        return ()
    s = taught.summary
    return (
        f"{s['method']}: {s['n_admitted']} labels after {s['n_rounds']} rounds; {s['stop_reason']}",
    )


def _human_labels(item_ids: pd.Series, file: Path) -> NDArray[np.int64]:
    """Return the class that a person gave each item, -1 elsewhere."""
    human = pd.read_parquet(file).set_index("item_id")["label"]
    human = human[human >= 0]
    labels = np.full(len(item_ids), ABSTAIN, dtype=np.int64)
    is_known = item_ids.isin(human.index).to_numpy()
    labels[is_known] = human.loc[item_ids[is_known]]
    return labels


def _sources(
    votes: NDArray[np.int16], human: NDArray[np.int64], has_bags: bool
) -> NDArray[np.object_]:
    """Return where each label comes from: human, votes, bag, or features where nobody voted."""
    source = np.full(len(votes), "features", dtype=object)
    if has_bags:
        source[votes[:, -1] != ABSTAIN] = "bag"
        votes = votes[:, :-1]
    source[(votes != ABSTAIN).any(axis=1)] = "votes"
    source[human != ABSTAIN] = "human"
    return source
