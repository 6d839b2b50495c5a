"""Write a function: fill in a form, see at once what it would do, save it for the next run."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from app import state
from app.components import markup
from app.components.dialog import item_dialog
from app.components.gallery import gallery
from app.components.template_form import Known, first_kind, items_key, label, template_form
from app.services.answers import fits_form, form_answers
from app.services.tiles import tiles
from app.services.tryout import RefusedError
from labeling_functions.templates import KINDS, toml
from labeling_functions.templates.fields import fields_of
from pipelines.queries import RunView

DRAFT = "this_function"  # what a function is called before it has a name
PICTURES = 15  # dev items offered as examples at a time
SHORT = 40  # characters of a value that is shown beside a mistake
_ABOUT = ("author", "tags")
_CARDS = {
    "right": "Right on dev",
    "coverage": "Votes on",
    "conflicts": "Contradicted on",
    "new": "The only one to vote on",
}


def page() -> None:
    """Draw the page."""
    st.title("Write a function")
    st.caption(
        "No code needed: choose a kind, fill in the form, and see at once what it does. "
        "Nothing is kept before you save it."
    )
    known = _known()
    left, right = st.container(key="stack").columns([2, 3], gap="large")
    with left:
        _start()
        if "kind" not in st.session_state:
            st.session_state["kind"] = first_kind(known)
        kind = str(
            st.selectbox(
                "Kind", list(KINDS), key="kind", format_func=_said, persist_state="session"
            )
        )
        options, missing = template_form(kind, known)
        found = state.view()
        if found is not None:
            _examples(found, kind)
    table = {"name": DRAFT, "kind": kind, **options}
    with right:
        if missing:
            st.info(f"Still to fill in: {', '.join(missing)}.", icon=":material/edit:")
        elif _shown(found, table):
            _save(table)


def _start() -> None:
    """Offer the functions that already stand in a TOML file, to be changed."""
    there = _written()
    if not there:
        return
    st.selectbox(
        "Start from",
        list(there),
        index=None,
        key="start_from",
        placeholder="a blank form",
        help="A function without code that is there already, to change it or to make one like it.",
        on_change=_fill,
        args=(there,),
    )


def _written() -> dict[str, tuple[str, dict[str, Any]]]:
    """Return the tables of the project's TOML files that a form can hold: name -> (file, table)."""
    project = state.project()
    found = {}
    for path in sorted((project.root / project.config.vote.folder).glob("[!_]*.toml")):
        for table in toml.read_tables(path):
            if fits_form(table) and isinstance(table.get("name"), str):
                found[table["name"]] = (path.name, table)
    return found


def _fill(there: dict[str, tuple[str, dict[str, Any]]]) -> None:
    """Put the answers of the chosen function into the form."""
    name = st.session_state["start_from"]
    if name is None:
        st.session_state.update({"lf_name": "", "lf_why": ""})
        return
    file, table = there[name]
    for key in [k for k in st.session_state if str(k).startswith(f"{table['kind']} ")]:
        del st.session_state[key]
    for key, answer in form_answers(table).items():
        st.session_state[key] = answer
    st.session_state["kind"] = table["kind"]
    st.session_state["lf_name"] = name
    st.session_state["lf_file"] = file
    st.session_state["lf_why"] = table.get("description", "")


def _said(kind: str) -> str:
    """Return a kind with the first sentence that its template says of itself."""
    sentence = str(KINDS[kind].__doc__).split("\n")[0]
    return f"{kind.replace('_', ' ')} · {sentence[0].lower()}{sentence[1:].rstrip('.')}"


def _known() -> Known:
    project = state.project()
    columns = state.columns_of_items()
    names = (*project.config.classes, *(s.name for s in project.config.vote_sets))
    folder = project.root / project.config.vote.folder
    lists = sorted(p.name for p in folder.glob("*") if p.suffix in (".txt", ".csv", ".tsv"))
    return Known({c["name"]: c for c in columns}, names, project.config.classes, lists)


def _shown(found: RunView | None, table: dict[str, Any]) -> bool:
    """Draw what the function does on the sample and return whether it can be saved."""
    try:
        with st.spinner("Trying it", show_time=True):
            tried = state.tried(json.dumps(table), st.session_state.get("start_from"))
    except RefusedError as error:
        rest = _unanswered(table)
        text = f"Fill in at least one of: {rest}." if rest else str(error)
        st.info(text, icon=":material/edit:")
        return False
    if not tried["right"]["n"]:
        tried["right"]["reason"] = "it votes on no dev item with gold"
    st.markdown(f"**{tried['sentence']}**")
    st.html(markup.number_cards([{"title": _CARDS[key], **tried[key]} for key in _CARDS]))
    st.caption(
        f"Right is measured on {tried['right']['n']} dev items on which it votes; dev is what you "
        "tune on, so expect somewhat less elsewhere. The other shares are of unlabelled items."
    )
    if tried["note"] and tried["coverage"]["value"]:
        st.warning(tried["note"], icon=":material/warning:")
    for sentence in tried["findings"]:
        st.info(sentence.replace(DRAFT, "this function"), icon=":material/lightbulb:")
    _mistakes(found, tried["mistakes"])
    if tried["against"]:
        waiting = state.standing().waiting
        st.markdown("**Who contradicts it**")
        st.dataframe(
            pd.DataFrame(
                {
                    "function": other["name"],
                    "items": other["n"],
                    "such as": ", ".join(i for i in other["items"] if i not in waiting),
                }
                for other in tried["against"]
            ),
            hide_index=True,
        )
    with st.expander("As it will stand in the file"):
        st.code(tried["toml"], language="toml")
    return True


