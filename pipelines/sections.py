"""The sections of ``weaklight.toml``, one class each: keys, defaults and what they accept.

Try it: ``PretrainConfig(method="simclr", steps=2000)``.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from pipelines.cron import last_due
from weaklight.errors import ConfigError

__all__ = [
    "COLUMN_ROLES",
    "KINDS",
    "NOISY_LABEL",
    "AggregateConfig",
    "BagsConfig",
    "CleanConfig",
    "EmbedConfig",
    "EvaluateConfig",
    "ItemsConfig",
    "Kind",
    "PretrainConfig",
    "ReportConfig",
    "ReviewsConfig",
    "ScheduleConfig",
    "Section",
    "TrainConfig",
    "VoteConfig",
    "matching_columns",
]

Kind = Literal["image", "text", "audio", "series"]
# In the order in which a table is searched: text is the most likely to be metadata of the rest.
KINDS: tuple[Kind, ...] = ("image", "audio", "series", "text")
NOISY_LABEL = "noisy_label"  # the column of items, and the voter that repeats it


class Section(BaseModel):
    """What every section is: no unknown key, no change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def chosen(self, *, leave_out: Collection[str] = ()) -> dict[str, Any]:
        """Return the settings that are not at their defaults: what a key is made of.

        So a key that a later version adds changes no project's keys, nor does a default that is
        written down. Where a default itself changes, the version of its stage is raised.
        """
        return self.model_dump(mode="json", exclude=set(leave_out), exclude_defaults=True)


# What a column of the items may say beside the item itself, by its key under [items].
COLUMN_ROLES = ("item_id", "split", "gold", "bag_id", "bag_label", "noisy_label")


def matching_columns(names: Iterable[str], columns: Iterable[object]) -> tuple[str, ...]:
    """Return the columns of a table that are named, or that a name with ``*`` stands for.

    A name that fits no column stays as it is, for a message to name.

    Examples
    --------
    >>> matching_columns(["f*", "age"], ["id", "f2", "f1"])
    ('f2', 'f1', 'age')
    """
    known = [str(column) for column in columns]
    taken: dict[str, None] = {}
    for name in names:
        fitting = fnmatch.filter(known, name) if "*" in name and name not in known else []
        taken.update(dict.fromkeys(fitting or [name]))
    return tuple(taken)


class ItemsConfig(Section):
    """``[items]``: where the items come from and what their columns are called."""

    source: str
    item_id: str = "item_id"
    # Which column holds the items; at most one is named. Where none is, a table's column of one of
    # these names is taken, and a folder's files say it themselves (.png and so on, .wav, .txt).
    image: str | None = None
    text: str | None = None
    audio: str | None = None
    # or several columns of numbers, whose values in a row are the item: a table of features; "f*"
    # stands for all columns that begin with f, in the table's order
    series: str | tuple[str, ...] | None = None
    split: str = "split"
    gold: str = "gold"
    bag_id: str = "bag_id"
    bag_label: str = "bag_label"
    noisy_label: str = NOISY_LABEL
    # 0 takes the most frequent size of the source, at most 96 px: what a small encoder can use.
    image_size: int = Field(default=0, ge=0, le=512)
    # In hertz; audio of another rate is resampled. 0 takes the rate that all files must then share.
    sample_rate: int = Field(default=0, ge=0)
    # What LFs may read: "auto" measures what suits the kind of items; see docs.
    attributes: Literal["auto", "silhouette", "none"] = "auto"

    @property
    def joins_columns(self) -> bool:
        """Whether several columns of numbers are an item together."""
        return isinstance(self.series, tuple) or "*" in (self.series or "")

    def series_columns(self, columns: Iterable[object]) -> tuple[str, ...]:
        """Return which columns of a table are an item together; none where one column is.

        A pattern such as "s*" never takes a column of another role, such as ``split``.
        """
        if self.series is None or not self.joins_columns:
            return ()
        named = (self.series,) if isinstance(self.series, str) else self.series
        roles = {getattr(self, role) for role in COLUMN_ROLES}.difference(named)
        return tuple(c for c in matching_columns(named, columns) if c not in roles)

    @model_validator(mode="after")
    def _one_kind(self) -> ItemsConfig:
        named = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(named) > 1:
            raise ValueError(
                f"items are of one kind, but {' and '.join(named)} are named; name the column that "
                "holds the items, the others stay metadata"
            )
        if self.attributes == "silhouette" and named not in ([], ["image"]):
            raise ValueError(f"silhouettes are measured on images, not on {named[0]}; leave it out")
        return self


