import json

import numpy as np
import pytest

from benchmarks import label_quality
from benchmarks.label_sets import read_set
from tests.weak_supervision.planted import planted
from weaklight.errors import DataError


@pytest.fixture
def arrays():
    votes, truth, x = planted(n=900, d=8, accuracies=(0.8, 0.7, 0.6, 0.6), coverage=0.6)
    parts = {"train": slice(0, 500), "valid": slice(500, 600), "test": slice(600, None)}
    return {
        f"{key}_{which}": array[rows]
        for which, rows in parts.items()
        for key, array in (("votes", votes), ("gold", truth), ("features", x))
    }


def write(folder, arrays, **change):
    path = folder / "planted.npz"
    kept = {k: v for k, v in (arrays | change).items() if v is not None}
    np.savez(path, **kept)
    return read_set(path, cache=folder, budget_s=1.0)


def test_every_key_of_the_contract_is_printed(tmp_path, arrays, capsys):
    write(tmp_path, arrays)
    label_quality.main([str(tmp_path / "planted.npz"), "--seeds", "1", "--cache", str(tmp_path)])
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    keys = ("majority_vote", "snorkel", "dawid_skene", "auto", "end_model", "final", "gold_model")
    for key in keys:
        assert 0.5 < printed[f"planted_{key}"] <= 1.0
    assert printed["planted_final"] > printed["planted_majority_vote"] + 0.05
    assert printed["planted_metric"] == "accuracy"
    assert "the choice was right" in printed["planted_choice"]
    for key, value in printed.items():
        assert value is not None or printed[f"{key}_reason"]
    assert printed["cores"]


def test_test_gold_changes_no_label(tmp_path, arrays):
    honest = label_quality.measure(write(tmp_path, arrays), seeds=1)
    wrong = (arrays["gold_test"] + 1) % 3
    fooled = label_quality.measure(write(tmp_path, arrays, gold_test=wrong), seeds=1)
    assert fooled["choice"] == honest["choice"]
    assert fooled["final"] < 1 - honest["final"] + 1e-9  # the same labels, now wrong


def test_features_may_be_missing_and_test_votes_too(tmp_path, arrays):
    no_features = dict.fromkeys([f"features_{s}" for s in ("train", "valid", "test")])
    bare = label_quality.measure(write(tmp_path, arrays, **no_features), seeds=1)
    assert bare["end_model"] is None and bare["end_model_reason"]
    assert bare["final"] == bare["auto"]
    no_votes = dict.fromkeys(["votes_valid", "votes_test"])
    inductive = label_quality.measure(write(tmp_path, arrays, **no_votes), seeds=1)
    assert inductive["label_models_judged_on"] == "train"
    assert inductive["final"] == inductive["end_model"]


def test_the_rarer_class_is_scored_by_f1(tmp_path, arrays):
    rare = {k: np.where(v == 2, 1, 0) for k, v in arrays.items() if k.startswith("gold")}
    rare["gold_valid"] = (np.arange(100) < 20).astype(int)
    votes = {k: np.where(v == 2, 1, np.minimum(v, 0)) for k, v in arrays.items() if "votes" in k}
    score, name = label_quality.metric(write(tmp_path, arrays, **rare, **votes))
    assert name == "F1 of class 1"
    truth, said = np.array([1, 1, 0, 0]), np.array([1, 0, 1, 0])
    assert score(truth, said) == 0.5 and score(1 - truth, said) == 0.5
    assert score(truth, np.zeros(4, int)) == 0.0


def test_wrench_folders_with_features_and_without(tmp_path, arrays):
    folder = tmp_path / "wrench_small"
    folder.mkdir()
    (folder / "label.json").write_text('{"0": "a", "1": "b", "2": "c"}')
    for which in ("train", "valid", "test"):
        rows = {
            str(i): {"label": int(g), "weak_labels": v.tolist(), "data": {"feature": x.tolist()}}
            for i, (g, v, x) in enumerate(
                zip(*(arrays[f"{k}_{which}"] for k in ("gold", "votes", "features")), strict=True)
            )
        }
        (folder / f"{which}.json").write_text(json.dumps(rows))
    data = read_set(folder, cache=tmp_path, budget_s=1.0)
    assert data.name == "small" and data.n_classes == 3
    np.testing.assert_array_equal(data.test.votes, arrays["votes_test"])
    np.testing.assert_allclose(data.train.features, arrays["features_train"], rtol=1e-6)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(DataError, match="neither"):
        read_set(tmp_path / "nothing", cache=tmp_path, budget_s=1.0)
    np.savez(tmp_path / "odd.npz", votes=np.zeros((3, 2), int))
    with pytest.raises(DataError, match="gold_train"):
        read_set(tmp_path / "odd.npz", cache=tmp_path, budget_s=1.0)
