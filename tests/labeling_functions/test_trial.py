"""Judging LFs on a sample: what an LF read where it was wrong."""

from __future__ import annotations

import numpy as np

from labeling_functions import apply_lfs, load_folder
from labeling_functions.trial import examples_of, mistakes, without_examples

CLASSES = ("trouser", "shoe")


def test_mistakes_show_the_values_that_were_read(lfs_folder, garments):
    lfs = load_folder(
        lfs_folder(
            a="""
            @labeling_function()
            def long(item):
                if item.aspect > 0.9 and item["leg count"] < 2:
                    return "trouser"

            @labeling_function(columns=["gap"], vote="trouser")
            def gappy(gap):
                return gap > 0.4
            """
        )
    )
    gold = np.array([0, 0, 1, 1, 1, -1])
    votes = apply_lfs(lfs, garments, classes=CLASSES, workers=0).votes
    long, gappy = (
        mistakes(lf, votes[:, j], garments, gold, classes=CLASSES) for j, lf in enumerate(lfs)
    )
    assert [(m.item_id, m.said, m.gold, m.read) for m in long] == [
        ("c", 0, 1, {"aspect": 1.0, "leg count": 0})
    ]
    assert [(m.item_id, dict(m.read)) for m in gappy] == [("e", {"gap": 0.6})]


def test_a_mistake_of_an_lf_on_features_shows_the_text(lfs_folder, garments):
    folder = lfs_folder(a='like = prototype("shoe", positives=["d"], at_least=0.5)')
    texts = garments.assign(text=[f"text of {item_id}" for item_id in garments["item_id"]])
    votes, gold = np.array([-1, 1, -1, 1, -1, -1]), np.zeros(6, np.int64)
    (b, d) = mistakes(load_folder(folder)[0], votes, texts, gold, classes=CLASSES)
    assert (dict(b.read), dict(d.read)) == ({"text": "text of b"}, {"text": "text of d"})


def test_an_lf_is_not_judged_on_its_own_examples(lfs_folder, garments):
    folder = lfs_folder(
        a='like = prototype("shoe", positives=["d"], negatives=["a"], at_least=0.5)'
    )
    lfs = load_folder(folder)
    features = np.array([[1, 0], [1, 0.1], [0.2, 1], [0, 1], [0, 1], [1, 1]], np.float32)
    votes = apply_lfs(lfs, garments, classes=CLASSES, features=features, workers=0).votes
    assert examples_of(lfs[0]) == ("d", "a")
    assert votes[:, 0].tolist() == [-1, -1, 1, 1, 1, -1]
    judged = without_examples(votes, lfs, garments["item_id"])
    assert judged[:, 0].tolist() == [-1, -1, 1, -1, 1, -1]
