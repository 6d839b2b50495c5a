"""What of an item people are shown: its picture, its words, its curve, its sound.

Used by the report and the app, so nothing here imports a heavy library.
"""

from __future__ import annotations

import base64
import io
import wave
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

__all__ = ["Exhibit", "curve", "data_uri", "excerpt", "shaded_curve", "shaded_picture", "sound"]


@dataclass(frozen=True)
class Exhibit:
    """What people see of an item: a picture or words; a clip can be heard, too.

    Attributes
    ----------
    picture, sound : data URIs, empty where there is none
    words : the text or its start, empty where there is a picture
    """

    picture: str = ""
    words: str = ""
    sound: str = ""


_SIDE = 100  # of a curve's square
_MARGIN = 8
_COLOURS = ("#5cc6b1", "#e2a061", "#9db4f0", "#d98ac2")  # of a series' channels, then again
_COLD, _HOT = (20, 10, 60), (226, 160, 97)  # of low and high scores


def excerpt(text: str, characters: int) -> str:
    """Return the start of a text on as many lines as it has, cut between words.

    Examples
    --------
    >>> excerpt("a short text", 7)
    'a short ...'
    """
    text = "\n".join(line.rstrip() for line in text.strip().splitlines())
    if len(text) <= characters:
        return text
    head = text[: characters + 1]
    cut = max(head.rfind(" "), head.rfind("\n"))
    return f"{head[: cut if cut > characters // 2 else characters].rstrip()} ..."


def curve(signal: NDArray[np.int16] | NDArray[np.float32]) -> str:
    """Return a picture of a signal (T,) or (T, C) as SVG text: its envelope from left to right.

    Two values a column, the least and the largest, so that no spike is lost however long it is.
    """
    values = signal.reshape(len(signal), -1).astype(np.float64)  # (T, C)
    low, high = float(values.min()), float(values.max())
    if signal.dtype == np.int16:  # a wave swings about zero, whatever its loudest side
        low, high = -max(-low, high), max(-low, high)
    height = _SIDE - 2 * _MARGIN
    scaled = _SIDE - _MARGIN - height * (values - low) / max(high - low, 1e-12)
    lines = "".join(
        f'<polyline points="{_points(scaled[:, c])}" fill="none" '
        f'stroke="{_COLOURS[c % len(_COLOURS)]}" stroke-width="1.2" stroke-linejoin="round"/>'
        for c in range(values.shape[1])
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_SIDE} {_SIDE}">'
        f'<rect width="{_SIDE}" height="{_SIDE}" fill="#14201d"/>{lines}</svg>'
    )


def shaded_curve(
    signal: NDArray[np.int16] | NDArray[np.float32],
    spans: NDArray[np.integer],
    scores: NDArray[np.floating],
) -> str:
    """Return `curve` under windows of light: the higher a window's score, the brighter.

    Parameters
    ----------
    spans
        (w, 2) where each window starts and stops; they may overlap.
    scores
        (w,) from 0 to 1, averaged where windows overlap.
    """
    edges = np.unique(np.clip(spans, 0, len(signal)))
    x = np.interp(edges, (0, len(signal)), (_MARGIN / 2, _SIDE - _MARGIN / 2))
    light = ""
    for (left, right), start in zip(pairwise(x), edges, strict=False):
        over = (spans[:, 0] <= start) & (start < spans[:, 1])
        if over.any():
            light += (
                f'<rect x="{left:.1f}" width="{right - left:.1f}" height="{_SIDE}" '
                f'fill="rgb{_HOT}" opacity="{0.7 * scores[over].mean():.2f}"/>'
            )
    return curve(signal).replace("</svg>", f"{light}</svg>")


def shaded_picture(
    picture: str, size: tuple[int, int], boxes: NDArray[np.integer], scores: NDArray[np.floating]
) -> str:
    """Return a picture under a veil of heat as SVG text: dark where scores are low, else orange.

    Parameters
    ----------
    picture
        Data URI of the image.
    size
        Height and width of the image in the pixels that ``boxes`` count.
    boxes
        (t, 4) top, left, height and width of each patch; they may overlap.
    scores
        (t,) from 0 to 1. Where patches overlap the heat is their mean, and all of it is scaled so
        that the hottest place has the colour of the highest score.
    """
    height, width = size
    stops = boxes[:, :2] + boxes[:, 2:]
    rows, columns = (np.unique([boxes[:, axis], stops[:, axis]]) for axis in (0, 1))
    cells = []
    for (top, bottom), (left, right) in product(pairwise(rows), pairwise(columns)):
        over = (boxes[:, :2] <= (top, left)).all(axis=1) & ((top, left) < stops).all(axis=1)
        if over.any():
            cells.append((left, top, right - left, bottom - top, scores[over].mean()))
    hottest = max((heat for *_, heat in cells), default=0.0) or 1.0
    veil = ""
    for x, y, across, down, heat in cells:
        level = heat / hottest * scores.max()
        red, green, blue = np.round(np.array(_COLD) + level * np.subtract(_HOT, _COLD)).astype(int)
        veil += (
            f'<rect x="{x}" y="{y}" width="{across}" height="{down}" '
            f'fill="rgb({red},{green},{blue})"/>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">'
        f'<image href="{picture}" width="{width}" height="{height}" '
        'style="image-rendering:pixelated"/>'
        f'<g opacity="0.6" shape-rendering="crispEdges">{veil}</g></svg>'
    )


def sound(clip: NDArray[np.int16], rate: int) -> bytes:
    """Return a clip (T,) as the bytes of a WAV file."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(clip.astype("<i2").tobytes())
    return buffer.getvalue()


def data_uri(content: bytes | str, media_type: str) -> str:
    """Return content as a data URI: no second request, nothing to clean up."""
    raw = content.encode() if isinstance(content, str) else content
    return f"data:{media_type};base64,{base64.b64encode(raw).decode()}"


def _points(heights: NDArray[np.float64]) -> str:
    columns = np.linspace(_MARGIN / 2, _SIDE - _MARGIN / 2, min(len(heights), 2 * _SIDE))
    if len(heights) > len(columns):
        parts = np.array_split(heights, len(columns) // 2)
        heights = np.array([v for part in parts for v in (part.max(), part.min())])
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(columns, heights, strict=True))
