"""Train: the classifier that ``[train]`` asks for, calibrated on gold.

Try it: ``weaklight train``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipelines.payload import load_payload
from pipelines.pixels import Pixels
from pipelines.sections import TrainConfig
from pipelines.stages.base import StageResult, Work
from pipelines.stages.by_hand import given_by_hand
from weak_supervision.classifiers import Head, LinearHead, balanced_weights
from weak_supervision.classifiers.discriminant import Discriminant
from weak_supervision.classifiers.temperature import MIN_DEV_ROWS, is_at_bound
from weak_supervision.evaluation import compare_paired
from weak_supervision.hybrid import labelling_order
from weak_supervision.neighbors import NeighborGraph
from weaklight.errors import ConfigError
from weaklight.words import counted

__all__ = ["TrainInputs", "train"]

_Known = tuple[NDArray[np.intp], NDArray[np.integer]]  # rows and their class ids

MIN_ROWS_TO_CHOOSE = 100  # fewer dev rows tell two heads apart by luck
USUAL, OTHERS = "discriminant", ("linear", "mlp")  # of `head = "auto"`
ROBUST = "forward"  # of the network among them
# How many weak labels one by hand counts for: few and right ones drown among many half-right ones,
# and few that count for too much are learnt by heart (docs/hybrid.md). What dev can veto, nearest
# to the usual one first; and what is safer where it cannot.
HAND_WEIGHTS, UNJUDGED_WEIGHT = (30.0, 10.0, 100.0, 3.0, 1.0), 10.0
N_NEXT = 300  # more than anybody reviews before the next run orders them anew
FEWEST_EPOCHS, MOST_ROWS = 3, 3_000_000  # above 300,000 rows, fewer epochs see as many
EPOCHS, BATCH_SIZE, LEARNING_RATE = 10, 256, 1e-3  # of heads that learn by steps; see docs/noise.md


@dataclass(frozen=True)
class TrainInputs:
    """Upstream files of the stage."""

    items: Path
    targets: Path
    weights: Path
    all_weights: Path
    judge: Path
    weak_labels: Path
    gold_dev: Path
    gold_calibration: Path
    features: Path
    present: Path
    encoder: Path
    votes: Path
    graph: Path
    pixels: Path | None = None
    signals: Path | None = None


def train(inputs: TrainInputs, config: TrainConfig, work: Work) -> StageResult:
    """Train on rows with weight; gold of dev stops where patience is set, see also `_calibrators`.

    Raises
    ------
    ConfigError
        If ``finetune`` is asked for items that are no images, or patience without dev gold.
    """
    items = pd.read_parquet(inputs.items, columns=["item_id", "split"])
    is_unlabeled = (items["split"] == "unlabeled").to_numpy(bool)
    features = np.load(inputs.features, allow_pickle=False)
    present = np.load(inputs.present, allow_pickle=False)
    targets = np.load(inputs.targets, allow_pickle=False)
    weights = np.where(present, np.load(inputs.weights, allow_pickle=False), 0.0)
    all_weights = np.where(present, np.load(inputs.all_weights, allow_pickle=False), 0.0)
    used = (weights if config.strategy == "plain" else all_weights) > 0
    dev, kept_apart = (
        _with_gold(items["item_id"], pd.read_parquet(file), present)
        for file in (inputs.gold_dev, inputs.gold_calibration)
    )
    rows, labels = dev
    calibrators = _calibrators(dev, kept_apart)
    notes: list[str] = []
    outputs = {
        "head": "head",
        "probabilities": "probabilities.npy",
        "label_next": "label_next.parquet",
    }
    enough = len(rows) >= MIN_DEV_ROWS
    chosen, strategy = str(config.head), str(config.strategy)
    if calibrators is None:
        notes.append(
            f"not calibrated: {len(rows)} rows of dev and {len(kept_apart[0])} of calibration, "
            f"{MIN_DEV_ROWS} of either are needed"
        )
    elif calibrators is kept_apart:
        notes.append(f"{len(calibrators[0])} calibration rows say how sure the classifier may be")
    if config.patience and not enough:
        raise ConfigError(
            f"[train] patience watches dev gold, but {len(rows)} dev rows are fewer than "
            f"{MIN_DEV_ROWS}; label more dev rows or leave patience out"
        )
    work.progress(0, 1, f"training: {config.head}, {config.strategy}")
    lesson = _Lesson(
        features,
        targets,
        weights,
        all_weights,
        (features[rows], labels) if enough else None,
        None if calibrators is None else (features[calibrators[0]], calibrators[1]),
        given_by_hand(inputs.weak_labels, weights),
    )
    hand_weight, note = _hand_weight(lesson)
    lesson = replace(lesson, hand_weight=hand_weight)
    notes += [note] if note else []
    if config.head == "finetune":
        payload = load_payload(inputs.items, inputs.pixels, inputs.signals)
        if not isinstance(payload, Pixels):
            raise ConfigError(
                f'[train] head = "finetune" learns from pixels, but the items are {payload.kind}; '
                'take "linear" or "mlp"'
            )
        from pipelines.stages.finetune import Labelled, finetune

        labelled = Labelled(
            features,
            targets,
            np.where(used, lesson.weighed(all_weights), 0.0).astype(np.float32),
            lesson.by_hand,
            is_unlabeled & present,
            dev if enough else None,
            calibrators,
        )
        head: Head
        head, features = finetune(
            inputs.encoder,
            payload,
            labelled,
            config,
            classes=work.classes,
            seed=work.seed,
            out=work.out / "encoder",
            scratch=work.scratch,
        )
        features[~present] = np.nan
        outputs["encoder"] = "encoder"
        notes.append("the encoder was tuned: its features are not those of the map and the graph")
        notes += _beside_frozen(head.predict(features[rows]), lesson, config, work)
    else:
        if config.chooses_head:
            chosen, head, note = _choose(lesson, config, work, inputs.judge)
            strategy = ROBUST if chosen == "mlp" else strategy
            notes.append(note)
        else:
            head = _trained(config.head, lesson, config, work)
        used = lesson.weights_for(chosen, config) > 0
        if lesson.has_both:
            without = _trained(chosen, lesson.without_hand, config, work).predict_proba(features)
            np.save(work.out / "without_hand.npy", without)
            outputs["without_hand"] = "without_hand.npy"
    if is_at_bound(head.temperature_):
        notes.append("its scores do not say how sure it may be: the temperature is at its bound")
    head.save(work.out / "head")
    probabilities = head.predict_proba(features)
    np.save(work.out / "probabilities.npy", probabilities)
    work.progress(0, 1, "which items to label next")
    order = labelling_order(
        probabilities,
        np.load(inputs.votes, allow_pickle=False),
        NeighborGraph.load(inputs.graph),
        n=N_NEXT,
        settled=lesson.by_hand,
        candidates=is_unlabeled & present,  # without features nothing is taught
    )
    items.iloc[order][["item_id"]].to_parquet(work.out / "label_next.parquet", index=False)
    return StageResult(
        outputs=outputs,
        metrics={
            "n_trained_on": int(used.sum()),
            "temperature": float(head.temperature_),
            "head": chosen,
            "strategy": strategy,
            "n_by_hand": int(lesson.by_hand.sum()),
            "hand_weight": lesson.hand_weight,
        },
        notes=tuple(notes),
    )


@dataclass(frozen=True)
class _Lesson:
    """What a head on frozen features learns from, row-aligned; weight 0 leaves a row out."""

    features: NDArray[np.float32]
    targets: NDArray[np.float32]
    weights: NDArray[np.floating]
    all_weights: NDArray[np.floating]
    dev: tuple[NDArray[np.floating], NDArray[np.integer]] | None
    calibrators: tuple[NDArray[np.floating], NDArray[np.integer]] | None
    by_hand: NDArray[np.bool_]
    hand_weight: float = 1.0

    @property
    def has_both(self) -> bool:
        """Whether labels by hand teach, and weak ones beside them."""
        return 0 < int(self.by_hand.sum()) < int(np.count_nonzero(self.weights))

    @property
    def without_hand(self) -> _Lesson:
        """The same without the labels by hand."""
        return replace(
            self,
            weights=np.where(self.by_hand, 0.0, self.weights),
            all_weights=np.where(self.by_hand, 0.0, self.all_weights),
            by_hand=np.zeros_like(self.by_hand),
        )

    def weighed(self, weights: NDArray[np.floating]) -> NDArray[np.floating]:
        """Return the weights with those of labels by hand raised."""
        return np.where(self.by_hand, self.hand_weight * weights, weights)

    def weights_for(self, head: str, config: TrainConfig) -> NDArray[np.floating]:
        """Return the weights for a head of this name.

        Doubted labels are left out for heads that believe what they are taught. A robust strategy
        gets them: it loses a point or two without (docs/noise.md).
        """
        is_robust = config.strategy != "plain" or (config.chooses_head and head == "mlp")
        return self.weighed(self.all_weights if is_robust else self.weights)


def _hand_weight(lesson: _Lesson) -> tuple[float, str]:
    """Return what a label by hand counts for, and why; no reason where it makes no difference.

    Of the weights that dev does not tell from the best by a standard error (Breiman et al. 1984,
    "Classification and regression trees", section 3.4.3) it is the nearest to the usual one. The
    discriminant tries them, as it is solved in a moment. Items that people label are seldom drawn
    at random, so these labels themselves cannot tell.
    """
    if not lesson.has_both:
        return 1.0, ""
    counts = f"each of {counted(int(lesson.by_hand.sum()), 'label')} by hand counts for"
    if lesson.dev is None or len(lesson.dev[1]) < MIN_ROWS_TO_CHOOSE:
        why = f"choosing by dev takes {MIN_ROWS_TO_CHOOSE} rows of gold"
        return UNJUDGED_WEIGHT, f"{counts} {UNJUDGED_WEIGHT:g} weak ones: {why}"
    features, labels = lesson.dev

    def right(hand_weight: float) -> NDArray[np.bool_]:
        weights = replace(lesson, hand_weight=hand_weight).weighed(lesson.weights)
        used = weights > 0
        head = Discriminant().fit(lesson.features[used], lesson.targets[used], weights[used])
        return np.asarray(head.predict_proba(features).argmax(axis=1) == labels)

    tried = {weight: right(weight) for weight in HAND_WEIGHTS}
    best = max(tried.values(), key=np.count_nonzero)
    taken = next(weight for weight, hits in tried.items() if _as_good(hits, best))
    told = ", ".join(f"{hits.sum()} ({weight:g})" for weight, hits in sorted(tried.items()))
    return taken, f"{counts} {taken:g} weak ones: right on {told} of {len(labels)} dev rows"


def _as_good(hits: NDArray[np.bool_], best: NDArray[np.bool_]) -> bool:
    """Return whether these hits are fewer by one standard error of the difference at most."""
    differ = np.count_nonzero(hits != best)
    return bool(best.sum() - hits.sum() <= math.sqrt(differ))


def _beside_frozen(
    said: NDArray[np.integer], lesson: _Lesson, config: TrainConfig, work: Work
) -> list[str]:
    """Return whether the tuned encoder, which ``said`` this on dev, did better than a frozen one.

    A network that may change its features learns labels that are wrong in one way by heart.
    """
    if lesson.dev is None:
        return []
    features, labels = lesson.dev
    tuned = said == labels
    frozen = _trained(USUAL, lesson, config, work).predict(features) == labels
    found = compare_paired(tuned, frozen)
    verdict = {
        "better": "tuning pays",
        "worse": "tuning costs more than it brings: leave [train] head out",
    }.get(found.verdict, "no clear difference")
    return [
        f"on {len(labels)} dev rows the tuned encoder is right on {tuned.sum()}, a discriminant on "
        f"frozen features on {frozen.sum()}: {verdict}"
    ]


def _choose(lesson: _Lesson, config: TrainConfig, work: Work, judge: Path) -> tuple[str, Head, str]:
    """Return name, head and reason: the discriminant, or what dev is sure does better.

    Functions are tuned on dev, so heads that repeat what these say look a little better there than
    they are. Without enough dev gold it is what suits the votes (see
    `weak_supervision.noise.choose_head`): the discriminant, or the robust network where that surely
    agrees more often with held-out votes.
    """
    if lesson.dev is None or len(lesson.dev[1]) < MIN_ROWS_TO_CHOOSE:
        decided = json.loads(judge.read_text(encoding="utf-8"))
        name = "mlp" if decided["head"] == "robust" else "discriminant"
        reason = f"choosing by dev takes {MIN_ROWS_TO_CHOOSE} rows of gold; {decided['reason']}"
        return name, _trained(name, lesson, config, work), f"the head is {name}: {reason}"
    features, labels = lesson.dev
    heads = {name: _trained(name, lesson, config, work) for name in (USUAL, *OTHERS)}
    right = {name: head.predict(features) == labels for name, head in heads.items()}
    name, told = _best(right)
    return name, heads[name], f"the head is {name}: right on {told} of {len(labels)} dev rows"


def _best(right: Mapping[str, NDArray[np.bool_]]) -> tuple[str, str]:
    """Return the first, or the best of the others if it is surely right more often; and hits.

    Parameters
    ----------
    right
        Which of the same dev rows (n_dev,) each has right.
    """
    first, *others = right
    best = max(others, key=lambda other: right[other].sum())
    is_better = compare_paired(right[best], right[first]).verdict == "better"
    shown = ", ".join(f"{hits.sum()} ({name})" for name, hits in right.items())
    return best if is_better else first, shown


def _trained(name: str, lesson: _Lesson, config: TrainConfig, work: Work) -> Head:
    """Return a head of this name, taught and calibrated."""
    weights = lesson.weights_for(name, config)
    used = weights > 0
    x, y, w = lesson.features[used], lesson.targets[used], weights[used]
    if name == "discriminant":
        if config.balance == "classes":
            w = balanced_weights(y, w)
        head: Head = Discriminant().fit(x, y, w).as_linear_head(work.classes)
    else:
        head = _new_head(name, len(x), config, work.seed).fit(
            x, y, w, trusted=lesson.by_hand[used], dev=lesson.dev, classes=work.classes
        )
        if lesson.calibrators is None and not config.chooses_head:
            return head
    # Gaussian classes and robust losses are too sure of themselves; without gold, be as sure as
    # the head agrees with the weak labels
    head.calibrate(*(lesson.calibrators or (x, y.argmax(axis=1))))
    return head


def _new_head(name: str, n_rows: int, config: TrainConfig, seed: int) -> Head:
    if name == "linear" and config.strategy == "plain":
        return LinearHead(l2=config.l2, balance=config.balance)
    from weak_supervision.noise import RobustHead

    return RobustHead(
        strategy=ROBUST if config.chooses_head else config.strategy,
        hidden=0 if name == "linear" else config.hidden,
        noise_rate=config.noise_rate,
        balance=config.balance,
        epochs=config.epochs or max(FEWEST_EPOCHS, min(EPOCHS, MOST_ROWS // n_rows)),
        batch_size=config.batch_size or BATCH_SIZE,
        lr=config.learning_rate or LEARNING_RATE,
        mixup=config.mixup,
        ema=config.ema,
        patience=config.patience,
        seed=seed,
    )


def _with_gold(item_ids: pd.Series, gold: pd.DataFrame, present: NDArray[np.bool_]) -> _Known:
    """Return the rows with this gold and features, and their gold."""
    rows = np.flatnonzero(item_ids.isin(gold["item_id"]).to_numpy() & present)
    labels = gold.set_index("item_id")["gold"].loc[item_ids.iloc[rows]].to_numpy()
    return rows, labels


def _calibrators(dev: _Known, kept_apart: _Known) -> _Known | None:
    """Return the rows that set the temperature, None where there are fewer than 20.

    Functions are tuned on dev and heads are chosen there, so a head looks surer on dev than it may
    be. The calibration split is taken where it has 100 rows, or as many as dev.
    """
    has_enough = len(kept_apart[0]) >= min(MIN_ROWS_TO_CHOOSE, len(dev[0]))
    taken = kept_apart if has_enough else dev
    return taken if len(taken[0]) >= MIN_DEV_ROWS else None
