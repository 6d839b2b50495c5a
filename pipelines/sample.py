"""A sample of a project's items to try LFs on: dev items with gold, others without, test never.

Try it: ``draw_sample(Project.open("demo"), 1000).table``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labeling_functions.templates import EncodeText
from pipelines.engine import StageProgress, plan, run_line
from pipelines.project import Project
from pipelines.stages.vote import lf_view, text_encoder
from weaklight.contracts import ABSTAIN
from weaklight.seeds import numpy_generator

__all__ = ["Sample", "draw_sample", "encoder_of_texts", "reads_texts"]


@dataclass(frozen=True)
class Sample:
    """n items in source order.

    Attributes
    ----------
    table : what LFs see of them
    gold : (n,) class ids of dev items, -1 elsewhere
    is_random : (n,) bool: drawn at random from the unlabelled items, so that shares can be read
        off them; of dev items where the project has no others
    features : (n, d) float32, NaN where an item has none; None before the project has an encoder
    """

    table: pd.DataFrame
    gold: NDArray[np.int64]
    is_random: NDArray[np.bool_]
    features: NDArray[np.float32] | None


def draw_sample(
    project: Project,
    n: int,
    *,
    always: Iterable[str] = (),
    progress: StageProgress | None = None,
) -> Sample:
    """Draw up to ``n`` dev items with gold and up to ``n`` unlabelled ones.

    Parameters
    ----------
    always
        Ids of further items to take in, such as a prototype's examples; nothing is counted on
        them unless they were drawn as well.

    Notes
    -----
    Ingests first where the source or ``[items]`` changed. The draw depends on the project's seed
    alone, so an edited LF meets the same items again.
    """
    digest = _ingested(project, progress)
    items, attributes, gold_dev = (
        project.store.path("ingest", digest, name) for name in ("items", "attributes", "gold_dev")
    )
    about = pd.read_parquet(items, columns=["item_id", "split", "sha256"])
    gold = _gold(about, pd.read_parquet(gold_dev))
    rng = numpy_generator(project.config.seed, "sample")
    dev = rng.permutation(np.flatnonzero(gold != ABSTAIN))[:n]
    unlabeled = rng.permutation(np.flatnonzero((about["split"] == "unlabeled").to_numpy()))[:n]
    further = np.flatnonzero(about["item_id"].isin(list(always)).to_numpy())
    rows = np.unique(np.concatenate([dev, unlabeled, further]))
    drawn = unlabeled if len(unlabeled) else dev
    return Sample(
        table=lf_view(items, attributes).iloc[rows].reset_index(drop=True),
        gold=np.where(np.isin(rows, dev), gold[rows], ABSTAIN),
        is_random=np.isin(rows, drawn),
        features=_features(project, about.iloc[rows]),
    )


def encoder_of_texts(project: Project) -> EncodeText | None:
    """Return the encoder of the newest features if it reads texts; it takes seconds to load."""
    record = project.latest_run(None, having="embed")
    if record is None:
        return None
    encoder = project.store.path("pretrain", record.artifacts["pretrain"], "encoder")
    return text_encoder(encoder, project.root)


def reads_texts(project: Project) -> bool:
    """Say whether the newest features are an encoder's that reads texts, without loading it."""
    record = project.latest_run(None, having="embed")
    if record is None:
        return False
    manifest = project.store.manifest("ingest", record.artifacts["ingest"])
    return bool(manifest.metrics.get("kind") == "text")


def _ingested(project: Project, progress: StageProgress | None) -> str:
    """Return the digest of the ingested items as they are now."""
    (ingest,) = plan(project, ("ingest",))
    if ingest.status == "cached":
        return str(ingest.digest)
    return run_line(project, ("ingest",), progress=progress).artifacts["ingest"]


def _gold(about: pd.DataFrame, known: pd.DataFrame) -> NDArray[np.int64]:
    """Return gold of dev by row; a test item has none, whatever the table says."""
    gold = np.full(len(about), ABSTAIN, np.int64)
    rows = pd.Index(about["item_id"]).get_indexer(pd.Index(known["item_id"]))
    gold[rows] = known["gold"].to_numpy(np.int64)
    gold[(about["split"] != "dev").to_numpy()] = ABSTAIN
    return gold


def _features(project: Project, about: pd.DataFrame) -> NDArray[np.float32] | None:
    """Return the newest features of these items, NaN for an item that has none yet or changed.

    They may come from a run before items were added; an item is known by its id and content.
    """
    record = project.latest_run(None, having="embed")
    if record is None:
        return None
    path = project.store.path("ingest", record.artifacts["ingest"], "items")
    embedded = pd.read_parquet(path, columns=["item_id", "sha256"])
    features, present = (
        np.load(project.store.path("embed", record.artifacts["embed"], name), mmap_mode="r")
        for name in ("features", "present")
    )
    rows = pd.Index(embedded["item_id"]).get_indexer(pd.Index(about["item_id"]))
    same = embedded["sha256"].to_numpy()[rows] == about["sha256"].to_numpy()
    taken: NDArray[np.float32] = np.array(features[rows], np.float32)
    taken[(rows < 0) | ~same | ~present[rows]] = np.nan
    return taken
