"""Templates in TOML files: loading beside Python, errors that name the place, safe appending."""

from __future__ import annotations

import threading
import tomllib

import pytest

from labeling_functions import load_folder
from labeling_functions.functions import Origin
from labeling_functions.templates import toml
from weaklight.errors import LabelingError

GOOD = """# our rules
[[lf]]
name = "prize"
kind = "keywords"
column = "text"
file = "words.txt"
vote = "spam"
author = "Ada"
tags = ["money"]

[[lf]]
name = "long"
kind = "threshold"
column = "n"
above = 10
vote = "ham"
description = "Long texts are ham."
"""
PRIZE = {
    "name": "cash",
    "kind": "keywords",
    "column": "text",
    "words": ["ca\tsh", "\x7fé😀"],
    "vote": 1,
}


def test_toml_loads_beside_python_with_the_same_digest(lfs_folder):
    folder = lfs_folder(
        b="""
        from pathlib import Path
        from labeling_functions import keywords
        prize = keywords("text", file=Path("words.txt"), vote="spam")
        """
    )
    (folder / "words.txt").write_text("# money\nprize\n\ncash\n")
    python = load_folder(folder)
    (folder / "b.py").unlink()
    (folder / "a.toml").write_text(GOOD)
    lfs_folder(c="from labeling_functions import metadata\nx = metadata('a', equals=1, vote=0)\n")
    prize, long, x = load_folder(folder)
    assert [lf.name for lf in (prize, long, x)] == ["prize", "long", "x"]
    assert prize.digest == python[0].digest and len({prize.digest, long.digest, x.digest}) == 3
    assert prize.all_words == ("prize", "cash")
    assert (prize.author, prize.tags, prize.columns) == ("Ada", ("money",), ("text",))
    assert long.description == "Long texts are ham." and long.origin == Origin(folder, "a.toml", 11)
    (folder / "words.txt").write_text("prize\ncash\nwin\n")
    assert load_folder(folder)[0].digest != prize.digest


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("above = 10", "abve = 10", r"a\.toml, line 11, \[\[lf\]\] number 2 'long': threshold has "
         r"no option 'abve'; did you mean 'above'\?"),
        ('kind = "keywords"', 'kind = "keyword"', r"number 1 'prize': kind = 'keyword' is no "
         r"template; did you mean 'keywords'\?"),
        ('vote = "ham"', "", "number 2 'long': threshold needs 'vote', but it is missing"),
        ("above = 10", 'above = "x"', "number 2 'long': threshold: above must be a number"),
        ('name = "long"\n', "", "number 2: name must be a text, but is missing"),
        ("words.txt", "nowords.txt", "nowords.txt is missing; put it there"),
        ("words.txt", "empty.txt", "must hold words, but .*empty.txt holds none"),
        ('name = "long"', 'name = "prize"', "a.toml, line 2 and a.toml, line 11; names must be"),
        ('[[lf]]\nname = "long"', '[lf]\nname = "long"', r"a\.toml, line 11: not valid TOML: "
         r"Cannot .*; write \[\[lf\]\], with two brackets.*\n    \[lf\]$"),
        ("[[lf]]\nname = \"long\"", "[[lfs]]\nname = \"long\"", r"line 11: .*but holds lfs; "
         r"did you mean '\[\[lf\]\]'\?\n    \[\[lfs\]\]$"),
        ("above = 10", 'above = "\\d+"', r"line 15: not valid TOML: Unescaped .*; put patterns in "
         r"single quotes.*\n    above = \"\\d\+\"$"),
        ('name = "long"', "name = long", r"line 12: .*; texts go in quotes.*\n    name = long$"),
        ("# our rules", "rules = 1", r"must hold \[\[lf\]\] tables alone, but holds rules"),
        ("above = 10", "above = ", "line 15: not valid TOML"),
        ('vote = "ham"', "words = [1", "line 17: .*; close the bracket"),
    ],
)  # fmt: skip
def test_errors_name_file_table_and_key(tmp_path, old, new, message):
    (tmp_path / "words.txt").write_text("prize\n")
    (tmp_path / "empty.txt").write_text("# nothing\n")
    (tmp_path / "a.toml").write_text(GOOD.replace(old, new))
    with pytest.raises(LabelingError, match=message):
        load_folder(tmp_path)


