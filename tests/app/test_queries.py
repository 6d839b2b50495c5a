"""The pages' questions, answered on the drawn shapes and recounted here by hand."""

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from app.components.why import label_line, why
from app.services.matrix import pair_table
from pipelines.candidates import candidate_labels, candidate_table, changes
from pipelines.cards import item_card
from pipelines.lf_queries import (
    contradictions,
    lf_pairs,
    lf_rows,
    lf_table,
    pair_rows,
    settling_first,
)
from pipelines.project import RunRecord
from pipelines.queries import RunView
from pipelines.queues import QUEUES, review_queue
from tests.app import shapes as drawn
from weaklight.contracts import ABSTAIN
from weaklight.errors import DataError


@pytest.fixture
def view(shapes):
    return RunView.latest(shapes)


def test_no_run_or_a_run_without_labels_is_no_view(shapes):
    (shapes.state / "runs" / f"{drawn.RUN_ID}.json").unlink()
    assert RunView.latest(shapes) is None
    partial = RunRecord("20270101T000000000Z-00001", "2027-01-01", 0, "here", {}, status="done")
    shapes.save_run(partial)
    assert RunView.latest(shapes) is None


def test_the_newest_finished_run_wins_over_a_failed_one(shapes):
    first = RunView.latest(shapes).record
    later = {"started": "2027", "libraries": {}, "seed": 0, "host": "here"}
    shapes.save_run(
        RunRecord("20270101T000000000Z-1", status="failed", artifacts=first.artifacts, **later)
    )
    assert RunView.latest(shapes).run_id == drawn.RUN_ID
    shapes.save_run(
        RunRecord("20270102T000000000Z-1", status="done", artifacts=first.artifacts, **later)
    )
    assert RunView.latest(shapes).run_id == "20270102T000000000Z-1"


def test_lf_rows_match_a_count_by_hand(view):
    gold = view.dev_gold
    for j, lf in enumerate(view.lfs):
        votes = np.asarray(view.votes[:, j])
        allowed = {0: {0}, 1: {1}, 2: {2}, 3: {1, 2}, ABSTAIN: set()}
        judged = [i for i in range(len(votes)) if votes[i] >= 0 and gold[i] >= 0]
        right = [i for i in judged if gold[i] in allowed[votes[i]]]
        conflicts = [
            i
            for i in range(len(votes))
            if votes[i] >= 0
            and any(o >= 0 and not allowed[votes[i]] & allowed[o] for o in view.votes[i].tolist())
        ]
        assert lf_rows(view, lf["name"], "votes").tolist() == np.flatnonzero(votes >= 0).tolist()
        assert lf_rows(view, lf["name"], "right").tolist() == right
        assert lf_rows(view, lf["name"], "wrong").tolist() == sorted({*judged} - {*right})
        assert lf_rows(view, lf["name"], "conflicts").tolist() == conflicts
        for i in conflicts:
            said = {
                view.vote_names[o]
                for o in view.votes[i].tolist()
                if o >= 0 and not allowed[votes[i]] & allowed[o]
            }
            assert set(contradictions(view, lf["name"], i)) == said != set()
    with pytest.raises(DataError, match="no labelling function"):
        lf_rows(view, "nobody", "votes")
    names = [lf["name"] for lf in view.lfs]
    against = [pair_rows(view, names[0], other, "conflicts") for other in names[1:]]
    together = np.unique(np.concatenate(against)).tolist()
    assert together == lf_rows(view, names[0], "conflicts").tolist()


def test_the_lf_table_has_dev_and_test_side_by_side(view, shapes):
    table = lf_table(view).set_index("name")
    full = table.loc["mostly_full"]
    assert full["gold_n"] == len(lf_rows(view, "mostly_full", "right")) + len(
        lf_rows(view, "mostly_full", "wrong")
    )
    assert full["low"] <= full["accuracy"] <= full["high"]
    assert {"test_accuracy", "test_n", "description", "n_errors"} <= set(table.columns)
    pd.testing.assert_frame_equal(lf_table(RunView(shapes, view.record)).set_index("name"), table)

    only_votes = {k: v for k, v in view.record.artifacts.items() if k in ("ingest", "vote")}
    early = RunRecord("x", "2026", 0, "here", {}, artifacts=only_votes)
    table = lf_table(RunView(shapes, early))
    assert "test_accuracy" not in table and table["learned_accuracy"].isna().all()


