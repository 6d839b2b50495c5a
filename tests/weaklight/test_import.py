"""``weaklight import`` as a person meets it: what it says it made, and what comes next."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from pipelines.config import load_config
from pipelines.readers import find_source, read_rows, read_source
from weaklight.cli import app
from weaklight.errors import DataError


def invoke(*wish: str) -> str:
    done = CliRunner().invoke(app, ["import", *wish], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def table(tmp_path: Path) -> Path:
    rows = [{"item_id": f"i{i}", "body": f"text {i}", "hand": "ab"[i % 2]} for i in range(10)]
    pd.DataFrame(rows).to_csv(tmp_path / "mine.csv", index=False)
    return tmp_path / "mine.csv"


def test_a_csv_becomes_a_project_with_drawn_splits_and_a_place_for_rules(tmp_path: Path) -> None:
    file = table(tmp_path)
    wish = ("csv", str(file), "--text", "body", "--gold", "hand")
    said = invoke(*wish, "--dev", "3", "--test", "2", "--to", str(tmp_path / "made"))
    assert "5 unlabeled, 3 dev, 2 test items; classes a, b" in said
    assert "no test items" not in said
    assert f"write labelling functions in {tmp_path / 'made' / 'lfs'}" in said
    items = load_config(tmp_path / "made" / "weaklight.toml").items
    assert items.text == "body"  # as in the table, which `predict` then reads as it is
    assert read_rows(file, items)[2] == [f"text {i}" for i in range(10)]
    with pytest.raises(DataError, match=r"rename the column that holds the items to 'body'"):
        pd.read_csv(file).rename(columns={"body": "mail"}).to_csv(tmp_path / "more.csv")
        read_rows(tmp_path / "more.csv", items)
    with pytest.raises(DataError, match="--dev 200 --test 200"):
        invoke(*wish, "--to", str(tmp_path / "other"))


@pytest.mark.parametrize(
    ("option", "wrong", "meant"),
    [("--gold", "hnad", "hand"), ("--id", "itemid", "item_id"), ("--text", "bdy", "body")],
)
def test_a_column_that_was_named_must_be_there(
    option: str, wrong: str, meant: str, tmp_path: Path
) -> None:
    words = f"needs a column '{wrong}', as {option} says, .* did you mean '{meant}'"
    wish = {"--text": "body", "--gold": "hand", option: wrong}
    with pytest.raises(DataError, match=words):
        invoke("csv", str(table(tmp_path)), *(w for pair in wish.items() for w in pair))


def test_labels_are_trimmed_and_what_is_odd_is_said(tmp_path: Path) -> None:
    file = tmp_path / "odd.csv"
    file.write_text("item_id,text,gold\na,1,ham \nb,2,Ham\nb,3,spam\n,4,spam\nc,5,\n")
    said = invoke("csv", str(file), "--to", str(tmp_path / "made"))
    assert "1 unlabeled, 2 dev items; classes Ham, ham, spam\n" in said
    assert "no test items" in said and "import again with --test 200" in said
    assert "left out 1 row without an id: row 4" in said
    assert "left out 1 row whose id came before (the first is kept): b" in said
    assert "['Ham', 'ham'] differ only in upper and lower case" in said
    kept = pd.read_parquet(tmp_path / "made" / "items.parquet")
    assert kept["item_id"].tolist() == ["a", "b", "c"]
    assert kept["gold"].fillna("").tolist() == ["ham", "Ham", ""]


def test_a_class_in_another_case_is_that_class_once_it_is_named(tmp_path: Path) -> None:
    file = tmp_path / "odd.csv"
    file.write_text("text,gold\na,ham\nb,Ham\nc,SPAM\nd,\n")
    said = invoke("csv", str(file), "--classes", "ham,spam", "--to", str(tmp_path / "made"))
    assert "1 unlabeled, 3 dev items; classes ham, spam\n" in said and "differ only" not in said
    kept = pd.read_parquet(tmp_path / "made" / "items.parquet")
    assert kept["gold"].fillna("").tolist() == ["ham", "ham", "spam", ""]


def test_a_spreadsheet_user_is_told_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "one_column.csv"  # no comma in the first line: those below are of the texts
    file.write_text("Comment\nred, blue\ngreen\n")
    wish = ("csv", str(file), "--text", "Comment", "--to", str(tmp_path / "made"))
    with pytest.raises(DataError, match="hand labels with --gold, or the classes with --classes"):
        invoke(*wish)
    invoke(*wish, "--classes", "a,b")
    kept = pd.read_parquet(tmp_path / "made" / "items.parquet")
    assert kept["Comment"].tolist() == ["red, blue", "green"]
    with pytest.raises(DataError, match="in Excel: Save As, CSV UTF-8"):
        invoke("csv", str(tmp_path / "mails.xlsx"))
    said = CliRunner().invoke(app, ["import", str(file)])
    assert said.exit_code == 2
    assert "weaklight import csv" in " ".join(said.output.split())


def test_answers_of_a_crowd_become_a_project_that_can_run(tmp_path: Path) -> None:
    file = table(tmp_path)
    answers = "".join(f"i{i},{w},{'ab'[i % 2]}\n" for i in range(10) for w in ("ann", "bo"))
    (tmp_path / "answers.csv").write_text("task,worker,label\n" + answers)
    said = invoke(
        "crowd", str(tmp_path / "answers.csv"), "--items", str(file), "--item", "task",
        "--text", "body", "--to", str(tmp_path / "made"),
    )  # fmt: skip
    assert "20 answers by 2 workers" in said and "next: weaklight run" in said
    listed = CliRunner().invoke(app, ["lf", "list", "--project", str(tmp_path / "made")])
    assert "ann" in listed.output and "bo" in listed.output


def test_a_hugging_face_folder_gives_dev_and_test_on_request(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = {"text": [f"t{i}" for i in range(20)], "label": ["a", "b"] * 10}
    datasets.Dataset.from_dict(rows).save_to_disk(tmp_path / "hf")
    wish = ("--dev", "5", "--test", "6", "--to", str(tmp_path / "made"))
    assert "9 unlabeled, 5 dev, 6 test items" in invoke("hf", str(tmp_path / "hf"), *wish)


def test_label_studio_answers_may_come_as_noisy_labels(tmp_path: Path) -> None:
    def task(i: int) -> dict[str, object]:
        choice = {"type": "choices", "value": {"choices": ["ab"[i % 2]]}}
        return {"id": i, "data": {"text": str(i)}, "annotations": [{"result": [choice]}]}

    (tmp_path / "done.json").write_text(json.dumps([task(i) for i in range(4)]))
    file = str(tmp_path / "done.json")
    assert "4 unlabeled items" in invoke(
        "labelstudio", file, "--noisy", "--to", str(tmp_path / "made")
    )
    with pytest.raises(DataError, match="every item has gold"):
        invoke("labelstudio", file, "--to", str(tmp_path / "other"))


@pytest.mark.parametrize("kind", ["wrench", "hf", "imagefolder", "parquet"])
def test_a_source_that_is_not_there_is_said_so(kind: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected|holds no data set"):
        invoke(kind, str(tmp_path / "nothing.parquet"), "--to", str(tmp_path / "made"))
    assert not (tmp_path / "made").exists()


def test_bags_of_other_names_come_along_and_a_pattern_takes_no_column_of_a_role(
    tmp_path: Path,
) -> None:
    rows = [
        {"b0": i, "b1": -i, "basket": i // 2 if i < 6 else None, "full": float(i < 2)}
        for i in range(8)
    ]
    table = pd.DataFrame(rows).assign(hand=[None] * 6 + ["yes", "no"])
    table.loc[6:, "full"] = None
    table.to_csv(tmp_path / "t.csv", index=False)
    wish = ("csv", str(tmp_path / "t.csv"), "--series", "b*", "--gold", "hand")
    said = invoke(*wish, "--bag-id", "basket", "--bag-label", "full", "--to", str(tmp_path / "p"))
    assert "name the class that a 1 stands for as positive under [bags]" in said
    assert "write labelling functions" not in said
    settings = tmp_path / "p" / "weaklight.toml"
    settings.write_text(settings.read_text().replace("# [bags]\n# ", "[bags]\n"))
    assert load_config(settings).bags.positive == "yes"
    items = load_config(settings).items
    _, read = read_source(find_source(tmp_path / "p", items), items, 0)
    assert [list(payload) for payload in read["payload"]] == [[i, -i] for i in range(8)]
    assert read["bag_id"].tolist()[:6] == ["0", "0", "1", "1", "2", "2"]
    assert read["bag_label"].tolist()[:6] == [1, 1, 0, 0, 0, 0]
