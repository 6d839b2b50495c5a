"""From the source's bytes, texts and numbers to items that the line can work with.

Each decoder takes the raw table of :func:`pipelines.readers.read_source`, leaves out what cannot be
used and says why, and stops where the source as a whole makes no sense.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from pipelines.sections import ItemsConfig, Kind
from weaklight.errors import DataError
from weaklight.progress import Progress
from weaklight.words import counted

__all__ = [
    "DECODERS",
    "Decoded",
    "UnusableItemError",
    "decode_image",
    "decode_image_as",
    "decode_one_series",
    "decode_text",
    "decode_wave",
]

Drop = Callable[[str, str], None]  # (reason, file or item_id)

# Above this an encoder for small data learns little more per pixel; set image_size to override.
_LARGEST_AUTO_SIZE = 96
LEAST_SECONDS = 0.05  # two windows of the log-mel baseline, and a frame of CPC
LEAST_STEPS = 4  # fewer have neither trend nor peak
LEAST_COLUMNS = 2  # of a row, which needs neither


class UnusableItemError(ValueError):
    """An item that must be left out; the message is the reason that the report counts."""


@dataclass(frozen=True)
class Decoded:
    """Items that can be used.

    Attributes
    ----------
    rows : their positions in the raw table
    payload : (n, H, W, C) uint8 images, or a list of texts, of (T,) int16 clips, or of (T, C)
        float32 series
    sha256 : digest of each item's content
    facts : what people should know of them, as plain JSON
    notes : the same as sentences
    """

    rows: list[int]
    payload: Any
    sha256: list[str]
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def decode_images(
    table: pd.DataFrame, config: ItemsConfig, drop: Drop, progress: Progress
) -> Decoded:
    """Decode every image and bring all to one size and number of channels."""
    rows, pictures, sha256 = _decode_each(table, "image", decode_image, drop, progress)
    if not pictures:
        return Decoded([], np.zeros((0, 1, 1, 1), np.uint8), [])
    size = (config.image_size, config.image_size) if config.image_size else _common_size(pictures)
    mode = "RGB" if any(p.mode == "RGB" for p in pictures) else "L"
    pixels = np.stack([fit_to(p, size, mode) for p in pictures])
    facts = {"image": list(pixels.shape[1:])}
    notes = [*_repeats(table, rows, sha256, "image")]
    n_scaled = sum(p.size != size for p in pictures)
    if n_scaled:
        of = f"of {len(pictures):,} images"
        notes.append(
            f"{counted(n_scaled, f'{of} was', f'{of} were')} scaled to {size[0]} x {size[1]} px "
            "and cut to that shape; image_size under [items] sets another size"
        )
    return Decoded(rows, pixels, sha256, facts, tuple(notes))


def decode_texts(
    table: pd.DataFrame, config: ItemsConfig, drop: Drop, progress: Progress
) -> Decoded:
    """Check every text; texts that come twice are kept and counted."""
    rows, texts, sha256 = _decode_each(table, "text", decode_text, drop, progress)
    notes = [*_repeats(table, rows, texts, "text")]
    n_broken = sum("\N{REPLACEMENT CHARACTER}" in text for text in texts)
    if n_broken:
        notes.append(
            f"{counted(n_broken, 'text holds', 'texts hold')} the sign for characters that were "
            "lost in a wrong encoding; "
            "read the source again as what it is, such as latin-1"
        )
    characters = [len(text) for text in texts] or [0]
    facts = {"characters": {"median": int(np.median(characters)), "longest": max(characters)}}
    return Decoded(rows, texts, sha256, facts, tuple(notes))


def decode_audio(
    table: pd.DataFrame, config: ItemsConfig, drop: Drop, progress: Progress
) -> Decoded:
    """Decode WAV files to one channel and one rate.

    Raises
    ------
    DataError
        If the files have several rates and ``[items] sample_rate`` chooses none.
    """
    rows, waves, sha256 = _decode_each(table, "audio", decode_wave, drop, progress)
    rates = Counter(wave.rate for wave in waves)
    if len(rates) > 1 and not config.sample_rate:
        raise DataError(
            f"all audio must have one sampling rate, but came {dict(rates.most_common())} (hertz: "
            f"files); set sample_rate = {min(rates)} under [items] to resample the others to that"
        )
    rate = config.sample_rate or (waves[0].rate if waves else 0)
    notes = [*_repeats(table, rows, sha256, "clip")]
    n_resampled = sum(wave.rate != rate for wave in waves)
    if n_resampled:
        notes.append(f"{counted(n_resampled, 'clip was', 'clips were')} resampled to {rate} hertz")
    n_mixed = sum(wave.channels > 1 for wave in waves)
    if n_mixed:
        notes.append(f"{counted(n_mixed, 'clip')} had several channels, which were averaged")
    clips = [wave.at(rate) for wave in waves]
    seconds = [len(clip) / rate for clip in clips] or [0.0]
    facts = {
        "sample_rate": rate,
        "seconds": {
            "shortest": round(min(seconds), 3),
            "longest": round(max(seconds), 3),
            "total": round(sum(seconds), 1),
        },
    }
    # A clip at another rate is another clip.
    keys = [f"{digest}-{rate}" if n_resampled else digest for digest in sha256]
    return Decoded(rows, clips, keys, facts, tuple(notes))


def decode_series(
    table: pd.DataFrame, config: ItemsConfig, drop: Drop, progress: Progress
) -> Decoded:
    """Read every series as numbers, (T, C) float32.

    Raises
    ------
    DataError
        If the series have different numbers of channels.
    """
    decode = partial(decode_one_series, is_row=config.joins_columns)
    rows, series, sha256 = _decode_each(table, "series", decode, drop, progress)
    channels = Counter(one.shape[1] for one in series)
    if len(channels) > 1:
        raise DataError(
            f"all series must have as many channels, but came {dict(channels.most_common())} "
            "(channels: series); a cell holds a list of numbers, or a list of channels that are "
            "lists of numbers"
        )
    steps = [len(one) for one in series] or [0]
    facts = {
        "channels": next(iter(channels), 0),
        "steps": {"shortest": min(steps), "longest": max(steps)},
    }
    return Decoded(rows, series, sha256, facts, _repeats(table, rows, sha256, "series"))


DECODERS: dict[Kind, Callable[[pd.DataFrame, ItemsConfig, Drop, Progress], Decoded]] = {
    "image": decode_images,
    "text": decode_texts,
    "audio": decode_audio,
    "series": decode_series,
}


def _decode_each(
    table: pd.DataFrame,
    kind: Kind,
    decode: Callable[[Any], Any],
    drop: Drop,
    progress: Progress,
) -> tuple[list[int], list[Any], list[str]]:
    """Return rows, decoded items and digests of what ``decode`` accepts."""

    def one(payload: Any) -> tuple[Any, str, str]:
        if payload is None:
            return None, "", f"no {kind}"
        try:
            data = payload.read_bytes() if isinstance(payload, Path) else payload
        except OSError:
            return None, "", f"{kind} file missing or unreadable"
        if isinstance(data, bytes) and not data:
            return None, "", f"{kind} of zero bytes"
        try:
            decoded = decode(data)
        except UnusableItemError as reason:
            return None, "", str(reason)
        return decoded, _digest(decoded if not isinstance(data, bytes) else data), ""

    rows: list[int] = []
    items: list[Any] = []
    sha256: list[str] = []
    with ThreadPoolExecutor(max_workers=2) as pool:
        for i, (item, digest, reason) in enumerate(pool.map(one, table["payload"])):
            if item is None:
                drop(reason, table["path"].iloc[i] or str(table["item_id"].iloc[i]))
            else:
                rows.append(i)
                items.append(item)
                sha256.append(digest)
            if i % 1000 == 0:
                progress(i, len(table), f"reading {kind} items")
    return rows, items, sha256


def _repeats(
    table: pd.DataFrame, rows: list[int], contents: list[str], one: str
) -> tuple[str, ...]:
    """Say how many items have the same content as an earlier one, and which of test dev holds."""
    n_double = len(contents) - len(set(contents))
    if not n_double:
        return ()
    splits = table["split"].to_numpy()[rows]
    tuned_on = {c for c, s in zip(contents, splits, strict=True) if s == "dev"}
    leaked = sum(c in tuned_on for c, s in zip(contents, splits, strict=True) if s == "test")
    several = one if one == "series" else f"{one}s"
    repeat = counted(n_double, f"{one} repeats", f"{several} repeat")
    are = counted(leaked, "of test is", "of test are")
    also = f"; {are} also in dev, which flatters the test numbers"
    return (f"{repeat} an earlier one{also if leaked else ''}",)


def _digest(content: bytes | str | NDArray[np.float32]) -> str:
    if isinstance(content, np.ndarray):
        return hashlib.sha256(f"{content.shape}".encode() + content.tobytes()).hexdigest()
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def decode_image(data: bytes) -> Image.Image:
    """Decode image bytes whole, gray ("L") or colour ("RGB").

    Raises
    ------
    UnusableItemError
        If the bytes are no image or are cut short.
    """
    try:
        picture = Image.open(io.BytesIO(data))
        picture.load()
    except (OSError, UnidentifiedImageError, ValueError, Image.DecompressionBombError):
        raise UnusableItemError("image cannot be decoded") from None
    gray = picture.mode in ("L", "1", "I", "I;16", "F", "LA")
    return picture.convert("L" if gray else "RGB")


def decode_image_as(data: bytes, shape: Sequence[int]) -> NDArray[np.uint8]:
    """Return an image file's bytes as what an encoder of images of ``shape`` (H, W, C) reads.

    Raises
    ------
    UnusableItemError
        As :func:`decode_image`.
    """
    height, width, channels = shape
    return fit_to(decode_image(data), (width, height), "L" if channels == 1 else "RGB")


def fit_to(picture: Image.Image, size: tuple[int, int], mode: str) -> NDArray[np.uint8]:
    """Return the picture as (H, W, C) uint8: resized to cover (width, height), centre-cropped."""
    picture = picture.convert(mode)
    if picture.size != size:
        scale = max(size[0] / picture.width, size[1] / picture.height)
        wide = (
            max(size[0], round(picture.width * scale)),
            max(size[1], round(picture.height * scale)),
        )
        picture = picture.resize(wide, Image.Resampling.LANCZOS)
        left, top = (wide[0] - size[0]) // 2, (wide[1] - size[1]) // 2
        picture = picture.crop((left, top, left + size[0], top + size[1]))
    array = np.asarray(picture, dtype=np.uint8)
    return array.reshape(size[1], size[0], -1)


def _common_size(pictures: list[Image.Image]) -> tuple[int, int]:
    (width, height), _ = Counter(p.size for p in pictures).most_common(1)[0]
    shrink = min(1.0, _LARGEST_AUTO_SIZE / max(width, height))
    return max(1, round(width * shrink)), max(1, round(height * shrink))


def decode_text(data: bytes | str) -> str:
    """Return a text with even line ends.

    Raises
    ------
    UnusableItemError
        If it is blank, not UTF-8, or no text at all.
    """
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else str(data)
    except UnicodeDecodeError:
        raise UnusableItemError("text is not in UTF-8") from None
    if "\0" in text:
        raise UnusableItemError("text holds zero bytes: is it a binary file, or UTF-16?")
    if not text.strip():
        raise UnusableItemError("text is empty")
    return text.replace("\r\n", "\n").replace("\r", "\n")


@dataclass(frozen=True)
class Wave:
    """A decoded WAV file: (T,) float32 in -1..1 after averaging its channels."""

    samples: NDArray[np.float32]
    rate: int
    channels: int

    def at(self, rate: int) -> NDArray[np.int16]:
        """Return the clip as int16 at another rate; a polyphase filter keeps aliases out."""
        samples = self.samples
        if rate != self.rate:
            from scipy.signal import resample_poly

            shared = math.gcd(rate, self.rate)
            samples = resample_poly(samples, rate // shared, self.rate // shared)
        return np.round(32767 * np.clip(samples, -1, 1)).astype(np.int16)


def decode_wave(data: bytes) -> Wave:
    """Decode the bytes of a WAV file: PCM of 8, 16, 24 or 32 bits, or floats.

    Raises
    ------
    UnusableItemError
        If they are no such file, hold numbers that are not finite, or last under 50 ms.
    """
    from scipy.io import wavfile

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)  # chunks that hold no sound
            rate, raw = wavfile.read(io.BytesIO(data))
    except Exception:
        raise UnusableItemError("audio cannot be decoded as WAV") from None
    samples = raw.astype(np.float32)
    if raw.dtype.kind in "iu":
        middle = 128 if raw.dtype == np.uint8 else 0
        samples = (samples - middle) / (
            128 if raw.dtype == np.uint8 else -float(np.iinfo(raw.dtype).min)
        )
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    mono = samples if samples.ndim == 1 else samples.mean(axis=1)
    if not np.isfinite(mono).all():
        raise UnusableItemError("audio holds numbers that are not finite")
    if len(mono) < LEAST_SECONDS * rate:
        raise UnusableItemError(f"audio lasts under {LEAST_SECONDS} seconds")
    return Wave(mono.astype(np.float32), int(rate), channels)


def decode_one_series(cell: Any, *, is_row: bool = False) -> NDArray[np.float32]:
    """Return (T, C) from a list of T numbers, a list of C such lists, or either as JSON text.

    Parameters
    ----------
    is_row
        Whether the numbers are columns of a table, in no order.

    Raises
    ------
    UnusableItemError
        If it is none of these, shorter than four steps (two columns), or not finite.
    """
    try:
        value = json.loads(cell) if isinstance(cell, str) else cell
        with np.errstate(over="ignore"):  # what float32 cannot hold is not finite, see below
            channels = [np.asarray(c, np.float32) for c in _as_channels(value)]
        series = np.stack(channels, axis=1)
    except (ValueError, TypeError):
        raise UnusableItemError(
            "series is no list of numbers, or its channels differ in length"
        ) from None
    least, unit = (LEAST_COLUMNS, "columns") if is_row else (LEAST_STEPS, "steps")
    if len(series) < least:
        raise UnusableItemError(f"series has fewer than {least} {unit}")
    if not np.isfinite(series).all():
        raise UnusableItemError("series holds values that are missing or not finite")
    return series


def _as_channels(value: Any) -> Iterator[Any]:
    listed = list(value)
    if listed and isinstance(listed[0], (list, tuple, np.ndarray)):
        yield from listed
    else:
        yield listed
