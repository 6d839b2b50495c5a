"""Which encoder suits which kind of items: choosing, training and using it.

Images have their own long list of methods; see :mod:`pipelines.stages.pretrain`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from pipelines.payload import Payload, Texts
from pipelines.pixels import Pixels
from pipelines.sections import Kind, PretrainConfig
from pipelines.signals import Signals
from pipelines.stages.base import Work
from ssl_models import METHODS
from ssl_models.audio import (
    AudioCPC,
    embed_audio,
    load_audio_encoder,
    pretrain_audio,
    suggest_audio,
)
from ssl_models.audio.suggest import FROM_CLIPS
from ssl_models.checkpoints import write_json
from ssl_models.embed import embed as embed_images
from ssl_models.embed import load_encoder
from ssl_models.methods import MethodOption, method_options, options_of
from ssl_models.statistics import STATISTICS, StatisticsEncoder
from ssl_models.text import (
    TEXT_ENCODERS,
    SentenceEncoder,
    TfidfSVD,
    Word2Vec,
    load_text_encoder,
    words,
)
from weaklight.errors import ConfigError
from weaklight.progress import Progress
from weaklight.words import nearest

__all__ = [
    "BASELINES",
    "METHODS_OF",
    "baseline_features",
    "beyond_defaults",
    "checked_options",
    "choose_method",
    "embedder",
    "fit_encoder",
    "stated_settings",
]

# Fewer running words say too little about each word: then counting words does better.
LEAST_WORDS = 20_000
# What `[pretrain] method` may say, beside auto.
METHODS_OF: dict[Kind, list[str]] = {
    "image": sorted(METHODS),
    "text": ["word2vec", "tfidf_svd", "sentence_transformers:MODEL"],
    "audio": ["cpc", "log_mel"],
    "series": ["summary", "values"],
}
# The plain features of each kind, which an encoder must beat: (key, in words).
BASELINES: dict[Kind, tuple[str, str]] = {
    "image": ("pixels", "raw pixels"),
    "text": ("tfidf", "TF-IDF"),
    "audio": ("log_mel", "log-mel statistics"),
    "series": ("summary", "summary statistics"),
}


def choose_method(
    config: PretrainConfig, kind: Kind, n_words: int = 0, *, are_rows: bool = False
) -> tuple[str, list[str]]:
    """Return the method and, where ``[pretrain]`` leaves it open, why it was chosen.

    Parameters
    ----------
    n_words
        Running words of the unlabelled texts.
    are_rows
        Whether series are rows of a table.

    Raises
    ------
    ConfigError
        If the stated method is not one for this kind of items.
    """
    known = METHODS_OF[kind]
    method = config.method
    if method != "auto":
        name, colon, model = method.partition(":")
        if f"{name}:MODEL" in known if colon else name in known:
            if not colon or model:
                return method, []
        raise ConfigError(
            f"[pretrain] method must be one of {known} for {kind} items, but is {method!r}"
            f"{nearest(method.lower(), known)}"
        )
    if kind == "image":
        return "simclr", []
    if kind == "audio":
        return "log_mel", ["log_mel: takes seconds and is strong on short clips; cpc trains."]
    if are_rows:
        return "values", [
            "values: the columns of a table are in no order that could mean anything."
        ]
    if kind == "series":
        return "summary", ["summary: level, shape and rhythm of each series."]
    if n_words >= LEAST_WORDS:
        return "word2vec", [f"word2vec: {n_words:,} running words are enough to learn words from."]
    return "tfidf_svd", [
        f"tfidf_svd: {n_words:,} running words; word2vec wants {LEAST_WORDS:,}.",
    ]


def beyond_defaults(method: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``[pretrain.options]`` less those that the method has where nothing is said.

    What is no option, or no value of it, is kept: :func:`checked_options` refuses it.
    """
    known: dict[str, MethodOption] = {}
    name = "simclr" if method == "auto" else method  # no other that is chosen has options
    if name in METHODS:
        known |= method_options(name)
    if name == "cpc":  # has none of the same name for clips and for images
        known |= {k: o for k, o in options_of(AudioCPC).items() if k not in FROM_CLIPS}

    def is_said_anyway(name: str, value: Any) -> bool:
        if name not in known:
            return False
        try:
            taken = TypeAdapter(known[name].type).validate_python(value)
        except ValidationError:
            return False
        return bool(taken == known[name].default)

    return {name: value for name, value in options.items() if not is_said_anyway(name, value)}


