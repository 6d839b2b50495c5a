import json

import numpy as np
import pytest

from pipelines.config import parse_config
from pipelines.sections import AggregateConfig
from tests.weak_supervision.planted import planted
from tests.weak_supervision.real_data import labelme, wrench
from weak_supervision import choice as choice_module
from weak_supervision.choice import choose
from weak_supervision.gold_check import check_with_gold
from weak_supervision.label_models import CANDIDATES, hard_labels
from weak_supervision.names import settings_for
from weaklight.contracts import ClassSet, check_posterior
from weaklight.errors import ConfigError, DataError

SOME = {"accuracies": (0.85, 0.75, 0.7, 0.65, 0.6, 0.55), "coverage": 0.5}


def accuracy(choice, name, truth):
    return (hard_labels(choice.posteriors[name]) == truth).mean()


@pytest.fixture(scope="module")
def useful():
    votes, truth, features = planted(n=1500, d=16, **SOME)
    return choose(votes, n_classes=3, features=features), truth


def test_features_that_know_the_classes_are_used(useful):
    choice, truth = useful
    assert choice.chosen in {"joint", "majority_vote+features"}  # both right on 99 %
    assert accuracy(choice, choice.chosen, truth) > accuracy(choice, "majority_vote", truth) + 0.2


def test_every_candidate_comes_with_its_evidence(useful):
    choice, _ = useful
    model = choice.label_model
    names = [*CANDIDATES, f"{model}+features", f"{model}+filled", "joint"]
    rows = {row["name"]: row for row in choice.candidates}
    assert list(rows) == names
    assert set(names) | {"majority_vote+features"} <= set(choice.posteriors)
    for posterior in choice.posteriors.values():
        check_posterior(posterior, 3)
    json.dumps(choice.candidates, allow_nan=False)
    joint = rows["joint"]
    assert joint["against"] == model and joint["gain_low"] > 0 and joint["gain_voted_low"] > 0
    assert 0 < joint["stability"] <= 1 and joint["coverage"] == 1.0
    assert 0.9 < joint["seed_stability"] < 1 and rows["dawid_skene"]["seed_stability"] == 1.0
    gain = joint["compared"] - joint["compared_before"]
    np.testing.assert_allclose(joint["gain"], gain)
    assert joint["cut_gain_high"] > 0 and "stay when voters are set aside" in choice.reason
    assert choice.posterior is choice.posteriors[choice.chosen]
    assert "the features are used" in choice.reason


def test_features_that_know_nothing_are_left_out():
    votes, truth, _ = planted(n=1500, **SOME)
    noise = np.random.default_rng(9).normal(size=(1500, 16))
    choice = choose(votes, n_classes=3, features=noise)
    assert choice.chosen == choice.label_model  # Dawid-Skene: these LFs do err independently
    base = accuracy(choice, "majority_vote", truth)
    assert accuracy(choice, choice.chosen, truth) >= base
    assert accuracy(choice, "majority_vote+features", truth) < base
    assert "the features are left out" in choice.reason
    gold = np.where(np.arange(1500) < 500, truth, -1)
    assert "chance explains" not in check_with_gold(choice.posteriors, choice.chosen, gold)


def test_features_fill_the_silence_where_votes_are_better_than_they():
    """Rare functions that are nearly always right: nothing to repair, much to fill in."""
    rng = np.random.default_rng(0)
    votes, truth, features = planted(n=3000, accuracies=(0.98,) * 6, coverage=0.12, d=8)
    features += rng.normal(scale=2.0, size=features.shape)
    choice = choose(votes, n_classes=3, features=features)
    assert choice.chosen in {"majority_vote+filled", "joint"}
    voted = (votes >= 0).any(axis=1)
    labels = choice.posterior.argmax(axis=1)
    assert (labels == truth)[voted].mean() > 0.96
    assert (labels == truth)[~voted].mean() > 0.6


def test_functions_that_never_meet_are_no_evidence_against_their_votes():
    """Leaving a function out makes its items silent; that must not speak for the features."""
    rng = np.random.default_rng(1)
    _, truth, features = planted(n=2000, d=8)
    votes = np.full((2000, 10), -1)
    votes[np.arange(2000), rng.integers(0, 10, 2000)] = np.where(
        rng.random(2000) < 0.9, truth, rng.integers(0, 3, 2000)
    )
    choice = choose(votes, n_classes=3, features=features)
    assert choice.chosen == "majority_vote"
    joint = next(row for row in choice.candidates if row["name"] == "joint")
    assert joint["gain_voted_low"] is None


