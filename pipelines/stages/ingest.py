"""Ingest: read the source, drop what cannot be used and say why, keep gold apart.

Try it: ``weaklight run --only ingest``.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from pipelines.decode import DECODERS, Decoded
from pipelines.draws import drawn_gold
from pipelines.item_cache import cached_rows
from pipelines.measured import measurer
from pipelines.pixels import write_pixels
from pipelines.readers import find_source, first_few, read_source
from pipelines.reviews import ReviewStore
from pipelines.sections import ItemsConfig, Kind
from pipelines.signals import write_signals
from pipelines.stages.base import StageResult, Work
from pipelines.tables import told_encoding
from weaklight.contracts import ROLES, SOURCE_SPLITS, SPLITS
from weaklight.errors import DataError
from weaklight.words import counted

__all__ = ["IngestInputs", "ingest"]

_RESERVED = ("item_id", "split", "sha256", "path", "bag_id", "noisy_label")
_NOT_METADATA = ("payload", "gold", "bag_label")
_EXAMPLES = 5


@dataclass(frozen=True)
class IngestInputs:
    """Ingest has no upstream stage; it reads the source that ``[items]`` names."""


@dataclass
class _Drops:
    """Rows left out, counted by reason, with a few examples of each."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, who: str) -> None:
        self.counts[reason] += 1
        shown = self.examples.setdefault(reason, [])
        if len(shown) < _EXAMPLES:
            shown.append(who)


