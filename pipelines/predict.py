"""Label new files with the encoder and head of a project's latest run.

Try it: ``weaklight predict photo.png --project demo``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipelines.config import Kind
from pipelines.decode import UnusableItemError, decode_image, decode_text, decode_wave, fit_to
from pipelines.encoders import embedder
from pipelines.project import Project
from pipelines.readers import SUFFIXES
from weak_supervision.classifiers import LinearHead
from weaklight.errors import ArtifactError, DataError

__all__ = ["predict_files"]


def predict_files(
    project: Project, paths: Iterable[Path], *, at_least: float = 0.0
) -> tuple[pd.DataFrame, list[tuple[Path, str]]]:
    """Label images, texts or clips, whichever the project is about.

    Parameters
    ----------
    project
        A project whose latest run reached ``train``.
    paths
        Files, or folders that are searched for them: images, ``.txt`` or ``.wav``.
    at_least
        Below this probability the label is None: the classifier abstains.

    Returns
    -------
    A table with ``file``, ``label``, ``probability`` and ``p_<class>`` for each class, and the
    files that could not be read with the reason.

    Raises
    ------
    ArtifactError
        If no run has trained a classifier yet.
    DataError
        If the project is about series, which no file holds alone.
    """
    run = project.latest_run(having="train")
    if run is None:
        raise ArtifactError("no trained classifier yet; run `weaklight train` first")
    head = LinearHead.load(project.store.path("train", run.artifacts["train"], "head"))
    ingested = project.store.manifest("ingest", run.artifacts["ingest"]).metrics
    kind: Kind = ingested["kind"]
    decode = _decoder(kind, ingested)
    files: list[Path] = []
    items, dropped = [], []
    for file in _expand(paths, kind):
        try:
            items.append(decode(file.read_bytes()))
            files.append(file)
        except (OSError, UnusableItemError) as error:
            dropped.append((file, str(error)))
    probability = np.zeros((0, len(head.classes_)), dtype=np.float32)
    if items:
        folder = project.store.path("pretrain", run.artifacts["pretrain"], "encoder")
        encode = embedder(folder, project.root)
        probability = head.predict_proba(encode(np.stack(items) if kind == "image" else items))
    best = probability.argmax(axis=1)
    top = probability[np.arange(len(files)), best]
    table = pd.DataFrame(
        {
            "file": [str(f) for f in files],
            "label": [
                head.classes_[k] if p >= at_least else None for k, p in zip(best, top, strict=True)
            ],
            "probability": top,
        }
    )
    for k, name in enumerate(head.classes_):
        table[f"p_{name}"] = probability[:, k]
    return table, dropped


def _decoder(kind: Kind, ingested: Mapping[str, Any]) -> Callable[[bytes], Any]:
    """Return what makes of a file's bytes what ingest made of the project's."""
    if kind == "image":
        height, width, channels = ingested["image"]
        mode = "L" if channels == 1 else "RGB"
        return lambda data: fit_to(decode_image(data), (width, height), mode)
    if kind == "text":
        return decode_text
    if kind == "audio":
        return lambda data: decode_wave(data).at(ingested["sample_rate"])
    raise DataError(
        "a file does not hold a series; put new ones into the project's table as unlabeled and "
        "run the line: only they are embedded"
    )


def _expand(paths: Iterable[Path], kind: Kind) -> list[Path]:
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES[kind])
        else:
            files.append(path)
    return files
