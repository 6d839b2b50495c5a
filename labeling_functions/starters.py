"""The first lines of a new LF: a commented file that runs as it stands.

Try it: ``weaklight lf new tall --kind threshold``.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from typing import Any

import pandas as pd

from labeling_functions.suggest.material import Material
from labeling_functions.templates import KINDS as TEMPLATES
from labeling_functions.templates import toml
from weaklight.errors import LabelingError
from weaklight.words import nearest

__all__ = ["KINDS", "starter"]

_PYTHON = '''"""{title}"""

from labeling_functions import labeling_function

# item.NAME reads a column of the item. There are:
#   {columns}
# Answer with one of: {answers}. Answer nothing where the rule does not apply.
# Surer here than there? With @labeling_function(soft=True) answer {{{vote!r}: 0.8}}.


@labeling_function(author="", tags=[])
def {name}(item):
    """{sentence}"""
    if {test}:
        return {vote!r}
'''
_COLUMNS = '''"""{title}"""

from labeling_functions import labeling_function

# Each argument is a whole column, a pandas Series. There are:
#   {columns}
# True votes for vote=, False abstains. Votes may go to: {answers}.


@labeling_function(columns=[{column!r}], vote={vote!r}, author="", tags=[])
def {name}({argument}):
    """{sentence}"""
    return {test}
'''
MAX_LABELS = 20  # different values of a column that holds labels rather than texts
_CHANGE = "Replace this by what you know: votes {vote} where {words}."


class _LackingError(LabelingError):
    """The items have no column of the kind that a starter needs."""


def starter(name: str, kind: str, material: Material, vote: str | None = None) -> tuple[str, str]:
    """Return the ending and the text of a new file with one LF.

    Parameters
    ----------
    name
        Name of the LF, a Python name.
    kind
        One of ``KINDS``.
    material
        Some items of the project, so that the example reads columns that exist.
    vote
        The class or class set that it votes for; the first class where left out.

    Raises
    ------
    LabelingError
        If the kind is unknown, the name is no name, there is no such class, the kind votes for
        several, or the items lack the columns it needs.
    """
    if kind not in KINDS:
        raise LabelingError(
            f"expected a kind among {', '.join(KINDS)}, but came {kind!r}{nearest(kind, KINDS)}"
        )
    if not name.isidentifier() or name.startswith("_"):
        raise LabelingError(
            f"{name!r} cannot name an LF: use letters, digits and _, such as tall_and_narrow"
        )
    names = material.ballot.names
    if vote is not None and vote not in names:
        raise LabelingError(
            f"a vote goes to one of {', '.join(names)}, but came {vote!r}{nearest(vote, names)}"
        )
    if kind in ("python", "columns"):
        return ".py", _python(name, kind, material, vote or names[0])
    votes_for_one = "vote" in TEMPLATES[kind].option_names()
    if vote is not None and not votes_for_one:
        raise LabelingError(f"an LF of kind {kind} votes for several classes; leave --vote out")
    chosen = {"vote": vote or names[0]} if votes_for_one else {}
    options, hint = _TOML[kind](material, vote or names[0])
    table = {"name": name, "kind": kind, **options, **chosen, "author": "", "tags": []}
    toml.from_dict(table)  # it must be one that loads
    comments = [
        f"An LF of kind {kind}; docs/labeling_functions.md explains the options.",
        hint,
        f"Columns: {', '.join(material.columns)}.",
        f"Votes may go to: {_answers(material)}.",
        'Add description = "..." to say in a sentence why it is right.',
    ]
    return ".toml", "".join(f"# {line}\n" for line in comments) + toml.to_toml(table)


def _python(name: str, kind: str, material: Material, vote: str) -> str:
    column, test, words = _simple_test(material, whole=kind == "columns")
    argument = column if column.isidentifier() else "values"
    return (_PYTHON if kind == "python" else _COLUMNS).format(
        title="What this file's rules look at.",
        columns=", ".join(material.columns),
        answers=_answers(material),
        name=name,
        sentence=_CHANGE.format(vote=vote, words=words),
        vote=vote,
        column=column,
        argument=argument,
        test=test.replace("COLUMN", argument if kind == "columns" else _item(column)),
    )


def _simple_test(material: Material, *, whole: bool) -> tuple[str, str, str]:
    """Return a column, a test of it as Python with COLUMN in its place, and the test in words."""
    try:
        column, limit = _number(material)
    except _LackingError:
        column = _text(material)
        test = (
            'COLUMN.str.contains("example", case=False, na=False, regex=False)'
            if whole
            else '"example" in (COLUMN or "").lower()'
        )
        return column, test, f'{column} holds "example"'
    return column, f"COLUMN > {limit:g}", f"{column} is above {limit:g}"


def _item(column: str) -> str:
    return f"item.{column}" if column.isidentifier() else f"item[{column!r}]"


def _answers(material: Material) -> str:
    return ", ".join(f'"{name}"' for name in material.ballot.names)


def _numbers(material: Material) -> list[str]:
    return [
        name
        for name in material.columns
        if pd.api.types.is_numeric_dtype(material.table[name])
        and not pd.api.types.is_bool_dtype(material.table[name])
        and material.table[name].notna().any()
    ]


def _number(material: Material, place: int = 0) -> tuple[str, float]:
    """Return a column of numbers and a limit that a tenth of the items exceed."""
    found = _numbers(material)
    if len(found) <= place:
        raise _LackingError(_lacking("numbers", material))
    limit = float(material.table[found[place]].quantile(0.9))
    return found[place], float(f"{limit:.3g}")


def _texts(material: Material) -> list[str]:
    """Return the columns of texts, that of the items themselves first."""
    present = {name: material.table[name].dropna() for name in material.columns}
    found = [
        name
        for name, values in present.items()
        if len(values) and pd.api.types.is_string_dtype(values)
    ]
    return sorted(found, key=lambda name: name != "text")


def _text(material: Material) -> str:
    found = _texts(material)
    if not found:
        raise _LackingError(_lacking("text", material))
    return found[0]


def _lacking(what: str, material: Material) -> str:
    return (
        f"this kind needs a column of {what}, but the items have {', '.join(material.columns)}; "
        "choose another --kind, or add such a column to the items"
    )


def _keywords(material: Material, vote: str) -> tuple[dict[str, Any], str]:
    options = {"column": _text(material), "words": ["example", "another one"]}
    return options, "Votes where the text holds one of the words or phrases."


def _regex(material: Material, vote: str) -> tuple[dict[str, Any], str]:
    options = {"column": _text(material), "pattern": r"\d{4,}"}
    return options, "Votes where the pattern is found in the text."


def _threshold(material: Material, vote: str) -> tuple[dict[str, Any], str]:
    column, limit = _number(material)
    hint = "Votes where the number lies within the limits: above, at_least, below, at_most."
    return {"column": column, "above": limit}, hint


def _metadata(material: Material, vote: str) -> tuple[dict[str, Any], str]:
    column = _text(material)
    value = str(material.table[column].dropna().mode().iloc[0])
    return {"column": column, "equals": value}, "Votes where the cell is this."


def _lookup(material: Material, vote: str) -> tuple[dict[str, Any], str]:
    options = {"column": _text(material), "entries": ["example", "another one"]}
    return options, "Votes where the cell is in the list; file = reads a list."


def _rule(material: Material, vote: str) -> tuple[dict[str, Any], str]:
    conditions = []
    for place in (0, 1):
        column, limit = _number(material, place)
        conditions.append({"column": column, "above": limit})
    return {"conditions": conditions}, "Votes where all conditions hold."


def _prototype(material: Material, vote: str) -> tuple[dict[str, Any], str]:
    ids = material.table["item_id"].astype(str)
    right = ids[material.fits[:, material.ballot.read(vote)]]
    options = {"positives": (right if len(right) else ids)[:3].tolist(), "at_least": 0.8}
    return options, "Votes where an item looks like the positives, by item_id."


def _model(material: Material, vote: str) -> tuple[dict[str, Any], str]:
    numbers = {name: material.table[name].dropna() for name in _numbers(material)}
    columns = [n for n, v in numbers.items() if v.between(0, 1).all() and (v % 1 > 0).any()]
    if not columns:
        raise _LackingError(_lacking("numbers from 0 to 1, a model's probabilities", material))
    classes = material.ballot.classes
    named = {k: n for k in classes for n in columns if n.lower().endswith(k.lower())}  # p_spam
    options = {"probabilities": named or {classes[0]: columns[0]}, "at_least": 0.8}
    return options, "Votes for the likeliest class, where its probability is high enough."


def _annotator(material: Material, vote: str) -> tuple[dict[str, Any], str]:
    names = material.ballot.names
    labels = {name: material.table[name].dropna().unique().tolist() for name in _texts(material)}
    few = {name: found for name, found in labels.items() if len(found) <= MAX_LABELS}
    if not few:
        raise _LackingError(_lacking(f"up to {MAX_LABELS} different labels", material))
    column = max(few, key=lambda name: (len(set(few[name]) & set(names)), -len(few[name])))
    strange = sorted(set(few[column]) - set(names))
    meaning = {"names": dict(zip(strange, cycle(names), strict=False))} if strange else {}
    hint = "Votes what the column says; names = says what a label means that is no class of yours."
    return {"column": column} | meaning, hint


def _zero_shot(material: Material, vote: str) -> tuple[dict[str, Any], str]:
    descriptions = {name: f"this is about {name}" for name in material.ballot.classes}
    return (
        {"descriptions": descriptions, "at_least": 0.2, "margin": 0.05},
        "Votes for the class whose description is most like the text; it needs texts as items, and "
        "`weaklight embed` first.",
    )


# Each takes the items and what is voted for, and returns options without the vote, and a hint.
_TOML: dict[str, Callable[[Material, str], tuple[dict[str, Any], str]]] = {
    "keywords": _keywords,
    "regex": _regex,
    "lookup": _lookup,
    "threshold": _threshold,
    "metadata": _metadata,
    "rule": _rule,
    "prototype": _prototype,
    "model": _model,
    "annotator": _annotator,
    "zero_shot": _zero_shot,
}
KINDS = ("python", "columns", *_TOML)
