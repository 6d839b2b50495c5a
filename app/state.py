"""What every page needs: the project, its newest run, the review store and who is reviewing.

Caches are keyed on the run's id and on the last review event, never on data.
"""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from app.launch import PROJECT_VARIABLE
from app.services.colors import class_colors
from app.services.desk import Desk, Standing
from app.services.tryout import Tryout
from app.services.words import measured
from labeling_functions.pairs import PairCounts
from pipelines.candidates import candidate_table
from pipelines.gold import items_now as newest_items
from pipelines.lf_queries import lf_pairs as count_pairs
from pipelines.lf_queries import lf_table as build_lf_table
from pipelines.project import Project
from pipelines.queries import RunView
from pipelines.queues import review_queue
from pipelines.reviews import ReviewStore

__all__ = [
    "accuracies",
    "candidates",
    "colors",
    "columns_of_items",
    "desk",
    "items_now",
    "lf_pairs",
    "lf_table",
    "project",
    "queue_ids",
    "require_view",
    "reviewer",
    "reviews",
    "standing",
    "tried",
    "tryout",
    "view",
]


def project() -> Project:
    """Return the project that ``weaklight review`` was started for, or the current folder's."""
    return Project.open(Path(os.environ.get(PROJECT_VARIABLE, ".")))


def view() -> RunView | None:
    """Return the newest finished run, None when there is none."""
    opened = project()
    runs = opened.state / "runs"
    # Every run record is renamed into place, which touches the folder.
    changed = runs.stat().st_mtime_ns if runs.is_dir() else 0
    run_id = _newest_run(str(opened.root), changed)
    return None if run_id is None else _view(str(opened.root), run_id)


def require_view() -> RunView:
    """Return the newest finished run, or say what to do and stop the page."""
    found = view()
    if found is None:
        st.info(
            "**No finished run yet.** Run `weaklight run` in the project's folder first, "
            "then reload this page. **Write a function** works before that, too.",
            icon=":material/hourglass_empty:",
        )
        st.stop()
    return found


def reviews() -> ReviewStore:
    """Return the project's review store."""
    opened = project()
    return _reviews(str(opened.root), opened.config.reviews.url)


def reviewer() -> str:
    """Return the reviewer's name from the sidebar; the account's name until one is given."""
    return str(st.session_state.get("reviewer") or _account())


def desk(found: RunView, queue: str) -> Desk:
    """Return the reviewer's desk for a run and a queue."""
    return Desk(found, reviews(), reviewer(), queue)


def items_now(found: RunView) -> frozenset[str]:
    """Return the ids of the newest items, be they of a run that has not finished."""
    newest = found.project.latest_run(status=None, having="ingest")
    run_id = found.run_id if newest is None else newest.run_id
    return _items_of(str(found.project.root), run_id, found)


def standing() -> Standing:
    """Return what people have settled, read again only after a new event."""
    store = reviews()
    return _standing(str(store.url), store.last_id(), reviewer(), _store=store)


def colors(found: RunView) -> dict[str, str]:
    """Return one colour per class and class set."""
    return class_colors(found.vote_names)


def tryout() -> Tryout:
    """Return the process in which functions are tried."""
    return _tryout(str(project().root))


def columns_of_items() -> list[dict[str, Any]]:
    """Return what the columns hold that a function may read."""
    opened = project()
    return _columns(str(opened.root), _newest_record(opened), tryout())


def tried(table: str, instead_of: str | None = None) -> dict[str, Any]:
    """Return what the function of a ``[[lf]]`` table, as JSON, does on a sample.

    ``instead_of`` names the one whose place it is to take.
    """
    opened = project()
    folder = opened.root / opened.config.vote.folder
    files = [(p.name, p.stat().st_mtime_ns) for p in sorted(folder.rglob("*")) if p.is_file()]
    key = f"{opened.root} {_newest_record(opened)} {files}"
    return _tried(key, table, instead_of, tryout())


@st.cache_data(max_entries=16, show_spinner=False)
def accuracies(run_id: str, _found: RunView) -> Mapping[str, str]:
    """Return each function's accuracy on dev in words, by name."""
    return {
        row["name"]: f"on dev {measured(row['accuracy'], row['low'], row['high'], row['gold_n'])}"
        for row in lf_table(run_id, _found).to_dict("records")
        if row["gold_n"]
    }


@st.cache_data(max_entries=4, show_spinner=False)
def lf_table(run_id: str, _found: RunView) -> pd.DataFrame:
    """Return the run's table of labelling functions."""
    return build_lf_table(_found)


@st.cache_data(max_entries=4, show_spinner=False)
def candidates(run_id: str, _found: RunView) -> pd.DataFrame:
    """Return the run's table of label models."""
    return candidate_table(_found)


@st.cache_resource(max_entries=4, show_spinner=False)
def lf_pairs(run_id: str, _found: RunView) -> PairCounts:
    """Return how the run's labelling functions meet, two at a time."""
    return count_pairs(_found)


@st.cache_data(max_entries=16, show_spinner=False)
def queue_ids(run_id: str, order: str, seed: int, _found: RunView) -> list[str]:
    """Return the item ids of a queue."""
    return [str(i) for i in _found.item_ids[review_queue(_found, order, seed)]]


@st.cache_data(max_entries=8, show_spinner=False)
def _newest_run(root: str, changed: int) -> str | None:
    found = RunView.latest(Project.open(root))
    return None if found is None else found.run_id


@st.cache_resource(max_entries=3, show_spinner=False)
def _view(root: str, run_id: str) -> RunView:
    opened = Project.open(root)
    return RunView(opened, next(r for r in opened.runs() if r.run_id == run_id))


@st.cache_resource(max_entries=8, show_spinner=False)
def _reviews(root: str, url: str | None) -> ReviewStore:
    return Project.open(root).reviews()


@st.cache_resource(max_entries=2, show_spinner=False)
def _items_of(root: str, run_id: str, _found: RunView) -> frozenset[str]:
    return newest_items(_found.project) or frozenset(_found.item_ids)


@st.cache_data(max_entries=8, show_spinner=False)
def _standing(url: str, last_id: int, who: str, _store: ReviewStore) -> Standing:
    return Standing.read(_store, who)


def _newest_record(opened: Project) -> str:
    """Return the newest run, finished or not: it may have brought items and features."""
    newest = opened.latest_run(status=None)
    return "" if newest is None else newest.run_id


@st.cache_resource(max_entries=3, show_spinner=False, on_release=Tryout.close)
def _tryout(root: str) -> Tryout:
    return Tryout(Path(root))


@st.cache_data(max_entries=8, show_spinner="Looking at the items")
def _columns(root: str, newest: str, _asked: Tryout) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = _asked.ask({"do": "columns"})
    return found


@st.cache_data(max_entries=64, show_spinner=False)
def _tried(key: str, table: str, instead_of: str | None, _asked: Tryout) -> dict[str, Any]:
    request = {"do": "try", "table": json.loads(table), "instead_of": instead_of}
    found: dict[str, Any] = _asked.ask(request)
    return found


def _account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as in some containers
        return "reviewer"
