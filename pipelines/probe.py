"""What a project's encoder is worth on labelled images: neighbours, a linear probe, few labels.

Try it: ``weaklight probe labelled_photos --project demo``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.decode import UnusableItemError, decode_image_as
from pipelines.exchange.image_folder import read_image_folder
from pipelines.project import Project
from ssl_models import embed, load_encoder
from ssl_models.evaluation import FeatureScores, FewLabels, Task, few_labels, score_features
from ssl_models.evaluation.transfer import PIXELS, pixel_features, random_encoder
from weaklight.errors import ArtifactError, DataError
from weaklight.progress import Progress, no_progress

__all__ = ["Probe", "ProbeRow", "labelled_task", "probe"]

JUDGES = ("dev", "test")  # splits of the labelled folder; all others teach


@dataclass(frozen=True)
class ProbeRow:
    """What one set of features is worth.

    Attributes
    ----------
    features
        ``encoder``; ``untrained``: the same backbone with random weights; ``pixels``.
    scores
        Nearest neighbours and the linear probe, taught by all labels.
    few
        The linear probe, taught by 1 % and by 10 % of them.
    """

    features: str
    scores: FeatureScores
    few: tuple[FewLabels, ...]


@dataclass(frozen=True)
class Probe:
    """An encoder beside what it must beat, judged by the same images.

    Attributes
    ----------
    classes
        Names in order.
    n_train, n_test
        Labelled images that teach and that judge.
    left_out
        Files that are no whole images.
    rows
        One for each set of features.
    """

    classes: tuple[str, ...]
    n_train: int
    n_test: int
    left_out: tuple[str, ...]
    rows: tuple[ProbeRow, ...]


def probe(
    project: Project, folder: Path, *, seed: int = 0, progress: Progress = no_progress
) -> Probe:
    """Judge the latest encoder by a folder of labelled images; the project stays as it is.

    Parameters
    ----------
    folder
        ``<class>/<image>``, of which a fifth drawn at random, at most 1,000, judges; or
        ``train|val|test/<class>/<image>``, of which ``val`` and ``test`` judge.
    seed
        Of that draw and of the untrained encoder.
    progress
        Called with (done, of how many, what) as images are read and embedded.

    Raises
    ------
    ArtifactError
        If no encoder of images has been trained yet.
    DataError
        If the project is not about images, no image lies in a folder of a class, or none is left
        to teach or to judge.

    Notes
    -----
    Nothing is chosen by the images that judge. The time is that of embedding each image twice, and
    of the probes.
    """
    run = project.latest_run(having="pretrain")
    if run is None:
        raise ArtifactError("no encoder yet; run `weaklight pretrain` first")
    kind = project.store.manifest("ingest", run.artifacts["ingest"]).metrics["kind"]
    if kind != "image":
        raise DataError(
            f"labelled images judge encoders of images, but this project is about {kind} items; "
            "give it dev and test gold, and its report judges the features"
        )
    trained = project.store.path("pretrain", run.artifacts["pretrain"], "encoder")
    encoder = load_encoder(trained)
    made = json.loads((trained / "encoder.json").read_bytes())
    shape = (*made["image_size"], made["channels"])
    task, classes, left_out = labelled_task(folder, shape, seed, progress=progress)
    untrained = random_encoder(made["backbone"], made["width"], task.train, seed)
    rows = []
    for name, one in (("encoder", encoder), ("untrained", untrained), (PIXELS, None)):
        train, test = (
            pixel_features(pixels) if one is None else embed(one, pixels, progress=progress)
            for pixels in (task.train, task.test)
        )
        known = task.with_rows(train, test)
        rows.append(ProbeRow(name, score_features(known, seed=seed), few_labels(known)))
    return Probe(classes, len(task.train), len(task.test), left_out, tuple(rows))


def labelled_task(
    folder: Path, shape: Sequence[int], seed: int = 0, *, progress: Progress = no_progress
) -> tuple[Task[NDArray[np.uint8]], tuple[str, ...], tuple[str, ...]]:
    """Read a folder of labelled images for :mod:`ssl_models.evaluation`.

    Parameters
    ----------
    folder, seed, progress
        As :func:`probe` takes them.
    shape
        (H, W, C) that the encoder reads: images are scaled to cover it and cut.

    Returns
    -------
    The images that teach and those that judge, the names of the classes, and files that are no
    whole images.

    Raises
    ------
    DataError
        If no image lies in a folder of a class, or none is left to teach or to judge.
    """
    imported = read_image_folder(folder, seed=seed)
    table = imported.table[imported.table["gold"].notna()]
    pixels, is_whole = [], []
    for done, image in enumerate(table["image"]):
        progress(done, len(table), "reading images")
        try:
            pixels.append(decode_image_as((folder / image).read_bytes(), shape))
            is_whole.append(True)
        except UnusableItemError:
            is_whole.append(False)
    whole = table[is_whole]
    judges = whole["split"].isin(JUDGES).to_numpy()
    if not 0 < judges.sum() < len(judges):
        raise DataError(
            f"expected labelled images to teach and others to judge, but of {len(judges)} in "
            f"{folder} {judges.sum()} judge; give at least ten, or the folders train/<class>/ and "
            "test/<class>/"
        )
    images = np.stack(pixels)  # (n, H, W, C)
    labels = np.array([imported.classes.index(name) for name in whole["gold"]])
    task = Task(
        images[~judges], labels[~judges], images[judges], labels[judges], len(imported.classes)
    )
    left_out = table["image"][np.logical_not(is_whole)]
    return task, imported.classes, tuple(left_out)
