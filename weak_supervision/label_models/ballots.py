"""Distinct rows of votes: a million items cost a label model what their distinct rows cost.

Try it: ``collect(votes, n_classes=3).counts``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from weaklight.contracts import ABSTAIN, ClassSet, Votes, expand_votes

__all__ = ["Ballots", "collect", "distinct_rows"]

EXACT = 2**24  # float32 counts exactly up to here
WHOLE = 2**62  # and int64 up to here, with room for what is added
ROWS_AT_ONCE = 4096  # so that the float32 copy of the votes stays in the cache


def distinct_rows(
    votes: NDArray[np.integer], n_symbols: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return where each distinct row occurs first, in an order of their own, and which each row is.

    Parameters
    ----------
    votes
        (n, m) integers from -1 to ``n_symbols - 1``.
    n_symbols
        How many values there are besides -1.

    Notes
    -----
    Each row is written as a number with m digits of base ``n_symbols + 1``, cut into words that
    int64 holds. Float32 products, exact as long as they are short, do the packing.
    Time O(n m + n log n), memory O(n m / 30) beside the votes.
    """
    code = np.zeros(len(votes), dtype=np.int64)
    n_distinct = 1
    for word in _words(votes, n_symbols + 1):
        if n_distinct > 1:  # otherwise the word alone tells the rows apart
            word = pd.factorize(word, sort=True)[0].astype(np.int64) * n_distinct + code
        code, values = pd.factorize(word, sort=True)
        n_distinct = len(values)
    first = np.empty(n_distinct if len(votes) else 0, dtype=np.intp)
    first[code[::-1]] = np.arange(len(votes))[::-1]  # the last write, of the first row, stays
    return first, code.astype(np.intp, copy=False)


