"""Answers that are probabilities: what an LF gives, as a distribution and as a vote.

Try it: ``soften(np.array([[0.9, np.nan]]), at_least=0.5).soft`` is ``[[0.9, 0.1]]``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labeling_functions.ballot import Ballot, Problem, RowVotes, UnknownVoteError

__all__ = ["LIKELY", "given_by", "given_in_columns", "soften"]

LIKELY = 0.5  # a class that is likelier than all others together gets the vote
TOLERANCE = 1e-3  # numbers that were rounded need not sum to 1 exactly


def soften(given: NDArray[np.floating], at_least: float) -> RowVotes:
    """Return distributions, and a vote where one class is likely enough.

    Parameters
    ----------
    given : (n, K) float
        Probabilities; NaN for classes that were not named. These share what is missing to 1; a row
        that names every class is scaled to sum to 1; one that names none abstains.
    at_least
        Lowest probability of a vote; the likeliest class gets it, a tie abstains.
    """
    n_classes = given.shape[1]
    is_named = ~np.isnan(given)
    n_open = n_classes - is_named.sum(axis=1)
    answers = n_open < n_classes
    total = np.where(is_named, given, 0.0).sum(axis=1)
    is_bad = (is_named & ((given < 0) | (given > 1 + TOLERANCE))).any(axis=1)
    is_bad |= np.where(n_open > 0, total > 1 + TOLERANCE, total <= 0) & answers
    rest = np.maximum(1.0 - total, 0.0) / np.maximum(n_open, 1)
    says = answers & ~is_bad
    shares = np.where(is_named, given, rest[:, None])[says]

    out = RowVotes.abstaining(len(given), n_classes)
    assert out.soft is not None
    out.soft[says] = shares / shares.sum(axis=1, keepdims=True)
    likely = np.where(says[:, None], out.soft, 0.0)
    best = likely.max(axis=1, initial=0.0)
    is_sure = (best >= at_least) & ((likely == best[:, None]).sum(axis=1) == 1) & says
    out.votes[is_sure] = likely[is_sure].argmax(axis=1)
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
    """Return one answer as (K,) probabilities, NaN for classes that it does not name.

    A number is the probability of ``vote``; a table names classes or class sets, whose members
    share alike; None and NaN say nothing.

    Raises
    ------
    UnknownVoteError
        If it is none of these.
    """
    given = np.full(len(ballot.classes), np.nan)
    if answer is None or answer is pd.NA:
        return given
    if isinstance(answer, Mapping):
        for name, probability in answer.items():
            _enter(given, ballot.read(name), float(probability), ballot)
    elif isinstance(answer, int | float | np.number) and not isinstance(answer, bool):
        if vote is None:
            raise UnknownVoteError(f"{answer!r:.80}; give vote= to say which class it is about")
        _enter(given, ballot.read(vote), float(answer), ballot)
    else:
        raise UnknownVoteError(f"{answer!r:.80}; a soft LF gives a number or a table of them")
    return given


def given_in_columns(answers: Any, vote: str | int | None, ballot: Ballot) -> NDArray[np.float64]:
    """Return the answers of n rows as (n, K) probabilities, NaN for classes they do not name.

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
    given = np.full((len(answers), len(ballot.classes)), np.nan)
    try:
        if isinstance(answers, pd.DataFrame):
            for name in answers.columns:
                _enter(given.T, ballot.read(name), _numbers(answers[[name]])[:, 0], ballot)
            return given
        numbers = _numbers(pd.DataFrame(answers))
    except (TypeError, ValueError) as error:
        raise UnknownVoteError(f"{type(answers).__name__}; a soft LF gives numbers") from error
    if numbers.shape == given.shape:
        return numbers
    if numbers.shape[1] != 1 or vote is None:
        raise UnknownVoteError(
            f"{numbers.shape[1]} numbers a row; give one for each of {given.shape[1]} classes, or "
            "one and vote="
        )
    _enter(given.T, ballot.read(vote), numbers[:, 0], ballot)
    return given


def _numbers(frame: pd.DataFrame) -> NDArray[np.float64]:
    """Return a frame as (n, columns) numbers, NaN where a value is missing."""
    return np.asarray(frame.to_numpy(dtype=np.float64, na_value=np.nan))


def _enter(
    given: NDArray[np.float64],
    value: int,
    probability: float | NDArray[np.float64],
    ballot: Ballot,
) -> None:
    """Write the probability of one class, or of a class set whose members share it."""
    n_classes = len(ballot.classes)
    is_class = value < n_classes
    members = [value] if is_class else list(ballot.class_sets[value - n_classes].members)
    given[members] = probability / len(members)