def checked_options(kind: Kind, method: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``[pretrain.options]`` as this method for such items takes them, say 1 as 1.0.

    Raises
    ------
    ConfigError
        If the method has no such option, or one is of another type.
    """
    known: Mapping[str, MethodOption] = {}
    if kind == "image":
        known = method_options(method)
    elif method == "cpc":
        known = options_of(AudioCPC)
    checked: dict[str, Any] = {}
    for name, value in options.items():
        if name not in known:
            raise ConfigError(
                f"[pretrain.options] {name}: {method} has no such option{nearest(name, known)}; it "
                f"takes {', '.join(sorted(known)) or 'none'}"
            )
        try:
            checked[name] = TypeAdapter(known[name].type).validate_python(value)
        except ValidationError as error:
            problem = error.errors()[0]["msg"]
            raise ConfigError(
                f"[pretrain.options] {name}: {problem}, but is {value!r}; {method} has "
                f"{known[name].default!r} where nothing is said"
            ) from None
    return checked


def stated_settings(config: PretrainConfig, seed: int) -> dict[str, Any]:
    """Return what ``[pretrain]`` states, whatever learns, by the names of ``TrainConfig``."""
    stated: dict[str, Any] = {
        "seed": seed,
        "device": config.device,
        "checkpoint_every": config.checkpoint_every,
        "accumulate": config.accumulate,
        "precision": config.precision,
    }
    left_open = {
        "batch_size": config.batch_size,
        "lr": config.learning_rate,
        "width": config.width,
    }
    return stated | {name: value for name, value in left_open.items() if value}


def fit_encoder(
    items: Texts | Signals, rows: NDArray[np.intp], config: PretrainConfig, work: Work, out: Path
) -> tuple[dict[str, Any], list[str]]:
    """Train the encoder of texts, clips or series on these rows and write it to ``out``.

    Returns
    -------
    Metrics with ``verdict``, one sentence on what was learnt; and the reasons for what was chosen.
    """
    examples: Sequence[Any] = items.take(rows)
    n_words = sum(len(words(t)) for t in examples) if isinstance(items, Texts) else 0
    are_rows = isinstance(items, Signals) and items.are_rows
    method, reasons = choose_method(config, items.kind, n_words, are_rows=are_rows)
    options = checked_options(items.kind, method, config.options)
    if method == "cpc":
        assert isinstance(items, Signals)
        return _train_cpc(examples, items.sample_rate, options, config, work, out)
    work.progress(0, 1, f"training {method}")
    encoder = _new(method, items, work).fit(examples)
    encoder.save(out)
    verdict = encoder.describe()
    write_json(out / "history.json", {"steps": [], "verdict": verdict})
    return {"method": method, "verdict": verdict}, reasons


def embedder(folder: Path, root: Path) -> Callable[[Any], NDArray[np.float32]]:
    """Return a function from items to their (n, d) features.

    Parameters
    ----------
    folder
        The encoder, of any kind: of (n, H, W, C) uint8 images, of texts, of clips each (T,) int16,
        or of series each (T, C) float32.
    root
        The project's folder.
    """
    description = json.loads((folder / "encoder.json").read_bytes())
    backbone = description["backbone"]
    if "context_dim" in description:  # CPC's, whose front may be called log_mel as well
        return partial(embed_audio, load_audio_encoder(folder))
    if backbone in TEXT_ENCODERS:
        return load_text_encoder(folder, root).encode
    if backbone in STATISTICS:
        return StatisticsEncoder.load(folder).encode
    return partial(embed_images, load_encoder(folder))


def baseline_features(
    items: Payload, learn: NDArray[np.intp], *wanted: NDArray[np.intp], seed: int
) -> list[NDArray[np.float32]]:
    """Return the plain features of ``BASELINES`` for each set of rows.

    Parameters
    ----------
    learn
        Rows whose words or scales are learnt; images need none.
    """
    if isinstance(items, Pixels):
        return [
            items[rows].reshape(len(rows), -1).astype(np.float32) / np.float32(255)
            for rows in wanted
        ]
    if isinstance(items, Texts):
        encoder = TfidfSVD(seed=seed).fit(items.take(learn))
        return [encoder.encode(items.take(rows)) for rows in wanted]
    statistics = StatisticsEncoder(BASELINES[items.kind][0], sample_rate=items.sample_rate)
    statistics.fit(items.take(learn))
    return [statistics.encode(items.take(rows)) for rows in wanted]


def _new(method: str, items: Texts | Signals, work: Work) -> Any:
    name, _, model = method.partition(":")
    if isinstance(items, Signals):
        return StatisticsEncoder(name, sample_rate=items.sample_rate)
    if model:
        return SentenceEncoder(model=model, root=work.project_root)
    return (Word2Vec if name == "word2vec" else TfidfSVD)(seed=work.seed)


def _train_cpc(
    clips: Sequence[Any],
    sample_rate: int,
    options: Mapping[str, Any],
    config: PretrainConfig,
    work: Work,
    out: Path,
) -> tuple[dict[str, Any], list[str]]:
    settings, reasons = suggest_audio(
        clips, sample_rate, None if config.backbone == "auto" else config.backbone
    )
    named = {*options, *({"epochs"} if config.steps else ())}
    reasons = [reason for reason in reasons if reason.split(" = ")[0] not in named]
    settings = replace(
        settings,
        **stated_settings(config, work.seed),
        steps=config.steps or None,
        method_options={**settings.method_options, **options},
    )
    progress: Progress = work.progress
    return pretrain_audio(clips, settings, out, work.scratch, progress), reasons
