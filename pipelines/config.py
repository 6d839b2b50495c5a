"""The settings of a project: one ``weaklight.toml``, validated, every unknown key an error.

Try it: ``load_config("demo/weaklight.toml")``.
"""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from weaklight.contracts import ClassSet
from weaklight.errors import ConfigError

__all__ = [
    "KINDS",
    "AggregateConfig",
    "BagsConfig",
    "CleanConfig",
    "Config",
    "EmbedConfig",
    "EvaluateConfig",
    "ItemsConfig",
    "Kind",
    "PretrainConfig",
    "ReportConfig",
    "ScheduleConfig",
    "TrainConfig",
    "VoteConfig",
    "load_config",
    "parse_config",
]

CONFIG_NAME = "weaklight.toml"

Kind = Literal["image", "text", "audio", "series"]
# In the order in which a table is searched: text is the most likely to be metadata of the rest.
KINDS: tuple[Kind, ...] = ("image", "audio", "series", "text")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ItemsConfig(_Section):
    """``[items]``: where the items come from and what their columns are called."""

    source: str
    item_id: str = "item_id"
    # Which column holds the items; at most one is named. Where none is, a table's column of one of
    # these names is taken, and a folder's files say it themselves (.png and so on, .wav, .txt).
    image: str | None = None
    text: str | None = None
    audio: str | None = None
    series: str | None = None
    split: str = "split"
    gold: str = "gold"
    bag_id: str = "bag_id"
    bag_label: str = "bag_label"
    noisy_label: str = "noisy_label"
    # 0 takes the most frequent size of the source, at most 96 px: what a small encoder can use.
    image_size: int = Field(default=0, ge=0, le=512)
    # In hertz; audio of another rate is resampled. 0 takes the rate that all files must then share.
    sample_rate: int = Field(default=0, ge=0)
    # What LFs may read: "auto" measures what suits the kind of items; see docs.
    attributes: Literal["auto", "silhouette", "none"] = "auto"

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


class PretrainConfig(_Section):
    """``[pretrain]``: the SSL method and its budget; 0 or "auto" means chosen from the data.

    ``method``: for images a name that ``weaklight methods`` lists; for text ``word2vec``,
    ``tfidf_svd`` or ``sentence_transformers:MODEL``; for audio ``cpc`` or ``log_mel``; for series
    ``summary``. ``backbone``, ``init`` and ``temperature`` are read for images alone.
    """

    method: str = "auto"
    backbone: str = "auto"
    # Weights to start from: a file (relative to the project), torchvision:NAME or timm:NAME.
    init: str | None = None
    steps: int = Field(default=0, ge=0)
    batch_size: int = Field(default=0, ge=0)
    learning_rate: float = Field(default=0.0, ge=0)
    temperature: float = Field(default=0.0, ge=0)
    checkpoint_every: int = Field(default=50, ge=1)
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
        if len(value.split()) == 5:
            return value
        raise ValueError('expected "manual", "growth:0.25" or a cron line of five fields')


class EmbedConfig(_Section):
    """``[embed]``: features of every item and one neighbor graph."""

    neighbors: int = Field(default=15, ge=1, le=200)


class VoteConfig(_Section):
    """``[vote]``: how labelling functions are run."""

    folder: str = "lfs"
    time_limit_s: float = Field(default=30.0, gt=0)
    workers: int = Field(default=2, ge=1, le=64)


class BagsConfig(_Section):
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


class AggregateConfig(_Section):
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
    features: Literal["auto", "on", "off"] = "auto"
    # "auto": each label model's own way; else "uniform", "estimated" or a share for each class
    class_balance: Literal["auto", "uniform", "estimated"] | tuple[float, ...] = "auto"
    # a student on the features that joins the voters, or learns the clear cases first
    hybrid: Literal["none", "self_training", "curriculum"] = "none"


