"""LFs that err together are one witness: found by the features, which did not see them err.

Try it: ``dependence(count_votes(votes, 2), proba, n_symbols=2)``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from weaklight.contracts import ABSTAIN, Votes

__all__ = ["count_votes", "dependence", "discount"]

LEAN = 5.0  # votes at an LF's usual shares, added to those that it casts in a class
SHRINK = 20.0  # times that two LFs could have differed and did, as independent ones would
BLOCK_ROWS = 16_384
TINY = 1e-9


def count_votes(votes: Votes, n_symbols: int) -> sparse.csr_matrix:
    """Return (n, m V) float32 with a one where an LF says a thing: column ``lf * V + symbol``."""
    row, lf = np.nonzero(votes != ABSTAIN)
    column = lf * n_symbols + votes[row, lf]
    ones = np.ones(len(row), dtype=np.float32)
    return sparse.csr_matrix((ones, (row, column)), shape=(len(votes), votes.shape[1] * n_symbols))


def dependence(
    said: sparse.csr_matrix, proba: NDArray[np.floating], n_symbols: int
) -> NDArray[np.float64]:
    """Return how far each two LFs are from independent witnesses: 0 independent, 1 copies.

    Independent LFs say the same on an item because both follow its class; how often that should
    happen is read from ``proba``. LFs that say the same more often repeat one another, or share a
    source and its errors.

    Parameters
    ----------
    said
        (n, m V), as `count_votes` makes it.
    proba
        (n, K) calibrated class probabilities that did not come from the votes of the row: features,
        asked out of fold. Rows of zeros count for nothing.
    n_symbols
        V: the classes and class sets that a vote may name.

    Returns
    -------
    (m, m) float64 in 0..1, symmetric, zeros on the diagonal. Of the times that two LFs both vote
    and would differ if they were independent, the share in which they say the same nevertheless;
    drawn towards 0 where such times are few. An LF that only ever says one thing depends on none.

    Notes
    -----
    Time O(K sum over rows of (votes of the row)^2 + K V m^2), memory O(m^2). The less ``proba``
    knows, the more good LFs seem to depend on one another: ask only features that bear votes out.

    References
    ----------
    Bach et al. 2017, "Learning the structure of generative models without labeled data",
    arXiv:1703.00854, look for the same dependence in the votes alone, where LFs that are right
    together and LFs that err together look alike.
    """
    n_lfs, n_classes = said.shape[1] // n_symbols, proba.shape[1]
    counts = (said.T @ proba).reshape(n_lfs, n_symbols, n_classes).astype(np.float64)
    usual = counts.sum(axis=2, keepdims=True)
    usual /= np.maximum(usual.sum(axis=1, keepdims=True), TINY)
    says = (counts + LEAN * usual) / (counts.sum(axis=1, keepdims=True) + LEAN)  # P(symbol | class)

    by_symbol = [said[:, symbol::n_symbols].tocsr() for symbol in range(n_symbols)]  # (n, m) each
    speaks = sum(by_symbol[1:], by_symbol[0])
    weight = sparse.diags(proba.sum(axis=1))
    both = (speaks.T @ weight @ speaks).toarray()
    same = sum((of.T @ weight @ of).toarray() for of in by_symbol)
    expected = np.zeros_like(both)
    for number in range(n_classes):
        of_class = (speaks.T @ sparse.diags(proba[:, number]) @ speaks).toarray()
        expected += of_class * (says[:, :, number] @ says[:, :, number].T)
    could_differ = both - expected
    surplus = np.where(could_differ > 1e-6 * both, same - expected, 0.0)
    found: NDArray[np.float64] = np.clip(surplus / (could_differ + SHRINK), 0.0, 1.0)
    np.fill_diagonal(found, 0.0)
    return found


def discount(
    said: sparse.csr_matrix, dependent: NDArray[np.float64], n_symbols: int
) -> sparse.csr_matrix:
    """Return ``said`` with each vote's weight: one over the witnesses that say the same there.

    A vote counts 1 / (1 + sum of its LF's dependence on the others that say the same on the item):
    k copies that agree weigh as much as one LF, independent LFs weigh one each.

    Parameters
    ----------
    said
        (n, m V), as `count_votes` makes it.
    dependent
        (m, m), as `dependence` returns it.
    n_symbols
        V.

    Returns
    -------
    (n, m V) float32. Time O(votes m), memory O(votes + m) a row, with rows taken in blocks.
    """
    weights = dependent.astype(np.float32)
    blocks = []
    for start in range(0, said.shape[0], BLOCK_ROWS):
        block = said[start : start + BLOCK_ROWS].tocoo()
        lf, symbol = np.divmod(block.col, n_symbols)
        beside = np.zeros(block.nnz, dtype=np.float32)
        for number in np.unique(symbol):
            mine = symbol == number
            row, column = block.row[mine], lf[mine]
            shape = (block.shape[0], len(weights))
            says = sparse.csr_matrix((block.data[mine], (row, column)), shape=shape)
            beside[mine] = (says @ weights)[row, column]
        counted = (block.data / (1.0 + beside), (block.row, block.col))
        blocks.append(sparse.csr_matrix(counted, shape=block.shape))
    return sparse.vstack(blocks, format="csr") if blocks else said
