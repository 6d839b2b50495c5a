"""Weak labels leave whole, without gold, and are read back by the tools they are for."""

from __future__ import annotations

import glob
import io
import json
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipelines.exchange import EXPORTERS, export_labels, neutralise, restore, weak_labels
from pipelines.exchange.media import image_suffix
from pipelines.project import Project
from pipelines.queries import RunView
from tests.pipelines.exchange.stored import (
    CLASSES,
    CONFIDENCE,
    KEPT,
    LABELS,
    RUN_ID,
    TEXTS,
    ids,
    out_of_fold,
    png,
    probabilities,
)
from weaklight.errors import ArtifactError, ConfigError, DataError

KEPT_IDS = [ids()[i] for i in KEPT]
KEPT_LABELS = [CLASSES[LABELS[i]] for i in KEPT]
KEPT_TEXTS = [TEXTS[i] for i in KEPT]
LABEL_STUDIO = Path(__file__).parents[3] / ".venv" / "label-studio" / "bin" / "python"
READ_BY_LABEL_STUDIO = """
import json, pathlib, sys
from label_studio_sdk.label_interface import LabelInterface
folder = pathlib.Path(sys.argv[1])
interface = LabelInterface((folder / "label_config.xml").read_text())
tasks = json.loads((folder / "tasks.json").read_text())
for task in tasks:
    assert interface.validate_task({"data": task["data"]}), task
    assert interface.validate_prediction(task["predictions"][0]), task
print(len(tasks), "tasks fit")
"""


