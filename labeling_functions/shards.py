"""Tables of items, a shard at a time: a data frame, or Parquet files that never load as a whole.

Try it: ``[shard.n_rows for shard in open_items(Path("items.parquet")).shards(["text"], 16_384)]``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from weaklight.errors import DataError

__all__ = ["FrameItems", "Items", "ParquetItems", "Shard", "open_items", "to_arrow"]


@dataclass(frozen=True)
class Shard:
    """Some consecutive rows, with the columns that were asked for.

    ``with_missing`` names the columns that miss a value in this shard or another.
    """

    number: int
    start: int
    arrow: pa.Table
    with_missing: frozenset[str] = frozenset()

    @property
    def n_rows(self) -> int:
        """How many rows it holds."""
        return int(self.arrow.num_rows)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The rows as LFs see them, numbered from 0."""
        frame: pd.DataFrame = self.arrow.to_pandas()
        for name in self.with_missing & set(frame.select_dtypes(bool).columns):
            frame[name] = frame[name].astype(object)
        return frame

    def visible(self, columns: Iterable[str]) -> pd.DataFrame:
        """Return the rows with those columns that are among ``columns``: what LFs may see."""
        known = set(columns)
        return self.frame[[name for name in self.frame.columns if name in known]]


class Items(ABC):
    """A table of items that LFs vote on."""

    n_rows: int

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """The columns that LFs may read."""

    @property
    @abstractmethod
    def dtypes(self) -> Mapping[str, str]:
        """What pandas calls the columns' types, as LFs see them."""

    @abstractmethod
    def shards(self, columns: Sequence[str], rows: int) -> Iterator[Shard]:
        """Yield all rows in order; ``columns`` may name hidden ones."""

    @abstractmethod
    def values(self, column: str) -> pd.Series:
        """Return one whole column."""


class FrameItems(Items):
    """A data frame."""

    def __init__(self, table: pd.DataFrame) -> None:
        self._table = table
        self.n_rows = len(table)

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column."""
        return tuple(map(str, self._table.columns))

    @property
    def dtypes(self) -> Mapping[str, str]:
        """The frame's own."""
        return {str(name): str(dtype) for name, dtype in self._table.dtypes.items()}

    def shards(self, columns: Sequence[str], rows: int) -> Iterator[Shard]:
        """Convert a slice at a time."""
        for number, start in enumerate(range(0, self.n_rows, rows)):
            part = self._table.iloc[start : start + rows][list(columns)]
            yield Shard(number, start, to_arrow(part))

    def values(self, column: str) -> pd.Series:
        """Return the column itself."""
        return self._table[column]


