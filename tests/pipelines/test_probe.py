"""The probe of an encoder, and the page that shows how to look at what it sees."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipelines.engine import run_line
from pipelines.probe import labelled_task, probe
from pipelines.project import Project
from pipelines.queries import RunView
from tests.pipelines.conftest import CLASSES, SETTINGS, SIDE, draw, png
from weaklight.errors import ArtifactError, DataError

DOCS = Path(__file__).parents[2] / "docs"


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
    told: set[tuple[int, int, str]] = set()
    found = probe(project, folder, progress=lambda *said: told.add(said))
    assert {(0, 91, "reading images"), (60, 60, "images embedded")} < told
    assert (found.n_train, found.n_test, found.left_out) == (60, 30, ("train/tall/cut.png",))
    assert [row.features for row in found.rows] == ["encoder", "untrained", "pixels"]
    assert [few.n_train for few in found.rows[0].few] == [3, 6]
    assert all(row.scores.knn.successes >= 27 for row in found.rows)

    task, classes, _ = labelled_task(folder, (SIDE, SIDE, 1))
    assert [classes[k] for k in task.test_labels[::10]] == sorted(CLASSES)
    judges = {picture.tobytes() for picture in task.test}
    assert len(judges) == 30 and judges.isdisjoint(picture.tobytes() for picture in task.train)
    files = (Image.open(file) for file in (folder / "test").rglob("*.png"))
    assert judges == {np.asarray(picture).tobytes() for picture in files}


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


def run_snippets(text: str) -> dict[str, Any]:
    """Run the Python of a page and return its names."""
    names: dict[str, Any] = {}
    for snippet in re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        exec(compile(snippet, "snippet", "exec"), names)
    return names


def test_the_page_judges_an_encoder(
    make_project: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_line(Project.open(make_project(name="photos-project")), ("pretrain",))
    write_labelled(tmp_path / "sorted", {"tall": "tall", "wide": "wide"}, each=20, seed=1)
    monkeypatch.chdir(tmp_path)
    names = run_snippets((DOCS / "ssl_evaluation.md").read_text())
    assert names["images"].train.shape == (32, SIDE, SIDE, 1) and names["classes"] == (
        "tall",
        "wide",
    )
    assert len(names["tuned"].losses) == 10 and names["scores"].knn.n == 8


def test_the_page_draws_what_an_encoder_sees(
    make_project: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = SETTINGS.replace("[pretrain]", '[pretrain]\nbackbone = "vit_compact"')
    run_line(Project.open(make_project(settings=settings, name="photos-project")), ("embed",))
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    Path("new.jpg").write_bytes(png(draw("tall", rng)))
    page = (DOCS / "encoders.md").read_text()
    names = run_snippets(page.partition("## Looking at what an encoder sees")[2])
    width = {p.name: Image.open(p).width for p in tmp_path.glob("*.png")}
    assert set(width) == {"nearest.png", "attention.png", "parts.png", "matches.png"}
    assert width["nearest.png"] == 3 * (8 * SIDE + 7 * 4)  # the query and seven, gaps of 4 px
    view = names["view"]
    assert isinstance(view, RunView) and names["alike"].rows.shape == (1, 5)
    assert len(np.load(view.path("embed", "features"))) == len(view.item_ids)
