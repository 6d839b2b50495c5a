"""Draw the example's 10,000 images from Fashion-MNIST and write ``items.parquet``.

The four idx files come from the Debian package ``dataset-fashion-mnist`` (MIT, Zalando SE)::

    apt-get download dataset-fashion-mnist && dpkg -x dataset-fashion-mnist_*.deb fm
    python -m examples.fashion.make_items fm/usr/share/datasets/fashion-mnist

Gold of the 8,000 images outside dev and test is used here to say which baskets hold footwear, and
to answer for the 300 images that the review app asked for first (``asked.csv``): these are
``labeled``. Of the others it is not stored, neither as a column nor as a row number of the source
that would give it away.
"""

from __future__ import annotations

import argparse
import gzip
import io
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from weaklight.errors import DataError
from weaklight.seeds import numpy_generator

__all__ = [
    "CLASSES",
    "FOOTWEAR",
    "SEED",
    "SPLIT_SIZES",
    "fill_baskets",
    "further_items",
    "make_items",
    "read_asked",
    "read_folder",
    "read_idx",
]

SEED = 2026
ASKED = Path(__file__).with_name("asked.csv")
CLASSES = (
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "boot",
)
FOOTWEAR = ("sandal", "sneaker", "boot")
SPLIT_SIZES = {"unlabeled": 8_000, "dev": 500, "test": 1_500}
N_BASKETS = 300
BASKET_SIZES = (6, 7, 8, 9, 10)
FOOTWEAR_SHARE = 0.3  # three of ten classes of equal size


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Return the array of a gzipped idx file of unsigned bytes (LeCun's MNIST format).

    Raises
    ------
    DataError
        If the header is not that of unsigned bytes or the length does not fit it.
    """
    raw = gzip.decompress(path.read_bytes())
    zero, kind, n_dims = struct.unpack_from(">HBB", raw)
    if zero != 0 or kind != 0x08:
        raise DataError(f"{path} must be an idx file of unsigned bytes; its header says otherwise")
    shape = struct.unpack_from(f">{n_dims}I", raw, 4)
    body = np.frombuffer(raw, dtype=np.uint8, offset=4 + 4 * n_dims)
    if body.size != np.prod(shape):
        raise DataError(f"{path} must hold {shape} bytes, but holds {body.size}; fetch it again")
    return body.reshape(shape)


def fill_baskets(
    is_footwear: NDArray[np.bool_], n_baskets: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Put items into baskets of 6 to 10, half of them without footwear, half with some.

    Three of ten items are footwear, so of baskets filled blindly 94 % would hold some and the
    label would say little. We draw each basket from that blind law *given its label*, and set the
    share of positive baskets to one half: sizes are uniform on 6..10; a positive basket of size s
    holds Binomial(s, 0.3) footwear items, redrawn while zero; a negative basket holds none. Which
    items go in is uniform, without replacement.

    Parameters
    ----------
    is_footwear
        (n,) bool, true where the item's class is footwear.
    n_baskets
        How many baskets to fill; an odd one out is positive.

    Returns
    -------
    basket : (n,) int64, the basket of each item, -1 outside.
    is_positive : (n_baskets,) bool, the basket holds footwear.

    References
    ----------
    The MNIST-bags protocol of Ilse et al. 2018, arXiv:1802.04712, section 4.2, with our law of
    composition.
    """
    footwear = list(rng.permutation(np.flatnonzero(is_footwear)))
    other = list(rng.permutation(np.flatnonzero(~is_footwear)))
    is_positive = rng.permutation(np.arange(n_baskets) % 2 == 0)
    basket = np.full(len(is_footwear), -1, dtype=np.int64)
    for b, positive in enumerate(is_positive):
        size = int(rng.choice(BASKET_SIZES))
        n_footwear = 0
        while positive and n_footwear == 0:
            n_footwear = int(rng.binomial(size, FOOTWEAR_SHARE))
        if n_footwear > len(footwear) or size - n_footwear > len(other):
            raise DataError(
                f"{n_baskets} baskets need more than the {len(is_footwear)} items given; "
                "fill fewer baskets"
            )
        members = [footwear.pop() for _ in range(n_footwear)]
        members += [other.pop() for _ in range(size - n_footwear)]
        basket[members] = b
    return basket, is_positive


def _png(image: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def read_asked() -> list[str]:
    """Return the ids of the images that somebody was asked to label."""
    return ASKED.read_text(encoding="utf-8").split()[1:]  # below the heading


def make_items(
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    asked: Sequence[str] = (),
    seed: int = SEED,
) -> pa.Table:
    """Draw the example's rows and baskets.

    Parameters
    ----------
    images
        (N, 28, 28) uint8, N at least 10,000; rows are drawn without replacement.
    labels
        (N,) uint8, index into ``CLASSES``.
    asked
        Ids of unlabeled images that become ``labeled``.

    Returns
    -------
    Table of 10,000 rows: ``item_id`` ("00000" to "09999", in order of drawing), ``image`` (PNG
    bytes), ``split``, ``gold`` (class name; null where unlabeled), ``bag_id`` and ``bag_label``
    (1 holds footwear, 0 holds none; both null outside baskets).
    """
    n = sum(SPLIT_SIZES.values())
    drawn = _order(len(images), seed)[:n]
    split = np.repeat(list(SPLIT_SIZES), list(SPLIT_SIZES.values()))
    names = np.array(CLASSES)[labels[drawn]]
    unlabeled = split == "unlabeled"
    basket = np.full(n, -1, dtype=np.int64)
    basket[unlabeled], is_positive = fill_baskets(
        np.isin(names[unlabeled], FOOTWEAR), N_BASKETS, numpy_generator(seed, "fashion", "baskets")
    )
    outside = basket < 0
    ids = np.array([f"{i:05d}" for i in range(n)])
    split[unlabeled & np.isin(ids, asked)] = "labeled"
    return pa.table(
        {
            "item_id": pa.array(ids.tolist()),
            "image": pa.array([_png(image) for image in images[drawn]], type=pa.binary()),
            "split": pa.array(split.tolist()),
            "gold": pa.array(names.tolist(), mask=split == "unlabeled"),
            "bag_id": pa.array([f"basket-{b:03d}" for b in basket], mask=outside),
            "bag_label": pa.array(is_positive[basket].astype(np.int8), mask=outside),
        }
    )


def further_items(
    images: NDArray[np.uint8], labels: NDArray[np.uint8], n: int, seed: int = SEED
) -> pa.Table:
    """Return the ``n`` rows that would be drawn next: all of them ``test``, in no basket.

    For a closer look than 1,500 test items allow; the example does not hold them.
    """
    first = sum(SPLIT_SIZES.values())
    drawn = _order(len(images), seed)[first : first + n]
    return pa.table(
        {
            "item_id": pa.array([f"{i:05d}" for i in range(first, first + len(drawn))]),
            "image": pa.array([_png(image) for image in images[drawn]], type=pa.binary()),
            "split": pa.array(["test"] * len(drawn)),
            "gold": pa.array(np.array(CLASSES)[labels[drawn]].tolist()),
            "bag_id": pa.nulls(len(drawn), pa.string()),
            "bag_label": pa.nulls(len(drawn), pa.int8()),
        }
    )


def _order(n_images: int, seed: int) -> NDArray[np.int64]:
    """Return the order in which the source's images are drawn."""
    return numpy_generator(seed, "fashion", "items").permutation(n_images)


def read_folder(folder: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return images (N, 28, 28) and labels (N,) of the four idx files in ``folder``."""
    images, labels = (
        np.concatenate([read_idx(folder / f"{part}-{kind}.gz") for part in ("train", "t10k")])
        for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")
    )
    return images, labels


def main() -> None:
    """Read the idx files of the folder given and write ``items.parquet`` beside this file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder that holds the four idx.gz files")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("items.parquet"))
    args = parser.parse_args()
    images, labels = read_folder(args.folder)
    table = make_items(images, labels, read_asked())
    pq.write_table(table, args.out, compression="zstd", row_group_size=2_000)
    print(f"{args.out}: {table.num_rows} rows, {args.out.stat().st_size / 2**20:.2f} MiB")


if __name__ == "__main__":
    main()
