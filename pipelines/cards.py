"""Why an item has its label: one card with everything that spoke for or against it.

Try it: ``item_card(RunView.latest(Project.open("my_project")), 0)``.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipelines.heat import score_meaning
from pipelines.payload import Texts
from pipelines.queries import RunView
from weaklight.contracts import ABSTAIN

__all__ = [
    "BagCard",
    "IssueCard",
    "ItemCard",
    "Member",
    "Neighbor",
    "PartsCard",
    "VoteCard",
    "item_card",
]

N_PARTS = 3  # of the highest score
N_MEMBERS = 12  # of a bag, the highest scores


@dataclass(frozen=True)
class VoteCard:
    """One function's vote on an item; ``agrees`` says whether it allows the item's label."""

    lf: str
    description: str
    says: str
    agrees: bool


@dataclass(frozen=True)
class Neighbor:
    """A similar item; ``similarity`` is the cosine of the features."""

    row: int
    item_id: str
    similarity: float
    label: str | None


@dataclass(frozen=True)
class Member:
    """An item of a bag and its cross-fitted score."""

    row: int
    item_id: str
    score: float


@dataclass(frozen=True)
class BagCard:
    """The bag that an item lies in.

    Attributes
    ----------
    score : the item's own cross-fitted score, None without features or where nothing was learnt
    members : the items of the highest scores, best first; empty where nothing was learnt
    n_hidden : items of the bag that were left out
    meaning : what a score is, a clause
    """

    bag_id: str
    is_positive: bool | None
    score: float | None
    says: str | None
    n_items: int
    members: tuple[Member, ...]
    n_hidden: int
    meaning: str


@dataclass(frozen=True)
class PartsCard:
    """An item that is itself a bag: what its parts say of it.

    Attributes
    ----------
    is_positive : what its own bag label says; None where it has none that a run may know
    probability : that the item is positive, by a model that saw neither it nor its votes
    says : what it votes, None where that is unclear
    best : the highest instance scores, and of a text the words that got them
    kind : what the parts are: patches, paragraphs or windows
    meaning : what a score is, a clause
    """

    is_positive: bool | None
    probability: float
    says: str | None
    best: tuple[tuple[float, str], ...]
    kind: str
    meaning: str


@dataclass(frozen=True)
class IssueCard:
    """What cleaning holds against a label; ``score`` runs from 0 (surely wrong) to 1."""

    kind: str
    label: str | None
    suggested: str | None
    score: float


@dataclass(frozen=True)
class ItemCard:
    """Why an item has its label: everything that spoke for or against it.

    ``n_hidden`` of the nearest items were left out of ``neighbors``.
    """

    row: int
    item_id: str
    split: str
    label: str | None
    confidence: float
    source: str
    votes: tuple[VoteCard, ...]
    weak: tuple[float, ...]
    classifier: tuple[float, ...] | None
    neighbors: tuple[Neighbor, ...]
    n_hidden: int
    bag: BagCard | None
    parts: PartsCard | None
    issue: IssueCard | None
    gold: str | None
    noisy_label: str | None


def item_card(
    view: RunView, row: int, *, neighbors: int = 8, hidden: Collection[str] = ()
) -> ItemCard:
    """Return why an item has its label; the cost does not grow with the number of items.

    Gold is given for dev items alone: test gold is for ``evaluate``.

    Parameters
    ----------
    neighbors
        How many of the most similar items to name.
    hidden
        Ids of items whose labels nobody is to see: left out of the similar items and of the bag.
    """
    weak = view.weak.iloc[row]
    label = int(view.labels[row])
    classifier = None if view.probabilities is None else view.probabilities[row]
    noisy = view.items["noisy_label"].iloc[row] if "noisy_label" in view.items else None
    similar, n_hidden = _neighbors(view, row, neighbors, hidden)
    return ItemCard(
        row=row,
        item_id=str(view.item_ids[row]),
        split=str(view.splits[row]),
        label=view.class_name(label),
        confidence=float(weak["confidence"]),
        source=str(view.sources[row]),
        votes=_votes(view, row, label),
        weak=tuple(float(weak[f"p_{name}"]) for name in view.classes),
        classifier=None if classifier is None else tuple(map(float, classifier)),
        neighbors=similar,
        n_hidden=n_hidden,
        bag=_bag(view, row, hidden),
        parts=_parts(view, row),
        issue=_issue(view, row),
        gold=view.class_name(int(view.dev_gold[row])),
        noisy_label=None if noisy is None or pd.isna(noisy) else str(noisy),
    )


def _votes(view: RunView, row: int, label: int) -> tuple[VoteCard, ...]:
    return tuple(
        VoteCard(
            lf=lf["name"],
            description=lf["description"] or "",
            says=view.vote_names[value],
            agrees=label != ABSTAIN and bool(view.allows[value, label]),
        )
        for lf, value in zip(view.lfs, view.votes[row], strict=True)
        if value != ABSTAIN
    )


def _neighbors(
    view: RunView, row: int, count: int, hidden: Collection[str]
) -> tuple[tuple[Neighbor, ...], int]:
    """Return the most similar items that are not hidden, and how many of the nearest are."""
    if view.graph is None:
        return (), 0
    indptr, indices, data = view.graph
    here = slice(indptr[row], indptr[row + 1])
    rows, similarities = indices[here], data[here]
    order = np.argsort(-similarities, kind="stable")
    is_hidden = view.are_of(rows[order], hidden)
    nearest = order[~is_hidden][:count]
    made = tuple(
        Neighbor(
            row=int(rows[i]),
            item_id=str(view.item_ids[rows[i]]),
            similarity=float(similarities[i]),
            label=view.class_name(int(view.labels[rows[i]])),
        )
        for i in nearest
    )
    return made, int(is_hidden[:count].sum())


def _bag(view: RunView, row: int, hidden: Collection[str]) -> BagCard | None:
    bag_id = view.items["bag_id"].iloc[row]
    if pd.isna(bag_id) or len(view.parts_of(str(bag_id))):
        return None
    rows, votes = view.bag_members[str(bag_id)], view.bag_votes
    scores = np.full(len(rows), np.nan) if view.bag_scores is None else view.bag_scores[rows]
    is_hidden = view.are_of(rows, hidden)
    is_shown = np.isfinite(scores) & ~is_hidden
    best = np.argsort(np.where(is_shown, -scores, np.inf), kind="stable")
    best = best[: min(N_MEMBERS, is_shown.sum())]
    own = float(scores[rows == row].item())
    return BagCard(
        bag_id=str(bag_id),
        is_positive=view.bag_labels.get(str(bag_id)),
        score=None if np.isnan(own) else own,
        says=None if votes is None else view.vote_name(int(votes[row])),
        n_items=len(rows),
        members=tuple(
            Member(int(rows[i]), str(view.item_ids[rows[i]]), float(scores[i])) for i in best
        ),
        n_hidden=int(is_hidden.sum()),
        meaning=score_meaning(view.bag_summary) if len(best) else "",
    )


def _parts(view: RunView, row: int) -> PartsCard | None:
    item_id = str(view.item_ids[row])
    parts = view.parts_of(item_id).head(N_PARTS)
    if parts.empty or view.bag_votes is None:
        return None
    words = [""] * len(parts)
    if isinstance(view.payload, Texts):
        text = view.payload[row]
        words = [text[start:stop] for start, stop in parts[["start", "stop"]].to_numpy(np.int64)]
    return PartsCard(
        # labels of items that are kept for judging would be gold
        is_positive=view.bag_labels.get(item_id) if view.splits[row] == "unlabeled" else None,
        probability=view.bag_probability[item_id],
        says=view.vote_name(int(view.bag_votes[row])),
        best=tuple(zip(parts["score"].tolist(), words, strict=True)),
        kind=str(view.bag_summary["instances"]),
        meaning=score_meaning(view.bag_summary),
    )


def _issue(view: RunView, row: int) -> IssueCard | None:
    found = view.issues_by_id.get(str(view.item_ids[row]))
    if found is None:
        return None
    return IssueCard(
        kind=str(found["kind"]),
        label=view.class_name(int(found["label"])),
        suggested=view.class_name(int(found["suggested"])),
        score=float(found["score"]),
    )
