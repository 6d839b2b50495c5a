"""The projection head: features before and after it, and why it is dropped.

The head is trained to forget what two views do not share, colour and place among it; the layer
below still knows (Chen et al. 2020, SimCLR, arXiv:2002.05709, section 4.2).

Try it: ``projection_head(encoder, load_projector(Path("encoder"), config), task)``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from ssl_models.backbones import Backbone
from ssl_models.checkpoints import strict_load
from ssl_models.config import TrainConfig
from ssl_models.embed import embed
from ssl_models.encoders import load_encoder
from ssl_models.evaluation.scores import FeatureScores, Task, score_features
from ssl_models.methods import build_method
from ssl_models.pixels import PixelSource
from ssl_models.whitening import Whitening
from weaklight.errors import ArtifactError, ConfigError
from weaklight.seeds import preserve_global_rng

__all__ = ["PROJECTORS", "load_projector", "project", "projection_head"]

# Where methods keep the map from h to z; DINO's head goes on to prototypes, z is before them.
PROJECTORS = ("projector", "image_head", "head.mlp", "head")


def projection_head(
    encoder: Backbone,
    projector: nn.Module,
    task: Task[PixelSource],
    *,
    device: str = "auto",
    k: int = 20,
    seed: int = 0,
) -> dict[str, FeatureScores]:
    """Return the scores of ``h``, before the projection head, and of ``z``, after it.

    Parameters
    ----------
    encoder, projector
        Trained together; the projector as :func:`load_projector` returned it.
    task
        With pixels (n, H, W, C) uint8 as the encoder was trained.
    device, k, seed
        See :func:`ssl_models.embed` and :func:`~ssl_models.evaluation.scores.score_features`.
    """
    train, test = (embed(encoder, pixels, device=device) for pixels in (task.train, task.test))
    before = task.with_rows(train, test)
    after = task.with_rows(*(project(encoder, projector, h) for h in (train, test)))
    return {
        "h": score_features(before, k=k, seed=seed),
        "z": score_features(after, k=k, seed=seed),
    }


def load_projector(folder: Path, config: TrainConfig) -> nn.Module:
    """Return the projection head that was trained with the encoder in ``folder``.

    Parameters
    ----------
    folder
        What :func:`ssl_models.pretrain` wrote.
    config
        The settings it was trained with: they say which head to build.

    Returns
    -------
    In evaluation mode on the CPU.

    Raises
    ------
    ArtifactError
        If a file is missing or damaged.
    ConfigError
        If the method has not one projection head.
    TrainingError
        If the weights do not fit it.
    """
    with preserve_global_rng():  # the weights drawn here are overwritten
        encoder = load_encoder(folder)
        method = build_method(config.method, encoder, config.augment, config.method_options)
    modules = dict(method.named_modules())
    name = next((name for name in PROJECTORS if name in modules), None)
    if name is None:
        raise ConfigError(
            f"a method with one projection head was expected, but {config.method} has none; "
            "choose simclr, moco, byol, dino or another that compares embeddings"
        )
    try:
        heads = load_file(folder / "heads.safetensors")
    except (OSError, SafetensorError) as error:
        raise ArtifactError(
            f"{folder} holds no readable heads.safetensors ({error}); run the pretrain stage again"
        ) from error
    prefix = f"{name}."
    own = {key.removeprefix(prefix): t for key, t in heads.items() if key.startswith(prefix)}
    projector: nn.Module = modules[name]
    strict_load(projector, own, str(folder / "heads.safetensors"))
    return projector.eval()


@torch.inference_mode()
def project(
    encoder: Backbone, projector: nn.Module, features: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return z (n, P) float32 of the encoder's features (n, D).

    The encoder whitens its features when training is over; its head was trained before that, so
    the whitening is undone first.
    """
    h = torch.from_numpy(features)  # (n, D)
    if isinstance(encoder.whitening, Whitening):
        h = encoder.whitening.undone(h)
    return np.asarray(projector.cpu().eval()(h).numpy())