class PretrainConfig(Section):
    """``[pretrain]``: the SSL method and its budget; 0 or "auto" means chosen from the data.

    ``method``: for images a name that ``weaklight methods`` lists; for text ``word2vec``,
    ``tfidf_svd`` or ``sentence_transformers:MODEL``; for audio ``cpc`` or ``log_mel``; for series
    ``summary`` or ``values``. ``init`` and ``flip`` are read for images alone; ``backbone``,
    ``width``, ``options``, ``accumulate`` and ``precision`` for images and by ``cpc``.
    """

    method: str = "auto"
    backbone: str = "auto"
    width: int = Field(default=0, ge=0)  # of the backbone; docs/encoders.md says what it scales
    # Weights to start from: a file (relative to the project), torchvision:NAME or timm:NAME.
    init: str | None = None
    steps: int = Field(default=0, ge=0)
    batch_size: int = Field(default=0, ge=0)
    learning_rate: float = Field(default=0.0, ge=0)
    # What the method alone understands, such as temperature = 0.1; `weaklight methods NAME` lists
    options: dict[str, Any] = Field(default_factory=dict)
    # False where the mirror image is something else, as of digits, letters and road signs
    flip: bool = True
    checkpoint_every: int = Field(default=50, ge=1)
    # Into how many parts a batch is cut that memory has no room for at once
    accumulate: int = Field(default=1, ge=1)
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    devices: int = Field(default=1, ge=1)
    refresh: str = "manual"

    def init_file(self, root: Path) -> Path | None:
        """Return the file that ``init`` names; None where it names a library's weights or nothing.

        ``root`` is the project's folder.
        """
        named = self.init is None or self.init.startswith(("torchvision:", "timm:"))
        return None if named else root / str(self.init)

    @field_validator("refresh")
    @classmethod
    def _known_refresh(cls, value: str) -> str:
        if value == "manual":
            return value
        if value.startswith("growth:"):
            try:
                share = float(value.removeprefix("growth:"))
            except ValueError:
                share = -1.0
            if share > 0:
                return value
            raise ValueError('growth needs a positive share, such as "growth:0.25"')
        try:
            last_due(value, datetime.now(UTC))
        except ConfigError as error:
            raise ValueError(f'expected "manual", "growth:0.25" or a cron line; {error}') from None
        return value


class EmbedConfig(Section):
    """``[embed]``: features of every item and one neighbor graph."""

    neighbors: int = Field(default=15, ge=1, le=200)


class VoteConfig(Section):
    """``[vote]``: how labelling functions are run."""

    folder: str = "lfs"
    time_limit_s: float = Field(default=30.0, gt=0)
    workers: int = Field(default=2, ge=1, le=64)


class BagsConfig(Section):
    """``[bags]``: what a positive bag label means, and how bags vote."""

    positive: str | None = None
    # "items" that share a bag_id, or parts of each item, which then is the bag itself
    instances: Literal["items", "patches", "paragraphs", "windows"] = "items"
    # a patch's side in pixels, 0: half the image's shorter side; a window's values, 0: a quarter of
    # the median item
    size: int = Field(default=0, ge=0)
    # 0: half the size, so that neighbours overlap
    stride: int = Field(default=0, ge=0)
    # attention finds most; noisy_or and top_k respect the standard assumption (docs/bags.md)
    method: Literal[
        "attention", "auto", "dsmil", "embedding", "mi_svm", "noisy_or", "set_kernel", "top_k",
        "transformer",
    ] = "attention"  # fmt: skip
    folds: int = Field(default=5, ge=2, le=20)


