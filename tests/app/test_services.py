"""Services of the app: decisions become events, the queue moves on, words and colours are right."""

import doctest
import importlib

import numpy as np
import pandas as pd
import pytest

from app.components.markup import stack
from app.services.colors import SOURCE_COLORS, class_colors
from app.services.desk import Desk
from app.services.gold_desk import GoldDesk
from app.services.keys import ACTION_KEYS, class_keys
from app.services.scatter import groups_figure, selected_rows, values_figure
from app.services.tiles import tiles
from app.services.tryout import RefusedError, Tryout
from app.services.workbench import PAGE_SIZE, Workbench
from pipelines.gold import draw_gold
from pipelines.queries import RunView
from pipelines.report.words import source_names
from pipelines.reviews import ReviewStore
from tests.app.shapes import build
from tests.pipelines import letters
from weaklight.errors import DataError, LabelingError


@pytest.fixture
def desk(shapes):
    view = RunView.latest(shapes)
    store = ReviewStore(shapes.state / "reviews.sqlite")
    return Desk(view, store, "ada", "least confident")


def item(desk, *, labelled):
    rows = np.flatnonzero((desk.view.splits == "unlabeled") & ((desk.view.labels >= 0) == labelled))
    return str(desk.view.item_ids[rows[0]])


def last(desk):
    return desk.store.events(limit=1).iloc[0]


def test_accept_records_the_label_the_reviewer_saw(desk):
    one = item(desk, labelled=True)
    seen = desk.view.class_name(int(desk.view.labels[desk.view.rows_of([one])[0]]))
    desk.accept([one])
    event = last(desk)
    assert (event["action"], event["old"], event["new"]) == ("accept", seen, seen)
    assert (event["run_id"], event["queue"]) == (desk.view.run_id, "least confident")

    desk.relabel([one], "cross")
    desk.accept([one])
    assert last(desk)["new"] == "cross", "what a person said before is what is accepted now"


def test_an_item_without_a_label_cannot_be_accepted(desk):
    with pytest.raises(DataError, match="no label to accept"):
        desk.accept([item(desk, labelled=True), item(desk, labelled=False)])
    assert desk.store.events().empty, "a bulk action is all or nothing"


@pytest.mark.parametrize("split", ["dev", "test"])
def test_items_of_dev_and_test_are_refused(desk, split):
    held_out = str(desk.view.item_ids[desk.view.splits == split][0])
    with pytest.raises(DataError, match="dev or test"):
        desk.relabel([item(desk, labelled=True), held_out], "cross")
    assert desk.store.events().empty


def test_an_unknown_class_is_refused(desk):
    with pytest.raises(DataError, match="no class is called 'triangle'"):
        desk.relabel([item(desk, labelled=True)], "triangle")


def test_standing_tells_settled_from_passed(desk):
    one, other = item(desk, labelled=True), item(desk, labelled=False)
    desk.exclude([one])
    desk.skip([other])
    standing = desk.standing()
    assert standing.is_done(one) and standing.is_done(other)
    assert standing.label_of(one, "circle") is None
    assert standing.n_mine == 1
    bob = Desk(desk.view, desk.store, "bob", "random").standing()
    assert bob.is_done(one) and not bob.is_done(other), "ada's skip leaves the item to bob"
    assert desk.undo() == [other] and desk.undo() == [one] and desk.undo() == []
    assert not desk.standing().decisions


def test_a_note_is_kept_beside_the_decision_and_changes_none(desk):
    one = item(desk, labelled=True)
    digest = desk.store.digest()
    desk.comment(one, "  torn at the edge ")
    desk.comment(one, " ")
    assert len(desk.store.events()) == 1 and desk.store.digest() == digest
    standing = desk.standing()
    assert standing.notes == {one: ("ada", "torn at the edge")} and not standing.is_done(one)
    assert desk.undo() == [one] and not desk.standing().notes


def test_gold_is_answered_in_the_order_of_the_draw_and_nowhere_else(desk, shapes):
    draw = draw_gold(shapes, 12, "test", reviewer="ada", seed=3)
    drawn = draw.items["item_id"].tolist()
    about = (desk.view.classes, desk.view.run_id)
    there = frozenset(desk.view.item_ids)
    gold = GoldDesk(desk.store, "ada", *about, there)
    assert gold.open_items() == drawn != sorted(drawn)
    gold.answer(drawn[0], "cross")
    gold.skip(drawn[1])
    assert gold.open_items() == drawn[2:]
    bob = GoldDesk(desk.store, "bob", *about, there)
    assert bob.open_items() == drawn[1:], "ada's skip leaves the item to bob"
    of_test = {"role": "test", "drawn": 12, "answered": 1, "gone": 0}
    assert gold.progress().to_dict("records") == [of_test]
    later = GoldDesk(desk.store, "ada", *about, there - {drawn[0], drawn[2], drawn[5]})
    assert later.open_items() == [i for i in drawn[2:] if i not in (drawn[2], drawn[5])]
    of_test = {"role": "test", "drawn": 9, "answered": 0, "gone": 3}
    assert later.progress().to_dict("records") == [of_test]
    taken_in = desk.store.gold().set_index("item_id")["label"].dropna()
    assert taken_in.to_dict() == {drawn[0]: "cross"}
    assert gold.undo() == [drawn[1]] and gold.undo() == [drawn[0]]
    assert gold.open_items() == drawn

    with pytest.raises(DataError, match="answer them on the page Gold"):
        desk.relabel([drawn[4]], "cross")
    other = next(i for i in desk.view.item_ids if i not in drawn)
    with pytest.raises(DataError, match="was not drawn"):
        gold.answer(other, "cross")
    with pytest.raises(DataError, match="no class is called"):
        gold.answer(drawn[0], "triangle")


