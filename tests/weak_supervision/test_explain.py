import numpy as np
import pytest

from tests.weak_supervision.planted import planted
from weak_supervision.candidates import JOINT
from weak_supervision.explain import features_words, model_words, steady_words, unanimous_words
from weak_supervision.judging import Judge, fits_neighbors, wins
from weak_supervision.neighbors import build_graph

RIVAL = {
    "name": "snorkel", "compared": 0.193, "compared_before": 0.156, "agreement_low": 0.1,
    "gain": 0.037, "gain_low": 0.012, "gain_voted_low": None, "seed_stability": 0.995,
    "stability": 0.9, "cut_gain_high": 0.2,
}  # fmt: skip


def test_a_surely_better_label_model_is_told_with_its_numbers():
    assert wins(RIVAL) and fits_neighbors(RIVAL)
    said = model_words(RIVAL, "snorkel", n_groups=5, is_taught=True)
    assert "in 5 groups. Taught by the labels of majority vote, a classifier predicts 15.6" in said
    assert said.endswith(
        "taught by those of Snorkel's label model, the best rival, 19.3. That is 3.7 more of 100, "
        "at worst 1.2 more (99 % sure): surely better. So Snorkel's label model was chosen."
    )


@pytest.mark.parametrize(
    ("evidence", "why"),
    [
        ({"gain": -0.003, "gain_low": -0.026}, "0.3 fewer of 100, at worst 2.6 fewer (99 % sure): "
         "not surely better"),
        ({"agreement_low": -0.01}, "better, but perhaps no better than guessing"),
        ({"seed_stability": 0.98}, "better, but another random seed changes more than that"),
        ({"cut_gain_high": -0.1}, "surely better, but similar items get different labels more"),
    ],
)  # fmt: skip
def test_whatever_speaks_against_a_rival_keeps_majority_vote_and_is_told(evidence, why):
    row = RIVAL | evidence
    assert not (wins(row) and fits_neighbors(row))
    said = model_words(row, "majority_vote", n_groups=2, is_taught=False)
    assert why in said and said.endswith("So majority vote stays.")
    assert "The labels of majority vote predict 15.6 more" in said


def test_features_that_may_harm_voted_items_are_left_out_and_it_is_told():
    row = RIVAL | {"name": JOINT}
    assert "surely better. So the features are used." in features_words(row, is_used=True)
    said = features_words(row, is_used=False)
    assert said.startswith(" When votes and features teach each other, the labels themselves")
    assert said.endswith("worse on the items that have votes. So the features are left out.")


def test_steadiness_and_overruled_votes_are_counted():
    assert "90.0 stay when voters are set aside, and 99.5 with" in steady_words(RIVAL)
    assert steady_words(RIVAL | {"stability": None}) == ""
    assert "1 label differs" in unanimous_words(1) and "1,200 labels differ" in unanimous_words(
        1200
    )
    assert unanimous_words(0).startswith(" No label differs")


def test_labels_that_similar_items_do_not_share_speak_against_a_label_model():
    _, truth, features = planted(n=600, d=16)
    scrambled = np.where(np.random.default_rng(0).random(600) < 0.3, (truth + 1) % 3, truth)
    judge, graph = Judge(share_voted=1.0, n_items=600, seed=0), build_graph(features)
    assert not fits_neighbors(judge.neighbors(scrambled, truth, graph))
    assert fits_neighbors(judge.neighbors(truth, scrambled, graph))
    noise = build_graph(np.random.default_rng(1).normal(size=(600, 16)).astype(np.float32))
    assert fits_neighbors(judge.neighbors(scrambled, truth, noise))
    assert fits_neighbors(judge.neighbors(scrambled, truth, None))
