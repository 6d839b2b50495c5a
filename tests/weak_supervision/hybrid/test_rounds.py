import numpy as np
import pytest

from tests.weak_supervision.planted import planted
from weak_supervision.hybrid import Curriculum, SelfTraining
from weak_supervision.label_models import DawidSkene, hard_labels
from weak_supervision.neighbors import build_graph
from weaklight.errors import ConfigError, DataError


def test_a_student_lifts_weak_functions_and_covers_the_rest() -> None:
    votes, truth, features = planted(n=1500, d=16, accuracies=(0.7, 0.6, 0.6), coverage=0.4)
    alone = DawidSkene().fit(votes, n_classes=3)
    before = hard_labels(alone.predict_proba(votes))
    taught = SelfTraining(rounds=4).fit(votes, features, n_classes=3)
    after = hard_labels(taught.posterior_)
    assert (after == truth).mean() > (before == truth).mean() + 0.1
    frame = taught.admitted_.frame()
    assert set(frame["source"]) <= {"votes", "student", ""}
    assert (frame.loc[frame["source"] == "votes", "round"] == 0).all()
    assert (frame.loc[frame["source"] == "student", "round"] >= 1).all()
    again = SelfTraining(rounds=4).fit(votes, features, n_classes=3)
    assert (again.posterior_ == taught.posterior_).all()


def test_gold_is_never_changed_and_one_class_stops_the_rounds() -> None:
    votes, truth, features = planted(n=400, d=8, accuracies=(0.8, 0.8))
    gold = np.where(np.arange(400) < 30, (truth + 1) % 3, -1)  # people may insist
    taught = SelfTraining(rounds=2).fit(votes, features, n_classes=3, gold=gold)
    assert (taught.admitted_.labels[:30] == gold[:30]).all()
    assert (taught.admitted_.source[:30] == "human").all()
    one_sided = np.where(votes >= 0, 0, -1)
    stopped = SelfTraining().fit(one_sided, features, n_classes=3)
    assert stopped.n_rounds_ == 0 and "one class only" in stopped.stop_reason_
    with pytest.raises(ConfigError, match="no label model is called"):
        SelfTraining(label_model="oracle").fit(votes, features, n_classes=3)
    with pytest.raises(DataError, match="there are none"):
        SelfTraining().fit(np.full_like(votes, -1), features, n_classes=3)


def test_a_curriculum_grows_by_quota_and_repairs_labels() -> None:
    votes, truth, features = planted(n=1500, d=16, accuracies=(0.75, 0.65, 0.6), seed=1)
    posterior = DawidSkene().fit(votes, n_classes=3).predict_proba(votes)
    known = (votes >= 0).any(axis=1)
    course = Curriculum().fit(posterior, features, build_graph(features), covered=known)
    frame = course.admitted_.frame()
    counts = frame[frame["round"] >= 0].groupby("round").size()
    assert counts.index[0] == 0 and len(counts) >= 3
    first = frame[frame["round"] == 0]
    labels = hard_labels(posterior, known)
    quota = np.ceil(0.2 * np.bincount(labels[known], minlength=3)).sum()
    assert len(first) <= quota
    inside = frame["label"].to_numpy() >= 0
    assert (frame["label"].to_numpy() == truth)[inside].mean() > (
        (labels == truth)[inside].mean() + 0.1
    )
    assert course.stop_reason_


def test_dev_takes_back_a_round_that_hurts() -> None:
    votes, _, features = planted(n=900, d=8, accuracies=(0.7, 0.6))
    posterior = DawidSkene().fit(votes, n_classes=3).predict_proba(votes)
    graph = build_graph(features)
    says = [
        Curriculum(rounds=r).fit(posterior, features, graph).student_.argmax(axis=1) for r in (1, 2)
    ]
    rows = np.flatnonzero(says[0] != says[1])  # here dev agrees with the first student alone
    assert len(rows) >= 10
    course = Curriculum(rounds=5).fit(posterior, features, graph, dev=(rows, says[0][rows]))
    assert course.stop_reason_.startswith("dev says")
    assert [d.value for d in course.dev_] == [1.0, 0.0]
    assert (course.student_.argmax(axis=1) == says[0]).all()
    assert course.admitted_.round.max() == 0
    with pytest.raises(DataError, match="two classes at least"):
        Curriculum().fit(np.eye(3)[np.zeros(900, int)], features, graph)
