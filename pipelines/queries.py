"""A finished run, read from its artifacts alone.

"Row" always means the position of an item in ``items.parquet``. Nothing is loaded before it is
asked for, images are memory-mapped, and gold of the test split is never read here. Questions about
labelling functions are answered in ``lf_queries``, orders of review in ``queues``, one item in
``cards``, label models in ``candidates``.

Try it: ``RunView.latest(Project.open("my_project")).labels``.
"""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Hashable, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from pipelines.exhibits import Exhibit, curve, data_uri, excerpt, sound
from pipelines.heat import Heat, heat_of
from pipelines.payload import Payload, Texts, load_payload
from pipelines.pixels import Pixels
from pipelines.project import Project, RunRecord
from weaklight.contracts import ABSTAIN, ClassSet, Votes, expand_votes
from weaklight.errors import DataError

__all__ = ["Rows", "RunView"]

Rows = NDArray[np.int64]
EXCERPT_CHARACTERS = 260  # of a text on a tile: eight lines of a narrow one


class RunView:
    """One finished run, read-only; artifacts are immutable, so a view never goes stale.

    Parameters
    ----------
    project
        The opened project.
    record
        A run that reached ``ingest``; questions about votes need ``vote``, those about labels
        ``aggregate``.
    """

    def __init__(self, project: Project, record: RunRecord) -> None:
        self.project = project
        self.record = record
        self.run_id = record.run_id
        # Every stage that knows the classes wrote down the same ones.
        manifest = project.store.manifest("ingest", record.artifacts["ingest"])
        self.classes: tuple[str, ...] = tuple(manifest.config["classes"])
        self.class_sets = tuple(
            ClassSet(name, tuple(members)) for name, *members in manifest.config["class_sets"]
        )
        # 4096 thumbnails are some 10 MB: every page that a reviewer sees in an hour.
        self.picture = lru_cache(maxsize=4096)(self._encode)

    @classmethod
    def latest(cls, project: Project) -> RunView | None:
        """Return the newest finished run that has labels, None when there is none."""
        record = project.latest_run(having="aggregate")
        return None if record is None else cls(project, record)

    # -- artifacts ------------------------------------------------------------------------------

    def path(self, stage: str, output: str) -> Path | None:
        """Return where this run's output lies.

        None when the run had no such stage, or is from before its stage had such an output.
        """
        digest = self.record.artifacts.get(stage)
        if digest is None or output not in self.project.store.manifest(stage, digest).outputs:
            return None
        return self.project.store.path(stage, digest, output)

    @cached_property
    def items(self) -> pd.DataFrame:
        """One row an item, in source order."""
        return self._table("ingest", "items")

    @cached_property
    def item_ids(self) -> NDArray[np.object_]:
        """(n,) ids by row."""
        return self.items["item_id"].to_numpy(dtype=object)

    @cached_property
    def splits(self) -> NDArray[np.object_]:
        """(n,) split by row."""
        return self.items["split"].to_numpy(dtype=object)

    @cached_property
    def weak(self) -> pd.DataFrame:
        """The weak labels of all items."""
        return self._table("aggregate", "weak_labels")

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """(n,) class ids of the weak labels, -1 where an item has none."""
        labels = self.weak["label"].to_numpy(np.int64)
        return np.where(self.weak["covered"].to_numpy(bool), labels, ABSTAIN)

    @cached_property
    def posterior(self) -> NDArray[np.float32]:
        """(n, K) probabilities of the weak labels."""
        return self.weak[[f"p_{name}" for name in self.classes]].to_numpy(np.float32)

    @cached_property
    def votes(self) -> Votes:
        """(n, m) int16 votes of the LFs."""
        votes = self._array("vote", "votes")
        return np.empty((len(self.items), 0), np.int16) if votes is None else votes

    @cached_property
    def lfs(self) -> list[dict[str, Any]]:
        """What ``vote`` says about each LF, in column order."""
        found: list[dict[str, Any]] = self._json("vote", "lfs") or []
        return found

    @cached_property
    def dev_gold(self) -> NDArray[np.int64]:
        """(n,) gold of dev rows, -1 elsewhere."""
        gold = np.full(len(self.items), ABSTAIN, dtype=np.int64)
        table = self._table("ingest", "gold_dev")
        gold[self.rows_of(table["item_id"])] = table["gold"].to_numpy(np.int64)
        return gold

    @cached_property
    def probabilities(self) -> NDArray[np.float32] | None:
        """(n, K) probabilities of the classifier, None when the run trained none."""
        return self._array("train", "probabilities")

    @cached_property
    def sources(self) -> NDArray[np.object_]:
        """(n,) what gave each item its label: human, votes, features, bag or none."""
        return np.where(
            self.labels == ABSTAIN, "none", self.weak["source"].to_numpy(dtype=object)
        ).astype(object)

    @cached_property
    def graph(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]] | None:
        """CSR parts ``indptr``, ``indices``, ``data`` of the neighbor graph, None without one."""
        folder = self.path("embed", "graph")
        if folder is None:
            return None
        indptr, indices, data = (
            np.load(folder / f"{part}.npy", mmap_mode="r", allow_pickle=False)
            for part in ("indptr", "indices", "data")
        )
        return indptr, indices, data

    @cached_property
    def bag_votes(self) -> Votes | None:
        """(n,) what the bags say of their items, None when the run did no bags."""
        return self._array("bags", "votes")

    @cached_property
    def bag_scores(self) -> NDArray[np.float32] | None:
        """(n,) cross-fitted instance probabilities, NaN outside bags."""
        return self._array("bags", "scores")

    @cached_property
    def bag_probability(self) -> dict[str, float]:
        """Cross-fitted probability that a bag holds the positive class, by bag id."""
        table = self._table("bags", "bags")
        return {} if table.empty else dict(zip(table["bag_id"], table["probability"], strict=True))

    def parts_of(self, item_id: str) -> pd.DataFrame:
        """Return where the parts of an item that is a bag lie and their ``score``, best first."""
        if item_id not in self._parts:
            return pd.DataFrame()
        table: pd.DataFrame = self._instances.iloc[self._parts[item_id]]
        return table.sort_values("score", ascending=False, kind="stable")

    @cached_property
    def bag_labels(self) -> dict[str, bool]:
        """Whether a labelled bag holds the positive class, by bag id."""
        known = self._table("ingest", "bag_labels")
        if known.empty:
            return {}
        known = known[known["bag_label"].notna()]
        return {str(b): bool(v) for b, v in zip(known["bag_id"], known["bag_label"], strict=True)}

    @cached_property
    def bag_members(self) -> dict[str, Rows]:
        """The rows of each bag's items, by bag id."""
        found = self.items.groupby("bag_id", sort=False).indices
        return {str(bag_id): np.asarray(rows, np.int64) for bag_id, rows in found.items()}

    @cached_property
    def bag_summary(self) -> dict[str, Any]:
        """How bags were learnt from: ``method``, ``positive``, ``instances`` and the outcome."""
        return self._json("bags", "summary") or {}

    @cached_property
    def issues_by_id(self) -> dict[str, dict[Hashable, Any]]:
        """The doubt that cleaning has about an item's label, by item id, worst item first."""
        table = self._table("clean", "issues")
        table = table[table["kind"] == "label"]
        if table.empty:
            return {}
        worst = table.sort_values("score", kind="stable").drop_duplicates("item_id")
        return {str(r["item_id"]): r for r in worst.to_dict("records")}

    @cached_property
    def payload(self) -> Payload:
        """The items themselves, read on demand."""
        items = self.path("ingest", "items")
        assert items is not None  # a run with labels has ingested
        manifest = self.project.store.manifest("ingest", self.record.artifacts["ingest"])
        pixels, signals = (
            items.parent / manifest.outputs[name].file if name in manifest.outputs else None
            for name in ("pixels", "signals")
        )
        return load_payload(items, pixels, signals)

    # -- the run --------------------------------------------------------------------------------

    def evaluation(self) -> dict[str, Any]:
        """Return what ``evaluation.json`` holds, see docs/report.md; empty where nothing does."""
        return self._json("evaluate", "evaluation") or {}

    def headline(self) -> list[dict[str, Any]]:
        """Return the run's numbers: key, title, split, value, low, high, n."""
        return list(self.evaluation().get("headline", []))

    def right_on_dev(self) -> dict[str, dict[str, Any]]:
        """Return how often each step's labels are right on dev: value, low, high, n by its key.

        Steps are the label models, ``chosen`` and ``classifier``, as the report counts them.
        """
        steps = self.evaluation().get("steps", [])
        return {step["key"]: step["dev"]["overall"] for step in steps}

    def choice(self) -> dict[str, Any]:
        """Return which label model was chosen, and why."""
        return self._json("aggregate", "choice") or {}

    def notes(self) -> list[tuple[str, str]]:
        """Return what each stage wants people to know: (stage, sentence)."""
        return [(stage.name, note) for stage in self.record.stages for note in stage.notes]

    def source_counts(self) -> pd.Series:
        """Return how many unlabelled items owe their label to which source."""
        return pd.Series(self.sources[self.splits == "unlabeled"]).value_counts()

    # -- items ----------------------------------------------------------------------------------

    def rows_of(self, item_ids: Sequence[str] | pd.Series) -> Rows:
        """Return the rows of these items.

        Raises
        ------
        DataError
            If an id is not in this run.
        """
        rows = self._index.get_indexer(pd.Index(item_ids, dtype=object))
        if (rows < 0).any():
            unknown = [i for i, row in zip(item_ids, rows, strict=True) if row < 0]
            raise DataError(
                f"{len(unknown)} ids are not in run {self.run_id}, such as {unknown[:3]}; "
                "reload the page to see the newest run"
            )
        return np.asarray(rows, dtype=np.int64)

    def are_of(self, rows: Rows, item_ids: Collection[str]) -> NDArray[np.bool_]:
        """Say which rows are of one of these items, some of which may not be in this run."""
        known = self._index.get_indexer(pd.Index([*item_ids], dtype=object))
        return np.isin(rows, known)

    def map_points(self) -> pd.DataFrame | None:
        """Return ``x``, ``y``, ``label``, ``confidence``, ``source``, ``split`` by row, or None."""
        layout = self._array("embed", "map")
        if layout is None:
            return None
        names = np.array([*self.classes, None], dtype=object)
        return pd.DataFrame(
            {
                "x": layout[:, 0],
                "y": layout[:, 1],
                "item_id": self.item_ids,
                "label": names[self.labels],
                "confidence": self.weak["confidence"].to_numpy(np.float32),
                "source": self.sources,
                "split": self.splits,
            }
        )

    def exhibit(self, row: int, *, large: bool = False) -> Exhibit:
        """Return what people see of an item; ``large`` is for a card, with a clip's sound."""
        if isinstance(self.payload, Pixels):
            png = self.picture(int(row), 224 if large else 112)
            return Exhibit(picture=data_uri(png, "image/png"))
        if isinstance(self.payload, Texts):
            text = self.payload[row]
            return Exhibit(words=text if large else excerpt(text, EXCERPT_CHARACTERS))
        signal = self.payload[row]
        heard = ""
        if large and self.payload.kind == "audio":
            clip = signal.astype(np.int16)
            heard = data_uri(sound(clip, self.payload.sample_rate), "audio/wav")
        return Exhibit(picture=data_uri(curve(signal), "image/svg+xml"), sound=heard)

    def heat(self, row: int) -> Heat | None:
        """Return an item under the scores of its parts, None where it is no bag of parts."""
        parts = self.parts_of(str(self.item_ids[row]))
        if parts.empty:
            return None
        return heat_of(self.payload, row, parts, self.exhibit(row, large=True).picture)

    def _encode(self, row: int, at_least: int = 112) -> bytes:
        """Return an image as PNG bytes, each pixel repeated until it is large enough."""
        assert isinstance(self.payload, Pixels)
        image = self.payload[int(row)]
        repeat = max(1, -(-at_least // max(image.shape[:2])))
        large = image.repeat(repeat, axis=0).repeat(repeat, axis=1)
        buffer = io.BytesIO()
        Image.fromarray(large[..., 0] if large.shape[2] == 1 else large).save(
            buffer, format="PNG", compress_level=1
        )
        return buffer.getvalue()

    # -- names --------------------------------------------------------------------------------

    @cached_property
    def vote_names(self) -> tuple[str, ...]:
        """Names by vote value: the classes, then the class sets."""
        return (*self.classes, *(s.name for s in self.class_sets))

    @cached_property
    def allows(self) -> NDArray[np.bool_]:
        """(K + n_sets, K): whether a vote value allows a class."""
        return expand_votes(len(self.classes), self.class_sets) > 0

    def class_name(self, value: int) -> str | None:
        """Return a class by id, None for abstain."""
        return None if value == ABSTAIN else self.classes[value]

    def vote_name(self, value: int) -> str | None:
        """Return the class or class set that a vote value names, None for abstain."""
        return None if value == ABSTAIN else self.vote_names[value]

    # -- private --------------------------------------------------------------------------------

    def _table(self, stage: str, output: str) -> pd.DataFrame:
        path = self.path(stage, output)
        return pd.DataFrame() if path is None else pd.read_parquet(path)

    def _json(self, stage: str, output: str) -> Any:
        path = self.path(stage, output)
        return None if path is None else json.loads(path.read_text(encoding="utf-8"))

    def _array(self, stage: str, output: str) -> NDArray[Any] | None:
        path = self.path(stage, output)
        return None if path is None else np.load(path, mmap_mode="r", allow_pickle=False)

    @cached_property
    def _instances(self) -> pd.DataFrame:
        return self._table("bags", "instances")

    @cached_property
    def _parts(self) -> dict[Any, Any]:
        """Rows of the instances by item id."""
        table = self._instances
        return {} if table.empty else dict(table.groupby("item_id", sort=False).indices)

    @cached_property
    def _index(self) -> pd.Index:
        return pd.Index(self.item_ids)
