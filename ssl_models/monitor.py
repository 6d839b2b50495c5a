"""Is the encoder learning, or has it collapsed? Four numbers and a verdict in plain words.

Try it: ``print(verdict(measure(embeddings, n_views=2)))``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from weaklight.errors import DataError

__all__ = ["Health", "measure", "measure_assignments", "spread", "verdict"]

COLLAPSED_STD = 0.1  # healthy embeddings: 0.3 (after a ReLU, all in one octant) to 1
COLLAPSED_RANK_SHARE = 0.05
UNMATCHED_ALIGNMENT = 0.9  # two views of one image are almost as far apart as strangers
COLLAPSED_PROTOTYPES = 1.5
SILENT_TEACHER = 0.999
MAX_ROWS = 1024  # enough for a stable rank; the SVD stays under 0.1 s


@dataclass(frozen=True)
class Health:
    """What :func:`measure` found; see there."""

    std: float
    rank: float
    rank_cap: int
    alignment: float | None
    uniformity: float

    @property
    def rank_share(self) -> float:
        """The effective rank as a share of the largest that these rows could have."""
        return self.rank / self.rank_cap

    def as_dict(self) -> dict[str, float | int | None]:
        """Return all numbers, ``rank_share`` included, for a JSON file."""
        return {**asdict(self), "rank_share": self.rank_share}


@torch.no_grad()
def measure(embeddings: Tensor, n_views: int = 1) -> Health:
    """Return the health of a batch of embeddings.

    Parameters
    ----------
    embeddings
        (V * N, d), stacked view by view: row i and row N + i are views of one image. N >= 2.
        Only the first 1024 images are looked at.
    n_views
        V.

    Returns
    -------
    Health
        ``std``: the :func:`spread` of the first view. ``rank``: RankMe of the centred first
        view, exp of the entropy of its singular values, at most ``rank_cap`` = min(N - 1, d) as
        centring takes one direction. ``alignment``: mean squared distance of two views over that
        of two images, 0 when views coincide, 1 when no closer than strangers, None with one view.
        ``uniformity``: ln mean exp(-2 distance^2) over pairs of images; lower is more even, 0 is
        collapse.

    References
    ----------
    Garrido et al. 2023, "RankMe", arXiv:2210.02885, eq. 1. Wang and Isola 2020, "Understanding
    contrastive representation learning through alignment and uniformity", arXiv:2005.10242.
    """
    if embeddings.ndim != 2 or len(embeddings) % n_views or len(embeddings) // n_views < 2:
        raise DataError(
            f"embeddings must be (V * N, d) with V = {n_views} and N >= 2, but came with shape "
            f"{tuple(embeddings.shape)}"
        )
    views = [v[:MAX_ROWS] for v in F.normalize(embeddings.float(), dim=1).chunk(n_views)]
    first = views[0]  # (N, d)
    n, d = first.shape
    centred = first - first.mean(0)
    # Singular values of rounding noise alone would look like full rank.
    singular = torch.linalg.svdvals(centred)
    singular = singular[singular > 1e-5 * n**0.5]
    share = singular / singular.sum()
    rank = float(torch.exp(-(share * share.log()).sum())) if len(share) else 0.0
    distances = torch.pdist(first).square()
    alignment = None
    if n_views > 1:
        between_views = (first - views[1]).square().sum(1).mean()
        alignment = float(between_views / distances.mean().clamp(min=1e-12))
    return Health(
        std=float(_spread_of_units(first)),
        rank=rank,
        rank_cap=min(n - 1, d),
        alignment=alignment,
        uniformity=float(distances.mul(-2).exp().mean().log()),
    )


@torch.no_grad()
def spread(embeddings: Tensor) -> Tensor:
    """Return the mean standard deviation per dimension of unit-length rows, times sqrt(d).

    1 when the rows (N, d) fill the sphere, 0 when all point the same way: figure 2 of SimSiam
    (Chen and He 2020, arXiv:2011.10566).
    """
    return _spread_of_units(F.normalize(embeddings.float(), dim=1))


def _spread_of_units(rows: Tensor) -> Tensor:
    return rows.std(0, correction=0).mean() * math.sqrt(rows.shape[1])


@torch.no_grad()
def measure_assignments(assignments: Tensor) -> dict[str, Tensor]:
    """Return how a teacher or a clustering uses its prototypes.

    Parameters
    ----------
    assignments
        (N, K) probabilities of N rows over K prototypes.

    Returns
    -------
    ``teacher_entropy``: mean entropy of a row over ln K; 0 is certain, 1 says nothing.
    ``prototypes_used``: exp of the entropy of the mean row; 1 when all rows choose one prototype,
    K when all are chosen equally often. Scalars on the device of the input.

    Notes
    -----
    The two ways in which self-distillation collapses, which sharpening and centering prevent (Caron
    et al. 2021, arXiv:2104.14294, section 5.3).
    """
    mean = assignments.mean(0)
    return {
        "teacher_entropy": _entropy(assignments).mean() / math.log(assignments.shape[1]),
        "prototypes_used": _entropy(mean).exp(),
    }


def _entropy(probabilities: Tensor) -> Tensor:
    entropy: Tensor = torch.special.entr(probabilities.float()).sum(-1)
    return entropy


def verdict(health: Health, signals: Mapping[str, float] | None = None) -> str:
    """Return one plain sentence on what the numbers mean and, where needed, what to change.

    Parameters
    ----------
    signals
        What the method says of itself: see :func:`measure_assignments`; ``projection_std`` is the
        :func:`spread` of what a loss without negatives compares. Constant projections are its
        trivial answer, and an encoder below them stops learning but keeps a spread of its own.
    """
    signals = signals or {}
    if health.std < COLLAPSED_STD:
        return (
            f"Collapsed: all images get nearly the same features (spread {health.std:.2f} of 1). "
            "Lower lr by 3 to 10 times, raise batch_size, and check that images are not constant."
        )
    if signals.get("projection_std", math.inf) < COLLAPSED_STD:
        return (
            "Collapsed: all images get nearly the same projections (spread "
            f"{signals['projection_std']:.2f} of 1), so the loss teaches nothing more. Lower lr by "
            "3 to 10 times, raise batch_size, or choose simclr, whose negatives prevent it."
        )
    if signals.get("prototypes_used", math.inf) < COLLAPSED_PROTOTYPES:
        return (
            "Collapsed to one prototype: the teacher gives all images the same answer. Raise the "
            "teacher temperature, lower lr, or let the center follow faster."
        )
    if signals.get("patch_prototypes_used", math.inf) < COLLAPSED_PROTOTYPES:
        return (
            "Collapsed to one prototype of patches: the teacher says the same of every place, so "
            "only whole images teach. Raise the teacher temperature or lower lr."
        )
    if signals.get("teacher_entropy", 0.0) > SILENT_TEACHER:
        return (
            "Not learning: the teacher finds all prototypes equally likely for every image "
            f"(entropy {signals['teacher_entropy']:.3f} of 1). Lower the teacher temperature or "
            "train longer."
        )
    if health.rank_share < COLLAPSED_RANK_SHARE:
        return (
            f"Partly collapsed: features use about {health.rank:.0f} of {health.rank_cap} "
            "directions. Weaken the augmentation (larger crop_scale), lower the temperature, or "
            "train longer."
        )
    if health.alignment is not None and health.alignment > UNMATCHED_ALIGNMENT:
        return (
            "Not learning: two views of one image are as far apart as two images "
            f"({health.alignment:.2f} of 1). Weaken the augmentation, train longer, or raise lr."
        )
    return (
        f"Healthy: features spread ({health.std:.2f} of 1) over about {health.rank:.0f} of "
        f"{health.rank_cap} directions."
    )