def ingest(inputs: IngestInputs, config: ItemsConfig, work: Work) -> StageResult:
    """Read, validate and decode the source.

    Raises
    ------
    DataError
        If no usable item remains, a split is unknown, gold names an unknown class, or the items do
        not fit together: several sampling rates, several numbers of channels.
    """
    source = find_source(work.project_root, config)
    kind, raw = read_source(source, config, work.seed)
    n_read = len(raw)
    drops = _Drops()
    table = _drop_bad_ids(raw, drops)
    table["split"] = _splits(table["split"])
    came_labeled = table["split"] == "labeled"
    table["split"] = table["split"].mask(came_labeled, "unlabeled")
    by_draw = drawn_gold(ReviewStore(work.reviews)).set_index("item_id")
    table = _drawn_as_gold(table, by_draw)
    gold = _gold_ids(table, work.classes)
    decoded = DECODERS[kind](table, config, drops.add, work.progress)
    table = table.iloc[decoded.rows]
    gold = gold.loc[table.index]
    others = source.relative(source.others)
    if table.empty:
        held = f"it holds other files alone: {first_few(others)}" if others else "it is empty"
        raise DataError(
            f"the source {config.source} gave {n_read} rows and none can be used: "
            f"{dict(drops.counts) or held}; check [items] in weaklight.toml"
        )
    table = table.assign(sha256=decoded.sha256)
    if kind == "text":
        table["text"] = decoded.payload
    bag_labels, notes = _bags(table)
    notes += decoded.notes
    notes += told_encoding(raw)
    if others:
        alone = counted(len(others), "file that is", "files that are")
        notes.append(f"left alone {alone} no {kind}: {first_few(others)}")

    order = [*_RESERVED, *(c for c in table.columns if c not in (*_RESERVED, *_NOT_METADATA))]
    _write_table(table[order], work.out / "items.parquet")
    payload = _write_payload(kind, decoded, config, work)
    attributes = _attributes(table, kind, decoded, config, work)
    _write_table(attributes, work.out / "attributes.parquet")
    golds = pd.DataFrame({"item_id": table["item_id"], "gold": gold})
    gold_files = {f"gold_{role}": f"gold_{role}.parquet" for role in ROLES}
    for role, file in zip(ROLES, gold_files.values(), strict=True):
        rows = (table["split"] == role) & (gold >= 0)
        known = golds[rows].astype({"gold": "int64"})
        if role == "test":  # NaN where gold came with the source
            known["chance"] = known["item_id"].map(by_draw["chance"]).astype("float64")
        _write_table(known, work.out / file)
    # not where it was drawn since
    teaches = came_labeled.loc[table.index] & (table["split"] == "unlabeled")
    labeled = golds[teaches & (gold >= 0)].rename(columns={"gold": "label"})
    _write_table(labeled.astype({"label": "int64"}), work.out / "labeled.parquet")
    _write_table(bag_labels, work.out / "bag_labels.parquet")

    counts = {s: int((table["split"] == s).sum()) for s in SPLITS}
    ignored = int(((table["split"] == "unlabeled") & ~teaches & (gold >= 0)).sum())
    if ignored:
        notes.append(
            f"gold of {counted(ignored, 'unlabeled row')} was not read; to learn from it, write "
            '"labeled" as split'
        )
    n_drawn = int((came_labeled.loc[table.index] & (table["split"] != "unlabeled")).sum())
    if n_drawn:
        drawn = counted(n_drawn, "labeled item was", "labeled items were")
        notes.append(f"{drawn} drawn as gold: what label came with it no longer teaches")
    n_open = int((teaches & (gold < 0)).sum())
    if n_open:
        notes.append(
            counted(
                n_open,
                "labeled item has no gold, so it is an unlabeled one",
                "labeled items have no gold, so they are unlabeled ones",
            )
        )
    for role in ROLES:
        n_open = int(((table["split"] == role) & (gold < 0)).sum())
        if n_open:
            without = counted(n_open, f"{role} item has", f"{role} items have")
            notes.append(f"{without} no gold, so nothing is judged on them")
    notes += [
        f"dropped {counted(n, 'row')}: {reason}: {first_few(drops.examples[reason], n)}"
        for reason, n in sorted(drops.counts.items())
    ]
    report = {
        "source": config.source,
        "kind": kind,
        "read": n_read,
        "kept": len(table),
        "dropped": dict(sorted(drops.counts.items())),
        "examples": dict(sorted(drops.examples.items())),
        "splits": counts,
        **decoded.facts,
        "notes": notes,
    }
    (work.out / "ingest.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return StageResult(
        outputs={
            "items": "items.parquet",
            **payload,
            "attributes": "attributes.parquet",
            **gold_files,
            "labeled": "labeled.parquet",
            "bag_labels": "bag_labels.parquet",
            "report": "ingest.json",
        },
        metrics={
            "n": len(table),
            "n_read": n_read,
            "n_dropped": n_read - len(table),
            **{f"n_{s}": n for s, n in counts.items()},
            "n_labeled": len(labeled),
            "n_bags": len(bag_labels),
            "kind": kind,
            **decoded.facts,
        },
        notes=tuple(notes),
    )


def _drop_bad_ids(raw: pd.DataFrame, drops: _Drops) -> pd.DataFrame:
    missing = raw["item_id"].isna() | (raw["item_id"].astype(str).str.strip() == "")
    for row in raw.index[missing]:
        drops.add("no item_id", f"row {row}")
    table = raw[~missing].copy()
    table["item_id"] = table["item_id"].astype(str)
    double = table["item_id"].duplicated(keep="first")
    for item in table.loc[double, "item_id"]:
        drops.add("duplicate item_id (the first one is kept)", item)
    return table[~double].reset_index(drop=True)


def _splits(column: pd.Series) -> pd.Series:
    split = column.where(column.notna(), "unlabeled").astype(str).str.strip()
    unknown = sorted(set(split) - set(SOURCE_SPLITS))
    if unknown:
        raise DataError(
            f"split must be one of {list(SOURCE_SPLITS)}, but {unknown[:5]} came; rename them"
        )
    return split


def _drawn_as_gold(table: pd.DataFrame, drawn: pd.DataFrame) -> pd.DataFrame:
    """Move items that were drawn at random (`pipelines.gold`) into the split of their role."""
    moves = table["item_id"].isin(drawn.index) & (table["split"] == "unlabeled")
    ids = table.loc[moves, "item_id"]
    return table.assign(
        split=table["split"].mask(moves, ids.map(drawn["role"])),
        gold=table["gold"].astype(object).mask(moves, ids.map(drawn["label"])),
    )


