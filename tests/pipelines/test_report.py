"""`evaluate` and `report` on a planted run: numbers computed by hand here, then looked up there."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from collections.abc import Callable
from dataclasses import fields
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from pipelines.engine import run_line
from pipelines.project import Project
from pipelines.report import charts
from pipelines.report.words import (
    comparison_words,
    gain_words,
    headline_sentence,
    interval,
    model_name,
    percent,
    points,
    share,
)
from pipelines.sections import EvaluateConfig, ReportConfig
from pipelines.stages.base import StageResult, Work
from pipelines.stages.evaluate import EvaluateInputs, _lf_findings, evaluate
from pipelines.stages.report import ReportInputs, report
from ssl_models import build_backbone
from ssl_models.encoders import save_encoder
from ssl_models.pictures.draw import GAP
from tests.pipelines.conftest import SETTINGS
from tests.pipelines.planted import CLASSES, LF_NAMES, Planted, write_run
from weak_supervision.classifiers import LinearHead
from weak_supervision.label_models import hard_labels
from weak_supervision.neighbors import build_graph
from weak_supervision.noise import find_issues
from weaklight.contracts import ABSTAIN
from weaklight.intervals import Proportion, wilson

HEADLINE = [
    "majority_vote_accuracy",
    "coverage",
    "covered_accuracy",
    "posterior_accuracy",
    "classifier_accuracy",
    "majority_vote_head_accuracy",
    "gold_only_accuracy_100",
    "gold_only_accuracy_all",
    "knn_ssl",
    "knn_pixels",
]


def run_stage(
    root: Path, stage: Any, inputs: Any, config: Any, files: dict[str, Path]
) -> StageResult:
    """Run a stage into ``root/<its name>``."""
    out = root / stage.__name__
    out.mkdir()
    paths = {f.name: files[f.name] for f in fields(inputs) if f.name in files}
    work = Work(out, root / "scratch", root / "cache", root, 0, CLASSES)
    result: StageResult = stage(inputs(**paths), config, work)
    assert all((out / file).exists() for file in result.outputs.values())
    return result


class Made:
    """Both stages run on a planted run."""

    def __init__(
        self,
        root: Path,
        planted: Planted,
        title: str = "",
        config: EvaluateConfig = EvaluateConfig(),  # noqa: B008 (frozen)
    ) -> None:
        self.planted = planted
        self.evaluated = run_stage(root, evaluate, EvaluateInputs, config, planted.files)
        planted.files["evaluation"] = root / "evaluate" / "evaluation.json"
        planted.files["lf_table"] = root / "evaluate" / "lf_table.parquet"
        planted.files["graph"] = root / "graph"
        build_graph(np.load(planted.files["features"])).save(root / "graph")
        run_stage(root, report, ReportInputs, ReportConfig(title=title), planted.files)
        self.evaluation = json.loads(planted.files["evaluation"].read_text())
        self.lf_table = pd.read_parquet(planted.files["lf_table"])
        self.page = (root / "report" / "report.html").read_text()
        self.numbers = json.loads((root / "report" / "report.json").read_text())
        self.headline = {entry["key"]: entry for entry in self.evaluation["headline"]}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    root = tmp_path_factory.mktemp("planted")
    return Made(root, write_run(root), title="Shoes & <i>bags</i>")


@pytest.fixture(scope="module")
def without_gold(tmp_path_factory: pytest.TempPathFactory) -> Made:
    root = tmp_path_factory.mktemp("without_gold")
    return Made(root, write_run(root, gold_splits=()))


# evaluate -----------------------------------------------------------------------------------------


def majority_labels(planted: Planted) -> np.ndarray:
    """Majority vote written out: count, and hand ties to the class that the item's hash picks."""
    labels = np.empty(len(planted.votes), dtype=int)
    for row, votes in enumerate(planted.votes):
        counts = [int((votes == c).sum()) for c in range(3)]
        tied = [c for c in range(3) if counts[c] == max(counts)]
        digest = hashlib.sha1(f"item-{row:04d}".encode(), usedforsecurity=False).hexdigest()
        labels[row] = tied[int(digest, 16) % len(tied)]
    return labels


