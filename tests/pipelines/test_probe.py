"""The probe of an encoder, and the page that shows how to look at what it sees."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipelines.engine import run_line
from pipelines.probe import probe
from pipelines.project import Project
from pipelines.queries import RunView
from tests.pipelines.conftest import CLASSES, SETTINGS, SIDE, draw, png
from weaklight.errors import ArtifactError, DataError

PAGE = Path(__file__).parents[2] / "docs" / "encoders.md"


def write_labelled(folder: Path, names: dict[str, str], each: int, seed: int) -> None:
    """Write ``each`` pictures of every shape into the folder of the name that it is given."""
    rng = np.random.default_rng(seed)
    for shape, name in names.items():
        (folder / name).mkdir(parents=True)
        for i in range(each):
            (folder / name / f"{i}.png").write_bytes(png(draw(shape, rng)))


def test_labels_that_teach_never_judge(make_project: Callable[..., Path], tmp_path: Path) -> None:
    project = Project.open(make_project())
    with pytest.raises(ArtifactError, match="no encoder yet"):
        probe(project, tmp_path / "photos")
    run_line(project, ("pretrain",))

    folder = tmp_path / "photos"
    true = {shape: shape for shape in CLASSES}
    write_labelled(folder / "train", true, each=20, seed=1)
    write_labelled(folder / "test", true, each=10, seed=2)
    (folder / "train" / "tall" / "cut.png").write_bytes(b"\x89PNG")
    found = probe(project, folder)
    assert (found.n_train, found.n_test, found.left_out) == (60, 30, ("train/tall/cut.png",))
    assert [row.features for row in found.rows] == ["encoder", "untrained", "pixels"]
    assert [few.n_train for few in found.rows[0].few] == [3, 6]
    assert all(row.scores.knn.successes >= 27 for row in found.rows)

    turned = tmp_path / "turned"  # as before, but who judges calls every shape by another's name
    write_labelled(turned / "train", true, each=20, seed=1)
    names = dict(zip(CLASSES, (*CLASSES[1:], CLASSES[0]), strict=True))
    write_labelled(turned / "test", names, each=10, seed=2)
    assert all(row.scores.linear.successes <= 3 for row in probe(project, turned).rows)


def test_a_fifth_judges_where_the_folders_do_not_say(
    make_project: Callable[..., Path], tmp_path: Path
) -> None:
    project = Project.open(make_project())
    run_line(project, ("pretrain",))
    write_labelled(tmp_path / "few", {"tall": "tall", "wide": "wide"}, each=3, seed=1)
    with pytest.raises(DataError, match=r"of 6 in \S+ 0 judge; give at least ten"):
        probe(project, tmp_path / "few")
    write_labelled(tmp_path / "photos", {"tall": "tall", "wide": "wide"}, each=20, seed=1)
    found = probe(project, tmp_path / "photos")
    assert (found.n_train, found.n_test) == (32, 8)


def test_a_project_of_texts_is_told_where_its_features_are_judged(
    make_project: Callable[..., Path], tmp_path: Path
) -> None:
    drawn = np.random.default_rng(0).choice(["ship", "cat", "red", "tree", "sun"], (40, 4))
    texts = pd.DataFrame({"item_id": range(40), "text": [" ".join(words) for words in drawn]})
    settings = 'classes = ["a", "b"]\n[items]\nsource = "items.parquet"\n'
    project = Project.open(make_project(texts, settings=settings))
    run_line(project, ("pretrain",))
    with pytest.raises(DataError, match="about text items"):
        probe(project, tmp_path)


def test_the_page_draws_what_an_encoder_sees(
    make_project: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = SETTINGS.replace("[pretrain]", '[pretrain]\nbackbone = "vit_compact"')
    run_line(Project.open(make_project(settings=settings, name="photos-project")), ("embed",))
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    Path("new.jpg").write_bytes(png(draw("tall", rng)))
    page = PAGE.read_text().partition("## Looking at what an encoder sees")[2]
    names: dict[str, object] = {}
    for snippet in re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE):
        exec(compile(snippet, str(PAGE), "exec"), names)
    width = {p.name: Image.open(p).width for p in tmp_path.glob("*.png")}
    assert set(width) == {"nearest.png", "attention.png", "parts.png", "matches.png"}
    assert width["nearest.png"] == 3 * (8 * SIDE + 7 * 4)  # the query and seven, gaps of 4 px
    view = names["view"]
    assert isinstance(view, RunView) and names["alike"].rows.shape == (1, 5)
    assert len(np.load(view.path("embed", "features"))) == len(view.item_ids)
