"""The demo job measured: accuracy on the test split, wall time and peak memory per stage.

Run it alone: ``python -m benchmarks.demo``. It works in a fresh folder with a fresh Prefect home,
needs no network and prints one flat JSON object as its last line.

With ``--source FOLDER``, where the four files lie that `examples.fashion.make_items` reads, the
line runs once more for each of ``--seeds``, with 12,000 further test items that the example does
not hold: 1,500 tell the gain over majority vote to two points only, and one seed is one encoder.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.machine import describe, measure_command
from examples.fashion.make_items import further_items, read_folder
from pipelines.project import Project, RunRecord
from weaklight.cli.projects import copy_example

KEYS = (
    "majority_vote_accuracy",
    "coverage",
    "covered_accuracy",
    "posterior_accuracy",
    "classifier_accuracy",
    "gold_only_accuracy_100",
    "gold_only_accuracy_all",
    "hand_only_accuracy",
    "knn_ssl",
    "knn_pixels",
)
N_FURTHER = 12_000
CLASSIFIER_TO_VOTES = ("classifier", "majority_vote")


def main() -> None:
    """Ask for help, then run the demo: fresh, then cached plainly and through Prefect."""
    args = _arguments()
    with tempfile.TemporaryDirectory(prefix="weaklight-demo-") as folder:
        project = Path(folder) / "demo"
        copy_example("fashion", project)
        env = {"PREFECT_HOME": str(Path(folder) / "prefect")}
        weaklight = [sys.executable, "-m", "weaklight.cli"]
        answers = [measure_command([*weaklight, "--help"], env) for _ in range(5)]
        command = [*weaklight, "run", "--project", str(project)]
        first = measure_command(command, env)
        print(first.output, flush=True)
        plain = measure_command([*command, "--no-prefect"], env)
        prefect = measure_command(command, env)
        wide = _wide(args.source, args.seeds, Path(folder)) if args.source else {}
        print(json.dumps(_results(project) | wide | {
            "help_s": round(min(answer.seconds for answer in answers), 2),
            "total_s": round(first.seconds, 1),
            "peak_mib": round(first.peak_mib),
            "second_run_s": round(plain.seconds, 2),
            "second_run_prefect_s": round(prefect.seconds, 2),
            **describe(),
        }))  # fmt: skip


def _wide(source: Path, n_seeds: int, folder: Path) -> dict[str, Any]:
    """Return what the classifier gains over majority vote on many more test items, by seed."""
    further = further_items(*read_folder(source), N_FURTHER)
    found = []
    for seed in range(n_seeds):
        project = folder / f"wide-{seed}"
        copy_example("fashion", project)
        items, settings = project / "items.parquet", project / "weaklight.toml"
        table = pq.read_table(items)
        pq.write_table(pa.concat_tables([table, further.cast(table.schema)]), items)
        settings.write_text(f"seed = {seed}\n{settings.read_text()}")
        command = [sys.executable, "-m", "weaklight.cli", "run", "--no-prefect"]
        measure_command([*command, "--project", str(project)])
        opened = Project.open(project)
        compared = _evaluation(opened, opened.runs()[0])["comparisons"]
        found += [c for c in compared if (c["first"], c["second"]) == CLASSIFIER_TO_VOTES]
        print(f"seed {seed}: {found[-1]}", flush=True)
    gains = [round(c["difference"], 4) for c in found]
    return {
        "wide_n": found[0]["n"],
        "wide_gain": round(float(np.mean(gains)), 4),
        "wide_gains": gains,
        "wide_gain_intervals": [[round(c["low"], 4), round(c["high"], 4)] for c in found],
    }


def _evaluation(project: Project, run: RunRecord) -> dict[str, Any]:
    path = project.store.path("evaluate", run.artifacts["evaluate"], "evaluation")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def _results(folder: Path) -> dict[str, Any]:
    project = Project.open(folder)
    first = project.runs()[0]
    headline = {h["key"]: h for h in _evaluation(project, first)["headline"]}
    results: dict[str, Any] = {}
    for key in KEYS:
        entry = headline.get(key, {"value": None, "reason": "not in the evaluation"})
        results[key] = entry["value"]
        if entry["value"] is None:
            results[f"{key}_reason"] = entry.get("reason", "")
        else:
            results[f"{key}_interval"] = [round(entry["low"], 4), round(entry["high"], 4)]
    for stage in first.stages:
        results[f"{stage.name}_s"] = stage.seconds
        results[f"{stage.name}_peak_mib"] = stage.peak_mib
    return results


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--source", type=Path, help="Fashion-MNIST's four files: judge on more")
    parser.add_argument("--seeds", type=int, default=3, help="how many runs judge on more")
    return parser.parse_args()


if __name__ == "__main__":
    main()
