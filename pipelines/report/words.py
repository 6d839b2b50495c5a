"""Numbers as words: every sentence of the report that depends on what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.sections import NOISY_LABEL
from weak_supervision.names import model_name
from weaklight.words import counted

__all__ = [
    "comparison_words",
    "gain_words",
    "guess_words",
    "has_functions",
    "has_own_labels_alone",
    "headline_sentence",
    "interval",
    "model_name",
    "percent",
    "points",
    "share",
    "source_names",
    "what_was_done",
]

MIN_ROWS = 20  # as weak_supervision.evaluation.MIN_ROWS: below this a number would mislead
MIN_GUESSED = 0.1  # below this share guesses move an accuracy less than chance does
MOSTLY_GUESSED = 0.5
Numbers = Mapping[str, Any]


def percent(value: float | None, digits: int = 1) -> str:
    """Return 0.8125 as ``81.2 %``, a missing value as a dash."""
    return "\N{EN DASH}" if value is None or value != value else f"{100 * value:.{digits}f} %"


def interval(measured: Numbers) -> str:
    """Return the 95 % interval as ``79.1 to 83.1 %``; empty where there is none."""
    low, high = measured.get("low"), measured.get("high")
    if low is None or high is None or low != low:
        return ""
    return f"{100 * low:.1f} to {100 * high:.1f} %"


def share(measured: Numbers, of: str, claim: str) -> str:
    """Return ``66.7 % of the wrong labels are doubted (48.8 to 80.8 %, n=30)``, or "too few"."""
    if measured["n"] < MIN_ROWS:
        return f"too few {of} ({measured['n']}) to say how many {claim}"
    value, n = percent(measured["value"]), measured["n"]
    return f"{value} of the {of} {claim} ({interval(measured)}, n={n:,})"


def points(difference: float) -> str:
    """Return a difference of accuracies as ``+3.1 points``, with a real minus sign."""
    return f"{_signed(difference)} points"


def _signed(difference: float) -> str:
    return f"{100 * difference:+.1f}".replace("-", "\N{MINUS SIGN}")


def comparison_words(compared: Numbers) -> str:
    """Return the outcome of a paired comparison; says so where nothing is clear."""
    if "reason" in compared:
        return f"not measured: {compared['reason']}"
    if compared["n"] < MIN_ROWS:
        return f"too few test items ({compared['n']}) to say"
    span = f"{_signed(compared['low'])} to {_signed(compared['high'])}"
    return f"{compared['verdict']}: {points(compared['difference'])} ({span})"


def gain_words(step: Numbers) -> str:
    """Return what a step gained or lost, ``gained 3.1 points (1.2 to 5.0)``; or why nothing."""
    if "reason" in step:
        return str(step["reason"])
    if step["n"] < MIN_ROWS:
        return f"too few test items ({step['n']}) to say"
    change, low, high = (step[f"difference{end}"] for end in ("", "_low", "_high"))
    if step["verdict"] == "no clear difference":
        return f"no clear change: {points(change)} ({_signed(low)} to {_signed(high)})"
    if change < 0:
        change, low, high = -change, -high, -low
    word = "gained" if step["verdict"] == "better" else "lost"
    return f"{word} {points(change)[1:]} ({100 * low:.1f} to {100 * high:.1f})"


def guess_words(measured: Numbers) -> str:
    """Return how many labels behind an accuracy no evidence made; empty where they are few."""
    guessed = measured.get("guessed") or 0.0
    return f"{percent(guessed, 0)} guessed: no vote, or a tie" if guessed >= MIN_GUESSED else ""


def source_names(lfs: Sequence[Numbers], bags: Numbers) -> dict[str, str]:
    """Return what gave an item its weak label, in words, by the source's key.

    Parameters
    ----------
    lfs
        The voters of the run; none where bags or people alone say what items are.
    bags
        The summary of the ``bags`` stage; empty where a run had none.
    """
    votes = "the functions' votes"
    if any(lf["name"] == NOISY_LABEL for lf in lfs):
        votes = "the label it came with" if has_own_labels_alone(lfs) else "the votes"
    bag = "the bag it lies in"
    if (parts := bags.get("instances", "items")) != "items":
        known = bags.get("labels") == "known"
        bag = f"its own bag label, or its {parts}" if known else f"its {parts}"
    elif bags.get("n_bags") and bags["n_bags"] == bags.get("n_instances"):
        bag = "its own bag label"
    return {
        "human": "a person",
        "votes": votes,
        "features": "similar items (features)",
        "bag": bag,
        "student": "a student of the other labels",
        "none": "no evidence yet",
    }


def headline_sentence(evaluation: Numbers) -> str:
    """Return what a reader should take away, and no more than the intervals allow."""
    by_key = {entry["key"]: entry for entry in evaluation["headline"]}
    classifier = by_key["classifier_accuracy"]
    if classifier["value"] is None:
        same = next(a for a in evaluation["agreement"] if a["key"] == "classifier_weak")
        return (
            f"There is no gold on test, so nothing here is an accuracy: the classifier agrees with "
            f"{percent(same['value'])} of the weak labels. Label some test items to learn more."
        )
    if classifier["n"] < MIN_ROWS:
        few = f"Only {classifier['n']} test items have gold, too few for a number"
        if evaluation["weighted_by"]:
            return f"{few}."
        n_right = round(classifier["value"] * classifier["n"])
        return f"{few}: the classifier is right on {n_right} of them."
    items = f"{classifier['n']:,} test items"
    if evaluation["weighted_by"]:
        items = f"the items that {items} stand for"
    sentence = (
        f"The classifier is right on {percent(classifier['value'])} of {items} "
        f"({interval(classifier)})"
    )
    by_hand = by_key.get("gold_only_accuracy_all", {}).get("n_by_hand")
    guess = by_key.get("majority_vote_accuracy", {}).get("guessed") or 0.0
    rivals = {
        c["second"]: c["second_title"]
        for c in evaluation["comparisons"]
        if c["second"] == "commonest"
    }
    if guess <= MOSTLY_GUESSED:  # to beat guesses says nothing
        guesses = f" (which guesses on {percent(guess, 0)})" if guess >= MIN_GUESSED else ""
        rivals["majority_vote"] = f"majority vote{guesses}"
    if by_hand:
        rivals["gold_only_accuracy_all"] = f"training on the {by_hand:,} hand labels alone"
    clear, unclear = [], []
    for compared in evaluation["comparisons"]:
        rival = rivals.get(compared["second"])
        if compared["first"] != "classifier" or rival is None or "reason" in compared:
            continue
        if compared["verdict"] == "no clear difference":
            unclear.append(rival)
        else:
            size = f"{abs(100 * compared['difference']):.1f} points"
            clear.append(f"{size} {compared['verdict']} than {rival}")
    if unclear:
        clear.append(f"not clearly different from {' or '.join(unclear)}")
    return f"{sentence}: {' and '.join(clear)}." if clear else f"{sentence}."


def _bags_sentence(bags: Numbers) -> str:
    if bags["instances"] == "items":
        return (
            f"{bags['n_bags']:,} bags with one label each added votes on {bags['n_votes']:,} items."
        )
    if bags["labels"] == "known":
        others = bags["n_votes"] - bags["n_labelled"]
        return (
            f"{counted(bags['n_labelled'], 'item')} came with a label of the whole, which votes. "
            f"A classifier by their {bags['instances']}, taught by those, added votes on "
            f"{counted(others, 'other item')} of which it was sure."
        )
    return (
        f"A classifier of whole items by their {bags['instances']}, taught by "
        f"{bags['labels']} labels, added votes on {bags['n_votes']:,} items that it had not seen."
    )


def what_was_done(facts: Numbers) -> list[str]:
    """Return the run in four or five short sentences, in order."""
    rows, lfs = facts["evaluation"]["rows"], facts["lfs"]
    labels, cleaning = facts["weak_labels"], facts["cleaning"]
    lines = []
    if lfs:
        lines.append(f"{_voters(lfs)} voted on {rows['voted']:,} of {rows['items']:,} items.")
    if facts["bags"].get("n_votes"):
        lines.append(_bags_sentence(facts["bags"]))
    lines.append(
        f"What was said became weak labels by {model_name(facts['choice']['chosen'])}, chosen "
        "without looking at gold."
    )
    n = cleaning["n_issues"]
    contradict = "that the features contradict"
    some = counted(n, f"label {contradict} was", f"labels {contradict} were")
    lines.append(f"{some} marked as doubtful." if n else "No label contradicts the features.")
    people = labels["by_source"].get("human", 0)
    beside = f" and {counted(people, 'label')} that people gave" if people else ""
    lines.append(f"A classifier learnt from the weak labels{beside}; {_use_of_gold(rows)}.")
    return lines


def has_functions(lfs: Sequence[Numbers]) -> bool:
    """Return whether people wrote any of the voters."""
    return any(lf["name"] != NOISY_LABEL for lf in lfs)


def has_own_labels_alone(lfs: Sequence[Numbers]) -> bool:
    """Return whether the only voter is the labels that the items came with."""
    return [lf["name"] for lf in lfs] == [NOISY_LABEL]


def _voters(lfs: Sequence[Numbers]) -> str:
    """Return who voted: functions, the labels that the items came with, or both."""
    n_written = sum(lf["name"] != NOISY_LABEL for lf in lfs)
    came = "the labels that the items came with, right or wrong,"
    if has_own_labels_alone(lfs):
        return came.capitalize()
    written = f"{counted(n_written, 'labelling function')}, written by people,"
    return written if n_written == len(lfs) else f"{written} and {came}"


def _use_of_gold(rows: Numbers) -> str:
    if not rows["dev_gold"] and not rows["test_gold"]:
        return "there was no gold to tune or to measure it by"
    tuned = "gold of dev tuned it" if rows["dev_gold"] else "there was no gold to tune it by"
    measured = "gold of test measured it" if rows["test_gold"] else "none of test measured it"
    return f"{tuned}, {measured}, and neither taught it"
