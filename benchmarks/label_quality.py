"""How good are the labels: every label model, the automatic choice and what the tool would ship.

Run it alone: ``python -m benchmarks.label_quality PATH...``, a PATH being a WRENCH folder or an
``.npz`` with votes, features and gold (see `benchmarks.label_sets`). It needs no network and prints
one flat JSON object as its last line.

Nothing is tuned to a set. Label models, choice, classifier and labeller see the training votes and
features alone: no gold of any split, not even ``labeled_ids``. Validation gold decides the metric
(F1 of the rarer class where there are two and it makes up less than a quarter, else accuracy) and
checks the choice afterwards; training gold teaches the classifier ``SET_gold_model`` alone; test
gold is read when every label is made.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from benchmarks.label_sets import LabelSet, Split, read_set
from benchmarks.machine import describe
from weak_supervision.choice import Choice, choose
from weak_supervision.classifiers import LinearHead
from weak_supervision.folds import deal_folds
from weak_supervision.label_models import MODELS, hard_labels
from weak_supervision.labeller import Labeller
from weaklight.errors import WeaklightError

SEEDS = 5
RARE = 0.25
MIN_GAP = 0.03
L2 = (1.0, 10.0, 100.0, 1000.0)  # of the classifier taught gold, chosen by cross-validation

Labels = NDArray[np.int64]
Score = Callable[[NDArray[np.int64], Labels], float]


def main(arguments: list[str]) -> None:
    """Measure the sets that are named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument(
        "--cache", type=Path, default=Path.home() / ".cache" / "weaklight-benchmarks"
    )
    parser.add_argument(
        "--embed-s", type=float, default=300.0,
        help="seconds for embedding training texts; the rest go without features",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    results: dict[str, Any] = {}
    for path in options.paths:
        data = read_set(path, cache=options.cache, budget_s=options.embed_s)
        measured = measure(data, seeds=options.seeds)
        results |= {f"{data.name}_{key}": value for key, value in measured.items()}
        print(json.dumps(measured, indent=1), file=sys.stderr, flush=True)
    print(json.dumps(results | describe()))


def measure(data: LabelSet, *, seeds: int = SEEDS) -> dict[str, Any]:
    """Return the numbers of one set, by key without the set's name."""
    train, test = data.train, data.test
    # without votes on the test items, label models can be judged where they were fitted only
    voted = train if test.votes is None else test
    labels: dict[str, Labels] = {}
    out: dict[str, Any] = {
        "notes": data.notes,
        "n_train": len(train.gold),
        "n_test": len(test.gold),
    }
    for name, model_class in MODELS.items():
        try:
            model = model_class().fit(_votes(train), n_classes=data.n_classes)
            labels[name] = hard_labels(model.predict_proba(_votes(voted)))
            if model.note_:
                out[f"{name}_note"] = model.note_
        except WeaklightError as error:
            out[name], out[f"{name}_reason"] = None, str(error)

    runs = [_run(data, voted, seed) for seed in range(seeds)]
    gold_model = None if train.features is None or test.features is None else _gold_model(data)

    score, out["metric"] = metric(data)
    out |= {name: score(voted.gold, said) for name, said in labels.items()}
    out["label_models_judged_on"] = "train" if test.votes is None else "test"
    for key, judged in (("auto", voted), ("end_model", test), ("final", test)):
        scores = [score(judged.gold, run[key]) for run in runs if run[key] is not None]
        out[key] = float(np.mean(scores)) if scores else None
        if len(scores) > 1:
            out[f"{key}_spread"] = float(np.std(scores))
        elif not scores:
            out[f"{key}_reason"] = "the set has no features"
    out["gold_model"] = None if gold_model is None else score(test.gold, gold_model)
    if gold_model is None:
        out["gold_model_reason"] = "the set has no features"
    out["gap_closed"] = _gap_closed(out)
    if out["gap_closed"] is None:
        out["gap_closed_reason"] = "no gold model, or it gains less than three points"
    out["choice"] = " ".join([runs[0]["reason"], runs[0]["note"], _check(data, runs[0], score)])
    out["chosen"] = runs[0]["chosen"]
    out["chosen_by_seed"] = [run["chosen"] for run in runs]
    return out


def _run(data: LabelSet, voted: Split, seed: int) -> dict[str, Any]:
    """Choose, and label the new items as the tool would."""
    train, test = data.train, data.test
    choice = choose(_votes(train), n_classes=data.n_classes, features=train.features, seed=seed)
    labeller = Labeller(choice, seed=seed).fit(
        _votes(train), train.features, n_classes=data.n_classes
    )
    final = hard_labels(labeller.predict_proba(_votes(test, train), test.features))
    note = labeller.note_
    taught = labeller.classifier_
    end_model = None
    if taught is not None and test.features is not None:
        end_model = hard_labels(taught.predict_proba(test.features))
    return {
        "auto": _chosen_labels(choice, labeller, data, voted),
        "end_model": end_model,
        "final": final,
        "chosen": choice.chosen,
        "reason": choice.reason,
        "note": note,
        "labeller": labeller,
    }


def _chosen_labels(choice: Choice, labeller: Labeller, data: LabelSet, voted: Split) -> Labels:
    """Return the chosen candidate's labels, its votes trusted whatever the features say."""
    if voted is data.train:
        return hard_labels(choice.posterior)
    return hard_labels(labeller.by_choice(_votes(voted), voted.features))


def _votes(split: Split, like: Split | None = None) -> NDArray[np.int16]:
    """Return the votes, silence where the split has none."""
    if split.votes is not None:
        return split.votes
    assert like is not None and like.votes is not None
    return np.full((len(split.gold), like.votes.shape[1]), -1, dtype=np.int16)


def metric(data: LabelSet) -> tuple[Score, str]:
    """Return how labels are scored, and in words; validation gold decides."""
    gold = data.valid.gold if data.valid is not None else data.train.gold
    share = np.bincount(gold, minlength=data.n_classes) / max(len(gold), 1)
    if data.n_classes == 2 and share.min() < RARE:
        rare = int(share.argmin())
        return (
            lambda truth, said: float(f1_score(truth == rare, said == rare)),
            f"F1 of class {rare}",
        )
    return lambda truth, said: float((truth == said).mean()), "accuracy"


def _gold_model(data: LabelSet) -> Labels:
    """Return test labels of the classifier taught training gold, shrunken as suits it best."""
    assert data.train.features is not None and data.test.features is not None
    rows = np.flatnonzero(np.isfinite(data.train.features).all(axis=1))
    features, gold = data.train.features[rows], data.train.gold[rows]
    y = np.eye(data.n_classes, dtype=np.float32)[gold]
    fold = deal_folds(gold, folds=3)

    def hits(l2: float) -> int:
        right = 0
        for held in range(3):
            head = LinearHead(l2=l2).fit(features[fold != held], y[fold != held])
            said = head.predict_proba(features[fold == held]).argmax(axis=1)
            right += int((said == gold[fold == held]).sum())
        return right

    head = LinearHead(l2=max(L2, key=hits)).fit(features, y)
    return hard_labels(head.predict_proba(data.test.features))


def _gap_closed(out: dict[str, Any]) -> float | None:
    if out["gold_model"] is None or out["gold_model"] - out["majority_vote"] < MIN_GAP:
        return None
    gap = out["gold_model"] - out["majority_vote"]
    return float((out["final"] - out["majority_vote"]) / gap)


def _check(data: LabelSet, run: dict[str, Any], score: Score) -> str:
    """Say what validation gold thinks of the choice, which did not see it."""
    valid = data.valid
    if valid is None or (valid.votes is None and valid.features is None):
        return ""
    labeller: Labeller = run["labeller"]
    votes = _votes(valid, data.train)
    shipped = score(valid.gold, hard_labels(labeller.predict_proba(votes, valid.features)))
    if valid.votes is None:
        return f"Check on {len(valid.gold)} validation items: {shipped:.3f}."
    model = MODELS["majority_vote"]().fit(_votes(data.train), n_classes=data.n_classes)
    base = score(valid.gold, hard_labels(model.predict_proba(votes)))
    verdict = "was right" if shipped >= base else "was wrong"
    return (
        f"Check on {len(valid.gold)} validation items, never used before: what ships scores "
        f"{shipped:.3f}, majority vote {base:.3f}; the choice {verdict}."
    )


if __name__ == "__main__":
    main(sys.argv[1:])