class AggregateConfig(Section):
    """``[aggregate]``: which label model; "auto" chooses without gold and says why."""

    # the names in weak_supervision.label_models.MODELS, which a test compares
    model: Literal[
        "auto",
        "majority_vote",
        "weighted_vote",
        "snorkel",
        "dawid_skene",
        "one_coin",
        "triplets",
        "mace",
        "glad",
        "crowdlab",
    ] = "auto"
    # what features make of the votes, see docs/aggregation.md; "on" leaves it to the tool which
    features: Literal["auto", "on", "off", "spread", "filled", "joint"] = "auto"
    # "auto": each label model's own way; else "uniform", "estimated" or a share for each class
    class_balance: Literal["auto", "uniform", "estimated"] | tuple[float, ...] = "auto"
    # a student on the features that joins the voters, or learns the clear cases first
    hybrid: Literal["none", "self_training", "curriculum"] = "none"

    @model_validator(mode="after")
    def _joint_needs_no_model(self) -> AggregateConfig:
        if self.features == "joint" and self.model != "auto":
            raise ValueError(
                f'features = "joint" takes the place of a label model, but model = "{self.model}" '
                "asks for one; leave one of the two out"
            )
        return self

    @model_validator(mode="after")
    def _student_needs_no_classifier_beside_it(self) -> AggregateConfig:
        if self.hybrid == "self_training" and self.model == "crowdlab":
            raise ValueError(
                'hybrid = "self_training" lets a student on the features vote, and model = '
                '"crowdlab" weighs the votes against another; leave one of the two out'
            )
        return self


class CleanConfig(Section):
    """``[clean]``: what happens to labels that the features contradict."""

    action: Literal["drop", "keep"] = "drop"
    folds: int = Field(default=5, ge=2, le=20)
    # more detectors for people to look at; confident learning alone decides what is dropped
    crowdlab: bool = True
    margins: bool = False
    # train only on labels of which at most this share is expected to be wrong; needs gold rows of
    # the calibration split (weaklight gold plan --role calibration)
    max_error: float | None = Field(default=None, gt=0, lt=1)


