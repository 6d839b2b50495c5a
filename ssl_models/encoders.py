"""An encoder on disk: its weights and the ``encoder.json`` that says how to build it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file

from ssl_models.backbones import Backbone, build_backbone
from ssl_models.checkpoints import strict_load, write_json, write_tensors
from ssl_models.whitening import Whitening
from weaklight.errors import ArtifactError
from weaklight.seeds import preserve_global_rng

__all__ = ["load_encoder", "save_encoder"]


def save_encoder(encoder: Backbone, folder: Path, description: dict[str, Any]) -> None:
    """Write the two files.

    Parameters
    ----------
    description
        ``backbone``, ``width``, ``image_size`` (height, width), ``channels``; the normalisation
        and whether features are `mirrored` are added.
    """
    write_tensors(folder / "encoder.safetensors", encoder.state_dict())
    write_json(
        folder / "encoder.json",
        {
            **description,
            "dim": encoder.dim,
            "mirrored": encoder.mirrored,
            "mean": encoder.mean.flatten().tolist(),
            "std": encoder.std.flatten().tolist(),
        },
    )


def load_encoder(folder: Path) -> Backbone:
    """Return the encoder in ``folder``, in evaluation mode on the CPU.

    Raises
    ------
    ArtifactError
        If a file is missing or damaged.
    ConfigError
        If the backbone is timm's and timm is not installed.
    TrainingError
        If a weight is missing, unexpected or of another shape.
    """
    try:
        description = json.loads((folder / "encoder.json").read_bytes())
        tensors = load_file(folder / "encoder.safetensors")
        with preserve_global_rng():  # new weights are drawn, then replaced
            encoder = build_backbone(
                description["backbone"],
                channels=description["channels"],
                image_size=min(description["image_size"]),
                width=description["width"],
            )
        encoder.set_normalisation(description["mean"], description["std"])
        encoder.mirrored = description.get("mirrored", False)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise ArtifactError(
            f"{folder} holds no readable encoder of images ({type(error).__name__}: {error}); run "
            "the pretrain stage again, on images"
        ) from error
    if any(name.startswith("whitening.") for name in tensors):
        encoder.whitening = Whitening(encoder.dim)
    strict_load(encoder, tensors, str(folder / "encoder.safetensors"))
    return encoder.eval()