def test_majority_vote_is_counted_by_hand(made: Made) -> None:
    planted, test = made.planted, made.planted.split == "test"
    right = majority_labels(planted) == planted.gold
    covered = (planted.votes != ABSTAIN).any(axis=1)
    for key, hits, n in (
        ("majority_vote_accuracy", right[test].sum(), 200),
        ("coverage", covered[test].sum(), 200),
        ("covered_accuracy", right[test & covered].sum(), (test & covered).sum()),
    ):
        low, high = wilson(int(hits), int(n))
        entry = made.headline[key]
        assert (entry["value"], entry["n"]) == (pytest.approx(hits / n), n)
        assert (entry["low"], entry["high"]) == (pytest.approx(low), pytest.approx(high))
        assert entry["split"] == "test"
    dev = planted.split == "dev"
    assert f"majority vote on {100 * right[dev].mean():.1f} %" in made.evaluation["choice_check"]


def test_classifier_confusion_and_steps_agree_with_the_arrays(made: Made) -> None:
    planted, test = made.planted, made.planted.split == "test"
    said = np.load(planted.files["probabilities"]).argmax(axis=1)
    confusion = np.zeros((3, 3), dtype=int)
    np.add.at(confusion, (planted.gold[test], said[test]), 1)
    assert made.evaluation["classifier"]["confusion"] == confusion.tolist()
    accuracy = confusion.diagonal().sum() / 200
    assert made.headline["classifier_accuracy"]["value"] == pytest.approx(accuracy)
    steps = {step["key"]: step for step in made.evaluation["steps"]}
    assert list(steps) == [
        "majority_vote",
        "dawid_skene",
        "dawid_skene+features",
        "majority_vote+features",
        "chosen",
        "cleaned",
        "classifier",
    ]
    assert steps["classifier"]["test"]["overall"]["value"] == pytest.approx(accuracy)
    dev = planted.split == "dev"
    assert steps["classifier"]["dev"]["overall"]["value"] == pytest.approx(
        (said == planted.gold)[dev].mean()
    )
    assert steps["chosen"]["test"] == steps["dawid_skene+features"]["test"]
    assert steps["cleaned"]["test"]["overall"]["value"] is None
    assert steps["cleaned"]["test"]["coverage"]["value"] <= 1


def test_the_rule_of_cleaning_is_put_to_items_with_gold(tmp_path: Path) -> None:
    planted = write_run(tmp_path)
    stated = (0.1 + 0.7 * np.eye(3)[planted.gold]).astype(np.float32)  # it knows better
    stated[::7] = stated[::7, [1, 2, 0]]  # not always
    np.save(planted.files["out_of_fold"], stated)
    run_stage(tmp_path, evaluate, EvaluateInputs, EvaluateConfig(), planted.files)
    found = json.loads((tmp_path / "evaluate" / "evaluation.json").read_text())
    cleaned = next(step for step in found["steps"] if step["key"] == "cleaned")
    keys = [f"item-{i:04d}" for i in range(len(planted.gold))]
    weak = hard_labels(np.load(planted.files["posteriors"] / "chosen.npy"), keys=keys)
    for split in ("dev", "test"):
        rows = np.flatnonzero(planted.split == split)
        is_doubted = np.zeros(len(rows), dtype=bool)
        is_doubted[find_issues(weak[rows], stated[rows])["row"]] = True
        is_wrong = weak[rows] != planted.gold[rows]
        assert 0 < is_doubted.sum() < len(rows)
        assert cleaned[split]["coverage"]["value"] == pytest.approx(1 - is_doubted.mean())
        told = found["cleaning"][split]
        assert told["precision"]["value"] == pytest.approx(is_wrong[is_doubted].mean())
        assert told["recall"]["value"] == pytest.approx(is_doubted[is_wrong].mean())


def test_the_majority_votes_head_learns_from_unlabelled_items_alone(made: Made) -> None:
    planted, features = made.planted, np.load(made.planted.files["features"])
    posterior = np.load(planted.files["posteriors"] / "majority_vote.npy")
    taught = (planted.split == "unlabeled") & (planted.votes != ABSTAIN).any(axis=1)
    head = LinearHead().fit(features[taught], posterior[taught])
    test = planted.split == "test"
    right = (head.predict(features[test]) == planted.gold[test]).mean()
    assert made.headline["majority_vote_head_accuracy"]["value"] == pytest.approx(right)


