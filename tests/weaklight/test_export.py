"""``weaklight export`` on projects that have what it is to export, and on one that has nothing."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from pipelines.project import Project, RunRecord
from pipelines.store import Manifest, Output, hash_path
from ssl_models import build_backbone, save_encoder
from tests.pipelines.exchange.stored import KEPT, RUN_ID, write_run
from weaklight.cli import app
from weaklight.errors import ArtifactError, ConfigError


def project(root: Path) -> Project:
    root.mkdir()
    (root / "weaklight.toml").write_text('classes = ["a", "b"]\n[items]\nsource = "images"\n')
    return Project.open(root)


def store_encoder(made: Project) -> None:
    """Put an encoder into the store as the pretrain stage would, with the record of its run."""
    with made.store.writing("pretrain", "d") as folder:
        encoder = build_backbone("resnet18", channels=1, image_size=16, width=64)
        description = {"backbone": "resnet18", "width": 64, "image_size": (16, 16), "channels": 1}
        save_encoder(encoder, folder / "encoder", description)
        output = Output("encoder", *hash_path(folder / "encoder"))
        nothing: dict[str, str] = {}
        made.store.commit(
            folder,
            Manifest(
                stage="pretrain",
                digest="d",
                version=1,
                inputs=nothing,
                config=nothing,
                seed=0,
                extra=nothing,
                libraries=nothing,
                outputs={"encoder": output},
                metrics=nothing,
                notes=(),
            ),
        )
    made.save_run(RunRecord("1", "now", 0, "here", {}, status="done", artifacts={"pretrain": "d"}))


def test_the_latest_encoder_goes_to_a_file(tmp_path: Path) -> None:
    store_encoder(project(tmp_path / "mine"))
    out = tmp_path / "net.safetensors"
    wish = ["export", "encoder", "--format", "torchvision", "--out", str(out)]
    done = CliRunner().invoke(app, [*wish, "--project", str(tmp_path / "mine")])
    assert done.exit_code == 0, done.output
    assert out.is_file() and out.with_name("net.safetensors.json").is_file()
    assert str(out) in done.output


def test_without_an_encoder_or_with_an_unknown_format_it_says_what_to_do(tmp_path: Path) -> None:
    made = project(tmp_path / "mine")
    wish = ["export", "encoder", "--project", str(tmp_path / "mine")]
    with pytest.raises(ArtifactError, match="weaklight pretrain"):
        CliRunner().invoke(app, wish, catch_exceptions=False)
    store_encoder(made)
    with pytest.raises(ConfigError, match="torch_export"):
        CliRunner().invoke(app, [*wish, "--format", "pickle"], catch_exceptions=False)


def test_weak_labels_go_to_a_folder_that_says_what_they_are(tmp_path: Path) -> None:
    write_run(tmp_path / "mine", "text")
    wish = ["export", "labels", "--project", str(tmp_path / "mine")]
    folder = tmp_path / "out"
    done = CliRunner().invoke(app, [*wish, "--format", "csv", "--to", str(folder)])
    assert done.exit_code == 0, done.output
    assert sorted(p.name for p in folder.iterdir()) == ["README.md", "card.json", "labels.csv"]
    assert f"wrote {len(KEPT)} weak labels of run {RUN_ID}" in done.output
    assert "left out 1: excluded" in done.output
    assert f"LFs or reviews are newer than run {RUN_ID}" in done.output
    two = ["--split", "dev", "--split", "test", "--run", RUN_ID, "--to", str(tmp_path / "judged")]
    assert CliRunner().invoke(app, [*wish, *two]).exit_code == 0
    assert pd.read_parquet(tmp_path / "judged" / "labels.parquet")["split"].tolist() == [
        "dev", "test", "test",
    ]  # fmt: skip
    with pytest.raises(ArtifactError, match=RUN_ID):
        CliRunner().invoke(app, [*wish, "--run", "nosuch"], catch_exceptions=False)
    with pytest.raises(ConfigError, match="labelstudio"):
        CliRunner().invoke(app, [*wish, "--format", "xls"], catch_exceptions=False)
