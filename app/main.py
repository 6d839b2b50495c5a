"""The review app's router: pages, style and the sidebar; started by ``weaklight review``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import streamlit as st
from PIL import Image

from app import state
from weaklight.errors import WeaklightError

_STYLE = Path(__file__).parent / "components" / "style.css"


def _icon() -> Image.Image:
    """Draw the tab's icon, a disc half in light; a named icon would be fetched from the network."""
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    disc = (np.hypot(x, y) < 0.95)[..., None]
    lit = np.where((x > 0)[..., None], (242, 184, 74, 255), (47, 111, 115, 255))
    return Image.fromarray((disc * lit).astype(np.uint8))


def _sidebar() -> None:
    opened = state.project()
    with st.sidebar:
        st.markdown(f"**{opened.config.report.title or opened.root.name}**")
        st.text_input("Reviewer", value=state.reviewer(), key="reviewer", max_chars=60)
        st.caption("Your name goes with every decision. Nothing leaves this machine.")


def main() -> None:
    """Draw the frame and the page that was asked for."""
    st.set_page_config("Weaklight", page_icon=_icon(), layout="wide")
    st.html(_STYLE)
    page = st.navigation(
        {
            "": [
                st.Page("views/overview.py", title="Overview", icon=":material/home:", default=True)
            ],
            "Functions": [
                st.Page("views/lfs.py", title="Labelling functions", icon=":material/rule:"),
                st.Page("views/pairs.py", title="Pairs of functions", icon=":material/grid_on:"),
                st.Page("views/write.py", title="Write a function", icon=":material/edit_note:"),
            ],
            "Labels": [
                st.Page("views/review.py", title="Review", icon=":material/fact_check:"),
                st.Page("views/gold.py", title="Gold", icon=":material/casino:"),
                st.Page("views/models.py", title="Label models", icon=":material/balance:"),
                st.Page("views/map.py", title="Map", icon=":material/scatter_plot:"),
            ],
        }
    )
    try:
        _sidebar()
        page.run()
    except WeaklightError as error:
        st.error(str(error), icon=":material/error:")


main()