def test_headline_has_every_key_with_an_interval(made: Made) -> None:
    assert [entry["key"] for entry in made.evaluation["headline"]] == HEADLINE
    for entry in made.evaluation["headline"]:
        assert entry["low"] <= entry["value"] <= entry["high"]
    assert made.evaluated.metrics == {k: made.headline[k]["value"] for k in HEADLINE}
    # the planted features tell the classes apart; pixels do so by brightness, cosine ignores it
    assert made.headline["knn_ssl"]["value"] > 0.7 > made.headline["knn_pixels"]["value"]


def test_gold_only_100_is_the_median_draw_of_the_curve(made: Made) -> None:
    crossover = made.evaluation["crossover"]
    sizes = [point["size"] for point in crossover["points"]]
    assert sizes == [20, 50, 100, 120]
    values = sorted(crossover["points"][2]["values"])
    assert len(values) == 5
    assert made.headline["gold_only_accuracy_100"]["value"] == values[2]
    assert made.headline["gold_only_accuracy_all"]["value"] == crossover["points"][3]["mean"]


def test_comparisons_are_on_the_same_rows(made: Made) -> None:
    compared = {(c["first"], c["second"]): c for c in made.evaluation["comparisons"]}
    assert set(compared) == {
        ("classifier", "majority_vote"),
        ("classifier", "chosen"),
        ("classifier", "majority_vote_head_accuracy"),
        ("classifier", "gold_only_accuracy_100"),
        ("classifier", "gold_only_accuracy_all"),
        ("knn_ssl", "knn_pixels"),
    }
    planted, test = made.planted, made.planted.split == "test"
    said = np.load(planted.files["probabilities"]).argmax(axis=1)
    one, two = (said == planted.gold)[test], (majority_labels(planted) == planted.gold)[test]
    against_majority = compared["classifier", "majority_vote"]
    assert against_majority["only_first"] == (one & ~two).sum()
    assert against_majority["only_second"] == (two & ~one).sum()
    difference = (
        made.headline["classifier_accuracy"]["value"]
        - made.headline["majority_vote_accuracy"]["value"]
    )
    assert against_majority["difference"] == pytest.approx(difference)
    assert against_majority["low"] < difference < against_majority["high"]


def test_lf_table_holds_dev_and_test_side_by_side(made: Made) -> None:
    planted, table = made.planted, made.lf_table.set_index("name")
    assert tuple(table.index) == LF_NAMES
    for j, name in enumerate(LF_NAMES):
        voted = planted.votes[:, j] != ABSTAIN
        assert table.loc[name, "coverage"] == pytest.approx(voted.mean())
        for split in ("dev", "test"):
            rows = voted & (planted.split == split)
            right = int((planted.votes[rows, j] == planted.gold[rows]).sum())
            assert table.loc[name, f"{split}_n"] == rows.sum()
            if rows.any():
                low, high = wilson(right, int(rows.sum()))
                assert table.loc[name, f"{split}_accuracy"] == pytest.approx(right / rows.sum())
                assert table.loc[name, f"{split}_low"] == pytest.approx(low)
                assert table.loc[name, f"{split}_high"] == pytest.approx(high)
    assert table.loc["good", "description"] == "Says good."
    voted = planted.votes[:, 0] != ABSTAIN
    label = pd.read_parquet(planted.files["weak_labels"])["label"].to_numpy()
    fits = (planted.votes[voted, 0] == label[voted]).mean()
    assert table.loc["good", "agreement"] == pytest.approx(fits)


def test_findings_about_lfs_use_gold_of_dev_alone() -> None:
    gold = np.tile([0, 1], 100)
    split = np.repeat(["dev", "test"], 100)
    wrong_on_dev = np.where(split == "dev", 1 - gold, gold)
    wrong_on_test = 1 - wrong_on_dev
    run = SimpleNamespace(
        votes=np.stack([wrong_on_dev, wrong_on_test], axis=1).astype(np.int16),
        lfs=[{"name": "wrong_on_dev"}, {"name": "wrong_on_test"}],
        classes=("a", "b"),
        class_sets=(),
        gold=gold,
        in_split=lambda name: split == name,
    )
    (finding,) = _lf_findings(run)
    assert finding["kind"] == "below chance" and finding["lfs"] == ("wrong_on_dev",)
    assert "0 of 100" in finding["sentence"]


