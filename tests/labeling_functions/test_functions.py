"""Declaring LFs and running one in this process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import labeling_functions as package
from labeling_functions import labeling_function
from labeling_functions.ballot import Ballot, UnknownVoteError
from labeling_functions.functions import ColumnFunction, ItemFunction
from labeling_functions.record import items_of
from weaklight.contracts import ClassSet
from weaklight.errors import LabelingError

BALLOT = Ballot(("trouser", "dress", "boot"), (ClassSet("legwear", (0, 2)),))


def test_exports_are_sorted_and_exist():
    assert package.__all__ == sorted(package.__all__)
    assert all(hasattr(package, name) for name in package.__all__)


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("trouser", 0),
        ("boot", 2),
        ("legwear", 3),
        (1, 1),
        (np.int64(2), 2),
        (2.0, 2),
        (None, -1),
        (-1, -1),
        (float("nan"), -1),
        (pd.NA, -1),
    ],
)
def test_ballot_reads_names_sets_ids_and_abstentions(answer, value):
    assert BALLOT.read(answer) == value


@pytest.mark.parametrize("answer", ["trousr", 4, -2, 1.5, float("inf"), True, [], b"boot"])
def test_ballot_refuses_what_it_does_not_know(answer):
    with pytest.raises(UnknownVoteError):
        BALLOT.read(answer)


def test_ballot_names_the_nearest_class():
    with pytest.raises(UnknownVoteError, match="did you mean 'trouser'"):
        BALLOT.read("trousr")


def test_item_gives_plain_values_by_attribute_and_by_key(garments):
    first, *_, last = items_of(garments)
    assert (first.aspect, first["leg count"], first.note) == (2.0, 2, "jeans")
    assert type(first["leg count"]) is int
    assert np.isnan(last.aspect)
    assert list(items_of(garments))[2].note is None


def test_item_shows_itself(garments):
    item = next(items_of(garments[["item_id", "gap"]]))
    assert repr(item) == "Item(item_id='a', gap=0.5)"
    assert dir(item) == ["gap", "item_id"]


def test_more_distinct_problems_than_are_kept_still_count():
    @labeling_function()
    def always_new(item):
        raise ValueError(item.x)

    out = always_new.run(pd.DataFrame({"x": range(200)}), BALLOT)
    assert (out.trouble > 0).all() and len(out.problems) == 64
    assert out.problems[0].text.endswith("ValueError: 0")


def test_item_names_the_nearest_column(garments):
    item = next(items_of(garments))
    mail = next(items_of(pd.DataFrame({"text": ["a"], "n_words": [1]})))
    with pytest.raises(
        AttributeError, match="no column 'body'; their texts are called 'text'; they have"
    ):
        _ = mail.body
    with pytest.raises(AttributeError, match="no column 'aspct'; did you mean 'aspect'"):
        _ = item.aspct
    with pytest.raises(KeyError, match="did you mean 'gap'"):
        _ = item["gaps"]
    assert not hasattr(item, "colour")


def test_item_function_votes_by_hand(garments):
    @labeling_function(author="Ada", tags=["silhouette"])
    def two_legs(item):
        """Trousers: a gap runs between two legs. More here.

        And more.
        """
        if item.gap > 0.3 and item.aspect > 1.6:
            return "trouser"
        if item.note == "boot":
            return "legwear"

    assert isinstance(two_legs, ItemFunction)
    assert (two_legs.name, two_legs.author, two_legs.tags) == ("two_legs", "Ada", ("silhouette",))
    assert two_legs.description == "Trousers: a gap runs between two legs."
    assert two_legs.run(garments, BALLOT).votes.tolist() == [0, -1, -1, 3, -1, -1]
    assert two_legs(next(items_of(garments))) == "trouser"


def test_item_function_that_raises_abstains_there_alone(garments):
    @labeling_function(vote="dress")
    def says_dress(item):
        return "dress" in item.note

    out = says_dress.run(garments, BALLOT)
    assert out.votes.tolist() == [-1, 1, -1, -1, -1, -1]
    assert out.trouble.tolist() == [0, 0, 1, 0, 0, 0]
    text = out.problems[0].text
    assert "in says_dress" in text and "TypeError" in text
    assert str(Path(__file__).parent.parent) not in text and 'functions.py", line' in text


@pytest.mark.parametrize(
    "answers",
    [
        lambda aspect, gap: (gap > 0.3) & (aspect > 1.6),
        lambda aspect, gap: ((gap > 0.3) & (aspect > 1.6)).to_numpy(),
        lambda aspect, gap: ((gap > 0.3) & (aspect > 1.6)).tolist(),
        lambda aspect, gap: ((gap > 0.3) & (aspect > 1.6)).astype("boolean").mask(gap == 0),
        lambda aspect, gap: np.where((gap > 0.3) & (aspect > 1.6), "trouser", None),
        lambda aspect, gap: np.where((gap > 0.3) & (aspect > 1.6), 0, -1),
        lambda aspect, gap: pd.Series(["trouser"], index=[0]).reindex(gap.index),
        lambda aspect, gap: ((gap > 0.3) & (aspect > 1.6)).sort_values(),
    ],
    ids="series array list nullable names ids missing sorted".split(),
)
def test_column_function_accepts_masks_names_and_ids(garments, answers):
    lf = ColumnFunction(name="x", function=answers, columns=("aspect", "gap"), vote="trouser")
    assert lf.run(garments, BALLOT).votes.tolist() == [0, -1, -1, -1, -1, -1]


def test_column_function_isolates_the_rows_that_raise(garments):
    @labeling_function(columns=["note", "leg count"])
    def strict(note, leg_count):
        return ["trouser" if "jeans" in n and c == 2 else None for n, c in zip(note, leg_count)]  # noqa: B905

    out = strict.run(garments, BALLOT)
    assert out.votes.tolist() == [0, -1, -1, -1, -1, 0]
    assert np.flatnonzero(out.trouble).tolist() == [2]
    assert out.is_row_wise


@pytest.mark.parametrize(
    ("answer", "text"),
    [([1, 1, 1], "returned 3 values for 6 rows"), (None, "returned NoneType for 6 rows")],
)
def test_column_function_of_the_wrong_length_abstains(garments, answer, text):
    @labeling_function(columns=["gap"])
    def wrong(gap):
        return answer

    out = wrong.run(garments, BALLOT)
    assert (out.votes == -1).all() and not out.is_row_wise
    assert out.problems[0].text == text


def test_column_function_without_its_column_abstains(garments):
    @labeling_function(columns=["aspct"], vote="boot")
    def wrong(aspct):
        return aspct > 0

    out = wrong.run(garments, BALLOT)
    assert (out.votes == -1).all()
    assert "did you mean 'aspect'" in out.problems[0].text


def test_a_mask_without_a_declared_vote_is_an_unknown_answer(garments):
    @labeling_function(columns=["gap"])
    def mask(gap):
        return gap > 0.3

    out = mask.run(garments, BALLOT)
    assert (out.votes == -1).all() and out.problems[0].kind == "unknown"


def test_resources_reach_the_function(tmp_path):
    @labeling_function(
        resources={"limit": 0.3, "here": Path(__file__).name and Path("conftest.py")}
    )
    def wide(item, limit, here):
        return "boot" if item.gap > limit and here.is_file() else None

    assert wide.run(pd.DataFrame({"gap": [0.1, 0.5]}), BALLOT).votes.tolist() == [-1, 2]


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda: labeling_function(lambda item: None), "without parentheses"),
        (lambda: labeling_function(columns="gap"), r'columns=\["gap"\]'),
        (lambda: labeling_function()(lambda: None), "must take the arguments item"),
        (lambda: labeling_function(columns=["gap"])(lambda aspect: None), "arguments gap"),
        (
            lambda: labeling_function(resources={"w": Path("none.txt")})(lambda item, w: None),
            "is missing",
        ),
    ],
)
def test_wrong_declarations_say_what_to_do(declare, message):
    with pytest.raises(LabelingError, match=message):
        declare()
