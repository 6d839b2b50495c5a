"""A form for any kind of template, made from the fields that the template declares.

Each widget keeps its answer under a key of its own, "KIND OPTION", where ``services.answers`` puts
those of a table that is to be changed; so defaults are put there, too, and not into the widgets.

Try it: the page "Write a function" of ``weaklight review``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import streamlit as st

from labeling_functions.templates import KINDS, Condition
from labeling_functions.templates.fields import Field, Shape, fields_of
from pipelines.sections import NOISY_LABEL

__all__ = ["Known", "first_kind", "items_key", "label", "template_form"]

T = TypeVar("T")

# Options that most rules leave as they are.
_SELDOM = frozenset({"switch", "choice", "count"})
_CALLED: dict[Shape, str] = {"class": "Then vote", "file": "Word list"}
_ASKED = {True: "is empty", False: "is filled in"}


@dataclass(frozen=True)
class Known:
    """What a form offers.

    Attributes
    ----------
    columns : what :func:`pipelines.tryout.columns` says, by the column's name
    votes : names of the classes and class sets
    classes : names of the classes alone
    files : names of word lists that lie beside the functions
    """

    columns: Mapping[str, Mapping[str, Any]]
    votes: Sequence[str]
    classes: Sequence[str]
    files: Sequence[str]

    def readable(self, reads: str) -> list[str]:
        """Return the columns that hold text or numbers, or all."""
        fit = [n for n, column in self.columns.items() if reads in ("any", column["holds"])]
        # The longest texts come first: rules about words are about them.
        return sorted(fit, key=lambda n: -self.columns[n]["length"]) if reads == "text" else fit


def first_kind(known: Known) -> str:
    """Return the first kind that the items have columns for; labels that came along are no text."""
    for kind, template in KINDS.items():
        columns = [field for field in fields_of(template) if field.shape.startswith("column")]
        if all(set(known.readable(field.reads)) - {NOISY_LABEL} for field in columns):
            return kind
    return next(iter(KINDS))


def template_form(kind: str, known: Known) -> tuple[dict[str, Any], list[str]]:
    """Draw the form of a kind of template.

    Returns
    -------
    The options that differ from their defaults, as they stand in TOML; and what the form calls
    those that still need an answer.
    """
    fields = [
        field
        for field in fields_of(KINDS[kind])
        if field.shape != "file" or _offered(known.files, f"{kind} {field.name}")
    ]
    seldom = [field for field in fields if field.shape in _SELDOM]
    answers = {f.name: _ask(f, kind, known) for f in fields if f.shape not in _SELDOM}
    if seldom:
        with st.expander("More options"):
            answers |= {field.name: _ask(field, kind, known) for field in seldom}
    given = {f.name: answers[f.name] for f in fields if _is_given(f, answers[f.name])}
    return given, [label(field) for field in fields if field.is_needed and field.name not in given]


def items_key(kind: str, name: str) -> str:
    """Return the session-state key of a field that holds item ids, one a line."""
    return f"{kind} {name}"


def _ask(field: Field, prefix: str, known: Known) -> Any:
    return _WIDGETS[field.shape](field, f"{prefix} {field.name}", known)


def _is_given(field: Field, answer: Any) -> bool:
    return answer is not None and answer not in ("", [], {}) and answer != field.default


def label(field: Field) -> str:
    """Return what the form calls a field."""
    return _CALLED.get(field.shape) or field.name.replace("_", " ").capitalize()


def _column(field: Field, key: str, known: Known) -> str | None:
    options = _offered(known.readable(field.reads), key)
    if not options:
        st.warning(f"The items have no column of {field.reads}s, which this kind needs.")
        return None
    chosen = st.selectbox(label(field), options, key=key, help=field.text)
    spread = known.columns.get(chosen, {}).get("range")
    if spread:
        low, middle, high = spread
        st.caption(f"{chosen} runs from {low:.4g} to {high:.4g}; half lie below {middle:.4g}.")
    return str(chosen)


def _columns(field: Field, key: str, known: Known) -> str | list[str] | None:
    options = _offered(known.readable(field.reads)[::-1], key)  # lists name short things
    st.session_state.setdefault(key, options[:1])
    chosen = st.multiselect(label(field), options, key=key, help=field.text)
    return chosen[0] if len(chosen) == 1 else chosen


def _class(field: Field, key: str, known: Known) -> str | int | None:
    return st.selectbox(
        label(field), _offered(known.votes, key), index=None, key=key, help=field.text,
        placeholder="choose what it votes for",
    )  # fmt: skip


def _text(field: Field, key: str, known: Known) -> str:
    return st.text_input(label(field), key=key, help=field.text)


def _lines(field: Field, key: str, known: Known) -> list[str]:
    written = st.text_area(f"{label(field)}, one a line", key=key, help=field.text, height=120)
    return [line.strip() for line in written.splitlines() if line.strip()]


def _rows(field: Field, key: str, known: Known) -> list[str] | list[list[str]]:
    lines = _lines(field, key, known)
    if len(_beside(key, "column") or ()) > 1:
        return [[cell.strip() for cell in line.split(",")] for line in lines]
    return lines


def _names(field: Field, key: str, known: Known) -> dict[str, str]:
    lines = _lines(field, key, known)
    return {left.strip(): right.strip() for left, _, right in (x.partition("=") for x in lines)}


def _number(field: Field, key: str, known: Known) -> float | int | None:
    st.session_state.setdefault(key, field.default)
    value = st.number_input(
        label(field), value=None, key=key, help=field.text, step=None, format="%g",
        placeholder="not set",
    )  # fmt: skip
    return _short(value)


def _range(field: Field, key: str, known: Known) -> list[float | int] | None:
    left, right = st.columns(2)
    with left:
        low = st.number_input(
            f"{label(field)}: lowest", value=None, key=f"{key} low", help=field.text, format="%g",
            placeholder="not set",
        )  # fmt: skip
    with right:
        high = st.number_input(
            "highest", value=None, key=f"{key} high", format="%g", placeholder="not set"
        )
    ends = [end for end in (_short(low), _short(high)) if end is not None]
    return ends if len(ends) == 2 else None


def _switch(field: Field, key: str, known: Known) -> bool:
    st.session_state.setdefault(key, field.default)
    return st.toggle(label(field), key=key, help=field.text)


def _yes_or_no(field: Field, key: str, known: Known) -> bool | None:
    return st.selectbox(
        "The cell", [None, True, False], key=key, help=field.text,
        format_func=lambda x: "does not matter" if x is None else _ASKED[x],
    )  # fmt: skip


def _choice(field: Field, key: str, known: Known) -> str:
    st.session_state.setdefault(key, field.default)
    return str(
        st.segmented_control(label(field), field.choices, key=key, help=field.text, required=True)
    )


def _count(field: Field, key: str, known: Known) -> str | int:
    answer = str(
        st.selectbox(
            label(field), [*field.choices, *map(str, range(2, 10))], key=key, help=field.text
        )
    )
    return int(answer) if answer.isdigit() else answer


def _value(field: Field, key: str, known: Known) -> Any:
    column = known.columns.get(_beside(key, "column"))
    if column is not None and column["holds"] == "number":
        return _number(field, key, known)
    options = _offered([] if column is None else column["values"], key)
    return st.selectbox(
        label(field), options, index=None, key=key, help=field.text, accept_new_options=True,
        placeholder="any value", format_func=str,
    )  # fmt: skip


def _values(field: Field, key: str, known: Known) -> list[Any]:
    column = known.columns.get(_beside(key, "column"))
    options = _offered([] if column is None else column["values"], key)
    is_number = column is not None and column["holds"] == "number"
    return st.multiselect(
        label(field), options, key=key, help=field.text, accept_new_options=not is_number,
        placeholder="any value", format_func=str,
    )  # fmt: skip


def _file(field: Field, key: str, known: Known) -> str | None:
    return st.selectbox(
        label(field), _offered(known.files, key), index=None, key=key, help=field.text,
        placeholder="none",
    )  # fmt: skip


def _column_per_class(field: Field, key: str, known: Known) -> dict[str, str]:
    st.markdown(label(field), help=field.text)
    chosen = {
        name: st.selectbox(
            name, _offered(known.readable(field.reads), f"{key} {name}"), index=None,
            key=f"{key} {name}", placeholder="no column",
        )
        for name in known.classes
    }  # fmt: skip
    return {name: column for name, column in chosen.items() if column}


def _text_per_class(field: Field, key: str, known: Known) -> dict[str, str]:
    st.markdown(label(field), help=field.text)
    written = {name: st.text_input(name, key=f"{key} {name}") for name in known.classes}
    return {name: text.strip() for name, text in written.items() if text.strip()}


def _conditions(field: Field, key: str, known: Known) -> list[dict[str, Any]]:
    n = st.session_state.setdefault(f"{key} n", 1)
    tests = [test for test in fields_of(Condition) if test.name != "column"]
    found = []
    for place in range(n):
        prefix = f"{key} {place}"
        left, right = st.columns([3, 2])
        with left:
            column = st.selectbox(
                f"Condition {place + 1}", _offered(list(known.columns), f"{prefix} column"),
                key=f"{prefix} column", help=field.text,
            )  # fmt: skip
        holds = known.columns.get(column, {}).get("holds", "number")
        fit = {t.name: t for t in tests if holds == "number" or t.reads == "any"}
        with right:
            test = st.selectbox("is", list(fit), key=f"{prefix} test", format_func=_spoken)
        answer = _ask(fit[test], prefix, known)
        if answer is not None and answer != []:
            found.append({"column": column, test: answer})
    with st.container(horizontal=True):
        st.button(
            "One more", key=f"{key} more", on_click=_count_on, args=(f"{key} n", 1),
            icon=":material/add:", type="tertiary",
        )  # fmt: skip
        st.button(
            "One less", key=f"{key} less", on_click=_count_on, args=(f"{key} n", -1),
            icon=":material/remove:", type="tertiary", disabled=n == 1,
        )  # fmt: skip
    return found


def _offered(options: Sequence[T], key: str) -> list[T]:
    """Return the options, and what a filled form holds already: trying it says what is wrong."""
    given = st.session_state.get(key)
    answers = given if isinstance(given, list) else [given]
    return [*options, *(a for a in answers if a is not None and a not in options)]


def _beside(key: str, name: str) -> Any:
    """Return the answer to another field of the same form."""
    return st.session_state.get(f"{key.rpartition(' ')[0]} {name}")


def _count_on(key: str, step: int) -> None:
    st.session_state[key] += step


def _spoken(name: str) -> str:
    return name.replace("_", " ")


def _short(value: float | None) -> float | int | None:
    return int(value) if value is not None and value == int(value) else value


_WIDGETS: dict[Shape, Callable[[Field, str, Known], Any]] = {
    "column": _column,
    "columns": _columns,
    "class": _class,
    "items": _lines,
    "conditions": _conditions,
    "column per class": _column_per_class,
    "text per class": _text_per_class,
    "text": _text,
    "texts": _lines,
    "rows": _rows,
    "names": _names,
    "file": _file,
    "number": _number,
    "range": _range,
    "count": _count,
    "switch": _switch,
    "yes or no": _yes_or_no,
    "choice": _choice,
    "value": _value,
    "values": _values,
}
