"""Human label noise on CIFAR-10: who finds the wrong labels, and what training on them still gives.

Run it alone: ``python -m benchmarks.noise [--encoder FOLDER] [--seeds 5]``. Prints one flat JSON
object as its last line.

Labels are CIFAR-10N's, given by people: ``aggre`` (9 % wrong), ``random1`` (17 %), ``worst``
(40 %). Features are those of our own SSL encoder, trained on the same 20,000 images without labels
for ``--budget-s`` seconds, or read from ``--encoder``. Every training method uses the same head
and the same number of epochs; the accuracy is that of the last one, never of the best, on the 5,000
test images, mean of the seeds. Nothing was chosen by test images or by clean labels: ``default`` is
the head that the tool takes unasked, by agreement with labels that did not teach it.

``--held-out`` looks at no test image: it prints how far each method agrees with the noisy labels of
rows that did not teach it (five folds). Strategy, epochs and dropout were chosen by that.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.image_sets import DATA, cifar10
from benchmarks.machine import describe
from benchmarks.ssl_quality import train

if TYPE_CHECKING:
    from weak_supervision.noise import RobustHead

LEVELS = {"worst": "noisy_worst", "random1": "noisy_random1", "aggre": "noisy_aggre"}
MIN_GAP = 0.03  # below this there is no gap to speak of
SHARE_TO_CLOSE, LEAST_GAP = 0.7, 0.05  # of the gap between plain and clean: the target
SHIPPED = "forward"  # the strategy of the network that the tool takes where it suits the votes


def main() -> None:
    """Measure every level, then print everything."""
    args = _arguments()
    import torch

    torch.set_num_threads(args.threads)
    features, test_features, task = _features(args)
    file = np.load(DATA / "cifar10" / "train_20k.npz", allow_pickle=False)
    clean = file["labels"].astype(np.int64)
    crowd = np.column_stack([file[f"noisy_random{i}"] for i in (1, 2, 3)]).astype(np.int16)
    judged = (test_features, task.test_labels)

    keys: dict[str, Any] = {}
    if args.held_out:
        for level, column in LEVELS.items():
            keys |= _held_out(level, features, file[column].astype(np.int64), args)
        print(json.dumps(keys | describe()))
        return
    on_clean = _accuracies("plain", features, clean, judged, args)
    keys["clean_accuracy"] = _mean(on_clean)
    _say(f"clean plain {keys['clean_accuracy']}")
    for level, column in LEVELS.items():
        noisy = file[column].astype(np.int64)
        keys |= {f"{level}_noise_rate": round(float((noisy != clean).mean()), 4)}
        keys |= _detectors(level, features, noisy, clean, crowd)
        right = noisy == clean  # what a detector that never errs would leave to learn from
        kept = _accuracies("plain", features[right], clean[right], judged, args)
        keys[f"{level}_right_labels_accuracy"] = _mean(kept)
        keys |= _training(level, features, noisy, judged, keys["clean_accuracy"], args)
    print(json.dumps(keys | {"seeds": args.seeds} | describe()))


def _training(
    level: str,
    features: NDArray[np.float32],
    noisy: NDArray[np.int64],
    judged: tuple[NDArray[np.float32], NDArray[np.int64]],
    clean_accuracy: float,
    args: argparse.Namespace,
) -> dict[str, Any]:
    keys: dict[str, Any] = {f"{level}_clean_accuracy": clean_accuracy}
    for method in args.methods:
        started = time.perf_counter()
        values = _accuracies(method, features, noisy, judged, args)
        keys[f"{level}_{method}_accuracy"] = _mean(values)
        keys[f"{level}_{method}_spread"] = round(float(np.ptp(values)), 4)
        _say(f"{level} {method} {_mean(values)} ({time.perf_counter() - started:.0f} s)")
    keys |= _default(level, features, noisy, judged, keys[f"{level}_{SHIPPED}_accuracy"])
    plain = keys[f"{level}_plain_accuracy"]
    gap = clean_accuracy - plain
    needed = clean_accuracy - (1 - SHARE_TO_CLOSE) * max(gap, LEAST_GAP)
    keys[f"{level}_needed_accuracy"] = round(needed, 4)
    keys[f"{level}_gap_closed"] = None
    if gap < MIN_GAP:
        keys[f"{level}_gap_closed_reason"] = f"the gap is {gap:.3f}, under {MIN_GAP}"
    else:
        keys[f"{level}_gap_closed"] = round((keys[f"{level}_default_accuracy"] - plain) / gap, 3)
    return keys


def _default(
    level: str,
    features: NDArray[np.float32],
    noisy: NDArray[np.int64],
    judged: tuple[NDArray[np.float32], NDArray[np.int64]],
    robust_accuracy: float,
) -> dict[str, Any]:
    """Return the head that the tool takes unasked, its accuracy and the discriminant's."""
    from pipelines.stages.clean import JUDGES
    from weak_supervision.classifiers.discriminant import Discriminant
    from weak_supervision.noise import choose_head

    chosen, reason = choose_head(JUDGES, noisy[:, None].astype(np.int16), features, n_classes=10)
    _say(f"{level} takes {chosen}: {reason}")
    closed = Discriminant().fit(features, np.eye(10, dtype=np.float32)[noisy])
    accuracy = round(float((closed.predict_proba(judged[0]).argmax(axis=1) == judged[1]).mean()), 4)
    return {
        f"{level}_default": chosen,
        f"{level}_default_accuracy": robust_accuracy if chosen == "robust" else accuracy,
        f"{level}_discriminant_accuracy": accuracy,
    }


