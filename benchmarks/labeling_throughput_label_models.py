"""Label models beside crowd-kit and Snorkel on a million rows of votes, results asserted alike.

Try it: ``python -m benchmarks.labeling_throughput_label_models``; ``--rows 50000`` for a look.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from benchmarks.machine import measure_command, peak_mib
from weaklight.contracts import ABSTAIN, Votes

DATA = Path(os.environ.get("WEAKLIGHT_DATA", "../shared/data"))
ROWS = 1_000_000
TILED = ("sms", "youtube")
# Alternating rounds, of which the fastest counts.
ROUNDS = {"crowdkit": 1, "snorkel": 2}
# EM steps on both sides alike: crowd-kit's default, and few where each takes it 20 s.
STEPS = {"sms": 100, "youtube": 100, "random": 2}
RANDOM_LFS, RANDOM_CLASSES = 20, 4
EPOCHS, LEARNING_RATE, SEED = 100, 0.01, 7  # Snorkel's defaults
POSTERIOR_TOLERANCE = 1e-3
ACCURACY_TOLERANCE = 0.01
SIDES = {"dawid_skene": ("ours_dawid_skene", "crowdkit"), "snorkel": ("ours_snorkel", "snorkel")}

Numbers = dict[str, float]


def measure(rows: int = ROWS) -> dict[str, object]:
    """Return this part's keys.

    Where there are two data sets, speed is of both together and memory the worse of the two; each
    has its own keys besides.
    """
    if not (DATA / "wrench_sms").is_dir():
        reason = f"no data at {DATA.resolve()}; set WEAKLIGHT_DATA"
        names = ("dawid_skene_tiled_vs_crowdkit", "dawid_skene_random_vs_crowdkit",
                 "label_model_vs_snorkel", "label_model_memory_vs_snorkel")  # fmt: skip
        return {k: v for name in names for k, v in ((name, None), (f"{name}_reason", reason))}
    results: dict[str, object] = {}
    keys = {"crowdkit": "dawid_skene", "snorkel": "label_model"}
    seconds: dict[str, list[tuple[float, float]]] = {"crowdkit": [], "random": [], "snorkel": []}
    memory: dict[str, list[float]] = {"crowdkit": [], "random": [], "snorkel": []}
    for case in (*TILED, "random"):
        for model, (ours, peer) in SIDES.items():
            if (model, case) == ("snorkel", "random"):
                continue
            a, b = _side_by_side(ours, peer, case, rows)
            key = "random" if case == "random" else peer
            seconds[key].append((a["seconds"], b["seconds"]))
            memory[key].append(a["mib"] / b["mib"])
            results[f"{case}_{keys[peer]}_vs_{peer}"] = round(b["seconds"] / a["seconds"], 1)
            for side, numbers in ((ours, a), (peer, b)):
                results |= {f"{case}_{side}_{k}": round(v, 3) for k, v in numbers.items()}
    speed = {key: sum(b for _, b in s) / sum(a for a, _ in s) for key, s in seconds.items()}
    return {
        "dawid_skene_tiled_vs_crowdkit": round(speed["crowdkit"], 1),
        "dawid_skene_tiled_memory_vs_crowdkit": round(max(memory["crowdkit"]), 3),
        "dawid_skene_random_vs_crowdkit": round(speed["random"], 2),
        "dawid_skene_random_memory_vs_crowdkit": round(max(memory["random"]), 3),
        "label_model_vs_snorkel": round(speed["snorkel"], 1),
        "label_model_memory_vs_snorkel": round(max(memory["snorkel"]), 3),
        **results,
    }


def _side_by_side(ours: str, peer: str, case: str, rows: int) -> tuple[Numbers, Numbers]:
    """Run both sides in turn, each in a process of its own; assert that they say the same.

    Seconds are of CPU, for fit and predict after a first fit of three rows, in which both sides
    import what they import late; MiB are the peak above what the process held after
    importing its libraries, the votes included, in the form that each side wants them.
    """
    best: dict[str, Numbers] = {}
    with tempfile.TemporaryDirectory(prefix="weaklight-label-models-") as name:
        for _ in range(ROUNDS[peer]):
            for side in (ours, peer):
                command = [sys.executable, "-m", __spec__.name, "--side", side, "--case", case]
                command += ["--rows", str(rows), "--out", f"{name}/{side}.npz"]
                numbers = json.loads(measure_command(command).output.splitlines()[-1])
                if side not in best or numbers["seconds"] < best[side]["seconds"]:
                    best[side] = numbers
        with np.load(f"{name}/{ours}.npz") as a, np.load(f"{name}/{peer}.npz") as b:
            apart = float(np.abs(a["posterior"] - b["posterior"]).max())
            assert apart < POSTERIOR_TOLERANCE, f"{case}: posteriors differ by {apart}"
            if "accuracies" in b:
                apart = float(np.nanmax(np.abs(a["accuracies"] - b["accuracies"])))
                assert apart < ACCURACY_TOLERANCE, f"{case}: accuracies differ by {apart}"
                best[ours]["accuracies_apart"] = apart
    return best[ours], best[peer]


def _votes(case: str, rows: int) -> tuple[Votes, int]:
    """Return votes (rows, m) and K: a data set's training votes over and over, or random ones."""
    if case == "random":
        rng = np.random.default_rng(0)
        truth = rng.integers(0, RANDOM_CLASSES, rows, dtype=np.int16)
        votes = np.empty((rows, RANDOM_LFS), dtype=np.int16)
        for lf, accuracy in enumerate(rng.uniform(0.4, 0.9, RANDOM_LFS)):
            other = (truth + rng.integers(1, RANDOM_CLASSES, rows, dtype=np.int16)) % RANDOM_CLASSES
            votes[:, lf] = np.where(rng.random(rows) < accuracy, truth, other)
        return votes, RANDOM_CLASSES
    table = json.loads((DATA / f"wrench_{case}" / "train.json").read_text(encoding="utf-8"))
    keys = sorted(table, key=int)
    once = np.array([table[key]["weak_labels"] for key in keys], dtype=np.int16)
    return once[np.arange(rows) % len(once)], 2