def _gold_ids(table: pd.DataFrame, classes: tuple[str, ...]) -> pd.Series:
    names = table["gold"]
    known = {name: i for i, name in enumerate(classes)}
    ids = names.map(lambda v: known.get(v.strip(), -2) if isinstance(v, str) and v.strip() else -1)
    unknown = names[ids == -2]
    if len(unknown):
        counts = unknown.value_counts().head(5).to_dict()
        raise DataError(
            f"gold must name one of the classes {list(classes)}, but {counts} came; "
            "add them to `classes` in weaklight.toml or correct the gold column"
        )
    return ids.astype("int64")


def _bags(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return one label per bag; a bag without a label, or with two, is dissolved and counted.

    Where labels came and no bags, each labelled item is a bag of its own.
    """
    notes: list[str] = []
    if table["bag_id"].isna().all():
        table["bag_id"] = table["item_id"].where(table["bag_label"].notna(), None)
    in_bag = table["bag_id"].notna()
    labels = table.loc[in_bag, ["bag_id", "bag_label"]].astype({"bag_id": str})
    per_bag = labels.groupby("bag_id", sort=True)["bag_label"].agg(
        lambda s: s.dropna().unique().tolist()
    )
    unlabeled = [b for b, values in per_bag.items() if len(values) == 0]
    torn = [b for b, values in per_bag.items() if len(values) > 1]
    odd = [b for b, v in per_bag.items() if len(v) == 1 and v[0] not in (0, 1)]
    if odd:
        raise DataError(
            f"bag_label must be 0 or 1 (does the bag hold the positive class), but the bags "
            f"{odd[:5]} have others; map them first"
        )
    if unlabeled:
        bare = counted(len(unlabeled), "bag has no label and is", "bags have no label and are")
        notes.append(f"{bare} not used: {first_few(unlabeled)}")
    if torn:
        twice = counted(len(torn), "bag carries two labels and is", "bags carry two labels and are")
        notes.append(f"{twice} not used: {first_few(torn)}")
    unusable = {*unlabeled, *torn}
    bag_id = table["bag_id"].where(in_bag & ~table["bag_id"].astype(str).isin(unusable), None)
    table["bag_id"] = bag_id.map(lambda v: None if pd.isna(v) else str(v)).astype(object)
    usable = [(b, int(v[0])) for b, v in per_bag.items() if b not in unusable]
    return pd.DataFrame(usable, columns=["bag_id", "bag_label"]).astype({"bag_id": str}), notes


def _write_payload(kind: Kind, decoded: Decoded, config: ItemsConfig, work: Work) -> dict[str, str]:
    """Write what does not fit into ``items.parquet``; return the output's name and file."""
    if kind == "image":
        write_pixels(decoded.payload, work.out / "pixels.json")
        return {"pixels": "pixels.json"}
    if kind == "text":
        return {}
    write_signals(
        decoded.payload,
        work.out / "signals.json",
        kind=kind,
        sample_rate=decoded.facts.get("sample_rate", 0),
        are_rows=config.joins_columns,
    )
    return {"signals": "signals.json"}


def _attributes(
    table: pd.DataFrame, kind: Kind, decoded: Decoded, config: ItemsConfig, work: Work
) -> pd.DataFrame:
    out = pd.DataFrame({"item_id": table["item_id"].to_numpy()})
    if config.attributes == "none":
        return out
    measure = measurer(kind, decoded)
    values = cached_rows(
        work.cache / "attributes" / measure.version,
        np.array(decoded.sha256),
        measure.rows,
        progress=lambda done, total: work.progress(done, total, "measuring attributes"),
    )
    return out.assign(**{name: values[:, j] for j, name in enumerate(measure.names)})


def _write_table(table: pd.DataFrame, path: Path) -> None:
    table.reset_index(drop=True).to_parquet(path, index=False)