def test_gold_says_when_the_choice_was_wrong(useful):
    choice, truth = useful
    assert "There is no gold" in check_with_gold(
        choice.posteriors, choice.chosen, np.full(1500, -1)
    )
    assert "chance explains" not in check_with_gold(choice.posteriors, choice.chosen, truth)
    said = check_with_gold(choice.posteriors, "majority_vote", truth)
    assert "more than chance explains. To try it" in said
    best = max(choice.posteriors, key=lambda name: accuracy(choice, name, truth))
    asked = ", ".join(f'{key} = "{value}"' for key, value in settings_for(best).items())
    assert said.endswith(f"in weaklight.toml and run again: {asked}.")
    few = np.where(np.arange(1500) < 19, truth, -1)
    assert check_with_gold(choice.posteriors, choice.chosen, few) == (
        "19 hand-labelled items are too few to check the choice with."
    )


@pytest.mark.parametrize("name", ["snorkel", "snorkel+features", "snorkel+filled", "joint"])
def test_the_settings_that_are_named_ask_for_that_candidate(name):
    votes, _, features = planted(n=400, d=8)
    asked = AggregateConfig(**settings_for(name))
    choice = choose(
        votes,
        n_classes=3,
        features=features,
        model=None if asked.model == "auto" else asked.model,
        use_features=asked.features,
    )
    assert choice.chosen == name


def test_the_joint_model_takes_no_label_model():
    both = {"model": "snorkel", "features": "joint"}
    with pytest.raises(ConfigError, match='features = "joint" takes the place of a label model'):
        parse_config({"classes": ["a", "b"], "items": {"source": "x"}, "aggregate": both})


def test_gold_names_majority_vote_once_where_it_is_the_best():
    truth = np.zeros(100, dtype=int)
    right, wrong = np.tile([0.9, 0.1], (100, 1)), np.tile([0.1, 0.9], (100, 1))
    said = check_with_gold({"majority_vote": right, "joint": wrong}, "joint", truth)
    assert said == (
        "On 100 hand-labelled items the choice is right on 0.0 % (0.0 to 3.7), majority vote on "
        "100.0 %. The best of 2 candidates is 100.0 points ahead of the choice (95 % interval "
        "+94.0 to +100.0), more than chance explains. To try it, put this under [aggregate] in "
        'weaklight.toml and run again: model = "majority_vote", features = "off".'
    )
    taught = {"majority_vote": right, "hybrid": wrong, "chosen": wrong}
    assert check_with_gold(taught, "chosen", truth).endswith('features = "off", hybrid = "none".')


def test_a_few_items_advise_no_more_than_they_know():
    truth = np.zeros(25, dtype=int)
    right = np.tile([0.9, 0.1], (25, 1))

    def said(n_wrong: int, n_candidates: int = 2) -> str:
        chosen = np.where(np.arange(25)[:, None] < n_wrong, right[:, ::-1], right)
        others = {str(i): chosen for i in range(n_candidates - 2)}
        return check_with_gold({"majority_vote": right, "joint": chosen} | others, "joint", truth)

    assert said(4).endswith("which may be chance.")  # McNemar's p is 0.125
    # 0.016 for one rival, but it is the best of 8
    assert said(7, n_candidates=8).endswith("but the best of several may be ahead by chance.")
    assert "25 items are few: label more of dev before you rely on it. To try it" in said(12)


def test_a_single_voter_is_not_said_to_agree_with_itself():
    votes, _, features = planted(n=200, d=8)
    assert "with one voice" not in choose(votes[:, :1], n_classes=3, features=features).reason
    assert "with one voice" in choose(votes, n_classes=3, features=features).reason


def test_a_label_model_that_knows_whom_to_trust_is_chosen():
    votes, truth, _ = planted(
        n=3000, accuracies=(0.95, 0.9, 0.9, 0.3, 0.3, 0.35, 0.3, 0.35), coverage=0.7
    )
    choice = choose(votes, n_classes=3)
    assert choice.chosen in {"snorkel", "dawid_skene"}
    base = accuracy(choice, "majority_vote", truth)
    assert accuracy(choice, choice.chosen, truth) > base + 0.03


def test_a_person_may_insist_on_a_label_model():
    votes, _, features = planted(n=400, d=8)
    choice = choose(votes, n_classes=3, features=features, model="one_coin")
    assert choice.label_model == "one_coin" and choice.chosen.startswith("one_coin")
    assert choice.reason.startswith("The settings ask for one-coin Dawid-Skene; left")


def test_a_person_may_insist_on_features_or_on_none():
    votes, _, features = planted(n=400, d=8)
    off = choose(votes, n_classes=3, features=features, use_features="off")
    assert off.chosen == off.label_model and "The settings ask for" in off.reason
    noise = np.random.default_rng(0).normal(size=(400, 8))
    on = choose(votes, n_classes=3, features=noise, use_features="on")
    assert on.chosen == f"{on.label_model}+features"


def test_many_items_are_judged_by_a_draw_of_them(monkeypatch):
    votes, truth, features = planted(n=1500, d=16, **SOME)
    monkeypatch.setattr(choice_module, "MAX_JUDGED_ITEMS", 500)
    choice = choose(votes, n_classes=3, features=features)
    assert choice.chosen == "joint"
    assert accuracy(choice, "joint", truth) > accuracy(choice, "majority_vote", truth) + 0.05
    assert set(choice.posteriors) >= {*CANDIDATES, "joint"}
    spread_out = choose(votes, n_classes=3, features=features, model="majority_vote")
    assert spread_out.posterior.shape == (1500, 3)