def test_a_single_bracket_is_told_apart(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text("# ours\n[lf]\nname = 'long'\n")
    with pytest.raises(LabelingError, match=r"line 2: .*with two brackets.*\n    \[lf\]$"):
        toml.read_tables(path)


def test_appended_tables_come_back_and_what_was_there_stays(tmp_path):
    path = tmp_path / "lfs" / "a.toml"
    added = toml.append(path, PRIZE)
    before = path.read_text()
    rule = {"name": "r", "kind": "rule", "vote": "ham", "join": "any",
            "conditions": [{"column": "leg gap", "between": [0.5, 1e-9 + 1]}]}  # fmt: skip
    toml.append(path, rule)
    cash, back = load_folder(path.parent)
    assert path.read_text().startswith(before)
    assert cash.words == ("ca\tsh", "\x7fé😀") and cash.digest == added.digest
    assert back.conditions[0].between == (0.5, 1e-9 + 1) and back.join == "any"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("pattern", "written"),
    [(r"\d+", r"'\d+'"), ("it's \\d", '"it\'s \\\\d"'), ("\\\n", r'"\\\n"')],
)
def test_a_pattern_is_written_in_single_quotes_where_it_can_be(pattern, written):
    text = toml.to_toml({"pattern": pattern})
    assert text == f"[[lf]]\npattern = {written}\n"
    assert tomllib.loads(text)["lf"] == [{"pattern": pattern}]


def test_a_replaced_table_changes_nothing_else_in_its_file(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text(
        "# ours\n\n[[lf]]  # the first\nname = 'old'\n# why: it works\nkind = 'threshold'\n"
        "column = 'n'\nabove = 1\nvote = 'ham'\n\n# about money\n\n" + toml.to_toml(PRIZE)
    )
    new = {"name": "old", "kind": "threshold", "column": "n", "above": 2, "vote": "ham"}
    assert toml.replace(path, new).above == 2
    assert path.read_text() == (
        '# ours\n\n[[lf]]\n# why: it works\nname = "old"\nkind = "threshold"\ncolumn = "n"\n'
        'above = 2\nvote = "ham"\n\n# about money\n\n' + toml.to_toml(PRIZE)
    )
    toml.replace(path, {**PRIZE, "vote": "ham"})
    assert [t["vote"] for t in toml.read_tables(path)] == ["ham", "ham"]
    before = path.read_text()
    with pytest.raises(LabelingError, match=r"no .* table called 'new'"):
        toml.replace(path, {**PRIZE, "name": "new"})
    tricky = before + "[[lf]]\nname = 'odd'\nkind = '''\n[[lf]]\n'''\n"
    path.write_text(tricky)  # a text that looks like a header
    with pytest.raises(LabelingError, match="edit the file by hand"):
        toml.replace(path, PRIZE)
    assert path.read_text() == tricky


@pytest.mark.parametrize(
    ("text", "table", "message"),
    [
        ("", {**PRIZE, "wrods": ["x"]}, "did you mean 'words'"),
        ('[[lf]]\nname = "cash"\n', PRIZE, "has an LF called 'cash' already"),
        ("[[lf]]\nname = ", PRIZE, "not valid TOML"),
        ("lf = []\n", PRIZE, "cannot|not valid"),
        ("", {**PRIZE, "vote": None}, "vote must be|TOML cannot hold None"),
    ],
)
def test_nothing_is_written_when_something_is_wrong(tmp_path, text, table, message):
    path = tmp_path / "a.toml"
    path.write_text(text)
    with pytest.raises(LabelingError, match=message):
        toml.append(path, table)
    assert path.read_text() == text and len(list(tmp_path.iterdir())) == 1


def test_two_writers_lose_nothing(tmp_path):
    path = tmp_path / "a.toml"

    def add(writer: int) -> None:
        for i in range(10):
            toml.append(path, {**PRIZE, "name": f"lf_{writer}_{i}"})

    threads = [threading.Thread(target=add, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(load_folder(tmp_path)) == 40
