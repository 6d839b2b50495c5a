"""Items as an LF sees them: light records whose columns are attributes.

Try it: ``next(items_of(pandas.DataFrame({"aspect": [2.0]}))).aspect``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from weaklight.words import nearest

__all__ = ["Item", "items_of", "missing_column"]


def missing_column(name: str, columns: list[str]) -> str:
    """Say that the items lack a column, and which one may have been meant."""
    # whatever the source calls them
    texts = "; their texts are called 'text'" if "text" in columns else ""
    hint = nearest(name, columns) or f"{texts}; they have {', '.join(columns)}"
    return f"the items have no column {name!r}{hint}"


class Item:
    """One row: ``item.aspect``, or ``item["leg gap"]`` where the name is no Python name.

    Numbers come as Python numbers with NaN for a missing one; any other missing value is None.
    """

    __slots__ = ("_places", "_row")

    def __init__(self, places: dict[str, int], row: tuple[Any, ...]) -> None:
        self._places = places
        self._row = row

    def __getattr__(self, name: str) -> Any:
        try:
            return self._row[self._places[name]]
        except KeyError:
            raise AttributeError(missing_column(name, list(self._places))) from None

    def __getitem__(self, name: str) -> Any:
        try:
            return self._row[self._places[name]]
        except KeyError:
            raise KeyError(missing_column(name, list(self._places))) from None

    def __dir__(self) -> list[str]:
        return sorted(self._places)

    def __repr__(self) -> str:
        fields = zip(self._places, self._row, strict=True)
        return f"Item({', '.join(f'{name}={value!r:.40}' for name, value in fields)})"


def items_of(table: pd.DataFrame) -> Iterator[Item]:
    """Yield the rows of ``table`` as items, in order; O(cells) time."""
    places = {str(name): place for place, name in enumerate(table.columns)}
    columns = [_plain_values(table.iloc[:, place]) for place in range(table.shape[1])]
    for row in zip(*columns, strict=True):
        yield Item(places, row)


def _plain_values(column: pd.Series[Any]) -> list[Any]:
    if column.dtype.kind in "biuf" and not pd.api.types.is_extension_array_dtype(column.dtype):
        return column.tolist()
    return column.astype(object).where(column.notna().to_numpy(), None).tolist()
