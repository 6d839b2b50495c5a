"""Digests change exactly when the votes may change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from labeling_functions import load_folder

FILES = {
    "one": """
        from ._shared import WIDE, helper
        TALL = 1.6
        @labeling_function()
        def tall(item):
            '''Tall.'''
            return "trouser" if item.aspect > TALL else None
        @labeling_function()
        def wide(item):
            return "bag" if helper(item) > WIDE else None
        @labeling_function()
        def plain(item):
            values = [v for v in (item.a, item.b) if v]
            return "bag" if len(values) == 2 else None
        """,
    "two": """
        from . import _shared
        @labeling_function(columns=["gap"], vote="trouser")
        def gap(gap):
            return gap > _shared.WIDE
        like = prototype("bag", ["1", "2"])
        """,
    "_shared": """
        WIDE = 0.5
        UNIT = 10
        def helper(item):
            return item.width * UNIT
        """,
}


def digests(write: Callable[..., Path], **files: str) -> dict[str, str]:
    return {lf.name: lf.digest for lf in load_folder(write(**{**FILES, **files}))}


@pytest.mark.parametrize(
    ("file", "old", "new", "changed"),
    [
        ("one", "TALL = 1.6", "TALL = 1.7", {"tall"}),
        ("one", "item.aspect > TALL", "item.aspect >= TALL", {"tall"}),
        ("one", "== 2", "== 1", {"plain"}),
        ("_shared", "WIDE = 0.5", "WIDE = 0.6", {"wide", "gap"}),
        ("_shared", "UNIT = 10", "UNIT = 11", {"wide", "gap"}),
        ("two", 'vote="trouser"', 'vote="bag"', {"gap"}),
        ("two", '["1", "2"]', '["1", "3"]', {"like"}),
        ("two", '["1", "2"]', '["2", "1"]', set()),
        ("one", "TALL = 1.6", "# a comment\n        TALL   =  1.6  # tall", set()),
        ("one", "TALL = 1.6", "UNUSED = 3\n        TALL = 1.6", set()),
        ("one", "TALL = 1.6", "TALL = 1.6\n        print()", {"tall", "wide", "plain"}),
        ("one", "TALL = 1.6", "TALL = 1.6\n        TALL += 0", {"tall", "wide", "plain"}),
        ("one", '"bag" if len', '(  "bag"\n              if len', None),
    ],
)
def test_an_edit_changes_the_digests_of_those_that_read_it(lfs_folder, file, old, new, changed):
    before = digests(lfs_folder)
    assert old in FILES[file]
    text = FILES[file].replace(old, new)
    if changed is None:  # reformatted over lines
        text, changed = text.replace("== 2 else None", "== 2 else None)"), set()
    after = digests(lfs_folder, **{file: text})
    assert {name for name in before if before[name] != after[name]} == changed


def test_order_of_definitions_and_other_files_do_not_count(lfs_folder):
    before = digests(lfs_folder)
    head, *functions = FILES["one"].split("@labeling_function()")
    text = "@labeling_function()".join(
        [head, *(f.rstrip(" ") + "        " for f in functions[::-1])]
    )
    after = digests(lfs_folder, one=text, three="x = prototype('bag', ['9'])\n")
    assert {name: after[name] for name in before} == before


READS_X = "@labeling_function()\ndef lf(item): return X\n"
OPAQUE = {
    "globals": "for w in ['a']:\n"
    "    globals()['lf_' + w] = labeling_function(name=w)(lambda item: 1)\n",
    "global": "X = 1\ndef up():\n    global X\n    X = 2\n" + READS_X,
    "appended": "X = []\ndef up():\n    X.append(1)\n" + READS_X,
    "item set": "X = {}\ndef up():\n    X['a']['b'] = 1\n" + READS_X,
    "assigned": "X = []\n_ = X.append(1)\n" + READS_X,
    "star": "from ._other import *\n" + READS_X,
    "nested": "@labeling_function()\ndef lf(item):\n    from ._other import X\n    return X\n",
    "unknown": "@labeling_function()\ndef lf(item): return no_such_name\n",
    "opaque sibling": "from ._opaque import X\n" + READS_X,
}


@pytest.mark.parametrize("text", OPAQUE.values(), ids=OPAQUE)
def test_what_cannot_be_followed_covers_the_whole_folder(lfs_folder, text):
    lfs_folder(_opaque="X = 1\ndef up():\n    global X\n    X = 2\n")
    (before,) = load_folder(lfs_folder(f=text, _other="X = 1\n"))
    (after,) = load_folder(lfs_folder(f=text, _other="X = 2\n"))
    assert before.digest != after.digest
    (comment,) = load_folder(lfs_folder(f=text, _other="X = 2  # more\n"))
    assert comment.digest == after.digest


def test_every_way_to_bind_a_local_name_is_understood(lfs_folder):
    text = """
        import re as regex
        if True:
            LIMIT = 1
        class Words(list):
            def first(self, *rest, **more): return self[0]
        @labeling_function()
        def lf(item):
            import json
            try:
                a, *b = json.loads(item.note)
                with open(__file__) as stream: pass
                match {"x": a, **item.more}:
                    case {"x": [c, *d], **e}: pass
                    case str() as f: pass
            except ValueError as error:
                return Words(str(error)).first()
            def inner(g): return (h := g)
            return [i for i in (lambda j: j)(b)] and inner(regex.escape(a)), c, d, e, f, LIMIT
        """
    (before,) = load_folder(lfs_folder(f=text, other="X = 1\n"))
    (after,) = load_folder(lfs_folder(f=text, other="X = 2\n"))
    assert before.digest == after.digest
    for edit in [("LIMIT = 1", "LIMIT = 2"), ("self[0]", "self[1]")]:
        (edited,) = load_folder(lfs_folder(f=text.replace(*edit), other="X = 1\n"))
        assert edited.digest != before.digest


def test_a_factory_is_followed_to_its_arguments(lfs_folder):
    text = """
        def says(word):
            @labeling_function(name=f"says {word}")
            def lf(item):
                return "bag" if word in item.note else None
            return lf
        a = says("strap")
        b = says("handle")
        """
    before = {lf.name: lf.digest for lf in load_folder(lfs_folder(f=text))}
    after = load_folder(lfs_folder(f=text.replace('"handle"', '"grip"')))
    assert before["says strap"] == after[0].digest
    assert after[1].name == "says grip" and after[1].digest not in before.values()


@pytest.mark.parametrize("how", ["constant", "resource"])
def test_the_bytes_of_a_file_that_an_lf_names_count(lfs_folder, how):
    text = {
        "constant": """
            from pathlib import Path
            WORDS = Path(__file__).with_name("words.txt").read_text().split()
            @labeling_function()
            def named(item): return WORDS[0]
            @labeling_function()
            def other(item): return None
            """,
        "resource": """
            from pathlib import Path
            @labeling_function(resources={"words": Path("words.txt")})
            def named(item, words): return words.read_text()
            @labeling_function()
            def other(item): return None
            """,
    }[how]
    folder = lfs_folder()
    (folder / "words.txt").write_text("a")
    before = load_folder(lfs_folder(f=text))
    assert before[0](None) == "a"
    (folder / "words.txt").write_text("b")
    after = load_folder(lfs_folder(f=text))
    assert before[0].digest != after[0].digest
    assert before[1].digest == after[1].digest
