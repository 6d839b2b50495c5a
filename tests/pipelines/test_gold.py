"""Gold by hand: a random draw, roles kept apart, labels that measure and never train."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from pipelines.draws import drawn_gold
from pipelines.engine import run_line
from pipelines.gold import Draw, add_gold, draw_gold, write_sheet
from pipelines.project import Project
from pipelines.reviews import GOLD_QUEUE, ReviewEvent, ReviewStore
from tests.pipelines.conftest import LFS, SETTINGS, shapes
from weaklight.cli import app
from weaklight.errors import DataError


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("gold") / "project"
    (root / "lfs").mkdir(parents=True)
    shapes().to_parquet(root / "items.parquet", index=False)
    (root / "weaklight.toml").write_text(SETTINGS)
    (root / "lfs" / "shapes.py").write_text(LFS)
    run_line(Project.open(root), ("ingest",))
    return root


@pytest.fixture
def project(ingested: Path, tmp_path: Path) -> Project:
    return Project.open(shutil.copytree(ingested, tmp_path / "copy"))


def items_of(project: Project, table: str = "items") -> pd.DataFrame:
    run = run_line(project, ("ingest",))
    return pd.read_parquet(project.store.path("ingest", run.artifacts["ingest"], table))


def test_a_draw_is_random_recorded_and_never_overlaps(project: Project) -> None:
    before = items_of(project).set_index("item_id")["split"]
    first = draw_gold(project, 20, "test", reviewer="ada", seed=1)
    second = draw_gold(project, 15, "calibration", reviewer="ada", seed=1)
    ids = [set(d.items["item_id"]) for d in (first, second)]
    assert not ids[0] & ids[1]
    assert set(before[list(ids[0] | ids[1])]) == {"unlabeled"}
    assert second.frame == first.frame - 20
    log = ReviewStore(project.state / "reviews.sqlite").events()
    assert log["action"].value_counts().to_dict() == {"set_role": 35, "draw_sample": 2}
    drawn = [json.loads(new) for new in log.loc[log["action"] == "draw_sample", "new"][::-1]]
    assert [(d["role"], d["seed"], d["n"]) for d in drawn] == [
        ("test", 1, 20),
        ("calibration", 1, 15),
    ]
    assert [d["frame"] for d in drawn] == [first.frame, second.frame]
    assert first.frame == (before == "unlabeled").sum()
    assert [d["probability"] for d in drawn] == [20 / first.frame, 15 / second.frame]
    after = items_of(project).set_index("item_id")["split"]
    assert set(after[list(ids[0])]) == {"test"}
    assert set(after[list(ids[1])]) == {"calibration"}
    assert (after.drop([*ids[0], *ids[1]]) == before.drop([*ids[0], *ids[1]])).all()


def test_every_item_has_the_same_chance(ingested: Path, tmp_path: Path) -> None:
    drawn: dict[str, int] = {}
    for seed in range(40):
        project = Project.open(shutil.copytree(ingested, tmp_path / str(seed)))
        draw = draw_gold(project, 30, "test", reviewer="ada", seed=seed)
        for item in draw.items["item_id"]:
            drawn[item] = drawn.get(item, 0) + 1
        shutil.rmtree(project.root)
    expected = 40 * draw.probability
    counts = np.array(list(drawn.values()))
    assert counts.max() < expected + 5 * np.sqrt(expected)


def test_draws_from_a_pool_that_grows_tell_the_chance_of_each_item(tmp_path: Path) -> None:
    pool = shapes(n_unlabeled=300, n_dev=0, n_test=0)
    (tmp_path / "lfs").mkdir()
    (tmp_path / "weaklight.toml").write_text(SETTINGS)
    project = Project.open(tmp_path)

    def grown_to(n: int) -> None:
        pool.head(n).to_parquet(tmp_path / "items.parquet", index=False)
        run_line(project, ("ingest",))

    def answer(draw: Draw, n: int) -> None:
        name, ids = project.config.classes[0], draw.items["item_id"][:n]
        project.reviews().record_many(
            [ReviewEvent(i, "ada", "relabel", new=name, queue=GOLD_QUEUE) for i in ids]
        )

    def chances() -> dict[str, float]:
        table = items_of(project, "gold_test")
        return dict(zip(table["item_id"], table["chance"], strict=True))

    grown_to(100)
    first = draw_gold(project, 20, "test", reviewer="ada")
    answer(first, 20)
    assert set(chances().values()) == {20 / 100}
    grown_to(200)
    second = draw_gold(project, 18, "dev", reviewer="ada")  # of the 80 that are left and 100 more
    grown_to(300)
    third = draw_gold(project, 60, "test", reviewer="ada")
    assert (first.unevenness, third.frame) == ("", 300 - 38)
    n_new = sum(int(i[1:]) >= 100 for i in third.items["item_id"])
    assert third.unevenness.startswith(f"{n_new} of them have come since an earlier draw")
    assert chances() == pytest.approx(dict.fromkeys(first.items["item_id"], 20 / 100))

    answer(third, 30)  # half of it, so that each item had half the chance to be known
    last = 30 / third.frame
    by_hand = [
        20 / 100 + (1 - 20 / 100) * (1 - 18 / second.frame) * last,
        (1 - 18 / second.frame) * last,
        last,
    ]
    found = chances()
    assert found == pytest.approx({i: by_hand[int(i[1:]) // 100] for i in found})
    assert len(found) == 50 and {int(i[1:]) // 100 for i in found} == {0, 1, 2}

    (tmp_path / ".weaklight" / "runs" / f"{project.runs()[0].run_id}.json").unlink()
    fourth = draw_gold(project, 5, "test", reviewer="ada")
    assert "are no longer known" in fourth.unevenness
    assert np.isnan(list(chances().values())).all()


def test_draws_of_an_earlier_version_do_not_say_since_when_items_were_there(
    project: Project,
) -> None:
    def draw(*item_ids: str) -> None:
        about = json.dumps({"role": "test", "n": len(item_ids), "frame": 4})
        roles = [ReviewEvent(i, "ada", "set_role", new="test", queue=GOLD_QUEUE) for i in item_ids]
        answers = [ReviewEvent(i, "ada", "accept", new="tall", queue=GOLD_QUEUE) for i in item_ids]
        drawn = ReviewEvent("", "ada", "draw_sample", new=about, queue=GOLD_QUEUE)
        project.reviews().record_many([drawn, *roles])
        project.reviews().record_many(answers)

    def chances() -> pd.Series:
        return drawn_gold(project.reviews()).set_index("item_id")["chance"]

    draw("i0000", "i0001")
    assert chances().to_dict() == {"i0000": 0.5, "i0001": 0.5}
    draw("i0002")
    assert chances().isna().all()
    assert run_line(project, ("ingest",)).status == "done"


def test_labels_measure_and_leave_training(project: Project, tmp_path: Path) -> None:
    store = ReviewStore(project.state / "reviews.sqlite")
    draw = draw_gold(project, 10, "test", reviewer="ada")
    sheet = tmp_path / "sheet.csv"
    write_sheet(draw, sheet)
    filled = pd.read_csv(sheet, dtype=str, keep_default_na=False)
    assert (filled["gold"] == "").all()
    name = project.config.classes[0]
    filled.loc[:6, "gold"] = name
    filled.to_csv(sheet, index=False)
    # a review from another queue is a biased sample: it is no gold, and no longer trains either
    other = filled["item_id"].iloc[9]
    store.record(ReviewEvent(other, "bob", "relabel", new=name, queue="least confident"))
    assert add_gold(project, sheet, reviewer="ada") == 7
    assert add_gold(project, sheet, reviewer="ada") == 0  # nothing new
    gold = items_of(project, "gold_test").set_index("item_id")["gold"]
    assert set(filled["item_id"][:7]) <= set(gold.index) and other not in gold.index
    run = run_line(project, ("reviews",))
    human = pd.read_parquet(project.store.path("reviews", run.artifacts["reviews"], "human"))
    assert not set(human["item_id"]) & set(filled["item_id"])


def test_labels_of_items_that_gold_draws_take_are_counted_and_kept(
    ingested: Path, tmp_path: Path
) -> None:
    root = shutil.copytree(ingested, tmp_path / "copy")
    table = pd.read_parquet(root / "items.parquet")
    ids = table.loc[table["split"] == "unlabeled", "item_id"].tolist()
    came = table["item_id"].isin(ids[:30])
    name = Project.open(root).config.classes[0]
    table.assign(
        split=table["split"].mask(came, "labeled"), gold=table["gold"].mask(came, name)
    ).to_parquet(root / "items.parquet", index=False)
    project = Project.open(root)
    run_line(project, ("ingest",))
    store = ReviewStore(project.state / "reviews.sqlite")
    reviewed = ids[20:50]
    store.record_many([ReviewEvent(i, "bob", "relabel", new=name, queue="all") for i in reviewed])
    draw = draw_gold(project, 40, "test", reviewer="ada")
    drawn = draw.items["item_id"]
    n_came, n_reviewed = int(drawn.isin(ids[:30]).sum()), int(drawn.isin(reviewed).sum())
    assert n_came and n_reviewed and draw.n_labelled == int(drawn.isin(ids[:50]).sum())
    assert draw.set_aside.startswith(f"{draw.n_labelled} of them have a label by hand from before")
    store.record(ReviewEvent(drawn[0], "ada", "relabel", new=name, queue=GOLD_QUEUE))
    told = CliRunner().invoke(app, ["gold", "plan", "--project", str(root)]).output
    assert f"test: 40 drawn, 1 labelled; {n_reviewed} reviewed before" in told
    notes = {s.name: " ".join(s.notes) for s in run_line(project, ("reviews",)).stages}
    assert f"{n_came} labeled items were drawn as gold" in notes["ingest"]
    assert f"{n_reviewed} items were reviewed before they were drawn as gold" in notes["reviews"]
    assert "kept out of training" not in notes["reviews"]
    assert set(store.current(outside=GOLD_QUEUE)["item_id"]) == set(reviewed)


def test_what_was_drawn_and_is_gone_is_told_apart(project: Project) -> None:
    drawn = draw_gold(project, 12, "test", reviewer="ada").items["item_id"]
    draw_gold(project, 2, "dev", reviewer="ada")
    name = project.config.classes[0]
    project.reviews().record_many(
        [ReviewEvent(i, "ada", "relabel", new=name, queue=GOLD_QUEUE) for i in drawn[:8]]
    )
    table = pd.read_parquet(project.root / "items.parquet")
    table[~table["item_id"].isin(drawn[6:11])].to_parquet(project.root / "items.parquet")
    plan = ["gold", "plan", "--project", str(project.root)]
    assert "test: 12 drawn, 8 labelled\n" in CliRunner().invoke(app, plan).output  # no run since
    run_line(project, ("ingest",))
    told = CliRunner().invoke(app, plan).output
    assert "dev: 2 drawn, 0 labelled\n" in told
    assert "test: 7 drawn, 6 labelled; 5 more, 2 labelled, are gone from the items\n" in told


def test_a_sheet_does_not_tell_the_class_by_a_folder(tmp_path: Path) -> None:
    paths = ["labeled/circle/1.png", "more/2.png", None]
    items = pd.DataFrame({"item_id": ["a", "b", "c"], "path": paths})
    write_sheet(Draw("test", items, 3), tmp_path / "sheet.csv")
    assert pd.read_csv(tmp_path / "sheet.csv")["path"].tolist()[:2] == ["1.png", "more/2.png"]


def test_a_sheet_comes_back_as_a_spreadsheet_saves_it(project: Project, tmp_path: Path) -> None:
    draw = draw_gold(project, 4, "dev", reviewer="ada")
    sheet = tmp_path / "sheet.csv"
    write_sheet(draw, sheet)
    assert sheet.read_bytes().startswith(b"\xef\xbb\xbf")  # by which Excel tells UTF-8
    store, name = ReviewStore(project.state / "reviews.sqlite"), project.config.classes[0]
    store.record(ReviewEvent("0012", "ada", "set_role", new="dev", queue=GOLD_QUEUE))
    ids = [*draw.items["item_id"], "0012"]
    rows = "".join(f"{i};a, b; {name.title()} \r\n" for i in (*ids[:-1], "12"))
    sheet.write_bytes(f"item_id;text;gold\r\n{rows}".encode("utf-8-sig"))
    assert add_gold(project, sheet, reviewer="ada") == 5
    drawn = store.gold()
    assert set(drawn["item_id"]) == set(ids) and set(drawn["label"]) == {name}
    sheet.write_bytes("item_id,gold\n1,круг\n".encode("cp1251"))
    with pytest.raises(DataError, match="in neither UTF-8 nor UTF-16"):
        add_gold(project, sheet, reviewer="ada")


def test_a_sheet_without_anything_new_is_told(project: Project, tmp_path: Path) -> None:
    draw = draw_gold(project, 3, "dev", reviewer="ada")
    sheet = tmp_path / "sheet.csv"
    write_sheet(draw, sheet)
    command = ["gold", "add", str(sheet), "--project", str(project.root)]
    assert "its column gold is empty" in CliRunner().invoke(app, command).output
    filled = pd.read_csv(sheet, dtype=str).assign(gold=project.config.classes[0])
    filled.to_csv(sheet, index=False)
    assert "recorded 3 labels" in CliRunner().invoke(app, command).output
    assert "or was taken in before" in CliRunner().invoke(app, command).output


def test_sheets_that_cannot_be_right_are_refused_whole(project: Project, tmp_path: Path) -> None:
    draw = draw_gold(project, 3, "dev", reviewer="ada")
    sheet = tmp_path / "sheet.csv"
    ids = draw.items["item_id"].tolist()
    stranger = items_of(project).query("split == 'unlabeled'")["item_id"].iloc[0]
    name = project.config.classes[0]
    for rows, message in (
        ([(ids[0], name), (ids[1], "nonsense")], "must name one of the classes"),
        ([(ids[0], name), (ids[1], f"{name}z")], f"did you mean '{name}'.; correct"),
        ([(ids[0], name), (ids[0], name)], "stand twice"),
        ([(ids[0], name), (stranger, name)], "only items that were drawn at random"),
    ):
        pd.DataFrame(rows, columns=["item_id", "gold"]).to_csv(sheet, index=False)
        with pytest.raises(DataError, match=message):
            add_gold(project, sheet, reviewer="ada")
    assert ReviewStore(project.state / "reviews.sqlite").gold()["label"].isna().all()
    with pytest.raises(DataError, match="may hold labels"):
        write_sheet(draw, sheet)
    with pytest.raises(DataError, match="expected to draw 1 to"):
        draw_gold(project, 10**6, "test", reviewer="ada")
    with pytest.raises(DataError, match="a role is one of"):
        draw_gold(project, 1, "train", reviewer="ada")