class ParquetItems(Items):
    """Parquet files or Arrow datasets whose rows belong together, side by side.

    Parameters
    ----------
    sources
        Each a file, a folder of files or a dataset, all with the same items in the same order. Of
        columns with one name the last source's counts.
    hidden
        Columns that LFs must not see.

    Notes
    -----
    Memory: one shard of the columns that are read, and a compressed row group of each source.
    Whole numbers with a missing value anywhere are read as floats everywhere, as pandas does, so
    that an LF sees the same types whatever the shard.
    """

    def __init__(self, *sources: Path | ds.Dataset, hidden: Sequence[str] = ()) -> None:
        self._sources = [
            ds.dataset(s, format="parquet") if isinstance(s, Path) and s.is_dir() else s
            for s in sources
        ]
        counts = [_count(source) for source in self._sources]
        if len(set(counts)) != 1:
            raise DataError(
                f"files side by side must hold the same items, but hold {counts} rows; "
                "write them again from one table"
            )
        self.n_rows = counts[0]
        self._hidden = frozenset(hidden)
        self._place = {name: i for i, s in enumerate(self._sources) for name in _schema(s).names}

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of all sources that are not hidden."""
        return tuple(name for name in self._place if name not in self._hidden)

    @cached_property
    def _with_missing(self) -> frozenset[str]:
        """Whole-number and boolean columns that miss a value somewhere."""
        found = set()
        for place, source in enumerate(self._sources):
            names = [
                f.name
                for f in _schema(source)
                if self._place[f.name] == place
                and (pa.types.is_integer(f.type) or pa.types.is_boolean(f.type))
            ]
            for batch in _batches(source, names, 1 << 16) if names else ():
                found |= {name for name in names if batch.column(name).null_count}
        return frozenset(found)

    @cached_property
    def dtypes(self) -> Mapping[str, str]:
        """What an empty shard would hold."""
        tables = [_schema(s).empty_table() for s in self._sources]
        arrow = pa.table({name: tables[i].column(name) for name, i in self._place.items()})
        frame = Shard(0, 0, self._uniform(arrow), self._with_missing).frame
        return {str(name): str(dtype) for name, dtype in frame.dtypes.items()}

    def shards(self, columns: Sequence[str], rows: int) -> Iterator[Shard]:
        """Read the sources in step."""
        wanted: list[list[str]] = [[] for _ in self._sources]
        for name in columns:
            wanted[self._place[name]].append(name)
        readers = [
            _evenly(_batches(source, names, rows), rows)
            for source, names in zip(self._sources, wanted, strict=True)
            if names
        ]
        for number, parts in enumerate(zip(*readers, strict=True)):
            arrow = pa.table(
                {name: part.column(name) for part in parts for name in part.schema.names}
            )
            yield Shard(number, number * rows, self._uniform(arrow), self._with_missing)

    def values(self, column: str) -> pd.Series:
        """Read one column."""
        source = self._sources[self._place[column]]
        batches = list(_batches(source, [column], 1 << 16))
        table = pa.Table.from_batches(batches, schema=pa.schema([_schema(source).field(column)]))
        values: pd.Series[Any] = table.column(0).to_pandas()
        return values

    def _uniform(self, arrow: pa.Table) -> pa.Table:
        for place, column in enumerate(arrow.schema):
            if column.name in self._with_missing and pa.types.is_integer(column.type):
                floats = pc.cast(arrow.column(place), pa.float64(), safe=False)
                arrow = arrow.set_column(place, column.name, floats)
        return arrow


def open_items(table: pd.DataFrame | Path | ds.Dataset | Items) -> Items:
    """Return ``table`` as items."""
    if isinstance(table, Items):
        return table
    return FrameItems(table) if isinstance(table, pd.DataFrame) else ParquetItems(table)


def to_arrow(frame: pd.DataFrame) -> pa.Table:
    """Return the frame as an Arrow table.

    Raises
    ------
    DataError
        If a column holds values that Arrow cannot represent, such as mixed types.
    """
    try:
        return pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise DataError(
            f"each column of the items must hold one kind of value, but {error}; "
            "convert that column first, for example with .astype(str)"
        ) from error


def _count(source: Path | ds.Dataset) -> int:
    if isinstance(source, Path):
        return int(pq.read_metadata(source).num_rows)
    return int(source.count_rows())


def _schema(source: Path | ds.Dataset) -> pa.Schema:
    return pq.read_schema(source) if isinstance(source, Path) else source.schema


def _batches(
    source: Path | ds.Dataset, columns: Sequence[str], rows: int
) -> Iterator[pa.RecordBatch]:
    if not isinstance(source, Path):
        yield from source.to_batches(
            columns=list(columns), batch_size=rows, batch_readahead=1, fragment_readahead=1
        )
        return
    with pq.ParquetFile(source) as file:
        yield from file.iter_batches(batch_size=rows, columns=list(columns))


def _evenly(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.Table]:
    """Cut a stream of batches into tables of ``rows`` rows, the last one shorter."""
    waiting: list[pa.RecordBatch] = []
    n_waiting = 0
    for batch in batches:
        while n_waiting + batch.num_rows >= rows:
            first = rows - n_waiting
            yield pa.Table.from_batches([*waiting, batch.slice(0, first)])
            batch, waiting, n_waiting = batch.slice(first), [], 0
        if batch.num_rows:
            waiting.append(batch)
            n_waiting += batch.num_rows
    if waiting:
        yield pa.Table.from_batches(waiting)
