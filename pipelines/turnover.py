"""What became of the items since the run before: come, gone, changed, and what people said of them.

Reviews and gold stick to an item's id. Whether its content is still what a person saw, only two
ingests beside one another can tell.

Try it: let the source grow and run ``weaklight run``.
"""

from __future__ import annotations

import pandas as pd

from pipelines.project import Project
from pipelines.readers import first_few
from weaklight.words import counted

__all__ = ["turnover"]


def turnover(project: Project, before: str, now: str) -> tuple[str, ...]:
    """Say how the items of two ingests differ.

    Parameters
    ----------
    before, now
        Digests of ``ingest`` artifacts.

    Returns
    -------
    One sentence on the items and one on the labels by hand that are concerned, each where there is
    something to say.
    """
    old, new = _items(project, before), _items(project, now)
    both = old.index.intersection(new.index)
    came, gone = new.index.difference(old.index), old.index.difference(new.index)
    changed = both[(old.loc[both, "sha256"] != new.loc[both, "sha256"]).to_numpy()]
    moved = both[(old.loc[both, "split"] != new.loc[both, "split"]).to_numpy()]
    told = [
        counted(len(ids), f"item {one}", f"items {many}")
        for ids, one, many in (
            (came, "is new", "are new"),
            (gone, "is gone", "are gone"),
            (changed, "has other content", "have other content"),
            (moved, "is in another split", "are in another split"),
        )
        if len(ids)
    ]
    if not told:
        return ()
    return (f"since the run before, {', '.join(told)}", *_by_hand(project, gone, changed))


def _by_hand(project: Project, gone: pd.Index, changed: pd.Index) -> tuple[str, ...]:
    if not project.has_reviews or not len(gone) + len(changed):
        return ()
    decided = pd.Index(project.reviews().current()["item_id"])
    waiting, doubtful = decided.intersection(gone), decided.intersection(changed)
    told = []
    if len(waiting):
        of_them = counted(len(waiting), "has a label by hand", "have labels by hand")
        told.append(f"of those gone, {of_them}: kept, in case they return")
    if len(doubtful):
        one, many = "has a label by hand, which counts", "have labels by hand, which count"
        told.append(
            f"of those with other content, {counted(len(doubtful), one, many)} all the same: "
            f"look again at {first_few(list(doubtful))}"
        )
    return tuple(told)


def _items(project: Project, digest: str) -> pd.DataFrame:
    path = project.store.path("ingest", digest, "items")
    return pd.read_parquet(path, columns=["item_id", "split", "sha256"]).set_index("item_id")
