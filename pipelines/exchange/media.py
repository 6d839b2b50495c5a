"""Image files by their content: the ending and the data URI that fit them."""

from __future__ import annotations

import base64
import io

from PIL import Image

__all__ = ["data_uri", "image_suffix"]


def image_suffix(data: bytes) -> str:
    """Return the usual file ending, without the dot: "png", "jpg"."""
    kind = str(Image.open(io.BytesIO(data)).format).lower()
    return {"jpeg": "jpg"}.get(kind, kind)


def data_uri(data: bytes) -> str:
    """Return the image as a ``data:`` URI (RFC 2397), about 4/3 of its bytes."""
    kind = Image.MIME[str(Image.open(io.BytesIO(data)).format)]
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
