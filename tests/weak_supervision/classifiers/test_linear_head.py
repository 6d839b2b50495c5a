import json

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from tests.weak_supervision.planted import planted
from weak_supervision.classifiers import LinearHead, linear_head
from weaklight.errors import ArtifactError, DataError


@pytest.fixture(scope="module")
def data():
    _, truth, features = planted(n=900, d=12)
    return features * np.linspace(0.1, 30, 12, dtype=np.float32), truth


def test_equals_scikit_learn_on_hard_labels(data):
    x, y = data
    ours = LinearHead(l2=10.0, max_iter=2000).fit(x, np.eye(3)[y])
    scaled = (x - x.mean(axis=0)) / x.std(axis=0)
    theirs = LogisticRegression(C=0.1, tol=1e-8, max_iter=5000).fit(scaled, y)
    np.testing.assert_allclose(ours.predict_proba(x), theirs.predict_proba(scaled), atol=2e-3)


def test_soft_targets_equal_weighted_copies(data):
    x, y = data
    soft = np.full((900, 3), 0.1)
    soft[np.arange(900), y] = 0.8
    ours = LinearHead().fit(x, soft)
    copies = LinearHead().fit(np.tile(x, (3, 1)), np.repeat(np.eye(3), 900, axis=0), soft.T.ravel())
    np.testing.assert_allclose(ours.predict_proba(x), copies.predict_proba(x), atol=2e-3)


def test_a_warm_start_ends_where_a_cold_one_does_and_sooner(data, monkeypatch):
    x, y = data
    steps = []

    def counted(*args, **kwargs):
        result = minimize(*args, **kwargs)
        steps.append(result.nit)
        return result

    monkeypatch.setattr(linear_head, "minimize", counted)
    cold = LinearHead().fit(x[:800], np.eye(3)[y[:800]])
    warm = LinearHead(warm_start=True)
    for rows in (slice(0, 900), slice(0, 800)):
        warm.fit(x[rows], np.eye(3)[y[rows]])
    np.testing.assert_allclose(warm.predict_proba(x), cold.predict_proba(x), atol=2e-3)
    assert steps[2] < 0.8 * steps[0]
    with pytest.raises(DataError, match="warm_start=False"):
        warm.fit(x[:, :5], np.eye(3)[y])


def test_the_number_of_threads_changes_no_byte():
    """Nor does it slow small fits, whose threads would wait for one another: both are one limit."""
    _, truth, features = planted(n=600, d=512)
    learnt = []
    for threads in (1, 2):
        with threadpool_limits(threads, user_api="blas"):
            learnt.append(LinearHead().fit(features, np.eye(3)[truth]).coef_.tobytes())
    assert learnt[0] == learnt[1]


def test_rows_without_weight_count_for_nothing(data):
    x, y = data
    wrong = np.vstack([x, np.full((50, 12), np.nan)])
    targets = np.vstack([np.eye(3)[y], np.tile(np.eye(3)[0], (50, 1))])
    weights = np.concatenate([np.ones(900), np.zeros(50)])
    with_dead_rows = LinearHead().fit(wrong, targets, weights)
    assert with_dead_rows.coef_.tobytes() == LinearHead().fit(x, np.eye(3)[y]).coef_.tobytes()


def test_a_weight_of_three_is_three_rows(data):
    x, y = data[0][:300], np.eye(3)[data[1][:300]]
    weights = 1 + 2 * (data[1][:300] == 0)
    heavy = LinearHead().fit(x, y, weights)
    copied = LinearHead().fit(np.repeat(x, weights, axis=0), np.repeat(y, weights, axis=0))
    for part in ("mean_", "scale_", "class_prior_"):
        np.testing.assert_allclose(getattr(heavy, part), getattr(copied, part), rtol=1e-4)
    np.testing.assert_allclose(heavy.predict_proba(x), copied.predict_proba(x), atol=2e-3)


def test_a_row_without_features_gets_the_class_prior(data):
    x, y = data
    head = LinearHead().fit(x, np.eye(3)[y])
    proba = head.predict_proba(np.vstack([x[:1], np.full((1, 12), np.nan)]))
    np.testing.assert_allclose(proba[1], np.bincount(y) / 900, atol=1e-6)
    assert head.predict_proba(np.empty((0, 12))).shape == (0, 3)


def test_class_numbers_do_not_matter(data):
    x, y = data
    straight = LinearHead().fit(x, np.eye(3)[y]).predict_proba(x)
    other = LinearHead().fit(x, np.eye(3)[:, [2, 0, 1]][y]).predict_proba(x)
    np.testing.assert_allclose(other, straight[:, [2, 0, 1]], atol=2e-3)


def test_temperature_repairs_overconfidence_on_dev_alone(data):
    x, y = data
    timid = np.full((600, 3), 0.3)
    timid[np.arange(600), y[:600]] = 0.4
    plain = LinearHead().fit(x[:600], timid)
    calibrated = LinearHead().fit(x[:600], timid, dev=(x[600:750], y[600:750]))
    rows = np.arange(150)

    def log_loss(head):
        return -np.log(head.predict_proba(x[750:])[rows, y[750:]]).mean()

    assert calibrated.temperature_ < 0.5 and plain.temperature_ == 1.0
    assert log_loss(calibrated) < log_loss(plain) - 0.2
    np.testing.assert_array_equal(calibrated.coef_, plain.coef_)


def test_too_few_dev_rows_leave_the_temperature(data, caplog):
    x, y = data
    head = LinearHead().fit(x, np.eye(3)[y], dev=(x[:5], y[:5]))
    assert head.temperature_ == 1.0 and "too few to calibrate" in caplog.text


def test_save_and_load_predict_the_same_bytes(data, tmp_path):
    x, y = data
    head = LinearHead().fit(x, np.eye(3)[y], dev=(x, y), classes=["a", "b", "c"])
    head.save(tmp_path)
    again = LinearHead.load(tmp_path)
    assert again.predict_proba(x).tobytes() == head.predict_proba(x).tobytes()
    about = json.loads((tmp_path / "head.json").read_text())
    assert about["classes"] == ["a", "b", "c"] and about["d"] == 12
    assert again.classes_ == ("a", "b", "c") and again.l2 == head.l2


def test_damaged_files_are_named(data, tmp_path):
    x, y = data
    LinearHead().fit(x, np.eye(3)[y]).save(tmp_path)
    about = json.loads((tmp_path / "head.json").read_text())
    (tmp_path / "head.json").write_text(json.dumps({**about, "d": 5}))
    with pytest.raises(ArtifactError, match="speaks of 5 features"):
        LinearHead.load(tmp_path)
    (tmp_path / "head.safetensors").write_bytes(b"half a file")
    with pytest.raises(ArtifactError, match="run the train stage again"):
        LinearHead.load(tmp_path)


@pytest.mark.parametrize(
    ("rows", "weights", "message"),
    [
        (slice(0, 5), None, "same rows"),
        (slice(0, 900), np.zeros(900), "weight above 0"),
    ],
)
def test_wrong_input_is_refused(data, rows, weights, message):
    x, y = data
    with pytest.raises(DataError, match=message):
        LinearHead().fit(x[rows], np.eye(3)[y], weights)


def test_nan_with_weight_and_another_width_are_refused(data):
    x, y = data
    with pytest.raises(DataError, match="NaN or infinite features"):
        LinearHead().fit(np.where(np.arange(900)[:, None] == 3, np.nan, x), np.eye(3)[y])
    with pytest.raises(DataError, match="trained on 12 features"):
        LinearHead().fit(x, np.eye(3)[y]).predict_proba(x[:, :5])
