"""The few SVG elements that the charts are made of; every text is escaped here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

__all__ = [
    "Frame",
    "area",
    "dot",
    "fitting_range",
    "line",
    "percent_axis",
    "rectangle",
    "svg",
    "text",
    "tick_values",
]

Point = tuple[float, float]


@dataclass(frozen=True)
class Frame:
    """A plot area in pixels with linear axes."""

    left: float
    top: float
    right: float
    bottom: float
    x_range: tuple[float, float]
    y_range: tuple[float, float]

    def x(self, value: float) -> float:
        """Pixel column of a value."""
        low, high = self.x_range
        return self.left + (value - low) / (high - low) * (self.right - self.left)

    def y(self, value: float) -> float:
        """Pixel row of a value."""
        low, high = self.y_range
        return self.bottom - (value - low) / (high - low) * (self.bottom - self.top)

    def at(self, points: Iterable[Point]) -> list[Point]:
        """Pixels of values."""
        return [(self.x(x), self.y(y)) for x, y in points]


def svg(
    parts: Sequence[str], width: float, height: float, *, title: str, about: str, kind: str = ""
) -> Markup:
    """Return the whole picture, with its title and content for screen readers."""
    return Markup(
        f'<svg class="chart {kind}" viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
        f'aria-label="{escape(title)}. {escape(about)}">{"".join(parts)}</svg>'
    )


def text(x: float, y: float, words: str, kind: str = "", *, turned: bool = False) -> str:
    """Return words at a place; ``turned`` sets them at 45 degrees, reading upwards."""
    place = f'x="{x:.1f}" y="{y:.1f}"'
    if turned:
        place = f'transform="translate({x:.1f},{y:.1f}) rotate(-45)"'
    return f'<text class="{kind}" {place}>{escape(words)}</text>'


def line(points: Sequence[Point], kind: str) -> str:
    """Return a line through points."""
    return f'<path class="line {kind}" d="M{_path(points)}"/>'


def area(upper: Sequence[Point], lower: Sequence[Point], kind: str = "") -> str:
    """Return the band between two lines."""
    return f'<path class="band {kind}" d="M{_path([*upper, *reversed(lower)])}Z"/>'


def rectangle(x0: float, y0: float, x1: float, y1: float, kind: str) -> str:
    """Return a rectangle by two corners."""
    return (
        f'<rect class="{kind}" x="{x0:.1f}" y="{y0:.1f}" '
        f'width="{x1 - x0:.1f}" height="{y1 - y0:.1f}"/>'
    )


def dot(point: Point, kind: str, radius: float = 4) -> str:
    """Return a dot."""
    return f'<circle class="{kind}" cx="{point[0]:.1f}" cy="{point[1]:.1f}" r="{radius}"/>'


def percent_axis(frame: Frame) -> str:
    """Return grid lines with their percentages."""
    parts = []
    for value in tick_values(*frame.y_range):
        y = frame.y(value)
        parts.append(line([(frame.left, y), (frame.right, y)], "grid"))
        unit = " %" if value == frame.y_range[1] else ""
        parts.append(text(frame.left - 8, y + 4, f"{100 * value:.0f}{unit}", "end"))
    return "".join(parts)


def fitting_range(values: Sequence[float]) -> tuple[float, float]:
    """Return tenths round the values, at least 0.2 apart: small differences must look small."""
    low = max(0.0, int((min(values) - 0.02) * 10) / 10)
    high = min(1.0, (int((max(values) + 0.02) * 10) + 1) / 10)
    while high - low < 0.199:
        low, high = max(0.0, low - 0.1), min(1.0, high + 0.1)
    return round(low, 1), round(high, 1)


def tick_values(low: float, high: float) -> list[float]:
    """Return every tenth, or every fifth where that were too many."""
    step = 0.1 if high - low <= 0.6 else 0.2
    return [round(low + i * step, 3) for i in range(int((high - low) / step + 1.001))]


def _path(points: Sequence[Point]) -> str:
    return "L".join(f"{x:.1f},{y:.1f}" for x, y in points)
