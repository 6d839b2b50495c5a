"""Suggested LFs on planted truth: the planted rule is found, noise is not, and files run."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from labeling_functions import apply_lfs, load_folder
from labeling_functions.ballot import Ballot
from labeling_functions.suggest import PROPOSERS, Material, suggest
from labeling_functions.suggest.choose import _halves
from labeling_functions.templates import toml
from weaklight.contracts import ClassSet
from weaklight.errors import DataError

BALLOT = Ballot(("ham", "spam"))
FILLER = "please see the notes of our meeting and send me a line about lunch".split()


def mail(n: int, *, seed: int = 0, planted: bool = True) -> Material:
    """Half spam; spam says "claim your prize", is long and lies around another direction."""
    rng = np.random.default_rng(seed)
    gold = rng.integers(0, 2, n)
    spam = (gold == 1) if planted else rng.random(n) < 0.5
    texts = [
        " ".join([*rng.choice(FILLER, 8), *(["claim your prize"] * bool(s and rng.random() < 0.6))])
        for s in spam
    ]
    features = rng.normal(size=(n, 8)) * 0.3
    features[:, 0] += np.where(spam, 1.0, -1.0)
    table = pd.DataFrame(
        {
            "item_id": [f"m{i:04d}" for i in range(n)],
            "text": texts,
            "length": np.where(spam, 60, 40) + rng.normal(size=n) * 8,
            "noise": rng.normal(size=n),
            "folder": np.where(spam & (rng.random(n) < 0.9), "bulk", "inbox"),
        }
    )
    known = np.where(np.arange(n) < n * 2 // 3, gold, -1)
    return Material(table, known, BALLOT, features.astype(np.float32))


def none(material: Material) -> np.ndarray:
    return np.empty((len(material.table), 0), np.int16)


def test_the_planted_phrase_limit_and_value_are_found():
    material = mail(600)
    found = suggest(material, none(material), kinds=["ngrams"], top=3).suggestions
    assert any({"claim", "your", "prize"} & set(" ".join(s.table["words"]).split()) for s in found)
    assert all(s.table["vote"] == "spam" and s.judged.value > 0.9 for s in found)
    found = suggest(material, none(material), kinds=["stumps"], top=20).suggestions
    asked = {s.table.get("column") for s in found}
    assert {"length", "folder"} <= asked and "noise" not in asked


@pytest.mark.parametrize("kind", ["clusters", "prototypes"])
def test_features_that_tell_the_classes_apart_give_examples_of_both(kind):
    material = mail(600)
    found = suggest(material, none(material), kinds=[kind], top=10).suggestions
    assert {s.table["vote"] for s in found} == {"ham", "spam"}
    assert all(s.judged.interval[0] > 0.8 for s in found)
    assert suggest(
        Material(material.table, material.gold, BALLOT), none(material), kinds=[kind]
    ) == (suggest(Material(material.table, material.gold, BALLOT), none(material), kinds=[kind]))


def test_where_nothing_is_to_be_found_almost_nothing_is_suggested():
    n_judged = n_passed = 0
    for seed in range(15):
        material = mail(300, seed=seed, planted=False)
        advice = suggest(material, none(material), precision=0.7)
        n_judged += advice.n_judged
        n_passed += advice.n_passed
    assert n_judged > 100  # it searched, and found rules that fit the half they were found on
    assert n_passed <= 3  # 5 % of 15 runs, and some luck


def test_rules_are_judged_on_rows_they_were_not_found_on():
    gold = np.array([0] * 11 + [1] * 8 + [-1] * 5)
    one, two = _halves(gold, seed=1)
    assert not (one & two).any() and (one | two).tolist() == (gold >= 0).tolist()
    for value, count in ((0, 11), (1, 8)):
        assert {int(one[gold == value].sum()), int(two[gold == value].sum())} == {
            count // 2,
            count - count // 2,
        }
    seen: list[np.ndarray] = []
    material = mail(300)
    original = PROPOSERS["stumps"]

    def spy(material, rows, precision, seed):
        seen.append(rows)
        return original(material, rows, precision, seed)

    PROPOSERS["stumps"] = spy
    try:
        advice = suggest(material, none(material), kinds=["stumps"], top=5)
    finally:
        PROPOSERS["stumps"] = original
    assert (seen[0] ^ seen[1]).sum() == (material.gold >= 0).sum()
    for found in advice.suggestions:
        votes = toml.from_dict(found.table).run(material.table, BALLOT).votes
        counts = []
        for held_back in (seen[1], seen[0]):
            hits = (votes >= 0) & held_back
            counts.append((int((votes == material.gold)[hits].sum()), int(hits.sum())))
        assert (found.judged.successes, found.judged.n) in counts


def test_no_near_copy_of_what_is_there_or_of_another_suggestion():
    material = mail(600)
    first = suggest(material, none(material), top=30).suggestions
    hits = [_votes(s.table, material) for s in first]
    for j, a in enumerate(hits):
        for b in hits[:j]:
            both, either = ((a == b) & (a >= 0)).sum(), ((a >= 0) | (b >= 0)).sum()
            assert both / either < 0.7
    names = [s.table["name"] for s in first]
    again = suggest(material, np.column_stack(hits), names=names, top=30).suggestions
    assert not {s.table["name"] for s in again} & set(names)
    assert not {repr(s.table | {"name": ""}) for s in again} & {
        repr(s.table | {"name": ""}) for s in first
    }
    assert sum(s.new for s in again) < 0.05 < sum(s.new for s in first)


def test_accepted_suggestions_run_from_their_file_as_they_were_judged(tmp_path):
    material = mail(400)
    found = []
    for kind in PROPOSERS:
        taken = [s.table["name"] for s in found]
        found += suggest(material, none(material), names=taken, kinds=[kind], top=2).suggestions
    assert {s.source for s in found} == set(PROPOSERS)
    for suggestion in found:
        toml.append(tmp_path / "lfs" / "suggested.toml", suggestion.table)
    lfs = load_folder(tmp_path / "lfs")
    result = apply_lfs(
        lfs, material.table, classes=BALLOT.classes, features=material.features, workers=0
    )
    for j, suggestion in enumerate(found):
        assert result.votes[:, j].tolist() == _votes(suggestion.table, material).tolist()


def test_class_sets_are_suggested_too_and_seeds_repeat():
    rng = np.random.default_rng(0)
    gold = rng.integers(0, 3, 300)
    table = pd.DataFrame(
        {"item_id": [str(i) for i in range(300)], "sole": np.where(gold == 0, 0.0, 1.0)}
    )
    table["sole"] += rng.random(300) * 0.1
    ballot = Ballot(("bag", "boot", "sneaker"), (ClassSet("footwear", (1, 2)),))
    material = Material(table, gold, ballot)
    advice = suggest(material, none(material), kinds=["stumps"])
    assert {s.table["vote"] for s in advice.suggestions} == {"bag", "footwear"}
    assert advice == suggest(material, none(material), kinds=["stumps"])


def test_too_little_gold_and_unknown_kinds_are_refused():
    material = mail(24)
    with pytest.raises(DataError, match="20 dev items"):
        suggest(material, none(material))
    with pytest.raises(DataError, match="ngrams, stumps"):
        suggest(mail(100), none(mail(100)), kinds=["trees"])


def _votes(table, material):
    lf = toml.from_dict(table)
    if table["kind"] == "prototype":
        return lf.run(material.table["item_id"].tolist(), material.features, BALLOT).votes
    return lf.run(material.table, BALLOT).votes


def test_no_rule_is_about_a_column_that_holds_nothing():
    material = mail(60)
    table = material.table.assign(noisy_label=None)
    columns = Material(table, material.gold, BALLOT).columns
    assert columns == material.columns and "length" in columns
    assert "noisy_label" in Material(table.head(0), material.gold[:0], BALLOT).columns
