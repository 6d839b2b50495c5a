"""LFs from examples."""

from __future__ import annotations

import numpy as np
import pytest

from labeling_functions import prototype
from labeling_functions.ballot import Ballot
from weaklight.errors import LabelingError

BALLOT = Ballot(("bag", "boot"))
IDS = ["p", "near", "far", "n", "closer_to_n", "zero", "nan"]
DEGREES = np.deg2rad([0, 15, 80, 40, 35, 0, 0])
FEATURES = (np.stack([np.cos(DEGREES), np.sin(DEGREES)], 1) * 7).astype(np.float32)
FEATURES[5], FEATURES[6] = 0, np.nan


def test_votes_where_a_positive_is_near_and_no_negative_is_nearer():
    lf = prototype("bag", positives=["p"], negatives=["n"], at_least=0.8)
    assert lf.run(IDS, FEATURES, BALLOT).votes.tolist() == [0, 0, -1, -1, -1, -1, -1]
    assert prototype("bag", ["p"]).run(IDS, FEATURES, BALLOT).votes.tolist() == [
        0,
        0,
        -1,
        -1,
        0,
        -1,
        -1,
    ]  # fmt: skip  cos 35 = 0.82, cos 40 = 0.77
    assert prototype("bag", ["p"], at_least=1.0).run(IDS, FEATURES, BALLOT).votes[0] == 0


def test_a_vote_does_not_depend_on_the_items_beside_it():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(500, 37)).astype(np.float32)
    ids = [str(i) for i in range(500)]
    threshold = float(np.median(features[1:] @ features[0])) / 37
    lf = prototype("bag", ["0"], at_least=threshold)
    whole = lf.run(ids, features, BALLOT).votes
    pieces = [lf.run(["0", i], features[[0, int(i)]], BALLOT).votes[1] for i in ids[1:]]
    assert whole[1:].tolist() == pieces
    assert (lf.run(ids, features, BALLOT, rows_at_once=7).votes == whole).all()
    assert 0 < (whole == 0).sum() < 500


@pytest.mark.parametrize(
    ("lf", "features", "text"),
    [
        (prototype("bag", ["p", "gone"]), FEATURES, "lack features: gone"),
        (prototype("bag", ["p"], ["nan"]), FEATURES, "lack features: nan"),
        (prototype("bag", ["p"]), None, "run embed first"),
        (prototype("bagg", ["p"]), FEATURES, "did you mean 'bag'"),
    ],
)
def test_what_cannot_be_judged_abstains_and_says_why(lf, features, text):
    out = lf.run(IDS, features, BALLOT)
    assert (out.votes == -1).all() and (out.trouble == 1).all()
    assert text in out.problems[0].text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(positives=[]), "at least one"),
        (dict(positives="00017"), "positives must be a list"),
        (dict(positives=[17]), r"positives\[0\] must be a text"),
        (dict(positives=["a"], negatives=["a"]), "a came as both"),
        (dict(positives=["a"], at_least=80), "cosine similarity"),
    ],
)
def test_wrong_declarations(arguments, message):
    with pytest.raises(LabelingError, match=message):
        prototype("bag", **arguments)
