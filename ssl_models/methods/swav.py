"""SwAV: from one view predict the cluster that another view was assigned to."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_models.augment import Augment, AugmentConfig
from ssl_models.backbones import Backbone
from ssl_models.distributed import GlobalBatchNorm, rank, world_size
from ssl_models.memory import Queue
from ssl_models.methods.base import Method, register_method
from ssl_models.monitor import measure_assignments
from ssl_models.sinkhorn import sinkhorn_knopp

__all__ = ["SwAV", "swapped_prediction"]


@register_method("swav")
class SwAV(Method):
    """Caron et al. 2020, "Unsupervised learning by contrasting cluster assignments".

    arXiv:2006.09882, algorithm 1 with the queue of section 4.1 for small batches.

    Parameters
    ----------
    encoder
        f, yields h (B, D). With ``n_local`` it must take images of half the side.
    augment
        How each of the two global views is drawn.
    n_prototypes
        Clusters. The paper has three for each class of ImageNet; many more than the data has
        classes cost little, many more than the rows that are balanced leave most of them empty.
    temperature
        tau of eq. 2; the paper's 0.1.
    epsilon
        Smoothness of the codes, eq. 3; the paper's 0.05.
    queue_size
        Earlier embeddings of each view that are balanced together with the batch; from the time
        that so many have come. The paper keeps 3,840 beside batches of 256, fifteen times as many,
        as do we beside 64. 0 switches it off.
    freeze
        Share of the steps in which prototypes stand still at first; the authors freeze one epoch
        of a hundred.
    n_local
        Small views beside the two global ones, at half the side: each costs a quarter of one.
    local_scale
        Share of the area that a small view shows. The paper's 0.05 to 0.14 of a photograph is a
        dozen pixels a side of a small image.
    projection_dim, hidden_dim
        Output and hidden width of the projector; the paper's 128, and 2 D for its 2048.
    """

    category = "contrastive"
    principle = "views of one image belong to one cluster, and all clusters are equally large"
    cost = (
        "two passes an image, more with small views; a queue of embeddings where batches are small"
    )
    when = "images that fall into groups; small views bring accuracy at little cost"

    open: Tensor
    assignments: Tensor  # (2B, K) of the last step

    def __init__(
        self,
        encoder: Backbone,
        augment: AugmentConfig,
        *,
        n_prototypes: int = 256,
        temperature: float = 0.1,
        epsilon: float = 0.05,
        queue_size: int = 960,
        freeze: float = 0.01,
        n_local: int = 0,
        local_scale: tuple[float, float] = (0.1, 0.4),
        projection_dim: int = 128,
        hidden_dim: int = 1024,
    ) -> None:
        super().__init__(encoder, augment)
        self.augment = Augment(augment)
        self.augment_local = Augment(replace(augment, crop_scale=local_scale))
        self.temperature, self.epsilon = temperature, epsilon
        self.freeze, self.n_local = freeze, n_local
        self.projector = nn.Sequential(
            nn.Linear(encoder.dim, hidden_dim),
            GlobalBatchNorm(hidden_dim),
            nn.ReLU(inplace=True),
            nn.Linear(hidden_dim, projection_dim),
        )
        self.prototypes = nn.Parameter(
            F.normalize(torch.randn(n_prototypes, projection_dim), dim=1)
        )
        self.queues = nn.ModuleList(Queue(queue_size, projection_dim) for _ in range(2))
        self.register_buffer("open", torch.tensor(float(freeze == 0)))  # 1 once prototypes move

    def views(self, images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """Return (2B, C, H, W) global views and (n_local B, C, H/2, W/2) small ones or None."""
        whole = self.augment(images, generator=generator, n_views=2)
        if self.n_local == 0:
            return whole, None
        parts = self.augment_local(images, generator=generator, n_views=self.n_local)
        return whole, F.avg_pool2d(parts, 2)

    def step(self, views: tuple[Tensor, Tensor | None]) -> tuple[Tensor, Tensor]:
        """Return the swapped prediction loss and the representations h of the global views."""
        whole, parts = views
        h = self.encoder(whole)  # (2B, D)
        everything = h if parts is None else torch.cat([h, self.encoder(parts)])
        with torch.autocast(h.device.type, enabled=False):
            z = F.normalize(self.projector(everything.float()), dim=1)  # (V B, P)
            # While frozen their gradient is 0 and not absent: every process expects one.
            prototypes = torch.lerp(self.prototypes.detach(), self.prototypes, self.open)
            scores = (z @ prototypes.T).chunk(2 + self.n_local)  # V x (B, K)
            codes = [
                self._codes(*pair)
                for pair in zip(scores, z.chunk(len(scores)), self.queues, strict=False)
            ]
            self.assignments = torch.cat(codes)
            return swapped_prediction(list(scores), codes, self.temperature), h

    @torch.no_grad()
    def _codes(self, scores: Tensor, z: Tensor, queue: nn.Module) -> Tensor:
        """Return the codes (B, K) of this process's rows, balanced over all that is at hand."""
        assert isinstance(queue, Queue)
        everything = scores
        if len(queue.entries):
            if queue.is_full:  # every process brings its share of the common queue
                mine = queue.entries.tensor_split(world_size())[rank()]
                everything = torch.cat([scores, mine @ self.prototypes.T])
            queue.add(z)
        return sinkhorn_knopp(everything, self.epsilon)[: len(scores)]  # (B, K)

    def signals(self) -> dict[str, Tensor]:
        """Return how the codes used the prototypes."""
        return measure_assignments(self.assignments)

    @torch.no_grad()
    def after_step(self, step: int, total_steps: int) -> None:
        """Bring the prototypes back to unit length, turn the queues, unfreeze in time."""
        self.prototypes.copy_(F.normalize(self.prototypes, dim=1))
        self.open.fill_(float(step >= self.freeze * total_steps))
        for queue in self.queues:
            assert isinstance(queue, Queue)
            queue.turn()


def swapped_prediction(scores: list[Tensor], codes: list[Tensor], temperature: float) -> Tensor:
    """Return the mean cross entropy of each code with the predictions of all other views, eq. 2.

    Parameters
    ----------
    scores
        V of (B, K): of the views that codes were made for, then of the small ones.
    codes
        (B, K) each, rows sum to 1.
    temperature
        tau > 0.
    """
    predictions = [F.log_softmax(score / temperature, dim=1) for score in scores]
    losses = [
        -(code * prediction).sum(1).mean()
        for i, code in enumerate(codes)
        for j, prediction in enumerate(predictions)
        if i != j
    ]
    return torch.stack(losses).mean()
