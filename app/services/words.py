"""Numbers in plain words, as a reader without statistics would want them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pipelines.report.words import MIN_ROWS

__all__ = [
    "ago",
    "duration",
    "interval",
    "is_too_few",
    "left_out",
    "measured",
    "percent",
]


def percent(value: float | None, digits: int = 1) -> str:
    """Return 0.8312 as ``83.1 %``; a missing value as a dash.

    Examples
    --------
    >>> percent(0.8312), percent(None)
    ('83.1 %', '-')
    """
    return "-" if _is_missing(value) else f"{100 * float(value or 0):.{digits}f} %"


def is_too_few(entry: Mapping[str, Any]) -> bool:
    """Say whether a number was measured, but on fewer items than a percentage takes."""
    return not _is_missing(entry.get("value")) and entry["n"] < MIN_ROWS


def interval(entry: Mapping[str, Any]) -> str:
    """Return the sentence under a number: its 95 % interval and how many items it rests on.

    Few items are counted instead, unless they were weighted and their share is no count.

    Examples
    --------
    >>> interval({"value": 0.9, "low": 0.826, "high": 0.945, "n": 100})
    'between 82.6 % and 94.5 %, from 100 items'
    >>> interval({"value": 0.75, "low": 0.301, "high": 0.954, "n": 4})
    '3 of 4 items; a percentage takes 20'
    >>> interval({"value": 0.81, "low": 0.301, "high": 0.954, "n": 4})
    'only 4 items; a percentage takes 20'
    """
    if _is_missing(entry.get("value")):
        return str(entry.get("reason") or "not measured: no gold")
    if is_too_few(entry):
        count = entry["value"] * entry["n"]
        few = f"{count:.0f} of" if abs(count - round(count)) < 1e-6 else "only"
        return f"{few} {entry['n']} items; a percentage takes {MIN_ROWS}"
    span = f"between {percent(entry['low'])} and {percent(entry['high'])}"
    return f"{span}, from {int(entry['n']):,} items"


def measured(value: Any, low: Any, high: Any, n: Any) -> str:
    """Return the short form for a table cell.

    Examples
    --------
    >>> measured(0.9, 0.826, 0.945, 100), measured(0.75, 0.301, 0.954, 4), measured(None, 0, 1, 0)
    ('90 % [83-94], n=100', 'too few (4)', '-')
    """
    if _is_missing(value) or _is_missing(n) or not n:
        return "-"
    if n < MIN_ROWS:
        return f"too few ({int(n)})"
    return f"{100 * value:.0f} % [{100 * low:.0f}-{100 * high:.0f}], n={int(n)}"


def left_out(n: int) -> str:
    """Return why items are not shown; an empty text where all are.

    Examples
    --------
    >>> left_out(1)
    'Left out: 1 that waits for an answer on the page Gold.'
    >>> left_out(1200)
    'Left out: 1,200 that wait for an answer on the page Gold.'
    """
    waits = "waits" if n == 1 else "wait"
    return f"Left out: {n:,} that {waits} for an answer on the page Gold." if n else ""


def duration(seconds: float) -> str:
    """Return seconds as people say them.

    Examples
    --------
    >>> duration(0.04), duration(9.31), duration(252)
    ('under 0.1 s', '9.3 s', '4 min 12 s')
    """
    if seconds < 0.1:
        return "under 0.1 s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def ago(moment: str, now: datetime | None = None) -> str:
    """Return how long ago an ISO time was.

    Examples
    --------
    >>> ago("2026-01-01T00:00:00+00:00", datetime(2026, 1, 1, 2, 5, tzinfo=UTC))
    '2 h ago'
    """
    passed = ((now or datetime.now(UTC)) - datetime.fromisoformat(moment)).total_seconds()
    if passed < 60:
        return "just now"
    for unit, seconds in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if passed >= seconds * (2 if unit == "days" else 1):
            return f"{int(passed // seconds)} {unit} ago"
    return "just now"


def _is_missing(value: Any) -> bool:
    return value is None or value != value
