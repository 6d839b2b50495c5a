"""Gold: items drawn at random, one after another, without any suggestion."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from app import state
from app.components import why
from app.components.actions import turn
from app.services.gold_desk import GoldDesk
from app.services.keys import ACTION_KEYS, class_keys
from pipelines.gold import draw_gold
from pipelines.queries import RunView
from weaklight.contracts import ABSTAIN, ROLES
from weaklight.errors import DataError
from weaklight.intervals import wilson
from weaklight.words import counted

GUESS = 0.8  # the accuracy for which the width of the interval is told
_ROLES = {
    "test": "test · to say how good the labels are",
    "dev": "dev · to tune functions on",
    "calibration": "calibration · to tell how sure labels may be",
}


def page() -> None:
    """Draw the page."""
    st.title("Gold")
    found = state.require_view()
    st.caption(
        "Items drawn at random, whatever their labels look like: only such items tell how good the "
        "labels are. No label is shown here on purpose: who has seen a suggestion agrees with it "
        "too often."
    )
    there = state.items_now(found)
    desk = GoldDesk(state.reviews(), state.reviewer(), found.classes, found.run_id, there)
    _answer(found, desk)
    _draw(found, is_first=desk.progress().empty)


@st.fragment
def _answer(found: RunView, desk: GoldDesk) -> None:
    progress = desk.progress()
    if progress.empty:
        came = {
            "dev": int((found.dev_gold != ABSTAIN).sum()),
            "test": found.evaluation().get("rows", {}).get("test_gold", 0),
        }
        words = " and ".join(f"{n:,} {role}" for role, n in came.items() if n)
        told = f" The data came with gold for {words} items." if words else ""
        st.info(f"Nothing is drawn yet.{told} Draw some items below.", icon=":material/casino:")
        return
    n_drawn, n_answered, n_gone = (int(progress[c].sum()) for c in ("drawn", "answered", "gone"))
    roles = " · ".join(
        f"{row.role} {row.answered:,} of {row.drawn:,}" for row in progress.itertuples()
    )
    gone = counted(n_gone, "more is gone from the items", "more are gone from the items")
    st.progress(
        n_answered / max(n_drawn, 1), text=f"{roles} answered{f' · {gone}' if n_gone else ''}"
    )
    known = set(found.item_ids)
    to_answer = desk.open_items()
    waiting = [item_id for item_id in to_answer if item_id in known]
    if to_answer and not waiting:
        others = counted(len(to_answer), "item that waits", "items that wait")
        st.info(
            f"{others} came with a run that has not finished. Run `weaklight run`, then reload."
        )
    elif n_drawn and not waiting:
        st.success(
            "Every drawn item has its answer. `weaklight run` measures by them.",
            icon=":material/task_alt:",
        )
    drawn = turn()

    def act(action: Callable[..., object], *about: str) -> None:
        if drawn == turn():  # a second key before the next item was not meant for this one
            action(*about)
            st.session_state["turn"] = drawn + 1

    item_id = waiting[0] if waiting else ""
    if item_id:
        st.html(why.item(found, int(found.rows_of([item_id])[0]), item_id))
        st.caption(f"Item {item_id}. What is it?")
        keys = class_keys(found.classes)
        with st.container(horizontal=True, gap="xsmall"):
            for label in found.classes:
                st.button(
                    label,
                    key=f"gold {label}",
                    shortcut=keys.get(label),
                    on_click=act,
                    args=(desk.answer, item_id, label),
                )
    with st.container(horizontal=True, gap="xsmall"):
        st.button(
            "Skip",
            key="gold skip",
            icon=":material/skip_next:",
            shortcut=ACTION_KEYS["skip"],
            help="Leave it to somebody else.",
            disabled=not item_id,
            on_click=act,
            args=(desk.skip, item_id),
        )
        st.button(
            "Undo",
            key="gold undo",
            icon=":material/undo:",
            shortcut=ACTION_KEYS["undo"],
            help="Take back your last action.",
            on_click=act,
            args=(desk.undo,),
        )


def _draw(found: RunView, *, is_first: bool) -> None:
    with st.expander("Draw items", expanded=is_first):
        left, right = st.container(key="stack").columns(2)
        with left:
            role = st.selectbox("Role", list(_ROLES), format_func=_ROLES.__getitem__, key="role")
            assert role in ROLES
        with right:
            n = int(st.number_input("How many", 1, 100_000, value=200, key="gold_n"))
        low, high = wilson(round(GUESS * n), n)
        st.caption(
            f"If about {GUESS:.0%} of the labels are right, "
            f"{counted(n, 'answer gives', 'answers give')} an interval "
            f"{100 * (high - low):.0f} points wide. A drawn item keeps its role for good, and no "
            "longer trains anything from the next run on."
        )
        if st.button("Draw", icon=":material/casino:"):
            try:
                draw = draw_gold(found.project, n, role, reviewer=state.reviewer())
            except DataError as error:
                st.error(str(error))
                return
            told = f"Drew {len(draw.items):,} of {draw.frame:,} items for {role}."
            st.toast(" ".join(filter(None, [told, draw.set_aside, draw.unevenness])))
            st.rerun()


page()
