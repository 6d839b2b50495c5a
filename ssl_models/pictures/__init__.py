"""Looking at what an encoder has learnt: arrays to arrays; :mod:`.draw` turns them into PNG bytes.

Try it::

    maps = attention_maps(encoder, pixels)  # (n, heads, h, w)
    masks = to_pixels(keep_mass(maps), patch, height, width)  # 60 % of each head's mass
"""

from ssl_models.pictures.attention import (
    attention_maps,
    best_head_jaccard,
    jaccard,
    keep_mass,
    to_pixels,
)
from ssl_models.pictures.tokens import patch_tokens

__all__ = [
    "attention_maps",
    "best_head_jaccard",
    "jaccard",
    "keep_mass",
    "patch_tokens",
    "to_pixels",
]
