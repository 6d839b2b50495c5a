"""Each page, run by Streamlit's own test harness on a real project."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.components import pages, why
from app.launch import PROJECT_VARIABLE, command
from app.services.gold_desk import GoldDesk
from app.services.keys import ACTION_KEYS
from labeling_functions.templates import KINDS, toml
from pipelines.cards import item_card
from pipelines.lf_queries import lf_rows, pair_rows
from pipelines.project import RunRecord
from pipelines.queries import RunView
from pipelines.reviews import GOLD_QUEUE, ReviewEvent, ReviewStore
from pipelines.store import Manifest, Output, hash_path
from tests.app.shapes import CLASSES, N_UNLABELED, build
from tests.pipelines import letters

REPOSITORY = Path(__file__).parents[2]
MAIN = REPOSITORY / "app" / "main.py"
PAGES = ("overview", "lfs", "pairs", "review", "gold", "models", "map")


@pytest.fixture
def open_page(shapes, monkeypatch):
    monkeypatch.setenv(PROJECT_VARIABLE, str(shapes.root))

    def _open(name: str, project=shapes) -> AppTest:
        monkeypatch.setenv(PROJECT_VARIABLE, str(project.root))
        app = AppTest.from_file(str(MAIN), default_timeout=30).run()
        page = app.switch_page(f"views/{name}.py").run() if name != "overview" else app
        assert not page.exception, page.exception[0].message
        return page

    return _open


@pytest.fixture
def store(shapes):
    return ReviewStore(shapes.state / "reviews.sqlite")


def text_of(page: AppTest) -> str:
    kinds = ("markdown", "caption", "info", "warning", "error", "success", "text", "code", "html")
    parts = [
        element.value for kind in kinds for element in page.get(kind) if hasattr(element, "value")
    ]
    return "\n".join(map(str, parts)) + "\n".join(
        element.proto.body for element in page.get("html") if hasattr(element.proto, "body")
    )


@pytest.mark.parametrize("name", PAGES)
def test_a_project_without_a_run_says_what_to_do(open_page, shapes, name):
    for record in (shapes.state / "runs").glob("*.json"):
        record.unlink()
    page = open_page(name)
    said = page.info[0].value
    assert "weaklight run" in said and "Write a function" in said


def test_a_folder_without_settings_says_what_to_do(open_page, tmp_path, monkeypatch):
    monkeypatch.setenv(PROJECT_VARIABLE, str(tmp_path))
    page = AppTest.from_file(str(MAIN)).run()
    assert "weaklight init" in page.error[0].value


def test_overview_shows_numbers_stages_choice_and_notes(open_page):
    page = open_page("overview")
    shown = text_of(page)
    assert "of 12 items; a percentage takes 20" in shown and "too few dev items" in shown
    assert '<div class="value">too few</div>' in shown
    assert "majority vote" in shown and "No challenger" in shown
    assert "<div>ingest</div><div>1 image was dropped: it is empty</div>" in shown
    stages = page.dataframe[0].value
    assert stages["stage"].tolist()[0] == "ingest" and stages["how"].tolist()[0] == "cached"


def test_overview_tells_of_a_failed_run_and_of_reviews_it_does_not_know(open_page, shapes, store):
    assert "Nobody has reviewed" in text_of(open_page("overview"))
    record = RunRecord(
        "20270101T000000000Z-1", "2027", 0, "here", {}, status="failed", error="disk"
    )
    shapes.save_run(record)
    store.record(ReviewEvent("s001", "ada", "relabel", new="cross"))
    page = open_page("overview")
    assert "Z-1 failed after the start" in page.warning[0].value and page.code[0].value == "disk"
    assert "some since this run" in text_of(page)


def test_overview_knows_a_killed_run_from_one_that_is_going_on(open_page, shapes):
    shapes.save_run(RunRecord("20270101T000000000Z-1", "2027", 0, "here", {}))
    with shapes.locked():
        assert "A run is going on" in open_page("overview").info[0].value
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    (shapes.state / "lock").write_text(str(child.pid))  # what a killed run leaves
    assert "was interrupted after the start" in open_page("overview").warning[0].value


def test_functions_page_lists_them_and_drills_into_the_chosen_one(open_page):
    page = open_page("lfs")
    table = page.dataframe[0].value
    assert table["function"].tolist()[0] == "mostly_full"
    assert table["right on dev"].iloc[0].startswith("too few (")
    assert page.subheader[0].value == "mostly_full"

    page.session_state["lf_table"] = {"selection": {"rows": [2], "columns": [], "cells": []}}
    page.run()
    assert page.subheader[0].value == "in_between"
    assert "2 errors" in page.warning[0].value
    assert "ZeroDivisionError" in page.code[0].value

    page.session_state["lf_table"] = {"selection": {"rows": [4], "columns": [], "cells": []}}
    page.run()
    assert "never votes" in text_of(page)
    page.segmented_control(key="drill").set_value("wrong").run()
    assert "No dev item" in page.info[0].value and not page.exception


def test_a_function_shows_who_contradicts_it(open_page, shapes):
    page = open_page("lfs")
    page.segmented_control(key="drill").set_value("conflicts").run()
    page.selectbox(key="against mostly_full").set_value("in_between").run()
    rows = pair_rows(RunView.latest(shapes), "mostly_full", "in_between", "conflicts")
    assert f"{len(rows)} items." in text_of(page) and "what in_between says" in text_of(page)
    page.segmented_control(key="drill").set_value("abstains").run()
    n = len(lf_rows(RunView.latest(shapes), "mostly_full", "abstains"))
    assert f"{n} items." in text_of(page) and not page.exception


def test_the_matrix_leads_to_the_items_of_a_pair(open_page):
    page = open_page("pairs")
    for measure in ("overlap", "agreement", "conflict"):
        page.segmented_control(key="measure").set_value(measure).run()
        for other in ("mostly_empty", "mostly_full", "asleep"):
            cell = [{"function": "mostly_full", "other": other}]
            page.session_state[f"matrix {measure}"] = {"selection": {"cell": cell}}
            page.run()
            assert not page.exception
            assert "mostly_full" in page.subheader[0].value
    assert "no such item" in page.info[0].value, "the silent one contradicts nobody"


def test_another_label_model_shows_what_it_would_change(open_page, shapes):
    page = open_page("models")
    table = page.dataframe[0].value
    assert table["label model"].tolist() == ["Majority vote ✓", "Other"]
    assert "the label is another (1)" in text_of(page) and "Tick a row" in text_of(page)
    page.session_state["candidates"] = {"selection": {"rows": [0], "columns": [], "cells": []}}
    page.run()
    assert "the label is another (1)" in text_of(page) and "labels of this run" in text_of(page)
    page.session_state["candidates"] = {"selection": {"rows": [1], "columns": [], "cells": []}}
    page.run()
    assert page.subheader[0].value == "Other instead" and not page.exception
    assert "the label is another" not in text_of(page)
    assert f"square → circle {table['changes'].iloc[1]}" in text_of(page)
    page.segmented_control(key="differences other").set_value("fewer").run()
    assert not page.exception


def test_each_kind_of_template_has_a_form_that_asks_for_every_option(open_page, tmp_path):
    page = open_page("write", letters.build(tmp_path / "letters"))
    for kind, template in KINDS.items():
        page.selectbox(key="kind").set_value(kind).run()
        assert not page.exception and not page.error
        for option in template.option_names():  # one answer; two ends; a count; one for each class
            keys = [f"{kind} {option}{end}" for end in ("", " low", " n", " ham")]
            assert any(key in page.session_state for key in keys), keys


def test_a_form_starts_from_a_function_that_is_there_and_from_nothing_again(open_page, tmp_path):
    project = letters.build(tmp_path / "letters")
    table = {"name": "long", "kind": "threshold", "column": "n", "above": 90, "vote": "ham"}
    toml.append(project.root / "lfs" / "numbers.toml", {**table, "description": "Why not."})
    page = open_page("write", project)
    page.selectbox(key="start_from").set_value("long").run()
    assert page.selectbox(key="kind").value == "threshold"
    assert page.number_input(key="threshold above").value == 90
    assert "Votes ham where n is above 90" in text_of(page) and not page.info
    assert page.text_input(key="lf_name").value == "long"
    assert any(button.label == "Replace long" for button in page.button)
    page.selectbox(key="start_from").set_value(None).run()
    assert page.text_input(key="lf_name").value == "" and not page.exception


def test_review_buttons_have_their_keys(open_page):
    page = open_page("review")
    for action, key in ACTION_KEYS.items():
        assert page.button(key=f"act {action}").proto.shortcut.upper() == key
    assert [page.button(key=f"label {c}").proto.shortcut for c in CLASSES] == ["1", "2", "3"]


def test_review_accept_relabel_undo_are_written_at_once(open_page, store):
    page = open_page("review")
    page.text_input(key="reviewer").set_value("ada").run()
    in_hand = [e.proto.body for e in page.get("html")]
    page.button(key="act undo").click().run()
    assert [e.value for e in page.info] == ["ada has nothing to take back."]
    assert [e.proto.body for e in page.get("html")] == in_hand  # nor does the next item come
    page.button(key="act accept").click().run()
    page.button(key="label cross").click().run()
    page.button(key="act flag").click().run()
    log = store.events()
    assert log["action"].tolist() == ["flag", "relabel", "accept"]
    assert set(log["reviewer"]) == {"ada"} and log["item_id"].nunique() == 3
    assert log["new"].iloc[1] == "cross"
    for _ in range(2):
        page.button(key="act undo").click().run()
    assert store.current()["action"].tolist() == ["accept"]
    assert len(store.events()) == 5
    # The item taken back is in hand again.
    page.button(key="act exclude").click().run()
    assert store.events()["item_id"].iloc[0] == log["item_id"].iloc[1]
    assert not page.exception


def test_a_note_is_written_without_a_decision(open_page, store):
    page = open_page("review")
    field = next(f for f in page.text_input if str(f.key).startswith("note "))
    field.set_value("sleeve or strap?").run()
    event = store.events(limit=1).iloc[0]
    assert (event["action"], event["new"]) == ("comment", "sleeve or strap?")
    item_id = event["item_id"]
    assert field.key == f"note 0 {item_id}"
    assert "sleeve or strap?" in text_of(page) and not page.exception
    (ready,) = (f for f in page.text_input if str(f.key).startswith("note "))
    assert (ready.key, ready.value) == (f"note 1 {item_id}", "")


def test_gold_is_drawn_and_answered_without_a_suggestion(open_page, shapes, store):
    page = open_page("gold")
    assert "Nothing is drawn yet" in page.info[0].value
    page.number_input(key="gold_n").set_value(5).run()
    next(b for b in page.button if b.label == "Draw").click().run()
    drawn = store.gold()["item_id"].tolist()
    assert len(drawn) == 5 and not page.exception
    cards = "".join(e.proto.body for e in page.get("html"))
    assert cards.count("<img") == 1 and 'class="wl-badge' not in cards
    assert " sure" not in text_of(page)
    for label in ("cross", "circle"):
        page.button(key=f"gold {label}").click().run()
    assert sorted(store.gold()["label"].dropna()) == ["circle", "cross"]
    assert set(store.events(limit=2)["queue"]) == {"gold"}
    page.button(key="gold undo").click().run()
    assert store.gold()["label"].dropna().tolist() == ["cross"]
    for _ in range(4):
        page.button(key="gold square").click().run()
    assert "Every drawn item has its answer" in page.success[0].value

    page = open_page("review")  # what was drawn is no longer offered there
    page.button_group(key="queue").set_value("random").run()
    assert f" of {N_UNLABELED - 5} in this queue" in page.get("progress")[0].proto.text


def test_a_second_key_before_the_next_picture_is_not_taken_for_this_one(open_page, store):
    page = open_page("review")
    page.button(key="act accept").click()
    page.button(key="label cross").click()  # both arrive in one run, as two quick keys may
    page.run()
    assert len(store.events()) == 1
    page.button(key="act skip").click().run()
    assert store.events()["item_id"].nunique() == 2


def test_an_item_without_label_offers_classes_but_no_accept(open_page):
    page = open_page("review")
    page.button_group(key="queue").set_value("uncovered").run()
    assert page.button(key="act accept").disabled
    assert not page.button(key="label cross").disabled


def test_a_whole_queue_can_be_worked_through_and_taken_back(open_page, store):
    page = open_page("review")
    page.button_group(key="queue").set_value("functions disagree").run()
    while not page.success:
        page.button(key="label circle").click().run()
    n = len(store.current())
    assert n == len(store.events()) > 0
    page.button(key="act undo").click().run()
    assert len(store.current()) == n - 1 and not page.success


def test_map_selection_shows_pictures_and_leaves_dev_and_test_alone(open_page, store):
    page = open_page("map")
    assert "Nothing selected" in page.info[0].value
    picked = [{"customdata": row} for row in (0, 1, 65, 80)]
    page.session_state["map label"] = {"selection": {"points": picked}}
    page.run()
    assert not page.exception
    assert any(m.value.startswith("**4 items**") for m in page.markdown)
    assert page.button(key="act exclude").disabled, "nothing is ticked yet"
    # Rows 65 and 80 are of dev and test.
    page.session_state["map gallery 0 1 0 4"] = {"selected": ["s000", "s001", "s065", "s080"]}
    page.run()
    assert any("2 of the ticked items belong to dev or test" in c.value for c in page.caption)
    page.button(key="act exclude").click().run()
    assert sorted(store.current()["item_id"]) == ["s000", "s001"]
    assert set(store.current()["queue"]) == {"map"}
    for color_by in ("confidence", "source", "lf:mostly_full"):
        page.selectbox(key="map_color").set_value(color_by).run()
        assert not page.exception


def test_the_map_hides_what_waits_for_gold_until_it_is_answered(open_page, shapes, store):
    view = RunView.latest(shapes)
    names = [str(view.item_ids[row]) for row in (0, 1)]
    for name in names:
        store.record(ReviewEvent(name, "Ada", "set_role", new="test", queue=GOLD_QUEUE))
    desk = GoldDesk(store, "Ada", tuple(view.classes), view.run_id, frozenset(names))
    desk.answer(names[0], view.classes[0])
    page = open_page("map")
    assert any(c.value.startswith("Left out: 1 that") for c in page.caption)
    (chart,) = page.get("plotly_chart")
    drawn = json.loads(chart.proto.spec)["data"]
    assert {name for trace in drawn for name in trace["text"]} == set(view.item_ids) - {names[1]}
    page.session_state["map label"] = {"selection": {"points": [{"customdata": r} for r in (0, 1)]}}
    page.run()
    assert any(m.value.startswith("**1 item**") for m in page.markdown) and not page.exception


def test_gold_that_is_gone_from_the_items_is_asked_of_nobody(open_page, shapes, store):
    for name in ("s000", "s001", "s002", "an old one"):
        store.record(ReviewEvent(name, "Ada", "set_role", new="test", queue=GOLD_QUEUE))
    assert "answer on **Gold**: 3." in text_of(open_page("overview"))
    items = RunView.latest(shapes).items
    left = items[~items["item_id"].isin(["s000", "s001"])]
    with shapes.store.writing("ingest", "later") as out:  # of a run that went no further
        left.to_parquet(out / "items.parquet")
        outputs = {"items": Output("items.parquet", *hash_path(out / "items.parquet"))}
        manifest = Manifest("ingest", "later", 1, {}, {}, 0, {}, {}, outputs, {}, ())
        shapes.store.commit(out, manifest)
    record = RunRecord("3-later", "now", 0, "here", {}, artifacts={"ingest": "later"})
    shapes.save_run(record)
    page = open_page("gold")
    told = page.get("progress")[0].proto.text
    assert told == "test 0 of 1 answered · 3 more are gone from the items"
    assert any("Item s002." in c.value for c in page.caption)
    page.button(key="gold square").click().run()
    assert store.gold().set_index("item_id")["label"].dropna().to_dict() == {"s002": "square"}
    assert "Every drawn item has its answer" in page.success[0].value and not page.exception


@pytest.fixture
def waiting(shapes, store):
    """Every third unlabelled item, drawn for gold and not answered yet."""
    names = set(RunView.latest(shapes).item_ids[:N_UNLABELED:3])
    for name in names:
        store.record(ReviewEvent(name, "Ada", "set_role", new="test", queue=GOLD_QUEUE))
    return names


@pytest.mark.parametrize(
    ("name", "key", "selection"),
    [
        ("lfs", "lf_table", {"rows": [0], "columns": [], "cells": []}),
        (
            "pairs",
            "matrix conflict",
            {"cell": [dict.fromkeys(("function", "other"), "in_between")]},
        ),
        ("models", "candidates", {"rows": [1], "columns": [], "cells": []}),
    ],
)
def test_no_gallery_shows_what_waits_for_gold(
    open_page, monkeypatch, waiting, name, key, selection
):
    seen = set()
    made = pages.tiles

    def spy(view, rows, *rest):
        seen.update(map(str, view.item_ids[rows]))
        return made(view, rows, *rest)

    monkeypatch.setattr(pages, "tiles", spy)
    monkeypatch.setattr(pages, "PAGE_SIZE", 1000)
    page = open_page(name)
    page.session_state[key] = {"selection": selection}
    page.run()
    assert seen and not seen & waiting and not page.exception
    assert re.search(r"Left out: \d+ that wait", text_of(page))


def test_a_card_tells_of_no_item_that_waits_for_gold(shapes):
    view = RunView.latest(shapes)
    open_card = item_card(view, 3)
    hidden = {open_card.neighbors[0].item_id, open_card.bag.members[1].item_id, "of another run"}
    card = item_card(view, 3, hidden=hidden)
    assert [n.item_id for n in open_card.neighbors if n.item_id not in hidden] == [
        n.item_id for n in card.neighbors
    ]
    assert [m for m in open_card.bag.members if m.item_id not in hidden] == list(card.bag.members)
    assert (card.n_hidden, card.bag.n_hidden, card.bag.n_items) == (1, 1, 10)
    told = why.why(view, card, {}, {})
    assert told.count("Left out: 1 that waits for an answer") == 2
    assert "Left out" not in why.why(view, open_card, {}, {})


def test_review_puts_away_what_is_drawn_meanwhile(open_page, store):
    page = open_page("review")
    field = next(str(f.key) for f in page.text_input if str(f.key).startswith("note "))
    in_hand = field.removeprefix("note 0 ")
    store.record(ReviewEvent(in_hand, "Ada", "set_role", new="test", queue=GOLD_QUEUE))
    page.run()
    assert field not in [f.key for f in page.text_input] and not page.exception
    page.button(key="act exclude").click().run()
    assert store.current()["item_id"].tolist() not in ([], [in_hand])


def html_of(page: AppTest) -> str:
    return "".join(e.proto.body for e in page.get("html"))


@pytest.fixture(scope="module")
def texts_of_parts(tmp_path_factory):
    return build(tmp_path_factory.mktemp("texts") / "project", kind="text", parts=True)


def test_a_text_is_tinted_by_the_scores_of_its_paragraphs(open_page, texts_of_parts):
    page = open_page("review", texts_of_parts)
    assert "<small>" not in html_of(page) and "chance of one part to be angular" in html_of(page)
    page.button(key="heat").click().run()
    shown = html_of(page)
    assert '--score: 0.91"><small>0.91</small>&lt;b&gt;A ' in shown
    assert '--score: 0.07"><small>0.07</small>More.</span>' in shown
    assert "score of its paragraphs, here from 0.07 to 0.91. A score is the chance" in shown
    page.button(key="act skip").click().run()
    assert "<small>0.91</small>" in html_of(page), "the next item comes under heat, too"
    page.button(key="heat").click().run()
    assert "<small>" not in html_of(page) and not page.exception


def test_the_items_of_a_bag_stand_by_their_score(shapes):
    card = item_card(RunView.latest(shapes), 3)
    assert [m.row for m in card.bag.members] == list(range(9, -1, -1)) and card.bag.n_items == 10
    assert card.bag.score == pytest.approx(0.43)
    html = why.why(RunView.latest(shapes), card, {}, {})
    assert html.count("<figure") == 10 + len(card.neighbors)
    assert html.count("class=wl-this") == 1 and "--score: 0.43" in html
    assert "A score is the chance of one item to be angular by itself" in html


def test_texts_and_clips_are_shown_for_what_they_are(open_page, tmp_path, texts_of_parts):
    texts = html_of(open_page("review", texts_of_parts))
    clips = html_of(open_page("review", build(tmp_path / "audio", kind="audio", parts=True)))
    assert texts.count('<div class="wl-text">') == 1 and "&lt;b&gt;A " in texts
    assert texts.count('<div class="wl-near">') == 6
    assert "<img" not in texts and "<b>A" not in texts
    assert clips.count('<audio controls src="data:audio/wav;base64,') == 1
    assert clips.count('src="data:image/svg+xml;base64,') == 7  # the clip and six like it


def test_text_from_a_project_is_never_html(open_page, shapes):
    page = open_page("review")
    cards = [e.proto.body for e in page.get("html")]
    assert not any("<b>full" in body for body in cards)


def test_the_app_imports_no_heavy_library(tmp_path):
    project = build(tmp_path / "p")
    program = (
        "import sys\n"
        "from streamlit.testing.v1 import AppTest\n"
        f"app = AppTest.from_file({str(MAIN)!r}, default_timeout=60).run()\n"
        f"for name in {(*PAGES[1:], 'write')!r}:\n"
        "    app.switch_page(f'views/{name}.py').run()\n"
        "    assert not app.exception, app.exception\n"
        "heavy = {'torch', 'torchvision', 'sklearn', 'prefect', 'snorkel', 'cleanlab', 'skimage'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=REPOSITORY,
        env={**os.environ, PROJECT_VARIABLE: str(project.root)},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_command_line_keeps_to_this_machine():
    line = command(8123, open_browser=False)
    assert "--server.address=127.0.0.1" in line and "--server.port=8123" in line
    assert "--browser.gatherUsageStats=false" in line and "--server.headless=true" in line
    assert "--logger.hideWelcomeMessage=true" in line  # nor offers what has nothing to do with it
    assert "--server.headless=false" in command(8123, open_browser=True)
