"""RE2 finds what ``re`` finds: the same cells, whatever the pattern and the text."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeling_functions import keywords, regex
from labeling_functions.templates.groups import TextGroup
from labeling_functions.templates.scan import PatternSet

DATA = Path(os.environ.get("WEAKLIGHT_DATA", Path(__file__).parents[4] / "shared" / "data"))
NASTY = [
    "",
    "a",
    "a\n",
    "A b",
    "K",
    "\u212a",
    "\u017f",
    "éa",
    "a\u0301",
    "\x1c",
    "٣",
    "ab1_\ufeff",
    "İi",
]

_ATOMS = st.sampled_from(
    [r"\w", r"\W", r"\d", r"\s", r"\S", ".", r"\b", r"\B", "^", "$", r"\Z", r"\A", "[ab]", "[^a]",
     r"[^\w]", "[i-k]", "[^\u017f]", "(?=a)", "(?!b)", "(?<=a)", r"(a)\1", "a", "b", "k", "K", "é",
     "\u017f", "i", "\n", "1", " "]
)  # fmt: skip
_PATTERNS = st.recursive(
    _ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{1,2}", "*?", "++", "{0}"])).map(
            lambda pair: f"(?:{pair[0]}){pair[1]}"
        ),
        inner.map(lambda pattern: f"(?>{pattern})"),
        inner.map(lambda pattern: f"(?i:{pattern})"),
    ),
    max_leaves=6,
)
_FLAGS = st.sampled_from([0, re.I, re.M, re.S, re.A, re.I | re.M])
_CHARACTERS = st.one_of(
    st.sampled_from("ab kK_1\né\u017fİΩ٣\x85\x1c\ufeff!-"), st.characters(exclude_categories=["Cs"])
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(_PATTERNS, _FLAGS), min_size=1, max_size=4),
    st.lists(st.text(_CHARACTERS, max_size=6), max_size=4),
    st.booleans(),
)
def test_what_re_finds_is_found_or_left_open_and_nothing_else_is_found(
    sources, texts, has_prefilter
):
    patterns = []
    for source, flags in sources:
        try:
            patterns.append(re.compile(source, flags))
        except re.error:
            continue  # such as looking back over something of no fixed width
    texts = [*texts, *NASTY]
    scan = PatternSet(patterns, has_prefilter=has_prefilter).scan(pa.array(texts, pa.string()))
    truth = np.array([[p.search(t) is not None for p in patterns] for t in texts], bool)
    truth = truth.reshape(len(texts), len(patterns))
    assert not (truth & ~scan.found & ~scan.open).any()
    assert not (scan.found & ~truth).any()


def test_plain_texts_are_settled_without_re_and_a_null_holds_nothing():
    patterns = [re.compile(r"(?i)\bfree\b"), re.compile(r"won .*(cash|prize)$")]
    texts = pa.array(["Feel FREE", "freedom", "won a prize", None, "won a prize\n", "é free"])
    scan = PatternSet(patterns).scan(texts)
    assert scan.found.tolist() == [[1, 0], [0, 0], [0, 1], [0, 0], [0, 0], [0, 0]]
    assert scan.open.tolist() == [[0, 0], [0, 0], [0, 0], [0, 0], [0, 1], [1, 0]]


def test_a_pattern_too_large_for_re2_is_left_to_re():
    scan = PatternSet([re.compile("(a{900}){900}"), re.compile("b")]).scan(pa.array(["ab", "c"]))
    assert scan.open.tolist() == [[1, 0], [1, 0]]
    assert scan.found.tolist() == [[0, 1], [0, 0]]


def test_a_long_list_of_words_is_one_pattern():
    lf = keywords("text", [f"word{i}ending" for i in range(5_000)], vote="spam")
    texts = pa.array(["a word17ending b", "word17", "é WORD4999ENDING"])
    is_hit, is_open = TextGroup([lf]).vote(texts)
    assert is_hit.ravel().tolist() == [1, 0, 0] and is_open.ravel().tolist() == [0, 0, 1]


def test_several_words_are_counted_across_what_is_sure_and_what_is_open():
    lfs = [
        keywords("text", ["free", "cash", "win"], vote="spam", need=2),
        keywords("text", ["free", "cash"], vote="spam", need="all"),
        keywords("text", ["free"], vote="spam"),
    ]
    texts = pa.array(["free free", "free cash", "win é cash", "win é"])
    is_hit, is_open = TextGroup(lfs).vote(texts)
    assert is_hit.tolist() == [[0, 0, 1], [1, 1, 1], [0, 0, 0], [0, 0, 0]]
    assert is_open.tolist() == [[0, 0, 0], [0, 0, 0], [1, 0, 0], [0, 0, 0]]


@pytest.mark.skipif(not (DATA / "wrench_sms").is_dir(), reason=f"no WRENCH SMS data at {DATA}")
def test_the_73_rules_of_wrench_sms_give_its_published_votes():
    lines = (DATA / "wrench_sms" / "readme.txt").read_text().splitlines()
    rules = [c for c in (line.split("\t") for line in lines) if c[0] in ("ham", "spam") and c[2:]]
    rows = json.loads((DATA / "wrench_sms" / "train.json").read_text()).values()
    lfs = [regex("text", cells[1], vote=cells[0]) for cells in rules]
    is_hit, is_open = TextGroup(lfs).vote(pa.array([row["data"]["text"] for row in rows]))
    published = np.array([row["weak_labels"] for row in rows])
    values = np.array([("ham", "spam").index(cells[0]) for cells in rules])
    assert len(lfs) == 73 and not is_open.any()
    assert (np.where(is_hit, values, -1) == published).all()
