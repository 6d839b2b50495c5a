"""Items as bags of their parts: paragraphs, patches and windows go down the line."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.engine import run_line
from pipelines.heat import heat_of
from pipelines.instances import cut
from pipelines.payload import Texts
from pipelines.pixels import Pixels
from pipelines.project import Project
from pipelines.report.heat import bag_pictures
from pipelines.sections import BagsConfig
from pipelines.signals import Signals
from pipelines.stages.aggregate import read_votes
from tests.pipelines.conftest import png
from weaklight.contracts import ABSTAIN
from weaklight.errors import ConfigError

SETTINGS = """
classes = ["ham", "bait"]
threads = 1
[items]
source = "items.parquet"
[bags]
positive = "bait"
instances = "paragraphs"
method = "noisy_or"
folds = 3
[evaluate]
crossover_sizes = [10]
crossover_draws = 2
"""
LFS = '''
from labeling_functions import labeling_function


@labeling_function(columns=["text"], vote="bait")
def names_money(text):
    """Bait: names money, but not in every bait."""
    return text.str.contains("money")


@labeling_function(columns=["text"], vote="ham")
def short(text):
    """Ham: says no word of a prize."""
    return ~text.str.contains("prize|money")
'''
NOTHING = '''
from labeling_functions import labeling_function


@labeling_function()
def nothing(item):
    """Bait: never."""
    return None
'''
DULL = ("the meeting is at noon", "see the notes of monday", "thanks for your letter", "the report")
BAIT = ("win a prize and free money now", "claim a free prize today now")


def letters(n: int = 150) -> pd.DataFrame:
    """Letters of four paragraphs; a bait has one paragraph that offers a prize."""
    rng = np.random.default_rng(0)
    is_bait = np.arange(n) % 2 == 1
    rows = []
    for i, bait in enumerate(is_bait):
        paragraphs = [f"{rng.choice(DULL)} {rng.choice(DULL)}" for _ in range(4)]
        place = int(rng.integers(4))
        if bait:
            paragraphs[place] = f"{rng.choice(BAIT)} {rng.choice(BAIT)}"
        split = "unlabeled" if i < n * 2 // 3 else ("dev", "test")[i // 2 % 2]
        rows.append(
            {
                "item_id": f"m{i:03d}",
                "text": "\n\n".join([*paragraphs, f"number {i}"]),
                "split": split,
                "gold": ("ham", "bait")[int(bait)] if split != "unlabeled" else None,
                "bait_at": place if bait else -1,
            }
        )
    return pd.DataFrame(rows)


def run(root: Path, table: pd.DataFrame, settings: str, *stages: str) -> dict[str, Path]:
    """Run the line and return the outputs of ``bags`` and ``report`` and the functions' votes."""
    (root / "lfs").mkdir(parents=True)
    table.drop(columns="bait_at", errors="ignore").to_parquet(root / "items.parquet", index=False)
    (root / "weaklight.toml").write_text(settings)
    (root / "lfs" / "rules.py").write_text(LFS if "text" in table else NOTHING)
    opened = Project.open(root)
    done = run_line(opened, stages or ("report",)).artifacts
    wanted = [("bags", name) for name in ("votes", "bags", "instances", "summary")]
    wanted += [("report", "report")] if "report" in done else []
    found = {name: opened.store.path(stage, done[stage], name) for stage, name in wanted}
    return {**found, "lf_votes": opened.store.path("vote", done["vote"], "votes")}


@pytest.fixture(scope="module")
def voted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return run(tmp_path_factory.mktemp("bags") / "project", letters(), SETTINGS)


def test_votes_on_whole_letters_find_the_paragraph_that_is_to_blame(voted) -> None:
    table, scores = letters(), pd.read_parquet(voted["instances"])
    assert scores["item_id"].value_counts().eq(5).all()
    text = table.set_index("item_id")["text"]
    parts = [text[i][a:b] for i, a, b in scores[["item_id", "start", "stop"]].to_numpy()]
    assert parts[:5] == table["text"][0].split("\n\n")
    best = scores.groupby("item_id")["score"].apply(lambda s: int(s.to_numpy().argmax()))
    bait = table[table["bait_at"] >= 0].set_index("item_id")["bait_at"]
    assert (best[bait.index] == bait).mean() > 0.9