class CleanConfig(_Section):
    """``[clean]``: what happens to labels that the features contradict."""

    action: Literal["drop", "keep"] = "drop"
    folds: int = Field(default=5, ge=2, le=20)
    # more detectors for people to look at; confident learning alone decides what is dropped
    crowdlab: bool = True
    margins: bool = False
    # train only on labels of which at most this share is expected to be wrong; needs gold rows of
    # the calibration split (weaklight gold plan --role calibration)
    max_error: float | None = Field(default=None, gt=0, lt=1)


class TrainConfig(_Section):
    """``[train]``: the classifier, and how it learns from labels of which some are wrong.

    0 means chosen: 10 epochs, and learning rates that suit heads and ``finetune``.
    ``auto`` is the best on dev of ``linear``, ``discriminant`` and an ``mlp`` by ``elr``; without
    dev gold, the one of the last two that suits the votes; with a strategy, ``mlp``.
    ``l2`` is read for the plain linear head alone, ``hidden`` for ``mlp``, ``consistency`` and
    ``device`` for ``finetune``, which trains encoder and head on the pixels of images.
    """

    head: Literal["auto", "linear", "discriminant", "mlp", "finetune"] = "auto"
    # the names in weak_supervision.noise.STRATEGIES, which a test compares
    strategy: Literal[
        "plain", "gce", "sce", "forward", "elr", "co_teaching", "small_loss_mixture"
    ] = "plain"
    balance: Literal["none", "classes"] = "none"
    # share of wrong labels; estimated on the features where a strategy needs it
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
        """Whether dev gold decides between the closed-form heads."""
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
        steps = ("epochs", "batch_size", "learning_rate", "mixup", "ema", "patience")
        stated = [name for name in steps if getattr(self, name)]
        is_solved = self.head in ("auto", "linear", "discriminant") and self.strategy == "plain"
        if stated and is_solved:
            raise ValueError(
                f'{" and ".join(stated)} would change nothing: head = "{self.head}" with '
                'strategy = "plain" is solved exactly, without epochs; take another of either'
            )
        return self


class EvaluateConfig(_Section):
    """``[evaluate]``: the honest numbers."""

    crossover_sizes: tuple[int, ...] = (20, 50, 100, 200, 350, 500)
    crossover_draws: int = Field(default=5, ge=1)
    knn: int = Field(default=5, ge=1)
    # metadata columns whose values are judged apart; every column with few values where left out
    slices: tuple[str, ...] | None = None


class ReportConfig(_Section):
    """``[report]``: the page."""

    title: str = ""
    pictures: int = Field(default=24, ge=0, le=200)


class ScheduleConfig(_Section):
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


