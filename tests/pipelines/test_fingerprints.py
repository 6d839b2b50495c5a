"""Files that a key depends on are read once, and again when they change."""

from __future__ import annotations

import os
from pathlib import Path

from pipelines.fingerprints import starting_weights
from pipelines.project import Project


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
