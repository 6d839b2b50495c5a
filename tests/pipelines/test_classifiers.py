"""What ``[train]`` can ask for, and what leaves the project: predictions, programs, a card."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from pipelines.config import parse_config
from pipelines.engine import run_line
from pipelines.exchange.classifier import export_classifier
from pipelines.predict import predict_files
from pipelines.project import Project, RunRecord
from pipelines.sections import TrainConfig
from tests.pipelines.conftest import CLASSES, SETTINGS, shapes
from tests.pipelines.test_kill import contents, driver
from weak_supervision.classifiers import fit_temperature
from weak_supervision.noise import STRATEGIES
from weaklight.cli import app
from weaklight.errors import ArtifactError, ConfigError, DataError

TUNED = """
[train]
head = "finetune"
strategy = "elr"
consistency = true
balance = "classes"
patience = 2
epochs = 5
"""
Trained = tuple[Project, RunRecord]


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Run drawn shapes with labels of which a sixth are wrong down to a fine-tuned classifier."""
    root = tmp_path_factory.mktemp("tuned")
    table = shapes(n_unlabeled=0, n_dev=160, n_test=30)
    row = np.arange(190)
    unlabeled = row < 100
    table["noisy_label"] = table["gold"].where(unlabeled)
    table.loc[unlabeled & (row % 6 == 0), "noisy_label"] = "round"
    table.loc[unlabeled, ["split", "gold"]] = ["unlabeled", None]
    table.loc[(row >= 130) & (row < 160), "split"] = "calibration"
    # So that the temperature leaves room for doubt, some of its gold is wrong.
    table.loc[(table["split"] == "calibration") & (row % 5 == 0), "gold"] = "wide"
    table.drop(columns=["bag_id", "bag_label"]).to_parquet(root / "items.parquet", index=False)
    settings = SETTINGS.split("[bags]")[0].replace("steps = 6", 'steps = 6\nbackbone = "compact"')
    (root / "weaklight.toml").write_text(settings + TUNED)
    project = Project.open(root)
    return project, run_line(project, ("train",))


def stored(trained: Trained, name: str) -> Path:
    project, run = trained
    return project.store.path("train", run.artifacts["train"], name)


def test_fine_tuning_changes_the_encoder_and_gets_the_shapes_right(tuned: Trained) -> None:
    project, run = tuned
    before = project.store.path("pretrain", run.artifacts["pretrain"], "encoder")
    after = stored(tuned, "encoder")
    name = "encoder.safetensors"
    assert (after / name).read_bytes() != (before / name).read_bytes()
    assert json.loads((after / "encoder.json").read_text())["image_size"] == [16, 16]
    table = pd.read_parquet(project.root / "items.parquet")
    test = (table["split"] == "test").to_numpy()
    truth = table["gold"].map({name: k for k, name in enumerate(CLASSES)})[test].to_numpy()
    labels = np.load(stored(tuned, "probabilities")).argmax(axis=1)[test]
    assert (labels == truth).mean() > 0.85


def test_dev_tells_whether_tuning_did_better_than_frozen_features(tuned: Trained) -> None:
    project, run = tuned
    table = pd.read_parquet(project.root / "items.parquet")
    dev = (table["split"] == "dev").to_numpy()
    truth = table.loc[dev, "gold"].map(CLASSES.index).to_numpy()
    right = (np.load(stored(tuned, "probabilities")).argmax(axis=1)[dev] == truth).sum()
    notes = project.store.manifest("train", run.artifacts["train"]).notes
    (note,) = [note for note in notes if "frozen" in note]
    assert f"on {dev.sum()} dev rows the tuned encoder is right on {right}, a discriminant" in note


def test_calibration_gold_sets_the_temperature_of_a_tuned_classifier(tuned: Trained) -> None:
    table = pd.read_parquet(tuned[0].root / "items.parquet")
    said = np.log(np.load(stored(tuned, "probabilities")))
    left = {
        split: fit_temperature(
            said[table["split"] == split],
            table.loc[table["split"] == split, "gold"].map(CLASSES.index).to_numpy(),
        )
        for split in ("calibration", "dev")
    }
    assert left["calibration"] == pytest.approx(1, rel=0.01) and left["dev"] < 0.9


