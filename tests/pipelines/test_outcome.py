"""What a log says of a run: how good, with its interval, and whose votes were lost."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipelines.outcome import outcome

RIGHT = {"key": "classifier_accuracy", "value": 0.8433, "low": 0.798, "high": 0.88, "n": 1300}


@pytest.mark.parametrize(
    ("right", "told"),
    [
        (RIGHT, "accuracy 84.3 % (79.8 to 88.0 %, n=1,300)"),
        (RIGHT | {"n": 19}, "too few test items for an accuracy (19)"),
        (RIGHT | {"value": None, "n": 0}, "agreement with the weak labels 91.2 %"),
    ],
)
def test_a_run_in_a_few_words(tmp_path: Path, right: dict[str, Any], told: str) -> None:
    evaluation = {
        "headline": [{"key": "majority_vote_accuracy", "value": 0.5}, right],
        "agreement": [{"key": "classifier_weak", "value": 0.912}],
    }
    (tmp_path / "evaluation").write_text(json.dumps(evaluation))
    lfs = [{"name": f"f{k}", "n_errors": k, "timed_out_rows": 0} for k in range(8)]
    (tmp_path / "lfs").write_text(json.dumps(lfs))
    project: Any = SimpleNamespace(store=SimpleNamespace(path=lambda *names: tmp_path / names[2]))

    def of(*stages: str) -> tuple[str, ...]:
        record: Any = SimpleNamespace(artifacts=dict.fromkeys(stages, "d"))
        return outcome(project, record)

    lost = "7 functions lost votes to errors: f1, f2, f3, f4, f5 and 2 more"
    assert of("vote", "evaluate") == (told, lost)
    assert of("vote") == (lost,) and of() == ()
    lfs[0]["timed_out_rows"] = 3
    (tmp_path / "lfs").write_text(json.dumps(lfs[:1]))
    assert of("vote") == ("1 function lost votes to errors: f0",)
