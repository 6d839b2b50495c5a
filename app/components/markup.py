"""Small pieces of HTML; every text from a project is escaped here and nowhere else.

Streamlit cleans the result once more before it reaches the page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from app.services.colors import NO_LABEL, SOURCE_COLORS
from app.services.words import interval, is_too_few, percent
from pipelines.report.words import guess_words

__all__ = ["badge", "bars", "muted", "notes", "number_cards", "ranges", "section", "stack"]


def badge(text: str | None, color: str, *, large: bool = False) -> str:
    """Return a class name with its dot of colour."""
    size = " large" if large else ""
    return (
        f'<span class="wl-badge{size}"><i style="background:{color}"></i>'
        f"{escape(text or 'no label')}</span>"
    )


def section(title: str, body: str) -> str:
    """Return a titled part of a card; ``body`` is HTML."""
    return f'<section><div class="wl-h">{escape(title)}</div>{body}</section>'


def muted(text: str) -> str:
    """Return a quiet line of text."""
    return f'<div class="wl-muted">{escape(text)}</div>'


def notes(entries: Iterable[tuple[str, str]]) -> str:
    """Return sentences, each with who says it at the left."""
    lines = "".join(f"<div>{escape(who)}</div><div>{escape(said)}</div>" for who, said in entries)
    return f'<div class="wl-notes">{lines}</div>'


def number_cards(entries: Sequence[Mapping[str, Any]]) -> str:
    """Return headline numbers as cards, each with its interval in words; the result first."""
    cards = [
        f'<div class="wl-card{" first" if i == 0 else ""}">'
        f'<div class="title">{escape(str(entry["title"]))}</div>'
        f'<div class="value">{"too few" if is_too_few(entry) else percent(entry.get("value"))}'
        "</div>"
        f'<div class="range">{escape(_told(entry))}</div></div>'
        for i, entry in enumerate(entries)
    ]
    return f'<div class="wl-cards">{"".join(cards)}</div>'


def _told(entry: Mapping[str, Any]) -> str:
    """Return how sure a number is, and what part of it is guessed."""
    return "; ".join(filter(None, (interval(entry), guess_words(entry))))


def ranges(entries: Iterable[Mapping[str, Any]]) -> str:
    """Return numbers as points on one scale from 0 to 100 %, with the 95 % interval behind."""
    lines = []
    for entry in entries:
        value = entry.get("value")
        lines.append(f"<div>{escape(str(entry['title']))}</div>")
        if value is None or is_too_few(entry):
            lines.append(f'<div></div><div class="text">{escape(interval(entry))}</div>')
            continue
        low, high = 100 * entry["low"], 100 * entry["high"]
        lines.append(
            f'<div class="track"><div class="span" style="left:{low:.1f}%;width:{high - low:.1f}%">'
            f'</div><div class="point" style="left:{100 * value:.1f}%"></div></div>'
            f'<div class="text">{percent(value)} [{low:.1f}-{high:.1f}], '
            f"n={int(entry['n']):,}</div>"
        )
    return f'<div class="wl-range">{"".join(lines)}</div>'


def stack(counts: Mapping[str, int], names: Mapping[str, str]) -> str:
    """Return where labels come from as one bar and its legend; ``names`` say it in words."""
    total = max(1, sum(counts.values()))
    known = [source for source in SOURCE_COLORS if counts.get(source)]
    parts = "".join(
        f'<div style="flex:{counts[s]};background:{SOURCE_COLORS[s]}"></div>' for s in known
    )
    legend = "".join(
        f'<span><i style="background:{SOURCE_COLORS[s]}"></i>{escape(names[s])} '
        f'<span class="wl-muted">{counts[s]:,} · {counts[s] / total:.0%}</span></span>'
        for s in known
    )
    return f'<div class="wl-stack">{parts}</div><div class="wl-legend">{legend}</div>'


def bars(
    names: Sequence[str], values: Sequence[float], colors: Mapping[str, str], *, top: int = 4
) -> str:
    """Return the largest probabilities as bars."""
    order = sorted(range(len(values)), key=lambda i: -values[i])[:top]
    lines = "".join(
        f'<div>{escape(names[i])}</div><div class="track"><div class="fill" '
        f'style="width:{100 * values[i]:.1f}%;background:{colors.get(names[i], NO_LABEL)}"></div>'
        f'</div><div class="number">{values[i]:.0%}</div>'
        for i in order
    )
    return f'<div class="wl-bars">{lines}</div>'
