"""Files that a key depends on are read once, and again when they change."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipelines.fingerprints import human_labels, is_outdated, lf_files, source, starting_weights
from pipelines.project import Project, RunRecord
from pipelines.reviews import ReviewEvent, ReviewStore
from pipelines.store import Manifest
from tests.pipelines.conftest import LFS


def test_weights_that_did_not_change_are_not_read_again(tmp_path: Path) -> None:
    (tmp_path / "weaklight.toml").write_text(
        'classes = ["a", "b"]\n[items]\nsource = "x"\n[pretrain]\ninit = "w.pth"\n'
    )
    weights = tmp_path / "w.pth"
    weights.write_bytes(b"1")
    project = Project.open(tmp_path)
    first = starting_weights(project, {})
    times = (weights.stat().st_atime_ns, weights.stat().st_mtime_ns)
    weights.write_bytes(b"2")
    os.utime(weights, ns=times)  # size and time as they were: only a read would tell
    assert starting_weights(project, {}) == first
    os.utime(weights, ns=(times[0], times[1] + 1))
    assert starting_weights(project, {}) != first


def test_a_file_that_ingest_would_tell_of_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "weaklight.toml").write_text('classes = ["a", "b"]\n[items]\nsource = "x"\n')
    folder = tmp_path / "x"
    folder.mkdir()
    (folder / "1.png").write_bytes(b"1")
    project = Project.open(tmp_path)
    before = source(project, {})
    (folder / "2.heic").write_bytes(b"2")
    beside = source(project, {})
    assert beside != before
    (folder / "2.heic").write_bytes(b"3")
    assert source(project, {}) == beside  # what is in it concerns nobody
    with monkeypatch.context() as denied:
        denied.setattr(os, "access", lambda path, mode: False)
        assert source(project, {}) != beside
    assert source(project, {}) == beside


def test_images_of_a_table_may_lie_anywhere(tmp_path: Path) -> None:
    root, image = tmp_path / "project", tmp_path / "1.png"
    root.mkdir()
    image.write_bytes(b"1")
    (root / "weaklight.toml").write_text('classes = ["a", "b"]\n[items]\nsource = "x.csv"\n')
    (root / "x.csv").write_text(f"item_id,image\n1,{image}\n")
    project = Project.open(root)
    before = source(project, {})
    image.write_bytes(b"22")
    assert source(project, {}) != before


def test_a_run_is_outdated_by_an_edited_lf_and_by_a_review(tmp_path: Path) -> None:
    (tmp_path / "weaklight.toml").write_text('classes = ["a", "b"]\n[items]\nsource = "x"\n')
    (tmp_path / "lfs").mkdir()
    lfs = tmp_path / "lfs" / "shapes.py"
    lfs.write_text(LFS)
    project = Project.open(tmp_path)
    for stage, digests in (("vote", lf_files), ("reviews", human_labels)):
        with project.store.writing(stage, "d") as folder:
            extra = digests(project, {})
            project.store.commit(folder, Manifest(stage, "d", 1, {}, {}, 0, extra, {}, {}, {}, ()))
    record = RunRecord("1", "now", 0, "here", {}, artifacts={"vote": "d", "reviews": "d"})
    assert not is_outdated(project, record)
    for worse in (LFS.replace("1.4", "1.5"), "def broken(:"):
        lfs.write_text(worse)
        assert is_outdated(project, record)
    lfs.write_text(LFS)
    assert not is_outdated(project, record)
    ReviewStore(project.state / "reviews.sqlite").record(
        ReviewEvent(item_id="i", action="relabel", new="a", reviewer="me")
    )
    assert is_outdated(project, record)
