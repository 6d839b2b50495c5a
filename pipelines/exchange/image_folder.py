"""Folders of images, one folder a class, as ``torchvision.datasets.ImageFolder`` reads them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from pipelines.exchange.projects import Imported, draw_splits
from pipelines.readers import SUFFIXES, files_below, neutral_id
from weaklight.errors import DataError

__all__ = ["read_image_folder"]

_SPLIT_OF = {
    "train": "unlabeled",
    "val": "dev",
    "valid": "dev",
    "validation": "dev",
    "dev": "dev",
    "test": "test",
}
# A tenth each for dev and test, as long as they are not more than anybody needs.
_DRAWN_SHARE, _DRAWN_AT_MOST = 10, 500


def read_image_folder(
    folder: Path,
    *,
    n_dev: int | None = None,
    n_test: int | None = None,
    keep_labels: bool = False,
    seed: int = 0,
) -> Imported:
    """Read ``<class>/<image>``, or ``train|val|test/<class>/<image>``.

    Parameters
    ----------
    folder
        The images stay where they are; the project points to them. Ids are file names with a
        digest, for a labelling function that reads ``cat/1.png`` would know the class.
    n_dev, n_test
        How many training images to draw for dev and test. None: where the folders name no split,
        a tenth each, at most 500.
    keep_labels
        Keep the class of training images as ``noisy_label``; else it is left behind.

    Raises
    ------
    DataError
        If no image lies in a folder of a class.
    """
    files = [p for p in files_below(folder) if p.suffix.lower() in SUFFIXES["image"]]
    parts = [file.relative_to(folder).parts for file in files]
    has_splits = bool(parts) and all(p[0] in _SPLIT_OF and len(p) > 2 for p in parts)
    depth = 1 if has_splits else 0
    if not parts or any(len(p) < depth + 2 for p in parts):
        raise DataError(
            f"expected images in {folder}/<class>/ or {folder}/train/<class>/, but found "
            f"{len(parts)} images, such as {['/'.join(p) for p in parts[:3]]}; "
            "for images without classes set [items] source to the folder instead"
        )
    table = pd.DataFrame(
        {"item_id": [neutral_id(Path(*p)) for p in parts], "image": ["/".join(p) for p in parts]}
    )
    label = pd.Series([p[depth] for p in parts], dtype=object)
    table["split"] = [_SPLIT_OF[p[0]] for p in parts] if has_splits else "unlabeled"
    table["gold"] = label
    imported = Imported(
        table,
        tuple(sorted(set(label))),
        notes=(f"the images stay in {folder}",),
        base=folder,
    )
    if not has_splits or n_dev or n_test:
        share = 0 if has_splits else min(_DRAWN_AT_MOST, len(table) // _DRAWN_SHARE)
        imported = draw_splits(
            imported,
            n_dev=share if n_dev is None else n_dev,
            n_test=share if n_test is None else n_test,
            seed=seed,
        )
    if keep_labels:
        is_train = imported.table["split"] == "unlabeled"
        imported.table["noisy_label"] = label.where(is_train, None)
    return imported
