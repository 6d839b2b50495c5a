"""The text encoders by name, and reading one back from disk."""

from __future__ import annotations

import json
from pathlib import Path

from ssl_models.text.encoder import TextEncoder
from ssl_models.text.sentences import SentenceEncoder
from ssl_models.text.tfidf import TfidfSVD
from ssl_models.text.word2vec import Word2Vec
from weaklight.errors import ArtifactError

__all__ = ["TEXT_ENCODERS", "load_text_encoder"]

TEXT_ENCODERS: dict[str, type[Word2Vec] | type[TfidfSVD] | type[SentenceEncoder]] = {
    c.name: c for c in (Word2Vec, TfidfSVD, SentenceEncoder)
}


def load_text_encoder(folder: Path, root: Path = Path()) -> TextEncoder:
    """Return the text encoder in ``folder``.

    Parameters
    ----------
    root
        Where a model of sentence-transformers that is named by a relative folder lies.

    Raises
    ------
    ArtifactError
        If there is none, or a file is damaged.
    """
    try:
        name = json.loads((folder / "encoder.json").read_bytes())["backbone"]
        kind = TEXT_ENCODERS[name]
    except (OSError, ValueError, KeyError) as error:
        raise ArtifactError(
            f"{folder} holds no text encoder ({type(error).__name__}: {error}); run the pretrain "
            "stage again"
        ) from error
    if kind is SentenceEncoder:
        return SentenceEncoder.load(folder, root)
    return kind.load(folder)
