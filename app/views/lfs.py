"""Labelling functions: what each one does, how well, and the items behind every number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st

from app import state
from app.components.pages import item_pages
from app.services.words import measured, percent
from pipelines.lf_queries import (
    Drill,
    contradictions,
    lf_rows,
    lf_votes,
    pair_rows,
    settling_first,
)
from pipelines.queries import RunView
from weaklight.words import counted

SHOWN_ROWS = 11  # a longer table scrolls, so that the items stay in sight
_DRILLS: dict[Drill, str] = {
    "votes": "Where it votes",
    "right": "Right on dev",
    "wrong": "Wrong on dev",
    "conflicts": "Conflicts",
    "abstains": "Abstains",
}
_EMPTY: dict[Drill, str] = {
    "votes": "This function never votes. Loosen its condition, or look at the errors above.",
    "right": "No dev item with gold on which it votes and is right.",
    "wrong": "No dev item with gold on which it votes and is wrong.",
    "conflicts": "No other voter contradicts it.",
    "abstains": "It votes on every item.",
}


def page() -> None:
    """Draw the page."""
    st.title("Labelling functions")
    found = state.require_view()
    table = state.lf_table(found.run_id, found)
    if table.empty:
        own = ""
        if found.bag_summary.get("n_votes"):
            own = "This project needs none, for bags vote; a function would be one more voter. "
        st.info(
            f"No labelling function yet. {own}**Write a function** makes one without code; "
            f"code goes to `{found.project.config.vote.folder}/`."
        )
        return
    event = st.dataframe(
        _shown(table),
        key="lf_table",
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        height="content" if len(table) <= SHOWN_ROWS else 35 * (SHOWN_ROWS + 1),
        column_config={
            "function": st.column_config.TextColumn(pinned=True),
            "what it says": st.column_config.TextColumn(width=190),
            "coverage": _share("coverage", "Share of items on which it votes"),
            "overlaps": _share("overlaps", "Share of items on which another votes too"),
            "conflicts": _share("conflicts", "Share of items on which another contradicts it"),
            "right on dev": st.column_config.TextColumn(
                help="Accuracy of its votes on dev gold, 95 % interval and number of votes"
            ),
            "right on test": st.column_config.TextColumn(
                help="The same on test, which nobody tuned on: the number to believe"
            ),
            "learned": st.column_config.TextColumn(
                help="Accuracy that the label model believes in, without gold"
            ),
        },
    )
    chosen = event["selection"]["rows"]
    if not chosen:
        st.caption("Tick a row to see the items behind its numbers. Below: those of the first.")
    _detail(found, found.lfs[chosen[0] if chosen else 0])


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    """Return the columns that people read, in their words."""
    rows = table.to_dict("records")
    shown: dict[str, pd.Series[Any] | list[str]] = {
        "function": table["name"],
        "what it says": table["description"],
    }
    for name in ("coverage", "overlaps", "conflicts"):
        shown[name] = 100 * table[name]
    for split, prefix in (("dev", ""), ("test", "test_")):
        keys = [f"{prefix}{x}" for x in ("accuracy", "low", "high")]
        keys.append("test_n" if prefix else "gold_n")
        if keys[0] in table:
            shown[f"right on {split}"] = [measured(*(row[k] for k in keys)) for row in rows]
    shown["learned"] = [percent(row["learned_accuracy"], 0) for row in rows]
    if (table["redundant_with"] != "").any():
        shown["same as"] = table["redundant_with"]
    if table["n_errors"].any() or table["timed_out_shards"].any():
        shown["trouble"] = [_trouble(row["n_errors"], row["timed_out_shards"]) for row in rows]
    return pd.DataFrame(shown)


def _share(label: str, text: str) -> Any:
    return st.column_config.ProgressColumn(
        label, help=text, format="%.0f %%", min_value=0, max_value=100, width=78
    )


def _trouble(n_errors: int, timed_out_shards: int) -> str:
    parts = []
    if n_errors:
        parts.append(f"{n_errors} errors")
    if timed_out_shards:
        parts.append("ran out of time")
    return ", ".join(parts)


def _detail(found: RunView, lf: dict[str, Any]) -> None:
    name = str(lf["name"])
    st.subheader(name)
    if lf["description"]:
        st.text(lf["description"])
    if trouble := _trouble(lf["n_errors"], lf["timed_out_shards"]):
        st.warning(f"{trouble}: it abstains on those items.", icon=":material/warning:")
        if lf["first_traceback"]:
            st.code(lf["first_traceback"], language="python")
    if lf.get("note"):
        st.caption(str(lf["note"]))
    drill = st.segmented_control(
        "Items",
        list(_DRILLS),
        format_func=_DRILLS.__getitem__,
        default="votes",
        required=True,
        key="drill",
        label_visibility="collapsed",
    )
    rows, against = lf_rows(found, name, drill), None
    if drill == "conflicts":
        others = [other["name"] for other in found.lfs if other["name"] != name]
        against = st.selectbox(
            "Contradicted by",
            others,
            index=None,
            key=f"against {name}",
            placeholder="any function",
            width=320,
        )
        if against:
            rows = pair_rows(found, name, against, "conflicts")
        rows = settling_first(found, rows)
    if len(rows) == 0:
        st.info(_EMPTY[drill])
        return
    at_right, said = _beside(found, name, drill, against)
    order = " First come those whose true class would settle most." if drill == "conflicts" else ""
    st.caption(
        f"{counted(len(rows), 'item')}. Under each item: the label it has now; at the right, "
        f"{at_right}.{order}"
    )
    item_pages(found, rows, f"{name} {drill} {against}", said)


def _beside(
    found: RunView, name: str, drill: Drill, against: str | None
) -> tuple[str, Callable[[int], str | None]]:
    """Return what stands at the right under an item, and how to tell it from its row."""
    if drill in ("right", "wrong"):
        return "the true class", lambda row: found.class_name(int(found.dev_gold[row]))
    if drill == "conflicts" and against is None:
        told = "what functions say that contradict it"
        return told, lambda row: " / ".join(contradictions(found, name, row))
    votes = lf_votes(found, against or name)
    told = f"what {against or name} says"
    return told, lambda row: found.vote_name(int(votes[row]))


page()