def exported(view: RunView, format: str, tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    export_labels(weak_labels(view), format, folder)
    return folder


def test_only_sure_labels_of_unlabelled_items_leave_and_all_others_are_counted(
    texts: RunView,
) -> None:
    labels = weak_labels(texts, min_confidence=0.65)
    assert labels.table["item_id"].tolist() == [ids()[i] for i in (0, 1, 2, 5, 6)]
    assert labels.left_out == {
        "of another split": 3, "excluded": 1, "uncovered": 1, "confidence below 0.65": 2,
    }  # fmt: skip
    assert labels.abstain_rate == pytest.approx(1 / 9)
    every = weak_labels(texts, include_uncovered=True, splits=("unlabeled", "test"))
    assert every.table["label"].isna().sum() == 1
    assert every.table["split"].tolist() == ["unlabeled"] * 8 + ["test"] * 2
    with pytest.raises(DataError, match="no weak label is left"):
        weak_labels(texts, min_confidence=1.0)
    with pytest.raises(ConfigError, match="--split"):
        weak_labels(texts, splits=("train",))


@pytest.mark.parametrize("format", sorted(set(EXPORTERS) - {"hf"}))  # hf stamps a random print
def test_other_gold_gives_the_same_bytes(format: str, tmp_path: Path, texts: RunView) -> None:
    """Whatever dev and test gold says, no exported file changes with it, not even the card."""
    labels = weak_labels(texts, splits=("unlabeled", "dev", "test"))
    export_labels(labels, format, tmp_path / "a")
    source = texts.project.root / "items.parquet"
    pd.read_parquet(source).assign(gold="ham").to_parquet(source)
    for name in ("gold_dev", "gold_test"):
        path = texts.path("ingest", name)
        pd.read_parquet(path).assign(gold=0).to_parquet(path)
    again = RunView(texts.project, texts.record)
    export_labels(weak_labels(again, splits=("unlabeled", "dev", "test")), format, tmp_path / "b")
    one, two = (
        {p.name: p.read_bytes() for p in sorted((tmp_path / f).iterdir())} for f in ("a", "b")
    )
    assert one == two


def test_the_card_says_what_is_in_and_how_it_was_made(texts: RunView, tmp_path: Path) -> None:
    folder = exported(texts, "parquet", tmp_path)
    card = json.loads((folder / "card.json").read_text())
    assert card["per_class"] == {"ham": 3, "spam & <eggs>": 2, "=other": 2}
    assert card["per_source"] == {"human": 1, "votes": 6}
    assert card["per_split"] == {"unlabeled": 7}
    assert card["run_id"] == RUN_ID and card["label_model"] == "majority_vote"
    assert card["settings"]["min_confidence"] == 0.0 and card["left_out"]["uncovered"] == 1
    assert card["licence"].startswith("unknown") and card["artifacts"]["clean"] == "d"
    import hashlib

    whole = hashlib.sha256((folder / "labels.parquet").read_bytes()).hexdigest()
    assert card["files"] == {"labels.parquet": whole}
    page = (folder / "README.md").read_text()
    assert "| ham | 3 |" in page and "11.1%" in page and "not gold" in page


@pytest.mark.parametrize("format", sorted(EXPORTERS))
def test_what_the_card_says_loads_the_export(
    format: str, texts: RunView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in {"hf": ["datasets"], "webdataset": ["webdataset"]}.get(format, []):
        pytest.importorskip(package)
    if format == "argilla":
        pytest.importorskip("argilla")
    monkeypatch.chdir(exported(texts, format, tmp_path))
    names: dict[str, object] = {}
    exec(json.loads(Path("card.json").read_text())["load"], names)
    assert {"labels", "records", "tasks", "doubted"} & set(names)


def test_parquet_and_jsonl_hold_every_cell(texts: RunView, tmp_path: Path) -> None:
    wanted = weak_labels(texts).flat_table
    table = pd.read_parquet(exported(texts, "parquet", tmp_path) / "labels.parquet")
    pd.testing.assert_frame_equal(table, wanted, check_dtype=False)
    export_labels(weak_labels(texts), "jsonl", tmp_path / "lines")
    lines = pd.read_json(tmp_path / "lines" / "labels.jsonl", lines=True, dtype=False)
    pd.testing.assert_frame_equal(lines, wanted, check_dtype=False, atol=1e-6)


def test_a_spreadsheet_runs_no_cell_and_every_cell_comes_back(
    texts: RunView, tmp_path: Path
) -> None:
    file = exported(texts, "csv", tmp_path) / "labels.csv"
    assert file.read_bytes().startswith(b"\xef\xbb\xbf")  # by which Excel tells UTF-8
    table = pd.read_csv(file, dtype={"item_id": str, "text": str}, keep_default_na=False)
    cells = [c for column in table.select_dtypes(exclude="number") for c in table[column]]
    assert not [c for c in cells if isinstance(c, str) and c.startswith(tuple("=+-@\t\r"))]
    assert table["text"].tolist()[:2] == ["'=cmd()", "''quoted"]
    back = restore(table)
    assert back["text"].tolist() == KEPT_TEXTS
    assert back["label"].tolist() == KEPT_LABELS
    assert back["p_=other"].to_numpy() == pytest.approx(probabilities()[KEPT, 2])


def test_tables_keep_the_columns_of_the_source_and_what_it_calls_them(
    texts: RunView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = texts.project.root / "weaklight.toml"
    named = settings.read_text().replace('text = "text"', 'text = "body"\nitem_id = "mail no"')
    settings.write_text(named)
    file = texts.path("ingest", "items")
    assert file is not None
    price = 1 / 3
    pd.read_parquet(file).assign(price=price, label="old", empty=None).to_parquet(file)
    view = RunView(Project.open(texts.project.root), texts.record)
    labels = weak_labels(view)
    assert list(labels.flat_table) == [
        "mail no", "split", "body", "label", "confidence", "covered", "source", "weight",
        "p_ham", "p_spam & <eggs>", "p_=other", "price", "label_in_source",
    ]  # fmt: skip
    thirds = replace(labels, probabilities=np.full((len(KEPT), 3), 1 / 3, np.float32))
    export_labels(thirds, "csv", tmp_path / "out", delimiter=";")
    monkeypatch.chdir(tmp_path / "out")
    names: dict[str, pd.DataFrame] = {}
    exec(json.loads(Path("card.json").read_text())["load"], names)
    back = names["labels"]
    assert back["mail no"].tolist() == KEPT_IDS and back["body"].tolist() == KEPT_TEXTS
    assert back["label_in_source"].tolist() == ["old"] * len(KEPT)
    assert set(back["p_ham"]) == {0.3333} and set(back["price"]) == {price}
    for format, delimiter in (("csv", "|"), ("jsonl", ";")):
        with pytest.raises(ConfigError, match="--delimiter"):
            export_labels(labels, format, tmp_path / "none", delimiter=delimiter)


def test_neutralise_is_undone_whatever_the_cell() -> None:
    table = pd.DataFrame({"=a": ["", "'", "''=x", "+1", "-1", "@x", "x=1", None], "n": range(8)})
    safe = neutralise(table)
    assert list(safe.columns) == ["'=a", "n"] and safe["n"].tolist() == list(range(8))
    pd.testing.assert_frame_equal(restore(safe), table)


def test_datasets_reads_the_labels_as_classes(images: RunView, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    labels = weak_labels(images, include_uncovered=True)
    export_labels(labels, "hf", tmp_path / "out")
    loaded = datasets.load_from_disk(str(tmp_path / "out"))
    assert loaded.features["label"].names == list(CLASSES)
    assert loaded["label"][:] == [*(LABELS[i] for i in KEPT), None]
    assert np.array(loaded["probabilities"][:])[:7] == pytest.approx(probabilities()[KEPT])
    assert np.asarray(loaded[3]["image"]).tolist() == np.full((4, 4), 60).tolist()
    assert loaded["item_id"][:7] == KEPT_IDS


def test_webdataset_streams_the_samples(images: RunView, tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    shards = glob.glob(f"{exported(images, 'webdataset', tmp_path)}/*.tar")
    samples = list(webdataset.WebDataset(shards, shardshuffle=False).decode("pil"))
    assert [s["json"]["item_id"] for s in samples] == KEPT_IDS
    assert [s["json"]["label"] for s in samples] == KEPT_LABELS
    assert [s["json"]["label_id"] for s in samples] == [LABELS[i] for i in KEPT]
    assert np.asarray(samples[2]["png"])[0, 0].max() == 40
    export_labels(weak_labels(images), "webdataset", tmp_path / "again")
    assert (tmp_path / "again" / "labels-000000.tar").read_bytes() == Path(shards[0]).read_bytes()


def test_argilla_takes_the_records_as_suggestions(texts: RunView, tmp_path: Path) -> None:
    argilla = pytest.importorskip("argilla")
    folder = tmp_path / "out"
    export_labels(weak_labels(texts, include_uncovered=True), "argilla", folder)
    given = json.loads((folder / "records.json").read_text())
    records = [argilla.Record.from_dict(record) for record in given]
    assert [r.id for r in records] == [*KEPT_IDS, ids()[7]]
    assert [r.fields["text"] for r in records] == [*KEPT_TEXTS, TEXTS[7]]
    suggestion = records[1].suggestions["label"]
    assert (suggestion.value, suggestion.agent) == (KEPT_LABELS[1], f"weaklight {RUN_ID}")
    assert suggestion.score == pytest.approx(0.8)
    assert list(records[7].suggestions) == [] and records[7].metadata["split"] == "unlabeled"


def test_argilla_gets_images_as_data_uris(images: RunView, tmp_path: Path) -> None:
    given = json.loads((exported(images, "argilla", tmp_path) / "records.json").read_text())
    import base64

    head, _, content = given[1]["fields"]["image"].partition(",")
    assert head == "data:image/png;base64" and base64.b64decode(content) == png(20)


def test_cleanlab_doubts_what_the_out_of_fold_classifier_doubts(
    texts: RunView, tmp_path: Path
) -> None:
    from cleanlab.filter import find_label_issues

    folder = exported(texts, "cleanlab", tmp_path)
    labels, proba = np.load(folder / "labels.npy"), np.load(folder / "pred_probs.npy")
    assert labels.tolist() == [LABELS[i] for i in KEPT]
    assert (proba == out_of_fold()[KEPT]).all()  # never the label model's own posterior
    doubted = np.load(folder / "item_ids.npy")[find_label_issues(labels, proba, n_jobs=1)]
    assert doubted.tolist() == [ids()[0]]
    unclean = replace(weak_labels(texts), out_of_fold=None)
    with pytest.raises(ArtifactError, match="weaklight label"):
        export_labels(unclean, "cleanlab", tmp_path / "none")


def test_label_studio_tasks_fit_their_labelling_interface(texts: RunView, tmp_path: Path) -> None:
    folder = exported(texts, "labelstudio", tmp_path)
    tasks = json.loads((folder / "tasks.json").read_text())
    assert [t["data"]["text"] for t in tasks] == KEPT_TEXTS
    prediction = tasks[1]["predictions"][0]
    assert prediction["model_version"] == RUN_ID
    assert prediction["score"] == pytest.approx(CONFIDENCE[1])
    if not LABEL_STUDIO.exists():
        pytest.skip("label-studio-sdk wants an older NumPy than ours; `make label-studio` has it")
    read_back = [LABEL_STUDIO, "-I", "-c", READ_BY_LABEL_STUDIO, folder]
    done = subprocess.run(read_back, capture_output=True, text=True, timeout=120)
    assert done.stdout == f"{len(tasks)} tasks fit\n", done.stderr


def test_label_studio_finds_the_images(images: RunView, tmp_path: Path) -> None:
    folder = exported(images, "labelstudio", tmp_path)
    tasks = json.loads((folder / "tasks.json").read_text())
    link = tasks[3]["data"]["image"]
    assert (folder / link.removeprefix("/data/local-files/?d=")).read_bytes() == png(60)


def test_an_image_that_changed_since_the_run_does_not_leave(
    images: RunView, tmp_path: Path
) -> None:
    source = images.project.root / "items.parquet"
    table = pd.read_parquet(source)
    table.at[2, "image"] = png(255)
    table.to_parquet(source)
    with pytest.raises(DataError, match="is not the one that run"):
        exported(images, "webdataset", tmp_path)
    assert list(tmp_path.iterdir()) == [images.project.root]  # nothing half-written stays


def test_nothing_is_overwritten(texts: RunView, tmp_path: Path) -> None:
    folder = exported(texts, "csv", tmp_path)
    with pytest.raises(ConfigError, match="exists already"):
        export_labels(weak_labels(texts), "csv", folder)


def test_the_ending_follows_the_content() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (2, 2)).save(buffer, format="JPEG")
    assert (image_suffix(buffer.getvalue()), image_suffix(png(0))) == ("jpg", "png")
