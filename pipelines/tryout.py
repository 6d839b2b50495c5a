"""Trying and saving one template before it stands in a file: what the app's editor asks for.

The functions beside which it is tried are the project's own code, so all this runs in a process of
its own: ``serve`` reads requests from its standard input, one JSON object a line, and answers each
with one line. The process ends with its input.

Try it: ``echo '{"do": "columns"}' | python -m pipelines.tryout my_project``.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pandas as pd

from labeling_functions import drill_pair, load_readable, pair_counts
from labeling_functions.suggest.material import NO_MATTER
from labeling_functions.templates import ZeroShot, toml
from labeling_functions.templates.base import OptionError
from pipelines.checking import Checked, check_on_sample
from pipelines.project import Project
from pipelines.sample import draw_sample
from weaklight.contracts import ABSTAIN
from weaklight.errors import LabelingError, WeaklightError
from weaklight.intervals import Proportion

__all__ = ["columns", "save_table", "serve", "try_table"]

SAMPLE = 500  # dev items, and unlabelled ones
MAX_VALUES = 50  # of a column that are offered
LONGEST_VALUE = 60  # characters; what is longer is text, which nobody compares as a whole
MAX_PAIRS = 5  # functions that it contradicts
MAX_ITEMS = 5  # shown for each
FILE_NAME = re.compile(r"[A-Za-z0-9][\w-]*\.toml")


def columns(project: Project) -> list[dict[str, Any]]:
    """Describe the columns that an LF may read.

    Returns
    -------
    For each its ``name``; ``holds``: "text" or "number" or "other"; ``length``: median number of
    characters of a text; ``values``: the most frequent ones, where people may ask for one;
    ``range``: least, median and largest number, None for others.
    """
    table = draw_sample(project, SAMPLE).table
    return [
        _column(str(name), table[name].dropna())
        for name in table.columns
        if name not in NO_MATTER and table[name].notna().any()
    ]


def _column(name: str, values: pd.Series[Any]) -> dict[str, Any]:
    is_switch = pd.api.types.is_bool_dtype(values)
    is_number = pd.api.types.is_numeric_dtype(values) and not is_switch
    counts = values.value_counts()
    offered = [
        value
        for value in counts.index.tolist()
        if isinstance(value, bool | int | float | str) and len(str(value)) <= LONGEST_VALUE
    ]
    if is_number and len(counts) > MAX_VALUES:
        offered = []
    spread = (
        [float(q) for q in np.quantile(values.astype(float), [0, 0.5, 1])] if is_number else None
    )
    return {
        "name": name,
        "holds": "number" if is_number else "other" if is_switch else "text",
        "length": 0.0 if is_number or is_switch else float(values.astype(str).str.len().median()),
        "values": offered[:MAX_VALUES],
        "range": spread,
    }


def try_table(
    project: Project, table: Mapping[str, Any], instead_of: str | None = None
) -> dict[str, Any]:
    """Try the LF that a ``[[lf]]`` table declares beside those of the project.

    Parameters
    ----------
    instead_of
        Name of the LF whose place it is to take, which is left out.

    Returns
    -------
    ``sentence``: what it does in words; ``toml``: as it would stand in a file; shares with their
    Wilson intervals and n: ``right`` of its votes on dev, and of unlabelled items ``coverage``
    (it votes), ``conflicts`` (another contradicts it) and ``new`` (it alone votes); ``against``:
    the functions that contradict it most, with items; ``mistakes``: five dev items that it gets
    wrong; ``note``: what went wrong; ``findings``: sentences.

    Raises
    ------
    LabelingError
        If the table is wrong; ``OptionError`` names the option.
    """
    folder = project.root / project.config.vote.folder
    present, broken = load_readable(folder) if folder.is_dir() else ([], [])
    lf = toml.from_dict(table, folder)
    lfs = [*(other for other in present if other.name not in (lf.name, instead_of)), lf]
    checked = check_on_sample(project, lfs, SAMPLE, load_encoder=isinstance(lf, ZeroShot))
    votes = checked.votes[checked.is_random]
    mine, n = votes[:, -1] != ABSTAIN, len(votes)
    alone = mine & (votes[:, :-1] == ABSTAIN).all(axis=1)
    right = checked.right
    says = [*checked.classes, *(class_set.name for class_set in checked.class_sets)]
    (note,) = (report.note for report in checked.reports if report.name == lf.name)
    return {
        "sentence": lf.description,
        "toml": toml.to_toml(table),
        "right": Proportion(
            int(right["correct"][lf.name]), int(right["gold_n"][lf.name])
        ).as_dict(),
        "coverage": Proportion(int(mine.sum()), n).as_dict(),
        "conflicts": Proportion(round(checked.spread["conflicts"][lf.name] * n), n).as_dict(),
        "new": Proportion(int(alone.sum()), n).as_dict(),
        "against": _against(checked),
        "mistakes": [
            {
                "item_id": m.item_id,
                "said": says[m.said],
                "gold": says[m.gold],
                "read": {
                    key: f"{value:.4g}" if isinstance(value, float) else str(value)
                    for key, value in m.read.items()
                },
            }
            for m in checked.mistakes(lf.name)
        ],
        "note": note,
        "findings": [
            *(f.sentence for f in checked.findings() if lf.name in f.lfs),
            *(f"not beside what cannot be loaded: {error}" for error in broken),
        ],
    }


def save_table(
    project: Project, file: str, table: Mapping[str, Any], *, replaces: bool = False
) -> Path:
    """Add a ``[[lf]]`` table to a TOML file of the project's ``lfs/`` folder and return its path.

    Parameters
    ----------
    replaces
        Take the place of the table of this name in this file, instead.

    Raises
    ------
    LabelingError
        If the file's name is none, the table is wrong, or any file of the folder has an LF of this
        name; nothing is written then.
    """
    if not FILE_NAME.fullmatch(file):
        raise OptionError(
            "file",
            f"the file must have a name such as spam_words.toml, of letters, digits, - and _, but "
            f"is {file!r}; correct it",
        )
    folder = project.root / project.config.vote.folder
    name = str(table.get("name", ""))
    if not name.isidentifier() or name.startswith("_"):
        raise OptionError(
            "name",
            f"{name!r} cannot name an LF: use letters, digits and _, such as speaks_of_money",
        )
    present = load_readable(folder)[0] if folder.is_dir() else []
    taken = {lf.name: lf.origin.file for lf in present if lf.origin is not None}
    if replaces:
        toml.replace(folder / file, table)
        return folder / file
    if name in taken:
        raise OptionError(
            "name",
            f"there is an LF called {name!r} in {taken[name]} already; choose another name",
        )
    toml.append(folder / file, table)
    return folder / file


def serve(project: Project, requests: TextIO, replies: TextIO) -> None:
    """Answer each line of ``requests``; what the project's functions print goes to stderr.

    A request is ``{"do": "columns"}``, ``{"do": "try", "table": {...}, "instead_of": null}`` or
    ``{"do": "save", "file": "...", "table": {...}, "replaces": false}``; the reply holds
    ``answer``, or ``error`` and ``option``.
    """
    for line in requests:
        request = json.loads(line)
        reply: dict[str, Any]
        try:
            with redirect_stdout(sys.stderr):
                reply = {"answer": _answer(project, request)}
        except WeaklightError as error:
            reply = {"error": str(error), "option": getattr(error, "option", None)}
        replies.write(json.dumps(reply, default=str) + "\n")
        replies.flush()


def _answer(project: Project, request: Mapping[str, Any]) -> Any:
    project = Project.open(project.root)  # its settings may have changed since
    if request["do"] == "columns":
        return columns(project)
    if request["do"] == "try":
        return try_table(project, request["table"], request.get("instead_of"))
    if request["do"] == "save":
        replaces = bool(request.get("replaces"))
        return str(save_table(project, request["file"], request["table"], replaces=replaces))
    raise LabelingError(f"expected to do columns, try or save, but came {request['do']!r}")


def _against(checked: Checked) -> list[dict[str, Any]]:
    """Return which LFs contradict the last one most, with items to look at."""
    conflicts = pair_counts(checked.votes, **checked.meaning).conflicts[-1, :-1]
    ids = checked.items["item_id"].to_numpy()
    found = []
    for j in np.argsort(-conflicts, kind="stable")[:MAX_PAIRS].tolist():
        if conflicts[j]:
            rows = drill_pair(checked.votes, j, -1, **checked.meaning)["conflicts"]
            items = ids[rows[:MAX_ITEMS]].tolist()
            found.append({"name": checked.names[j], "n": int(conflicts[j]), "items": items})
    return found


if __name__ == "__main__":
    serve(Project.open(sys.argv[1]), sys.stdin, sys.stdout)
