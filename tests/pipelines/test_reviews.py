"""The review store: nothing is lost, nothing is changed, and the current view is a view."""

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.engine import run_line
from pipelines.gold import draw_gold
from pipelines.project import Project
from pipelines.reviews import ReviewEvent, ReviewStore
from tests.pipelines.postgresql import fresh_database, server
from weaklight.errors import ConfigError, DataError, StorageError, WeaklightError

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def postgresql():
    with server() as url:
        yield url


@pytest.fixture
def database(postgresql):
    with fresh_database(postgresql) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, tmp_path):
    """Where reviews can be kept, with nothing there yet."""
    if request.param == "sqlite":
        return tmp_path / "fresh" / "reviews.sqlite"
    return request.getfixturevalue("database")


@pytest.fixture
def store(place):
    return ReviewStore(place)


def relabel(item, new, reviewer="ada", old=None):
    return ReviewEvent(item, reviewer, "relabel", old=old, new=new)


def now(store):
    current = store.current()
    return {r.item_id: (r.action, r.new) for r in current.itertuples()}


def test_a_missing_or_empty_file_reads_as_no_reviews_and_stays_as_it_is(tmp_path):
    missing = tmp_path / "none" / "reviews.sqlite"
    store = ReviewStore(missing)
    assert store.current().empty and store.events().empty and store.undo("ada") == []
    empty_digest = store.digest()
    assert not missing.parent.exists()

    touched = tmp_path / "touched.sqlite"
    touched.touch()
    assert ReviewStore(touched).digest() == empty_digest
    assert touched.stat().st_size == 0
    ReviewStore(touched).record(relabel("1", "coat"))
    assert len(ReviewStore(touched).current()) == 1


def test_a_database_without_reviews_reads_as_none_and_stays_as_it_is(database):
    store = ReviewStore(database)
    assert store.current().empty and store.events().empty and store.undo("ada") == []
    assert sa.inspect(sa.create_engine(database, poolclass=sa.NullPool)).get_table_names() == []


def test_the_last_decision_counts_and_remarks_do_not_hide_it(store):
    store.record(ReviewEvent("1", "ada", "accept", new="shirt"))
    store.record(relabel("1", "coat", reviewer="bob", old="shirt"))
    store.record(ReviewEvent("1", "ada", "flag"))
    store.record(ReviewEvent("2", "ada", "exclude"))
    store.record(ReviewEvent("3", "ada", "skip"))
    assert now(store) == {"1": ("relabel", "coat"), "2": ("exclude", None)}
    assert list(store.current(("flag", "skip"))["item_id"]) == ["1", "3"]


def test_what_was_decided_in_one_queue_and_outside_it(store):
    store.record(relabel("1", "coat"))  # in no queue
    store.record(ReviewEvent("1", "bob", "relabel", new="shirt", queue="gold"))
    store.record(ReviewEvent("2", "bob", "relabel", new="shirt", queue="all"))
    assert list(store.current(queue="gold")["item_id"]) == ["1"]
    assert list(store.current(outside="gold")["item_id"]) == ["1", "2"]
    assert store.current(outside="gold")["new"].tolist() == ["coat", "shirt"]


def test_undo_takes_back_the_reviewers_own_last_action_step_by_step(store):
    store.record(relabel("1", "coat"))
    store.record(relabel("1", "dress", reviewer="bob"))
    store.record(relabel("2", "bag"))
    assert [e.item_id for e in store.undo("ada")] == ["2"]
    assert [e.item_id for e in store.undo("ada")] == ["1"]
    assert now(store) == {"1": ("relabel", "dress")}, "bob's decision is not ada's to undo"
    store.undo("bob")
    assert now(store) == {}
    assert store.undo("ada") == []
    assert list(store.events()["action"]) == ["undo"] * 3 + ["relabel"] * 3


def test_undo_brings_back_what_was_decided_before(store):
    store.record(relabel("1", "coat"))
    store.record(ReviewEvent("1", "bob", "exclude", old="coat"))
    store.undo("bob")
    assert now(store) == {"1": ("relabel", "coat")}


def test_one_undo_takes_back_a_whole_bulk_action(store):
    store.record(relabel("0", "bag"))
    store.record_many([relabel(str(i), "coat") for i in range(1, 6)])
    assert [e.item_id for e in store.undo("ada")] == ["1", "2", "3", "4", "5"]
    assert now(store) == {"0": ("relabel", "bag")}


def test_a_bulk_action_is_written_whole_or_not_at_all(store):
    store.record(relabel("0", "bag"))
    broken = relabel("2", "coat")
    object.__setattr__(broken, "reviewer", None)
    with pytest.raises(sa.exc.IntegrityError):
        store.record_many([relabel("1", "coat"), broken])
    assert len(store.events()) == 1


