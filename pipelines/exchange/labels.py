"""The weak labels of a run as they leave the project: which rows, with what beside them.

Try it: ``weak_labels(RunView.latest(Project.open("my_project"))).table``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.project import Project
from pipelines.queries import RunView
from pipelines.sections import Kind
from weaklight.contracts import SPLITS
from weaklight.errors import ConfigError, DataError
from weaklight.words import nearest

__all__ = ["WeakLabels", "weak_labels"]


@dataclass(frozen=True)
class WeakLabels:
    """Weak labels of n items; made from votes, bags, features and people, never from gold.

    Attributes
    ----------
    table
        n rows: ``item_id``, ``split``, ``path`` and ``text`` where the items have them, ``label``
        (class name, None where uncovered), ``confidence``, ``covered``, ``source`` (human, votes,
        features, bag) and, where the run has cleaned, ``weight``: what its own classifier trains
        with, 0 for a label that the features contradict.
    probabilities
        (n, K) float32 of the label model, rows sum to 1.
    out_of_fold
        (n, K) float32 of a classifier on the features that never saw the row, rows sum to 1; None
        where the run has not cleaned.
    rows
        (n,) int64 positions in the run's ``items.parquet``.
    left_out
        How many items of the run are not here, by reason.
    abstain_rate
        Share of the run's items in these splits about which no source said anything.
    settings
        The thresholds that were asked for.
    """

    view: RunView
    table: pd.DataFrame
    probabilities: NDArray[np.float32]
    out_of_fold: NDArray[np.float32] | None
    rows: NDArray[np.int64]
    left_out: Mapping[str, int]
    abstain_rate: float
    settings: Mapping[str, object]

    @property
    def classes(self) -> tuple[str, ...]:
        """The K class names; index = class id."""
        return self.view.classes

    @property
    def kind(self) -> Kind:
        """What the items are."""
        return _kind(self.view)

    @property
    def names(self) -> dict[str, str]:
        """Map ``item_id``, ``text`` and ``path`` to what the source calls them, where it differs.

        A name that another column of the table has is left out.
        """
        config, content = self.view.project.config.items, "text" if self.kind == "text" else "path"
        named = {"item_id": config.item_id, content: getattr(config, self.kind)}
        return {
            role: name
            for role, name in named.items()
            if isinstance(name, str) and role in self.table and name not in self.table
        }

    @property
    def flat_table(self) -> pd.DataFrame:
        """The table as the source names its columns, ``p_<class>`` for each, the source's others.

        A column of the source whose name is taken becomes ``<name>_in_source``.
        """
        p = pd.DataFrame(self.probabilities, columns=[f"p_{name}" for name in self.classes])
        ours = pd.concat([self.table.rename(columns=self.names), p], axis=1)
        items = self.view.items.dropna(axis=1, how="all")
        there = {"sha256", "item_id", "split", "text" if self.kind == "text" else "path"}
        others = [c for c in items if c not in there]
        theirs = items[others].iloc[self.rows].reset_index(drop=True)
        theirs.columns = pd.Index([f"{c}_in_source" if c in ours else c for c in others])
        return pd.concat([ours, theirs], axis=1)

    @property
    def label_ids(self) -> NDArray[np.int64]:
        """(n,) class ids, -1 where uncovered."""
        return self.view.labels[self.rows]

    def images(self) -> Iterator[bytes]:
        """Yield each item's image file as it is in the source.

        Raises
        ------
        DataError
            If the source no longer holds the image that the run saw.

        Notes
        -----
        Reads the table of the source once; image files are read one at a time.
        """
        payloads = _payloads(self.view.project)
        digests = self.view.items["sha256"].to_numpy(dtype=object)[self.rows]
        for item_id, sha256 in zip(self.table["item_id"], digests, strict=True):
            payload = payloads.get(item_id)
            data = payload.read_bytes() if isinstance(payload, Path) else payload
            if data is None or hashlib.sha256(data).hexdigest() != sha256:
                raise DataError(
                    f"the image of item {item_id!r} in the source is not the one that run "
                    f"{self.view.run_id} saw; run `weaklight run` and export the new run"
                )
            yield data

    def take(self, keep: NDArray[np.bool_], reason: str) -> WeakLabels:
        """Return the rows where ``keep`` (n,) is true; the others are counted under ``reason``."""
        counts = {**self.left_out, reason: int((~keep).sum())}
        return replace(
            self,
            table=self.table[keep].reset_index(drop=True),
            probabilities=self.probabilities[keep],
            out_of_fold=None if self.out_of_fold is None else self.out_of_fold[keep],
            rows=self.rows[keep],
            left_out={name: n for name, n in counts.items() if n},
        )


def weak_labels(
    view: RunView,
    *,
    splits: Collection[str] = ("unlabeled",),
    min_confidence: float = 0.0,
    include_uncovered: bool = False,
) -> WeakLabels:
    """Gather the weak labels of a run.

    Parameters
    ----------
    view
        A run that reached ``aggregate``.
    splits
        Splits to export. dev, calibration and test carry weak labels too; whoever trains on them
        can no longer be judged by them.
    min_confidence
        Leave out labels with less confidence, 0..1.
    include_uncovered
        Keep items without any evidence; their label is None.

    Raises
    ------
    ConfigError
        If a split is unknown or the confidence lies outside 0..1.
    DataError
        If no row is left.

    Notes
    -----
    An item that a person excluded never leaves. Gold is not read.
    """
    unknown = sorted(set(splits) - set(SPLITS))
    if unknown or not splits:
        near = nearest(unknown[0], SPLITS) if unknown else ""
        raise ConfigError(
            f"--split must be one of {list(SPLITS)}, but came {unknown or 'empty'}{near}"
        )
    if not 0 <= min_confidence <= 1:
        raise ConfigError(f"--min-confidence must lie in 0..1, but is {min_confidence}")
    everything = _all_rows(view)
    in_split = everything.table["split"].isin(list(splits)).to_numpy()
    labels = everything.take(in_split, "of another split")
    covered = labels.table["covered"].to_numpy(bool)
    labels = replace(
        labels,
        abstain_rate=float(1 - covered.mean()) if len(covered) else 0.0,
        settings={
            "splits": [s for s in SPLITS if s in splits],
            "min_confidence": min_confidence,
            "include_uncovered": include_uncovered,
        },
    )
    labels = labels.take(~labels.table["item_id"].isin(_excluded(view)).to_numpy(), "excluded")
    if not include_uncovered:
        labels = labels.take(labels.table["covered"].to_numpy(bool), "uncovered")
    is_sure = (labels.table["confidence"] >= min_confidence) | ~labels.table["covered"]
    labels = labels.take(is_sure.to_numpy(bool), f"confidence below {min_confidence}")
    if labels.table.empty:
        raise DataError(
            f"no weak label is left to export: {dict(labels.left_out)}; lower --min-confidence, "
            "add --include-uncovered or name another --split"
        )
    return labels


def _all_rows(view: RunView) -> WeakLabels:
    weak, items = view.weak, view.items
    names = np.array([*view.classes, None], dtype=object)
    table = items[["item_id", "split"]].copy()
    if _kind(view) == "text":
        table["text"] = items["text"]
    elif items["path"].notna().any():
        table["path"] = items["path"]
    table["label"] = names[view.labels]
    for column in ("confidence", "covered", "source"):
        table[column] = weak[column]
    weights, out_of_fold = view.path("clean", "weights"), view.path("clean", "out_of_fold")
    if weights is not None:
        table["weight"] = np.load(weights, allow_pickle=False)
    return WeakLabels(
        view=view,
        table=table,
        probabilities=weak[[f"p_{name}" for name in view.classes]].to_numpy(np.float32),
        out_of_fold=None if out_of_fold is None else np.load(out_of_fold, allow_pickle=False),
        rows=np.arange(len(items)),
        left_out={},
        abstain_rate=0.0,
        settings={},
    )


def _kind(view: RunView) -> Kind:
    ingest = view.project.store.manifest("ingest", view.record.artifacts["ingest"])
    kind: Kind = ingest.metrics.get("kind", "image")  # ingest 1 knew images alone
    return kind


def _excluded(view: RunView) -> set[str]:
    """Return the items that a person excluded before this run."""
    path = view.path("reviews", "human")
    if path is None:
        return set()
    human = pd.read_parquet(path)
    return set(human.loc[human["action"] == "exclude", "item_id"])


def _payloads(project: Project) -> dict[str, bytes | Path | None]:
    from pipelines.readers import find_source, read_source

    items = project.config.items
    _, raw = read_source(find_source(project.root, items), items, project.config.seed)
    raw = raw[raw["item_id"].notna()].drop_duplicates("item_id")
    return dict(zip(raw["item_id"].astype(str), raw["payload"], strict=True))
