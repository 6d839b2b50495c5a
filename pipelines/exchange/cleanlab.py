"""Arrays for cleanlab: labels, and probabilities of a classifier that never saw the row.

``pred_probs`` is never the label model's own posterior: labels that are its argmax agree with it by
construction, and cleanlab would find nothing.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from pipelines.exchange.exporter import Exporter
from pipelines.exchange.labels import WeakLabels
from weaklight.errors import ArtifactError, DataError

__all__ = ["CLEANLAB"]


def _write(labels: WeakLabels, folder: Path) -> None:
    """Write ``labels.npy`` (n,) int64, ``pred_probs.npy`` (n, K) float32 and ``item_ids.npy``."""
    if labels.out_of_fold is None:
        raise ArtifactError(
            f"run {labels.view.run_id} has no out-of-fold probabilities; "
            "run `weaklight label`, then export again"
        )
    if not labels.table["covered"].all():
        raise DataError("cleanlab needs a label for every row; leave out --include-uncovered")
    np.save(folder / "labels.npy", labels.label_ids)
    np.save(folder / "pred_probs.npy", labels.out_of_fold)
    np.save(folder / "item_ids.npy", labels.table["item_id"].to_numpy(dtype=str))
    classes = json.dumps(list(labels.classes), ensure_ascii=False) + "\n"
    (folder / "classes.json").write_text(classes, encoding="utf-8")


CLEANLAB = Exporter(
    _write,
    """import cleanlab
import numpy

labels, pred_probs = numpy.load("labels.npy"), numpy.load("pred_probs.npy")
issues = cleanlab.filter.find_label_issues(labels, pred_probs, n_jobs=1)
doubted = numpy.load("item_ids.npy")[issues]""",
)