def test_the_whole_votes_where_its_probability_is_clear(voted) -> None:
    table, of_bags = letters(), pd.read_parquet(voted["bags"])
    assert of_bags["bag_id"].tolist() == table["item_id"].tolist()
    votes, has_bags = read_votes(voted["lf_votes"], voted["votes"])
    assert has_bags and votes.shape == (len(table), 3)
    said = votes[:, 2] != ABSTAIN
    assert said.mean() > 0.8
    assert (votes[said, 2] == (table["bait_at"] >= 0)[said]).mean() > 0.9
    summary = json.loads(voted["summary"].read_text())
    assert summary["labels"] == "voted" and summary["bag_auc"] > 0.95


def test_the_report_shades_paragraphs_and_says_what_a_score_means(voted) -> None:
    page = voted["report"].read_text()
    assert "Which paragraphs make it bait?" in page
    assert "the chance of one part to be bait by itself" in page
    assert "this is agreement, not accuracy" in page
    assert "bag of its paragraphs, 750 in all" in page


def test_known_labels_are_voted_as_they_are_and_those_of_test_are_not_read(tmp_path) -> None:
    table = letters()
    label = (table["bait_at"] >= 0).astype("Int64")
    label[3] = 0  # a letter that is bait, but known as ham: what is known stands
    label[table["split"] != "unlabeled"] = 1  # wrong for half: would be seen
    label[40:60] = pd.NA
    outputs = run(tmp_path / "project", table.assign(bag_label=label), SETTINGS, "bags")
    votes = np.load(outputs["votes"])
    known = np.flatnonzero(label.notna() & (table["split"] == "unlabeled"))
    assert votes[known].tolist() == label[known].tolist()
    kept_back = (table["split"] != "unlabeled").to_numpy()
    said = kept_back & (votes != ABSTAIN)
    assert (votes[said] == (table["bait_at"] >= 0)[said]).mean() > 0.9


def test_places_of_patches_and_windows() -> None:
    images = Pixels([np.zeros((2, 8, 12, 1), np.uint8)])
    places = cut(images, BagsConfig(instances="patches"))
    assert len(places) == 2 * 3 * 5 and places["row"].tolist() == [0] * 15 + [1] * 15
    assert places[["height", "width"]].eq(4).all(axis=None)
    assert places[["top", "left"]].max().tolist() == [4, 8]
    series = Signals("series", 0, [np.zeros((13, 2), np.float32)], [[3, 10]])
    windows = cut(series, BagsConfig(instances="windows", size=4, stride=3))
    assert windows.to_numpy().tolist() == [[0, 0, 4], [1, 0, 4], [1, 3, 7], [1, 6, 10]]
    with pytest.raises(ConfigError, match='set instances = "paragraphs"'):
        cut(Texts(np.array(["a"], dtype=object)), BagsConfig(instances="patches"))


@pytest.mark.parametrize("kind", ["image", "series"])
def test_images_and_series_find_where_the_mark_is(tmp_path, kind: str) -> None:
    rng = np.random.default_rng(1)
    n = 90
    is_marked = np.arange(n) % 2 == 1
    place = rng.integers(0, 4, n)
    rows = []
    for i in range(n):
        if kind == "image":
            value = rng.integers(0, 90, (16, 16)).astype(np.uint8)
            y, x = divmod(int(place[i]), 2)
            value[8 * y + 2 : 8 * y + 6, 8 * x + 2 : 8 * x + 6] += 150 * np.uint8(is_marked[i])
        else:
            value = rng.normal(0, 1, 80).astype(np.float32)
            value[20 * place[i] : 20 * place[i] + 20] += 9.0 * is_marked[i]
        rows.append(value)
    table = pd.DataFrame(
        {
            "item_id": [f"x{i}" for i in range(n)],
            "split": ["unlabeled"] * n,
            "bag_label": is_marked.astype(int),
            "place": place.astype(str),
        }
    )
    if kind == "image":
        table["image"] = [png(value) for value in rows]
        more = 'instances = "patches"\nsize = 8\nstride = 8'
    else:
        table["series"] = [value.tolist() for value in rows]
        more = 'instances = "windows"\nsize = 20\nstride = 20'
    settings = SETTINGS.replace('instances = "paragraphs"', more) + (
        "[pretrain]\nsteps = 6\nbatch_size = 32\n" if kind == "image" else ""
    )
    outputs = run(tmp_path / "project", table, settings, "bags")
    scores = pd.read_parquet(outputs["instances"])
    best = scores["score"].to_numpy().reshape(n, 4).argmax(axis=1)
    assert (best == place)[is_marked].mean() > 0.8
    assert json.loads(outputs["summary"].read_text())["labels"] == "known"