def _words(votes: NDArray[np.integer], base: int) -> NDArray[np.int64]:
    """Return each row's digits, packed into words (words, n)."""
    n_items, n_lfs = votes.shape
    in_product, in_word = (max(1, int(np.log(n) / np.log(base) - 1e-9)) for n in (EXACT, WHOLE))
    n_products = -(-in_word // in_product)  # of a word
    n_digits = in_word // n_products  # of a product
    parts = [slice(start, start + n_digits) for start in range(0, n_lfs, n_digits)]
    place = (float(base) ** (np.arange(n_lfs) % n_digits)).astype(np.float32)
    words = np.zeros((-(-len(parts) // n_products), n_items), dtype=np.int64)
    for row in range(0, n_items, ROWS_AT_ONCE):
        rows = slice(row, row + ROWS_AT_ONCE)
        block = votes[rows].astype(np.float32)
        for number, part in enumerate(parts):
            word, product = divmod(number, n_products)
            digits = (block[:, part] @ place[part]).astype(np.int64)
            words[word, rows] += digits * base ** (n_digits * product)
    return words


@dataclass(frozen=True)
class Ballots:
    """What the LFs say, each distinct row once.

    Attributes
    ----------
    rows
        (d, m) int16: -1 abstains, 0..K-1 a class, K+s the s-th class set.
    counts
        (d,) float64: how many items vote like this.
    inverse
        (n,) ints: which row each item is, so that ``rows[inverse]`` are the votes.
    gold
        (d,) int64: the class that is known, -1 elsewhere. Items with the same votes and different
        gold are different rows.
    meanings
        (K + S, K) float64: how one vote of each value spreads over the classes, rows sum to 1.
    classifier
        (d, K) float64: what a classifier says of each row, rows sum to 1; None where none was
        asked. With it rows are not merged, as no two are alike.
    """

    rows: Votes
    counts: NDArray[np.float64]
    inverse: NDArray[np.intp]
    gold: NDArray[np.int64]
    meanings: NDArray[np.float64]
    classifier: NDArray[np.float64] | None = None

    @property
    def n_lfs(self) -> int:
        """How many LFs there are, m."""
        n_lfs: int = self.rows.shape[1]
        return n_lfs

    @property
    def covered(self) -> NDArray[np.bool_]:
        """Which of the d rows hold any vote or a classifier's word (d,)."""
        is_covered: NDArray[np.bool_] = (self.rows != ABSTAIN).any(axis=1)
        return is_covered if self.classifier is None else np.ones_like(is_covered)

    def take(self, kept: NDArray[np.bool_]) -> Ballots:
        """Return the ``kept`` rows (d,) alone; ``inverse`` no longer speaks of all items."""
        return Ballots(
            self.rows[kept],
            self.counts[kept],
            np.flatnonzero(kept[self.inverse]),
            self.gold[kept],
            self.meanings,
            None if self.classifier is None else self.classifier[kept],
        )

    def tokens(self, *, hears_silence: bool = False) -> sparse.csr_matrix:
        """Return which LF says what in each row, (d, m * V): zeros and ones.

        The m LFs stand one after another with V = K + S values each, and one more for silence,
        the last, where it is heard. A label model that treats LFs as independent is one table
        (m * V, K) of log-likelihoods that this is multiplied with.
        """
        n_rows, n_lfs = self.rows.shape
        n_values = len(self.meanings) + hears_silence
        if hears_silence:
            values = np.where(self.rows == ABSTAIN, n_values - 1, self.rows)
        else:
            values = self.rows
        said = values != ABSTAIN
        columns = values + np.arange(n_lfs, dtype=np.int32) * np.int32(n_values)
        indptr = np.concatenate([[0], np.cumsum(said.sum(axis=1))])
        columns = columns[said]
        return sparse.csr_matrix(
            (np.ones(len(columns)), columns, indptr), shape=(n_rows, n_lfs * n_values)
        )

    def shares(self, prior: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return each class's share of the votes, (d, K); ``prior`` (K,) where nobody votes.

        A classifier's word counts as one vote.
        """
        n_classes = self.meanings.shape[1]
        # a last row of zeros, so that ABSTAIN = -1 adds nothing
        voice = np.vstack([self.meanings, np.zeros(n_classes)])
        voices = np.zeros((len(self.rows), n_classes))
        if self.classifier is not None:
            voices = voices + self.classifier
        for column in self.rows.T:
            voices = voices + voice[column]
        total = voices.sum(axis=1, keepdims=True)
        shares: NDArray[np.float64] = np.where(total > 0, voices / np.maximum(total, 1e-12), prior)
        return shares

    def said(self) -> NDArray[np.float64]:
        """Return which LF votes in each row, (d, m): zeros and ones."""
        said: NDArray[np.float64] = (self.rows != ABSTAIN).astype(np.float64)
        return said

    def right(self, posterior: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the share of each LF's votes that ``posterior`` (d, K) agrees with.

        Returns
        -------
        (m,) float64; a vote for a class set is right if the class is in it; NaN for an LF that
        never votes.
        """
        n_values, n_classes = self.meanings.shape
        said = self.tokens().T @ (posterior * self.counts[:, None])  # (m * V, K)
        said = said.reshape(self.n_lfs, n_values, n_classes)
        total = said.sum(axis=(1, 2))
        agreed = (said * (self.meanings > 0)).sum(axis=(1, 2))
        return np.where(total > 0, agreed / np.maximum(total, 1e-12), np.nan)


def collect(
    votes: Votes,
    *,
    n_classes: int,
    class_sets: tuple[ClassSet, ...] = (),
    classifier: NDArray[np.float64] | None = None,
    gold: NDArray[np.int64] | None = None,
) -> Ballots:
    """Return the distinct rows of checked votes (n, m); see `Ballots` for the other shapes."""
    n_items = len(votes)
    meanings = expand_votes(n_classes, class_sets)
    known = np.full(n_items, ABSTAIN, dtype=np.int64) if gold is None else gold
    if classifier is not None:
        first = inverse = np.arange(n_items)
    else:
        keyed = votes if gold is None else np.column_stack([votes, gold.astype(np.int16)])
        first, inverse = distinct_rows(keyed, len(meanings))
    counts = np.bincount(inverse, minlength=len(first)).astype(np.float64)
    return Ballots(votes[first], counts, inverse, known[first], meanings, classifier)
