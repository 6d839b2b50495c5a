"""Words and phrases that mostly one class uses.

Try it: ``weaklight lf suggest --kind ngrams``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labeling_functions.suggest.material import MIN_HITS, Material

__all__ = ["propose", "text_columns"]

LONGEST = 3  # words
MAX_PER_VOTE = 20  # phrases proposed for a class: each one more makes luck likelier


def propose(
    material: Material, rows: NDArray[np.bool_], precision: float, seed: int
) -> list[Mapping[str, Any]]:
    """Return keyword LFs, one a phrase of up to three words, the most useful first for each class.

    Of phrases that hit the same rows the shortest is kept.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    found: list[Mapping[str, Any]] = []
    fits = material.fits[rows].astype(np.float64)  # (b, V)
    for column in text_columns(material):
        texts = material.table.loc[rows, column].fillna("").astype(str)
        count = CountVectorizer(
            ngram_range=(1, LONGEST), binary=True, min_df=MIN_HITS, token_pattern=r"(?u)\b\w+\b"
        )
        try:
            holds = count.fit_transform(texts)  # (b, phrases) 0/1
        except ValueError:  # no phrase occurs in MIN_HITS texts
            continue
        phrases = count.get_feature_names_out()
        spare = holds.T @ fits - precision * np.asarray(holds.sum(axis=0)).T  # (phrases, V)
        for value, name in enumerate(material.ballot.names):
            seen: set[bytes] = set()
            by_worth = sorted(
                np.flatnonzero(spare[:, value] > 0),
                key=lambda p, v=value: (-spare[p, v], len(phrases[p]), phrases[p]),  # type: ignore[misc]
            )
            for phrase in by_worth:
                hits = holds[:, [phrase]].indices.tobytes()
                if hits in seen:
                    continue
                seen.add(hits)
                words = [str(phrases[phrase])]
                found.append({"kind": "keywords", "column": column, "words": words, "vote": name})
                if len(seen) == MAX_PER_VOTE:
                    break
    return found


def text_columns(material: Material) -> list[str]:
    """Return the columns that hold texts: most cells differ, and have two words or more."""
    found = []
    for name in material.columns:
        values = material.table[name].dropna()
        if len(values) and pd.api.types.is_string_dtype(values):
            words = values.str.count(r"\w+")
            if values.nunique() > len(values) / 2 and words.median() >= 2:
                found.append(name)
    return found
