"""Gold by hand: draw items at random, keep their roles apart, take the labels in.

Accuracy can be told only from items that were drawn at random, whatever the labels look like. A
draw gives each item one role, dev, calibration or test, for good; from the next run on the item
leaves the unlabelled ones, and its label, once a person has given it, is gold of that split.

Try it: ``weaklight gold plan --width 0.1 --role test --to gold_test.csv``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipelines.project import Project
from pipelines.reviews import GOLD_QUEUE, ReviewEvent
from pipelines.store import write_atomically
from pipelines.tables import as_class_names, read_csv, unreadable
from weaklight.contracts import ROLES
from weaklight.errors import DataError
from weaklight.seeds import numpy_generator
from weaklight.words import counted, nearest

__all__ = ["Draw", "add_gold", "draw_gold", "items_now", "write_sheet"]

_SHOWN = ("path", "text")  # what a person needs to see of an item, where the project has it


@dataclass(frozen=True)
class Draw:
    """A random draw that was recorded.

    Attributes
    ----------
    role : what the items may be used for
    items : rows of ``items.parquet`` that were drawn, in the order of the draw
    frame : how many items could have been drawn
    n_labelled : how many of the drawn ones people had labelled before, in review or in the source
    n_new : how many of the drawn ones were not there yet at some earlier draw; None where the items
        of an earlier draw are no longer known
    """

    role: str
    items: pd.DataFrame
    frame: int
    n_labelled: int = 0
    n_new: int | None = 0

    @property
    def probability(self) -> float:
        """The chance of each item of the frame to be drawn."""
        return len(self.items) / self.frame

    @property
    def set_aside(self) -> str:
        """What becomes of labels that people gave the items before; empty where nobody did."""
        if not self.n_labelled:
            return ""
        had = counted(self.n_labelled, "of them has", "of them have")
        return (
            f"{had} a label by hand from before: it stays stored, but from the next run on it "
            "neither teaches nor measures."
        )

    @property
    def unevenness(self) -> str:
        """What items that came between two draws mean for figures; empty where none did."""
        if self.n_new is None:
            return (
                "The items of an earlier draw are no longer known. If items came since, figures "
                "speak more of the older ones; state the chances under [evaluate] probability."
            )
        if not self.n_new:
            return ""
        came = counted(self.n_new, "of them has", "of them have")
        return (
            f"{came} come since an earlier draw: figures of test count each item by the inverse of "
            "its chance to be drawn."
        )


def draw_gold(project: Project, n: int, role: str, *, reviewer: str, seed: int = 0) -> Draw:
    """Draw ``n`` unlabelled items at random and record the draw and each item's role.

    Every unlabelled item has the same chance, items that somebody reviewed included: a pool
    without them would look easier than it is. Their earlier labels stay stored, but no longer train
    anything; the draw counts them.

    Raises
    ------
    DataError
        If the project was never ingested, the role is unknown, or fewer items are left.
    """
    if role not in ROLES:
        raise DataError(f"a role is one of {list(ROLES)}, but came {role!r}")
    run = project.latest_run(status=None, having="ingest")
    if run is None:
        raise DataError("no items yet; run `weaklight run` once, then draw")
    items = pd.read_parquet(project.store.path("ingest", run.artifacts["ingest"], "items"))
    store = project.reviews()
    taken = set(store.gold()["item_id"])
    came = pd.read_parquet(project.store.path("ingest", run.artifacts["ingest"], "labeled"))
    labelled = {*store.current()["item_id"], *came["item_id"]}
    open_to_draw = (items["split"] == "unlabeled") & ~items["item_id"].isin(taken)
    frame = items[open_to_draw].sort_values("item_id", ignore_index=True)
    if not 1 <= n <= len(frame):
        raise DataError(
            f"expected to draw 1 to {len(frame)} items, the unlabelled ones without a role, but "
            f"{n} are asked for; ask for a wider interval or add items"
        )
    rows = numpy_generator(seed, "gold", role, len(taken)).choice(len(frame), n, replace=False)
    drawn = frame.iloc[np.asarray(rows)].reset_index(drop=True)
    arrived = _arrived(project, store.draws()["run_id"].tolist(), drawn["item_id"])
    about = {
        "role": role,
        "seed": seed,
        "n": n,
        "frame": len(frame),
        "frame_sha256": hashlib.sha256("\n".join(frame["item_id"]).encode()).hexdigest(),
        "probability": n / len(frame),
        "arrived": arrived,
    }

    def event(action: str, item_id: str, new: str) -> ReviewEvent:
        return ReviewEvent(item_id, reviewer, action, new=new, run_id=run.run_id, queue=GOLD_QUEUE)

    store.record_many(
        [
            event("draw_sample", "", json.dumps(about)),
            *(event("set_role", item_id, role) for item_id in drawn["item_id"]),
        ]
    )
    n_labelled = int(drawn["item_id"].isin(labelled).sum())
    return Draw(role, drawn, len(frame), n_labelled, None if arrived is None else len(arrived))


def _arrived(
    project: Project, run_ids: list[str], item_ids: Iterable[str]
) -> dict[str, int] | None:
    """Return the first draw at which each item was there, less those that were at the first one.

    None where that cannot be told, as a run from which an earlier draw was made is gone.
    """
    known = {run.run_id: run for run in project.runs()} if run_ids else {}
    unseen = set(item_ids)
    arrived: dict[str, int] = {}
    for k, run_id in enumerate(run_ids):
        run = known.get(run_id)
        if run is None or not project.store.has("ingest", run.artifacts["ingest"]):
            return None
        there = pd.read_parquet(
            project.store.path("ingest", run.artifacts["ingest"], "items"),
            columns=["item_id", "split"],
        )
        seen = unseen.intersection(there.loc[there["split"] == "unlabeled", "item_id"])
        arrived |= dict.fromkeys(seen, k)
        unseen -= seen
    arrived |= dict.fromkeys(unseen, len(run_ids))
    return {item_id: k for item_id, k in sorted(arrived.items()) if k}


def items_now(project: Project) -> frozenset[str] | None:
    """Return the ids of the newest items; None where a project has none.

    What was drawn earlier and is not among them cannot be labelled and measures nothing, until it
    comes back.
    """
    run = project.latest_run(status=None, having="ingest")
    if run is None or not project.store.has("ingest", run.artifacts["ingest"]):
        return None
    path = project.store.path("ingest", run.artifacts["ingest"], "items")
    return frozenset(pd.read_parquet(path, columns=["item_id"])["item_id"])


def write_sheet(draw: Draw, file: Path) -> None:
    """Write a sheet to fill in: ``item_id``, the item's path or text, an empty ``gold``.

    No label is on it, neither a weak one nor the folder of one by hand: who has seen a suggestion
    agrees with it too often.

    Raises
    ------
    DataError
        If the file exists: labels may already be in it.
    """
    if file.exists():
        raise DataError(f"{file} exists and may hold labels; give another name")
    shown = draw.items[["item_id", *(c for c in _SHOWN if c in draw.items)]]
    if "path" in shown:
        shown = shown.assign(path=shown["path"].map(_untold, na_action="ignore"))
    # with the mark by which Excel tells UTF-8
    write_atomically(file, shown.assign(gold="").to_csv(index=False).encode("utf-8-sig"))


def _untold(path: str) -> str:
    """Return the path, without the folders of ``labeled/CLASS/``."""
    return Path(path).name if path.startswith("labeled/") else path


def add_gold(project: Project, file: Path, *, reviewer: str) -> int:
    """Take in a filled sheet, as a spreadsheet saved it; rows still empty are left for later.

    An id may have lost its leading zeros there, and a class be written in another case.

    Returns
    -------
    How many labels were recorded.

    Raises
    ------
    DataError
        Before anything is recorded: if the file cannot be read, a column is missing, a class is
        unknown, an item was never drawn or stands twice.
    """
    try:
        sheet = read_csv(file, dtype=str, keep_default_na=False)
    except (ValueError, OSError) as error:
        raise unreadable(file, error) from None
    missing = [column for column in ("item_id", "gold") if column not in sheet]
    if missing:
        raise DataError(f"{file} needs the columns item_id and gold, but lacks {missing}")
    sheet["gold"] = as_class_names(sheet["gold"], project.config.classes)
    filled = sheet[sheet["gold"].notna()].copy()
    unknown = sorted(set(filled["gold"]) - set(project.config.classes))
    if unknown:
        raise DataError(
            f"gold must name one of the classes {list(project.config.classes)}, but {unknown[:5]} "
            f"came{nearest(unknown[0], project.config.classes)}; correct them in {file}"
        )
    store = project.reviews()
    drawn = store.gold()
    before = dict(zip(drawn["item_id"], drawn["label"], strict=True))
    shortened = {item_id.lstrip("0"): item_id for item_id in before}
    if len(shortened) < len(before):  # which one is meant cannot be told
        shortened = {}
    filled["item_id"] = [i if i in before else shortened.get(i, i) for i in filled["item_id"]]
    doubled = filled.loc[filled["item_id"].duplicated(), "item_id"].tolist()
    if doubled:
        raise DataError(f"each item stands once in {file}, but {doubled[:5]} stand twice")
    strangers = sorted(set(filled["item_id"]) - before.keys())
    if strangers:
        raise DataError(
            f"only items that were drawn at random are gold, but {strangers[:5]} were not; "
            "label them in the review app, where they train, or draw with `weaklight gold plan`"
        )
    given = dict(zip(filled["item_id"], filled["gold"], strict=True))
    events = [
        ReviewEvent(item_id, reviewer, "relabel", old=before[item_id], new=new, queue=GOLD_QUEUE)
        for item_id, new in given.items()
        if before[item_id] != new
    ]
    if events:
        store.record_many(events)
    return len(events)
