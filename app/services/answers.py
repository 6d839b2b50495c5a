"""The answers that a form must hold to declare a given table: the form read backwards.

Try it: ``form_answers({"kind": "keywords", "column": "text", "words": ["free"], "vote": "spam"})``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from labeling_functions.templates import KINDS
from labeling_functions.templates.fields import Shape, fields_of

__all__ = ["fits_form", "form_answers"]


def fits_form(table: Mapping[str, Any]) -> bool:
    """Say whether a form can hold a ``[[lf]]`` table as it stands."""
    if table.get("kind") not in KINDS:
        return False
    known = {field.name for field in fields_of(KINDS[table["kind"]])}
    if table.keys() - known - {"name", "kind", "description", "author", "tags"}:
        return False
    # A condition of the form has one test; two tests of a column are two conditions, if all hold.
    return table.get("join", "all") == "all" or all(len(c) == 2 for c in table["conditions"])


def form_answers(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the form's answers, by the key under which each of its widgets keeps its own.

    Examples
    --------
    >>> form_answers({"kind": "threshold", "column": "n", "between": [1, 2], "vote": "ham"})
    {'threshold column': 'n', 'threshold between low': 1.0, 'threshold between high': 2.0, \
'threshold vote': 'ham'}
    """
    kind = str(table["kind"])
    answers: dict[str, Any] = {}
    for field in fields_of(KINDS[kind]):
        if field.name in table:
            answers |= _FILL[field.shape](f"{kind} {field.name}", table[field.name])
    return answers


Fill = Callable[[str, Any], dict[str, Any]]


def _same(key: str, value: Any) -> dict[str, Any]:
    return {key: value}


def _lines(key: str, value: list[Any]) -> dict[str, Any]:
    return {key: "\n".join(x if isinstance(x, str) else ", ".join(x) for x in value)}


def _each(key: str, value: Mapping[str, str]) -> dict[str, Any]:
    return {f"{key} {name}": answer for name, answer in value.items()}


def _value(key: str, value: Any) -> dict[str, Any]:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return {key: float(value) if is_number else value}


def _conditions(key: str, value: list[Mapping[str, Any]]) -> dict[str, Any]:
    shapes = {field.name: field.shape for field in fields_of(KINDS["threshold"])}
    shapes |= {field.name: field.shape for field in fields_of(KINDS["metadata"])}
    asked = [(c["column"], test, x) for c in value for test, x in c.items() if test != "column"]
    answers: dict[str, Any] = {f"{key} n": len(asked)}
    for place, (column, test, answer) in enumerate(asked):
        answers |= {f"{key} {place} column": column, f"{key} {place} test": test}
        answers |= _FILL[shapes[test]](f"{key} {place} {test}", answer)
    return answers


_FILL: dict[Shape, Fill] = {
    "column": _same,
    "columns": lambda key, value: {key: [value] if isinstance(value, str) else list(value)},
    "class": _same,
    "items": _lines,
    "conditions": _conditions,
    "column per class": _each,
    "text per class": _each,
    "text": _same,
    "texts": _lines,
    "rows": _lines,
    "names": lambda key, value: {key: "\n".join(f"{k} = {v}" for k, v in value.items())},
    "file": _same,
    "number": lambda key, value: {key: float(value)},
    "range": lambda key, value: {f"{key} low": float(value[0]), f"{key} high": float(value[1])},
    "count": lambda key, value: {key: str(value)},
    "switch": _same,
    "yes or no": _same,
    "choice": _same,
    "value": _value,
    "values": _same,
}
