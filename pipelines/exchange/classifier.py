"""A trained classifier for other programs, with a model card.

Try it: ``weaklight export classifier --to classifier --project demo``.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipelines.exchange.folders import new_folder
from pipelines.exchange.model_card import write_model_card
from pipelines.pixels import Pixels
from pipelines.predict import classifier_of, encoder_of
from pipelines.project import Project
from pipelines.queries import RunView
from ssl_models.export import portable_encoder
from ssl_models.graphs import CHECKED, GRAPHS, TRACED, Names
from weak_supervision.classifiers import load_head
from weak_supervision.classifiers.module import as_module
from weaklight.errors import ArtifactError, DataError

__all__ = ["export_classifier"]

# Of the largest logarithm of a probability: where a classifier is sure, probabilities are 0 and 1
# whatever is wrong with it. Two runtimes' fp32 kernels differ by some 1e-5, a wrong weight by more.
TOLERANCE = 1e-3
LEAST_PROBABILITY = 1e-37  # the least normal number in fp32


class _OnPixels(nn.Module):
    """Encoder and head: (B, C, H, W) floats in 0..1 -> (B, K) probabilities."""

    def __init__(self, encoder: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head

    def forward(self, images: Tensor) -> Tensor:
        probabilities: Tensor = self.head(self.encoder(images))
        return probabilities


def export_classifier(project: Project, folder: Path) -> dict[str, Any]:
    """Write the classifier of the latest run that trained one into a new folder.

    Parameters
    ----------
    project
        The opened project.
    folder
        Appears whole or not at all: ``classifier.pt2`` and ``classifier.onnx`` (for images from
        pixels in 0..1, for other kinds from the encoder's features), ``head/``, ``encoder/``,
        ``README.md`` and ``card.json``.

    Returns
    -------
    The model card.

    Raises
    ------
    ArtifactError
        If nothing is trained yet, or an exported file gives other probabilities than the run did.
    ConfigError
        If the folder is not empty or a library is missing.

    Notes
    -----
    Each file is loaded from disk and run, in batches of 1 and 5, on items of the run by torch and
    by ONNX Runtime; its probabilities must be those that the run stored, compared by their
    logarithms, which show an error even where the classifier is sure.
    """
    run = classifier_of(project)
    view = RunView(project, run)
    head = load_head(project.store.path("train", run.artifacts["train"], "head"))
    encoder = encoder_of(project, run)
    module, given, expected = _module(view, encoder, as_module(head))
    names = Names("images" if given.ndim == 4 else "features", "probabilities")
    checks: dict[str, Any] = {}
    with new_folder(folder) as fresh:
        for name, graph in GRAPHS.items():
            file = fresh / f"classifier{graph.suffix}"
            example = torch.zeros(TRACED, *given.shape[1:])
            library = graph.write(module, example, names, file)
            worst = 0.0
            for n in CHECKED:
                came = graph.run(file, names, given[:n]).numpy()
                worst = max(worst, _difference(came, expected[:n]))
            if not worst <= TOLERANCE:  # NaN is no proof
                raise ArtifactError(
                    f"the {name} export should give the run's log-probabilities within "
                    f"{TOLERANCE:g} of the largest, but is off by {worst:.2g}; nothing was "
                    "written: report this"
                )
            checks[file.name] = {"library": library, "largest_difference": worst}
        head.save(fresh / "head")
        shutil.copytree(encoder, fresh / "encoder")
        return write_model_card(view, head, names, given.shape[1:], checks, fresh)


def _difference(came: NDArray[np.floating], expected: NDArray[np.floating]) -> float:
    """Return the largest difference of log-probabilities, as a share of the largest of them."""
    if came.shape != expected.shape:
        return float("inf")
    one, two = (
        np.log(np.maximum(p.astype(np.float64), LEAST_PROBABILITY)) for p in (came, expected)
    )
    return float(np.abs(one - two).max() / np.abs(two).max())


def _module(
    view: RunView, folder: Path, head: nn.Module
) -> tuple[nn.Module, Tensor, NDArray[np.float32]]:
    """Return the module, items of the run as it takes them, and the run's probabilities of them."""
    probabilities = view.probabilities
    features, present = (view.path("embed", name) for name in ("features", "present"))
    assert probabilities is not None and features is not None and present is not None
    usable = np.flatnonzero(np.load(present, allow_pickle=False))
    if len(usable) < max(CHECKED):
        raise DataError(
            f"an export is checked on {max(CHECKED)} items with features, but the run has "
            f"{len(usable)}"
        )
    rows = usable[np.linspace(0, len(usable) - 1, max(CHECKED)).astype(int)]  # from all over
    if not isinstance(view.payload, Pixels):
        some = np.array(np.load(features, mmap_mode="r", allow_pickle=False)[rows])
        return head, torch.from_numpy(some), probabilities[rows]
    images = torch.from_numpy(view.payload[rows]).permute(0, 3, 1, 2).float().div(255)
    module = _OnPixels(portable_encoder(folder), head).eval()
    return module, images.contiguous(), probabilities[rows]
