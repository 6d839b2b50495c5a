"""``weaklight lf ...`` as an expert meets it, on a small project of texts."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from labeling_functions import load_folder
from labeling_functions.ballot import Ballot
from labeling_functions.starters import KINDS, starter
from labeling_functions.suggest.material import Material
from weaklight.cli import app, lf
from weaklight.errors import DataError, LabelingError

KEYWORDS = """[[lf]]
name = "listed"
kind = "keywords"
column = "text"
file = "words.txt"
vote = "spam"
"""
SETTINGS = """classes = ["ham", "spam"]
[items]
source = "items.csv"
text = "text"
"""
GOOD = '''
from labeling_functions import labeling_function


@labeling_function(author="Ada", tags=["words"])
def prize(item):
    """Spam: it promises a prize."""
    if "prize" in item.text:
        return "spam"


@labeling_function(columns=["words"], vote="ham")
def short(words):
    """Ham: a short note."""
    return words < 9
'''


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """400 e-mails: a prize in half of the spam and in some ham, 100 with gold, 100 of test."""
    rng = np.random.default_rng(0)
    spam = rng.random(400) < 0.5
    prize = rng.random(400) < np.where(spam, 0.6, 0.1)
    words = rng.integers(5, 12, 400) + 4 * spam
    pd.DataFrame(
        {
            "item_id": [f"m{i:03d}" for i in range(400)],
            "text": [
                " ".join(["hello"] * int(w)) + (" your prize waits" if p else " see you then")
                for w, p in zip(words, prize, strict=True)
            ],
            "words": words,
            "p_spam": np.where(prize, 0.9, 0.3),
            "folder": np.where(rng.random(400) < 0.8, np.where(spam, "bulk", "inbox"), "other"),
            "gold": np.where(np.arange(400) < 200, np.where(spam, "spam", "ham"), None),
            "split": ["dev"] * 100 + ["test"] * 100 + ["unlabeled"] * 200,
        }
    ).to_csv(tmp_path / "items.csv", index=False)
    (tmp_path / "weaklight.toml").write_text(SETTINGS)
    (tmp_path / "lfs").mkdir()
    (tmp_path / "lfs" / "first.py").write_text(GOOD)
    return tmp_path


def call(project: Path, *arguments: str) -> str:
    done = CliRunner().invoke(
        app, ["lf", *arguments, "--project", str(project)], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    return done.output


def test_list_says_what_each_is_before_any_run(project):
    shown = call(project, "list")
    assert "python" in shown and "columns" in shown and "Ada" in shown and "words" in shown
    assert "Spam: it promises a prize." in shown
    assert "no run yet" in shown


def test_check_of_a_project_without_functions_says_how_to_write_one_and_is_no_failure(project):
    (project / "lfs" / "first.py").unlink()
    assert call(project, "check").startswith("no labelling function in lfs; `weaklight lf new`")
    with pytest.raises(LabelingError, match="there is no labelling function yet"):
        call(project, "check", "prize")


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
def test_files_in_another_encoding_are_to_be_saved_as_utf_8(project, encoding):
    rules = project / "lfs" / "rules.toml"
    rules.write_text(KEYWORDS)
    (project / "lfs" / "words.txt").write_text("\xe9clair\n", encoding=encoding)
    with pytest.raises(LabelingError, match=r"words\.txt must be .*; save it as UTF-8$"):
        call(project, "check")
    rules.write_text("# \xe9clair\n" + KEYWORDS, encoding=encoding)
    with pytest.raises(LabelingError, match=r"rules\.toml must be .*; save it as UTF-8$"):
        call(project, "check")


def test_check_prints_table_mistakes_and_what_was_read(project):
    shown = call(project, "check")
    items = pd.read_csv(project / "items.csv")
    dev = items[items["split"] == "dev"]
    hit = dev["text"].str.contains("prize")
    right = int((hit & (dev["gold"] == "spam")).sum())
    (row,) = [line for line in shown.splitlines() if line.startswith("prize  ")]
    assert f"n={hit.sum()}" in row and f"{right / hit.sum():.2f} [" in row
    unlabeled = items[items["split"] == "unlabeled"]["text"].str.contains("prize")
    assert f"{unlabeled.mean():.1%}" in row
    wrong = dev[hit & (dev["gold"] == "ham")]["item_id"].tolist()
    assert f"prize is wrong on {len(wrong)} of {hit.sum()} dev items" in shown
    told = shown[shown.index("prize is wrong") :].splitlines()[1:]
    assert [line.split()[0] for line in told[: min(5, len(wrong))]] == wrong[:5]
    assert "text hello" in shown
    test = items[items["split"] == "test"]["item_id"]
    assert not any(item_id in shown for item_id in test)


def test_check_names_the_line_that_raises_and_near_misses(project):
    (project / "lfs" / "bad.py").write_text(
        "from labeling_functions import labeling_function\n\n\n@labeling_function()\n"
        "def typo(item):\n    return 'spam' if item.wrods > 5 else None\n\n\n"
        "@labeling_function()\ndef klass(item):\n    return 'spamm'\n"
    )
    shown = call(project, "check", "typo", "klass")
    assert 'bad.py", line 6, in typo' in shown and "did you mean 'words'?" in shown
    assert "did you mean 'spam'?" in shown
    assert "\nprize " not in shown  # only those that were named
    with pytest.raises(LabelingError, match="did you mean 'prize'"):
        call(project, "check", "prise")


def test_a_broken_file_does_not_hide_the_functions_of_the_others(project):
    (project / "lfs" / "bad.py").write_text("def (")
    for command in ("check", "list"):
        done = CliRunner().invoke(app, ["lf", command, "--project", str(project)])
        assert "\nprize " in done.output and done.exit_code == 1
        assert "bad.py, line 1: not valid Python" in str(done.exception)
    with pytest.raises(LabelingError, match=r"(?s)2 errors.*bad.py.*did you mean 'prize'"):
        call(project, "check", "prise")


def test_check_says_once_why_a_function_never_votes(project):
    (project / "lfs" / "bad.py").write_text(
        "from labeling_functions import labeling_function\n\n\n@labeling_function()\n"
        "def nothing_there(item):\n    return 'spam' if item.unlike_any_other else None\n\n\n"
        "@labeling_function()\ndef long_gone(item):\n    return item.gone.strip()\n\n\n"
        "@labeling_function()\ndef silent(item):\n    return None\n"
    )
    items = pd.read_csv(project / "items.csv").assign(gone=None)
    items.loc[items["split"] == "test", "gone"] = "x"
    items.to_csv(project / "items.csv", index=False)
    shown = call(project, "check", "nothing_there", "long_gone", "silent")
    assert shown.count("no column 'unlike_any_other'") == 1
    assert "return first where the cell is None" in shown
    (finding,) = [line for line in shown.splitlines() if line.startswith("- ")]
    assert finding.startswith("- silent never votes")


def test_check_stops_what_waits_for_ever_and_goes_on(project, monkeypatch):
    monkeypatch.setattr("pipelines.checking.SHORTEST_LIMIT_S", 1.0)
    (project / "lfs" / "stuck.py").write_text(
        "import time\n\nfrom labeling_functions import labeling_function\n\n\n"
        "@labeling_function()\ndef stuck(item):\n"
        "    if item.item_id > 'm002':\n        time.sleep(999)\n    return 'ham'\n"
    )
    shown = call(project, "check", "prize")
    assert (
        "stuck ran longer than 1 s and was stopped at item m003 (stuck.py, line 9), so it abstains "
        "on 300 items" in shown
    )
    assert "prize is wrong" in shown


def test_watch_checks_again_at_each_save_and_ends_at_ctrl_c(project, monkeypatch, capsys):
    monkeypatch.setattr(lf, "POLL_S", 0.02)
    seen: list[int] = []
    ended = threading.Event()
    second = project / "lfs" / "second.py"

    def check() -> None:
        seen.append(len(list((project / "lfs").glob("*.py"))))
        if len(seen) == 1:
            second.write_text("x = 1\n")
        elif len(seen) == 2:
            second.write_text("x =\n")
            raise LabelingError("not valid Python")
        else:
            raise KeyboardInterrupt

    def save_once_more() -> None:
        while len(seen) < 2 and not ended.wait(0.01):
            pass
        time.sleep(0.1)
        second.write_text("x = 2\n")

    saver = threading.Thread(target=save_once_more)
    saver.start()
    try:
        lf._watch(project / "lfs", check)
    finally:
        ended.set()
        saver.join()
    shown = capsys.readouterr()
    assert len(seen) == 3
    assert "no longer watching" in shown.out and "not valid Python" in shown.err


@pytest.mark.parametrize("kind", KINDS)
def test_new_writes_what_runs_as_it_stands_and_never_overwrites(project, kind):
    said = call(project, "new", "mine", "--kind", kind)
    assert "weaklight lf check mine" in said
    (made,) = [found for found in load_folder(project / "lfs") if found.name == "mine"]
    assert made.description
    shown = call(project, "check", "mine")
    assert "raised" not in shown and "unknown" not in shown and "no column" not in shown
    if kind in ("prototype", "zero_shot"):
        assert "run embed first" in shown
    else:
        assert "needs" not in shown
    path = next((project / "lfs").glob("mine.*"))
    before = path.read_text()
    for other in ("python", "keywords"):
        with pytest.raises(LabelingError, match="exists already"):
            call(project, "new", "mine", "--kind", other)
    assert path.read_text() == before
    with pytest.raises(LabelingError, match="called 'prize' already"):
        call(project, "new", "prize")
    with pytest.raises(LabelingError, match="cannot name an LF"):
        call(project, "new", "two words")


@pytest.mark.parametrize("kind", KINDS)
def test_new_votes_for_the_class_that_was_asked_for(project, kind):
    if kind in ("model", "annotator", "zero_shot"):
        with pytest.raises(LabelingError, match="votes for several classes; leave --vote out"):
            call(project, "new", "mine", "--kind", kind, "--vote", "spam")
        return
    call(project, "new", "mine", "--kind", kind, "--vote", "spam")
    (made,) = [found for found in load_folder(project / "lfs") if found.name == "mine"]
    text = next((project / "lfs").glob("mine.*")).read_text()
    assert "'spam'" in text if kind in ("python", "columns") else made.vote == "spam"
    if kind == "prototype":
        gold = pd.read_csv(project / "items.csv").set_index("item_id")[["gold", "split"]]
        assert (gold.loc[list(made.positives)] == ["spam", "dev"]).all(axis=None)
    with pytest.raises(LabelingError, match="came 'spamm'; did you mean 'spam'"):
        call(project, "new", "other", "--kind", kind, "--vote", "spamm")


@pytest.mark.parametrize("kind", ["keywords", "regex"])
def test_a_starter_reads_the_text_of_the_items_before_other_texts(kind):
    items = pd.DataFrame({"item_id": ["a"], "Date": ["1.2.26"], "text": ["hello"]})
    _, text = starter("mine", kind, Material(items, np.array([-1]), Ballot(("ham", "spam"))))
    assert 'column = "text"' in text


def test_suggestions_are_written_where_they_run_and_not_suggested_again(project):
    shown = call(project, "suggest", "--kind", "stumps", "--kind", "ngrams")
    assert "held-back dev items" in shown and "95 % interval" in shown
    assert "look better than they are" in shown
    assert not (project / "lfs" / "suggested.toml").exists()
    call(project, "suggest", "-k", "stumps", "--write", "lfs/suggested.toml", "--take", "1")
    added = [found.name for found in load_folder(project / "lfs") if "suggested" in found.tags]
    assert len(added) == 1
    assert added[0] in call(project, "check")
    again = call(project, "suggest", "-k", "stumps")
    assert f'"{added[0]}"' not in again
    with pytest.raises(DataError, match="numbers from 1"):
        call(project, "suggest", "--write", "lfs/suggested.toml", "--take", "99")


def test_slow_runs_all_items_where_a_loop_cannot_hang_it(project):
    settings = project / "weaklight.toml"
    settings.write_text(SETTINGS + "[vote]\ntime_limit_s = 1.0\n")
    (project / "lfs" / "near.toml").write_text(
        '[[lf]]\nname = "near"\nkind = "zero_shot"\nat_least = 0.0\nmargin = 0.0\n'
        'descriptions = {ham = "see you then", spam = "your prize waits"}\n'
    )
    shown = call(project, "check", "near")
    assert "needs features, but none were given; run embed first" in shown
    assert "loosen" not in shown, "its conditions are not to blame"

    (project / "lfs" / "stuck.py").write_text(
        "import time\n\nfrom labeling_functions import labeling_function\n\n\n"
        "@labeling_function()\ndef stuck(item):\n    time.sleep(99)\n"
    )
    shown = call(project, "check", "--slow")
    assert "ran on all 400 items" in shown
    (row,) = [line for line in shown.splitlines() if line.startswith("prize  ")]
    items = pd.read_csv(project / "items.csv")
    prize = items["text"].str.contains("prize")
    assert f"{prize.mean():.1%}" in row and f"n={prize[items['split'] == 'dev'].sum()}" in row
    assert shown.count("stuck ran longer than 1 s and was stopped at") == 1

    (project / "lfs" / "stuck.py").unlink()
    shown = call(project, "check")  # now there are features, and an encoder of texts
    assert "near never votes on these 300 items: it was not tried here" in shown
    shown = call(project, "check", "near")
    assert "near  " in shown and "n=100" in shown and "never votes" not in shown
