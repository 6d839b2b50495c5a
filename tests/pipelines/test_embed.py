"""The embed stage: the map of features in which there is little to see."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from pipelines.stages.embed import lay_out


def test_items_that_are_all_alike_do_not_end_the_process() -> None:
    code = (  # t-SNE of them is a segmentation fault, which no test outlives
        "import numpy as np\nfrom pipelines.stages.embed import lay_out\n"
        "print(np.isfinite(lay_out(np.ones((600, 3), np.float32), np.ones(600, bool), 0)).all())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "True", done.stderr[-2000:]


def test_features_of_one_direction_have_a_map() -> None:
    features = np.random.default_rng(0).normal(size=(60, 1)).astype(np.float32)
    assert np.isfinite(lay_out(features, np.ones(60, dtype=bool), 0)).all()


def test_items_lie_among_the_landmarks_that_they_are_like() -> None:
    """More items than landmarks and than one block: those of a group lie together."""
    rng = np.random.default_rng(0)
    group = rng.integers(0, 3, 9000)
    features = (5 * np.eye(3)[group] + rng.normal(size=(9000, 3))).astype(np.float32)
    flat = lay_out(features, np.ones(9000, dtype=bool), 0)
    middle = np.array([flat[group == k].mean(axis=0) for k in range(3)])
    nearest = np.linalg.norm(flat[:, None] - middle, axis=2).argmin(axis=1)
    assert (nearest == group)[:8192].mean() > 0.95 < (nearest == group)[8192:].mean()
