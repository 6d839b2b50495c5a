import numpy as np
import pytest

from tests.weak_supervision.planted import planted
from weak_supervision.neighbors import build_graph
from weak_supervision.noise import (
    area_under_margin,
    detect_issues,
    find_data_issues,
    find_issues,
    out_of_fold_proba,
)
from weaklight.errors import DataError


@pytest.fixture(scope="module")
def spoilt() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Votes, features, truth and labels of which the first 200 are wrong."""
    votes, truth, features = planted(n=1200, n_classes=4, d=16, coverage=0.8)
    labels = truth.copy()
    labels[:200] = (labels[:200] + 1) % 4
    return votes.astype(np.int16), features, truth, labels


def test_margins_are_low_where_labels_are_wrong(spoilt) -> None:
    _, features, _, labels = spoilt
    found = area_under_margin(features, np.where(np.arange(1200) < 1190, labels, -1), 4)
    wrong, right = found.area[:200], found.area[200:1190]
    assert (wrong[:, None] < right[None]).mean() > 0.95  # the area under the ROC curve
    assert found.doubted[:200].mean() > 0.8 > 0.2 > found.doubted[200:].mean()
    assert np.isnan(found.area[1190:]).all() and not found.doubted[1190:].any()
    again = area_under_margin(features, np.where(np.arange(1200) < 1190, labels, -1), 4)
    assert np.array_equal(found.area, again.area, equal_nan=True)
    with pytest.raises(DataError, match="margins need 20 labelled rows"):
        area_under_margin(features[:10], labels[:10], 4)


def test_each_item_has_one_line_that_names_its_detectors(spoilt) -> None:
    votes, features, truth, labels = spoilt
    proba = out_of_fold_proba(features, np.eye(4)[labels])
    found = detect_issues(
        labels, proba, graph=build_graph(features), votes=votes, features=features
    )
    doubts = found.table[found.table["kind"] == "label"]
    assert doubts["row"].is_unique
    assert set(doubts["detectors"].str.split(", ").explode()) == {
        "confident learning", "crowdlab", "margins",
    }  # fmt: skip
    by_all = doubts[doubts["detectors"].str.count(",") == 2]
    assert by_all.index[0] == doubts.index[0]  # named by more detectors: first
    by_one = doubts[~doubts["detectors"].str.contains(",")]
    assert (by_all["row"] < 200).mean() > 0.95 > (by_one["row"] < 200).mean()
    assert (by_all["suggested"] == truth[by_all["row"]]).mean() > 0.9
    assert found.table["score"].between(0, 1).all() and found.notes == ()
    alone = find_issues(labels, proba).set_index("row")["score"]
    lowered = doubts.set_index("row")["score"].reindex(alone.index)
    assert (lowered <= alone).all() and (lowered < alone).any()  # the worst that anybody says
    by_crowd = doubts[doubts["detectors"] == "crowdlab"]
    wrong = by_crowd["row"] < 200
    assert by_crowd["score"][wrong].mean() < by_crowd["score"][~wrong].mean()
    others = found.table[found.table["kind"] != "label"]
    assert (others["suggested"] == proba[others["row"]].argmax(axis=1)).all() and len(others)


def test_copies_outliers_and_drift_are_seen_in_the_graph() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(400, 12)) + np.eye(12)[np.zeros(400, int)] * 6
    features[0] = np.nan  # has no neighbors and takes no part
    features[17] = features[3] + 1e-5
    features[50] = -40 * np.eye(12)[5]
    found = find_data_issues(build_graph(features))
    of = {kind: rows["row"].tolist() for kind, rows in found.table.groupby("kind")}
    assert sorted(of["near_duplicate"]) == [3, 17]
    assert of["outlier"][0] == 50
    assert found.non_iid_p is not None and found.non_iid_p > 0.05
    drifting = features + 3 * np.linspace(0, 1, 400)[:, None] * np.eye(12)[1]
    drift = find_data_issues(build_graph(drifting)).non_iid_p
    assert drift is not None and drift < 0.01
    few = find_data_issues(build_graph(features[:20]))
    assert few.table.empty and few.non_iid_p is None


def test_a_vote_for_a_set_of_classes_is_no_vote_for_crowdlab(spoilt) -> None:
    votes, features, _, labels = spoilt
    proba = out_of_fold_proba(features, np.eye(4)[labels])
    some = np.where(np.random.default_rng(0).random(votes.shape) < 0.2, 4, votes)
    expected = detect_issues(labels, proba, votes=np.where(some == 4, -1, some)).table
    found = detect_issues(labels, proba, votes=some)
    assert found.table.equals(expected) and found.notes == ()


def test_a_detector_that_cannot_run_says_so(spoilt) -> None:
    votes, features, _, labels = spoilt
    proba = out_of_fold_proba(features, np.eye(4)[labels])
    alone = detect_issues(labels, proba, votes=votes[:, :1])
    assert alone.notes == ("no CROWDLAB: it needs items on which two vote for a class",)
    apart = np.where(np.arange(1200)[:, None] % 5 == np.arange(5), votes, -1)
    assert detect_issues(labels, proba, votes=apart).notes == alone.notes
    nothing = detect_issues(np.full(8, -1), np.full((8, 2), 0.5), features=np.ones((8, 2)))
    assert nothing.table.empty and "no training dynamics" in nothing.notes[0]


@pytest.mark.filterwarnings("error")
def test_functions_that_know_a_class_each_never_agree_and_that_is_no_cause_for_a_warning(
    spoilt,
) -> None:
    votes, features, _, labels = spoilt
    proba = out_of_fold_proba(features, np.eye(4)[labels])
    a_class_each = np.where(votes[:, :4] == np.arange(4), votes[:, :4], -1)
    assert ((a_class_each != -1).sum(axis=1) > 1).any()
    assert detect_issues(labels, proba, votes=a_class_each).notes == ()
