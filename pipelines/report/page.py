"""Turn the numbers of ``report.json`` into one HTML page: charts, tables, words, no script.

Every string is escaped by the template engine; only the charts of :mod:`pipelines.report.charts`,
which escape for themselves, go in as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from pipelines.heat import score_meaning
from pipelines.report import charts, words
from weaklight.words import counted

__all__ = ["render"]

_FIRST_TABLE = (
    "majority_vote_accuracy",
    "posterior_accuracy",
    "classifier_accuracy",
    "hand_only_accuracy",  # only where labels by hand teach
    "gold_only_accuracy_100",
    "gold_only_accuracy_all",
)
_CHOICE_COLUMNS = {
    "agreement": "Agrees with left-out voters, above chance",
    "against": "Judged against",
    "gain": "Gain over that one",
    "gain_low": "Its lower bound",
    "gain_voted_low": "The same where there are votes",
    "neighbor_agreement": "Neighbours share the label",
    "stability": "Label stays with a group of voters left out",
    "seed_stability": "Label stays with another seed",
    "coverage": "Covered",
}


def render(facts: Mapping[str, Any], pictures: Mapping[str, Sequence[Any]]) -> str:
    """Return the page.

    Parameters
    ----------
    facts
        What ``report.json`` holds.
    pictures
        ``right``, ``wrong`` and ``doubted``: lists of {``src``: PNG data URI, ``title``,
        ``lines``: list of (word, value)}; ``neighbors``: lists of those, the query first;
        ``attention`` and ``groups``: see :func:`pipelines.report.features.patch_pictures`;
        ``heat`` and ``bags``: see :mod:`pipelines.report.heat`.

    Returns
    -------
    HTML text without any outside reference; equal inputs give equal text.
    """
    folder = resources.files("pipelines.report")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "percent": words.percent,
        "interval": words.interval,
        "points": words.points,
        "model_name": words.model_name,
        "comparison": words.comparison_words,
        "gain": words.gain_words,
        "guess": words.guess_words,
        "counted": counted,
        "score_meaning": score_meaning,
        "share": words.share,
    }
    environment.globals |= {
        "bar": charts.interval_bar,
        "min_rows": words.MIN_ROWS,
    }
    template = environment.from_string(folder.joinpath("report.html").read_text(encoding="utf-8"))
    evaluation = facts["evaluation"]
    by_key = {entry["key"]: entry for entry in evaluation["headline"]}
    return template.render(
        css=Markup(folder.joinpath("report.css").read_text(encoding="utf-8")),
        facts=facts,
        evaluation=evaluation,
        word=evaluation["word"],
        headline=by_key,
        first_table=[by_key[key] for key in _FIRST_TABLE if key in by_key],
        ranges=_ranges(evaluation["sensitivity"]),
        sources=words.source_names(facts["lfs"], facts["bags"]),
        has_functions=words.has_functions(facts["lfs"]),
        own_labels_alone=words.has_own_labels_alone(facts["lfs"]),
        choice_columns=_choice_columns(facts["choice"]["candidates"]),
        pictures=pictures,
        chart=_charts(facts),
    )


def _ranges(sensitivity: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Return the lowest and highest accuracy under all changes, by the title of what changed."""
    ranges: dict[str, dict[str, float]] = {}
    for found in sensitivity:
        if found["low"] is not None:
            known = ranges.get(found["title"], found)
            low, high = min(known["low"], found["low"]), max(known["high"], found["high"])
            ranges[found["title"]] = {"low": low, "high": high}
    return ranges


def _choice_columns(candidates: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    return [
        {"key": key, "title": title}
        for key, title in _CHOICE_COLUMNS.items()
        if candidates
        and all(key in candidate for candidate in candidates)
        and any(_is_told(candidate, key) for candidate in candidates)
    ]


def _is_told(candidate: Mapping[str, Any], key: str) -> bool:
    """Return whether a cell says something; a rival without a gain was compared with nobody."""
    return candidate["gain" if key == "against" else key] is not None


def _charts(facts: Mapping[str, Any]) -> dict[str, Markup | None]:
    """Draw what can be drawn; None where there is nothing to draw."""
    evaluation, history = facts["evaluation"], facts["encoder"]["steps"]
    drawn: dict[str, Markup | None] = dict.fromkeys(
        ("steps", "confusion", "calibration", "crossover", "training")
    )
    if evaluation["rows"]["test_gold"] >= words.MIN_ROWS:
        drawn["steps"] = charts.step_chart(_staircase(facts))
    if "bins" in (calibrated := evaluation["calibration"]):
        drawn["calibration"] = charts.calibration_chart(
            [
                (b["confidence"], b["value"], b["band_low"], b["band_high"], b["n"])
                for b in calibrated["bins"]
            ]
        )
    if evaluation["classifier"]["per_class"] and any(
        map(any, evaluation["classifier"]["confusion"])
    ):
        drawn["confusion"] = charts.confusion_chart(
            evaluation["classes"],
            evaluation["classifier"]["confusion"],
            evaluation["classifier"]["confusion_shares"] if evaluation["weighted_by"] else None,
        )
    crossover = evaluation["crossover"]
    if "points" in crossover:
        weak = crossover["weak"]
        drawn["crossover"] = charts.crossover_chart(
            [(p["size"], p["mean"], p["low"], p["high"]) for p in crossover["points"]],
            (weak["value"], weak["low"], weak["high"]),
        )
    if history:
        drawn["training"] = charts.training_chart(
            *([(h["step"], h[key]) for h in history] for key in ("loss", "std", "rank_share"))
        )
    return drawn


def _staircase(facts: Mapping[str, Any]) -> list[charts.StepPoint]:
    """Return the steps that led to the classifier, all measured on all items."""
    steps = {step["key"]: step for step in facts["evaluation"]["steps"]}
    base, _, features = facts["choice"]["chosen"].partition("+")
    path = [("majority_vote", "Majority vote")]
    if base != "majority_vote":
        path.append((base, words.model_name(base, start=True)))
    if features:
        path.append((facts["choice"]["chosen"], "With the features"))
    if facts["choice"]["hybrid"]:
        path.append(("chosen", "Pseudo-labels"))
    path.append(("classifier", "Classifier"))
    return [
        charts.StepPoint(
            label,
            steps[key]["test"]["overall"]["value"],
            steps[key]["test"]["overall"]["low"],
            steps[key]["test"]["overall"]["high"],
            steps[key]["dev"]["overall"]["value"],
        )
        for key, label in path
    ]
