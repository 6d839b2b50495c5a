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
from ssl_models.pictures.draw import as_rgb, contact_sheet, heat_overlay, matched_pair, png
from ssl_models.pictures.matching import Matches, match_patches
from ssl_models.pictures.patch_pca import PatchPCA, patch_pca
from ssl_models.pictures.tokens import patch_tokens

__all__ = [
    "Matches",
    "PatchPCA",
    "as_rgb",
    "attention_maps",
    "best_head_jaccard",
    "contact_sheet",
    "heat_overlay",
    "jaccard",
    "keep_mass",
    "match_patches",
    "matched_pair",
    "patch_pca",
    "patch_tokens",
    "png",
    "to_pixels",
]
