"""Every importer makes a project whose settings, items and votes the line reads as they came."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from labeling_functions import apply_lfs, load_folder
from pipelines.exchange import (
    Columns,
    Imported,
    draw_splits,
    export_labels,
    read_crowd,
    read_hugging_face,
    read_image_folder,
    read_items,
    read_label_studio,
    read_snorkel,
    read_wrench,
    weak_labels,
    write_project,
)
from pipelines.project import Project
from pipelines.queries import RunView
from pipelines.stages.base import Work
from pipelines.stages.ingest import IngestInputs, ingest
from tests.pipelines.exchange.stored import CLASSES, KEPT, LABELS, ids, png
from weaklight.errors import ConfigError, DataError

SHARED = Path(__file__).parents[4] / "shared" / "data"


def read_back(imported: Imported, root: Path) -> tuple[pd.DataFrame, np.ndarray, Path]:
    """Write the project, ingest it and let its LFs vote: items with gold, votes, outputs."""
    write_project(imported, root / "project", title="Imported by a test.")
    project = Project.open(root / "project")
    out = project.state / "artifacts" / "ingest" / "d"
    out.mkdir(parents=True)
    work = Work(
        out=out, scratch=root, cache=root / "cache", project_root=project.root, seed=0,
        classes=project.config.classes, class_sets=(), progress=lambda *_: None,
    )  # fmt: skip
    ingest(IngestInputs(), project.config.items, work)
    items = pd.read_parquet(out / "items.parquet")
    gold = [pd.read_parquet(out / f"gold_{name}.parquet") for name in ("dev", "test")]
    known = pd.concat(gold).set_index("item_id")["gold"]
    items["gold"] = items["item_id"].map(known).fillna(-1).astype(int)
    lfs = load_folder(project.root / "lfs")
    votes = apply_lfs(lfs, items.drop(columns="gold"), classes=project.config.classes).votes
    return items, votes, out


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value))


def wrench_folder(root: Path) -> Path:
    def row(text: str, label: int, votes: list[int]) -> dict[str, Any]:
        return {"label": label, "weak_labels": votes, "data": {"text": text}}

    write_json(root / "label.json", {"0": "ham", "1": "spam"})
    train = {"0": row("win", 1, [1, -1]), "1": row("hi", 0, [-1, 0]), "2": row("x", 1, [-1, -1])}
    write_json(root / "train.json", train)
    write_json(root / "valid.json", {"0": row("buy", 1, [0, 1])})
    write_json(root / "test.json", {"0": row("yo", 0, [-1, 1])})
    write_json(root / "labeled_ids.json", {"labeled_ids": ["2"], "lf_exemplar_ids": []})
    return root


def test_a_wrench_folder_keeps_votes_and_gold_of_dev_and_test_alone(tmp_path: Path) -> None:
    imported = read_wrench(wrench_folder(tmp_path))
    items, votes, out = read_back(imported, tmp_path)
    assert items["item_id"].tolist() == ["train-0", "train-1", "train-2", "valid-0", "test-0"]
    assert items["split"].tolist() == [*["unlabeled"] * 3, "dev", "test"]
    assert items["gold"].tolist() == [-1, -1, -1, 1, 0]
    assert votes.tolist() == [[1, -1], [-1, 0], [-1, -1], [0, 1], [-1, 1]]
    assert items["was_labeled"].tolist() == [False, False, True, False, False]
    # no column of the project holds the hand labels of train
    table = pd.read_parquet(out.parents[3] / "items.parquet")
    train = table[table["split"] == "unlabeled"]
    assert train["gold"].isna().all()
    assert any("labeled_ids.json lists 1 training row " in note for note in imported.notes)


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("label.json", None, "expected label.json"),
        ("train.json", "[", "not valid JSON"),
        ("label.json", {"1": "a", "2": "b"}, "number the classes from 0"),
        ("test.json", {"0": {"label": 0, "weak_labels": [0], "data": {"text": ""}}}, "as many"),
        ("test.json", {"0": {"label": 0, "weak_labels": [0, 7], "data": {"text": ""}}}, "-1 and 1"),
        ("test.json", {"0": {"label": 0, "weak_labels": [0, 1], "data": {"feature": []}}}, "text"),
    ],
)
def test_a_damaged_wrench_folder_is_refused(
    file: str, content: Any, words: str, tmp_path: Path
) -> None:
    folder = wrench_folder(tmp_path)
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(DataError, match=words):
        read_wrench(folder)


@pytest.mark.parametrize("name", ["youtube", "sms"])
def test_a_real_wrench_folder_gives_the_votes_of_its_files(name: str, tmp_path: Path) -> None:
    folder = SHARED / f"wrench_{name}"
    if not folder.is_dir():
        pytest.skip("WRENCH data are not part of the project")
    items, votes, _ = read_back(read_wrench(folder), tmp_path)
    rows = {
        f"{split}-{key}": row["weak_labels"]
        for split in ("train", "valid", "test")
        for key, row in json.loads((folder / f"{split}.json").read_text()).items()
    }
    assert votes.tolist() == [rows[i] for i in items["item_id"]]


def test_a_snorkel_matrix_goes_with_its_items(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text(
        "id,body,gold,split\n007,NA,,\n008,b,1,dev\n009,null,0,test\n"
    )
    np.save(tmp_path / "L.npy", np.array([[0, -1], [1, 1], [-1, 0]]))
    columns = Columns(item_id="id", text="body")
    imported = read_snorkel(
        tmp_path / "L.npy", tmp_path / "items.csv",
        classes=("ham", "spam"), names=("short", "link"), columns=columns,
    )  # fmt: skip
    items, votes, _ = read_back(imported, tmp_path)
    assert items["item_id"].tolist() == ["007", "008", "009"]
    assert items["text"].tolist() == ["NA", "b", "null"]
    assert items["gold"].tolist() == [-1, 1, 0]  # class ids became names and ids again
    assert votes.tolist() == [[0, -1], [1, 1], [-1, 0]]
    assert [lf.name for lf in load_folder(tmp_path / "project" / "lfs")] == ["short", "link"]
    np.save(tmp_path / "L.npy", np.array([[0, -1], [1, 1]]))
    with pytest.raises(DataError, match="one row an item"):
        read_snorkel(
            tmp_path / "L.npy", tmp_path / "items.csv", classes=("ham", "spam"), columns=columns
        )


def crowd(tmp_path: Path, answers: str) -> Imported:
    (tmp_path / "answers.csv").write_text(answers)
    (tmp_path / "items.jsonl").write_text(
        '{"item_id": "a", "text": "x"}\n{"item_id": "b", "text": "y"}\n'
    )
    return read_crowd(tmp_path / "answers.csv", tmp_path / "items.jsonl", item="task")


def test_each_worker_of_a_crowd_becomes_a_voter(tmp_path: Path) -> None:
    given = "task,worker,label\na,w1,yes\na,w2,no\nb,w2,yes\nb,w2,yes\n"
    items, votes, _ = read_back(crowd(tmp_path, given), tmp_path)
    assert items["item_id"].tolist() == ["a", "b"]
    assert votes.tolist() == [[1, 0], [-1, 1]]  # classes sorted: no, yes; columns w1, w2
    with pytest.raises(DataError, match="1 answer contradicts an earlier one"):
        crowd(tmp_path, "task,worker,label\na,w1,yes\na,w1,no\n")
    with pytest.raises(DataError, match=r"1 item is in answers.csv but not in items"):
        crowd(tmp_path, "task,worker,label\nz,w1,yes\n")
    with pytest.raises(DataError, match=r"\['worker'\]"):
        crowd(tmp_path, "task,label\na,yes\n")


def test_answers_that_lack_a_cell_are_left_out_and_ids_stay_whole_numbers(tmp_path: Path) -> None:
    (tmp_path / "answers.csv").write_text("item,worker,label\n1,7,yes\n2,,no\n,8,no\n2,8,no\n")
    (tmp_path / "items.csv").write_text("item_id,text\n1,x\n2,y\n")
    imported = read_crowd(tmp_path / "answers.csv", tmp_path / "items.csv")
    assert imported.voters == ("vote_7", "vote_8")
    assert any(note.startswith("left out 2 answers that lack") for note in imported.notes)
    items, votes, _ = read_back(imported, tmp_path)
    assert items["item_id"].tolist() == ["1", "2"] and votes.tolist() == [[1, -1], [-1, 0]]


def test_a_table_names_its_columns_and_refuses_what_it_cannot_use(tmp_path: Path) -> None:
    file = tmp_path / "t.jsonl"
    rows = [
        {"text": "2020-01-01\u2028", "label": "b", "vote_x": "a", "y": 1},
        {"text": "12", "label": None, "vote_x": None, "y": None},
    ]
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    imported = read_items(file, Columns(gold="label", votes=("y",)), classes=("a", "b"))
    items, votes, _ = read_back(imported, tmp_path)
    assert items["text"].tolist() == ["2020-01-01\u2028", "12"]  # no date, no number, one line
    assert items["split"].tolist() == ["dev", "unlabeled"] and items["gold"].tolist() == [1, -1]
    assert votes.tolist() == [[0, 1], [-1, -1]]
    with pytest.raises(DataError, match="body"):
        read_items(file, Columns(text="body"))
    with pytest.raises(DataError, match="at least two classes"):
        write_project(read_items(file), tmp_path / "q", title="")
    with pytest.raises(DataError, match="gold must name one of the classes"):
        wrong = read_items(file, Columns(gold="label"), classes=("p", "q"))
        write_project(wrong, tmp_path / "q", title="")
    later = replace(imported, table=imported.table[["item_id", "text"]], classes=())  # no gold yet
    with pytest.raises(ConfigError, match=r"is a project already.* append rows .*More items"):
        write_project(later, tmp_path / "project", title="")
    assert not (tmp_path / "q").exists()


def test_the_column_that_was_named_holds_the_items_and_a_text_beside_it_is_metadata(
    tmp_path: Path,
) -> None:
    (tmp_path / "one.png").write_bytes(png(0))
    (tmp_path / "t.csv").write_text("photo,text\none.png,a caption\n")
    imported = read_items(tmp_path / "t.csv", Columns(image="photo"), classes=("a", "b"))
    items, _, out = read_back(imported, tmp_path)
    assert items["path"].tolist() == ["../one.png"] and items["text"].tolist() == ["a caption"]
    assert json.loads((out / "ingest.json").read_text())["kind"] == "image"


def test_drawn_splits_are_random_repeatable_and_leave_the_others_without_gold() -> None:
    table = pd.DataFrame({"item_id": map(str, range(40)), "text": "t", "gold": ["a", "b"] * 20})
    drawn = draw_splits(Imported(table, ("a", "b")), n_dev=5, n_test=3, seed=1)
    again = draw_splits(Imported(table, ("a", "b")), n_dev=5, n_test=3, seed=1)
    other = draw_splits(Imported(table, ("a", "b")), n_dev=5, n_test=3, seed=2)
    assert drawn.table["split"].value_counts().to_dict() == {"unlabeled": 32, "dev": 5, "test": 3}
    assert drawn.table["split"].tolist() == again.table["split"].tolist()
    assert drawn.table["split"].tolist() != other.table["split"].tolist()
    with pytest.raises(DataError, match="need 41 items with gold"):
        draw_splits(Imported(table, ("a", "b")), n_dev=41, n_test=0, seed=1)


def test_an_image_folder_stays_where_it_is(tmp_path: Path) -> None:
    for i, path in enumerate(("train/cat/1", "train/dog/2", "val/dog/3", "test/cat/4")):
        file = tmp_path / "pictures" / f"{path}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png(40 * i))
    imported = read_image_folder(tmp_path / "pictures", keep_labels=True)
    items, votes, _ = read_back(imported, tmp_path)
    assert items["split"].tolist() == ["test", "unlabeled", "unlabeled", "dev"]
    assert items["gold"].tolist() == [0, -1, -1, 1]
    assert items["noisy_label"].fillna("").tolist() == ["", "cat", "dog", ""]
    assert items["path"].tolist()[0] == "../pictures/test/cat/4.png"
    assert not items["item_id"].str.contains("cat|dog|train|val|test").any()
    assert votes.shape == (4, 0)
    flat = read_image_folder(tmp_path / "pictures" / "train", n_dev=1, n_test=0)
    assert flat.classes == ("cat", "dog") and flat.table["split"].tolist().count("dev") == 1
    with pytest.raises(DataError, match="expected images in"):
        read_image_folder(tmp_path / "pictures" / "train" / "cat")


def test_an_image_folder_may_be_laid_out_like_a_source_of_items(tmp_path: Path) -> None:
    paths = ("unlabeled/1", "labeled/cat/2", "dev/dog/3", "calibration/cat/4", "test/dog/5")
    for i, path in enumerate(paths):
        file = tmp_path / "pictures" / f"{path}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png(40 * i))
    imported = read_image_folder(tmp_path / "pictures")
    assert imported.classes == ("cat", "dog")
    assert imported.table.set_index("image")["split"].to_dict() == {
        f"{path}.png": path.split("/")[0] for path in paths
    }
    items, _, _ = read_back(imported, tmp_path)
    assert sorted(items["gold"]) == [-1, -1, -1, 1, 1]  # labeled and calibration are kept apart
    (tmp_path / "pictures" / "dev" / "6.png").write_bytes(png(250))
    with pytest.raises(DataError, match=r"of 6 images these lie elsewhere: dev/6\.png;"):
        read_image_folder(tmp_path / "pictures")


@pytest.mark.parametrize("kind", ["text", "image"])
def test_a_hugging_face_data_set_brings_its_splits_and_classes(kind: str, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")

    def part(levels: list[int], labels: list[int]) -> Any:
        values = [{"bytes": png(v), "path": None} if kind == "image" else str(v) for v in levels]
        column = datasets.Image() if kind == "image" else datasets.Value("string")
        classes = datasets.ClassLabel(names=["z", "a"])
        return datasets.Dataset.from_dict(
            {kind: values, "label": labels},
            features=datasets.Features({kind: column, "label": classes}),
        )

    parts = {"train": part([0, 50], [0, 1]), "validation": part([100], [1]), "test": part([9], [0])}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "hf")
    items, _, _ = read_back(read_hugging_face(tmp_path / "hf"), tmp_path)
    assert items["item_id"].tolist() == ["train-0", "train-1", "validation-0", "test-0"]
    assert items["gold"].tolist() == [-1, -1, 1, 0]  # z is class 0, as the data set says
    assert items["noisy_label"].isna().all()
    with pytest.raises(DataError, match="save_to_disk"):
        read_hugging_face(tmp_path)


def test_dev_and_test_are_drawn_from_train_where_the_data_set_has_none(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = {"text": [f"t{i}" for i in range(20)], "label": ["a", "b"] * 10}
    datasets.DatasetDict({"train": datasets.Dataset.from_dict(rows)}).save_to_disk(tmp_path / "hf")
    drawn = read_hugging_face(tmp_path / "hf", n_dev=5, n_test=6, keep_labels=True)
    assert drawn.table["split"].value_counts().to_dict() == {"unlabeled": 9, "test": 6, "dev": 5}
    is_train = drawn.table["split"] == "unlabeled"
    assert (drawn.table["noisy_label"].notna() == is_train).all()  # no second copy of gold
    items, _, _ = read_back(drawn, tmp_path)
    assert (items["gold"].to_numpy() >= 0).tolist() == (~is_train).tolist()
    with pytest.raises(DataError, match="--dev 15 and --test 6 need 21 items with gold"):
        read_hugging_face(tmp_path / "hf", n_dev=15, n_test=6)


def test_weak_labels_that_left_never_come_back_as_gold(texts: RunView, tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    labels = weak_labels(texts, splits=("unlabeled", "test"))
    export_labels(labels, "hf", tmp_path / "hf")
    imported = read_hugging_face(tmp_path / "hf")
    assert "gold" not in imported.table
    assert imported.table["noisy_label"].tolist()[: len(KEPT)] == [CLASSES[LABELS[i]] for i in KEPT]
    assert imported.table["split"].tolist()[-1] == "test"


def task(item: str, *answers: list[str], cancelled: bool = False) -> dict[str, Any]:
    return {
        "id": 7,
        "data": {"text": f"text {item}", "item_id": item},
        "annotations": [
            {
                "was_cancelled": cancelled,
                "result": [
                    {
                        "from_name": "label",
                        "to_name": "item",
                        "type": "choices",
                        "value": {"choices": choices},
                    }
                ],
            }
            for choices in answers
        ],
    }


def test_label_studio_annotations_become_dev_gold_or_noisy_labels(tmp_path: Path) -> None:
    tasks = [
        task("sure", ["a"], ["a"], ["b"]),
        task("torn", ["a"], ["b"]),
        task("skipped", ["b"], cancelled=True),
        task("several", ["a", "b"]),
        task("other", ["b"]),
        task("none"),
    ]
    write_json(tmp_path / "export.json", tasks)
    imported = read_label_studio(tmp_path / "export.json")
    items, _, _ = read_back(imported, tmp_path)
    assert dict(zip(items["item_id"], items["gold"], strict=True)) == {
        "sure": 0, "torn": -1, "skipped": -1, "several": -1, "other": 1, "none": -1,
    }  # fmt: skip
    assert items["split"].tolist() == ["dev", *["unlabeled"] * 3, "dev", "unlabeled"]
    assert [n for n in imported.notes if "1 task has no majority" in n]
    assert [n for n in imported.notes if "1 annotation holds no choice" in n]
    noisy = read_label_studio(tmp_path / "export.json", is_gold=False).table
    assert set(noisy["split"]) == {"unlabeled"} and noisy["noisy_label"].notna().sum() == 2
    write_json(tmp_path / "min.json", [{"text": "x", "label": "a"}])
    with pytest.raises(DataError, match="not as JSON-MIN"):
        read_label_studio(tmp_path / "min.json")


def test_reviewed_label_studio_tasks_come_home_under_their_ids(
    texts: RunView, tmp_path: Path
) -> None:
    export_labels(weak_labels(texts), "labelstudio", tmp_path / "out")
    tasks = json.loads((tmp_path / "out" / "tasks.json").read_text())
    for given in tasks:  # a person accepts every prediction
        given["annotations"] = [{"result": given["predictions"][0]["result"]}]
    write_json(tmp_path / "done.json", tasks)
    table = read_label_studio(tmp_path / "done.json").table
    assert table["item_id"].tolist() == [ids()[i] for i in KEPT]
    assert table["gold"].tolist() == [CLASSES[LABELS[i]] for i in KEPT]


def test_the_settings_offer_parts_where_items_are_bags_themselves(tmp_path: Path) -> None:
    table = pd.DataFrame({"text": ["a\n\nb", "c"], "bag_label": [1, 0]})
    for name, given in (("whole", table), ("shared", table.assign(bag_id=["x", "y"]))):
        given.to_csv(tmp_path / f"{name}.csv", index=False)
        imported = read_items(tmp_path / f"{name}.csv", classes=("ham", "spam"))
        write_project(imported, tmp_path / name, title="")
    settings = (tmp_path / "whole" / "weaklight.toml").read_text()
    (tmp_path / "whole" / "weaklight.toml").write_text(
        settings.replace("# [bags]", "[bags]")
        .replace("# positive", "positive")
        .replace("# instances", "instances")
    )
    assert Project.open(tmp_path / "whole").config.bags.instances == "paragraphs"
    assert "instances" not in (tmp_path / "shared" / "weaklight.toml").read_text()