def test_agreement_of_lf_pairs_is_counted_by_hand(made: Made) -> None:
    votes, agreeing, pairs = made.planted.votes, 0, 0
    for row in votes:
        given = row[row != ABSTAIN]
        for i in range(len(given)):
            for j in range(i):
                pairs += 1
                agreeing += int(given[i] == given[j])
    found = {a["key"]: a for a in made.evaluation["agreement"]}["lf_pairs"]
    assert (found["n"], found["value"]) == (pairs, pytest.approx(agreeing / pairs))


def test_without_gold_nothing_is_called_accuracy(without_gold: Made) -> None:
    assert without_gold.evaluation["word"] == "agreement"
    for key, entry in without_gold.headline.items():
        if key == "coverage":
            assert entry["value"] is not None
        else:
            assert (entry["value"], entry["low"], entry["high"], entry["n"]) == (
                None,
                None,
                None,
                0,
            )
            assert entry["reason"]
    assert all("reason" in c for c in without_gold.evaluation["comparisons"])
    assert "reason" in without_gold.evaluation["crossover"]
    assert "reason" in without_gold.evaluation["calibration"]
    assert all(a["value"] is not None for a in without_gold.evaluation["agreement"])
    assert "nothing here is an accuracy" in without_gold.numbers["sentence"]
    words = " ".join(read(without_gold.page).words)
    for claim in ("Baselines on the same test items", "Compared row by row", "Right after it"):
        assert claim not in words
    assert "how good the labels are after each step cannot be told" in words
    assert "there was no gold to tune or to measure it by" in words
    assert without_gold.lf_table["dev_n"].sum() == 0


def test_hand_labels_that_teach_are_among_those_of_the_baselines(tmp_path: Path) -> None:
    """Twelve dev rows and 200 labelled to teach: who has all 212 could do without weak labels."""
    planted = write_run(tmp_path, sizes=(400, 12, 200))
    path = planted.files["weak_labels"]
    weak = pd.read_parquet(path)
    weak.loc[:199, "source"] = "human"
    weak.to_parquet(path)
    names = (tmp_path / "artifacts" / "all" / "planted" / "posteriors").glob("chosen.npy")
    (chosen,) = names
    posterior = np.load(chosen)
    posterior[:200] = np.eye(3)[planted.gold[:200]]
    np.save(chosen, posterior)
    made = Made(tmp_path, planted)
    everything = made.headline["gold_only_accuracy_all"]
    assert everything["title"] == "Classifier on all 212 hand labels, nothing else"
    assert made.headline["gold_only_accuracy_100"]["value"] is not None
    assert "of 212 hand labels" in made.headline["knn_ssl"]["title"]
    assert [p["size"] for p in made.evaluation["crossover"]["points"]][-1] == 212


@pytest.mark.parametrize(
    ("sizes", "gold_splits", "key", "reason"),
    [
        ((60, 12, 30), ("dev", "test"), "gold_only_accuracy_100", "only 12 hand labels"),
        ((60, 30, 30), ("test",), "gold_only_accuracy_all", "no gold on the dev split"),
        ((60, 30, 30), ("dev",), "classifier_accuracy", "no gold on the test split"),
        ((60, 30, 0), ("dev",), "knn_ssl", "no gold on the test split"),
    ],
)
def test_what_cannot_be_measured_says_why(
    tmp_path: Path, sizes: tuple[int, int, int], gold_splits: tuple[str, ...], key: str, reason: str
) -> None:
    made = Made(tmp_path, write_run(tmp_path, sizes=sizes, gold_splits=gold_splits))
    assert made.headline[key]["value"] is None
    assert made.headline[key]["reason"].startswith(reason)
    assert made.page.startswith("<!doctype html>")


