"""Which patch of one image is which patch of another: mutual nearest neighbours of patch tokens.

Try it::

    first, second = patch_tokens(encoder, pixels[:2])
    match_patches(first, second, patch=encoder.body.patch).similarity
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ssl_models.retrieval import unit_rows
from weaklight.errors import DataError

__all__ = ["Matches", "match_patches"]


@dataclass(frozen=True)
class Matches:
    """Pairs of places, most similar first.

    Attributes
    ----------
    first, second
        (m, 2) float32 (x, y) of the patches' centres in pixels of either image; the corner is
        (0, 0). The centre of a patch that the border cuts may lie beyond it.
    similarity
        (m,) float32 cosine in [-1, 1].
    """

    first: NDArray[np.float32]
    second: NDArray[np.float32]
    similarity: NDArray[np.float32]


def match_patches(
    first: NDArray[np.floating],
    second: NDArray[np.floating],
    *,
    patch: int,
    foreground: tuple[NDArray[np.bool_], NDArray[np.bool_]] | None = None,
) -> Matches:
    """Return the pairs of patches that are each other's nearest by cosine.

    Parameters
    ----------
    first, second
        (h, w, D) and (h', w', D) finite patch tokens of two images.
    patch
        Side of a patch in pixels, ``encoder.body.patch``.
    foreground
        (h, w) and (h', w') bool: only these patches take part, as :func:`patch_pca` finds them.
        None takes all, and background then matches background.

    Returns
    -------
    Matches
        Empty where one foreground is. The best pair that there is need not be a good one: look at
        the similarity.

    Notes
    -----
    Of equally near patches the first in reading order is the nearest. Time O(P P' D).

    References
    ----------
    Amir et al. 2022, "Deep ViT features as dense visual descriptors", arXiv:2112.05814: mutual
    neighbours, there called best buddies. Oquab et al. 2024, DINOv2, arXiv:2304.07193, figure 10,
    shows the same kind of picture by solving an assignment of Euclidean distances.
    """
    grids = (first.shape[:2], second.shape[:2])
    masks = foreground or tuple(np.ones(grid, np.bool_) for grid in grids)
    if first.shape[-1] != second.shape[-1] or tuple(m.shape for m in masks) != grids:
        raise DataError(
            "match_patches takes tokens (h, w, D) of one encoder and a foreground (h, w) for each, "
            f"but came {first.shape} and {second.shape} with {[m.shape for m in masks]}"
        )
    cosine = (
        unit_rows(first[masks[0]], "first") @ unit_rows(second[masks[1]], "second").T
    )  # (P, P')
    if 0 in cosine.shape:
        nowhere = np.empty((0, 2), np.float32)
        return Matches(nowhere, nowhere, np.empty(0, np.float32))
    forth, back = cosine.argmax(axis=1), cosine.argmax(axis=0)
    mutual = np.flatnonzero(back[forth] == np.arange(len(forth)))
    similarity = cosine[mutual, forth[mutual]]
    mutual = mutual[np.argsort(-similarity, kind="stable")]
    return Matches(
        _centres(masks[0], patch)[mutual],
        _centres(masks[1], patch)[forth[mutual]],
        cosine[mutual, forth[mutual]],
    )


def _centres(mask: NDArray[np.bool_], patch: int) -> NDArray[np.float32]:
    """Return (x, y) of the centre of each patch that is True, in reading order."""
    return np.asarray((np.argwhere(mask)[:, ::-1] + 0.5) * patch, np.float32)