def _unanswered(table: dict[str, Any]) -> str:
    """Return the options that wait for an answer where only the column and the vote have one."""
    if table.keys() - {"name", "kind", "column", "vote"}:
        return ""
    fields = fields_of(KINDS[table["kind"]])
    return ", ".join(
        label(field)
        for field in fields
        if field.name not in table and field.shape not in ("switch", "count")
    )


def _mistakes(found: RunView | None, mistakes: list[dict[str, Any]]) -> None:
    if not mistakes:
        return
    st.markdown("**Items that it gets wrong on dev**")
    read = [
        {k: v for k, v in wrong["read"].items() if len(v) <= SHORT and "\n" not in v}
        for wrong in mistakes
    ]
    table = pd.DataFrame(
        {"item": wrong["item_id"], "it says": wrong["said"], "true": wrong["gold"], **values}
        for wrong, values in zip(mistakes, read, strict=True)
    )
    is_shown = found is not None and set(table["item"]) <= set(found.item_ids)
    if found is not None and is_shown:
        notes = [f"says {wrong['said']}, is {wrong['gold']}" for wrong in mistakes]
        rows = found.rows_of(table["item"])
        picked = gallery(
            tiles(
                found, rows, state.colors(found), state.standing(),
                dict(zip(rows.tolist(), notes, strict=True)),
            ),
            key=f"wrong {' '.join(table['item'])}",
        )  # fmt: skip
        if picked.opened:
            item_dialog(found, picked.opened)
    if not is_shown or any(read):
        st.dataframe(table, hide_index=True)


def _examples(found: RunView, kind: str) -> None:
    """Offer pictures of dev items for the fields that take items."""
    fields = [field.name for field in fields_of(KINDS[kind]) if field.shape == "items"]
    if not fields:
        return
    label = st.selectbox("Examples among dev items of", found.classes, key="examples of")
    rows = np.flatnonzero(found.dev_gold == found.classes.index(label))[:PICTURES]
    turn = st.session_state.setdefault("examples taken", 0)
    above = st.container(horizontal=True)
    picked = gallery(
        tiles(found, rows, state.colors(found)),
        key=f"examples {label} {turn}",
        selectable=True,
        width=72,
    )
    for name in fields:
        above.button(
            f"Take {len(picked.selected) or 'ticked'} as {name}",
            key=f"take {name}",
            disabled=not picked.selected,
            on_click=_take,
            args=(items_key(kind, name), picked.selected),
        )


def _take(key: str, item_ids: tuple[str, ...]) -> None:
    before = str(st.session_state.get(key, "")).split()
    st.session_state[key] = "\n".join(dict.fromkeys([*before, *item_ids]))
    st.session_state["examples taken"] += 1


def _save(table: dict[str, Any]) -> None:
    project = state.project()
    folder = project.config.vote.folder
    there = sorted(path.name for path in (project.root / folder).glob("[!_]*.toml"))
    st.subheader("Save it")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.text_input(
            "Name", key="lf_name", placeholder="speaks_of_money", help="Letters, digits and _."
        )
        file = st.selectbox(
            f"File in {folder}/",
            dict.fromkeys(["from_app.toml", *there]),
            key="lf_file",
            accept_new_options=True,
            help="A new one is made; what a file holds already stays as it is.",
        )
    reason = st.text_input(
        "Why it is right, in a sentence", key="lf_why", help="Reviewers read it beside the vote."
    )
    was_in, before = _written().get(name, ("", {}))
    replaces = bool(name) and name == st.session_state.get("start_from") and file == was_in
    written = {**table, "name": name} | ({"description": reason} if reason else {})
    if replaces:  # as its author left it, but for the form's answers
        kept = {key: before[key] for key in before if key in written or key in _ABOUT}
        written = {**kept, **written}
    else:
        written["author"] = state.reviewer()
    st.button(
        f"Replace {name}" if replaces else "Save",
        type="primary",
        icon=":material/save:",
        disabled=not name,
        on_click=_keep,
        args=({"do": "save", "file": file, "table": written, "replaces": replaces},),
    )
    if told := st.session_state.pop("told", None):
        is_kept, text = told
        (st.success if is_kept else st.error)(text)


def _keep(request: dict[str, Any]) -> None:
    """Save before the page is drawn again, so that it knows the function."""
    try:
        path = state.tryout().ask(request)
    except RefusedError as error:
        st.session_state["told"] = (False, str(error))
        return
    name = request["table"]["name"]
    st.session_state["start_from"] = name  # what is tried from now on takes its place
    text = f"**{name}** stands in `{path}`. The next `weaklight run` lets it "
    st.session_state["told"] = (True, f"{text}vote, and runs again only what depends on it.")


page()
