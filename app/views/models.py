"""Label models: what the run chose among, why, and which items another would label otherwise."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd
import streamlit as st

from app import state
from app.components.pages import item_pages
from app.services.words import measured, percent
from pipelines.candidates import Difference, candidate_labels, changes
from pipelines.queries import RunView
from pipelines.report.words import model_name
from weaklight.contracts import ABSTAIN

_KINDS: dict[Difference, str] = {
    "other": "Another class",
    "more": "A label where the run has none",
    "fewer": "None, or undecided",
}
_HELP = {
    "right on dev": "Of all dev items, as in the report: the item's id breaks ties and decides "
    "where there is no evidence. The choice itself looks at no gold.",
    "agreement": "Agreement above chance of its labels with the votes of voters left out",
    "taught": "The same of a classifier that was taught its labels",
    "gain": "Deciding gain over majority vote or, with features, over the label model that they "
    "repair; in brackets its lower bound",
    "stability": "Share of its labels that stay when voters are left out",
    "changes": "Items that would get another class than in this run",
}
_MAYBE_EMPTY = ("agreement", "taught", "gain", "stability")


def page() -> None:
    """Draw the page."""
    st.title("Label models")
    found = state.require_view()
    table = state.candidates(found.run_id, found)
    if table.empty:
        st.info("This run kept no candidates. Run `weaklight run` once more to compare them here.")
        return
    choice = found.choice()
    st.markdown(f"The run chose **{model_name(choice['chosen'])}**.")
    st.text(choice["reason"])
    event = st.dataframe(
        _shown(table),
        key="candidates",
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        height="content",
        column_config={
            "label model": st.column_config.TextColumn(pinned=True),
            **{n: st.column_config.Column(help=text) for n, text in _HELP.items()},
        },
    )
    for row in table[table["note"].fillna("") != ""].to_dict("records"):
        st.caption(f"{model_name(row['name'], start=True)}: {row['note']}")
    chosen = event["selection"]["rows"]
    if chosen and not table["is_chosen"].iloc[chosen[0]]:
        _differences(found, str(table["name"].iloc[chosen[0]]))
        return
    st.caption(
        "These are the labels of this run."
        if chosen
        else "Tick a row to see which items would get another label with it."
    )
    _overruled(found, choice.get("overruled_unanimous", []))


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    """Return the columns that people read, in their words; those that say nothing are left out.

    Few and short enough for a window of 1,280 pixels.
    """
    rows = table.to_dict("records")
    shown = pd.DataFrame(
        {
            "label model": [
                f"{model_name(r['name'], start=True)}{' ✓' if r['is_chosen'] else ''}" for r in rows
            ],
            "right on dev": [measured(r["value"], r["low"], r["high"], r["n"]) for r in rows],
            "labels": [percent(r["labelled"], 0) for r in rows],
            "changes": table["other"],
            "agreement": [_number(r["agreement"]) for r in rows],
            "taught": [_number(r["taught_agreement"]) for r in rows],
            "gain": [_gain(r) for r in rows],
            "stability": [percent(r["stability"], 0) for r in rows],
        }
    )
    return shown.drop(columns=[c for c in _MAYBE_EMPTY if (shown[c] == "-").all()])


def _number(value: float | None) -> str:
    return "-" if pd.isna(value) else f"{value:.3f}"


def _gain(row: Mapping[Hashable, Any]) -> str:
    if pd.isna(row["gain"]) or row["against"] == row["name"]:
        return "-"
    return f"{row['gain']:+.3f} ({row['gain_low']:+.3f})"


def _overruled(found: RunView, item_ids: list[str]) -> None:
    """Show the items on which the run's label is none that its voters agree on."""
    if not item_ids:
        return
    st.subheader("Where it contradicts all votes")
    st.caption(
        f"Items on which two or more voters say the same, but the label is another "
        f"({len(item_ids):,}). Under each: the label it has now; at the right, what they say."
    )

    def said(row: int) -> str:
        names = {found.vote_name(int(v)): 0 for v in found.votes[row] if v != ABSTAIN}
        return " / ".join(filter(None, names))

    item_pages(found, found.rows_of(item_ids), "overruled", said)


def _differences(found: RunView, name: str) -> None:
    labels = candidate_labels(found, name)
    differing = changes(found, labels)
    called = model_name(name)
    st.subheader(f"{model_name(name, start=True)} instead")
    kind: Difference = st.segmented_control(
        "Differences", list(_KINDS), default="other", required=True, key=f"differences {name}",
        format_func=lambda k: f"{_KINDS[k]} ({len(differing[k]):,})", label_visibility="collapsed",
    )  # fmt: skip
    rows = differing[kind]
    if not len(rows):
        st.info("No item of this kind: its labels are the run's own here.")
        return
    if kind == "other":
        now = [found.classes[c] for c in found.labels[rows]]
        then = [found.classes[c] for c in labels[rows]]
        moves = pd.Series([f"{a} → {b}" for a, b in zip(now, then, strict=True)]).value_counts()
        told = " · ".join(f"{move} {count:,}" for move, count in moves.head(6).items())
        st.caption(f"{told}{' · ...' if len(moves) > 6 else ''}")
        judged = rows[found.dev_gold[rows] != ABSTAIN]
        if len(judged):
            gold = found.dev_gold[judged]
            st.caption(
                f"Of the {len(judged)} dev items among them, the run is right on "
                f"{int((found.labels[judged] == gold).sum())} and {called} on "
                f"{int((labels[judged] == gold).sum())}."
            )
    st.caption(f"Under each item: the label it has now; at the right, what {called} says.")
    item_pages(
        found, rows, f"{name} {kind}", lambda row: found.class_name(int(labels[row])) or "undecided"
    )


page()
