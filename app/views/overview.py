"""Overview: what the run did, how good the labels are and what to look at next."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from app import state
from app.components import markup
from app.services.words import ago, duration
from pipelines.queries import RunView
from pipelines.report.words import model_name, source_names
from pipelines.sections import NOISY_LABEL
from weaklight.words import counted

# The few numbers that answer "are the labels any good"; the rest stand in the table below them.
_FIRST = ("classifier_accuracy", "posterior_accuracy", "majority_vote_accuracy", "coverage")


def page() -> None:
    """Draw the page."""
    st.title("Overview")
    _unfinished()
    found = state.require_view()
    record = found.record
    spent = sum(stage.seconds for stage in record.stages)
    st.caption(
        f"{len(found.items):,} items · {len(found.classes)} classes · "
        f"{_voters(found)} · run {record.run_id}, "
        f"{ago(record.finished or record.started)}, took {duration(spent)}"
    )
    _numbers(found)
    left, right = st.container(key="stack").columns(2, gap="large")
    with left:
        _sources(found)
        _reviews(found)
    with right:
        _choice(found.choice())
    _notes(found)
    _stages(found)


def _voters(found: RunView) -> str:
    """Return who votes: functions, the label that came along, bags."""
    came = any(lf["name"] == NOISY_LABEL for lf in found.lfs)
    written = len(found.lfs) - came
    voters = [counted(written, "labelling function")] if written else []
    voters += ["labels that came along"] if came else []
    if found.bag_summary.get("n_votes"):
        parts, n_bags = found.bag_summary["instances"], int(found.bag_summary["n_bags"])
        whole = f"{parts} of {counted(n_bags, 'item')}"
        voters.append(counted(n_bags, "bag") if parts == "items" else whole)
    return " and ".join(voters) or "no voters"


def _unfinished() -> None:
    """Say so when the newest run is still going or went wrong."""
    project = state.project()
    newest = project.latest_run(status=None)
    if newest is None or newest.status == "done":
        return
    reached = newest.stages[-1].name if newest.stages else "the start"
    if newest.status == "running" and project.is_locked():
        st.info(f"A run is going on; it has finished {reached}. Below is the last finished run.")
        return
    end = "failed" if newest.status == "failed" else "was interrupted"
    text = f"The newest run {newest.run_id} {end} after {reached}."
    st.warning(f"{text} Run `weaklight run` again: it goes on where it stopped.")
    if newest.error:
        st.code(newest.error, language=None, wrap_lines=True)


def _numbers(found: RunView) -> None:
    headline, column = found.headline(), found.evaluation().get("weighted_by")
    by_key = {entry["key"]: entry for entry in headline}
    first = [by_key[key] for key in _FIRST if key in by_key]
    if not first:
        st.info("No accuracies: this run has no `evaluate` stage. Run `weaklight run`.")
        return
    st.html(markup.number_cards(first))
    weights = f"each counts by the inverse of its chance to be drawn ({column})"
    st.caption(
        f"Measured on test items that nobody tuned on{f'; {weights}' if column else ''}. The "
        "interval holds the true value in 95 of 100 such samples; two numbers whose intervals "
        "overlap widely may be equal."
    )
    with st.expander("All numbers, with the baselines"):
        st.html(markup.ranges(headline))


def _sources(found: RunView) -> None:
    st.subheader("Where labels come from")
    counts = found.source_counts()
    names = source_names(found.lfs, found.bag_summary)
    st.html(markup.stack({str(k): int(v) for k, v in counts.items()}, names))
    st.caption(f"Of the {int(counts.sum()):,} unlabelled items.")


def _reviews(found: RunView) -> None:
    store = state.reviews()
    standing = state.standing()
    decided = len(standing.decisions)
    ingested = found.project.store.manifest("ingest", found.record.artifacts["ingest"])
    manifest = found.project.store.manifest("reviews", found.record.artifacts["reviews"])
    st.subheader("Reviews")
    known = counted(decided, "item is", "items are")
    if decided == 0:
        st.markdown(
            "Nobody has reviewed a label yet. **Review** offers the doubtful ones first; in the "
            "order *most useful*, those that teach the classifier the most."
        )
    elif manifest.extra.get("human") == store.digest():
        st.markdown(f"{known} decided by people, and this run knows all of them.")
    else:
        st.markdown(
            f"{known} decided by people, some since this run. "
            "`weaklight run` takes them in and runs only what depends on them."
        )
    if came := ingested.metrics.get("n_labeled"):
        st.markdown(
            f"{counted(came, 'item')} came with a label by hand that teaches (split `labeled`)."
        )
    if waiting := len(standing.waiting.intersection(found.item_ids)):
        st.markdown(f"Drawn at random and waiting for an answer on **Gold**: {waiting:,}.")


def _choice(choice: dict[str, Any]) -> None:
    st.subheader("Label model")
    if choice:
        st.markdown(f"**{model_name(choice['chosen'])}**")
        st.text(choice["reason"])


def _stages(found: RunView) -> None:
    table = pd.DataFrame(
        {
            "stage": stage.name,
            "how": "cached" if stage.cached else "ran",
            "time": duration(stage.seconds),
            "peak memory": f"{stage.peak_mib:,.0f} MiB" if stage.peak_mib else "",
            "artifact": stage.digest[:12],
        }
        for stage in found.record.stages
    )
    with st.expander("What each stage took"):
        st.dataframe(table, hide_index=True, height="content")


def _notes(found: RunView) -> None:
    notes = found.notes()
    if notes:
        st.subheader("What the stages want you to know")
        st.html(markup.notes(notes))


page()