def test_a_hundred_hand_labels_are_named_once(tmp_path: Path) -> None:
    made = Made(tmp_path, write_run(tmp_path, sizes=(60, 100, 30)))
    assert "gold_only_accuracy_100" not in made.headline
    assert made.headline["gold_only_accuracy_all"]["n_by_hand"] == 100
    assert made.headline["majority_vote_head_accuracy"]["n_by_hand"] is None
    words = " ".join(read(made.page).words)
    assert "all 100 hand labels" in words and "draw of median accuracy" not in words


@pytest.mark.parametrize("sizes", [(60, 30, 12), (60, 30, 30), (400, 12, 40), (400, 120, 200)])
def test_the_two_sentences_at_the_top_agree(tmp_path: Path, sizes: tuple[int, int, int]) -> None:
    made = Made(tmp_path, write_run(tmp_path, sizes=sizes))
    first, crossover = made.numbers["sentence"], made.evaluation["crossover"]
    if sizes[2] < 20:
        assert "too few for a number" in first and "sentence" not in crossover
        assert "Your weak labels are worth" not in made.page
        return
    (against_all,) = [
        c for c in made.evaluation["comparisons"] if c["second"] == "gold_only_accuracy_all"
    ]
    is_clear = against_all["verdict"] == "better"
    alone = f"better than training on the {sizes[1]} hand labels alone"
    assert (alone in first) == is_clear
    says = f"worth more than all {sizes[1]} hand labels." in crossover["sentence"]
    assert says == is_clear
    if against_all["verdict"] == "no clear difference":
        assert f"to more than {sizes[1]} by the 95 % interval" in crossover["sentence"]


def test_a_page_of_few_test_items_gives_no_accuracy_on_them(tmp_path: Path) -> None:
    made = Made(tmp_path, write_run(tmp_path, sizes=(60, 30, 12)))
    measured = [c for c in made.evaluation["comparisons"] if "reason" not in c]
    assert measured and {comparison_words(c) for c in measured} == {
        "too few test items (12) to say"
    }
    assert made.evaluation["calibration"] == {"reason": "only 12 test items have gold"}
    known = {
        percent(made.headline[key]["value"])
        for key in ("majority_vote_accuracy", "posterior_accuracy", "classifier_accuracy")
    }
    of_dev = {percent(step["dev"]["overall"]["value"]) for step in made.evaluation["steps"]}
    words = " ".join(read(made.page).words)
    assert known - of_dev and not any(value in words for value in known - of_dev)


# report -------------------------------------------------------------------------------------------