def test_digest_follows_the_decisions_and_not_their_history(store, tmp_path):
    empty = store.digest()
    store.record(relabel("1", "coat"))
    decided = store.digest()
    store.record(ReviewEvent("1", "ada", "comment", new="sleeves?"))
    assert store.digest() == decided != empty
    store.undo("ada")  # the comment
    store.undo("ada")
    assert store.digest() == empty

    other = ReviewStore(tmp_path / "other.sqlite")
    other.record(relabel("1", "dress", reviewer="bob"))
    other.record(relabel("1", "coat", reviewer="bob"))
    assert other.digest() == decided


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET new = 'bag'",
        "DELETE FROM events",
        "INSERT OR REPLACE INTO events (id, time, item_id, reviewer, action) "
        "VALUES (1, 't', '1', 'eve', 'skip')",
        "INSERT OR REPLACE INTO events (time, item_id, reviewer, action, undoes) "
        "VALUES ('t', '1', 'eve', 'undo', 1)",
    ],
)
def test_nobody_changes_or_removes_an_event_in_sqlite(tmp_path, statement):
    store = ReviewStore(tmp_path / "reviews.sqlite")
    store.record(relabel("1", "coat"))
    store.undo("ada")
    before = store.events()
    with sqlite3.connect(tmp_path / "reviews.sqlite") as raw:
        with pytest.raises(sqlite3.IntegrityError, match="review event"):
            raw.execute(statement)
    pd.testing.assert_frame_equal(store.events(), before)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET new = 'bag'",
        "DELETE FROM events",
        "TRUNCATE events",
        "INSERT INTO events (id, time, item_id, reviewer, action) "
        "VALUES (1, 't', '1', 'eve', 'skip') ON CONFLICT (id) DO UPDATE SET new = 'bag'",
    ],
)
def test_nobody_changes_or_removes_an_event_in_postgresql(database, statement):
    store = ReviewStore(database)
    store.record(relabel("1", "coat"))
    before = store.events()
    with sa.create_engine(database, poolclass=sa.NullPool).connect() as raw:
        with pytest.raises(sa.exc.DBAPIError, match="review events are never changed or deleted"):
            raw.exec_driver_sql(statement)
    pd.testing.assert_frame_equal(store.events(), before)


def test_both_databases_put_items_in_the_same_order(database, tmp_path):
    stores = ReviewStore(database), ReviewStore(tmp_path / "reviews.sqlite")
    for store in stores:
        store.record_many([relabel(item, "coat") for item in ("b", "a", "B", "é", "A-1", "A 1")])
    ours, theirs = (list(store.current()["item_id"]) for store in stores)
    assert ours == theirs == ["A 1", "A-1", "B", "a", "b", "é"]
    assert stores[0].digest() == stores[1].digest()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://ada@localhost/reviews", "but came mysql"),
        ("postgresql+pg8000://ada@localhost/reviews", r"pip install .weaklight\[postgresql\]"),
    ],
)
def test_a_database_that_cannot_keep_reviews_is_refused(url, says):
    with pytest.raises(ConfigError, match=says):
        ReviewStore(url)


def test_a_log_is_taken_over_whole_with_what_was_taken_back(place, tmp_path):
    before, after = ReviewStore(tmp_path / "before.sqlite"), ReviewStore(place)
    before.record(relabel("1", "coat"))
    before.undo("ada")
    before.record(relabel("1", "shirt", reviewer="bob"))
    assert after.take_over(before) == 3
    assert after.digest() == before.digest() and now(after) == {"1": ("relabel", "shirt")}
    columns = ["time", "action", "new"]
    assert after.events()[columns].equals(before.events()[columns])
    after.undo("bob")
    assert now(after) == {}  # the undo of ada's still stands
    with pytest.raises(DataError, match="holds reviews already"):
        after.take_over(before)


def project_with(root, url):
    (root / "weaklight.toml").write_text(
        f'classes = ["coat", "shirt"]\n[items]\nsource = "items.csv"\ntext = "text"\n'
        f'[reviews]\nurl = "{url}"\n'
    )
    return Project.open(root)


def test_a_project_keeps_its_reviews_in_the_database_that_its_settings_name(database, tmp_path):
    rows = "".join(f"i{i},text {i}\n" for i in range(20))
    (tmp_path / "items.csv").write_text(f"item_id,text\n{rows}")
    project = project_with(tmp_path, database)
    project.reviews().record_many([relabel(f"i{i}", "coat") for i in range(10)])
    run_line(project, ("ingest",))
    draw = draw_gold(project, 8, "test", reviewer="ada")
    record = run_line(project, ("reviews",))
    human = pd.read_parquet(project.store.path("reviews", record.artifacts["reviews"], "human"))
    assert 0 < draw.n_labelled < 8 and len(human) == 10 - draw.n_labelled
    items = pd.read_parquet(project.store.path("ingest", record.artifacts["ingest"], "items"))
    assert set(items.loc[items["split"] == "test", "item_id"]) == set(draw.items["item_id"])
    assert not (project.state / "reviews.sqlite").exists()
    ReviewStore(project.state / "reviews.sqlite").record(relabel("i1", "coat"))
    with pytest.raises(ConfigError, match=r"reviews.sqlite holds some, too; copy them once"):
        project.reviews()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql+psycopg://ada:secret@db/mails", "holds a password"),
        ("postgresql+psycopg://ada@db/mails?password=secret", "holds a password"),
        ("sqlite:///mine.sqlite", "must be like"),
    ],
)
def test_settings_name_a_database_and_no_password(tmp_path, url, says):
    with pytest.raises(ConfigError, match=says) as caught:
        project_with(tmp_path, url)
    assert "secret" not in str(caught.value)


