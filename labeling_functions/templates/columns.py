"""LFs that read what others concluded: a model's class probabilities, or an annotator's labels.

Try it: ``model({"spam": "p_spam"}, at_least=0.9)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import ClassVar

import numpy as np
import pandas as pd

from labeling_functions.ballot import Ballot, RowVotes
from labeling_functions.soft import soften
from labeling_functions.templates.base import RowTemplate, listing, numbers_of

__all__ = ["Annotator", "Model"]


@dataclass(frozen=True)
class Model(RowTemplate):
    """Vote for the class to which another model gives enough probability.

    Parameters
    ----------
    probabilities
        Class name to the column of its probability. Classes may be left out.
    at_least
        Lowest probability that counts; the highest wins, a tie abstains.
    soft
        Hand the probabilities on. They are scaled to sum to 1 where every class has one; else the
        classes left out share what is missing to 1. The votes stay what they are.
    """

    kind: ClassVar[str] = "model"

    probabilities: Mapping[str, str]
    _: KW_ONLY
    at_least: float = 0.8
    soft: bool = False

    def check(self) -> None:
        """Refuse a model without classes."""
        if not self.probabilities:
            self.refuse("probabilities", 'must name a column a class, such as {spam = "p_spam"}')

    def read_columns(self) -> tuple[str, ...]:
        """Return the columns of probabilities."""
        return tuple(dict.fromkeys(self.probabilities.values()))

    def sentence(self) -> str:
        """Say it in words."""
        classes = listing(list(self.probabilities))
        columns = listing(self.read_columns(), "and")
        return f"Votes {classes} where its probability in {columns} is at least {self.at_least:g}."

    def decide(self, table: pd.DataFrame, ballot: Ballot, out: RowVotes) -> None:
        """Vote for the most probable class where it is probable enough."""
        values = np.array([ballot.read(name) for name in self.probabilities], np.int16)
        scores = np.stack([numbers_of(table, c) for c in self.probabilities.values()], axis=1)
        if self.soft:
            given = np.full((len(table), len(ballot.names)), np.nan)
            given[:, values] = scores
            out.put(slice(None), soften(given, ballot, self.at_least))
            return
        scores = np.where(np.isnan(scores), -np.inf, scores)  # (n, classes)
        best = scores.max(axis=1, initial=-np.inf)
        is_sure = (best >= self.at_least) & ((scores == best[:, None]).sum(axis=1) == 1)
        out.votes[is_sure] = values[scores.argmax(axis=1)[is_sure]]


@dataclass(frozen=True)
class Annotator(RowTemplate):
    """Take a column of labels, such as those of one crowd worker, as votes.

    Parameters
    ----------
    column
        The column of class names, class-set names or ids; an empty cell abstains.
    names
        What a label means where it is no name of this project: ``{s = "spam"}``.
    """

    kind: ClassVar[str] = "annotator"

    column: str
    _: KW_ONLY
    names: Mapping[str, str | int] = field(default_factory=dict)

    def read_columns(self) -> tuple[str, ...]:
        """Return the column of labels."""
        return (self.column,)

    def sentence(self) -> str:
        """Say it in words."""
        return f"Votes what {self.column} says."

    def decide(self, table: pd.DataFrame, ballot: Ballot, out: RowVotes) -> None:
        """Read each distinct label once; one that is not understood abstains and is reported."""
        labels = table[self.column]
        if self.names:
            labels = labels.map(lambda label: self.names.get(str(label), label))
        out.put(slice(None), ballot.read_all(labels))
