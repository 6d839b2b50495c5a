"""What became of the items since the run before: come, gone, changed, and what people said of them.

Reviews and gold stick to an item's id. Whether its content is still what a person saw, only two
ingests beside one another can tell. So with columns: a function that reads one which new items
lack falls silent on them, and nothing else would say so.

Try it: let the source grow and run ``weaklight run``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
from pyarrow.parquet import read_schema

from pipelines.project import Project
from pipelines.readers import first_few
from pipelines.sections import NOISY_LABEL
from weaklight.words import counted

__all__ = ["turnover"]

_OF_EVERY_ITEM = ("item_id", "split", "sha256")
_NOT_METADATA = (*_OF_EVERY_ITEM, "path", "text", "bag_id", NOISY_LABEL)
# A sparse column may well be empty in a few new items: say so where chance would rarely do it.
_RARELY = 0.01


def turnover(project: Project, before: str, now: str) -> tuple[str, ...]:
    """Say how the items of two ingests differ.

    Parameters
    ----------
    before, now
        Digests of ``ingest`` artifacts.

    Returns
    -------
    One sentence on the items, one on the labels by hand that are concerned and one on the columns,
    each where there is something to say.
    """
    earlier, later = (project.store.path("ingest", digest, "items") for digest in (before, now))
    old, new = (_read(path, _OF_EVERY_ITEM) for path in (earlier, later))
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
    items = (f"since the run before, {', '.join(told)}",) if told else ()
    columns = _columns(earlier, later, old["split"], new.loc[came, "split"])
    return (*items, *_by_hand(project, gone, changed), *columns)


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


def _columns(before: Path, now: Path, old: pd.Series, came: pd.Series) -> tuple[str, ...]:
    """Say which columns came, went, or are empty in all new items.

    ``old`` and ``came`` hold the splits of the items of before and of the new ones.
    """
    of_old, of_now = _metadata(before), _metadata(now)
    new = [column for column in of_now if column not in of_old]
    gone = [column for column in of_old if column not in of_now]
    both = [NOISY_LABEL, *(column for column in of_now if column in of_old)]
    empty: list[str] = []
    if len(came):
        rows = _read(now, both).loc[came.index]
        candidates = [name for name in both if not any(_filled(rows[name]))]
        alike = old[old.isin(came.unique())]  # gold alone may have some columns
        rows = _read(before, candidates).loc[(alike if len(alike) else old).index]
        shares = {name: sum(_filled(rows[name])) / len(rows) for name in candidates}
        empty = [name for name, share in shares.items() if (1 - share) ** len(came) < _RARELY]
    where = f"empty in all {len(came):,} new items" if len(came) > 1 else "empty in the new item"
    told = [
        f"{first_few(names)} {'is' if len(names) == 1 else 'are'} {what}"
        for names, what in ((new, "new"), (gone, "gone"), (empty, where))
        if names
    ]
    return (f"of the columns, {'; '.join(told)}",) if told else ()


def _metadata(items: Path) -> list[str]:
    return [name for name in read_schema(items).names if name not in _NOT_METADATA]


def _filled(column: pd.Series) -> Iterator[bool]:
    """Yield for each cell that is not missing whether it says anything; blanks do not."""
    return (not isinstance(cell, str) or bool(cell.strip()) for cell in column.dropna())


def _read(items: Path, columns: Sequence[str]) -> pd.DataFrame:
    wanted = dict.fromkeys(("item_id", *columns))
    return pd.read_parquet(items, columns=list(wanted)).set_index("item_id")
