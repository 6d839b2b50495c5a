"""Vote: run every labelling function over every item; errors stay inside their LF.

Try it: ``weaklight lf check``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labeling_functions import apply_lfs, load_folder
from labeling_functions.shards import ParquetItems
from labeling_functions.templates import (
    Annotator,
    EncodeText,
    FeatureTemplate,
    ZeroShot,
    annotator,
)
from pipelines.sections import NOISY_LABEL, VoteConfig
from pipelines.stages.base import StageResult, Work
from weaklight.contracts import ABSTAIN
from weaklight.errors import ArtifactError

__all__ = ["VoteInputs", "lf_view", "text_encoder", "vote"]

# What an LF may not see: a path such as dev/cat/1.png tells the class, but of dev alone.
_HIDDEN = ("split", "sha256", "path")


@dataclass(frozen=True)
class VoteInputs:
    """Upstream files of the stage."""

    items: Path
    attributes: Path
    features: Path | None = None
    present: Path | None = None
    encoder: Path | None = None


def vote(inputs: VoteInputs, config: VoteConfig, work: Work) -> StageResult:
    """Apply the project's LFs; only items or LFs that changed are run again.

    Raises
    ------
    LabelingError
        If an LF file cannot be loaded.

    Notes
    -----
    Without any LF there are votes without columns: labels may come from bags or from people, and
    :func:`pipelines.preflight.check_votes` says so where they do not.
    """
    folder = work.project_root / config.folder
    written = load_folder(folder) if folder.is_dir() else []
    lfs = [*written, *_noisy_label(inputs.items)]
    features, encode_text = None, None
    if any(isinstance(lf, FeatureTemplate) for lf in lfs):
        features = _features(inputs)
    if inputs.encoder is not None and any(isinstance(lf, ZeroShot) for lf in lfs):
        encode_text = text_encoder(inputs.encoder, work.project_root)
    result = apply_lfs(
        lfs,
        ParquetItems(inputs.items, inputs.attributes, hidden=_HIDDEN),
        classes=work.classes,
        class_sets=work.class_sets,
        features=features,
        encode_text=encode_text,
        item_keys="sha256",
        cache_dir=work.cache / "votes",
        time_limit_s=config.time_limit_s,
        workers=config.workers,
        progress=work.progress,
    )
    np.save(work.out / "votes.npy", result.votes)
    (work.out / "soft_votes").mkdir()
    for column, lf in enumerate(lfs):
        if lf.name in result.soft_votes:
            np.save(work.out / "soft_votes" / f"{column}.npy", result.soft_votes[lf.name])
    entries = [report.as_dict() for report in result.reports]
    (work.out / "lfs.json").write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")
    is_covered = (result.votes != ABSTAIN).any(axis=1)
    is_training = pd.read_parquet(inputs.items, columns=["split"])["split"] == "unlabeled"
    notes = [f"{r.name}: {r.note}" for r in result.reports if r.note]
    if lfs and not is_covered.any():
        notes.append("every LF abstains on every item: no label can come from them")
    return StageResult(
        outputs={"votes": "votes.npy", "soft_votes": "soft_votes", "lfs": "lfs.json"},
        metrics={
            "n_lfs": len(lfs),
            "coverage": float(is_covered.mean()),
            "n_training_covered": int(is_covered[is_training].sum()),
            "n_errors": int(sum(r.n_errors for r in result.reports)),
        },
        notes=tuple(notes),
    )


def _noisy_label(items: Path) -> list[Annotator]:
    """Return the labels that items came with (`[items] noisy_label`) as one more voter."""
    if pd.read_parquet(items, columns=[NOISY_LABEL])[NOISY_LABEL].isna().all():
        return []
    lf = annotator(
        NOISY_LABEL,
        name=NOISY_LABEL,
        description="Votes for the label that the item came with.",
    )
    return [replace(lf, digest=lf.own_digest())]


def _features(inputs: VoteInputs) -> NDArray[np.float32] | None:
    if inputs.features is None or inputs.present is None:
        return None  # the LFs that want them say so
    features: NDArray[np.float32] = np.load(inputs.features, allow_pickle=False)
    features[~np.load(inputs.present, allow_pickle=False)] = np.nan
    return features


def text_encoder(folder: Path, root: Path) -> EncodeText | None:
    """Return what embeds texts as the items were embedded; None if they are no texts."""
    from ssl_models.text import load_text_encoder

    try:
        return load_text_encoder(folder, root).encode
    except ArtifactError:
        return None


def lf_view(items: Path, attributes: Path) -> pd.DataFrame:
    """Return the table that LFs see: item_id, metadata and measured attributes, never gold."""
    table = pd.read_parquet(items).drop(columns=[*_HIDDEN])
    measured = pd.read_parquet(attributes).drop(columns="item_id")
    clash = sorted(set(table.columns) & set(measured.columns))
    return pd.concat([table.drop(columns=clash), measured], axis=1)
