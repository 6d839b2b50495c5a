"""Answers that are probabilities: what an LF gives, as a distribution and as a vote.

Try it: ``soften(np.array([[0.9, np.nan]]), Ballot(("ham", "spam")), at_least=0.5).soft``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labeling_functions.ballot import Ballot, Problem, RowVotes, UnknownVoteError
from weaklight.contracts import expand_votes

__all__ = ["LIKELY", "given_by", "given_in_columns", "soften"]

LIKELY = 0.5  # what is likelier than everything else together gets the vote
TOLERANCE = 1e-3  # numbers that were rounded need not sum to 1 exactly


def soften(given: NDArray[np.floating], ballot: Ballot, at_least: float) -> RowVotes:
    """Return distributions, and a vote where one answer is likely enough.

    Parameters
    ----------
    given : (n, K + S) float
        Probabilities of classes and class sets, whose members share alike; NaN where not named.
        Classes that no name reaches share what is missing to 1; a row that reaches all is scaled
        to sum to 1; one that names nothing abstains.
    at_least
        Lowest probability of a vote; the likeliest of the named gets it, a tie abstains.
    """
    meanings = expand_votes(len(ballot.classes), ballot.class_sets)  # (K + S, K)
    is_named = ~np.isnan(given)
    numbers = np.where(is_named, given, 0.0)
    mass = numbers @ meanings  # (n, K)
    is_reached = is_named.astype(np.float64) @ meanings > 0
    n_open = (~is_reached).sum(axis=1)
    total = mass.sum(axis=1)
    answers = is_named.any(axis=1)
    is_bad = ((numbers < 0) | (numbers > 1 + TOLERANCE)).any(axis=1)
    is_bad |= answers & np.where(n_open > 0, total > 1 + TOLERANCE, total <= 0)
    says = answers & ~is_bad
    rest = np.maximum(1.0 - total, 0.0) / np.maximum(n_open, 1)
    shares = np.where(is_reached, mass, rest[:, None])[says]

    out = RowVotes.abstaining(len(given), len(ballot.classes))
    assert out.soft is not None
    out.soft[says] = shares / shares.sum(axis=1, keepdims=True)
    named = np.where(is_named, given, -np.inf)
    best = named.max(axis=1, initial=-np.inf)
    is_sure = says & (best >= at_least) & ((named == best[:, None]).sum(axis=1) == 1)
    out.votes[is_sure] = named[is_sure].argmax(axis=1)
    if is_bad.any():
        out.fail(
            np.flatnonzero(is_bad),
            Problem(
                "probability",
                "gave numbers that are no probabilities: each must lie between 0 and 1, and those "
                "of an item sum to at most 1",
            ),
        )
    return out


def given_by(answer: Any, vote: str | int | None, ballot: Ballot) -> NDArray[np.float64]:
    """Return one answer as (K + S,) probabilities, NaN for what it does not name.

    A number is the probability of ``vote``; a table names classes or class sets; None and NaN say
    nothing.

    Raises
    ------
    UnknownVoteError
        If it is none of these.
    """
    given = np.full(len(ballot.names), np.nan)
    if answer is None or answer is pd.NA:
        return given
    if isinstance(answer, Mapping):
        for name, probability in answer.items():
            given[ballot.read(name)] = float(probability)
    elif isinstance(answer, int | float | np.number) and not isinstance(answer, bool):
        if vote is None:
            raise UnknownVoteError(f"{answer!r:.80}; give vote= to say which class it is about")
        given[ballot.read(vote)] = float(answer)
    else:
        raise UnknownVoteError(f"{answer!r:.80}; a soft LF gives a number or a table of them")
    return given


def given_in_columns(answers: Any, vote: str | int | None, ballot: Ballot) -> NDArray[np.float64]:
    """Return the answers of n rows as (n, K + S) probabilities, NaN for what they do not name.

    Parameters
    ----------
    answers
        A frame with a column a class or class set; an array with a column for every class, in
        order; or one number a row, the probability of ``vote``.

    Raises
    ------
    UnknownVoteError
        If they are none of these.
    """
    given = np.full((len(answers), len(ballot.names)), np.nan)
    try:
        numbers = pd.DataFrame(answers).to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise UnknownVoteError(f"{type(answers).__name__}; a soft LF gives numbers") from error
    if isinstance(answers, pd.DataFrame):
        given[:, [ballot.read(name) for name in answers.columns]] = numbers
    elif numbers.shape[1] == len(ballot.classes):
        given[:, : numbers.shape[1]] = numbers
    elif numbers.shape[1] == 1 and vote is not None:
        given[:, ballot.read(vote)] = numbers[:, 0]
    else:
        raise UnknownVoteError(
            f"{numbers.shape[1]} numbers a row; give one for each of {len(ballot.classes)} "
            "classes, or one and vote="
        )
    return given
