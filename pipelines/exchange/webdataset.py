"""WebDataset shards: tar files that a training loop streams."""

from __future__ import annotations

import json
from pathlib import Path

from pipelines.exchange.exporter import Exporter, optional
from pipelines.exchange.labels import WeakLabels
from pipelines.exchange.media import image_suffix

__all__ = ["WEBDATASET"]

_SHARD_SAMPLES = 10_000


def _write(labels: WeakLabels, folder: Path) -> None:
    """Write ``labels-000000.tar`` and on: each sample an image or ``txt``, and a ``json``.

    Samples are keyed by row number, since WebDataset splits keys at dots and ids may hold some;
    the id is in the JSON.
    """
    webdataset = optional("webdataset")
    images = labels.images() if labels.kind == "image" else None
    table = labels.table.astype(object).where(labels.table.notna(), None)
    # one writer and no clock: equal labels give equal bytes
    with webdataset.ShardWriter(
        str(folder / "labels-%06d.tar"), maxcount=_SHARD_SAMPLES, verbose=0, mtime=0
    ) as shards:
        for i, row in enumerate(table.to_dict("records")):
            sample: dict[str, str | bytes] = {"__key__": f"{i:09d}"}
            if images is not None:
                data = next(images)
                sample[image_suffix(data)] = data
            elif labels.kind == "text":
                sample["txt"] = row.pop("text")
            row["label_id"] = int(labels.label_ids[i])
            row["probabilities"] = dict(
                zip(labels.classes, labels.probabilities[i].tolist(), strict=True)
            )
            sample["json"] = json.dumps(row, ensure_ascii=False).encode()
            shards.write(sample)


WEBDATASET = Exporter(
    _write,
    'import glob\n\nimport webdataset\n\nshards = sorted(glob.glob("labels-*.tar"))\n'
    "labels = webdataset.WebDataset(shards, shardshuffle=False).decode()",
)
