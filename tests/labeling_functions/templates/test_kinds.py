"""Every kind of template: its votes by hand, its sentence, and what it refuses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from labeling_functions import (
    Condition,
    annotator,
    keywords,
    lookup,
    metadata,
    model,
    regex,
    rule,
    threshold,
    zero_shot,
)
from labeling_functions.ballot import Ballot
from labeling_functions.templates import KINDS
from labeling_functions.templates.resources import read_lines, read_rows
from weaklight.errors import LabelingError

BALLOT = Ballot(("ham", "spam"))
ITEMS = pd.DataFrame(
    {
        "text": ["Free CASH now", "freedom", None, "you  win!", "US dollars"],
        "length": [3, 10, 20, 5, 7],
        "score": [0.1, np.nan, 0.5, 0.9, 0.3],
        "sender": ["shop", "friend", None, "Shop ", "friend"],
        "first": ["Ann", "Bob", "Ann", None, "Anne"],
        "second": ["Bob", "ann", "Cid", "Bob", "Bob"],
        "p_ham": [0.9, 0.5, np.nan, 0.2, 0.85],
        "p_spam": [0.1, 0.5, np.nan, 0.8, 0.15],
        "worker": ["s", "ham", None, "spam", "egg"],
    }
)


def votes(lf) -> list[int]:
    return lf.run(ITEMS, BALLOT).votes.tolist()


@pytest.mark.parametrize(
    ("lf", "expected", "sentence"),
    [
        (keywords("text", ["free", "win!"], vote="spam"), [1, -1, -1, 1, -1],
         'Votes spam where text holds "free" or "win!".'),
        (keywords("text", ["free"], vote="spam", whole_words=False), [1, 1, -1, -1, -1], "free"),
        (keywords("text", ["us"], vote=1, match_case=True), [-1] * 5, '"us"'),
        (keywords("text", ["you win"], vote="spam"), [-1, -1, -1, 1, -1], '"you win"'),
        (keywords("text", ["free", "cash", "win"], vote="spam", need=2), [1, -1, -1, -1, -1],
         "at least 2 of"),
        (keywords("text", ["free", "cash"], vote="spam", need="all"), [1, -1, -1, -1, -1],
         'all of "free" and "cash"'),
        (regex("text", r"\bfree\w+", vote="ham"), [-1, 0, -1, -1, -1], r"matches \bfree\w+"),
        (threshold("length", above=5, at_most=10, vote="ham"), [-1, 0, -1, -1, 0],
         "Votes ham where length is above 5 and at most 10."),
        (threshold("score", between=(0.1, 0.5), vote=1), [1, -1, 1, -1, 1],
         "between 0.1 and 0.5"),
        (threshold("score", below=0.5, vote=1), [1, -1, -1, -1, 1], "below 0.5"),
        (metadata("sender", equals="shop", vote="spam"), [1, -1, -1, -1, -1], "sender is shop"),
        (metadata("length", one_of=[3, 7], vote="spam"), [1, -1, -1, -1, 1], "one of 3 or 7"),
        (metadata("sender", missing=True, vote="spam"), [-1, -1, 1, -1, -1], "is missing"),
        (metadata("sender", missing=False, vote="ham"), [0, 0, -1, 0, 0], "not missing"),
        (lookup("sender", ["SHOP"], vote="spam"), [1, -1, -1, 1, -1], "sender is SHOP"),
        (lookup(["first", "second"], [["Ann", "Bob"]], vote="ham"), [0, -1, -1, -1, -1],
         "first and second is Ann + Bob"),
        (lookup(["first", "second"], [["Ann", "Bob"]], vote="ham", in_any_order=True),
         [0, 0, -1, -1, -1], "in any order"),
        # ratio("anne", "ann") = 2 * 3 / 7 = 85.7
        (lookup(["first", "second"], [["Ann", "Bob"]], vote="ham", fuzzy=85),
         [0, -1, -1, -1, 0], "is about"),
        (lookup(["first", "second"], [["Ann", "Bob"]], vote="ham", fuzzy=86),
         [0, -1, -1, -1, -1], "is about"),
        (rule([{"column": "length", "above": 4}, Condition("sender", one_of=["friend"])],
              vote="ham"), [-1, 0, -1, -1, 0], "length is above 4 and sender is one of friend"),
        (rule([{"column": "length", "above": 9}, {"column": "score", "above": 0.8}], vote="ham",
              join="any"), [-1, 0, 0, 0, -1], " or "),
        (model({"ham": "p_ham", "spam": "p_spam"}), [0, -1, -1, 1, 0], "at least 0.8"),
        (model({"ham": "p_ham", "spam": "p_spam"}, at_least=0.5), [0, -1, -1, 1, 0], "0.5"),
        (annotator("worker", names={"s": "spam"}), [1, 0, -1, 1, -1], "what worker says"),
    ],
)  # fmt: skip
def test_votes_by_hand(lf, expected, sentence):
    assert votes(lf) == expected
    assert sentence in lf.description


def test_an_unknown_label_of_an_annotator_is_reported():
    out = annotator("worker").run(ITEMS, BALLOT)
    assert out.votes.tolist() == [-1, 0, -1, 1, -1]
    assert {problem.text.split(";")[0] for problem in out.problems} == {"'s'", "'egg'"}


@pytest.mark.parametrize(
    ("lf", "text"),
    [
        (keywords("txt", ["a"], vote="spam"), "no column 'txt'; did you mean 'text'?"),
        (keywords("text", ["a"], vote="spma"), "'spma'; did you mean 'spam'?"),
        (keywords("length", ["a"], vote="spam"), "'length' must hold text, but holds int64"),
        (threshold("sender", above=1, vote="spam"), "'sender' must hold numbers"),
        (model({"spam": "p_spam", "hamm": "p_ham"}), "'hamm'; did you mean 'ham'?"),
    ],
)
def test_what_cannot_be_judged_abstains_and_says_why(lf, text):
    out = lf.run(ITEMS, BALLOT)
    assert (out.votes == -1).all() and (out.trouble == 1).all()
    assert text in out.problems[0].text


def test_soft_votes_are_the_probabilities_and_what_is_missing_to_one_is_shared():
    both = model({"ham": "p_ham", "spam": "p_spam"}, soft=True).run(ITEMS, BALLOT).soft
    np.testing.assert_allclose(both[[0, 3]], [[0.9, 0.1], [0.2, 0.8]], rtol=1e-6)
    assert np.isnan(both[2]).all()
    three = Ballot(("ham", "spam", "other"))
    one = model({"spam": "p_spam"}, soft=True).run(ITEMS, three)
    np.testing.assert_allclose(one.soft[0], [0.45, 0.1, 0.45], rtol=1e-6)


def test_zero_shot_votes_for_the_nearest_description_if_it_is_clearly_nearest():
    lf = zero_shot({"ham": "a note to a friend", "spam": "an advertisement"}, at_least=0.5)
    directions = {"a note to a friend": [1.0, 0.0], "an advertisement": [0.0, 1.0]}
    features = np.array([[3, 0.1], [0.1, 2], [1, 1], [-1, 0.2], [0, 0]], np.float32)
    ids = list("abcde")

    def encode(texts):
        return np.array([directions[text] for text in texts])

    assert lf.run(ids, features, BALLOT, encode_text=encode).votes.tolist() == [0, 1, -1, -1, -1]
    assert "needs the text encoder" in lf.run(ids, features, BALLOT).problems[0].text
    wide = lf.run(ids, np.ones((5, 3)), BALLOT, encode_text=encode)
    assert "2 numbers an item" in wide.problems[0].text


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("keywords", {"column": "t", "vote": 1}, "words must hold at least one word"),
        ("keywords", {"column": "t", "words": "free", "vote": 1}, "words must be a list"),
        ("keywords", {"column": "t", "words": ["a"], "need": 2, "vote": 1}, "need must lie"),
        ("keywords", {"column": "t", "words": ["a", 3], "vote": 1}, r"words\[1\].* but is 3"),
        ("regex", {"column": "t", "pattern": "(", "vote": 1}, "regular expression, but missing"),
        ("regex", {"column": "t", "pattern": "\bfree", "vote": 1}, "single quotes"),
        ("threshold", {"column": "t", "vote": 1}, "add one of above, at_least"),
        ("threshold", {"column": "t", "between": [2, 1], "vote": 1}, "from low to high"),
        ("threshold", {"column": "t", "above": 5, "at_most": 5, "vote": 1}, "no t is above 5 and"),
        (
            "rule",
            {"conditions": [{"column": "t", "above": 5, "between": [1, 2]}], "vote": 1},
            "widen the limits",
        ),
        ("metadata", {"column": "t", "vote": 1}, "add one of equals"),
        ("rule", {"conditions": [], "vote": 1}, "at least one"),
        ("rule", {"conditions": [{"column": "a", "abve": 1}], "vote": 1}, "did you mean 'above'"),
        ("rule", {"conditions": [{"column": "a"}], "vote": 1}, "has no test"),
        (
            "rule",
            {"conditions": [{"above": 1}], "vote": 1},
            r"conditions\[0\] must name its column",
        ),
        ("lookup", {"column": "t", "vote": 1}, "entries must hold at least one"),
        ("lookup", {"column": ["a", "b"], "entries": ["x"], "vote": 1}, "2 texts, but holds 1"),
        ("lookup", {"column": "t", "entries": ["x"], "fuzzy": 101, "vote": 1}, "at most at 100"),
        ("model", {"probabilities": {}}, "must name a column a class"),
        ("zero_shot", {"descriptions": {"a": "x"}}, "two classes or more"),
        ("prototype", {"vote": 1, "positives": []}, "at least one item id"),
    ],
)
def test_wrong_declarations(kind, options, message):
    with pytest.raises(LabelingError, match=message):
        KINDS[kind](**options)


def test_digests_cover_options_and_file_but_not_words_about_it(tmp_path):
    for folder, text in (("one", "ann\n"), ("two", "ann\n"), ("three", "ann\nbob\n")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "names.txt").write_text(text)
    lf = lookup("first", file="names.txt", vote="ham")
    one, two, three = (lf.beside(tmp_path / f).own_digest() for f in ("one", "two", "three"))
    assert one == two != three
    about = lookup("first", file="names.txt", vote="ham", description="Known.", author="Ada")
    assert about.beside(tmp_path / "one").own_digest() == one
    assert lookup("first", ["ann"], vote="spam").own_digest() != one


@pytest.mark.parametrize(
    ("text", "n_columns", "expected"),
    [
        ("free\n\n# of ours\nride;\nno cost;;\n;;\n", 1, [("free",), ("ride",), ("no cost",)]),
        ("Ann,Bob\nEve, Jim\n", 2, [("Ann", "Bob"), ("Eve", "Jim")]),
        ("Ann;Bob\nLee, Jr;Jim\n", 2, [("Ann", "Bob"), ("Lee, Jr", "Jim")]),
        ("Ann,\n", 2, [("Ann", "")]),
        ("", 2, []),
    ],
)
def test_lists_are_read_as_spreadsheets_save_them(tmp_path, text, n_columns, expected):
    (tmp_path / "list.csv").write_text(text, encoding="utf-8-sig")
    assert read_rows(tmp_path / "list.csv", n_columns) == expected
    if n_columns == 1:
        assert read_lines(tmp_path / "list.csv") == [entry for (entry,) in expected]


@pytest.mark.parametrize(("text", "came"), [("a,b\nc\n", "row 2 holds 1"), ("a;b;c\n", "row 1")])
def test_a_ragged_list_is_refused(tmp_path, text, came):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(LabelingError, match=f"must hold 2 cells, but {came}.*with commas"):
        read_rows(tmp_path / "list.csv", 2)
