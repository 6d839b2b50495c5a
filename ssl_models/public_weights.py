"""Start from weights that others trained: state dicts in torchvision's or timm's names.

Try it: ``load_public_weights(build_backbone("resnet18", ...), "resnet18-f37072fd.pth")``.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ssl_models.backbones import TIMM, Backbone
from ssl_models.checkpoints import strict_load
from ssl_models.timm_backbones import import_timm
from ssl_models.vit import VisionTransformer
from ssl_models.vit_names import from_timm, resized_tokens
from weaklight.errors import ConfigError, DataError
from weaklight.words import nearest

__all__ = ["load_public_weights", "read_weights", "require_weights"]

TORCHVISION = "torchvision:"
WRAPPERS = ("state_dict", "model")  # timm's and DeiT's training scripts wrap the weights in these


def load_public_weights(backbone: Backbone, source: str) -> tuple[str, ...]:
    """Copy weights into ``backbone``; its normalisation of pixels and features stays.

    Parameters
    ----------
    backbone
        A ResNet, a vision transformer of ours, or any ``timm:`` backbone.
    source
        What :func:`read_weights` takes.

    Returns
    -------
    One sentence for each thing that was left out or adapted.

    Raises
    ------
    ConfigError
        If ``source`` is no file of a known kind or no name that torchvision knows.
    DataError
        If the file cannot be read as named tensors.
    TrainingError
        If a weight is missing, unexpected or of another shape.

    Notes
    -----
    The classifier is left out, by its name. The first convolution is adapted to another number of
    channels and to the small stem, position embeddings to another grid. Nothing else is.
    """
    body = backbone.body
    tensors = read_weights(source)
    notes = _drop_classifier(tensors, body)
    if isinstance(body, VisionTransformer):
        tensors = from_timm(tensors, body)
    expected = body.state_dict()
    for name, tensor in expected.items():
        if name.endswith(".num_batches_tracked"):  # absent from files of torch before 0.4.1
            tensors.setdefault(name, tensor)
    first = _first_convolution(body)
    if first in tensors and tensors[first].shape != expected[first].shape:
        tensors[first], changes = adapt_convolution(tensors[first], expected[first].shape)
        notes += [f"{first}: {change}" for change in changes]
    stored, wanted = tensors.get("pos_embed"), expected.get("pos_embed")  # of timm's transformers
    if stored is not None and wanted is not None and stored.shape != wanted.shape:
        tensors["pos_embed"] = resized_tokens(stored, wanted.shape[1])
        notes.append(f"pos_embed: interpolated from {stored.shape[1]} to {wanted.shape[1]} tokens")
    strict_load(body, tensors, source)
    return tuple(notes)


def read_weights(source: str) -> dict[str, Tensor]:
    """Return named tensors from a file or by name.

    Parameters
    ----------
    source
        A ``.safetensors``, ``.pth`` or ``.pt`` file, flat or under "state_dict" or "model".
        ``torchvision:NAME`` is torchvision's default weights and ``timm:NAME`` timm's pretrained
        ones, each from the library's cache (``TORCH_HOME``, ``HF_HOME``) or downloaded into it.
        Only tensors are unpickled: a file cannot run code.

    Raises
    ------
    ConfigError
        If there is no such file, its ending is another, or the library has no such weights.
    DataError
        If it cannot be read as named tensors, or cannot be downloaded.
    """
    if source.startswith(TORCHVISION):
        content = _from_torchvision(source.removeprefix(TORCHVISION))
    elif source.startswith(TIMM):
        content = _from_timm(source.removeprefix(TIMM))
    else:
        content = _from_file(Path(source))
    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()
    ):
        raise DataError(
            f"{source} must hold tensors by name, flat or under one of {WRAPPERS}, but holds "
            "something else; save model.state_dict() of the backbone alone"
        )
    return dict(content)


def adapt_convolution(weight: Tensor, shape: torch.Size) -> tuple[Tensor, list[str]]:
    """Return a first convolution's weight for other channels or the small stem, and what was done.

    Parameters
    ----------
    weight
        (out, c, k, k) as stored.
    shape
        (out, C, K, K) as wanted. Where nothing below applies the weight comes back as it was.

    Notes
    -----
    Channels: each of the C gets 1/C of the sum over the c, so an image whose channels are equal
    gives what the original gives for that image in gray; C = 1 is the sum.

    Stem, 7 x 7 at stride 2 to 3 x 3 at stride 1: what the original answers to the image enlarged
    to twice its side, each pixel a block of 2 x 2. There its seven taps fall on four pixels as
    1 + 2 + 2 + 2; the lone outermost one joins its neighbor.
    """
    notes = []
    if weight.shape[1] != shape[1]:
        notes.append(f"{weight.shape[1]} channels summed and shared out over {shape[1]}")
        weight = weight.sum(1, keepdim=True).expand(-1, shape[1], -1, -1) / shape[1]
    if weight.shape[2:] == (7, 7) and shape[2:] == (3, 3):
        notes.append("7 x 7 at stride 2 folded into the small stem's 3 x 3 at stride 1")
        for axis in (2, 3):
            taps = [part.sum(axis) for part in weight.split((3, 2, 2), axis)]
            weight = torch.stack(taps, axis)
    return weight, notes


def require_weights(source: str) -> None:
    """Look for what :func:`read_weights` would read, without reading or downloading it.

    Raises
    ------
    ConfigError
        As :func:`read_weights` does.
    """
    if source.startswith(TORCHVISION):
        _torchvision_weights(source.removeprefix(TORCHVISION))
    elif source.startswith(TIMM):
        _require_timm_weights(source.removeprefix(TIMM))
    else:
        _require_file(Path(source))


def _require_file(path: Path) -> None:
    if path.suffix not in (".safetensors", ".pth", ".pt"):
        raise ConfigError(
            "starting weights must be a .safetensors, .pth or .pt file, 'torchvision:NAME' or "
            f"'timm:NAME', but are {str(path)!r}"
        )
    if not path.is_file():
        raise ConfigError(f"there is no file {path} to start from; check [pretrain] init")


def _from_file(path: Path) -> object:
    _require_file(path)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise DataError(
            f"{path} cannot be read as weights ({error}); it may be damaged or hold more than "
            "tensors: convert it to safetensors where you trust it"
        ) from error


def _torchvision_weights(name: str) -> Any:
    from torchvision.models import get_model_weights, list_models

    try:
        return get_model_weights(name).DEFAULT
    except ValueError as error:
        near = nearest(name, list_models()) or "; such as 'resnet18'"
        raise ConfigError(f"torchvision has no model {name!r}{near}") from error


def _from_torchvision(name: str) -> object:
    weights = _torchvision_weights(name)
    try:
        return weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (URLError, OSError) as error:
        raise DataError(
            f"{weights.url} could not be fetched ({error}); download it where there is a network "
            "and set [pretrain] init to the file"
        ) from error


def _require_timm_weights(name: str) -> None:
    timm = import_timm()
    if not timm.is_model_pretrained(name):
        near = nearest(name, timm.list_pretrained())
        raise ConfigError(
            f"timm {timm.__version__} has no weights {name!r}{near}; timm.list_pretrained() shows "
            "all"
        )


def _from_timm(name: str) -> object:
    _require_timm_weights(name)
    timm = import_timm()
    try:
        return timm.create_model(name, pretrained=True).state_dict()
    except OSError as error:
        raise DataError(
            f"timm's weights {name} could not be fetched ({error}); download model.safetensors of "
            f"{timm.get_pretrained_cfg(name).hf_hub_id} where there is a network and set "
            "[pretrain] init to the file"
        ) from error


def _drop_classifier(tensors: dict[str, Tensor], body: nn.Module) -> list[str]:
    """Remove the classifier's tensors, which have no place in a backbone; say which."""
    if isinstance(body, VisionTransformer):
        classifiers: tuple[str, ...] = ("head",)
    else:  # timm's models name theirs; torchvision's ResNets have fc
        named = getattr(body, "pretrained_cfg", {}).get("classifier") or "fc"
        classifiers = (named,) if isinstance(named, str) else tuple(named)
    unused = [f"{name}.{kind}" for name in classifiers for kind in ("weight", "bias")]
    dropped = [name for name in unused if tensors.pop(name, None) is not None]
    return [f"left out the classifier: {', '.join(dropped)}"] if dropped else []


def _first_convolution(body: nn.Module) -> str:
    """Return the name of the weight that sees the pixels, ".weight" where none does."""
    convolutions = (n for n, module in body.named_modules() if isinstance(module, nn.Conv2d))
    return f"{next(convolutions, '')}.weight"
