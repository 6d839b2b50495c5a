"""What is wrong is said before the first stage, by a plan and by a run alike."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.engine import plan, run_line
from pipelines.project import Project
from tests.pipelines.conftest import SETTINGS
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
        ("", 'method = "simclrr"', "for text items"),
        ('image = "image"', 'method = "word2vec"', "for image items"),
        ('text = "gold"', 'method = "simclr"', "for text items"),
        ("", 'method = "sentence_transformers:no-such-package"', "installed package called"),
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
