"""What every head must do, whatever is inside it."""

import json

import numpy as np
import pytest
import torch

from tests.weak_supervision.planted import planted
from weak_supervision.classifiers import LinearHead, balanced_weights, load_head
from weak_supervision.classifiers.module import as_module
from weak_supervision.noise import RobustHead
from weak_supervision.noise.robust_training import TrainingConfig
from weaklight.errors import ArtifactError, ConfigError, DataError

NAMES = ["a", "b", "c"]


@pytest.fixture(scope="module")
def data():
    _, truth, features = planted(n=400, d=8)
    return features * np.linspace(0.1, 30, 8, dtype=np.float32), truth


def new(kind, **settings):
    quick = {"hidden": 8, "epochs": 3, "lr": 1e-2, "seed": 3, **settings}
    return LinearHead() if kind == "linear" else RobustHead(strategy=kind, **quick)


@pytest.fixture(scope="module", params=["linear", "elr", "co_teaching"])
def head(request, data):
    x, y = data
    fitted = new(request.param, noise_rate=0.1)
    return fitted.fit(x[:300], np.eye(3)[y[:300]], dev=(x[300:], y[300:]), classes=NAMES)


def test_what_is_saved_predicts_the_same_bytes_whatever_it_is(head, data, tmp_path):
    x, _ = data
    head.save(tmp_path)
    again = load_head(tmp_path)
    assert type(again) is type(head) and again.classes_ == ("a", "b", "c")
    gaps = np.vstack([x, np.full((1, 8), np.nan)])
    assert again.predict_proba(gaps).tobytes() == head.predict_proba(gaps).tobytes()
    assert [getattr(again, s) for s in again.settings] == [getattr(head, s) for s in head.settings]


def test_the_module_for_export_gives_the_same_probabilities(head, data):
    x, _ = data
    with torch.no_grad():
        came = as_module(head)(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(came, head.predict_proba(x), atol=1e-5)


def test_heads_are_calibrated_on_dev(head):
    assert head.temperature_ != 1.0


def test_a_temperature_makes_a_robust_head_less_sure_of_what_it_learnt_by_heart():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(160, 30)).astype(np.float32)  # noise: nothing to learn
    y = rng.integers(0, 2, 160)
    sure = RobustHead(strategy="plain", epochs=40, lr=1e-2, hidden=32)
    sure.fit(x[:80], y[:80], dev=(x[80:], y[80:]))
    proba = sure.predict_proba(x[80:])
    assert sure.temperature_ > 5 and -np.log(proba[np.arange(80), y[80:]]).mean() < 0.75


def test_heads_from_before_there_were_kinds_are_linear(data, tmp_path):
    x, y = data
    head = LinearHead(l2=3.0).fit(x, np.eye(3)[y])
    head.save(tmp_path)
    about = json.loads((tmp_path / "head.json").read_text())
    for name in ("kind", "balance"):
        del about[name]
    (tmp_path / "head.json").write_text(json.dumps(about))
    again = load_head(tmp_path)
    assert isinstance(again, LinearHead) and again.l2 == 3.0
    assert again.predict_proba(x).tobytes() == head.predict_proba(x).tobytes()


def test_files_that_are_no_head_are_named(data, tmp_path):
    x, y = data
    with pytest.raises(ArtifactError, match=r"head\.safetensors and head\.json"):
        load_head(tmp_path)
    new("plain").fit(x, y).save(tmp_path)
    about = json.loads((tmp_path / "head.json").read_text())
    (tmp_path / "head.json").write_text(json.dumps({**about, "hidden": 9}))
    with pytest.raises(ArtifactError, match="run the train stage again"):
        load_head(tmp_path)
    (tmp_path / "head.json").write_text(json.dumps({**about, "kind": "forest"}))
    with pytest.raises(ArtifactError, match="of kind 'forest'"):
        load_head(tmp_path)


def test_balanced_classes_find_the_rare_one():
    rng = np.random.default_rng(0)
    y = (rng.random(2000) < 0.05).astype(int)
    x = (y[:, None] + rng.normal(size=(2000, 4))).astype(np.float32)
    for kind in (LinearHead, lambda **s: RobustHead(strategy="plain", hidden=0, lr=1e-2, **s)):
        recall = {
            b: (kind(balance=b).fit(x, np.eye(2)[y]).predict(x)[y == 1] == 1).mean()
            for b in ("none", "classes")
        }
        assert recall["classes"] > recall["none"] + 0.3
    with pytest.raises(ConfigError, match="balance must be one of"):
        LinearHead(balance="rows").fit(x, np.eye(2)[y])


def test_balance_by_hand():
    soft = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    weights = np.array([2.0, 2.0, 0.5])  # mass 3 and 1.5
    raw = np.array([2 / 3, 2 * (0.5 / 3 + 0.5 / 1.5), 0.5 / 1.5])
    np.testing.assert_allclose(balanced_weights(soft, weights), raw * 4.5 / raw.sum())
    unseen = balanced_weights(np.eye(3)[[0, 1]], np.ones(2))
    np.testing.assert_allclose(unseen, 1.0)


def test_few_rows_get_small_batches():
    config = TrainingConfig(batch_size=256)
    assert [config.batch_of(n) for n in (10, 300, 1000, 4000, 20_000)] == [16, 16, 50, 200, 256]
    assert TrainingConfig(batch_size=8).batch_of(300) == 8


def test_early_stopping_goes_back_to_the_best_epoch_on_dev():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 20)).astype(np.float32)
    truth = (x[:, 0] > 0).astype(int)
    y = np.where(rng.random(300) < 0.3, 1 - truth, truth)
    settings = {"strategy": "plain", "hidden": 64, "lr": 1e-2, "epochs": 40}
    seen = []
    stopped = RobustHead(**settings, patience=3, on_epoch=lambda epoch, _: seen.append(epoch))
    stopped.fit(x[:150], y[:150], dev=(x[150:250], truth[150:250]))
    to_the_end = RobustHead(**settings).fit(x[:150], y[:150])
    assert len(seen) < 40
    right = [(h.predict(x[250:]) == truth[250:]).mean() for h in (stopped, to_the_end)]
    assert right[0] > right[1]
    with pytest.raises(ConfigError, match="early stopping watches dev rows"):
        RobustHead(patience=2).fit(x, y)


def test_class_ids_beyond_the_names_are_refused(data):
    x, y = data
    with pytest.raises(DataError, match="must be below 2"):
        LinearHead().fit(x, y, classes=["a", "b"])