def test_a_process_that_does_not_answer_is_ended_and_the_next_one_answers(tmp_path):
    tryout = Tryout(letters.build(tmp_path / "letters").root)
    try:
        with pytest.raises(LabelingError, match=r"took longer than 0\.01 s"):
            tryout.ask({"do": "columns"}, limit_s=0.01)
        assert "text" in [column["name"] for column in tryout.ask({"do": "columns"})]
        with pytest.raises(RefusedError, match="at least one word") as refused:
            table = {"name": "x", "kind": "keywords", "column": "text", "vote": "ham"}
            tryout.ask({"do": "try", "table": table})
        assert refused.value.option == "words"
    finally:
        tryout.close()


def test_the_workbench_walks_the_queue_and_comes_back_for_what_was_left():
    queue = [f"i{k:02d}" for k in range(PAGE_SIZE + 3)]
    done = set()
    bench = Workbench()
    bench.turn_page(queue, done.__contains__)
    assert bench.page == queue[:PAGE_SIZE] and bench.current == "i00"
    bench.pick("i05")
    done.add("i05")
    bench.advance(queue, done.__contains__)
    assert bench.current == "i06", "on from the picture in hand"
    done |= set(queue[6:PAGE_SIZE])
    bench.advance(queue, done.__contains__)
    assert bench.current == "i00", "back to what was left open on the page"
    bench.turn_page(queue, done.__contains__)
    assert bench.page == queue[PAGE_SIZE:]
    done |= set(queue)
    bench.advance(queue, done.__contains__)
    assert bench.current is None and bench.page == []
    done.remove("i03")
    bench.pick("i03")
    assert bench.page == ["i03"] and bench.current == "i03"


def test_tiles_show_the_human_label_first(desk):
    one = item(desk, labelled=True)
    row = desk.view.rows_of([one])
    colors = class_colors(desk.view.classes)
    desk.relabel([one], "cross")
    (tile,) = tiles(desk.view, row, colors, desk.standing())
    assert (tile.label, tile.color, tile.mark) == ("cross", colors["cross"], "✎")
    desk.exclude([one])
    (tile,) = tiles(desk.view, row, colors, desk.standing())
    assert (tile.label, tile.mark) == ("excluded", "✕")
    assert tile.src.startswith("data:image/png;base64,")


def test_a_tile_of_a_text_holds_its_words(tmp_path):
    view = RunView.latest(build(tmp_path / "texts", kind="text"))
    (tile,) = tiles(view, [0], class_colors(view.classes))
    assert tile.src == "" and tile.words.startswith("<b>A ") and tile.words.endswith("More.")


def test_keys_are_one_each_and_leave_streamlits_own_alone():
    keys = [*ACTION_KEYS.values(), *class_keys([str(i) for i in range(12)]).values()]
    assert len(set(keys)) == len(keys) == 15
    assert not {"C", "R"} & {k.upper() for k in keys}


def test_every_class_has_its_own_colour_however_many():
    colors = class_colors([str(i) for i in range(60)])
    assert len(set(colors.values())) == 60
    assert class_colors(["x"])["x"] == colors["0"]


def test_a_selection_on_the_map_leads_back_to_the_rows():
    points = pd.DataFrame(
        {"x": [0, 1, 2, 3], "y": 0, "item_id": list("abcd")}, index=[10, 20, 30, 40]
    )
    figure = groups_figure(
        points, np.array(["q", "p", "q", "p"], object), {"p": "#111111", "q": "#222222"}
    )
    assert [t.name for t in figure.data] == ["p", "q"]
    # What Plotly reports: the second trace's first point, the first trace's second point.
    picked = [figure.data[1].customdata[0], figure.data[0].customdata[1]]
    event = {"selection": {"points": [{"customdata": c} for c in picked]}}
    assert selected_rows(event) == [10, 40]
    assert selected_rows(None) == selected_rows({"selection": {"points": []}}) == []

    figure = values_figure(points, np.array([0.2, np.nan, 1.0, 0.5], np.float32), "Confidence")
    assert [len(t.x) for t in figure.data] == [1, 3]


@pytest.mark.parametrize("module", ["words", "keys", "colors", "answers"])
def test_examples_in_docstrings_hold(module):
    assert doctest.testmod(importlib.import_module(f"app.services.{module}")).failed == 0


def test_every_source_of_a_label_has_words_and_a_colour() -> None:
    names = source_names([], {})
    assert list(names) == list(SOURCE_COLORS)
    shown = stack({"votes": 3, "student": 1}, names)  # of pseudo-labels, round by round
    assert "a student of the other labels" in shown and "75%" in shown and "25%" in shown
