"""The whole line on a small real project: caching, increments, people, poison, bad input."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from pipelines import graph, pin
from pipelines.engine import Run, plan, run_line
from pipelines.predict import predict_files
from pipelines.project import Project, RunRecord
from pipelines.reviews import ReviewEvent, ReviewStore
from pipelines.sections import PretrainConfig
from tests.pipelines.conftest import CLASSES, LFS, SETTINGS, draw, png, shapes
from tests.pipelines.test_kill import contents
from weaklight.cli import app
from weaklight.cli.show import Display
from weaklight.errors import ConfigError, DataError, LabelingError, ProjectBusyError, StorageError


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small project after its first run; copy it before changing anything."""
    root = tmp_path_factory.mktemp("line") / "project"
    (root / "lfs").mkdir(parents=True)
    shapes().to_parquet(root / "items.parquet", index=False)
    (root / "weaklight.toml").write_text(SETTINGS)
    (root / "lfs" / "shapes.py").write_text(LFS)
    run_line(Project.open(root))
    return root


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished project, free to be changed."""
    return Path(shutil.copytree(finished, tmp_path / "copy"))


def ran(record: RunRecord) -> list[str]:
    return [s.name for s in record.stages if not s.cached]


def again(root: Path, *targets: str) -> RunRecord:
    return run_line(Project.open(root), targets or ("report",))


def test_every_stage_leaves_its_outputs(finished: Path) -> None:
    project = Project.open(finished)
    run = project.latest_run()
    assert run is not None
    assert len(run.artifacts) == 11
    weak = pd.read_parquet(
        project.store.path("aggregate", run.artifacts["aggregate"], "weak_labels")
    )
    assert weak["item_id"].is_unique and len(weak) == 195
    sums = weak[["p_tall", "p_wide", "p_round"]].sum(axis=1)
    assert np.allclose(sums, 1, atol=1e-4)
    assert set(weak.loc[weak["covered"], "label"]) <= {0, 1, 2}
    evaluation = json.loads(
        project.store.path("evaluate", run.artifacts["evaluate"], "evaluation").read_text()
    )
    headline = {h["key"]: h for h in evaluation["headline"]}
    # The three LFs describe the three drawn shapes exactly, so their majority must be near perfect.
    assert headline["covered_accuracy"]["value"] > 0.9
    assert headline["classifier_accuracy"]["n"] == 45
    page = project.store.path("report", run.artifacts["report"], "report").read_text()
    assert "<script src" not in page and "http://" not in page.replace("http://www.w3.org", "")


def test_a_second_run_finds_everything_cached_and_imports_nothing_heavy(project: Path) -> None:
    assert ran(again(project)) == []
    code = (
        "import sys; from pathlib import Path; from pipelines.engine import run_line; "
        "from pipelines.project import Project; "
        f"r = run_line(Project.open({str(project)!r})); "
        "assert all(s.cached for s in r.stages); "
        "print([m for m in ('torch', 'snorkel', 'sklearn', 'skimage') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_two_runs_with_one_seed_give_the_same_bytes(finished: Path, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh"
    shutil.copytree(finished, fresh, ignore=shutil.ignore_patterns(".weaklight"))
    run_line(Project.open(fresh))
    assert contents(fresh) == contents(finished)


def test_a_plan_says_what_would_run_and_writes_nothing(project: Path) -> None:
    (project / "weaklight.toml").write_text(SETTINGS.replace("neighbors = 5", "neighbors = 4"))
    before = contents(project)
    planned = {p.name: p for p in plan(Project.open(project))}
    assert planned["pretrain"].status == "cached"
    assert (planned["embed"].status, planned["embed"].why) == ("runs", "changed: [embed] neighbors")
    assert planned["report"].status == "depends"
    assert contents(project) == before


def test_a_stage_that_runs_again_says_why(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stages = tuple(
        replace(s, version=s.version + 1) if s.name == "vote" else s for s in graph.STAGES
    )
    monkeypatch.setattr(graph, "STAGES", stages)
    version = graph.spec_of("vote").version
    why = f"changed: the stage itself (version {version - 1}, now {version})"
    opened = Project.open(project)
    assert {p.name: p.why for p in plan(opened)}["vote"] == why
    (entry,) = [s for s in run_line(opened, ("vote",)).stages if not s.cached]
    assert (entry.name, entry.why) == ("vote", why)
    Display().stage_done(entry)
    assert capsys.readouterr().err.splitlines()[0].endswith(why)
    shutil.rmtree(opened.store.folder("vote", entry.digest))
    (entry,) = [s for s in run_line(opened, ("vote",)).stages if not s.cached]
    assert entry.why == "its last result is gone"


def test_editing_an_lf_without_changing_a_vote_stops_the_cascade(project: Path) -> None:
    file = project / "lfs" / "shapes.py"
    file.write_text(LFS.replace("item.aspect > 1.4:", "1.4 < item.aspect:"))
    # The LF has another version, which the LF table shows; no label can have changed.
    assert ran(again(project)) == ["vote", "evaluate"]
    file.write_text(LFS.replace("item.aspect > 1.4", "item.aspect > 100"))
    assert "aggregate" in ran(again(project))


def test_new_items_cost_only_themselves_and_never_retrain(project: Path) -> None:
    caches = project / ".weaklight" / "cache"
    before = {p: p.stat().st_size for p in caches.rglob("*") if p.is_file()}
    table = pd.read_parquet(project / "items.parquet")
    new = shapes(20, 0, 0, seed=9).assign(bag_id=None, bag_label=pd.NA)
    new["item_id"] = [f"new{i}" for i in range(20)]
    pd.concat([table, new], ignore_index=True).to_parquet(project / "items.parquet", index=False)
    record = again(project)
    assert "pretrain" not in ran(record)
    assert {"ingest", "embed", "vote"} <= set(ran(record))
    grown = [p for p in caches.rglob("*.npz") if p not in before]
    sizes = [len(np.load(p)["keys"]) for p in grown if "features" in p.parts]
    assert sizes == [20]  # the features of the twenty new items and no others


def test_a_run_says_how_the_items_changed_and_which_labels_by_hand_are_concerned(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    opened = Project.open(project)
    for item in ("i0000", "i0001", "i0002", "i0003"):
        opened.reviews().record(ReviewEvent(item, "ann", "relabel", new="tall"))
    table = pd.read_parquet(project / "items.parquet").set_index("item_id", drop=False)
    new = table.iloc[[10, 11, 12]].assign(item_id=["new0", "new1", "new2"])
    table.at["i0001", "image"] = table.at["i0010", "image"]
    table.at["i0020", "image"] = table.at["i0010", "image"]
    pd.concat([table.drop(["i0000", "i0030"]), new]).to_parquet(
        project / "items.parquet", index=False
    )
    told = [
        "since the run before, 3 items are new, 2 items are gone, 2 items have other content",
        "of those gone, 1 has a label by hand: kept, in case they return",
        "of those with other content, 1 has a label by hand, which counts all the same: "
        "look again at i0001",
    ]
    ingested, *_, pretrained = again(project, "pretrain").stages
    assert ingested.notes[:3] == tuple(told)
    assert "; by now there are 121, which --refresh-encoder would take" in pretrained.notes[0]
    for entry, cached in ((ingested, False), (pretrained, True)):
        assert entry.cached == cached
        Display().stage_done(entry)
        assert entry.notes[0] in capsys.readouterr().err
    ingested = again(project, "ingest").stages[0]
    assert not any("the run before" in note for note in ingested.notes)


def test_refresh_decides_when_the_encoder_is_trained_again(project: Path) -> None:
    opened = Project.open(project)
    run = opened.latest_run()
    assert run is not None
    first = run.artifacts["ingest"]
    assert pin.choose_snapshot(opened, first)[1].startswith("pinned to 120 items")
    table = pd.read_parquet(project / "items.parquet")
    new = shapes(40, 0, 0, seed=9).assign(bag_id=None, bag_label=pd.NA)
    new["item_id"] = [f"new{i}" for i in range(40)]
    pd.concat([table, new], ignore_index=True).to_parquet(project / "items.parquet", index=False)
    with Run(opened) as started:
        grown = started.stage("ingest").digest
    assert pin.choose_snapshot(opened, grown)[0] == first
    assert pin.choose_snapshot(opened, grown, force=True)[0] == grown
    for refresh, expected in (("growth:0.25", grown), ("growth:0.5", first)):
        (project / "weaklight.toml").write_text(
            SETTINGS.replace("[pretrain]", f'[pretrain]\nrefresh = "{refresh}"')
        )
        assert pin.choose_snapshot(Project.open(project), grown)[0] == expected
    (project / "weaklight.toml").write_text(
        SETTINGS.replace("[pretrain]", '[pretrain]\nrefresh = "0 3 * * *"')
    )
    nightly = Project.open(project)
    old = pin.read_pin(nightly)
    assert old is not None
    pinned = datetime.fromisoformat(old.pinned_at)
    assert pin.choose_snapshot(nightly, grown, now=pinned)[0] == first
    later = datetime(pinned.year + 1, 1, 1, tzinfo=UTC)
    assert pin.choose_snapshot(nightly, grown, now=later)[0] == grown


def test_a_key_that_an_update_adds_trains_nothing_anew_until_it_is_set(project: Path) -> None:
    class Later(PretrainConfig):
        flop: bool = True

    for flop, status, why in (
        (True, "cached", "pinned to 120 items"),
        (False, "runs", "changed: [pretrain] flop"),
    ):
        opened = Project.open(project)
        set_before = opened.config.pretrain.model_dump(exclude_unset=True)
        updated = {"pretrain": Later(**set_before, flop=flop)}
        opened.config = opened.config.model_copy(update=updated)
        planned = {p.name: p for p in plan(opened)}["pretrain"]
        assert planned.status == status and planned.why.startswith(why)


def test_an_option_is_another_setting_only_where_it_says_what_would_not_hold_anyway(
    project: Path,
) -> None:
    for options, status, why in (
        ({"projection_dim": 128}, "cached", "pinned to 120 items"),
        ({"projection_dim": 64}, "runs", "changed: [pretrain] options"),
    ):
        opened = Project.open(project)
        pretrain = opened.config.pretrain.model_copy(update={"options": options})
        opened.config = opened.config.model_copy(update={"pretrain": pretrain})
        planned = {p.name: p for p in plan(opened)}["pretrain"]
        assert planned.status == status and planned.why.partition(" of ")[0] == why


def test_a_review_reruns_only_what_depends_on_it_and_outranks_the_rest(project: Path) -> None:
    opened = Project.open(project)
    first = opened.latest_run()
    assert first is not None
    weak = pd.read_parquet(
        opened.store.path("aggregate", first.artifacts["aggregate"], "weak_labels")
    )
    item = weak.loc[weak["covered"], "item_id"].iloc[0]
    old = opened.config.classes[int(weak.set_index("item_id").loc[item, "label"])]
    new = next(c for c in opened.config.classes if c != old)
    store = ReviewStore(opened.state / "reviews.sqlite")
    store.record(ReviewEvent(item_id=item, reviewer="ann", action="relabel", old=old, new=new))
    test_item = "i0170"
    store.record(ReviewEvent(item_id=test_item, reviewer="ann", action="relabel", old=old, new=new))
    record = again(project)
    assert set(ran(record)) & {"ingest", "pretrain", "embed", "vote", "bags"} == set()
    weak = pd.read_parquet(
        opened.store.path("aggregate", record.artifacts["aggregate"], "weak_labels")
    ).set_index("item_id")
    assert weak.loc[item, "source"] == "human"
    assert opened.config.classes[int(weak.loc[item, "label"])] == new
    assert weak.loc[item, "confidence"] == 1.0
    assert weak.loc[test_item, "source"] != "human"  # people's word on test items trains nothing


def test_nothing_but_evaluate_reads_test_gold(project: Path) -> None:
    opened = Project.open(project)
    first = opened.latest_run()
    assert first is not None
    table = pd.read_parquet(project / "items.parquet")
    is_test = table["split"] == "test"
    table.loc[is_test, "gold"] = table.loc[is_test, "gold"].to_numpy()[::-1]  # poison
    table.to_parquet(project / "items.parquet", index=False)
    record = again(project)
    assert ran(record) == ["ingest", "evaluate", "report"]
    for name in ("pretrain", "embed", "vote", "bags", "aggregate", "clean", "train"):
        assert record.artifacts[name] == first.artifacts[name]


def test_each_other_evaluation_is_one_more_look_at_the_same_test_gold(project: Path) -> None:
    def looks(settings: str = SETTINGS) -> tuple[int | None, bool]:
        (project / "weaklight.toml").write_text(settings)
        record = again(project, "evaluate")
        (stage,) = (s for s in record.stages if s.name == "evaluate")
        return record.test_looks, any("look number" in note for note in stage.notes)

    assert looks() == (1, False)
    assert looks(SETTINGS.replace("neighbors = 5", "neighbors = 4")) == (2, True)
    assert looks() == (2, True)  # seen before, and by now it is one of two
    table = pd.read_parquet(project / "items.parquet")
    table.loc[table["split"] == "test", "gold"] = CLASSES[0]
    table.to_parquet(project / "items.parquet", index=False)
    assert looks() == (3, True)  # the same items, whatever their gold is by now


def test_a_record_of_a_later_version_is_read(project: Path) -> None:
    opened = Project.open(project)
    (path,) = (project / ".weaklight" / "runs").glob("*.json")
    before, data = RunRecord.read(path), json.loads(path.read_text())
    data["stages"][0]["mood"] = data["mood"] = "good"
    path.write_text(json.dumps(data))
    assert opened.latest_run() == before


def test_a_second_run_at_the_same_time_is_refused(project: Path) -> None:
    with Project.open(project).locked(), pytest.raises(ProjectBusyError, match="another run"):
        again(project)


@pytest.mark.parametrize(
    ("lfs", "error", "words"),
    [
        ("", DataError, "there is no labelling function"),
        ("def broken(:\n", LabelingError, "shapes.py"),
        (
            LFS.replace("item.aspect > 1.4", "item.aspect > 1e9")
            .replace("aspect < 0.7", "aspect < -1")
            .replace("0.8 <= item.aspect <= 1.25", "False")
            .replace("(aspect > 1.6) | (aspect < 0.6)", "aspect < -1"),
            DataError,
            "too few to train|abstains on every item",
        ),
    ],
)
def test_lfs_that_give_nothing_stop_with_what_to_do(
    project: Path, lfs: str, error: type[Exception], words: str
) -> None:
    (project / "lfs" / "shapes.py").write_text(lfs)
    settings = SETTINGS.replace('[bags]\npositive = "tall"\nfolds = 3\n', "")
    (project / "weaklight.toml").write_text(settings)
    with pytest.raises(error, match=words):
        again(project)
    failed = Project.open(project).latest_run("failed")
    assert failed is not None and failed.error


def test_an_lf_that_raises_is_named_and_the_run_goes_on(project: Path) -> None:
    extra = '''

@labeling_function()
def hopeless(item):
    """Raises on tall things."""
    if item.aspect > 1.4:
        raise ValueError("no idea")
'''
    (project / "lfs" / "shapes.py").write_text(LFS + extra)
    record = again(project)
    lfs = json.loads(
        Project.open(project).store.path("vote", record.artifacts["vote"], "lfs").read_text()
    )
    report = next(r for r in lfs if r["name"] == "hopeless")
    assert report["n_errors"] > 20
    assert "ValueError: no idea" in report["first_traceback"]
    assert record.status == "done"


def test_votes_of_one_class_only_stop_with_what_to_do(project: Path) -> None:
    only = LFS.split("@labeling_function(columns")[0]
    (project / "lfs" / "shapes.py").write_text(only)
    settings = SETTINGS.replace('[bags]\npositive = "tall"\nfolds = 3\n', "")
    (project / "weaklight.toml").write_text(settings)
    with pytest.raises(DataError, match="only the classes"):
        again(project)


def test_an_unknown_key_stops_before_anything_runs(project: Path) -> None:
    (project / "weaklight.toml").write_text(SETTINGS + "\n[pretrian]\nsteps = 3\n")
    with pytest.raises(ConfigError, match="did you mean 'pretrain'"):
        Project.open(project)


def test_a_disk_that_fills_up_keeps_nothing_half_written(finished: Path, tmp_path: Path) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(mount)], capture_output=True
    )
    if made.returncode != 0:
        pytest.skip("mounting a small file system needs root")
    try:
        shutil.copytree(
            finished, mount, ignore=shutil.ignore_patterns(".weaklight"), dirs_exist_ok=True
        )
        with pytest.raises(StorageError, match="disk is full"):
            again(mount)
        left = list((mount / ".weaklight" / "artifacts").glob("*/.writing-*"))
        assert left == []
        subprocess.run(["mount", "-o", "remount,size=64m", str(mount)], check=True)
        assert again(mount).status == "done"
        assert contents(mount) == contents(finished)
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def test_items_whose_features_are_not_finite_are_set_aside(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pipelines.encoders as encoders

    original = encoders.embed_images

    def broken(*args: object, **kwargs: object) -> np.ndarray:
        features = original(*args, **kwargs)
        features[3] = np.nan
        return features

    monkeypatch.setattr(encoders, "embed_images", broken)
    shutil.rmtree(project / ".weaklight")
    record = again(project)
    opened = Project.open(project)
    present = np.load(opened.store.path("embed", record.artifacts["embed"], "present"))
    assert present.sum() == 194 and not present[3]
    weights = np.load(opened.store.path("clean", record.artifacts["clean"], "weights"))
    assert weights[3] == 0
    probabilities = np.load(opened.store.path("train", record.artifacts["train"], "probabilities"))
    assert np.isfinite(probabilities).all()


def test_new_images_are_labelled_by_the_newest_trained_classifier(project: Path) -> None:
    again(project, "vote")  # a later run that trains nothing does not hide the classifier
    folder = project / "new"
    folder.mkdir()
    rng = np.random.default_rng(5)
    for i in range(6):
        (folder / f"{i}.png").write_bytes(png(draw("tall", rng)))
    (folder / "broken.png").write_bytes(b"no image")
    table, dropped = predict_files(Project.open(project), [folder])
    assert [path.name for path, _ in dropped] == ["broken.png"]
    assert (table["label"] == "tall").sum() >= 4
    assert np.allclose(table[["p_tall", "p_wide", "p_round"]].sum(axis=1), 1, atol=1e-4)
    (folder / "noise.png").write_bytes(png(rng.integers(0, 256, (16, 16), dtype=np.uint8)))
    sure, _ = predict_files(Project.open(project), [folder])
    bar = float(sure["probability"].max())
    some, _ = predict_files(Project.open(project), [folder], at_least=bar)
    assert 0 < some["label"].isna().sum() < len(some)
    assert (some["label"].isna() == (sure["probability"] < bar)).all()
    wish = ["predict", str(folder), "--project", str(project), "--at-least", str(bar)]
    said = CliRunner().invoke(app, wish, catch_exceptions=False).output
    assert f"no label for {some['label'].isna().sum()} of 7: no class has" in said
    assert said.count("(abstains)") == some["label"].isna().sum()


def test_every_bad_row_and_good_row_is_accounted_for(make_project: Callable[..., Path]) -> None:
    table = shapes()
    table.loc[[0, 1], "image"] = [b"", b"junk"]
    record = run_line(Project.open(make_project(table)), ("ingest",))
    metrics = record.stages[0].metrics
    assert metrics["n"] + metrics["n_dropped"] == metrics["n_read"] == len(table)