def test_copies_of_a_bad_lf_do_not_pass_for_evidence():
    votes, truth, features = planted(n=1500, d=16, accuracies=(0.8, 0.8, 0.75, 0.75), coverage=0.8)
    bad = np.random.default_rng(3).integers(0, 3, 1500)
    copied = np.column_stack([votes, *[bad] * 3])
    choice = choose(copied, n_classes=3, features=features)
    assert accuracy(choice, choice.chosen, truth) >= accuracy(choice, "majority_vote", truth) - 0.01


def test_the_same_seed_gives_the_same_choice(useful):
    votes, _, features = planted(n=1500, d=16, **SOME)
    again = choose(votes, n_classes=3, features=features)
    assert again.reason == useful[0].reason and again.candidates == useful[0].candidates
    assert again.posterior.tobytes() == useful[0].posterior.tobytes()


def test_people_outrank_every_vote_and_pass_it_on():
    votes, truth, features = planted(n=600, d=16, **SOME)
    human = np.full(600, -1)
    human[:50] = (truth[:50] + 1) % 3  # even where they contradict everything
    choice = choose(votes, n_classes=3, features=features, human=human)
    for posterior in choice.posteriors.values():
        assert (posterior[:50].argmax(axis=1) == human[:50]).all()
        np.testing.assert_allclose(posterior[:50].max(axis=1), 1.0, atol=1e-5)
    assert not set(choice.overruled_unanimous) & set(range(50))
    assert choice.is_covered[:50].all()


def test_overruled_unanimous_votes_are_listed(useful):
    choice, _ = useful
    votes, _, _ = planted(n=1500, d=16, **SOME)
    labels = choice.posterior.argmax(axis=1)
    for row in choice.overruled_unanimous:
        said = votes[row][votes[row] >= 0]
        assert len(said) >= 2 and len(set(said)) == 1 and said[0] != labels[row]
    assert len(choice.overruled_unanimous) > 0
    assert f" {len(choice.overruled_unanimous)} labels differ from what two" in choice.reason


@pytest.mark.parametrize(
    "votes",
    [
        np.full((30, 4), -1),
        np.full((30, 0), -1),
        np.zeros((0, 3), dtype=int),
        np.zeros((1, 3), dtype=int),
        np.zeros((30, 1), dtype=int),
        np.zeros((30, 5), dtype=int),
    ],
    ids=["all abstain", "no LF", "no item", "one item", "one LF", "one class"],
)
@pytest.mark.parametrize("with_features", [False, True])
def test_without_evidence_majority_vote_stays(votes, with_features):
    features = np.random.default_rng(0).normal(size=(len(votes), 4)) if with_features else None
    choice = choose(votes, n_classes=3, features=features)
    assert choice.chosen == "majority_vote"
    assert "Majority vote stays" in choice.reason
    assert choice.posterior.shape == (len(votes), 3)


def test_too_few_features_to_teach_with_leave_the_votes_to_judge():
    votes, _, features = planted(n=600, d=16, **SOME)
    features[10:] = np.nan
    choice = choose(votes, n_classes=3, features=features)
    base = choice.candidates[0]
    assert base["taught_agreement"] is None and base["agreement"] is not None
    assert "The labels of majority vote predict" in choice.reason


def test_items_without_features_and_class_sets_take_part():
    votes, truth, features = planted(n=600, d=16, **SOME)
    features[:100] = np.nan
    votes = np.column_stack([votes, np.where(truth < 2, 3, 2)])
    choice = choose(votes, n_classes=3, class_sets=(ClassSet("a or b", (0, 1)),), features=features)
    assert accuracy(choice, choice.chosen, truth) > 0.85


def test_wrong_input_is_refused():
    votes = np.zeros((4, 2), dtype=int)
    with pytest.raises(DataError, match="human must hold a class id below 3"):
        choose(votes, n_classes=3, human=np.array([0, 1, 2, 3]))
    with pytest.raises(DataError, match="features must have a row for each of 4"):
        choose(votes, n_classes=3, features=np.ones((3, 2)))


@pytest.mark.slow  # 59 annotators and 8 classes make Snorkel slow
def test_labelme_takes_the_features():
    votes, features, gold = labelme()
    choice = choose(votes, n_classes=8, features=features)
    assert choice.chosen == "joint"
    assert accuracy(choice, choice.chosen, gold) > 0.87


def test_youtube_keeps_majority_vote_where_rivals_are_worse():
    votes, gold = wrench("youtube", "train")
    choice = choose(votes, n_classes=2)
    assert choice.chosen == "majority_vote"
    assert accuracy(choice, "snorkel", gold) < accuracy(choice, "majority_vote", gold)