@pytest.mark.parametrize("order", list(QUEUES))
def test_queues_hold_each_unlabelled_item_at_most_once_and_no_other(view, order):
    rows = review_queue(view, order)
    assert len(set(rows.tolist())) == len(rows)
    assert set(view.splits[rows]) <= {"unlabeled"}
    assert np.array_equal(rows, review_queue(view, order))


@pytest.mark.parametrize("order", list(QUEUES))
def test_items_that_came_with_a_label_are_in_no_queue(view, tmp_path, monkeypatch, order):
    rows, came = review_queue(view, order), tmp_path / "labeled.parquet"
    pd.DataFrame({"item_id": view.item_ids[rows[:2]]}).to_parquet(came)
    path = view.path
    monkeypatch.setattr(
        view, "path", lambda *output: came if output == ("ingest", "labeled") else path(*output)
    )
    left = review_queue(view, order)
    assert set(left.tolist()) == set(rows[2:].tolist())
    assert len(rows) > 1 or order == "cleaning issues"  # of which there is none here


def test_queues_are_in_the_order_they_promise(view):
    confidence = view.weak["confidence"].to_numpy()
    doubtful = review_queue(view, "least confident")
    assert (np.diff(confidence[doubtful]) >= 0).all()
    useful = review_queue(view, "most useful")
    unlabeled = view.item_ids[view.splits == "unlabeled"]
    assert view.item_ids[useful].tolist() == unlabeled[[5, 2, 9]].tolist()
    silent = review_queue(view, "uncovered")
    assert len(silent) and (view.votes[silent] == ABSTAIN).all()
    assert (view.bag_votes[silent] == ABSTAIN).all()
    torn = review_queue(view, "functions disagree")
    assert set(review_queue(view, "settles conflicts").tolist()) == set(torn.tolist())
    in_conflict = set(lf_rows(view, "in_between", "conflicts"))
    assert len(torn) and set(torn.tolist()) <= in_conflict
    assert set(review_queue(view, "random", 1).tolist()) == set(
        review_queue(view, "random", 2).tolist()
    )
    assert review_queue(view, "random", 1).tolist() != review_queue(view, "random", 2).tolist()
    with pytest.raises(DataError, match="expected one of the orders"):
        review_queue(view, "alphabetical")


def test_the_card_says_why(view):
    row = int(review_queue(view, "functions disagree")[0])
    card = item_card(view, row)
    votes = {v.lf: v for v in card.votes}
    assert len(votes) == int((view.votes[row] >= 0).sum())
    assert {v.agrees for v in card.votes} == {True, False}
    assert votes["mostly_full"].description == "Square: fills its box."
    assert sum(card.weak) == pytest.approx(1, abs=1e-5)
    similarity = [n.similarity for n in card.neighbors]
    assert len(similarity) == 6 and similarity == sorted(similarity, reverse=True)
    assert row not in [n.row for n in card.neighbors]


def test_the_card_knows_bags_and_gold_of_dev_but_never_gold_of_test(view):
    bagged = item_card(view, 12)
    assert (bagged.bag.bag_id, bagged.bag.n_items, bagged.bag.is_positive) == ("bag1", 10, False)
    assert bagged.bag.says == "angular" and bagged.bag.score == pytest.approx(0.52)
    dev = int(np.flatnonzero(view.splits == "dev")[0])
    assert item_card(view, dev).gold in drawn.CLASSES
    assert item_card(view, dev).bag is None
    for row in np.flatnonzero(view.splits == "test"):
        assert item_card(view, int(row)).gold is None
    view.project.store.path("ingest", view.record.artifacts["ingest"], "gold_test").unlink()
    fresh = RunView(view.project, view.record)
    assert len(lf_table(fresh)) == 5 and item_card(fresh, 0).item_id == "s000"