def test_heat_lies_where_the_scores_are() -> None:
    text = Texts(np.array(["dull\n\nprize\n"], dtype=object))
    places = pd.DataFrame({"start": [6, 0], "stop": [11, 4], "score": [0.9, 0.1]})
    found = heat_of(text, 0, places)
    assert found.pieces == (("dull", 0.1), ("\n\n", None), ("prize", 0.9), ("\n", None))
    assert (found.low, found.high, found.picture) == (0.1, 0.9, "")

    image = Pixels([np.full((1, 4, 6, 1), 90, np.uint8)])
    corners = pd.DataFrame({"top": [0, 0, 0], "left": [0, 2, 3]})  # the last two overlap
    patches = corners.assign(height=4, width=[2, 3, 3], score=[0.0, 1.0, 0.5])
    found = heat_of(image, 0, patches, "data:image/png;base64,AAAA")
    drawn = base64.b64decode(found.picture.split(",")[1]).decode()
    assert '<image href="data:image/png;base64,AAAA" width="6" height="4"' in drawn
    boxes = re.findall(r'<rect x="(\d)" y="0" width="(\d)" height="4" fill="rgb\((\d+),', drawn)
    reds = [20, 226, 20 + 0.75 * 206, 20 + 0.5 * 206]  # from cold to hot: 0, 1, 0.75 and 0.5
    assert [(int(x), int(w)) for x, w, _ in boxes] == [(0, 2), (2, 1), (3, 2), (5, 1)]
    np.testing.assert_allclose([float(red) for *_, red in boxes], reds, atol=0.5)

    series = Signals("series", 0, [np.arange(8, dtype=np.float32)[:, None]], [[8]])
    places = pd.DataFrame({"start": [0, 4], "stop": [4, 9], "score": [0.0, 1.0]})
    found = heat_of(series, 0, places)
    curve = base64.b64decode(found.picture.split(",")[1]).decode()
    bands = re.findall(r'<rect x="([\d.]+)" width="([\d.]+)".*?opacity="([\d.]+)"', curve)
    assert [tuple(map(float, band)) for band in bands] == [(4.0, 46.0, 0.0), (50.0, 46.0, 0.7)]


def test_the_report_draws_whole_bags_of_unlabelled_items_best_first() -> None:
    texts = Texts(np.array(["a", "b", "c", "d", "e"], dtype=object))
    items = pd.DataFrame({"item_id": list("abcde"), "bag_id": ["x", "x", "y", "y", None]})
    bags = pd.DataFrame({"bag_id": ["x", "y", "z"], "probability": [0.2, 0.9, np.nan]})
    bags["label"] = [1, 0, 0]
    scores = np.array([0.1, 0.3, 0.8, 0.9, np.nan])
    every = np.ones(5, dtype=bool)
    drawn = bag_pictures(texts, bags, items, scores, every, seed=0)
    shown = [(p["title"], [(i["text"], i["lines"]) for i in p["instances"]]) for p in drawn]
    assert shown == [
        ("y", [("d", [("score", "0.90")]), ("c", [("score", "0.80")])]),
        ("x", [("b", [("score", "0.30")]), ("a", [("score", "0.10")])]),
    ]
    assert [p["label"] for p in drawn] == [0, 1]
    kept_back = every & (items["item_id"] != "c").to_numpy()
    assert [p["title"] for p in bag_pictures(texts, bags, items, scores, kept_back, 0)] == ["x"]
