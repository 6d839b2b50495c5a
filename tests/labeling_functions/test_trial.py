"""Trying LFs on a sample: what went wrong, and what an LF read where it was wrong."""

from __future__ import annotations

import numpy as np
import pytest

from labeling_functions import load_folder
from labeling_functions.trial import examples_of, mistakes, try_lfs, without_examples

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
    trial = try_lfs(lfs, garments, classes=CLASSES)
    long, gappy = (
        mistakes(lf, trial.votes[:, j], garments, gold, classes=CLASSES) for j, lf in enumerate(lfs)
    )
    assert [(m.item_id, m.said, m.gold, m.read) for m in long] == [
        ("c", 0, 1, {"aspect": 1.0, "leg count": 0})
    ]
    assert [(m.item_id, dict(m.read)) for m in gappy] == [("e", {"gap": 0.6})]


def test_a_loop_without_end_is_stopped_and_named_with_its_line(lfs_folder, garments):
    lfs = load_folder(
        lfs_folder(
            a="""
            @labeling_function(columns=["gap"], vote="shoe")
            def fine(gap):
                return gap < 0.3

            @labeling_function()
            def stuck(item):
                try:
                    while True:
                        pass
                except Exception:
                    return "shoe"
            """
        )
    )
    trial = try_lfs(lfs, garments, classes=CLASSES, time_limit_s=0.3)
    assert list(trial.overstayed) == ["stuck"]
    assert trial.overstayed["stuck"] in ("a.py, line 10", "a.py, line 11")
    assert trial.votes.T.tolist() == [[-1, 1, 1, 1, -1, -1], [-1] * 6]
    assert [report.name for report in trial.reports] == ["fine"]


def test_an_lf_is_not_judged_on_its_own_examples(lfs_folder, garments):
    folder = lfs_folder(
        a='like = prototype("shoe", positives=["d"], negatives=["a"], at_least=0.5)'
    )
    lfs = load_folder(folder)
    features = np.array([[1, 0], [1, 0.1], [0.2, 1], [0, 1], [0, 1], [1, 1]], np.float32)
    trial = try_lfs(lfs, garments, classes=CLASSES, features=features)
    assert examples_of(lfs[0]) == ("d", "a")
    assert trial.votes[:, 0].tolist() == [-1, -1, 1, 1, 1, -1]
    judged = without_examples(trial.votes, lfs, garments["item_id"])
    assert judged[:, 0].tolist() == [-1, -1, 1, -1, 1, -1]


@pytest.mark.parametrize("rings", [0, 1])
def test_the_alarm_leaves_the_process_as_it_was(lfs_folder, garments, rings):
    import signal

    before = signal.getsignal(signal.SIGPROF)
    body = "while True: pass" if rings else "return None"
    lfs = load_folder(lfs_folder(a=f"@labeling_function()\ndef f(item):\n    {body}\n"))
    try_lfs(lfs, garments, classes=CLASSES, time_limit_s=0.2)
    assert signal.getsignal(signal.SIGPROF) is before
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)
