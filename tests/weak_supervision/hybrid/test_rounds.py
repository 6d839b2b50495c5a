import numpy as np
import pytest

from tests.weak_supervision.planted import planted
from weak_supervision.hybrid import Curriculum, SelfTraining
from weak_supervision.label_models import MODELS, DawidSkene, hard_labels
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


def test_the_student_is_one_voter_that_speaks_where_it_is_sure(monkeypatch) -> None:
    votes, _, features = planted(n=900, d=16, accuracies=(0.8, 0.7, 0.7), coverage=0.3)
    features[:100] = np.nan
    widths = []

    class Watched(DawidSkene):
        def fit(self, votes, **about):
            widths.append(votes.shape[1])
            return super().fit(votes, **about)

    monkeypatch.setitem(MODELS, "watched", Watched)
    taught = SelfTraining(label_model="watched", rounds=3).fit(votes, features, n_classes=3)
    assert widths == [3, 4, 4, 4]  # the student of an earlier round has no second vote
    silent, seen = ~(votes >= 0).any(axis=1), np.isfinite(features).all(axis=1)
    source = taught.admitted_.source
    assert set(source[silent & ~seen]) == {""}  # the student has nothing to go by
    assert set(source[silent & seen]) == {"student", ""}  # "": it is not sure
    assert ((taught.admitted_.labels == -1) == (taught.admitted_.source == "")).all()


def test_self_training_ends_when_labels_stay_as_they_are() -> None:
    votes, _, features = planted(n=600, d=32, accuracies=(0.95, 0.9, 0.9), coverage=0.9)
    taught = SelfTraining(rounds=9).fit(votes, features, n_classes=3)
    assert taught.n_rounds_ < 9 and taught.stop_reason_.startswith("fewer than 0.5%")


def test_a_curriculum_keeps_what_people_say_and_each_class_its_quota() -> None:
    votes, truth, features = planted(n=900, d=16, accuracies=(0.75, 0.65, 0.6), coverage=0.8)
    rare = (truth == 2) & (np.arange(900) % 4 > 0)
    votes, truth, features = votes[~rare], truth[~rare], features[~rare]
    posterior = DawidSkene().fit(votes, n_classes=3).predict_proba(votes)
    graph, known = build_graph(features), (votes >= 0).all(axis=1)
    voted = Curriculum(rounds=1).fit(posterior, features, graph, covered=known).admitted_
    assert (voted.labels[~known] == -1).all() and (voted.labels[known] >= 0).any()
    first = Curriculum(rounds=1).fit(posterior, features, graph).student_.argmax(axis=1)
    second = Curriculum(rounds=2).fit(posterior, features, graph)
    admitted = second.admitted_.labels
    quota = np.ceil(0.4 * np.bincount(first, minlength=3))
    assert np.bincount(admitted[admitted >= 0], minlength=3).tolist() == quota.tolist()
    assert set(second.admitted_.round) == {-1, 0, 1}
    people = np.arange(len(truth)) < 30
    gold = np.where(people, (truth + 1) % 3, -1)  # they may insist
    course = Curriculum().fit(posterior, features, graph, gold=gold).admitted_
    assert (course.labels[people] == gold[people]).all() and (course.round[people] == 0).all()
    assert (course.source[people] == "human").all() and "human" not in course.source[~people]


def test_a_curriculum_stops_before_a_class_is_lost() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 400)
    features = 4 * np.eye(2)[truth] + rng.normal(size=(400, 2))
    posterior = np.eye(3)[np.where(np.arange(400) < 5, 2, truth)]  # a class at random
    course = Curriculum().fit(posterior, features, build_graph(features))
    assert course.stop_reason_.startswith("a class would have lost all its labels")
    assert 2 in course.admitted_.labels and course.admitted_.round.max() == 0


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
    alike = np.flatnonzero(says[0] == says[1])[:50]
    few = np.append(rows[:1], alike)  # one mistake more in 51 may be chance
    unsure = Curriculum(rounds=2).fit(posterior, features, graph, dev=(few, says[0][few]))
    assert [d.value for d in unsure.dev_] == [1.0, 50 / 51]
    assert unsure.stop_reason_ == "2 rounds were asked for"
    course = Curriculum(rounds=5).fit(posterior, features, graph, dev=(rows, says[0][rows]))
    assert course.stop_reason_.startswith("dev says")
    assert [d.value for d in course.dev_] == [1.0, 0.0]
    assert (course.student_.argmax(axis=1) == says[0]).all()
    assert course.admitted_.round.max() == 0
    with pytest.raises(DataError, match="two classes at least"):
        Curriculum().fit(np.eye(3)[np.zeros(900, int)], features, graph)
