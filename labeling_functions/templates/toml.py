"""Templates in TOML: reading ``lfs/*.toml``, and adding a table to such a file.

Try it::

    lf = from_dict({"name": "prize", "kind": "keywords", "column": "text",
                    "words": ["prize"], "vote": "spam"})
    append(Path("lfs/accepted.toml"), {...})
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from labeling_functions.functions import Origin
from labeling_functions.templates import KINDS
from labeling_functions.templates.base import OptionError, Template
from labeling_functions.templates.resources import read_text
from weaklight.errors import LabelingError
from weaklight.words import nearest

__all__ = ["append", "from_dict", "read", "read_tables", "replace", "to_toml"]

ABOUT = ("name", "description", "author", "tags")
_Change = Callable[[str, list[dict[str, Any]]], tuple[str, list[dict[str, Any]]]]
_HEADER = re.compile(r"^[ \t]*\[\[\s*lf\s*\]\]", re.MULTILINE)
_ONE_BRACKET = re.compile(r"^[ \t]*\[\s*lf\s*\]", re.MULTILINE)
_TWO_BRACKETS = "write [[lf]], with two brackets, above each function"
_REMEDIES = {  # by how the parser's message starts
    "Unescaped": r"put patterns in single quotes, such as '\d+'",
    "Invalid value": 'texts go in quotes, such as name = "prize"; numbers, true and false do not',
    "Expected '='": 'write a key, an equals sign and a value, such as name = "prize"',
    "Illegal character": "close the quotes before the line ends",
    "Unclosed": "close the bracket and put commas between, in this line or above",
}


def from_dict(table: Mapping[str, Any], folder: Path | None = None) -> Template:
    """Return the LF that a ``[[lf]]`` table declares, with its digest.

    Parameters
    ----------
    table
        ``name``, ``kind``, the options of that kind, and ``description``, ``author``, ``tags``.
    folder
        Where the LF's file lies, to find a word list beside it; the working directory by default.

    Raises
    ------
    LabelingError
        If a key is missing, unknown or holds the wrong value; the message names it, and the
        nearest known one.
    """
    options = dict(table)
    for key in ("name", "kind"):
        if not isinstance(options.get(key), str) or not options[key]:
            came = f"is {options[key]!r}" if key in options else "is missing"
            raise OptionError(key, f'{key} must be a text, but {came}; write {key} = "..."')
    kind = options.pop("kind")
    if kind not in KINDS:
        hint = nearest(kind, KINDS) or f"; known are {', '.join(KINDS)}"
        raise OptionError("kind", f"kind = {kind!r} is no template{hint}")
    template = KINDS[kind]
    known = [*ABOUT, "kind", *template.option_names()]
    for key in options:
        if key not in known:
            hint = nearest(key, known) or f"; it has {', '.join(template.option_names())}"
            raise OptionError(key, f"{kind} has no option {key!r}{hint}")
    for field in dataclasses.fields(template):
        is_needed = (
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        )
        if is_needed and field.name in known and field.name not in options:
            raise OptionError(field.name, f"{kind} needs {field.name!r}, but it is missing; add it")
    lf = template(**options).beside(folder or Path())
    return dataclasses.replace(lf, digest=lf.own_digest())


def read_tables(path: Path) -> list[dict[str, Any]]:
    """Return the ``[[lf]]`` tables of a file as they stand, unchecked.

    Raises
    ------
    LabelingError
        If it is no TOML file of such tables.
    """
    return _tables(path, read_text(path))


def read(path: Path) -> tuple[list[Template], list[LabelingError]]:
    """Return the LFs of one TOML file, in order, with ``digest`` and ``origin``.

    Returns
    -------
    The LFs, and what is wrong with the tables that declare none: each error names the file, the
    table's number and line, and the key.

    Raises
    ------
    LabelingError
        If it is no TOML file of such tables.
    """
    text = read_text(path)
    tables = _tables(path, text)
    lines = [text.count("\n", 0, match.end()) + 1 for match in _HEADER.finditer(text)]
    found, broken = [], []
    for place, table in enumerate(tables):
        line = lines[place] if len(lines) == len(tables) else 1
        try:
            lf = from_dict(table, path.parent)
        except LabelingError as error:
            name = f" {table['name']!r}" if isinstance(table.get("name"), str) else ""
            where = f"{path}, line {line}, [[lf]] number {place + 1}{name}"
            broken.append(LabelingError(f"{where}: {error}"))
        else:
            found.append(dataclasses.replace(lf, origin=Origin(path.parent, path.name, line)))
    return found, broken


def append(path: Path, table: Mapping[str, Any]) -> Template:
    """Check a table, add it at the end of a TOML file, and return its LF.

    What the file holds, comments included, stays as it is. The new text is checked as a whole,
    written aside and renamed, under a lock, so neither a kill nor a second writer loses a table.

    Raises
    ------
    LabelingError
        If the table or the file is wrong, or the file has an LF of this name; nothing is written.
    """

    def added(text: str, tables: list[dict[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
        if any(other.get("name") == table["name"] for other in tables):
            raise LabelingError(
                f"{path} has an LF called {table['name']!r} already; choose another name"
            )
        gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
        return text + gap + to_toml(table), [*tables, dict(table)]

    return _rewrite(path, table, added)


def replace(path: Path, table: Mapping[str, Any]) -> Template:
    """Put a checked table in the place of the one of its name, and return its LF.

    All other tables and their comments stay as they are; whole-line comments inside the old table
    come to stand above its new keys. Written as ``append`` writes.

    Raises
    ------
    LabelingError
        If the table or the file is wrong, or the file has no LF of this name; nothing is written.
    """

    def replaced(text: str, tables: list[dict[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
        places = [j for j, other in enumerate(tables) if other.get("name") == table["name"]]
        starts = [match.start() for match in _HEADER.finditer(text)]
        if not places or len(starts) != len(tables):
            raise LabelingError(
                f"{path} has no [[lf]] table called {table['name']!r} that can be replaced here; "
                "edit the file by hand"
            )
        start, end = starts[places[0]], [*starts, len(text)][places[0] + 1]
        lines = text[start:end].splitlines(keepends=True)
        n_own = len(lines)  # blank lines and comments at the end belong to the next table
        while n_own > 1 and lines[n_own - 1].strip()[:1] in ("", "#"):
            n_own -= 1
        header, _, keys = to_toml(table).partition("\n")
        comments = [line for line in lines[1:n_own] if line.lstrip().startswith("#")]
        new = [f"{header}\n", *comments, keys, *lines[n_own:]]
        after = [dict(table) if j == places[0] else other for j, other in enumerate(tables)]
        return text[:start] + "".join(new) + text[end:], after

    return _rewrite(path, table, replaced)


def to_toml(table: Mapping[str, Any]) -> str:
    """Return the ``[[lf]]`` table as TOML text."""
    return "[[lf]]\n" + "".join(f"{_key(k)} = {_value(v)}\n" for k, v in table.items())


def _rewrite(path: Path, table: Mapping[str, Any], change: _Change) -> Template:
    """Write what ``change`` makes of a file's text and tables, once it reads as promised."""
    lf = from_dict(table, path.parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        before = read_text(path) if path.exists() else ""
        after, expected = change(before, _tables(path, before))
        if _tables(path, after) != expected:
            raise LabelingError(
                f"{path} cannot take this [[lf]] table without a change to another; tidy it up"
            )
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        temporary.write_text(after, encoding="utf-8")
        os.replace(temporary, path)
    finally:
        os.close(folder)
    return lf


def _tables(path: Path, text: str) -> list[dict[str, Any]]:
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problem, _, place = str(error).rpartition(" (at ")
        number = re.match(r"line (\d+)", place)
        remedy = next((r for start, r in _REMEDIES.items() if problem.startswith(start)), "")
        if _ONE_BRACKET.search(text):
            remedy = _TWO_BRACKETS
        raise _at_line(
            path,
            text,
            int(number[1]) if number else len(text.splitlines()),
            f"not valid TOML: {problem}; {remedy or 'correct it and run again'}",
        ) from None
    tables = content.pop("lf", [])
    if not isinstance(tables, list) or not all(isinstance(t, dict) for t in tables):
        raise _at_key(path, text, "lf", f"[[lf]] tables are needed, but lf came; {_TWO_BRACKETS}")
    for key in content:
        hint = nearest(f"[[{key}]]", ["[[lf]]"]) or "; put it below a line [[lf]], or take it out"
        raise _at_key(path, text, key, f"must hold [[lf]] tables alone, but holds {key}{hint}")
    return tables


def _at_key(path: Path, text: str, key: str, problem: str) -> LabelingError:
    """Return an error about a key, or a table of its name, at the line where it comes first."""
    found = re.search(rf"^[ \t]*\[*\s*[\"']?{re.escape(key)}\b", text, re.MULTILINE)
    return _at_line(path, text, text.count("\n", 0, found.end()) + 1 if found else 1, problem)


def _at_line(path: Path, text: str, number: int, problem: str) -> LabelingError:
    """Return an error that shows the line, counted from 1, below what is wrong with it."""
    line = [*text.splitlines(), ""][number - 1].strip()
    return LabelingError(f"{path}, line {number}: {problem}\n    {line:.100}")


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _value(key)


def _value(value: Any) -> str:
    """Return a TOML value; texts as JSON writes them, which TOML's basic strings understand.

    A text with a backslash, such as a pattern, stands in single quotes as it is, where it can.
    """
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, str) and "\\" in value and "'" not in value and value.isprintable():
        return f"'{value}'"
    if isinstance(value, str | bool | int):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    raise LabelingError(f"TOML cannot hold {value!r:.80}; give a text, a number, a list or a table")