def test_a_server_that_cannot_be_reached_says_so_and_keeps_the_password():
    pytest.importorskip("psycopg")
    store = ReviewStore("postgresql+psycopg://ada:secret@127.0.0.1:1/reviews")
    for ask in (store.current, lambda: store.record(relabel("1", "coat"))):
        with pytest.raises(StorageError, match="cannot be read or written now") as caught:
            ask()
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("event", "says"),
    [
        ({"action": "approve"}, "expected an action"),
        ({"action": "skip", "reviewer": " "}, "reviewer's name"),
        ({"action": "skip", "item_id": ""}, "needs an item_id"),
        ({"action": "relabel"}, "needs the label"),
    ],
)
def test_a_malformed_event_is_refused_before_it_is_written(event, says):
    with pytest.raises(DataError, match=says):
        ReviewEvent(**{"item_id": "1", "reviewer": "ada", **event})


def test_a_snapshot_holds_the_whole_log_oldest_first(store, tmp_path):
    store.record_many([relabel("1", "coat"), relabel("2", "bag")])
    store.undo("ada")
    store.snapshot(tmp_path / "log.parquet")
    log = pd.read_parquet(tmp_path / "log.parquet")
    assert list(log["action"]) == ["relabel", "relabel", "undo", "undo"]
    assert list(log["id"]) == [1, 2, 3, 4]


def test_a_folder_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises((WeaklightError, NotADirectoryError, FileExistsError)):
        ReviewStore(tmp_path / "file" / "reviews.sqlite").record(relabel("1", "coat"))


_WRITERS = """
import os, sys
from pipelines.reviews import ReviewEvent, ReviewStore

def write(who):
    store = ReviewStore(sys.argv[1])
    for i in range(10):
        store.record(ReviewEvent(f"{who}-{i}", who, "relabel", new="coat"))
    store.undo(who)

starts, start = os.pipe()
children = []
for number in range(20):
    pid = os.fork()  # what was imported is there already
    if pid == 0:
        os.close(start)
        os.read(starts, 1)  # all start together, when the parent closes the pipe
        write(f"w{number:02d}")
        os._exit(0)
    children.append(pid)
os.close(start)
sys.exit(any(os.waitpid(pid, 0)[1] for pid in children))
"""


def test_twenty_processes_writing_at_once_lose_nothing(place):
    command = [sys.executable, "-c", _WRITERS, str(place)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr  # a child that raises exits with 1
    store = ReviewStore(place)
    events = store.events()
    assert len(events) == 20 * 10 + 20
    assert set(events["id"]) == set(range(1, 221))
    expected = {f"w{w:02d}-{i}" for w in range(20) for i in range(9)}
    assert set(store.current()["item_id"]) == expected


def test_two_undos_at_once_take_back_two_actions(store):
    store.record_many([relabel("1", "coat"), relabel("2", "coat")])
    store.record(relabel("1", "bag"))
    together = Barrier(2)

    def undo(_):
        together.wait()
        return len(store.undo("ada"))

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(undo, range(2))) == [1, 2]
    assert now(store) == {}


_acts = st.lists(
    st.tuples(
        st.sampled_from(["ada", "bob"]),
        st.sampled_from(["relabel", "exclude", "flag", "undo"]),
        st.sampled_from("12"),
        st.sampled_from(["coat", "bag"]),
    ),
    max_size=12,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(acts=_acts)
def test_current_equals_a_replay_with_the_undone_events_struck_out(acts, tmp_path_factory):
    store = ReviewStore(tmp_path_factory.mktemp("r") / "reviews.sqlite")
    log: list[tuple] = []
    for reviewer, action, item, label in acts:
        if action == "undo":
            store.undo(reviewer)
            mine = [entry for entry in log if entry[0] == reviewer]
            if mine:
                log.remove(mine[-1])
            continue
        new = label if action == "relabel" else None
        store.record(ReviewEvent(item, reviewer, action, new=new))
        log.append((reviewer, action, item, new, len(store.events())))
    replayed = {entry[2]: (entry[1], entry[3]) for entry in log if entry[1] != "flag"}
    assert now(store) == replayed
