"""Cleaning: who doubts, what is left out of training, and whose word is never doubted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.sections import CleanConfig
from pipelines.stages.base import Work
from pipelines.stages.clean import JUDGES, CleanInputs, clean
from weak_supervision.neighbors import build_graph
from weak_supervision.noise import out_of_fold_proba
from weaklight.errors import DataError

N, N_WRONG, N_HUMAN = 600, 80, 40
WRONG, HUMAN = np.arange(N) < N_WRONG, np.arange(N) < N_HUMAN  # people insist on the first ones
TRUTH = np.arange(N) % 2
VOTES = np.where(WRONG, 1 - TRUTH, TRUTH)
FEATURES = np.random.default_rng(0).normal(size=(N, 4)) + 4 * np.eye(4)[TRUTH]


def cleaned(
    root: Path, config: CleanConfig, *, weak: np.ndarray = VOTES, n_labelled: int = N
) -> Path:
    """Clean labels ``weak`` of items on which one function votes; return the output folder."""
    ids = np.array([f"i{i}" for i in range(N)])
    files = {name: root / f"{name}.parquet" for name in CleanInputs.__dataclass_fields__}
    files |= {name: root / f"{name}.npy" for name in ("votes", "features", "present")}
    pd.DataFrame({"item_id": ids, "split": "unlabeled"}).to_parquet(files["items"])
    table = {"item_id": ids, "p_a": 0.9 - 0.8 * weak, "p_b": 0.1 + 0.8 * weak, "label": weak}
    table |= {
        "confidence": 0.9,
        "covered": np.arange(N) < n_labelled,
        "source": np.where(HUMAN, "human", "votes"),
    }
    pd.DataFrame(table).to_parquet(files["weak_labels"])
    pd.DataFrame({"item_id": [], "action": []}).to_parquet(files["human"])
    pd.DataFrame({"item_id": [], "gold": []}).to_parquet(files["gold_calibration"])
    np.save(files["votes"], VOTES[:, None].astype(np.int16))
    np.save(files["features"], FEATURES.astype(np.float32))
    np.save(files["present"], np.ones(N, dtype=bool))
    build_graph(FEATURES).save(files["graph"])
    out = root / "out"
    out.mkdir()
    clean(CleanInputs(**files), config, Work(out, root, root, root, 0, ("a", "b")))
    return out


@pytest.mark.parametrize("action", ["drop", "keep"])
def test_doubted_labels_are_left_out_where_asked_and_people_are_never_doubted(
    tmp_path: Path, action: str
) -> None:
    out = cleaned(tmp_path, CleanConfig(action=action))
    weights, every = (np.load(out / f"{name}.npy") for name in ("weights", "all_weights"))
    assert every == pytest.approx(np.where(HUMAN, 1.0, 0.9))
    assert (weights[HUMAN] == 1).all()
    by_function = WRONG & ~HUMAN
    if action == "keep":
        assert (weights == every).all()
    else:
        assert (weights[by_function] == 0).mean() > 0.9 > 0.1 > (weights[~WRONG] == 0).mean()
    issues = pd.read_parquet(out / "issues.parquet")
    doubted = issues.loc[issues["kind"] == "label", "item_id"].str[1:].astype(int)
    assert by_function[doubted].mean() > 0.8 and not HUMAN[doubted].any()


def test_who_doubts_was_taught_by_the_votes_and_not_by_labels_that_follow_the_features(
    tmp_path: Path,
) -> None:
    out = cleaned(tmp_path, CleanConfig(), weak=np.where(HUMAN, VOTES, np.arange(N) % 3 > 0))
    judge = json.loads((out / "judge.json").read_text())["head"]
    expected = out_of_fold_proba(FEATURES, np.eye(2)[VOTES], seed=0, new_head=JUDGES[judge])
    np.testing.assert_allclose(np.load(out / "out_of_fold.npy"), expected, atol=1e-4)


def test_labels_of_one_class_are_not_said_to_be_the_work_of_cleaning(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^only the classes \['a'\] .* for the others$"):
        cleaned(tmp_path, CleanConfig(), weak=np.zeros(N, dtype=np.int64))


def test_more_folds_than_labels_are_not_laid_to_the_classes(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"only 9 .* \[clean\] folds = 12; ask for fewer"):
        cleaned(tmp_path, CleanConfig(folds=12), n_labelled=9)
