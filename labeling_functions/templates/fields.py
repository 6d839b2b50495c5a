"""What a form must ask to declare a template: read off the template's own options.

Names, defaults and types are those of the dataclass, the explanations those of its docstring, so a
new option or a new kind appears in every form by itself.

Try it: ``[field.name for field in fields_of(Keywords)]``.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from labeling_functions.templates.base import Template
from labeling_functions.templates.conditions import NUMERIC, Condition, Scalar
from labeling_functions.templates.lookup import Lookup
from labeling_functions.templates.rules import Threshold
from labeling_functions.templates.text import TextTemplate

__all__ = ["Field", "Shape", "explanations", "fields_of"]

Shape = Literal[
    "column", "columns", "class", "items", "conditions", "column per class", "text per class",
    "text", "texts", "rows", "names", "file", "number", "range", "count", "switch", "yes or no",
    "choice", "value", "values",
]  # fmt: skip

_BY_NAME: dict[str, Shape] = {  # what a name means, whatever its type
    "vote": "class",
    "column": "column",
    "positives": "items",
    "negatives": "items",
    "conditions": "conditions",
    "probabilities": "column per class",
    "descriptions": "text per class",
}
_BY_TYPE: dict[Any, Shape] = {
    str: "text",
    bool: "switch",
    float: "number",
    float | None: "number",
    bool | None: "yes or no",
    Path | None: "file",
    Scalar | None: "value",
    tuple[str, ...]: "texts",
    tuple[str | tuple[str, ...], ...]: "rows",
    tuple[float, float] | None: "range",
    tuple[Scalar, ...] | None: "values",
    Mapping[str, str | int]: "names",
}


@dataclass(frozen=True)
class Field:
    """One option of a template, as a form asks for it.

    Attributes
    ----------
    name : the option's key
    shape : what sort of answer it takes
    text : what it means, from the template's docstring
    is_needed : whether it has no default
    default : what holds where nobody answers; None where there is none
    choices : the answers of a ``choice`` or ``count``
    reads : what a column must hold: "text", "number" or "any"
    """

    name: str
    shape: Shape
    text: str
    is_needed: bool
    default: Any
    choices: tuple[str, ...] = ()
    reads: Literal["text", "number", "any"] = "any"


def fields_of(declared: type[Template] | type[Condition]) -> list[Field]:
    """Return the fields of a kind of template, or of one condition of a rule, in their order.

    Raises
    ------
    TypeError
        If an option has a type that no field stands for.
    """
    hints, texts = typing.get_type_hints(declared), explanations(declared)
    options = [f for f in dataclasses.fields(declared) if f.name in _options(declared)]
    found = []
    for option in options:
        shape, choices = _shape(option.name, hints[option.name])
        has_default = option.default is not dataclasses.MISSING
        is_needed = not has_default and option.default_factory is dataclasses.MISSING
        found.append(
            Field(
                option.name,
                shape,
                texts.get(option.name, ""),
                is_needed,
                option.default if has_default else None,
                choices,
                _reads(declared, option.name),
            )
        )
    return sorted(found, key=lambda field: field.name == "vote")  # the answer comes last


def explanations(declared: type[Template] | type[Condition]) -> Mapping[str, str]:
    """Return what the docstring says of each parameter, by name."""
    document = inspect.getdoc(declared) or ""
    _, _, section = document.partition("Parameters\n----------\n")
    section = re.split(r"\n\n\w+\n-+\n", section)[0]
    told: dict[str, str] = {}
    for names, text in re.findall(r"^(\w[\w, ]*)\n((?:    .*\n?)+)", section, re.MULTILINE):
        for name in names.split(", "):
            told[name] = " ".join(text.split()).replace("``", "`")
    return told


def _options(declared: type[Template] | type[Condition]) -> list[str]:
    if issubclass(declared, Template):
        return declared.option_names()
    return [field.name for field in dataclasses.fields(declared)]


def _shape(name: str, hint: Any) -> tuple[Shape, tuple[str, ...]]:
    if name == "column" and hint is not str:
        return "columns", ()
    if name in _BY_NAME:
        return _BY_NAME[name], ()
    if typing.get_origin(hint) is Literal:
        return "choice", typing.get_args(hint)
    if hint in _BY_TYPE:
        return _BY_TYPE[hint], ()
    literal = next((a for a in typing.get_args(hint) if typing.get_origin(a) is Literal), None)
    if literal is not None and int in typing.get_args(hint):
        return "count", typing.get_args(literal)
    raise TypeError(f"no form field stands for {name}: {hint}; name its shape in {__name__}")


def _reads(
    declared: type[Template] | type[Condition], name: str
) -> Literal["text", "number", "any"]:
    if name == "probabilities" or (name == "column" and issubclass(declared, Threshold)):
        return "number"
    if name == "column" and issubclass(declared, TextTemplate | Lookup):
        return "text"
    return "number" if name in NUMERIC else "any"