class Reader(HTMLParser):
    """Collects tags, what they refer to, and the words of the page."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.references: list[str] = []
        self.words: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)
        self.references += [v or "" for k, v in attrs if k in ("src", "href", "srcset", "data")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    return reader


def test_the_page_is_whole_and_needs_nothing_from_outside(made: Made, without_gold: Made) -> None:
    for page in (made.page, without_gold.page):
        reader = read(page)
        assert reader.open == []  # every tag is closed, in order
        assert "script" not in reader.tags
        assert all(r.startswith("data:image/png;base64,") for r in reader.references)
        assert "url(" not in page
        assert "@import" not in page
        assert len(page.encode()) < 1_500_000
        assert "prefers-color-scheme: dark" in page


def test_every_user_string_is_escaped(made: Made) -> None:
    assert "<script>" not in made.page
    assert "<i>bags" not in made.page
    assert "<b>bold" not in made.page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in made.page
    assert "Shoes &amp; &lt;i&gt;bags&lt;/i&gt;" in made.page
    assert "left-out functions &lt;better&gt;" in made.page
    assert "&amp;amp;" not in made.page
    assert "&amp;lt;" not in made.page


def test_the_page_shows_the_numbers(made: Made) -> None:
    words = re.sub(r"\s+", " ", " ".join(read(made.page).words))
    for key in HEADLINE:
        assert percent(made.headline[key]["value"]) in words
    assert made.numbers["sentence"] in words
    assert made.evaluation["crossover"]["sentence"] in words
    for lf in made.numbers["lfs"]:
        for split in ("dev", "test"):
            if lf[f"{split}_n"] >= 20:
                assert percent(lf[f"{split}_accuracy"]) in words
    for step in made.evaluation["gains"]:
        assert step["title"] in words and gain_words(step) in words
    first = words.partition("Label quality, step by step")[0]
    for title in ("Majority vote", "Weak labels", "Classifier"):
        found = [s for s in made.evaluation["sensitivity"] if s["title"] == title]
        ends = {"low": min(s["low"] for s in found), "high": max(s["high"] for s in found)}
        assert interval(ends) in first
    assert "too few" in words  # the shy LF
    assert "2 of the 400 labels of unlabelled items are doubted" in words
    assert "non-iid check, p < 0.001" in words
    assert "Dropped: image cannot be decoded" in words
    assert made.numbers["provenance"]["inputs"]["weak_labels"] in words


def test_report_json_holds_the_same_numbers(made: Made) -> None:
    assert made.numbers["evaluation"] == made.evaluation
    assert made.numbers["cleaning"]["n_issues"] == 2
    assert sum(made.numbers["weak_labels"]["by_class"].values()) == 720
    labels = made.planted.files["weak_labels"].read_bytes()
    digests = made.numbers["provenance"]["inputs"]
    assert digests["weak_labels"] == hashlib.sha256(labels).hexdigest()


def test_equal_inputs_give_equal_bytes_wherever_they_lie(made: Made, tmp_path: Path) -> None:
    again = Made(tmp_path, write_run(tmp_path), title="Shoes & <i>bags</i>")
    assert again.page == made.page
    assert again.numbers == made.numbers
    pd.testing.assert_frame_equal(again.lf_table, made.lf_table)


def test_pictures_are_of_dev_and_sorted_right_from_wrong(made: Made) -> None:
    planted = made.planted
    weak = pd.read_parquet(planted.files["weak_labels"])["label"].to_numpy()
    right, wrong = re.search(
        r"label is wrong(.*?)label is right(.*?)</section>", made.page, re.DOTALL
    ).groups()[::-1]
    for part, expected in ((right, True), (wrong, False)):
        rows = [int(r) for r in re.findall(r'alt="item item-(\d{4})"', part)]
        assert len(rows) == 12
        assert set(planted.split[rows]) == {"dev"}
        assert set((weak == planted.gold)[rows]) == {expected}


def pictures_after(page: str, heading: str) -> list[tuple[str, np.ndarray]]:
    """Return (alternative text, pixels) of each picture between a heading and the next."""
    _, found, rest = page.partition(f"<h3>{heading}</h3>")
    assert found, f"no heading {heading!r}"
    part = re.split(r"<h3>|</section>", rest)[0]
    return [
        (alt, np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")))
        for data, alt in re.findall(r'<img src="data:image/png;base64,([^"]+)" alt="([^"]+)"', part)
    ]


def test_nearest_items_are_unlabelled_and_the_nearest_by_hand(made: Made) -> None:
    planted = made.planted
    features = np.load(planted.files["features"])
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    names = [alt for alt, _ in pictures_after(made.page, "What it takes for alike")]
    rows = np.array([int(name.removeprefix("item item-")) for name in names])
    assert set(planted.split[rows]) == {"unlabeled"}
    weak = pd.read_parquet(planted.files["weak_labels"])["label"].to_numpy()
    at, queries = 0, []
    while at < len(rows):
        cosine = unit @ unit[rows[at]]
        cosine[rows[at]] = -1
        near = [r for r in np.argsort(-cosine)[:15] if planted.split[r] == "unlabeled"][:7]
        assert rows[at + 1 : at + 1 + len(near)].tolist() == near
        queries.append(rows[at])
        at += 1 + len(near)
    assert sorted(weak[queries]) == [0, 1, 2]  # one of each weak label


def test_only_a_vision_transformer_shows_its_patches(made: Made, tmp_path: Path) -> None:
    assert "Where it looks" not in made.page and "Which parts are the same" not in made.page
    torch.manual_seed(0)
    encoder = build_backbone("vit_tiny", channels=1, image_size=8, width=4)  # patches of 2 pixels
    described = {"backbone": "vit_tiny", "width": 4, "image_size": [8, 8], "channels": 1}
    save_encoder(encoder, tmp_path / "encoder", described)
    history = made.planted.files["encoder"] / "history.json"
    (tmp_path / "encoder" / "history.json").write_bytes(history.read_bytes())
    files = {**made.planted.files, "encoder": tmp_path / "encoder"}
    pages = []
    for name in ("first", "again"):
        (tmp_path / name).mkdir()
        run_stage(tmp_path / name, report, ReportInputs, ReportConfig(), files)
        pages.append((tmp_path / name / "report" / "report.html").read_text())
    assert pages[0] == pages[1]
    assert read(pages[0]).open == []
    panel = 14 * 8
    looks = pictures_after(pages[0], "Where it looks")
    assert [p.shape for _, p in looks] == [(panel, 4 * panel + 3 * GAP, 3)] * 3  # 3 heads
    parts = pictures_after(pages[0], "Which parts are the same")
    shapes = [p.shape for _, p in parts]
    assert shapes[0::2] == [(2 * panel + GAP, 4 * panel + 3 * GAP, 3)] * 3  # 4 items, one label
    assert shapes[1::2] == [(2 * panel, 4 * panel + GAP, 3)] * 3  # two of them
    for alt, picture in (*looks, *parts):
        assert picture.std() > 0
        rows = [int(r) for r in re.findall(r"item-(\d{4})", alt)]
        assert rows and set(made.planted.split[rows]) == {"unlabeled"}


@pytest.mark.slow
def test_a_real_run_with_a_vision_transformer(make_project: Callable[..., Path]) -> None:
    settings = SETTINGS.replace("[pretrain]", '[pretrain]\nbackbone = "vit_tiny"')
    project = Project.open(make_project(settings=settings))
    run = run_line(project)
    page = project.store.path("report", run.artifacts["report"], "report").read_text()
    table = pd.read_parquet(project.store.path("ingest", run.artifacts["ingest"], "items"))
    split = table.set_index("item_id")["split"]
    for heading in ("What it takes for alike", "Where it looks", "Which parts are the same"):
        found = pictures_after(page, heading)
        ids = [item for alt, _ in found for item in re.findall(r"i\d{4}", alt)]
        assert ids and set(split[ids]) == {"unlabeled"}
    assert run_line(project).artifacts == run.artifacts
    assert len(page.encode()) < 400_000


# words and charts ---------------------------------------------------------------------------------


def test_numbers_as_words() -> None:
    assert percent(0.8125) == "81.2 %"
    assert percent(None) == "\N{EN DASH}"
    assert interval(Proportion(90, 100).as_dict()) == "82.6 to 94.5 %"
    assert interval({"low": None, "high": None}) == ""
    assert points(-0.031) == "\N{MINUS SIGN}3.1 points"
    assert model_name("dawid_skene+features", start=True) == "Dawid-Skene, spread over the features"
    assert model_name("majority_vote") == "majority vote"
    few, enough = Proportion(2, 3).as_dict(), Proportion(20, 30).as_dict()
    assert share(few, "doubted labels", "are wrong") == (
        "too few doubted labels (3) to say how many are wrong"
    )
    assert share(enough, "wrong labels", "are doubted") == (
        f"66.7 % of the wrong labels are doubted ({interval(enough)}, n=30)"
    )


def headline_of(classifier: Proportion, verdicts: dict[str, float]) -> str:
    compared = [
        {
            "first": "classifier",
            "second": second,
            "difference": difference,
            "verdict": "better"
            if difference > 0
            else "worse"
            if difference < 0
            else "no clear difference",
        }
        for second, difference in verdicts.items()
    ]
    headline = [
        {"key": "classifier_accuracy", **classifier.as_dict()},
        {"key": "gold_only_accuracy_all", "n_by_hand": 1200},
    ]
    evaluation = {"headline": headline, "comparisons": compared, "agreement": []}
    return headline_sentence({**evaluation, "weighted_by": None})


def test_the_sentence_claims_no_more_than_the_comparisons() -> None:
    start = "The classifier is right on 80.0 % of 1,000 test items (77.4 to 82.4 %)"
    measured = Proportion(800, 1000)
    assert headline_of(measured, {"majority_vote": 0.1, "gold_only_accuracy_all": -0.02}) == (
        f"{start}: 10.0 points better than majority vote and 2.0 points worse than training on the "
        "1,200 hand labels alone."
    )
    assert headline_of(measured, {"majority_vote": 0, "gold_only_accuracy_all": 0}) == (
        f"{start}: not clearly different from majority vote or training on the 1,200 hand labels "
        "alone."
    )
    assert headline_of(measured, {}) == f"{start}."
    assert "too few for a number" in headline_of(Proportion(9, 10), {})


def test_the_page_says_once_that_its_figures_are_weighted(made: Made, tmp_path: Path) -> None:
    planted = write_run(tmp_path)
    items = pd.read_parquet(planted.files["items"])
    chance = np.where(planted.gold == 0, 0.5, 0.05)
    items.assign(chance=chance).to_parquet(planted.files["items"], index=False)
    weighted = Made(tmp_path, planted, config=EvaluateConfig(probability="chance"))
    assert "every figure of test on this page is weighted" not in made.page
    assert weighted.page.count("every figure of test on this page is weighted") == 1
    shares = weighted.evaluation["classifier"]["confusion_shares"]
    assert sum(map(sum, shares)) == pytest.approx(1)
    test = planted.split == "test"
    others = planted.gold[test] == 2
    weights = 1 / chance[test]
    assert sum(shares[2]) == pytest.approx(np.average(others, weights=weights))
    assert f">{100 * shares[2][2]:.1f}</text>" in weighted.page
    few = {
        **weighted.evaluation,
        "headline": [{**weighted.headline["classifier_accuracy"], "n": 9}],
    }
    assert headline_sentence(few) == "Only 9 test items have gold, too few for a number."
    assert "of the items that 200 test items stand for" in weighted.page
    for name in ("McNemar", "bootstrap"):  # weights rule both out
        assert name in made.page and name not in weighted.page


def test_charts_escape_and_describe() -> None:
    drawn = [
        charts.step_chart([charts.StepPoint("a <b>", 0.5, 0.4, 0.6, None)]),
        charts.crossover_chart([(20, 0.5, 0.4, 0.6)], (0.7, 0.6, 0.8)),
        charts.calibration_chart([(0.5, 0.4, 0.3, 0.6, 20), (1.0, 1.0, 1.0, 1.0, 20)]),
        charts.confusion_chart(['"quoted" & <b>', "x" * 40], [[3, 0], [1, 0]]),
        charts.training_chart([(1, 2.0)], [(1, 0.9)], [(1, 0.4)]),
    ]
    for chart in drawn:
        reader = read(str(chart))
        assert reader.open == []
        assert "b" not in reader.tags
        assert "nan" not in chart
        assert 'role="img"' in chart
    assert charts.interval_bar(None, None, None).count("circle") == 0
    assert 'cx="50.00%"' in charts.interval_bar(0.5, 0.4, 0.6)


def test_a_number_of_the_step_chart_is_not_crossed_by_the_line_of_dev() -> None:
    chart = charts.step_chart([charts.StepPoint("votes", 0.76, 0.74, 0.78, 0.80)])
    ((number,),) = [re.findall(r'<text class="value" x="[\d.]+" y="([\d.]+)">76.0', chart)]
    dev = re.search(r'class="line dev" d="M[\d.]+,([\d.]+)L', chart)
    assert dev is not None and float(number) < float(dev[1])


def test_few_classes_are_drawn_as_large_as_many() -> None:
    for n in (2, 10):
        names = [f"class {c}" for c in range(n)]
        chart = charts.confusion_chart(names, np.eye(n, dtype=int).tolist())
        width = re.search(r'viewBox="0 0 (\d+) ', chart)
        assert width is not None and 460 <= int(width[1]) <= 620  # of the page's 520


def test_crossover_axis_is_logarithmic() -> None:
    chart = charts.crossover_chart(
        [(10, 0.5, 0.5, 0.5), (100, 0.6, 0.6, 0.6), (1000, 0.7, 0.7, 0.7)], (0.6, 0.55, 0.65)
    )
    first, second, third = (
        float(x) for x in re.findall(r'<circle class="rival" cx="([\d.]+)"', chart)
    )
    assert second - first == pytest.approx(third - second, abs=0.2)
