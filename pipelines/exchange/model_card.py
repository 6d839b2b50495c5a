"""The model card of an exported classifier: how its labels came to be, and how good it is.

After Mitchell et al. 2019, "Model cards for model reporting", arXiv:1810.03993.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.queries import RunView
from pipelines.report.words import MIN_ROWS, source_names
from pipelines.store import Manifest, hash_path
from ssl_models.graphs import Names
from weak_supervision.classifiers import Head
from weaklight import __version__
from weaklight.words import counted

__all__ = ["write_model_card"]

KIND = "weaklight classifier"
_USE = (
    "Labels new items like those that it was trained on with one of the classes listed. Items of "
    "another source, time or device are not what it was measured on: measure again before relying "
    "on it, let it abstain below a probability, and let people check what has consequences."
)
_NOT_MEASURED = "not measured: the run did not evaluate; `weaklight run` does"


def write_model_card(
    view: RunView,
    head: Head,
    names: Names,
    shape: Sequence[int],
    checks: Mapping[str, Any],
    folder: Path,
) -> dict[str, Any]:
    """Write ``card.json`` and ``README.md`` beside the exported files of ``folder``.

    Parameters
    ----------
    shape
        Of one input, without the batch.
    checks
        File -> how it was run and how far off it was.

    Returns
    -------
    What ``card.json`` holds. It names no time and no host: equal runs give equal cards.
    """
    stages = {name: _manifest(view, name) for name in view.record.artifacts}
    card: dict[str, Any] = {
        "kind": KIND,
        "weaklight": __version__,
        "run_id": view.run_id,
        "items": stages["ingest"].metrics["kind"],
        "classes": list(head.classes_),
        "input": {"name": names.given, "shape": ["batch", *shape], "dtype": "float32"},
        "output": {"name": names.returned, "shape": ["batch", len(head.classes_)]},
        "checks": dict(checks),
        "intended_use": _USE,
        "labels": _labels(view, stages),
        "training": {
            "head": stages["train"].metrics["head"],
            "strategy": stages["train"].metrics["strategy"],
            "settings": {
                key: value
                for key, value in stages["train"].config.items()
                if key not in ("classes", "class_sets", "device")
            },
            "n_trained_on": stages["train"].metrics["n_trained_on"],
            "temperature": head.temperature_,
            "notes": list(stages["train"].notes),
        },
        "measured": _measured(view),
        "data": {name: output.sha256 for name, output in stages["ingest"].outputs.items()},
        "artifacts": dict(view.record.artifacts),
        "libraries": dict(stages["train"].libraries),
        "seed": stages["train"].seed,
    }
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    card["files"] = {p.relative_to(folder).as_posix(): hash_path(p)[0] for p in files}
    text = json.dumps(card, indent=1, ensure_ascii=False) + "\n"
    (folder / "card.json").write_text(text, encoding="utf-8")
    (folder / "README.md").write_text(
        _markdown(card, source_names(view.lfs, view.bag_summary)), encoding="utf-8"
    )
    return card


def _manifest(view: RunView, stage: str) -> Manifest:
    return view.project.store.manifest(stage, view.record.artifacts[stage])


def _labels(view: RunView, stages: Mapping[str, Manifest]) -> dict[str, Any]:
    choice = view.choice()
    cleaning = stages["clean"]
    return {
        "labelling_functions": [
            {key: lf[key] for key in ("name", "description", "digest", "n_votes")}
            for lf in view.lfs
        ],
        "label_model": choice.get("chosen"),
        "why_this_model": choice.get("reason"),
        "per_source": {str(name): int(n) for name, n in view.source_counts().items()},
        "human_labels": stages["aggregate"].metrics["n_human"],
        "cleaning": {
            "action": cleaning.config["action"],
            "doubted": cleaning.metrics["n_issues"],
            "labelled": cleaning.metrics["n_labelled"],
            "excluded_by_people": cleaning.metrics["n_excluded"],
        },
    }


def _measured(view: RunView) -> dict[str, Any]:
    """Return what evaluate found on test, and how often this test was looked at."""
    path = view.path("evaluate", "evaluation")
    if path is None:
        return {"reason": _NOT_MEASURED}
    found = json.loads(path.read_text(encoding="utf-8"))
    calibration = found["calibration"]
    return {
        "word": found["word"],
        "weighted_by": found["weighted_by"],
        "headline": {entry["key"]: entry for entry in found["headline"]},
        "per_class": found["classifier"],
        "calibration": {k: v for k, v in calibration.items() if k != "bins"},
        "test_looks": view.record.test_looks,
    }


def _markdown(card: Mapping[str, Any], names: Mapping[str, str]) -> str:
    labels, training = card["labels"], card["training"]
    lfs = labels["labelling_functions"]
    cleaning, settings = labels["cleaning"], training["settings"]
    functions = "\n".join(
        f"* `{lf['name']}`: {lf['description'] or 'no description'} ({lf['n_votes']} votes)"
        for lf in lfs
    )
    sources = ", ".join(
        f"{n} by {names[name]}" for name, n in labels["per_source"].items() if name != "none"
    )
    voted = f"{counted(len(lfs), 'source')} voted on the items:\n\n{functions}\n\n" if lfs else ""
    given = card["input"]
    what = (
        "images as floats in 0..1, channels first, resized as in the project"
        if given["name"] == "images"
        else f"the features that the encoder in `encoder/` makes of {card['items']} items"
    )
    checks = "\n".join(
        f"* `{file}`: run by {check['library']}, off by at most "
        f"{check['largest_difference']:.0e} of the largest log-probability"
        for file, check in card["checks"].items()
    )
    return f"""# Classifier of run {card["run_id"]}

