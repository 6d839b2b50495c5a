"""The line as data: each stage's name, version, function, inputs and settings, none imported.

The planner reads this table to compute keys; a fully cached run imports no stage at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from weaklight.errors import ConfigError
from weaklight.words import nearest

__all__ = ["STAGES", "StageSpec", "needed_for", "spec_of"]


@dataclass(frozen=True)
class StageSpec:
    """One stage of the line.

    Attributes
    ----------
    name : the stage's name, also the folder of its artifacts
    version : raised whenever the same inputs would give other outputs, as when a default of its
        section changes, for keys hold no defaults
    function : ``module:function``, imported only when the stage runs
    inputs : field of the stage's inputs dataclass -> ``"stage.output"``
    optional : the same for outputs that may be missing, such as pixels where items are no images;
        such a field is None then
    section : the section of ``weaklight.toml`` that the stage takes, None for none
    uses_classes : whether the list of classes is part of the stage's key
    fingerprint : name of the function in :mod:`pipelines.fingerprints` that digests what the stage
        reads besides its inputs: the source, the LF files, the human labels
    """

    name: str
    version: int
    function: str
    inputs: Mapping[str, str]
    section: str | None = None
    uses_classes: bool = True
    fingerprint: str | None = None
    optional: Mapping[str, str] = field(default_factory=dict)

    @property
    def upstream(self) -> tuple[str, ...]:
        """The stages whose outputs this one reads, in order of first use."""
        return tuple(
            dict.fromkeys(
                ref.split(".")[0] for ref in (*self.inputs.values(), *self.optional.values())
            )
        )


_PAYLOAD = {"pixels": "ingest.pixels", "signals": "ingest.signals"}

STAGES: tuple[StageSpec, ...] = (
    StageSpec("ingest", 14, "pipelines.stages.ingest:ingest", {}, "items", fingerprint="source"),
    StageSpec(
        "reviews",
        5,
        "pipelines.stages.reviews:reviews",
        {"items": "ingest.items", "labeled": "ingest.labeled"},
        fingerprint="human_labels",
    ),
    StageSpec(
        "vote",
        4,
        "pipelines.stages.vote:vote",
        {"items": "ingest.items", "attributes": "ingest.attributes"},
        "vote",
        fingerprint="lf_files",
        optional={
            "features": "embed.features",
            "present": "embed.present",
            "encoder": "pretrain.encoder",
        },
    ),
    StageSpec(
        "pretrain",
        10,
        "pipelines.stages.pretrain:pretrain",
        {"items": "ingest.items"},
        "pretrain",
        optional=_PAYLOAD,
        fingerprint="starting_weights",
        uses_classes=False,
    ),
    StageSpec(
        "embed",
        3,
        "pipelines.stages.embed:embed",
        {"items": "ingest.items", "encoder": "pretrain.encoder"},
        "embed",
        optional=_PAYLOAD,
        uses_classes=False,
    ),
    StageSpec(
        "bags",
        4,
        "pipelines.stages.bags:bags",
        {
            "items": "ingest.items",
            "bag_labels": "ingest.bag_labels",
            "features": "embed.features",
            "present": "embed.present",
            "votes": "vote.votes",
            "encoder": "pretrain.encoder",
        },
        "bags",
        optional=_PAYLOAD,
    ),
    StageSpec(
        "aggregate",
        13,
        "pipelines.stages.aggregate:aggregate",
        {
            "items": "ingest.items",
            "votes": "vote.votes",
            "soft_votes": "vote.soft_votes",
            "bag_votes": "bags.votes",
            "features": "embed.features",
            "present": "embed.present",
            "graph": "embed.graph",
            "human": "reviews.human",
        },
        "aggregate",
    ),
    StageSpec(
        "clean",
        8,
        "pipelines.stages.clean:clean",
        {
            "items": "ingest.items",
            "weak_labels": "aggregate.weak_labels",
            "gold_calibration": "ingest.gold_calibration",
            "human": "reviews.human",
            "votes": "vote.votes",
            "features": "embed.features",
            "present": "embed.present",
            "graph": "embed.graph",
        },
        "clean",
    ),
    StageSpec(
        "train",
        20,
        "pipelines.stages.train:train",
        {
            "items": "ingest.items",
            "targets": "clean.targets",
            "weights": "clean.weights",
            "all_weights": "clean.all_weights",
            "judge": "clean.judge",
            "weak_labels": "aggregate.weak_labels",
            "gold_dev": "ingest.gold_dev",
            "gold_calibration": "ingest.gold_calibration",
            "features": "embed.features",
            "present": "embed.present",
            "encoder": "pretrain.encoder",
            "votes": "vote.votes",
            "graph": "embed.graph",
        },
        "train",
        optional=_PAYLOAD,
    ),
    StageSpec(
        "evaluate",
        27,
        "pipelines.stages.evaluate:evaluate",
        {
            "items": "ingest.items",
            "gold_dev": "ingest.gold_dev",
            "gold_test": "ingest.gold_test",
            "features": "embed.features",
            "present": "embed.present",
            "votes": "vote.votes",
            "lfs": "vote.lfs",
            "bag_votes": "bags.votes",
            "posteriors": "aggregate.posteriors",
            "choice": "aggregate.choice",
            "weak_labels": "aggregate.weak_labels",
            "weights": "clean.weights",
            "probabilities": "train.probabilities",
            "out_of_fold": "clean.out_of_fold",
        },
        "evaluate",
        optional={**_PAYLOAD, "without_hand": "train.without_hand"},
    ),
    StageSpec(
        "report",
        30,
        "pipelines.stages.report:report",
        {
            "items": "ingest.items",
            "ingest_report": "ingest.report",
            "gold_dev": "ingest.gold_dev",
            "encoder": "pretrain.encoder",
            "graph": "embed.graph",
            "bags_summary": "bags.summary",
            "bags": "bags.bags",
            "instances": "bags.instances",
            "instance_scores": "bags.scores",
            "weak_labels": "aggregate.weak_labels",
            "choice": "aggregate.choice",
            "issues": "clean.issues",
            "judge": "clean.judge",
            "probabilities": "train.probabilities",
            "evaluation": "evaluate.evaluation",
            "lf_table": "evaluate.lf_table",
        },
        "report",
        optional=_PAYLOAD,
    ),
)


def spec_of(name: str) -> StageSpec:
    """Return the stage of this name.

    Raises
    ------
    ConfigError
        If there is none.
    """
    for spec in STAGES:
        if spec.name == name:
            return spec
    known = [spec.name for spec in STAGES]
    raise ConfigError(f"no stage is called {name!r}; known: {known}{nearest(name, known)}")


def needed_for(targets: tuple[str, ...], *, reads_features: bool) -> tuple[StageSpec, ...]:
    """Return the stages that these targets need, themselves included, in the order they run.

    Parameters
    ----------
    targets
        Names of stages.
    reads_features
        Whether a labelling function reads features. Then vote waits for embed; else it comes
        before pretrain, so that silent functions show in seconds and no new encoder concerns them.

    Raises
    ------
    ConfigError
        If there is no such stage.
    """
    wanted = {spec_of(name).name for name in targets}
    line = _line(reads_features)
    for spec in reversed(line):
        if spec.name in wanted:
            wanted.update(spec.upstream)
    return tuple(s for s in line if s.name in wanted)


def _line(reads_features: bool) -> tuple[StageSpec, ...]:
    vote = spec_of("vote")
    if not reads_features:
        return tuple(replace(s, optional={}) if s is vote else s for s in STAGES)
    others = [s for s in STAGES if s is not vote]
    after = others.index(spec_of("embed")) + 1
    return (*others[:after], vote, *others[after:])
