"""Readers of a source: a folder of files, CSV, JSONL, Parquet, or a torchvision data set by name.

``[items] source`` names it. A folder of images, WAV files or text files may hold ``unlabeled/``,
``dev/<class>/`` and ``test/<class>/``; any other layout is all unlabelled. Ids tell neither split
nor class, for a labelling function may read them.
``torchvision:FashionMNIST`` reads the data set below ``<project>/data`` (and downloads it there
where the network allows).
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pandas as pd

from pipelines.sections import COLUMN_ROLES, KINDS, ItemsConfig, Kind
from pipelines.tables import (
    as_name,
    listed,
    numbered,
    read_csv,
    rename_columns,
    require_columns,
    told_encoding,
    unreadable,
)
from weaklight.contracts import SOURCE_SPLITS
from weaklight.errors import ConfigError, DataError
from weaklight.seeds import numpy_generator

__all__ = [
    "NAMED_TABLES",
    "SUFFIXES",
    "TABLES",
    "Source",
    "files_below",
    "find_source",
    "first_few",
    "neutral_id",
    "read_rows",
    "read_source",
]

logger = logging.getLogger(__name__)

# What the files of a folder must end with to be its items.
SUFFIXES: dict[Kind, frozenset[str]] = {
    "image": frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"}),
    "audio": frozenset({".wav"}),
    "text": frozenset({".txt"}),
}
# Files that desktops and authors leave beside items; so is all that begins with a dot.
_CLUTTER = ("thumbs.db", "desktop.ini", "readme")
_NAMED = 5  # files that a message names
TABLES = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".parquet": "parquet"}
# Where a table is asked for, .txt is what Excel calls Unicode Text; elsewhere it is a text.
NAMED_TABLES = {**TABLES, ".txt": "csv"}
_TORCHVISION = "torchvision:"
# How many training rows of a torchvision data set become the dev split; the rest lose their gold.
_TORCHVISION_DEV_ROWS = 500


@dataclass(frozen=True)
class Source:
    """A source found on disk.

    Attributes
    ----------
    kind : folder, torchvision or a kind of table
    name : as ``[items] source`` has it
    base : the folder that its files lie in
    files : what makes it up
    others : what a folder holds beside items of any kind, such as HEIC photos
    """

    kind: str
    name: str
    base: Path
    files: tuple[Path, ...]
    others: tuple[Path, ...] = ()

    def relative(self, files: Iterable[Path]) -> list[str]:
        """Return the paths of some of its files below ``base``, whole ones of files elsewhere."""
        return [
            (file.relative_to(self.base) if file.is_relative_to(self.base) else file).as_posix()
            for file in files
        ]


def find_source(root: Path, config: ItemsConfig) -> Source:
    """Locate the source of a project without reading any item.

    Raises
    ------
    ConfigError
        If the source is missing or of an unknown kind.
    """
    if config.source.startswith(_TORCHVISION):
        base = root / "data"
        files = sorted(p for p in base.rglob("*") if p.is_file()) if base.is_dir() else []
        return Source("torchvision", config.source, base, tuple(files))
    path = root / config.source
    if path.is_dir():
        ours = frozenset().union(*SUFFIXES.values())
        found = files_below(path)
        items = tuple(file for file in found if file.suffix.lower() in ours)
        others = tuple(file for file in found if file.suffix.lower() not in ours)
        return Source("folder", config.source, path, items, others)
    if not path.is_file():
        raise ConfigError(
            f"items.source: expected a folder or a file at {path}, but there is none; "
            "give a path relative to weaklight.toml or torchvision:NAME"
        )
    kind = NAMED_TABLES.get(path.suffix.lower())
    if kind is None:
        raise ConfigError(
            f"items.source: {path.name} is of no known kind; expected a folder, "
            f"one of {sorted(NAMED_TABLES)} or torchvision:NAME"
        )
    named: set[Path] = set()
    if kind != "parquet":
        table = _read_table(path, kind, config)
        item_kind, column = _payload(table, path, config)
        if item_kind in ("image", "audio"):
            named = {path.parent / str(p) for p in table[column].dropna()}
    return Source(
        kind, config.source, path.parent, (path, *sorted(p for p in named if p.is_file()))
    )


def files_below(folder: Path) -> list[Path]:
    """Return the files in a folder and its folders, sorted, less hidden ones and clutter."""
    return sorted(
        file
        for file in folder.rglob("*")
        if not any(part.startswith(".") for part in file.relative_to(folder).parts)
        and not file.name.lower().startswith(_CLUTTER)
        and file.is_file()
    )


def first_few(names: Sequence[object], total: int | None = None) -> str:
    """Return the first few names as words, and how many more there are."""
    total = len(names) if total is None else total
    shown = names[:_NAMED]
    more = f" and {total - len(shown)} more" if total > len(shown) else ""
    return ", ".join(map(str, shown)) + more


def neutral_id(file: PurePath) -> str:
    """Return an id that tells nothing of the folders a file lies in, which may name its class.

    The digest of the whole path keeps apart files of one name, and an id what it is whatever files
    come later.
    """
    digest = hashlib.sha256(file.as_posix().encode()).hexdigest()[:12]
    return f"{file.stem}-{digest}{file.suffix}"


def read_source(source: Source, config: ItemsConfig, seed: int) -> tuple[Kind, pd.DataFrame]:
    """Read a source that was found into one raw table, one row an item, nothing validated yet.

    Returns
    -------
    What the items are, and a table with the columns ``item_id``, ``payload`` (bytes, a Path still
    to be read, a text, numbers, or None), ``path`` (text or None), ``split``, ``gold`` (class name
    or None), ``bag_id``, ``bag_label``, ``noisy_label`` and every other column of the source, in
    source order.

    Raises
    ------
    DataError
        If a column is missing that ``[items]`` names, or a folder mixes kinds of items.
    """
    if source.kind == "folder":
        return _from_folder(source)
    if source.kind == "torchvision":
        return "image", _from_torchvision(source, seed)
    return _from_table(source.files[0], source.kind, config)


def _from_folder(source: Source) -> tuple[Kind, pd.DataFrame]:
    counts = {k: sum(f.suffix.lower() in s for f in source.files) for k, s in SUFFIXES.items()}
    found = [kind for kind, count in counts.items() if count]
    if len(found) > 1:
        most = max(found, key=counts.__getitem__)
        odd = [f for f in source.files if f.suffix.lower() not in SUFFIXES[most]]
        raise DataError(
            f"{source.base} must hold items of one kind, but beside {counts[most]} {most} files "
            f"it holds {first_few([f.relative_to(source.base) for f in odd])}; move these "
            "elsewhere, or list the items in a table"
        )
    rows: list[dict[str, Any]] = []
    for file in source.files:
        relative = file.relative_to(source.base)
        first = relative.parts[0] if len(relative.parts) > 1 else ""
        split = first if first in SOURCE_SPLITS else "unlabeled"
        has_gold = split != "unlabeled" and len(relative.parts) > 2
        rows.append(
            {
                "item_id": neutral_id(relative) if first in SOURCE_SPLITS else relative.as_posix(),
                "payload": file,
                "path": relative.as_posix(),
                "split": split,
                "gold": relative.parts[1] if has_gold else None,
            }
        )
    table = pd.DataFrame(rows, columns=["item_id", "payload", "path", "split", "gold"])
    return found[0] if found else "image", _complete(table)


def _payload(
    table: pd.DataFrame, path: Path, config: ItemsConfig, *, is_new: bool = False
) -> tuple[Kind, str]:
    """Return what the items of a table are, and the column that holds them.

    The settings are wrong where the project's own table does not fit them, a new table itself is.
    """
    for kind in KINDS:
        if kind == "series" and config.joins_columns:
            return kind, kind  # `_read_table` has made one column of them
        named: str | None = getattr(config, kind)
        if named is not None:
            rename = f"rename the column that holds the items to {named!r}" if is_new else ""
            require_columns(table, {f"{kind} under [items]": named}, path.name, remedy=rename)
            return kind, named
    for kind in KINDS:
        if kind in table.columns:
            return kind, kind
    raise DataError(
        f"{path.name} needs a column 'image', 'audio', 'series' or 'text', but has "
        f'{listed(table.columns)}; name yours under [items], such as text = "body", or the columns '
        'of numbers that are an item together, such as series = ["pulse", "sensor_*"]'
    )


def _from_table(path: Path, kind: str, config: ItemsConfig) -> tuple[Kind, pd.DataFrame]:
    table = _read_table(path, kind, config)
    item_kind, column = _payload(table, path, config)
    if "item_id" not in config.model_fields_set:
        no_ids = 'name yours, such as item_id = "id"; `weaklight import csv` numbers rows without'
        require_columns(table, {"item_id under [items]": config.item_id}, path.name, remedy=no_ids)
    stated = [role for role in COLUMN_ROLES if role in config.model_fields_set]
    require_columns(
        table, {f"{role} under [items]": getattr(config, role) for role in stated}, path.name
    )
    renamed = {
        getattr(config, role): role for role in COLUMN_ROLES if getattr(config, role) in table
    }
    values = table.pop(column)
    table = rename_columns(table, renamed, path.name)
    if "noisy_label" in table:  # a voter's answers: " ham" is no class of its own
        table["noisy_label"] = table["noisy_label"].map(_stripped, na_action="ignore")
    if item_kind in ("text", "series"):
        table["payload"] = values.astype(object).where(values.notna(), None)
        table["path"] = None
        return item_kind, _complete(table)
    is_bytes = values.map(lambda v: isinstance(v, bytes))
    is_text = values.map(lambda v: isinstance(v, str) and v != "")
    table["payload"] = [
        v if b else (path.parent / v if t else None)
        for v, b, t in zip(values, is_bytes, is_text, strict=True)
    ]
    table["path"] = [v if t else None for v, t in zip(values, is_text, strict=True)]
    return item_kind, _complete(table)


def read_rows(path: Path, config: ItemsConfig) -> tuple[Kind, list[str], list[Any]]:
    """Read the items of one table that are new to the project: nothing but the items matters.

    Returns
    -------
    What they are, their ids (numbered like an import's where there are none), and each one's bytes,
    text, numbers or Path still to be read; None where the cell is empty.

    Raises
    ------
    DataError
        If the table cannot be read or has no column of items.
    """
    table = _read_table(path, TABLES[path.suffix.lower()], config)
    for told in told_encoding(table):
        logger.warning(told)
    kind, column = _payload(table, path, config, is_new=True)
    ids = numbered(len(table))
    if config.item_id in table:
        ids = [as_name(i) or n for i, n in zip(table[config.item_id], ids, strict=True)]
    cells = table[column].astype(object).where(table[column].notna(), None)
    if kind in ("image", "audio"):
        cells = cells.map(lambda c: path.parent / c if isinstance(c, str) and c else c)
    return kind, ids, cells.tolist()


def _from_torchvision(source: Source, seed: int) -> pd.DataFrame:
    from torchvision import datasets

    name = source.name.removeprefix(_TORCHVISION)
    dataset_class = getattr(datasets, name, None)
    if dataset_class is None:
        raise ConfigError(
            f"items.source: torchvision has no data set {name!r}; "
            "see torchvision.datasets for the names, such as torchvision:FashionMNIST"
        )
    try:
        train = dataset_class(root=str(source.base), train=True, download=True)
        test = dataset_class(root=str(source.base), train=False, download=True)
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"torchvision could not load {name} below {source.base} ({error}); "
            "copy the data set's files there or connect to the network once"
        ) from None
    rng = numpy_generator(seed, "torchvision", name)
    n_dev = min(_TORCHVISION_DEV_ROWS, len(train) // 10)
    dev = set(rng.choice(len(train), size=n_dev, replace=False).tolist())
    rows: list[dict[str, Any]] = []
    for part, dataset in (("train", train), ("test", test)):
        for i in range(len(dataset)):
            image, label = dataset[i]
            split = "test" if part == "test" else ("dev" if i in dev else "unlabeled")
            rows.append(
                {
                    "item_id": f"{part}-{i:06d}",
                    "payload": _png(image),
                    "path": None,
                    "split": split,
                    "gold": None if split == "unlabeled" else str(dataset.classes[int(label)]),
                }
            )
    return _complete(pd.DataFrame(rows))


def _read_table(path: Path, kind: str, config: ItemsConfig) -> pd.DataFrame:
    table = _read_columns(path, kind, config)
    named = config.series_columns(table.columns)
    if named:
        require_columns(table, {f"series under [items], {c}": c for c in named}, path.name)
        numbers = table[list(named)].apply(pd.to_numeric, errors="coerce")
        table = table.copy()  # of one piece: columns are added to it faster
        table["series"] = list(numbers.to_numpy(np.float64))
    return table


def _read_columns(path: Path, kind: str, config: ItemsConfig) -> pd.DataFrame:
    try:
        if kind == "csv":
            table = read_csv(path, dtype={config.item_id: str})
            text = config.text or "text"
            if text in table:  # which may be "NA" or "null"; pandas takes that for missing
                table[text] = read_csv(path, usecols=[text], dtype=str, na_filter=False)[text]
            return table
        if kind == "jsonl":
            return pd.read_json(path, lines=True, dtype={config.item_id: str})
        return pd.read_parquet(path)
    except (ValueError, OSError) as error:
        raise unreadable(path, error) from None


def _stripped(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def _complete(table: pd.DataFrame) -> pd.DataFrame:
    for column in ("split", "gold", "bag_id", "bag_label", "noisy_label"):
        if column not in table.columns:
            table[column] = pd.Series([None] * len(table), dtype=object)
    return table.reset_index(drop=True)


def _png(image: Any) -> bytes:
    import io

    from PIL import Image

    picture = image if isinstance(image, Image.Image) else Image.fromarray(np.asarray(image))
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()
