"""From another tool's folder to another tool's files, by the commands that a user types."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from pipelines.exchange import EXPORTERS
from weaklight.cli import app

WORDS = (("lunch", "home", "thanks"), ("prize", "cash", "free"))
N = {"train": 160, "valid": 40, "test": 40}


def write_wrench(root: Path) -> None:
    """Write texts of seven words, two of them of their class, and six rules right 9 times of 10."""
    rng = np.random.default_rng(0)
    root.mkdir()
    (root / "label.json").write_text('{"0": "ham", "1": "spam"}')
    for name, n in N.items():
        rows = {}
        for row in range(n):
            label = int(rng.integers(2))
            words = [*rng.choice(WORDS[label], 2), *(f"w{i}" for i in rng.integers(0, 30, 5))]
            votes = np.where(rng.random(6) < 0.9, label, 1 - label)
            votes[rng.random(6) < 0.5] = -1
            rows[str(row)] = {
                "label": label, "weak_labels": votes.tolist(), "data": {"text": " ".join(words)},
            }  # fmt: skip
        (root / f"{name}.json").write_text(json.dumps(rows))


def command(*words: str) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.slow  # ten seconds: the whole line
def test_a_wrench_folder_is_imported_run_and_exported_in_every_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("datasets", "webdataset", "argilla"):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    write_wrench(tmp_path / "mails")
    said = command("import", "wrench", "mails", "--to", "project")
    assert "160 unlabeled, 40 dev, 40 test" in said
    (next_command,) = [line for line in said.splitlines() if line.startswith("next: ")]
    assert next_command == "next: weaklight run --project project"
    settings = Path("project/weaklight.toml")
    settings.write_text(settings.read_text() + '\n[pretrain]\nmethod = "tfidf_svd"\n')
    assert "Classifier" in command("run", "--no-prefect", "--project", "project")

    truth = {f"train-{k}": v["label"] for k, v in json.loads(
        Path("mails/train.json").read_text()).items()}  # fmt: skip
    for name in EXPORTERS:
        folder = tmp_path / name
        command("export", "labels", "--format", name, "--to", name, "--project", "project")
        monkeypatch.chdir(folder)
        loaded: dict[str, object] = {}
        exec(json.loads(Path("card.json").read_text())["load"], loaded)
        labels = read(name, loaded)
        monkeypatch.chdir(tmp_path)
        right = [label == ("ham", "spam")[truth[item]] for item, label in labels.items()]
        assert len(right) == 160 and np.mean(right) > 0.9, name


def read(name: str, loaded: dict) -> dict[str, str]:
    """Return the labels by item, from what the card's own lines loaded, inside the export."""
    if name in ("parquet", "jsonl", "csv"):
        table = loaded["labels"]
        return dict(zip(table["item_id"], table["label"], strict=True))
    if name == "hf":
        table = loaded["labels"]
        named = table.features["label"].int2str(table["label"])
        return dict(zip(table["item_id"], named, strict=True))
    if name == "webdataset":
        return {s["json"]["item_id"]: s["json"]["label"] for s in loaded["labels"]}
    if name == "labelstudio":
        return {
            task["data"]["item_id"]: task["predictions"][0]["result"][0]["value"]["choices"][0]
            for task in loaded["tasks"]
        }
    if name == "argilla":
        return {r.id: r.suggestions["label"].value for r in loaded["records"]}
    classes = json.loads(Path("classes.json").read_text())
    named = [classes[label] for label in loaded["labels"]]
    return dict(zip(np.load("item_ids.npy").tolist(), named, strict=True))