class Config(_Section):
    """A whole ``weaklight.toml``."""

    classes: tuple[str, ...]
    seed: int = Field(default=0, ge=0)
    threads: int = Field(default=2, ge=1)
    class_sets: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    items: ItemsConfig
    pretrain: PretrainConfig = PretrainConfig()
    embed: EmbedConfig = EmbedConfig()
    vote: VoteConfig = VoteConfig()
    bags: BagsConfig = BagsConfig()
    aggregate: AggregateConfig = AggregateConfig()
    clean: CleanConfig = CleanConfig()
    train: TrainConfig = TrainConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    report: ReportConfig = ReportConfig()
    schedule: ScheduleConfig = ScheduleConfig()

    @model_validator(mode="after")
    def _balance_fits(self) -> Config:
        balance = self.aggregate.class_balance
        if not isinstance(balance, str) and (
            len(balance) != len(self.classes) or min(balance) < 0 or sum(balance) <= 0
        ):
            raise ValueError(
                f"aggregate.class_balance must be a word or a share for each of "
                f"{len(self.classes)} classes, none negative, but is {list(balance)}"
            )
        return self

    @model_validator(mode="after")
    def _names_agree(self) -> Config:
        if len(self.classes) < 2:
            raise ValueError(f"classes must name at least two, but has {list(self.classes)}")
        doubles = sorted({c for c in self.classes if self.classes.count(c) > 1})
        if doubles:
            raise ValueError(f"classes must be distinct, but {doubles} came twice")
        for name, members in self.class_sets.items():
            if name in self.classes:
                raise ValueError(f"class_sets.{name} has the name of a class; choose another")
            unknown = [m for m in members if m not in self.classes]
            if unknown or not members:
                raise ValueError(f"class_sets.{name} must list known classes, but has {unknown}")
        positive = self.bags.positive
        if positive is not None and positive not in (*self.classes, *self.class_sets):
            raise ValueError(
                f"bags.positive must be a class or a class set, but is {positive!r}; "
                f"known: {[*self.classes, *self.class_sets]}"
            )
        if positive is None and self.bags.instances != "items":
            raise ValueError(
                f'bags.instances = "{self.bags.instances}" asks which part of an item makes it '
                "what it is, but bags.positive does not say what; name a class or a class set"
            )
        return self

    @property
    def vote_sets(self) -> tuple[ClassSet, ...]:
        """The class sets that votes may name, in vote order.

        Those of ``[class_sets]``, then what bag labels need: the positive set when it is a single
        class has no set of its own, and the complement ("not footwear") is always one.
        """
        sets = [
            ClassSet(name, tuple(self.classes.index(m) for m in members))
            for name, members in self.class_sets.items()
        ]
        positive = self.bags.positive
        if positive is not None:
            inside = self.class_sets.get(positive, (positive,))
            rest = tuple(i for i, c in enumerate(self.classes) if c not in inside)
            if len(rest) > 1:
                sets.append(ClassSet(f"not {positive}", rest))
        return tuple(sets)

    def vote_value(self, name: str) -> int:
        """Return the vote value of a class or class set by name.

        Raises
        ------
        ConfigError
            If no class or class set has this name.
        """
        names = [*self.classes, *(s.name for s in self.vote_sets)]
        if name not in names:
            raise ConfigError(f"no class or class set is called {name!r}; known: {names}")
        return names.index(name)


def parse_config(data: dict[str, Any], where: str = CONFIG_NAME) -> Config:
    """Validate settings already read from TOML.

    Raises
    ------
    ConfigError
        Naming every wrong key, what was expected and, for an unknown key, the nearest known one.
    """
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        lines = [_explain(problem) for problem in error.errors()]
        raise ConfigError(f"{where} is not valid:\n" + "\n".join(f"  {x}" for x in lines)) from None


def load_config(path: Path | str) -> Config:
    """Read and validate ``weaklight.toml``.

    Raises
    ------
    ConfigError
        If the file is missing, is not TOML, or breaks the rules of a section.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(
            f"expected a settings file at {path}, but there is none; "
            "run `weaklight init` there or pass --project"
        )
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}; fix that line") from None
    return parse_config(data, str(path))


def _explain(problem: Any) -> str:
    location = [str(part) for part in problem["loc"]]
    where = ".".join(location) or "the file"
    if problem["type"] == "extra_forbidden":
        known = _known_keys(location[:-1])
        near = difflib.get_close_matches(location[-1], known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(sorted(known))}"
        return f"{where}: unknown key; {hint}"
    if problem["type"] == "missing":
        return f"{where}: is required but missing"
    message = problem["msg"].removeprefix("Value error, ")
    given = problem.get("input")
    came = f" (came: {given!r})" if isinstance(given, (str, int, float, bool)) else ""
    return f"{where}: {message}{came}"


def _known_keys(section: list[str]) -> list[str]:
    model: type[BaseModel] = Config
    for part in section:
        field = model.model_fields.get(part)
        if field is None:
            return []
        candidates = [field.annotation, *get_args(field.annotation)]
        nested = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
        if not nested:
            return []
        model = nested[0]
    return list(model.model_fields)