def test_the_card_of_an_item_that_is_a_bag_gives_its_known_label(tmp_path):
    project = drawn.build(tmp_path / "shapes", parts=True)
    known = project.store.path("ingest", project.latest_run().artifacts["ingest"], "bag_labels")
    view = RunView.latest(project)
    rows = [int(np.flatnonzero(view.splits == split)[0]) for split in ("unlabeled", "test")]
    ids = view.item_ids[rows]
    pd.DataFrame({"bag_id": ids, "bag_label": [0, 1]}).to_parquet(known)
    labelled, kept, other = (item_card(view, row) for row in (*rows, rows[0] + 1))
    assert labelled.parts.is_positive is False
    assert kept.parts.is_positive is None  # which would be gold
    assert "its bag label says not" in why(view, labelled, {}, {})
    assert "its bag label says" not in why(view, other, {}, {}) + why(view, kept, {}, {})
    one, two = (label_line(view, replace(c, source="bag"), {}, None) for c in (labelled, other))
    assert "its own bag label" in one and "its patches" in two


def test_pictures_are_enlarged_without_a_new_grey(view):
    png = Image.open(io.BytesIO(view.picture(3)))
    assert png.size == (112, 112)
    assert np.array_equal(np.asarray(png)[::7, ::7], view.payload[3][..., 0])
    assert view.picture(3) is view.picture(3), "made once"


def test_map_points_follow_the_items(view):
    points = view.map_points()
    assert points["item_id"].tolist() == view.item_ids.tolist()
    assert points["label"].isna().sum() == (view.labels == ABSTAIN).sum()
    assert set(points.loc[points["label"].isna(), "source"]) == {"none"}


def test_a_candidate_is_compared_with_the_run_and_ties_stay_open(view):
    truth = {c: view.dev_gold == c for c in range(3)}
    labels = candidate_labels(view, "other")
    dev = view.splits == "dev"
    assert (labels[dev & truth[1]] == 0).all() and (labels[dev & truth[2]] == 2).all()
    assert (labels[dev & truth[0]] == ABSTAIN).all(), "three equal classes are no label"
    found = changes(view, labels)
    run = view.labels
    assert found["other"].tolist() == [
        i for i in range(len(run)) if run[i] != labels[i] and run[i] >= 0 and labels[i] >= 0
    ]
    assert set(found["more"]) == set(np.flatnonzero((run == ABSTAIN) & (labels != ABSTAIN)))
    assert set(found["fewer"]) == set(np.flatnonzero((run != ABSTAIN) & (labels == ABSTAIN)))

    table = candidate_table(view).set_index("name")
    assert table.index.tolist() == ["majority_vote", "other"]
    assert table["is_chosen"].tolist() == [True, False]
    assert table["value"].tolist() == [11 / 18, 5 / 18], "as the report counts"
    assert table.loc["other", "other"] == len(found["other"]) > 0
    assert table.loc["majority_vote", "other"] == 0
    with pytest.raises(DataError, match="but not 'nobody'"):
        candidate_labels(view, "nobody")


def test_pairs_count_what_their_items_show_and_the_most_useful_conflict_comes_first(view):
    counts = lf_pairs(view)
    names = [lf["name"] for lf in view.lfs]
    table = pair_table(names, counts).set_index(["function", "other"])
    for name in names:
        for other in names:
            row = table.loc[(name, other)]
            both = pair_rows(view, name, other, "both")
            assert row["overlap"] == len(both)
            assert row["conflict"] == len(pair_rows(view, name, other, "conflicts"))
            same = len(pair_rows(view, name, other, "same"))
            assert np.isnan(row["agreement"]) if not len(both) else True
            assert not len(both) or row["agreement"] == same / len(both)
    torn = lf_rows(view, "in_between", "conflicts")
    first = settling_first(view, torn)
    assert sorted(first) == torn.tolist()
    patterns = [tuple(view.votes[row]) for row in torn]
    alike = {pattern: patterns.count(pattern) for pattern in set(patterns)}
    assert alike[tuple(view.votes[first[0]])] == max(alike.values())


def test_an_id_of_another_run_is_named(view):
    with pytest.raises(DataError, match=r"1 ids are not in run .*'ghost'"):
        view.rows_of(["s000", "ghost"])