def _accuracies(
    method: str,
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    judged: tuple[NDArray[np.float32], NDArray[np.int64]],
    args: argparse.Namespace,
) -> list[float]:
    test_features, truth = judged
    heads = (_new_head(method, args, seed).fit(features, labels) for seed in range(args.seeds))
    return [float((head.predict(test_features) == truth).mean()) for head in heads]


def _held_out(
    level: str, features: NDArray[np.float32], noisy: NDArray[np.int64], args: argparse.Namespace
) -> dict[str, float]:
    """Return each method's agreement with noisy labels of rows that did not teach it."""
    from weak_supervision.noise import out_of_fold_proba

    keys = {}
    for method in args.methods:
        proba = out_of_fold_proba(
            features, np.eye(10)[noisy], new_head=partial(_new_head, method, args, 0)
        )
        keys[f"{level}_{method}_held_out"] = round(float((proba.argmax(axis=1) == noisy).mean()), 4)
        _say(json.dumps(keys))
    return keys


def _new_head(method: str, args: argparse.Namespace, seed: int) -> RobustHead:
    from weak_supervision.noise import RobustHead

    stated = {"epochs": args.epochs, "input_dropout": args.input_dropout}
    given = {name: value for name, value in stated.items() if value is not None}
    return RobustHead(strategy=method, seed=seed, **given)


def _detectors(
    level: str,
    features: NDArray[np.float32],
    noisy: NDArray[np.int64],
    clean: NDArray[np.int64],
    crowd: NDArray[np.int16],
) -> dict[str, Any]:
    """Return AUROC of each detector's score, precision and recall of what it flags."""
    from cleanlab.rank import get_label_quality_scores
    from sklearn.metrics import roc_auc_score

    from weak_supervision.neighbors import build_graph, cut_statistic
    from weak_supervision.noise import (
        area_under_margin,
        detect_issues,
        estimate_noise,
        out_of_fold_proba,
    )
    from weak_supervision.scaling import scale_about

    wrong = noisy != clean
    proba = out_of_fold_proba(features, np.eye(10, dtype=np.float32)[noisy])
    mean = features.mean(axis=0)
    graph = build_graph((features - mean) / scale_about(mean, features))
    margins = area_under_margin(features, noisy, 10)
    found = detect_issues(noisy, proba, votes=crowd if level == "random1" else None)
    flags = {name: np.zeros(len(noisy), dtype=bool) for name in ("confident", "crowdlab")}
    for name, word in (("confident", "confident learning"), ("crowdlab", "crowdlab")):
        named = found.table["detectors"].str.contains(word)
        flags[name][found.table.loc[named, "row"]] = True
    flags["margins"] = margins.doubted
    scores = {
        "confident": -get_label_quality_scores(noisy, proba),
        "margins": -margins.area,
        "neighbors": cut_statistic(noisy, graph),
    }
    keys: dict[str, Any] = {
        f"{level}_{name}_auroc": round(float(roc_auc_score(wrong, score)), 4)
        for name, score in scores.items()
    }
    for name, flagged in flags.items():
        if flagged.any():
            keys[f"{level}_{name}_precision"] = round(float(wrong[flagged].mean()), 4)
            keys[f"{level}_{name}_recall"] = round(float(flagged[wrong].mean()), 4)
    keys[f"{level}_estimated_rate"] = round(estimate_noise(features, noisy, 10).rate, 4)
    _say(json.dumps(keys))
    return keys


def _features(args: argparse.Namespace) -> tuple[NDArray[np.float32], NDArray[np.float32], Any]:
    from ssl_models import embed, load_encoder, suggest_settings

    task = cifar10()
    folder = args.encoder
    if folder is None:
        n, size, _, channels = task.train.shape
        settings, _ = suggest_settings(n=n, size=size, channels=channels, method="simclr")
        _say(f"training an encoder for {args.budget_s:.0f} s")
        folder = train(task.train, replace(settings, threads=args.threads), args.budget_s).folder
        _say(f"kept in {folder}")
    encoder = load_encoder(folder)
    return embed(encoder, task.train), embed(encoder, task.test), task


def _mean(values: Sequence[float]) -> float:
    return round(float(np.mean(values)), 4)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    from weak_supervision.noise import STRATEGIES

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--encoder", type=Path, help="a trained encoder, instead of training one")
    parser.add_argument("--budget-s", type=float, default=240.0)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--epochs", type=int, help="instead of the head's own default")
    parser.add_argument("--input-dropout", type=float, help="instead of the head's own default")
    parser.add_argument("--held-out", action="store_true", help="judge by noisy labels alone")
    parser.add_argument(
        "--methods",
        type=lambda text: list(dict.fromkeys(["plain", SHIPPED, *text.split(",")])),
        default=list(STRATEGIES),
        help=f"of {', '.join(STRATEGIES)}; plain and {SHIPPED} always run",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
