"""Reviews: what people decided, in review and in the source, without dev and test items."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipelines.reviews import GOLD_QUEUE, ReviewStore
from pipelines.stages.base import StageResult, Work
from weaklight.words import counted

__all__ = ["ReviewsInputs", "reviews"]


@dataclass(frozen=True)
class ReviewsInputs:
    """Upstream files of the stage."""

    items: Path
    labeled: Path


def reviews(inputs: ReviewsInputs, config: None, work: Work) -> StageResult:
    """Write the current human decision of every item that may be used for training.

    Labels that came with the source ("labeled" rows) are decisions like any other; a review of the
    same item is newer and counts, unless it names a class that is no longer one.

    Human labels on dev or test items never reach ``aggregate`` or ``train``: they are dropped here,
    at the one door, and counted, those apart that were given before the item was drawn as gold.
    """
    items = pd.read_parquet(inputs.items, columns=["item_id", "split"])
    store = ReviewStore(work.reviews)
    current = store.current()
    known = {name: i for i, name in enumerate(work.classes)}
    human = pd.DataFrame(
        {
            "item_id": current["item_id"].astype(str),
            "action": current["action"].astype(str),
            "label": current["new"].map(lambda v: known.get(v, -1)).astype("int64"),
        }
    )
    is_outdated = (human["action"] != "exclude") & (human["label"] < 0)
    n_outdated, human = int(is_outdated.sum()), human[~is_outdated]
    labeled = pd.read_parquet(inputs.labeled).assign(action="relabel")
    human = pd.concat([human, labeled[~labeled["item_id"].isin(human["item_id"])]])
    usable = set(items.loc[items["split"] == "unlabeled", "item_id"])
    trainable = human["item_id"].isin(usable)
    human[trainable].sort_values("item_id").to_parquet(work.out / "human.parquet", index=False)
    drawn, reviewed = store.gold()["item_id"], store.current(outside=GOLD_QUEUE)["item_id"]
    held_back = int((~trainable & ~human["item_id"].isin(drawn)).sum())
    set_aside = int(reviewed.isin(drawn).sum())
    notes = []
    if n_outdated:
        named = counted(n_outdated, "review names a class", "reviews name classes")
        notes.append(f"{named} that weaklight.toml no longer has")
    if held_back:
        of = "of dev, test or removed items"
        kept_out = counted(held_back, f"review {of} is", f"reviews {of} are")
        notes.append(f"{kept_out} kept out of training")
    if set_aside:
        before = counted(
            set_aside,
            "item was reviewed before it was drawn",
            "items were reviewed before they were drawn",
        )
        notes.append(
            f"{before} as gold: what was said then is kept, but neither teaches nor measures"
        )
    return StageResult({"human": "human.parquet"}, {"n_human": int(trainable.sum())}, tuple(notes))
