"""Batch norms and whitening whose statistics are those of given images, without training anything.

Try it: ``estimate_norms(encoder, pixels)``.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ssl_models.backbones import Backbone
from ssl_models.embed import embed
from ssl_models.whitening import Whitening

__all__ = ["estimate_norms", "whiten"]

BATCH = 256


@torch.no_grad()
def estimate_norms(encoder: Backbone, pixels: NDArray[np.uint8]) -> None:
    """Replace the running statistics of each batch norm by plain means over batches of ``pixels``.

    An encoder that learnt from other inputs than it meets in use, patches and then whole images,
    would normalise by the wrong mean and variance: adaptive batch normalisation, Li et al. 2016,
    arXiv:1603.04779.

    Parameters
    ----------
    encoder
        Changed in place and left in evaluation mode. One without batch norms stays as it is.
    pixels
        (n, H, W, C) uint8, n >= 2. Under ``torchrun`` every process calls this with the same.
    """
    norms = [module for module in encoder.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches
    encoder.train()
    for start in range(0, max(1, len(pixels) - BATCH + 1), BATCH):  # whole batches
        images = torch.from_numpy(np.ascontiguousarray(pixels[start : start + BATCH]))
        encoder(images.to(encoder.mean.device).permute(0, 3, 1, 2).float().div_(255))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    encoder.eval()


def whiten(encoder: Backbone, pixels: NDArray[np.uint8], *, device: str = "auto") -> None:
    """Let the encoder whiten its features of images like ``pixels`` (n, H, W, C) from now on.

    Parameters
    ----------
    encoder
        Not whitening yet; changed in place and left in evaluation mode.
    device
        As `embed` takes it.
    """
    features = torch.from_numpy(embed(encoder, pixels, device=device))
    encoder.whitening = Whitening.fitted(features.to(encoder.mean.device))
