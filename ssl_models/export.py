"""An encoder for others to run: weights in torchvision's or timm's names, torch.export, ONNX.

Try it: ``export_backbone(Path("encoder"), Path("encoder.onnx"), "onnx")``, or
``weaklight export encoder --format onnx``.

A graph (torch.export, ONNX) is the whole encoder: pixels in 0..1 in, features out, any batch size.
A file of weights is the body alone; the JSON beside it says what comes before and after, which
arguments build the model and whether features are ``mirrored`` (the mean of the image's and its
mirror image's), and a file ``NAME.whitening.safetensors`` holds what features go through.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_models.backbones import FIXED_WIDTHS, SMALL_SIDE, TIMM, Backbone
from ssl_models.checkpoints import write_json, write_tensors
from ssl_models.distributed import GlobalBatchNorm
from ssl_models.encoders import load_encoder
from ssl_models.graphs import CHECKED, GRAPHS, TRACED, Names
from ssl_models.timm_backbones import import_timm, timm_options
from ssl_models.vit import VisionTransformer
from ssl_models.vit_names import timm_arguments, to_timm
from weaklight.errors import ArtifactError, ConfigError
from weaklight.words import nearest

__all__ = ["FORMATS", "Exported", "export_backbone", "portable_encoder"]

# Of the largest feature. Two runtimes' fp32 kernels differ by some 1e-6, in dimensions that hardly
# vary and were blown up by a few 1e-4; a wrong weight or constant is off by tenths.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Exported:
    """What was written, and how far its features were from the encoder's.

    Attributes
    ----------
    largest_difference
        Over all features of the checked images, as a share of the largest feature.
    """

    path: Path
    description: Path
    largest_difference: float


@dataclass(frozen=True)
class Format:
    """How a format is written and run; ``run`` uses nothing of ours but the description."""

    suffix: str
    write: Callable[[Backbone, dict[str, Any], Path], dict[str, Any]]
    run: Callable[[Path, Mapping[str, Any], Tensor], Tensor]


def export_backbone(folder: Path, out: Path, format: str) -> Exported:
    """Write the encoder in ``folder`` as ``out`` and a JSON beside it, once they prove to be equal.

    Parameters
    ----------
    folder
        What pretraining wrote: ``encoder.safetensors`` and ``encoder.json``.
    out
        The file to write; its ending is the format's (``FORMATS[format].suffix``).
    format
        "torchvision" (ResNets), "timm" (our transformers and ``timm:`` backbones), "torch_export"
        or "onnx" (any).

    Returns
    -------
    Both paths and the largest difference found.

    Raises
    ------
    ConfigError
        If the format is unknown or does not suit the backbone, the ending is another, or a library
        is missing.
    ArtifactError
        If there is no encoder, or the exported one gives other features; ``out`` is not written.

    Notes
    -----
    Checked on random images in batches of 1 and 5: the file is loaded from disk and run by
    torchvision, timm, torch or ONNX Runtime.
    """
    if format not in FORMATS:
        near = nearest(format, FORMATS)
        raise ConfigError(f"format must be one of {sorted(FORMATS)}, but is {format!r}{near}")
    kind = FORMATS[format]
    if out.suffix != kind.suffix:
        raise ConfigError(
            f"{format} is written to a {kind.suffix} file, but the name is {out.name!r}; take "
            f"{out.with_suffix(kind.suffix).name!r}"
        )
    encoder = portable_encoder(folder)
    description = _describe(encoder, json.loads((folder / "encoder.json").read_bytes()), format)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=out.parent) as aside:
        draft = Path(aside) / out.name
        description |= kind.write(encoder, description, draft)
        worst = max(_difference(encoder, kind, draft, description, n) for n in CHECKED)
        if not worst <= TOLERANCE:  # NaN is no proof
            raise ArtifactError(
                f"the {format} export should give the encoder's features within {TOLERANCE:g} of "
                f"the largest, but is off by {worst:.2g}; it was not written: export another "
                "format, and report this"
            )
        beside = out.with_name(f"{out.name}.json")
        write_json(beside, description)
        for file in sorted(Path(aside).iterdir(), key=lambda file: file == draft):
            file.replace(out.with_name(file.name))  # the whitening first
    return Exported(out, beside, worst)


def portable_encoder(folder: Path) -> Backbone:
    """Return the encoder in ``folder`` with nothing of ours in it that a graph cannot hold.

    Raises
    ------
    ArtifactError
        If there is no readable encoder.
    """
    encoder = load_encoder(folder).to(memory_format=torch.contiguous_format)
    for module in encoder.modules():
        if isinstance(module, GlobalBatchNorm):
            module.__class__ = nn.BatchNorm2d  # type: ignore[assignment]  # in evaluation the same
        elif isinstance(module, nn.AdaptiveMaxPool2d):
            module.__class__ = _QuarterPool
    return encoder


class _QuarterPool(nn.AdaptiveMaxPool2d):
    """The largest value of each quarter of a map, by windows of one size: ONNX has no others.

    Of an odd number of rows the middle one belongs to both halves, as in adaptive pooling.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, 2, 2) of (B, C, h, w), h and w at least 2."""
        height, width = x.shape[-2:]
        return F.max_pool2d(x, (-(-height // 2), -(-width // 2)), (height // 2, width // 2))


def _describe(encoder: Backbone, settings: Mapping[str, Any], format: str) -> dict[str, Any]:
    height, width = settings["image_size"]
    return {
        "format": format,
        "backbone": settings["backbone"],
        "input": {
            "name": "images",
            "shape": ["batch", encoder.channels, height, width],
            "dtype": "float32",
            "range": [0, 1],
        },
        "output": {"name": "features", "shape": ["batch", encoder.dim], "dtype": "float32"},
        "mean": settings["mean"],
        "std": settings["std"],
    }


@torch.no_grad()
def _difference(
    encoder: Backbone, kind: Format, path: Path, description: Mapping[str, Any], n: int
) -> float:
    generator = torch.Generator().manual_seed(n)
    images = torch.rand(n, *description["input"]["shape"][1:], generator=generator)
    expected = encoder(images)
    came = kind.run(path, description, images)
    if came.shape != expected.shape:
        return float("inf")
    return float((came - expected).abs().max() / expected.abs().max())


# Weights --------------------------------------------------------------------------------------


def _write_torchvision(
    encoder: Backbone, description: dict[str, Any], path: Path
) -> dict[str, Any]:
    name = description["backbone"]
    if name not in FIXED_WIDTHS:
        raise ConfigError(
            f"torchvision has {', '.join(FIXED_WIDTHS)}, but the backbone is {name!r}; export it "
            "as torch_export or onnx"
        )
    write_tensors(path, encoder.body.state_dict())
    # What differs from the stock model, as arguments of nn.Conv2d and whether max-pool stays.
    small = min(description["input"]["shape"][2:]) < SMALL_SIDE
    stem = {"kernel_size": 3, "padding": 1} if small else {"kernel_size": 7, "padding": 3}
    conv1 = {"in_channels": encoder.channels, "out_channels": 64, "bias": False, **stem}
    conv1["stride"] = 1 if small else 2
    return {
        "library": "torchvision",
        "model": name,
        "conv1": conv1,
        "maxpool": not small,
        "fc": False,
        **_outside(encoder, path),
    }


def _run_torchvision(path: Path, description: Mapping[str, Any], images: Tensor) -> Tensor:
    from torchvision.models import get_model

    net = get_model(description["model"])
    net.conv1 = nn.Conv2d(**description["conv1"])
    if not description["maxpool"]:
        net.maxpool = nn.Identity()
    net.fc = nn.Identity()
    return _run_weights(net, path, description, images)


def _write_timm(encoder: Backbone, description: dict[str, Any], path: Path) -> dict[str, Any]:
    name, (height, width) = description["backbone"], description["input"]["shape"][2:]
    body = encoder.body
    if isinstance(body, VisionTransformer):
        write_tensors(path, to_timm(body, height, width))
        model, arguments = "VisionTransformer", timm_arguments(body, height, width)
    elif name.startswith(TIMM):
        write_tensors(path, body.state_dict())
        model = name.removeprefix(TIMM)
        arguments = timm_options(model, encoder.channels, min(height, width))
        if getattr(body, "dynamic_img_size", False):
            arguments["dynamic_img_size"] = True
    else:
        raise ConfigError(
            f"timm's names are for transformers and 'timm:' backbones, but the backbone is "
            f"{name!r}; export ResNets as torchvision and others as torch_export or onnx"
        )
    return {"library": "timm", "model": model, "arguments": arguments, **_outside(encoder, path)}


def _run_timm(path: Path, description: Mapping[str, Any], images: Tensor) -> Tensor:
    timm = import_timm()
    name, arguments = description["model"], description["arguments"]
    if name == "VisionTransformer":
        net = timm.models.vision_transformer.VisionTransformer(**arguments)
        height, width = arguments["img_size"]
        pad = (0, width - images.shape[3], 0, height - images.shape[2])
        images = F.pad(images, pad, mode="replicate")
    else:
        net = timm.create_model(name, **arguments)
    return _run_weights(net, path, description, images)


def _outside(encoder: Backbone, path: Path) -> dict[str, Any]:
    """Write the whitening beside ``path``; return what comes before and after the weights."""
    before = {"before": "(images - mean) / std", "mirrored": encoder.mirrored}
    if isinstance(encoder.whitening, nn.Identity):
        return {**before, "after": ""}
    beside = path.with_suffix(f".whitening{path.suffix}")
    write_tensors(beside, encoder.whitening.state_dict())
    return {**before, "after": "(features - mean) @ transform", "whitening": beside.name}


def _run_weights(
    net: nn.Module, path: Path, description: Mapping[str, Any], images: Tensor
) -> Tensor:
    net.load_state_dict(load_file(path), strict=True)
    mean, std = (torch.tensor(description[name]).view(-1, 1, 1) for name in ("mean", "std"))
    x = (images - mean) / std
    features: Tensor = net.eval()(x)
    if description["mirrored"]:
        features = (features + net(x.flip(3))) / 2
    if "whitening" not in description:
        return features
    white = load_file(path.with_name(description["whitening"]))
    return (features - white["mean"]) @ white["transform"]


# Graphs ---------------------------------------------------------------------------------------

_NAMES = Names("images", "features")


def _graph(name: str) -> Format:
    graph = GRAPHS[name]

    def write(encoder: Backbone, description: dict[str, Any], path: Path) -> dict[str, Any]:
        example = torch.zeros(TRACED, *description["input"]["shape"][1:])
        library = graph.write(encoder, example, _NAMES, path)
        return {"library": library, "before": "inside", "after": "inside"}

    return Format(graph.suffix, write, lambda path, _, images: graph.run(path, _NAMES, images))


FORMATS = {
    "torchvision": Format(".safetensors", _write_torchvision, _run_torchvision),
    "timm": Format(".safetensors", _write_timm, _run_timm),
    **{name: _graph(name) for name in GRAPHS},
}
