"""Review: one item after another, the reasons for its label, a key for every decision."""

from __future__ import annotations

import streamlit as st

from app import state
from app.components import why
from app.components.actions import action_buttons
from app.components.gallery import gallery
from app.components.heat import item_under_heat
from app.components.notes import note_line
from app.services.desk import Standing
from app.services.tiles import tiles
from app.services.workbench import Workbench
from pipelines.cards import item_card
from pipelines.queries import RunView
from pipelines.queues import QUEUES, TAKES_TWO


def page() -> None:
    """Draw the page."""
    st.title("Review")
    found = state.require_view()
    # Not a box to type into: it would keep the keyboard, and swallow the keys that decide.
    order = st.pills(
        "Order",
        [name for name in QUEUES if name not in TAKES_TWO or len(found.lfs) > 1],
        default=next(iter(QUEUES)),
        required=True,
        key="queue",
        persist_state="session",
    )
    seed = 0
    if order == "random":
        seed = int(st.number_input("Seed", 0, 2**31 - 1, key="queue_seed", width=140))
    st.caption(QUEUES[order])
    _workspace(found, order, seed)


@st.fragment
def _workspace(found: RunView, order: str, seed: int) -> None:
    standing = state.standing()
    ids = state.queue_ids(found.run_id, order, seed, found)
    queue = [item_id for item_id in ids if item_id not in standing.drawn]
    bench = _bench(found.run_id, order, seed)
    bench.put_away(standing.drawn)
    if bench.current is None:
        bench.turn_page(queue, standing.is_done)
    n_done = sum(standing.is_done(i) for i in queue)
    share = n_done / len(queue) if queue else 1.0
    st.progress(
        share,
        text=f"{n_done:,} of {len(queue):,} in this queue settled · {standing.n_mine:,} by you · "
        f"{len(standing.decisions):,} in the project",
    )
    if bench.current is None:
        text = "Every item of this queue is settled." if queue else "This queue is empty."
        st.success(f"{text} Choose another order above.", icon=":material/task_alt:")
        action_buttons(
            state.desk(found, order),
            [],
            can_accept=False,
            then=lambda ids: _after(bench, queue, ids),
        )
        return
    left, right = st.columns([2, 3], gap="medium")
    with left:
        selected = _pictures(found, standing, bench, queue)
    with right:
        _card(found, standing, bench, queue, order, selected)


def _bench(run_id: str, order: str, seed: int) -> Workbench:
    benches: dict[tuple[str, str, int], Workbench] = st.session_state.setdefault("benches", {})
    return benches.setdefault((run_id, order, seed), Workbench())


def _pictures(
    found: RunView, standing: Standing, bench: Workbench, queue: list[str]
) -> tuple[str, ...]:
    picked = gallery(
        tiles(found, found.rows_of(bench.page), state.colors(found), standing),
        key=f"review gallery {st.session_state.get('ticks_used', 0)}",
        current=bench.current,
        selectable=True,
        width=92,
    )
    if picked.opened and picked.opened != bench.current:
        bench.pick(picked.opened)
        st.rerun(scope="fragment")
    st.button(
        "Next page",
        key="next_page",
        icon=":material/arrow_forward:",
        type="tertiary",
        on_click=lambda: bench.turn_page(queue, standing.is_done),
    )
    return picked.selected


def _card(
    found: RunView,
    standing: Standing,
    bench: Workbench,
    queue: list[str],
    order: str,
    selected: tuple[str, ...],
) -> None:
    assert bench.current is not None
    row = int(found.rows_of([bench.current])[0])
    card = item_card(found, row, hidden=standing.waiting)
    colors = state.colors(found)
    about = list(selected) or [bench.current]
    names = {
        i: found.class_name(int(found.labels[row]))
        for i, row in zip(about, found.rows_of(about), strict=True)
    }
    can_accept = all(standing.label_of(i, weak) for i, weak in names.items())
    is_text = found.payload.kind == "text"  # which needs the width that a picture does not
    if is_text:
        side, decide = st.container(), st.container()
    else:
        side, decide = st.container(key="stack").columns([1, 2], gap="medium")
    with side:
        item_under_heat(found, card)
    with decide:
        st.html(why.label_line(found, card, colors, standing.decisions.get(bench.current)))
        action_buttons(
            state.desk(found, order),
            about,
            can_accept=can_accept,
            then=lambda undone: _after(bench, queue, undone, ticked=bool(selected)),
        )
        note_line(state.desk(found, order), standing, bench.current)
        if selected:
            st.info(f"Buttons and keys now act on the {len(selected)} selected items.")
    st.html(why.why(found, card, colors, state.accuracies(found.run_id, found)))


def _after(bench: Workbench, queue: list[str], undone: list[str], *, ticked: bool = False) -> None:
    """Go on: to what was taken back, or to the next open picture; forget ticks that were used."""
    st.session_state["ticks_used"] = st.session_state.get("ticks_used", 0) + ticked
    if undone:
        bench.pick(undone[0])
    else:
        bench.advance(queue, state.standing().is_done)


page()