def test_a_killed_fine_tuning_goes_on_and_ends_with_the_same_bytes(
    tuned: Trained, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "killed"
    shutil.copytree(tuned[0].root, root)
    shutil.rmtree(root / ".weaklight" / "artifacts" / "train")
    with driver(tmp_path) as drive:
        assert drive(root, "checkpoint", 3) == -9  # amid the second epoch's first file
    with caplog.at_level("INFO", logger="weak_supervision"):
        run_line(Project.open(root), ("train",))
    assert "going on after epoch 1" in caplog.text
    assert contents(root) == contents(tuned[0].root)


def test_tables_of_new_images_get_what_the_run_gave_them(tuned: Trained, tmp_path: Path) -> None:
    project, _ = tuned
    table = pd.read_parquet(project.root / "items.parquet").head(4)
    for item_id, image in zip(table["item_id"], table["image"], strict=True):
        (tmp_path / f"{item_id}.png").write_bytes(image)
    rows = table[["item_id"]].assign(image=table["item_id"] + ".png")
    rows.loc[4] = ["gone", "gone.png"]
    rows.to_csv(tmp_path / "new.csv", index=False)
    labelled, dropped = predict_files(project, [tmp_path / "new.csv"])
    assert labelled["item_id"].tolist() == table["item_id"].tolist()
    assert labelled["file"].tolist() == [str(tmp_path / f"{i}.png") for i in table["item_id"]]
    assert [path for path, _ in dropped] == [tmp_path / "new.csv" / "gone"]
    probabilities = labelled[[f"p_{name}" for name in CLASSES]].to_numpy()
    np.testing.assert_allclose(
        probabilities, np.load(stored(tuned, "probabilities"))[:4], atol=1e-5
    )
    pd.DataFrame({"text": ["no picture"]}).to_csv(tmp_path / "text.csv", index=False)
    with pytest.raises(DataError, match=r"about image items, but .* holds text"):
        predict_files(project, [tmp_path / "text.csv"])
    with pytest.raises(DataError, match="there is no file or folder"):
        predict_files(project, [tmp_path / "nothing.png"])


def test_an_exported_classifier_goes_from_pixels_to_probabilities(
    tuned: Trained, tmp_path: Path
) -> None:
    project, run = tuned
    out = tmp_path / "out"
    wish = ["export", "classifier", "--to", str(out), "--project", str(project.root)]
    done = CliRunner().invoke(app, wish, catch_exceptions=False)
    assert done.exit_code == 0 and "classifier.onnx" in done.output
    pixels = np.load(next((project.state / "shards").rglob("*.npy")))[:3]
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    came = torch.export.load(out / "classifier.pt2").module()(images)
    expected = np.load(stored(tuned, "probabilities"))[:3]
    np.testing.assert_allclose(came.detach().numpy(), expected, atol=1e-4)
    card = json.loads((out / "card.json").read_text())
    assert card["run_id"] == run.run_id and card["classes"] == list(CLASSES)
    assert card["labels"]["labelling_functions"][0]["name"] == "noisy_label"
    assert card["training"]["settings"]["strategy"] == "elr"
    assert card["measured"] == {
        "reason": "not measured: the run did not evaluate; `weaklight run` does"
    }
    assert "`noisy_label`" in (out / "README.md").read_text()
    with pytest.raises(ConfigError, match="not overwritten"):
        export_classifier(project, out)


def test_an_export_that_says_something_else_is_not_kept(
    tuned: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.exchange.classifier.encoder_of", _untuned)
    with pytest.raises(ArtifactError, match="nothing was"):
        export_classifier(tuned[0], tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def _untuned(project: Project, run: RunRecord) -> Path:
    return project.store.path("pretrain", run.artifacts["pretrain"], "encoder")


def test_series_are_predicted_from_tables_and_exported_from_features(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 2, 60)
    series = [json.dumps((rng.normal(size=20) + 4 * k).round(3).tolist()) for k in kinds]
    table = pd.DataFrame({"item_id": [f"s{i}" for i in range(60)], "curve": series})
    table["noisy_label"] = np.array(["low", "high"])[kinds]
    table["split"] = ["unlabeled"] * 36 + ["dev"] * 24
    table["gold"] = table["noisy_label"].where(table["split"] == "dev")
    table.loc[table["split"] == "dev", "noisy_label"] = None
    table.to_csv(tmp_path / "items.csv", index=False)
    (tmp_path / "weaklight.toml").write_text(
        'classes = ["low", "high"]\n[items]\nsource = "items.csv"\nseries = "curve"\n'
        '[embed]\nneighbors = 5\n[train]\nhead = "mlp"\nstrategy = "gce"\n'
    )
    project = Project.open(tmp_path)
    run_line(project, ("train",))
    new = pd.DataFrame({"curve": [[4.0, 5.0, 3.0, 4.0] * 5, [0.0, 1.0, -1.0, 0.0] * 5, [1.0, 2.0]]})
    new.to_json(tmp_path / "new.jsonl", orient="records", lines=True)
    labelled, dropped = predict_files(project, [tmp_path / "new.jsonl"])
    assert labelled["label"].tolist() == ["high", "low"]
    assert labelled["item_id"].tolist() == ["000000", "000001"]  # as an import numbers them
    assert set(labelled["file"]) == {str(tmp_path / "new.jsonl")}
    assert dropped == [(tmp_path / "new.jsonl" / "000002", "series has fewer than 4 steps")]
    with pytest.raises(DataError, match="series come in tables"):
        predict_files(project, [tmp_path / "weaklight.toml"])
    card = export_classifier(project, tmp_path / "out")
    assert card["input"]["name"] == "features" and len(card["checks"]) == 2


def test_settings_of_train_are_the_strategies_there_are_and_go_together() -> None:
    assert set(get_args(TrainConfig.model_fields["strategy"].annotation)) == set(STRATEGIES)
    for train, wrong in (
        ({"consistency": True}, "never sees"),
        ({"epochs": 5, "patience": 2}, "epochs and patience would change nothing"),
        ({"head": "forest"}, "train.head"),
    ):
        settings = {"classes": ["a", "b"], "items": {"source": "x"}, "train": train}
        with pytest.raises(ConfigError, match=wrong):
            parse_config(settings)
