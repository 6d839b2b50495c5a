"""What is wrong is said before the first stage, by a plan and by a run alike."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.engine import plan, run_line
from pipelines.project import Project
from pipelines.reviews import ReviewEvent, ReviewStore
from tests.pipelines.conftest import SETTINGS, shapes
from weaklight.errors import ConfigError, LabelingError


def test_a_broken_lf_file_stops_a_run_before_anything_is_read(
    make_project: Callable[..., Path],
) -> None:
    root = make_project()
    (root / "lfs" / "broken.toml").write_text('[[lf]]\nname = "x"\nkind = "keyword"\n')
    project = Project.open(root)
    for start in (plan, run_line):
        with pytest.raises(LabelingError, match=r"broken\.toml"):
            start(project)
    stopped = project.latest_run("failed")
    assert stopped is not None and stopped.stages == []
    run_line(project, ("ingest",))  # needs no LFs


@pytest.mark.parametrize(
    ("items", "pretrain", "words"),
    [
        ("", 'method = "SimCLRR"', "did you mean 'simclr'"),
        ('image = "image"', 'method = "rotatoin"', "did you mean 'rotation'"),
        ('image = "image"', 'method = "word2vec"', "for image items"),
        ('text = "gold"', 'method = "simclr"', "for text items"),
        ("", 'method = "sentence_transformers:no-such-package"', "installed package called"),
        ("", 'init = "lost.pth"', r"no file .*lost\.pth to start from"),
        ('image = "image"', 'init = "resnet"', r"must be a \.safetensors, \.pth or \.pt file"),
        ("", 'init = "torchvision:resnet19"', "no model 'resnet19'"),
    ],
)
def test_an_encoder_that_cannot_be_made_is_refused_by_the_plan(
    make_project: Callable[..., Path], items: str, pretrain: str, words: str
) -> None:
    settings = SETTINGS.replace("[pretrain]", f"{items}\n\n[pretrain]\n{pretrain}")
    with pytest.raises(ConfigError, match=words):
        plan(Project.open(make_project(settings=settings)))


def test_a_plan_knows_what_ingest_has_found(make_project: Callable[..., Path]) -> None:
    root = make_project()
    run_line(Project.open(root), ("ingest",))
    settings = root / "weaklight.toml"
    settings.write_text(SETTINGS.replace("[pretrain]", '[pretrain]\nmethod = "word2vec"'))
    with pytest.raises(ConfigError, match="for image items"):
        plan(Project.open(root))


def test_weights_that_vanished_are_missed_although_the_encoder_has_trained(
    make_project: Callable[..., Path],
) -> None:
    root = make_project()
    run_line(Project.open(root), ("pretrain",))
    settings = SETTINGS.replace("[pretrain]", '[pretrain]\ninit = "lost.pth"')
    (root / "weaklight.toml").write_text(settings)
    project = Project.open(root)
    trained = project.latest_run()
    assert trained is not None
    manifest = project.store.folder("pretrain", trained.artifacts["pretrain"]) / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"init": null', '"init": "lost.pth"'))
    with pytest.raises(ConfigError, match=r"no file .*lost\.pth"):
        plan(project)


SILENT = """
from labeling_functions import labeling_function


@labeling_function()
def asleep(item):
    if item.aspect > 1000:
        return "tall"


@labeling_function()
def held_out_only(item):
    if item.item_id >= "i0120":
        return "tall"
"""


def _without_bags(n_unlabeled: int = 120) -> pd.DataFrame:
    return shapes(n_unlabeled).drop(columns=["bag_id", "bag_label"])


def test_items_that_are_all_kept_for_judging_are_not_the_functions_fault(
    make_project: Callable[..., Path],
) -> None:
    root = make_project(shapes(0).drop(columns=["bag_id", "bag_label"]))
    with pytest.raises(LabelingError, match="all 75 are kept for judging; leave 'split' empty"):
        run_line(Project.open(root))


def test_functions_that_say_nothing_of_training_items_stop_a_run_before_it_learns(
    make_project: Callable[..., Path],
) -> None:
    root = make_project(_without_bags(), lfs=SILENT)
    project = Project.open(root)
    with pytest.raises(LabelingError, match="none of the 2 does on any of them"):
        run_line(project)
    stopped = project.latest_run("failed")
    assert stopped is not None
    assert [s.name for s in stopped.stages] == ["ingest", "reviews", "vote"]
    with pytest.raises(LabelingError, match="none of the 2"):
        plan(project)
    run_line(project, ("embed",))  # an encoder alone needs no votes

    store = ReviewStore(project.state / "reviews.sqlite")
    store.record(ReviewEvent("i0000", "ada", "relabel", new="tall"))
    assert "aggregate" in {p.name for p in plan(project)}, "people can do without functions"


def test_bags_can_do_without_functions(make_project: Callable[..., Path]) -> None:
    project = Project.open(make_project(lfs=SILENT))
    run_line(project, ("vote", "reviews"))
    assert {p.name: p.status for p in plan(project)}["pretrain"] == "runs"


def test_votes_wait_for_features_only_where_a_function_reads_them(
    make_project: Callable[..., Path],
) -> None:
    root = make_project()
    project = Project.open(root)
    early = [p.name for p in plan(project)]
    assert early.index("vote") < early.index("pretrain")
    votes = run_line(project, ("vote",)).artifacts
    assert votes.keys() == {"ingest", "vote"}, "no encoder"

    like = '[[lf]]\nname = "like"\nkind = "prototype"\npositives = ["i0000"]\nvote = "tall"\n'
    (root / "lfs" / "like.toml").write_text(like)
    late = [p.name for p in plan(project)]
    assert late.index("vote") == late.index("embed") + 1
    run = run_line(project, ("vote",))
    votes = project.store.path("vote", run.artifacts["vote"], "votes")
    assert (np.load(votes)[:, 0] == 0).any(), "like.toml comes before shapes.py"