Tells {card["items"]} items apart: {", ".join(card["classes"])}.

## Use

{card["intended_use"]}

## How good it is

{_numbers(card["measured"])}

## How its labels came to be

{voted}The label model `{labels["label_model"]}` combined them. {labels["why_this_model"] or ""}

Labels: {sources}. People labelled {labels["human_labels"]} items and excluded \
{cleaning["excluded_by_people"]}. Features contradicted {cleaning["doubted"]} of \
{cleaning["labelled"]} labels; cleaning was set to `{cleaning["action"]}`.

## How it was trained

Head `{training["head"]}`, strategy `{training["strategy"]}`, class balance \
`{settings["balance"]}`, on {training["n_trained_on"]} items; temperature \
{training["temperature"]:.3f}. \
{" ".join(f"{note[:1].upper()}{note[1:]}." for note in training["notes"])}

## Run it

Input `{given["name"]}`, shape ({", ".join(map(str, given["shape"]))}): {what}. Output \
`{card["output"]["name"]}`: one probability a class, in the order above. Before they were kept, \
the files were run on items of the project and compared with its own probabilities:

{checks}

`card.json` holds all of this with the digests of the data, the files and every step, and the
versions of the libraries.
"""


def _numbers(measured: Mapping[str, Any]) -> str:
    if "reason" in measured:
        return str(measured["reason"])
    lines = []
    for key in ("classifier_accuracy", "majority_vote_accuracy", "gold_only_accuracy_all"):
        entry = measured["headline"].get(key)
        if entry is None:
            continue
        if entry["value"] is None:
            lines.append(f"* {entry['title']}: {entry['reason']}")
        elif entry["n"] < MIN_ROWS:
            lines.append(f"* {entry['title']}: too few test items ({entry['n']}) to say")
        else:
            lines.append(
                f"* {entry['title']}: {entry['value']:.3f} on test (n = {entry['n']}, 95 % "
                f"interval {entry['low']:.3f} to {entry['high']:.3f})"
            )
    calibration = measured["calibration"]
    if "reason" in calibration:
        lines.append(f"* Calibration: {calibration['reason']}")
    else:
        lines.append(f"* Calibration: {calibration['verdict']}")
    if measured["weighted_by"]:
        lines.append(
            "* Test items had unequal chances to be drawn: every figure counts each by the inverse "
            f"of its chance ({measured['weighted_by']})"
        )
    if measured["test_looks"]:
        lines.append(
            "* Evaluations that have read at least half of this test gold so far: "
            f"{measured['test_looks']}"
        )
    return "\n".join(lines)
