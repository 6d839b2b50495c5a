"""Folders of images, one folder a class, as ``torchvision.datasets.ImageFolder`` reads them."""

from __future__ import annotations

from itertools import compress
from pathlib import Path

import pandas as pd

from pipelines.exchange.projects import Imported, class_order, draw_splits
from pipelines.readers import SUFFIXES, files_below, first_few, neutral_id
from weaklight.contracts import SOURCE_SPLITS
from weaklight.errors import DataError

__all__ = ["read_image_folder"]

_SPLIT_OF = {name: name for name in SOURCE_SPLITS} | {
    "train": "unlabeled",
    "val": "dev",
    "valid": "dev",
    "validation": "dev",
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
    """Read ``<class>/<image>``, or ``train|labeled|val|test/<class>/<image>``.

    Images of ``train`` or ``unlabeled`` may lie there without a folder of a class.

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
    has_splits = bool(parts) and all(len(p) > 1 and p[0] in _SPLIT_OF for p in parts)
    split = [_SPLIT_OF[p[0]] if has_splits else "unlabeled" for p in parts]
    folders = [p[1 if has_splits else 0 : -1] for p in parts]
    is_odd = [
        not f and not (has_splits and s == "unlabeled") for f, s in zip(folders, split, strict=True)
    ]
    if not parts or any(is_odd):
        odd = ["/".join(p) for p in compress(parts, is_odd)]
        raise DataError(
            f"expected images in {folder}/<class>/ or {folder}/train/<class>/, but of "
            f"{len(parts)} images these lie elsewhere: {first_few(odd) or 'none'}; "
            "for images without classes set [items] source to the folder instead"
        )
    table = pd.DataFrame(
        {"item_id": [neutral_id(Path(*p)) for p in parts], "image": ["/".join(p) for p in parts]}
    )
    label = pd.Series([f[0] if f else None for f in folders], dtype=object)
    table["split"] = split
    table["gold"] = label
    imported = Imported(
        table,
        class_order(label),
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
