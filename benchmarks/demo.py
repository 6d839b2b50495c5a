"""The demo job measured: accuracy on the test split, wall time and peak memory per stage.

Run it alone: ``python -m benchmarks.demo``. It works in a fresh folder with a fresh Prefect home,
needs no network and prints one flat JSON object as its last line.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.machine import describe, measure_command
from pipelines.project import Project
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


def main() -> None:
    """Ask for help, then run the demo: fresh, then cached plainly and through Prefect."""
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
        print(json.dumps(_results(project) | {
            "help_s": round(min(answer.seconds for answer in answers), 2),
            "total_s": round(first.seconds, 1),
            "peak_mib": round(first.peak_mib),
            "second_run_s": round(plain.seconds, 2),
            "second_run_prefect_s": round(prefect.seconds, 2),
            **describe(),
        }))  # fmt: skip


def _results(folder: Path) -> dict[str, Any]:
    project = Project.open(folder)
    first = project.runs()[0]
    path = project.store.path("evaluate", first.artifacts["evaluate"], "evaluation")
    headline = {h["key"]: h for h in json.loads(path.read_text())["headline"]}
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


if __name__ == "__main__":
    main()
