"""Loading a folder of LF files."""

from __future__ import annotations

import subprocess
import sys

import pandas as pd
import pytest

from labeling_functions import apply_lfs, load_folder, load_readable
from labeling_functions.ballot import Ballot
from labeling_functions.functions import SnorkelFunction
from weaklight.errors import LabelingError


def test_loads_in_file_then_definition_order_and_leaves_no_trace(lfs_folder):
    folder = lfs_folder(
        b_second="""
            from ._helpers import LIMIT
            from .a_first import wide
            like_bag = prototype("bag", ["1"])
            @labeling_function(name="tall one")
            def tall(item):
                return "boot" if item.h > LIMIT else None
        """,
        a_first="""
            @labeling_function()
            def wide(item): ...
            @labeling_function()
            def again(item): ...
            alias = wide
        """,
        _helpers="""
            LIMIT = 3
            @labeling_function()
            def hidden(item): ...
        """,
    )
    path_before = list(sys.path)
    lfs = load_folder(folder)
    assert [lf.name for lf in lfs] == ["wide", "again", "like_bag", "tall one"]
    assert [(lf.origin.file, lf.origin.line) for lf in lfs[:3]] == [
        ("a_first.py", 4), ("a_first.py", 6), ("b_second.py", 5),
    ]  # fmt: skip
    assert all(len(lf.digest) == 64 for lf in lfs)
    assert sys.path == path_before
    assert not (folder / "__pycache__").exists()
    assert "a_first" not in sys.modules


def test_an_edit_within_the_same_second_is_seen(lfs_folder):
    for limit in ("0.3", "0.4"):
        folder = lfs_folder(f=f"@labeling_function()\ndef lf(item): return {limit}\n")
        (lf,) = load_folder(folder)
        assert lf(None) == float(limit)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def broken(:\n", r"f\.py, line 2: not valid Python"),
        ("x = 1\ny = 1 / 0\n", r"f\.py, line 3: loading stopped with ZeroDivisionError"),
        ("import sys\nsys.exit(3)\n", r"f\.py, line 3: loading stopped with SystemExit"),
        ("import no_such_thing\n", r"line 2: .*no_such_thing"),
        ("from _helper import x\n", r"write `from \._helper import \.\.\.` with the dot"),
        ("lf = prototype('bag', [])\n", r"line 2: loading stopped with prototype: positives must"),
        ("import weaklight.no_such\n", "ModuleNotFoundError"),
        (
            "@labeling_function()\ndef a(item): ...\n@labeling_function()\ndef a(item): ...\n",
            "a is defined on lines 3 and 5",
        ),
        ("a = prototype('x', ['1'])\nb = prototype('x', ['2'], name='a')\n", "two LFs .* 'a'"),
    ],
)
def test_a_bad_file_is_named_with_its_line_and_leaves_no_module(lfs_folder, text, message):
    folder = lfs_folder(f=text, _helper="x = 1\n")
    before = set(sys.modules)
    with pytest.raises(LabelingError, match=message):
        load_folder(folder)
    if "two LFs" not in message:
        left = set(sys.modules) - before
        assert not [name for name in left if name.startswith("_weaklight_lfs_")]


def test_everything_wrong_is_named_at_once_and_the_rest_can_still_be_tried(lfs_folder):
    fine = "@labeling_function()\ndef fine(item): ...\n"
    folder = lfs_folder(a="def (", b=fine, c="from .a import x\n", d="1 / 0\n", e=fine)
    (folder / "t.toml").write_text(
        """[[lf]]
name = "prize"
kind = "keywords"
column = "text"
words = ["prize"]
vote = "spam"

[[lf]]
name = "wrong"
kind = "keyword"
"""
    )
    with pytest.raises(LabelingError, match=r"^4 errors in labelling functions") as error:
        load_folder(folder)
    found = str(error.value)
    assert found.count("\n") == 4
    for message in (
        "a.py, line 2: not valid Python",  # once, though c imports it
        "d.py, line 2: loading stopped with ZeroDivisionError",
        "t.toml, line 8, [[lf]] number 2 'wrong': kind = 'keyword' is no template",
        "two LFs are called 'fine': b.py, line 3 and e.py, line 3",
    ):
        assert found.count(message) == 1

    lfs, broken = load_readable(folder)
    assert [lf.name for lf in lfs] == ["fine", "prize"]
    assert len(broken) == 4
    items = pd.DataFrame({"item_id": ["1"]})
    (report,) = apply_lfs(lfs[:1], items, classes=("ham", "spam"), workers=1).reports
    assert report.n_errors == 0


def test_duplicate_names_in_two_files(lfs_folder):
    text = "@labeling_function()\ndef same(item): ...\n"
    with pytest.raises(LabelingError, match=r"'same': one\.py, line 3 and two\.py, line 3"):
        load_folder(lfs_folder(one=text, two=text))


def test_a_dot_in_a_file_name(lfs_folder):
    folder = lfs_folder()
    (folder / "a.b.py").write_text("x = 1\n")
    with pytest.raises(LabelingError, match="rename it"):
        load_folder(folder)


def test_no_folder_and_empty_folder(tmp_path):
    with pytest.raises(LabelingError, match="expected a folder"):
        load_folder(tmp_path / "none")
    assert load_folder(tmp_path) == []


def test_a_snorkel_lf_works_unchanged(lfs_folder, garments):
    folder = lfs_folder(
        old="""
            from snorkel.labeling import LabelingFunction, labeling_function
            @labeling_function(resources={"limit": 0.3})
            def gap(x, limit):
                '''Snorkel: a wide gap.'''
                return 0 if x.gap > limit else -1
            short = LabelingFunction("short", lambda x: 1 if x.aspect < 1 else -1)
            bad = LabelingFunction("bad", lambda x: 9 if x.gap else len(x.note))
        """
    )
    gap, short, bad = load_folder(folder)
    assert isinstance(gap, SnorkelFunction)
    assert (gap.name, gap.description) == ("gap", "Snorkel: a wide gap.")
    ballot = Ballot(("trouser", "boot"))
    assert gap.run(garments, ballot).votes.tolist() == [0, -1, -1, -1, 0, 0]
    assert short.run(garments, ballot).votes.tolist() == [-1, -1, -1, 1, 1, -1]
    assert gap.digest != short.digest
    out = bad.run(garments, ballot)
    assert (out.votes == -1).all() and (out.trouble > 0).all()
    assert {problem.kind for problem in out.problems} == {"unknown", "raised"}


def test_loading_stays_light(lfs_folder):
    folder = lfs_folder(f="@labeling_function()\ndef lf(item): ...\n")
    code = (
        "import sys; from pathlib import Path; import labeling_functions as l;"
        f"l.load_folder(Path({str(folder)!r}));"
        "print(*{'torch', 'snorkel', 'sklearn', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
