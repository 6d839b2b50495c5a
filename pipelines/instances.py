"""The instances of items that are bags: patches of an image, paragraphs of a text, windows.

Try it: ``cut(load_payload(items, pixels, signals), BagsConfig(instances="paragraphs"))``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from pipelines.encoders import embedder
from pipelines.item_cache import cached_rows
from pipelines.payload import Payload, Texts
from pipelines.pixels import Pixels
from pipelines.sections import BagsConfig, Kind
from pipelines.stages.base import Work
from pipelines.store import hash_path
from weak_supervision.bags import paragraph_spans, patch_grid, window_starts
from weaklight.errors import ConfigError

__all__ = ["cut", "embed_instances"]

_OF_KIND: Mapping[Kind, str] = {
    "image": "patches",
    "text": "paragraphs",
    "audio": "windows",
    "series": "windows",
}


def cut(payload: Payload, config: BagsConfig) -> pd.DataFrame:
    """Say where the instances of each item lie.

    Returns
    -------
    Table of N instances, those of an item one behind the other: ``row``, the item's position, and
    ``top``, ``left``, ``height``, ``width`` in pixels of an image, or ``start`` and ``stop`` in
    characters of a text or values of a clip or series; a window may stop behind a short one's end.

    Raises
    ------
    ConfigError
        If ``config.instances`` does not suit the kind of items.
    DataError
        If a patch does not fit into the images.
    """
    suited = _OF_KIND[payload.kind]
    if config.instances != suited:
        raise ConfigError(
            f"[bags] instances is {config.instances!r}, which {payload.kind} items do not have; "
            f'set instances = "{suited}", or "items" where a column bag_id names the bags'
        )
    if isinstance(payload, Pixels):
        height, width = payload.shape[1:3]
        side = config.size or max(1, min(height, width) // 2)
        corners = patch_grid(height, width, side, config.stride or max(1, side // 2))
        places = np.hstack([corners, np.full((len(corners), 2), side)])
        return _table([places] * len(payload), ["top", "left", "height", "width"])
    if isinstance(payload, Texts):
        spans = [np.array(paragraph_spans(text)) for text in payload.take(range(len(payload)))]
        return _table(spans, ["start", "stop"])
    lengths = [len(payload[row]) for row in range(len(payload))]
    length = config.size or max(1, int(np.median(lengths)) // 4)
    starts = [window_starts(n, length, config.stride or max(1, length // 2)) for n in lengths]
    return _table([np.column_stack([s, s + length]) for s in starts], ["start", "stop"])


def embed_instances(
    payload: Payload, places: pd.DataFrame, sha256: NDArray[np.str_], encoder: Path, work: Work
) -> NDArray[np.float32]:
    """Return the encoder's features of each instance, (N, d) float32; only new ones are embedded.

    Parameters
    ----------
    places
        What `cut` returned.
    sha256
        (n,) digest of each item's content.
    encoder
        The encoder's folder. Patches are enlarged to the size of the images: the encoder was
        trained on random crops, so it knows parts at this scale.
    """
    encode = None
    where = places.drop(columns="row").astype(str).agg("-".join, axis=1)

    def compute(rows: NDArray[np.intp]) -> NDArray[np.float32]:
        nonlocal encode
        if encode is None:
            encode = embedder(encoder, work.project_root)
        return encode(_taken(payload, places.iloc[rows]))

    return cached_rows(
        work.cache / "instances" / f"{hash_path(encoder)[0][:24]}-{payload.form}",
        np.char.add(np.char.add(sha256[places["row"]], ":"), where.to_numpy(dtype=str)),
        compute,
        progress=lambda done, total: work.progress(done, total, "embedding instances"),
    )


def _taken(payload: Payload, places: pd.DataFrame) -> Any:
    """Return these instances as the encoder takes them."""
    where = places.to_numpy(dtype=np.int64)
    if isinstance(payload, Pixels):
        side = min(payload.shape[1:3])
        return np.stack([_enlarged(payload[row], place, side) for row, *place in where.tolist()])
    if isinstance(payload, Texts):
        return [payload[row][start:stop] for row, start, stop in where.tolist()]
    return [_window(payload[row], start, stop) for row, start, stop in where.tolist()]


def _enlarged(image: NDArray[np.uint8], place: list[int], side: int) -> NDArray[np.uint8]:
    top, left, height, width = place
    part = image[top : top + height, left : left + width]
    picture = Image.fromarray(part[..., 0] if part.shape[2] == 1 else part)
    resized = picture.resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(resized).reshape(side, side, part.shape[2])


def _window(signal: NDArray[Any], start: int, stop: int) -> NDArray[Any]:
    missing = max(0, stop - len(signal))
    return np.concatenate([signal[start:stop], np.repeat(signal[-1:], missing, axis=0)])


def _table(places: list[NDArray[np.integer]], columns: list[str]) -> pd.DataFrame:
    table = pd.DataFrame(np.concatenate(places), columns=columns)
    table.insert(0, "row", np.repeat(np.arange(len(places)), [len(p) for p in places]))
    return table
