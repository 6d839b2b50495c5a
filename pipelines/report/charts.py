"""The report's charts, as SVG text. Colours come from the style sheet: dark mode needs no script.

Each is complete without the page's words: axes with units, and what it shows for screen readers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

from markupsafe import Markup, escape

from pipelines.report.svg import (
    Frame,
    area,
    dot,
    fitting_range,
    line,
    percent_axis,
    rectangle,
    svg,
    text,
    tick_values,
)

__all__ = [
    "StepPoint",
    "calibration_chart",
    "confusion_chart",
    "crossover_chart",
    "interval_bar",
    "step_chart",
    "training_chart",
]

WIDTH, HEIGHT = 460, 284
LEFT, RIGHT = 52, WIDTH - 14
LONGEST_NAME = 18  # characters of a class name that a chart has room for


@dataclass(frozen=True)
class StepPoint:
    """One step of the step chart, measured on the same items as the others."""

    label: str
    test: float
    low: float
    high: float
    dev: float | None


def interval_bar(
    value: float | None, low: float | None, high: float | None, *, kind: str = "main"
) -> Markup:
    """Return a bar as wide as its table cell, 0 to 1: a dot with its interval; empty for None."""
    if value is None or low is None or high is None:
        return Markup('<svg class="bar" aria-hidden="true"></svg>')
    return Markup(
        f'<svg class="bar {escape(kind)}" aria-hidden="true">'
        '<line class="rail" x1="0" x2="100%" y1="50%" y2="50%"/>'
        f'<line class="span" x1="{low:.2%}" x2="{high:.2%}" y1="50%" y2="50%"/>'
        f'<circle cx="{value:.2%}" cy="50%" r="4.5"/></svg>'
    )


def step_chart(steps: Sequence[StepPoint]) -> Markup:
    """Return accuracy step by step: test as a solid staircase with intervals, dev dashed."""
    shown = [v for s in steps for v in (s.low, s.high, s.dev) if v is not None]
    frame = Frame(LEFT, 26, 716, 218, (0, len(steps)), fitting_range(shown))
    edges = [(frame.x(i + 0.08), frame.x(i + 0.92)) for i in range(len(steps))]
    parts = [percent_axis(frame)]
    dev = [(x, frame.y(s.dev)) for s, pair in zip(steps, edges, strict=True) for x in pair if s.dev]
    if dev:
        parts.append(line(dev, "dev"))
    stairs = [(x, frame.y(s.test)) for s, pair in zip(steps, edges, strict=True) for x in pair]
    parts.append(line(stairs, "test"))
    for i, (step, (left, right)) in enumerate(zip(steps, edges, strict=True)):
        top, middle = frame.y(step.high), frame.x(i + 0.5)
        parts.append(rectangle(left, top, right, frame.y(step.low), "band"))
        above = frame.y(step.dev) if step.dev else top
        above = (
            above if top - 26 < above < top else top
        )  # a line of dev that would cross the number
        parts.append(text(middle, above - 7, f"{100 * step.test:.1f}", "value"))
        parts += [
            text(middle, 238 + 15 * row, words, "mid")
            for row, words in enumerate(_wrap(step.label))
        ]
    return svg(
        parts,
        720,
        260,
        title="Share of right labels after each step",
        about="; ".join(f"{s.label}: {s.test:.1%}" for s in steps),
        kind="wide",
    )


def crossover_chart(
    points: Sequence[tuple[int, float, float, float]], weak: tuple[float, float, float]
) -> Markup:
    """Return accuracy against the number of hand labels, and the line of the weak labels.

    Parameters
    ----------
    points
        (hand labels, mean, lowest, highest accuracy), ascending; the axis is logarithmic.
    weak
        (accuracy, low, high) of the classifier that learnt from weak labels.
    """
    value, low, high = weak
    ends = (log(points[0][0]), log(points[-1][0]))
    frame = Frame(
        LEFT,
        16,
        RIGHT,
        238,
        ends if ends[0] < ends[1] else (ends[0] - 1, ends[0] + 1),
        fitting_range([low, high, *(v for p in points for v in p[2:])]),
    )
    mean, lows, highs = (frame.at((log(p[0]), p[k]) for p in points) for k in (1, 2, 3))
    parts = [
        percent_axis(frame),
        rectangle(frame.left, frame.y(high), frame.right, frame.y(low), "band"),
        line([(frame.left, frame.y(value)), (frame.right, frame.y(value))], "test"),
        area(highs, lows, "rival"),
        line(mean, "rival"),
        *(dot(p, "rival", 3.5) for p in mean),
        text((LEFT + RIGHT) / 2, 276, "hand labels used for training", "mid"),
    ]
    marks = [(frame.x(log(p[0])), f"{p[0]:,}") for p in points]
    parts += [text(x, 256, words, "mid") for x, words in _spaced(marks, gap=34)]
    return svg(
        parts,
        WIDTH,
        HEIGHT,
        title="Accuracy on test against the number of hand labels",
        about="; ".join([f"{p[0]}: {p[1]:.1%}" for p in points] + [f"weak labels: {value:.1%}"]),
    )


def calibration_chart(bins: Sequence[tuple[float, float, float, float, int]]) -> Markup:
    """Return a reliability diagram.

    Parameters
    ----------
    bins
        (confidence, accuracy, band low, band high, n) ascending: the band is what a perfectly
        calibrated model would show. A point outside it takes the other colour.
    """
    start = min(0.8, int(10 * min(min(b[:3]) for b in bins)) / 10)
    frame = Frame(LEFT, 16, RIGHT, 238, (start, 1.0), (start, 1.0))
    parts = [
        percent_axis(frame),
        area(frame.at((b[0], b[3]) for b in bins), frame.at((b[0], b[2]) for b in bins), "neutral"),
        line(frame.at([(start, start), (1.0, 1.0)]), "diagonal"),
        *(
            dot(frame.at([(b[0], b[1])])[0], "test" if b[2] <= b[1] <= b[3] else "rival")
            for b in bins
        ),
        *(text(frame.x(v), 256, f"{100 * v:.0f}", "mid") for v in tick_values(start, 1.0)),
        text((LEFT + RIGHT) / 2, 276, "stated probability, %", "mid"),
    ]
    return svg(
        parts,
        WIDTH,
        HEIGHT,
        title="Stated probability against share right",
        about="; ".join(f"says {b[0]:.0%}, right {b[1]:.0%} (n={b[4]})" for b in bins),
    )


def confusion_chart(
    classes: Sequence[str],
    counts: Sequence[Sequence[int]],
    shares: Sequence[Sequence[float]] | None = None,
) -> Markup:
    """Return the confusion matrix: rows gold, columns labels; shade = share of the row.

    Parameters
    ----------
    counts
        K rows of K numbers of items.
    shares
        The same as shares of the pool, to be drawn in their place, in per cent.
    """
    names = [_short(name) for name in classes]
    longest = max(map(len, names))
    cell = max(24.0, min(72.0, 400 / len(names)))
    left, top = 16 + 7.2 * longest, 16 + 5.4 * longest
    parts = []
    for g, row in enumerate(shares or counts):
        whole = sum(row) or 1
        y = top + g * cell
        parts.append(text(left - 8, y + cell / 2 + 4, names[g], "end"))
        parts.append(text(left + (g + 0.5) * cell + 4, top - 7, names[g], turned=True))
        for c, value in enumerate(row):
            x, share = left + c * cell, value / whole
            written = f"{100 * value:.1f}" if shares else str(value)
            opacity, is_hit = _opacity(share, c == g), c == g
            parts.append(
                f'<g style="fill-opacity:{opacity:.3f}">'
                f"<title>{escape(classes[g])} called {escape(classes[c])}: {counts[g][c]}</title>"
                + rectangle(x + 1, y + 1, x + cell - 1, y + cell - 1, "hit" if is_hit else "miss")
                + "</g>"
            )
            if value:
                kind = "count strong" if opacity > 0.55 else "count"
                parts.append(text(x + cell / 2, y + cell / 2 + 4, written, kind))
    size = len(names) * cell
    return svg(
        parts,
        max(WIDTH, left + size + 4.6 * longest),  # few classes are not blown up
        top + size + 4,
        title="Confusion matrix",
        about="rows are the true class, columns what the classifier says",
    )


def training_chart(
    losses: Sequence[tuple[int, float]],
    spreads: Sequence[tuple[int, float]],
    ranks: Sequence[tuple[int, float]],
) -> Markup:
    """Return, by step, the loss of self-supervised training and what the collapse monitor measured.

    Parameters
    ----------
    losses, spreads, ranks
        (step, value): loss, spread of the features in 0..1, share of directions in use in 0..1.
    """
    last = losses[-1][0]
    lowest, highest = min(v for _, v in losses), max(v for _, v in losses)
    loss_range = (lowest, highest) if highest > lowest else (lowest - 0.5, highest + 0.5)
    parts = [text(LEFT, 368, "0"), text(RIGHT, 368, f"step {last:,}", "end")]
    whole = (0.0, 100.0)
    for title, points, y_range, kind, top, digits in (
        ("loss", losses, loss_range, "test", 24, 2),
        ("spread of the features, %", _percentages(spreads), whole, "rival", 146, 0),
        ("directions in use, %", _percentages(ranks), whole, "rival", 268, 0),
    ):
        frame = Frame(LEFT, top, RIGHT, top + 80, (0, max(last, 1)), y_range)
        for value in y_range:
            y = frame.y(value)
            parts.append(line([(LEFT, y), (RIGHT, y)], "grid"))
            parts.append(text(LEFT - 8, y + 4, f"{value:.{digits}f}", "end"))
        path = frame.at(points)
        parts += [text(LEFT, top - 9, title), line(path, kind), dot(path[-1], kind, 3.5)]
    return svg(
        parts,
        WIDTH,
        376,
        title="Self-supervised training",
        about=f"loss from {losses[0][1]:.2f} to {losses[-1][1]:.2f} over {last} steps; at the end "
        f"spread {spreads[-1][1]:.0%}, directions in use {ranks[-1][1]:.0%}",
    )


def _percentages(shares: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    return [(step, 100 * share) for step, share in shares]


def _spaced(marks: Sequence[tuple[float, str]], gap: float) -> list[tuple[float, str]]:
    """Leave out labels that would run into the one before; the last always stays."""
    kept: list[tuple[float, str]] = []
    for mark in marks:
        if kept and mark[0] - kept[-1][0] < gap:
            if mark is not marks[-1]:
                continue
            kept.pop()
        kept.append(mark)
    return kept


def _wrap(label: str, width: int = 21) -> list[str]:
    lines = [""]
    for word in label.split():
        if lines[-1] and len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines[:2]


def _short(name: str) -> str:
    if len(name) <= LONGEST_NAME:
        return name
    return name[: LONGEST_NAME - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _opacity(share: float, is_hit: bool) -> float:
    """Shade of a cell; the power below 1 lifts rare mistakes into sight."""
    return 0.08 + 0.84 * share if is_hit else min(0.85, 0.04 + 1.1 * share**0.7)
