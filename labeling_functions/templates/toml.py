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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labeling_functions.ballot import nearest
from labeling_functions.functions import Origin
from labeling_functions.templates import KINDS
from labeling_functions.templates.base import OptionError, Template
from weaklight.errors import LabelingError

__all__ = ["append", "from_dict", "read", "to_toml"]

ABOUT = ("name", "description", "author", "tags")
_HEADER = re.compile(r"^\s*\[\[\s*lf\s*\]\]", re.MULTILINE)


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


def read(path: Path) -> list[Template]:
    """Return the LFs of one TOML file, in order, with ``digest`` and ``origin``.

    Raises
    ------
    LabelingError
        Naming the file, the table's number and line, and the key.
    """
    text = _text(path)
    tables = _tables(path, text)
    lines = [text.count("\n", 0, match.end()) + 1 for match in _HEADER.finditer(text)]
    found = []
    for place, table in enumerate(tables):
        line = lines[place] if len(lines) == len(tables) else 1
        try:
            lf = from_dict(table, path.parent)
        except LabelingError as error:
            name = f" {table['name']!r}" if isinstance(table.get("name"), str) else ""
            raise LabelingError(
                f"{path}, line {line}, [[lf]] number {place + 1}{name}: {error}"
            ) from None
        found.append(dataclasses.replace(lf, origin=Origin(path.parent, path.name, line)))
    return found


def append(path: Path, table: Mapping[str, Any]) -> Template:
    """Check a table, add it at the end of a TOML file, and return its LF.

    What the file holds, comments included, stays as it is. The new text is checked as a whole,
    written aside and renamed, under a lock, so neither a kill nor a second writer loses a table.

    Raises
    ------
    LabelingError
        If the table or the file is wrong, or the file has an LF of this name; nothing is written.
    """
    lf = from_dict(table, path.parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        before = _text(path) if path.exists() else ""
        tables = _tables(path, before)
        if any(other.get("name") == lf.name for other in tables):
            raise LabelingError(f"{path} has an LF called {lf.name!r} already; choose another name")
        gap = "" if not before else "\n" if before.endswith("\n") else "\n\n"
        after = before + gap + to_toml(table)
        if _tables(path, after) != [*tables, dict(table)]:
            raise LabelingError(f"{path} cannot take a further [[lf]] table at its end; tidy it up")
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        temporary.write_text(after, encoding="utf-8")
        os.replace(temporary, path)
    finally:
        os.close(folder)
    return lf


def to_toml(table: Mapping[str, Any]) -> str:
    """Return the ``[[lf]]`` table as TOML text."""
    return "[[lf]]\n" + "".join(f"{_key(k)} = {_value(v)}\n" for k, v in table.items())


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LabelingError(f"{path} must be a text file in UTF-8, but {error}") from None


def _tables(path: Path, text: str) -> list[dict[str, Any]]:
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise LabelingError(f"{path}: not valid TOML ({error}); correct it and run again") from None
    tables = content.pop("lf", [])
    if content or not isinstance(tables, list) or not all(isinstance(t, dict) for t in tables):
        keys = ", ".join(content) or "lf as a single table"
        raise LabelingError(
            f"{path} must hold [[lf]] tables alone, but holds {keys}; move it there"
        )
    return tables


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _value(key)


def _value(value: Any) -> str:
    """Return a TOML value; texts as JSON writes them, which TOML's basic strings understand."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, str | bool | int):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    raise LabelingError(f"TOML cannot hold {value!r:.80}; give a text, a number, a list or a table")