def _run(side: str, case: str, rows: int) -> tuple[float, dict[str, NDArray[np.floating]], float]:
    """Return CPU seconds, results and MiB held after the imports of one side."""
    if side == "crowdkit":
        import pandas as pd
        from crowdkit.aggregation import DawidSkene as Peer

        few = pd.DataFrame({"task": [0, 1], "worker": [0, 0], "label": [0, 1]})
        Peer(n_iter=1).fit_predict_proba(few)
        held = _held_mib()
        votes, _ = _votes(case, rows)
        task, worker = np.nonzero(votes != ABSTAIN)
        label = votes[task, worker].astype(np.int64)
        table = pd.DataFrame({"task": task, "worker": worker, "label": label})
        del votes, task, worker, label
        started = time.process_time()
        probas = Peer(n_iter=STEPS[case], tol=-np.inf).fit_predict_proba(table)
        seconds = time.process_time() - started
        return (
            seconds,
            {"posterior": probas.sort_index().sort_index(axis=1).to_numpy(np.float32)},
            held,
        )
    if side == "snorkel":
        LabelModel = _snorkel()
        held = _held_mib()
        votes, n_classes = _votes(case, rows)
        wide = votes.astype(np.int64)
        del votes
        started = time.process_time()
        peer = LabelModel(cardinality=n_classes, verbose=False)
        peer.fit(wide, n_epochs=EPOCHS, lr=LEARNING_RATE, seed=_snorkel_seed(), progress_bar=False)
        posterior = peer.predict_proba(wide)
        seconds = time.process_time() - started
        return seconds, {"posterior": posterior, "accuracies": peer.get_weights()}, held
    return _run_ours(side, case, rows)


def _run_ours(
    side: str, case: str, rows: int
) -> tuple[float, dict[str, NDArray[np.floating]], float]:
    from weak_supervision.label_models import DawidSkene, SnorkelModel, covered

    if side == "ours_dawid_skene":
        model: DawidSkene | SnorkelModel = DawidSkene(
            abstain="missing", smoothing=0.0, max_iter=STEPS[case], tol=-np.inf
        )
    else:
        model = SnorkelModel(n_epochs=EPOCHS, lr=LEARNING_RATE, seed=SEED)
    few = np.eye(3, dtype=np.int16)
    model.fit(few, n_classes=2).predict_proba(few)
    held = _held_mib()
    votes, n_classes = _votes(case, rows)
    started = time.process_time()
    posterior = model.fit(votes, n_classes=n_classes).predict_proba(votes)
    seconds = time.process_time() - started
    if side == "ours_dawid_skene":  # crowd-kit has no rows without votes
        posterior = posterior[covered(votes)]
    return seconds, {"posterior": posterior, "accuracies": model.accuracies_}, held


def _snorkel() -> Any:
    """Return Snorkel's LabelModel, warm: torch imports a second's worth at its first step."""
    from snorkel.labeling.model import LabelModel

    LabelModel(verbose=False).fit(np.eye(3, dtype=np.int64), n_epochs=1, progress_bar=False)
    return LabelModel


def _snorkel_seed() -> int:
    from weaklight.seeds import derive_seed

    return derive_seed(SEED, "snorkel") % 2**32


def _held_mib() -> float:
    held: float = psutil.Process().memory_info().rss / 2**20
    return held


def main() -> None:
    """Measure both sides, or be one of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--side")
    parser.add_argument("--case")
    parser.add_argument("--out")
    given = parser.parse_args()
    if given.side is None:
        print(json.dumps(measure(given.rows)))
        return
    seconds, found, held = _run(given.side, given.case, given.rows)
    peak = peak_mib()
    np.savez(given.out, **found)  # type: ignore[arg-type]
    print(json.dumps({"seconds": seconds, "mib": peak - held}))


if __name__ == "__main__":
    main()
