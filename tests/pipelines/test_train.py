"""Which head trains: asked for by name, or the better one on dev."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines.sections import TrainConfig
from pipelines.stages.base import StageResult, Work
from pipelines.stages.train import TrainInputs, _as_good, train
from weak_supervision.classifiers import LinearHead, fit_temperature, load_head
from weak_supervision.classifiers.discriminant import Discriminant
from weak_supervision.hybrid import labelling_order
from weak_supervision.neighbors import NeighborGraph, build_graph
from weak_supervision.noise import RobustHead

CLASSES = ("a", "b", "c")


def run(
    root: Path,
    config: TrainConfig,
    *,
    n_dev: int,
    wrong: float = 0.3,
    judge: str = "discriminant",
    n_by_hand: int = 0,
    lie: bool = False,
    xor: bool = False,
    n_calibration: int = 0,
) -> StageResult:
    """Train on 600 planted items, some of whose labels are wrong, and ``n_dev`` right ones.

    The last of the 600 are labelled by hand and right. Where weak labels ``lie``, all others of the
    first class pass for the second. ``xor``: no plane tells the classes apart. Gold of
    calibration, whose items stand last, is wrong for half of them.
    """
    rng = np.random.default_rng(0)
    n = 600 + n_dev + n_calibration
    truth = rng.integers(0, 3, n)
    features = (2 * np.eye(12)[truth] + rng.normal(size=(n, 12))).astype(np.float32)
    if xor:
        features[:, :3] *= rng.choice([-1, 1], (n, 1))
    labels = np.where(rng.random(n) < wrong, rng.integers(0, 3, n), truth)
    if lie:
        labels = np.where(truth == 0, 1, truth)
    by_hand = (np.arange(n) >= 600 - n_by_hand) & (np.arange(n) < 600)
    labels = np.where(by_hand, truth, labels)
    ids = np.array([f"i{i}" for i in range(n)])
    split = np.repeat(["unlabeled", "dev", "calibration"], [600, n_dev, n_calibration])
    judge = {"head": judge, "reason": "planted"}
    (root / "judge.json").write_text(json.dumps(judge))
    doubted = (np.arange(n) % 10 == 0) & ~by_hand
    confidence = np.where((np.arange(n) % 3 == 0) & ~by_hand, 0.4, 1.0)
    for name, array in {
        "targets": np.eye(3, dtype=np.float32)[labels],
        "weights": (confidence * ((split == "unlabeled") & ~doubted)).astype(np.float32),
        "all_weights": (confidence * (split == "unlabeled")).astype(np.float32),
        "features": features,
        "present": np.ones(n, dtype=bool),
        "votes": np.full((n, 1), -1, dtype=np.int16),
    }.items():
        np.save(root / f"{name}.npy", array)
    pd.DataFrame({"item_id": ids, "split": split}).to_parquet(root / "items.parquet")
    source = np.where(by_hand, "human", "votes")
    pd.DataFrame({"source": source}).to_parquet(root / "weak_labels.parquet")
    said = np.where((split == "calibration") & (np.arange(n) % 2 > 0), (truth + 1) % 3, truth)
    for name in ("dev", "calibration"):
        gold = pd.DataFrame({"item_id": ids, "gold": said})[split == name]
        gold.to_parquet(root / f"gold_{name}.parquet")
    build_graph(features).save(root / "graph.npz")
    arrays = ("targets", "weights", "all_weights", "features", "present", "votes")
    files = {f: root / f"{f}.npy" for f in arrays}
    out = root / "out"
    out.mkdir()
    work = Work(out, root / "scratch", root / "cache", root, 0, CLASSES)
    return train(
        TrainInputs(
            items=root / "items.parquet",
            gold_dev=root / "gold_dev.parquet",
            gold_calibration=root / "gold_calibration.parquet",
            encoder=root,
            weak_labels=root / "weak_labels.parquet",
            judge=root / "judge.json",
            graph=root / "graph.npz",
            **files,
        ),
        config,
        work,
    )


@pytest.mark.parametrize(("xor", "best"), [(False, "discriminant"), (True, "mlp")])
def test_dev_must_be_sure_to_choose_another_head_and_says_so(
    tmp_path: Path, xor: bool, best: str
) -> None:
    result = run(tmp_path, TrainConfig(), n_dev=150, xor=xor)
    features, targets, weights, all_weights = (
        np.load(tmp_path / f"{name}.npy")
        for name in ("features", "targets", "weights", "all_weights")
    )
    gold = pd.read_parquet(tmp_path / "gold_dev.parquet")["gold"].to_numpy()
    heads = {
        "linear": LinearHead().fit(features, targets, weights),
        "discriminant": Discriminant().fit(features, targets, weights),
        "mlp": RobustHead(strategy="forward").fit(
            features, targets, all_weights
        ),  # doubts for itself
    }
    hits = {
        name: int((head.predict_proba(features[600:]).argmax(axis=1) == gold).sum())
        for name, head in heads.items()
    }
    assert result.metrics["head"] == best
    assert all(f"{count} ({name})" in result.notes[-1] for name, count in hits.items())
    kept = load_head(tmp_path / "out" / "head")
    assert (kept.predict(features[600:]) == gold).sum() == hits[best]
    assert kept.temperature_ != 1.0


@pytest.mark.parametrize(
    ("judge", "head", "n_rows"), [("discriminant", "discriminant", 540), ("robust", "mlp", 600)]
)
def test_without_gold_the_head_is_the_one_that_suits_the_votes(
    tmp_path: Path, judge: str, head: str, n_rows: int
) -> None:
    result = run(tmp_path, TrainConfig(), n_dev=15, judge=judge)
    assert result.metrics["head"] == head and result.metrics["n_trained_on"] == n_rows
    assert "takes 100 rows of gold; planted" in result.notes[-1]
    # calibrated by how often it agrees with the weak labels, for want of gold
    assert load_head(tmp_path / "out" / "head").temperature_ != 1.0


def test_few_labels_by_hand_are_not_drowned_by_weak_ones_that_err_alike(tmp_path: Path) -> None:
    """No weak label ever says the first class; thirty by hand, one in three of it, do."""
    shares = {}
    for n_by_hand in (0, 30):
        root = tmp_path / str(n_by_hand)
        root.mkdir()
        result = run(root, TrainConfig(), n_dev=150, n_by_hand=n_by_hand, lie=True)
        said = np.load(root / "out" / "probabilities.npy")[600:].argmax(axis=1)
        shares[n_by_hand] = (said == pd.read_parquet(root / "gold_dev.parquet")["gold"]).mean()
    assert shares[0] < 0.7 and shares[30] > shares[0] + 0.1
    assert result.metrics["n_by_hand"] == 30 and result.metrics["hand_weight"] > 1
    weight = f"{result.metrics['hand_weight']:g}"
    assert f"each of 30 labels by hand counts for {weight} weak ones" in " ".join(result.notes)


def test_labels_by_hand_are_trusted_by_heads_that_doubt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[np.ndarray] = []
    fit = RobustHead.fit

    def listening(self: RobustHead, x: np.ndarray, *rest: object, **named: object) -> RobustHead:
        told.append(np.asarray(named["trusted"]))
        return fit(self, x, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(RobustHead, "fit", listening)
    run(tmp_path, TrainConfig(head="mlp", strategy="gce"), n_dev=150, n_by_hand=30)
    with_hand, without_hand = told
    assert with_hand[-30:].all() and with_hand.sum() == 30
    assert len(without_hand) == len(with_hand) - 30 and not without_hand.any()


def test_without_the_labels_by_hand_is_the_same_head_taught_by_the_others(tmp_path: Path) -> None:
    result = run(tmp_path, TrainConfig(head="discriminant"), n_dev=150, n_by_hand=30, lie=True)
    features, targets, weights = (
        np.load(tmp_path / f"{name}.npy") for name in ("features", "targets", "weights")
    )
    weights[570:] = 0
    kept = weights > 0
    expected = Discriminant().fit(features[kept], targets[kept], weights[kept])
    without = np.load(tmp_path / "out" / result.outputs["without_hand"])
    assert (without.argmax(axis=1) == expected.predict_proba(features).argmax(axis=1)).all()
    alone = tmp_path / "alone"
    alone.mkdir()
    assert "without_hand" not in run(alone, TrainConfig(), n_dev=150).outputs


def test_what_the_classifier_does_not_know_is_labelled_next(tmp_path: Path) -> None:
    run(tmp_path, TrainConfig(head="discriminant"), n_dev=150, n_by_hand=30)
    offered = pd.read_parquet(tmp_path / "out" / "label_next.parquet")["item_id"].tolist()
    rows = np.arange(750)
    expected = labelling_order(
        np.load(tmp_path / "out" / "probabilities.npy"),
        np.load(tmp_path / "votes.npy"),
        NeighborGraph.load(tmp_path / "graph.npz"),
        n=300,
        settled=(rows >= 570) & (rows < 600),
        candidates=rows < 600,
    )
    assert offered == [f"i{row}" for row in expected]
    assert len(set(offered)) == 300 and max(expected) < 570


def _tried(result: StageResult) -> dict[float, int]:
    """Return how often each weight of the labels by hand was right on dev, from the note."""
    (note,) = (note for note in result.notes if "labels by hand" in note)
    found = re.findall(r"(\d+) \(([\d.]+)\)", note)
    return {float(weight): int(hits) for hits, weight in found}


def test_the_usual_weight_stays_where_dev_hardly_tells_it_from_the_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.stages.train.HAND_WEIGHTS", (3.0, 10.0))
    result = run(tmp_path, TrainConfig(), n_dev=150, n_by_hand=30)  # weak labels err at random
    tried = _tried(result)
    assert tried[10] == tried[3] + 1 and result.metrics["hand_weight"] == 3


def test_dev_that_tells_a_weight_from_the_usual_one_chooses_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.stages.train.HAND_WEIGHTS", (0.1, 1.0, 30.0))
    result = run(tmp_path, TrainConfig(), n_dev=150, n_by_hand=30, lie=True)
    tried = _tried(result)
    assert result.metrics["hand_weight"] == 30
    assert tried[30] > tried[1] + 5 and tried[30] > tried[0.1] + 5


def test_as_good_is_within_one_standard_error_of_the_difference() -> None:
    best = np.arange(100) < 60
    worse = best & (np.arange(100) >= 4)  # 4 fewer right, 4 differ: one standard error is 2
    assert not _as_good(worse, best)
    assert _as_good(best & (np.arange(100) != 0), best)  # 1 of 1
    shifted = (np.arange(100) >= 8) & (np.arange(100) < 64)  # 4 fewer, 12 differ: 3.5
    assert not _as_good(shifted, best)
    shifted = (np.arange(100) >= 10) & (np.arange(100) < 66)  # 4 fewer, 16 differ: 4
    assert _as_good(shifted, best)


def test_without_dev_gold_a_label_by_hand_counts_for_ten(tmp_path: Path) -> None:
    result = run(tmp_path, TrainConfig(), n_dev=15, n_by_hand=30)
    assert result.metrics["hand_weight"] == 10
    weighed = np.load(tmp_path / "weights.npy").astype(float)
    weighed[570:600] *= 10
    features, targets = (np.load(tmp_path / f"{name}.npy") for name in ("features", "targets"))
    expected = Discriminant().fit(features, targets, weighed).predict_proba(features).argmax(axis=1)
    assert (np.load(tmp_path / "out" / "probabilities.npy").argmax(axis=1) == expected).all()


@pytest.mark.parametrize("head", ["linear", "discriminant", "mlp"])
def test_classes_are_balanced_where_asked(tmp_path: Path, head: str) -> None:
    """No weak label but those by hand says the first class, and it is rare."""
    shares = []
    for balance in ("none", "classes"):
        root = tmp_path / balance
        root.mkdir()
        strategy = "elr" if head == "mlp" else "plain"
        config = TrainConfig(head=head, strategy=strategy, balance=balance)
        run(root, config, n_dev=30, n_by_hand=30, lie=True)
        shares.append((np.load(root / "out" / "probabilities.npy").argmax(axis=1) == 0).mean())
    assert shares[1] > shares[0] + 0.01


@pytest.mark.parametrize("head", ["auto", "linear", "discriminant", "mlp"])
@pytest.mark.parametrize(
    ("n_dev", "n_calibration", "taken"),
    [(120, 100, "calibration"), (40, 40, "calibration"), (10, 20, "calibration"), (40, 30, "dev")],
)
def test_calibration_gold_sets_how_sure_the_classifier_is(
    tmp_path: Path, head: str, n_dev: int, n_calibration: int, taken: str
) -> None:
    """It is wrong for half of its rows here, gold of dev is right."""
    result = run(tmp_path, TrainConfig(head=head), n_dev=n_dev, n_calibration=n_calibration)
    found = load_head(tmp_path / "out" / "head")
    features = np.load(tmp_path / "features.npy")
    rows = slice(600, 600 + n_dev) if taken == "dev" else slice(600 + n_dev, None)
    gold = pd.read_parquet(tmp_path / f"gold_{taken}.parquet")["gold"].to_numpy()
    logits = found._logits((features[rows] - found.mean_) / found.scale_)
    assert found.temperature_ == pytest.approx(fit_temperature(logits, gold), rel=1e-4)
    told = any("calibration rows say how sure" in note for note in result.notes)
    assert told == (taken == "calibration")


@pytest.mark.parametrize("head", ["linear", "discriminant", "mlp"])
def test_a_head_asked_for_by_name_is_taken(tmp_path: Path, head: str) -> None:
    result = run(tmp_path, TrainConfig(head=head), n_dev=120)
    assert result.metrics["head"] == head
    proba = np.load(tmp_path / "out" / "probabilities.npy")
    assert proba.shape == (720, 3) and np.allclose(proba.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    "asked",
    [
        {"strategy": "elr", "ema": 0.9, "patience": 2, "hidden": 16},
        {"strategy": "plain", "mixup": 0.2, "epochs": 3, "batch_size": 32, "learning_rate": 0.01},
        {"strategy": "co_teaching", "noise_rate": 0.25, "balance": "classes"},
    ],
)
def test_what_settings_ask_of_a_network_reaches_it(tmp_path: Path, asked: dict) -> None:
    run(tmp_path, TrainConfig(head="mlp", **asked), n_dev=40)
    head = load_head(tmp_path / "out" / "head")
    names = {"learning_rate": "lr"}
    assert {name: getattr(head, names.get(name, name)) for name in asked} == asked


def test_a_strategy_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="which a discriminant has none of"):
        TrainConfig(head="discriminant", strategy="elr")
    with pytest.raises(ValueError, match="noise_rate would change nothing"):
        TrainConfig(strategy="forward", noise_rate=0.2)
    assert TrainConfig(strategy="co_teaching", noise_rate=0.2).noise_rate == 0.2
    with pytest.raises(ValueError, match="epochs would change nothing"):
        TrainConfig(epochs=3)
