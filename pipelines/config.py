"""The settings of a project: one ``weaklight.toml``, validated, every unknown key an error.

Try it: ``load_config("demo/weaklight.toml")``.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, Field, ValidationError, model_validator

from pipelines.sections import (
    AggregateConfig,
    BagsConfig,
    CleanConfig,
    EmbedConfig,
    EvaluateConfig,
    ItemsConfig,
    PretrainConfig,
    ReportConfig,
    ReviewsConfig,
    ScheduleConfig,
    Section,
    TrainConfig,
    VoteConfig,
)
from weaklight.contracts import ClassSet
from weaklight.errors import ConfigError
from weaklight.words import nearest

__all__ = [
    "Config",
    "load_config",
    "parse_config",
]

CONFIG_NAME = "weaklight.toml"


class Config(Section):
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
    reviews: ReviewsConfig = ReviewsConfig()
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
                near = nearest(unknown[0], self.classes) if unknown else ""
                raise ValueError(
                    f"class_sets.{name} must list known classes, but has {unknown}{near}"
                )
        positive, known = self.bags.positive, [*self.classes, *self.class_sets]
        if positive is not None and positive not in known:
            raise ValueError(
                f"bags.positive must be a class or a class set, but is {positive!r}; "
                f"known: {known}{nearest(positive, known)}"
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
            near = nearest(name, names)
            raise ConfigError(f"no class or class set is called {name!r}; known: {names}{near}")
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


def _where_else(path: Path) -> str:
    """Say what to do in a folder that is no project: name the one around it, or one inside it."""
    folder = path.absolute().parent
    around = [f for f in folder.parents if (f / path.name).is_file()]
    inside = sorted(p.parent for p in folder.glob(f"*/{path.name}")) if folder.is_dir() else []
    if not (near := (*around, *inside)):
        return "run `weaklight init` there or pass --project"
    return f"pass --project {near[0]}, which holds one, or run `weaklight init` there"


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
            f"expected a settings file at {path}, but there is none; {_where_else(path)}"
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
        if len(location) > 1 and location[-1] in Config.model_fields:
            return f"{where}: {location[-1]} belongs at the top of the file, above every [section]"
        known = _known_keys(location[:-1])
        hint = nearest(location[-1], known) or f"; known keys: {', '.join(sorted(known))}"
        return f"{where}: unknown key{hint}"
    if problem["type"] == "missing":
        return f"{where}: is required but missing"
    message = problem["msg"].removeprefix("Value error, ")
    given = problem.get("input")
    came = f" (came: {given!r})" if isinstance(given, (str, int, float, bool)) else ""
    if problem["type"] == "literal_error" and isinstance(given, str):
        came += nearest(given.lower(), re.findall("'([^']+)'", problem["ctx"]["expected"]))
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
