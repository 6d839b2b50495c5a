"""What a form is filled with is what it declares: every kind, every option, there and back."""

import json

import pytest
from streamlit.testing.v1 import AppTest

from app.components.template_form import Known, first_kind
from app.services.answers import fits_form, form_answers
from labeling_functions.templates import KINDS, toml

VOTE = {"vote": "spam"}
TABLES = {
    "keywords": [
        {"column": "text", "words": ["free", "click here"], "need": "all", **VOTE},
        {"column": "text", "file": "list.txt", "need": 2, **VOTE},
        {"column": "text", "words": ["US"], "match_case": True, "whole_words": False, **VOTE},
    ],
    "regex": [{"column": "text", "pattern": r"(\d+) = ü", "match_case": True, **VOTE}],
    "lookup": [
        {"column": "text", "entries": ["Ann Smith"], "fuzzy": 85, "match_case": True, **VOTE},
        {"column": ["text", "who"], "entries": [["Ann", "Bob"]], "in_any_order": True, **VOTE},
        {"column": "text", "file": "list.txt", **VOTE},
    ],
    "threshold": [
        {"column": "n", "above": 0.5, "at_least": 1, "below": 8, "at_most": 7.25, **VOTE},
        {"column": "n", "between": [0, 4.5], **VOTE},
    ],
    "metadata": [
        {"column": "who", "equals": "Ann", **VOTE},
        {"column": "n", "equals": 3, **VOTE},
        {"column": "is_html", "equals": False, **VOTE},
        {"column": "who", "one_of": ["Ann", "Bob"], **VOTE},
        {"column": "who", "missing": False, **VOTE},
    ],
    "rule": [
        {
            "conditions": [
                {"column": "n", "above": 0, "below": 4},
                {"column": "who", "one_of": ["Ann"]},
                {"column": "is_html", "equals": True},
            ],
            **VOTE,
        },
        {
            "conditions": [{"column": "n", "between": [1, 2]}, {"column": "who", "missing": True}],
            "join": "any",
            **VOTE,
        },
    ],
    "prototype": [
        {"positives": ["m1", "m2"], "negatives": ["m3"], "at_least": 0.75, "soft": True, **VOTE}
    ],
    "model": [{"probabilities": {"spam": "p"}, "at_least": 0.9, "soft": True}],
    "annotator": [{"column": "who", "names": {"s": "spam"}}],
    "zero_shot": [
        {
            "descriptions": {"ham": "a letter", "spam": "an offer"},
            "at_least": -0.1,
            "margin": 0,
            "soft": True,
        }
    ],
}
# What a file may say of columns, values and lists that the sample does not show.
ELSEWHERE = [
    {"name": "x", "kind": "keywords", "column": "gone", "file": "lost.txt", "vote": 1},
    {"name": "x", "kind": "threshold", "column": "gone", "above": 1, "vote": "spam"},
    {"name": "x", "kind": "metadata", "column": "n", "one_of": [1, 77], "vote": "spam"},
    {"name": "x", "kind": "metadata", "column": "who", "equals": "Zoe", "vote": "angular"},
    {
        "name": "x",
        "kind": "lookup",
        "column": ["gone", "n"],
        "entries": [["a", "b"]],
        "vote": "ham",
    },
    {"name": "x", "kind": "rule", "conditions": [{"column": "gone", "above": 1}], "vote": "ham"},
    {"name": "x", "kind": "model", "probabilities": {"spam": "gone"}, "at_least": 0.5},
]
CASES = [{"name": "x", "kind": kind, **table} for kind in TABLES for table in TABLES[kind]]


def _form(kind):
    import streamlit as st

    from app.components.template_form import Known, template_form

    def column(holds, length, values, span=None):
        return {"holds": holds, "length": length, "values": values, "range": span}

    columns = {
        "text": column("text", 90.0, []),
        "who": column("text", 3.0, ["Ann", "Bob"]),
        "n": column("number", 0.0, [3.0], [0.0, 3.0, 9.0]),
        "p": column("number", 0.0, [], [0.0, 0.5, 1.0]),
        "is_html": column("other", 0.0, [False, True]),
    }
    known = Known(columns, ["ham", "spam"], ["ham", "spam"], ["list.txt"])
    given, missing = template_form(kind, known)
    st.session_state["out"] = [given, missing]


@pytest.mark.parametrize("table", CASES, ids=lambda t: f"{t['kind']} {list(t)[3]}")
def test_a_table_comes_back_from_the_form_as_it_went_in(tmp_path, table):
    (tmp_path / "list.txt").write_text("one\ntwo\n")
    assert fits_form(table)
    page = AppTest.from_function(_form, kwargs={"kind": table["kind"]})
    for key, answer in form_answers(table).items():
        page.session_state[key] = answer
    page.run()
    assert not page.exception, page.exception[0].message
    given, missing = page.session_state["out"]
    again = {"name": "x", "kind": table["kind"], **given}
    json.dumps(again)  # it must travel to the process that tries it
    assert missing == []
    if table["kind"] != "rule":  # whose two tests of one column come back as two conditions
        assert again == table
    assert said(again, tmp_path) == said(table, tmp_path)


@pytest.mark.parametrize("table", ELSEWHERE, ids=lambda t: f"{t['kind']} {list(t)[3]}")
def test_what_a_file_says_stays_in_the_form_even_where_it_is_wrong(table):
    page = AppTest.from_function(_form, kwargs={"kind": table["kind"]})
    for key, answer in form_answers(table).items():
        page.session_state[key] = answer
    page.run()
    assert not page.exception, page.exception[0].message
    given, missing = page.session_state["out"]
    assert {"name": "x", "kind": table["kind"], **given} == table and missing == []


def said(table, folder):
    lf = toml.from_dict(table, folder)
    return lf.digest if table["kind"] != "rule" else lf.sentence().replace("and n is", "and")


def test_the_cases_cover_every_option_of_every_kind():
    for kind, template in KINDS.items():
        asked = {option for table in TABLES[kind] for option in table}
        assert asked == set(template.option_names()), kind


def test_what_no_form_can_hold_is_not_offered():
    both = {"column": "n", "above": 1, "below": 2}
    rule = {"name": "x", "kind": "rule", "vote": "ham", "conditions": [both]}
    assert fits_form(rule) and not fits_form({**rule, "join": "any"})
    assert not fits_form({**rule, "future": 1}) and not fits_form({"name": "x", "kind": "later"})


def test_the_form_opens_with_the_first_kind_that_the_items_have_columns_for():
    number, text = {"holds": "number", "length": 0}, {"holds": "text", "length": 40}
    assert first_kind(Known({"width": number, "body": text}, (), (), ())) == "keywords"
    assert first_kind(Known({"width": number}, (), (), ())) == "threshold"
    came_along = {"width": number, "noisy_label": text}
    assert first_kind(Known(came_along, (), (), ())) == "threshold"
    assert first_kind(Known({}, (), (), ())) in KINDS
