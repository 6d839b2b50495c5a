"""Label new image files with the encoder and head of a project's latest run.

Try it: ``weaklight predict photo.png --project demo``.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from pipelines.decode import decode_image, fit_to
from pipelines.project import Project
from pipelines.readers import SUFFIXES
from ssl_models.embed import embed, load_encoder
from weak_supervision.classifiers import LinearHead
from weaklight.errors import ArtifactError

__all__ = ["predict_files"]


def predict_files(
    project: Project, paths: Iterable[Path], *, at_least: float = 0.0
) -> tuple[pd.DataFrame, list[tuple[Path, str]]]:
    """Label images.

    Parameters
    ----------
    project
        A project whose latest run reached ``train``.
    paths
        Image files, or folders that are searched for them.
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
    """
    run = project.latest_run(having="train")
    if run is None:
        raise ArtifactError("no trained classifier yet; run `weaklight train` first")
    encoder = load_encoder(project.store.path("pretrain", run.artifacts["pretrain"], "encoder"))
    head = LinearHead.load(project.store.path("train", run.artifacts["train"], "head"))
    pixels = project.store.manifest("ingest", run.artifacts["ingest"]).metrics["image"]
    height, width, channels = pixels
    files: list[Path] = []
    images, dropped = [], []
    for file in _expand(paths):
        try:
            picture = decode_image(file.read_bytes())
        except (OSError, ValueError) as error:
            dropped.append((file, f"no readable image ({error})"))
            continue
        images.append(fit_to(picture, (width, height), "L" if channels == 1 else "RGB"))
        files.append(file)
    probability = np.zeros((0, len(head.classes_)), dtype=np.float32)
    if images:
        probability = head.predict_proba(embed(encoder, np.stack(images)))
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


def _expand(paths: Iterable[Path]) -> list[Path]:
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES["image"])
        else:
            files.append(path)
    return files
