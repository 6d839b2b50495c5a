"""Why a choice was made, for readers who know no statistics: sentences from rows of evidence.

Agreement above chance, 0.156, reads "15.6 more of 100 items than guessing would".

Try it: ``print(choose(votes, n_classes=3, features=features).reason)``.
"""

from __future__ import annotations

from weak_supervision.candidates import FILLED, JOINT, SPREAD
from weak_supervision.evidence import LEVEL
from weak_supervision.judging import BASELINE, Row, agrees, fits_neighbors, number_of, wins
from weak_supervision.names import model_name

__all__ = ["features_words", "model_words", "steady_words", "unanimous_words"]

_WITH = {
    SPREAD: "When labels are spread over the features",
    FILLED: "When the features answer where nothing votes",
    JOINT: "When votes and features teach each other",
}


def model_words(rival: Row | None, model: str, *, n_groups: int, is_taught: bool) -> str:
    """Say which label model was chosen, and by what.

    Parameters
    ----------
    rival
        Evidence on the best rival of majority vote; None where nothing could be compared.
    model
        Name of the one that was chosen.
    n_groups
        Groups of alike LFs that were left out in turn.
    is_taught
        Whether classifiers that the labels teach were compared, and not the labels themselves.
    """
    if rival is None:
        return (
            "Majority vote stays, because there was nothing to compare by: without hand labels, "
            "some voters are set aside and the labels made from the others have to predict what "
            "those say, "
            + (
                "but here there is one voter, or all say mostly the same."
                if n_groups < 2
                else f"but none of these {n_groups} groups of alike ones can be set aside while "
                "others still vote on its items."
            )
        )
    verdict = _verdict(rival)
    if wins(rival) and not fits_neighbors(rival):
        verdict = "surely better, but similar items get different labels more often"
    by, than_by = (
        ("Taught by the labels of majority vote, a classifier predicts", "taught by those of")
        if is_taught
        else ("The labels of majority vote predict", "those of")
    )
    return (
        "No hand label had a say: some voters were set aside, and the labels made from the "
        "others had to predict what those say. Voters that mostly say the same were set aside "
        f"together, in {n_groups} groups. {by} {_of_100(rival['compared_before'])} more of 100 "
        f"items than guessing would; {than_by} {model_name(str(rival['name']))}, the best rival, "
        f"{_of_100(rival['compared'])}. That is {_gain(rival)}: {verdict}. "
        f"So {model_name(model)} {'stays' if model == BASELINE else 'was chosen'}."
    )


def features_words(best: Row, *, is_used: bool) -> str:
    """Say whether the features are used, and by what.

    Parameters
    ----------
    best
        Evidence on the best of what features make of the labels.
    is_used
        Whether it was chosen.
    """
    name = str(best["name"])
    before, after = best["compared_before"], best["compared"]
    change = (
        "what the labels themselves predict can be compared only in part"
        if before is None or after is None
        else f"the labels themselves predict {_of_100(after)} more of 100 items than guessing, "
        f"instead of {_of_100(before)}"
    )
    verdict = _verdict(best)
    if not is_used and verdict == "surely better":
        verdict = "better on the whole, but perhaps worse on the items that have votes"
    return (
        f" {_WITH[name if name == JOINT else '+' + name.partition('+')[2]]}, {change}. "
        f"That is {_gain(best)}: {verdict}. "
        f"So the features are {'used' if is_used else 'left out'}."
    )


def steady_words(row: Row) -> str:
    """Say how many labels of the chosen candidate stay, nothing where that was not measured."""
    if row["stability"] is None or row["seed_stability"] is None:
        return ""
    return (
        f" Of 100 of its labels, {_of_100(row['stability'])} stay when voters are set aside, "
        f"and {_of_100(row['seed_stability'])} with another random seed."
    )


def unanimous_words(n_overruled: int) -> str:
    """Say how many labels contradict voters that agree with one another."""
    if n_overruled:
        differ, listed = (
            ("label differs", "this item is listed")
            if n_overruled == 1
            else ("labels differ", "these items are listed")
        )
        return (
            f" {n_overruled:,} {differ} from what two or more voters say with one voice; {listed}."
        )
    return " No label differs from what two or more voters say with one voice."


def _gain(row: Row) -> str:
    """Return ``3.1 more of 100, at worst 1.2 more (99 % sure)``."""
    gain, low = number_of(row["gain"]), number_of(row["gain_low"])
    return f"{_more(gain)} of 100, at worst {_more(low)} ({LEVEL:.0%} sure)".replace("%", " %")


def _verdict(row: Row) -> str:
    if number_of(row["gain_low"]) <= 0:
        return "not surely better"
    if not agrees(row):
        return "better, but perhaps no better than guessing"
    return (
        "surely better" if wins(row) else "better, but another random seed changes more than that"
    )


def _more(share: float) -> str:
    return f"{100 * abs(share):.1f} {'fewer' if share < 0 else 'more'}"


def _of_100(share: float | str | None) -> str:
    return f"{100 * number_of(share):.1f}"
