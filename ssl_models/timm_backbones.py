"""Any model of timm as a backbone: ``backbone = "timm:convnext_atto"``.

Try it: ``build_backbone("timm:resnet10t", channels=4, image_size=64, width=32).dim``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ssl_models.distributed import GlobalBatchNorm
from weaklight.errors import ConfigError
from weaklight.words import nearest

__all__ = ["build_timm", "import_timm", "timm_options"]


def build_timm(name: str, channels: int, image_size: int) -> tuple[nn.Module, int]:
    """Return timm's model ``name`` without its classifier and with new weights, and its dim.

    Parameters
    ----------
    name
        As ``timm.list_models()`` has it: an architecture, without the tag of its weights.
    channels, image_size
        What it will see. A model with a fixed input size is built for square images of this side.

    Raises
    ------
    ConfigError
        If timm is not installed, has no such model, or the model cannot take such images.

    Notes
    -----
    Over several processes plain batch norm uses the statistics of the whole batch; the fused
    norm-and-activation layers of some of timm's models use each process's own.
    """
    timm, options = import_timm(), timm_options(name, channels, image_size)
    try:
        # With it a transformer takes crops of other sizes too, as DINO's methods draw them.
        net = timm.create_model(name, **options, dynamic_img_size=True)
    except TypeError:
        net = timm.create_model(name, **options)
    for module in net.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = GlobalBatchNorm  # the same state, other statistics
    return net, _checked_dim(net, name, channels, image_size)


def timm_options(name: str, channels: int, image_size: int) -> dict[str, Any]:
    """Return the arguments of ``timm.create_model`` for images like these.

    Raises
    ------
    ConfigError
        If timm is not installed or has no such model.
    """
    timm = import_timm()
    if not timm.is_model(name):
        raise ConfigError(
            f"timm {timm.__version__} has no model {name!r}{nearest(name, timm.list_models())}; "
            "timm.list_models() shows all"
        )
    options: dict[str, Any] = {"num_classes": 0, "in_chans": channels}
    if timm.get_pretrained_cfg(name).fixed_input_size:
        options["img_size"] = image_size
    return options


def import_timm() -> Any:
    """Return timm.

    Raises
    ------
    ConfigError
        If it is not installed.
    """
    try:
        import timm
    except ModuleNotFoundError as error:
        raise ConfigError(
            "a timm backbone needs timm, which is not installed; run: "
            'pip install "weaklight[timm]", or take one of ours such as resnet18'
        ) from error
    return timm


def _checked_dim(net: nn.Module, name: str, channels: int, image_size: int) -> int:
    """Return the length of a feature vector after looking at one image."""
    patch = getattr(getattr(net, "patch_embed", None), "patch_size", 1)
    side = patch if isinstance(patch, int) else patch[0]
    if image_size % side:
        raise ConfigError(
            f"timm's {name} cuts images into patches of {side} px and would drop the last "
            f"{image_size % side} of {image_size}; set [items] image_size to a multiple of {side}, "
            "or take vit_tiny, which continues the border"
        )
    try:
        with torch.no_grad():
            features = net.eval()(torch.zeros(1, channels, image_size, image_size))
    except (RuntimeError, AssertionError, ValueError) as error:
        raise ConfigError(
            f"timm's {name} cannot take images of {image_size} px ({error}); set a larger [items] "
            "image_size or take another backbone"
        ) from error
    net.train()
    return int(features.shape[1])
