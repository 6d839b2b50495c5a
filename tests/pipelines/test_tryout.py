"""One template is tried and saved before any run: the answers that the app's editor shows."""

import io
import json

import pytest

from labeling_functions import load_folder
from labeling_functions.templates import toml
from labeling_functions.templates.base import OptionError
from pipelines.tryout import columns, save_table, serve, try_table
from tests.pipelines.letters import build
from weaklight.errors import LabelingError
from weaklight.intervals import wilson

FREE = {"name": "offers", "kind": "keywords", "column": "text", "words": ["free"], "vote": "spam"}


@pytest.fixture
def project(tmp_path):
    return build(tmp_path)


def test_what_it_does_is_counted_by_hand(project):
    tried = try_table(project, FREE)
    low, high = wilson(9, 12)
    assert tried["right"] == {"value": 0.75, "low": low, "high": high, "n": 12}
    assert (tried["coverage"]["value"], tried["coverage"]["n"]) == (15 / 60, 60)
    assert tried["conflicts"]["value"] == 5 / 60  # "so free" is short
    assert tried["new"]["value"] == 10 / 60
    assert tried["against"] == [
        {"name": "short", "n": 8, "items": ["m009", "m010", "m011", "m040", "m041"]}
    ]
    assert [m["item_id"] for m in tried["mistakes"]] == ["m009", "m010", "m011"]
    assert tried["mistakes"][0] == {
        "item_id": "m009", "said": "spam", "gold": "ham", "read": {"text": "so free"},
    }  # fmt: skip
    assert tried["sentence"] == 'Votes spam where text holds "free".'


def test_a_broken_file_is_named_and_hides_no_answer(project):
    whole = try_table(project, FREE)
    (project.root / "lfs" / "bad.toml").write_text("[[lf]\n")
    tried = try_table(project, FREE)
    (added,) = (f for f in tried["findings"] if f not in whole["findings"])
    assert added.startswith("not beside what cannot be loaded: ") and "bad.toml, line 1" in added
    assert {**tried, "findings": whole["findings"]} == whole
    assert save_table(project, "fine.toml", FREE).exists()


def test_columns_say_what_a_form_may_offer(project):
    found = {column["name"]: column for column in columns(project)}
    assert found["text"]["holds"] == "text" and "so free" in found["text"]["values"]
    assert found["n"]["range"] == [0, 49.5, 99] and found["n"]["values"] == []
    assert "item_id" not in found and "gold" not in found


def test_saved_is_what_was_tried_and_nothing_is_overwritten(project):
    file = project.root / "lfs" / "words.toml"
    file.write_text("# ours\n" + toml.to_toml({**FREE, "name": "old", "words": ["cash"]}))
    before = file.read_text()
    assert save_table(project, "words.toml", FREE) == file
    assert file.read_text().startswith(before)
    lfs = {lf.name: lf for lf in load_folder(project.root / "lfs")}
    assert list(lfs) == ["short", "old", "offers"]
    assert lfs["offers"].digest == toml.from_dict(FREE).digest

    now = file.read_text()
    for name, other in (("offers", "new.toml"), ("short", "words.toml")):
        with pytest.raises(OptionError, match="already; choose another name") as taken:
            save_table(project, other, {**FREE, "name": name})
        assert taken.value.option == "name"
    with pytest.raises(OptionError, match="letters, digits and _"):
        save_table(project, "words.toml", {**FREE, "name": "to much"})
    for bad in ("../words.toml", "_hidden.toml", "words.py", ""):
        with pytest.raises(OptionError, match="must have a name such as"):
            save_table(project, bad, {**FREE, "name": "fresh"})
    with pytest.raises(LabelingError, match="did you mean 'words'"):
        save_table(project, "words.toml", {**FREE, "name": "fresh", "wrods": ["x"]})
    assert file.read_text() == now and not (project.root / "lfs" / "new.toml").exists()


def test_a_rule_is_changed_in_its_place_and_not_judged_against_itself(project):
    save_table(project, "words.toml", FREE)
    wider = {**FREE, "words": ["free", "charge"]}
    assert any(
        "all but the same" in f for f in try_table(project, {**wider, "name": "x"})["findings"]
    )
    assert try_table(project, {**wider, "name": "x"}, "offers")["findings"] == []
    save_table(project, "words.toml", wider, replaces=True)
    (again,) = toml.read_tables(project.root / "lfs" / "words.toml")
    assert again == wider


def test_requests_are_lines_and_so_are_replies_whatever_functions_print(project):
    wrong = {**FREE, "words": []}
    asked = [{"do": "try", "table": FREE}, {"do": "try", "table": wrong}, {"do": "dance"}]
    replies = io.StringIO()
    serve(project, io.StringIO("".join(json.dumps(a) + "\n" for a in asked)), replies)
    good, bad, unknown = map(json.loads, replies.getvalue().splitlines())
    assert good["answer"]["right"]["n"] == 12
    assert bad["option"] == "words" and "at least one word" in bad["error"]
    assert "'dance'" in unknown["error"]
