"""Hybrids in the line: rounds in `aggregate`, conformal admission in `clean`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.engine import run_line
from pipelines.project import Project
from pipelines.reviews import ReviewEvent, ReviewStore
from pipelines.sections import CleanConfig
from pipelines.stages.base import Work
from pipelines.stages.clean import CleanInputs, clean
from pipelines.stages.rounds import teach
from tests.pipelines.conftest import LFS, SETTINGS, shapes
from tests.weak_supervision.planted import planted
from weak_supervision.choice import choose
from weak_supervision.hybrid import admit_conformally
from weak_supervision.neighbors import build_graph
from weaklight.errors import DataError


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("rounds") / "project"
    (root / "lfs").mkdir(parents=True)
    table = shapes(n_dev=70)
    dev = table.index[table["split"] == "dev"]
    table.loc[dev[:40], "split"] = "calibration"
    table.to_parquet(root / "items.parquet", index=False)
    (root / "weaklight.toml").write_text(SETTINGS)
    (root / "lfs" / "shapes.py").write_text(LFS)
    run_line(Project.open(root), ("bags",))
    return root


def with_settings(embedded: Path, to: Path, settings: str) -> Project:
    root = Path(shutil.copytree(embedded, to / "project"))
    (root / "weaklight.toml").write_text(SETTINGS + settings)
    return Project.open(root)


@pytest.mark.parametrize("method", ["self_training", "curriculum"])
def test_rounds_keep_what_people_said_and_where_each_label_is_from(
    embedded: Path, tmp_path: Path, method: str
) -> None:
    project = with_settings(embedded, tmp_path, f'\n[aggregate]\nhybrid = "{method}"\n')
    store = ReviewStore(project.state / "reviews.sqlite")
    decided = ["i0050", "i0060"]
    for item in decided:
        store.record(ReviewEvent(item, "ada", "relabel", new="round", queue="random"))
    run = run_line(project, ("aggregate",))
    folder = project.store.folder("aggregate", run.artifacts["aggregate"])
    weak = pd.read_parquet(folder / "weak_labels.parquet").set_index("item_id")
    assert (weak.loc[decided, "source"] == "human").all()
    assert (weak.loc[decided, "p_round"] > 0.99).all()
    assert (weak["round"] >= 0).all() and set(weak["source"]) <= {
        "human", "votes", "bag", "features", "student",
    }  # fmt: skip
    told = json.loads((folder / "choice.json").read_text())["hybrid"]
    assert told["method"] == method and told["n_rounds"] >= 1 and told["stop_reason"]
    after = np.load(folder / "posteriors" / "chosen.npy")
    assert np.array_equal(after, np.load(folder / "posteriors" / "hybrid.npy"))


@pytest.mark.parametrize("method", ["self_training", "curriculum"])
def test_what_the_student_says_is_known_as_its_word_and_by_its_round(method: str) -> None:
    votes, truth, features = planted(n=600, d=16, accuracies=(0.8, 0.7, 0.7), coverage=0.3)
    votes = votes.astype(np.int16)
    people = np.arange(600) < 30
    human = np.where(people, (truth + 1) % 3, -1)  # they may insist
    choice = choose(votes, n_classes=3, human=human, model="majority_vote")
    taught = teach(
        method, choice, votes, features, build_graph(features), human,
        n_classes=3, class_sets=(), seed=0,
    )  # fmt: skip
    later = taught.round > 0
    assert (taught.by_student == later).all() and 0 < later.sum() < 570
    assert taught.is_covered[later].all() and not later[people].any()
    assert (taught.posterior[people] == np.eye(3)[human[people]]).all()
    if method == "self_training":
        assert not (votes[later] >= 0).any()  # where a function votes, it is not the student's


def test_only_labels_that_are_sure_enough_train(embedded: Path, tmp_path: Path) -> None:
    project = with_settings(embedded, tmp_path, "\n[clean]\nmax_error = 0.3\n")
    run = run_line(project, ("clean",))
    entry = next(s for s in run.stages if s.name == "clean")
    assert any("at most 30% are expected to be wrong" in note for note in entry.notes)
    folder = project.store.folder("clean", run.artifacts["clean"])
    weights = np.load(folder / "weights.npy")
    items = pd.read_parquet(project.store.path("ingest", run.artifacts["ingest"], "items"))
    assert (weights > 0).any()
    assert (weights[items["split"] != "unlabeled"] == 0).all()


def test_too_few_calibration_rows_are_refused(embedded: Path, tmp_path: Path) -> None:
    project = with_settings(embedded, tmp_path, "\n[clean]\nmax_error = 0.05\n")
    with pytest.raises(DataError, match=r"too few for an error of 0\.05, 100 are"):
        run_line(project, ("clean",))


@pytest.mark.parametrize("n_by_hand", [0, 600])
def test_admission_judges_the_weak_labels_that_would_train_and_no_others(
    tmp_path: Path, n_by_hand: int
) -> None:
    """Labels by hand and uncovered, dev or test items vouch for no weak label, nor against one."""
    rng = np.random.default_rng(0)
    n = 1600 + n_by_hand
    part = np.repeat(["unlabeled", "test", "calibration", "hand"], [800, 600, 200, n_by_hand])
    split = np.where(part == "hand", "unlabeled", part)
    truth = rng.integers(0, 2, n)
    confidence = np.where(part == "hand", 1.0, rng.uniform(0.5, 1.0, n))
    label = np.where((rng.random(n) < confidence) | (part == "hand"), truth, 1 - truth)
    is_covered = rng.random(n) < 0.8
    posterior = np.where(np.eye(2)[label] == 1, confidence[:, None], 1 - confidence[:, None])
    ids = np.array([f"i{i}" for i in range(n)])
    features = rng.normal(size=(n, 4)).astype(np.float32)
    files = {name: tmp_path / f"{name}.parquet" for name in CleanInputs.__dataclass_fields__}
    files |= {name: tmp_path / f"{name}.npy" for name in ("votes", "features", "present")}
    pd.DataFrame({"item_id": ids, "split": split}).to_parquet(files["items"])
    weak = {"item_id": ids, "p_a": posterior[:, 0], "p_b": posterior[:, 1], "label": label}
    weak |= {"confidence": confidence, "covered": is_covered}
    weak["source"] = np.where(part == "hand", "human", "votes")
    pd.DataFrame(weak).to_parquet(files["weak_labels"])
    gold = part == "calibration"
    table = pd.DataFrame({"item_id": ids[gold], "gold": truth[gold]})
    table.to_parquet(files["gold_calibration"])
    pd.DataFrame({"item_id": [], "action": []}).to_parquet(files["human"])
    np.save(files["votes"], label[:, None].astype(np.int16))
    np.save(files["features"], features)
    np.save(files["present"], np.ones(n, dtype=bool))
    build_graph(features).save(files["graph"])
    out = tmp_path / "out"
    out.mkdir()
    work = Work(out, tmp_path, tmp_path, tmp_path, 0, ("a", "b"))
    clean(CleanInputs(**files), CleanConfig(max_error=0.2, action="keep"), work)
    trained = np.load(out / "weights.npy") > 0
    pool, judges = (np.flatnonzero((part == p) & is_covered) for p in ("unlabeled", "calibration"))
    expected = admit_conformally(posterior[pool], posterior[judges], truth[judges], alpha=0.2)
    assert trained[pool].tolist() == (expected.labels >= 0).tolist()
    assert 0.1 < trained[pool].mean() < 0.9
    assert trained[(part == "hand") & is_covered].all() and not trained[split != "unlabeled"].any()
