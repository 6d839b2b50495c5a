"""Which patches belong together: principal components of patch tokens as foreground and colours.

Try it: ``patch_pca(patch_tokens(encoder, pixels)).colours  # (n, h, w, 3)``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weaklight.errors import DataError

__all__ = ["PatchPCA", "patch_pca"]

N_COLOURS = 3


@dataclass(frozen=True)
class PatchPCA:
    """What :func:`patch_pca` found.

    Attributes
    ----------
    foreground
        (n, h, w) bool.
    colours
        (n, h, w, 3) float32 in [0, 1]; equal colours are alike in all images, background is 0.
    """

    foreground: NDArray[np.bool_]
    colours: NDArray[np.float32]


def patch_pca(tokens: NDArray[np.floating]) -> PatchPCA:
    """Return foreground and colours of the patches of several images that show alike things.

    The first principal component of all patches splits them at its mean into foreground and
    background; a second analysis of the foreground alone gives three components, which become red,
    green and blue, each scaled to its own range.

    Parameters
    ----------
    tokens
        (n, h, w, D) finite, of images with the same kind of object; one works, three or more are
        better.

    Notes
    -----
    A component has no sign of its own, and a published picture comes out inverted in half of the
    attempts (facebookresearch/dinov2, issue 292). Here the side that holds most patches at the
    images' borders is background: it fails where the object fills the frame. Colours are signed
    so that a component's largest weight is positive, hence the same on every machine.
    The split is wherever the patches vary most; it need not be an object at all.

    Time O(P D min(P, D)) for P = n h w patches.

    References
    ----------
    Oquab et al. 2024, "DINOv2: Learning robust visual features without supervision",
    arXiv:2304.07193, figures 1 and 9.
    """
    if tokens.ndim != 4 or 0 in tokens.shape or not np.isfinite(tokens).all():
        raise DataError(
            f"tokens must be (n, h, w, D), not empty and finite, but came with shape "
            f"{tokens.shape}; take those of patch_tokens"
        )
    flat = tokens.reshape(-1, tokens.shape[-1]).astype(np.float64)  # (P, D)
    score = _components(flat, 1).reshape(tokens.shape[:3])
    border = np.ones(tokens.shape[1:3], np.bool_)
    border[1:-1, 1:-1] = False
    if (score[:, border] > 0).mean() > 0.5:
        score = -score
    foreground = score > 0
    colours = np.zeros((*tokens.shape[:3], N_COLOURS), np.float32)
    if foreground.any():
        shades = _components(flat[foreground.ravel()], N_COLOURS)  # (F, 3)
        low, span = shades.min(axis=0), np.ptp(shades, axis=0)
        colours[foreground] = (shades - low) / np.where(span > 0, span, 1)
    return PatchPCA(foreground, colours)


def _components(rows: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Return the rows on their first components, (P, count); 0 where there are fewer."""
    centred = rows - rows.mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:count]  # (<= count, D)
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
    out = np.zeros((len(rows), count))
    out[:, : len(axes)] = centred @ (axes * np.sign(largest)).T
    return out