class TrainConfig(Section):
    """``[train]``: the classifier, and how it learns from labels of which some are wrong.

    0 means chosen: 10 epochs, and learning rates that suit heads and ``finetune``.
    ``auto`` is ``discriminant``, or ``linear`` or an ``mlp`` by ``forward`` if dev is sure of it;
    without dev gold, ``discriminant`` or that ``mlp``, whichever suits the votes; with a strategy,
    ``mlp``.
    ``l2`` is read for the plain linear head alone, ``hidden`` for ``mlp``, ``consistency`` and
    ``device`` for ``finetune``, which trains encoder and head on the pixels of images.
    """

    head: Literal["auto", "linear", "discriminant", "mlp", "finetune"] = "auto"
    # the names in weak_supervision.noise.STRATEGIES, which a test compares
    strategy: Literal[
        "plain", "gce", "sce", "forward", "elr", "co_teaching", "small_loss_mixture"
    ] = "plain"
    balance: Literal["none", "classes"] = "none"
    # share of wrong labels, for co_teaching; estimated on the features where left out
    noise_rate: float | None = Field(default=None, ge=0, lt=1)
    l2: float = Field(default=10.0, ge=0)
    hidden: int = Field(default=512, ge=1)
    epochs: int = Field(default=0, ge=0)
    batch_size: int = Field(default=0, ge=0)
    learning_rate: float = Field(default=0.0, ge=0)
    mixup: float = Field(default=0.0, ge=0)
    ema: float = Field(default=0.0, ge=0, lt=1)
    # epochs without a better dev score before training stops; 0 trains to the end
    patience: int = Field(default=0, ge=0)
    consistency: bool = False
    device: Literal["auto", "cpu", "cuda"] = "auto"

    @property
    def chooses_head(self) -> bool:
        """Whether dev gold decides between the heads."""
        return self.head == "auto" and self.strategy == "plain"

    @model_validator(mode="after")
    def _goes_together(self) -> TrainConfig:
        if self.head == "discriminant" and self.strategy != "plain":
            raise ValueError(
                f'strategy = "{self.strategy}" trains by steps, which a discriminant has none of; '
                'take head = "linear" or "mlp"'
            )
        if self.consistency and self.head != "finetune":
            raise ValueError(
                f'consistency compares views of pixels, which head = "{self.head}" never sees; '
                'set head = "finetune"'
            )
        if self.noise_rate is not None and self.strategy != "co_teaching":
            raise ValueError(
                f'noise_rate would change nothing: strategy = "{self.strategy}" asks for no rate; '
                'leave it out or take strategy = "co_teaching"'
            )
        if self.strategy in ("elr", "co_teaching") and self.mixup:
            raise ValueError(
                f'mixup mixes rows, and strategy = "{self.strategy}" looks at single ones; leave '
                "one of the two out"
            )
        steps = ("epochs", "batch_size", "learning_rate", "mixup", "ema", "patience")
        stated = [name for name in steps if getattr(self, name)]
        is_solved = self.head in ("auto", "linear", "discriminant") and self.strategy == "plain"
        if stated and is_solved:
            raise ValueError(
                f'{" and ".join(stated)} would change nothing: head = "{self.head}" with '
                'strategy = "plain" is solved exactly, without epochs; take another of either'
            )
        return self


class EvaluateConfig(Section):
    """``[evaluate]``: the honest numbers."""

    crossover_sizes: tuple[int, ...] = (20, 50, 100, 200, 350, 500)
    crossover_draws: int = Field(default=5, ge=1)
    knn: int = Field(default=5, ge=1)
    # metadata columns whose values are judged apart; every column with few values where left out
    slices: tuple[str, ...] | None = None
    # metadata column with the chance of each gold row to be drawn, where that was not the same for
    # all: every figure of test then counts each row by its inverse
    probability: str | None = None


class ReportConfig(Section):
    """``[report]``: the page."""

    title: str = ""
    pictures: int = Field(default=24, ge=0, le=200)


class ReviewsConfig(Section):
    """``[reviews]``: where reviews are kept, where that is no file of the project."""

    # postgresql+psycopg://USER@HOST/DATABASE, a database of its own for each project
    url: str | None = None

    @model_validator(mode="after")
    def _names_a_database_and_no_password(self) -> ReviewsConfig:
        if self.url is None:
            return self
        parts = urlsplit(self.url)
        if parts.password is not None or "password" in parse_qs(parts.query):
            raise ValueError(
                "url holds a password, and weaklight.toml is a file to share; keep it in ~/.pgpass "
                "or in the environment variable PGPASSWORD"
            )
        if parts.scheme.partition("+")[0] != "postgresql":
            raise ValueError(
                'url must be like "postgresql+psycopg://USER@HOST/DATABASE"; leave it out to keep '
                "reviews in a file of the project"
            )
        return self


class ScheduleConfig(Section):
    """``[schedule]``: when ``weaklight serve`` runs the whole line."""

    cron: str | None = None
    timezone: str = "UTC"
    # For trials and tests: an interval instead of a cron line.
    every_s: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _one_of(self) -> ScheduleConfig:
        if self.cron is not None and self.every_s is not None:
            raise ValueError("give either cron or every_s, not both")
        return self

    @model_validator(mode="after")
    def _is_due_some_day(self) -> ScheduleConfig:
        try:
            last_due(self.cron or "* * * * *", datetime.now(UTC), self.timezone)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(
                f"timezone must be a name such as Europe/Berlin, but is {self.timezone!r}"
            ) from None
        return self
