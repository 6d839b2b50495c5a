"""Which rules to suggest: judged where they were not found, and different from what is there.

Try it: ``weaklight lf suggest``.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labeling_functions.apply import apply_lfs
from labeling_functions.suggest import clusters, ngrams, prototypes, stumps
from labeling_functions.suggest.material import Material, Propose
from labeling_functions.templates import toml
from weaklight.contracts import ABSTAIN, Votes
from weaklight.errors import DataError
from weaklight.intervals import Proportion, wilson
from weaklight.seeds import derive_seed, numpy_generator
from weaklight.words import nearest

__all__ = ["PROPOSERS", "Advice", "Suggestion", "suggest"]

PROPOSERS: dict[str, Propose] = {
    "ngrams": ngrams.propose,
    "stumps": stumps.propose,
    "clusters": clusters.propose,
    "prototypes": prototypes.propose,
}
MIN_GOLD_ROWS = 20
FAMILY_ERROR = 0.05  # chance that any rule no better than guessing passes
NEAR_COPY = 0.7  # Jaccard overlap of the items voted on, for the same vote


@dataclass(frozen=True)
class Suggestion:
    """A rule that a person may accept.

    Attributes
    ----------
    table : the ``[[lf]]`` table that declares it, for ``templates.toml``
    source : the kind of search that found it
    judged : right votes of all votes, on held-back dev rows
    coverage : share of the held-back dev rows on which it votes
    new : share of all items on which it votes and nothing before it did
    """

    table: Mapping[str, Any]
    source: str
    judged: Proportion
    coverage: float
    new: float


@dataclass(frozen=True)
class Advice:
    """Suggestions, best first, and how many rules were judged to find them."""

    suggestions: list[Suggestion]
    n_judged: int
    n_passed: int
    n_gold: int

    @property
    def caution(self) -> str:
        """What choosing the best of many does to the numbers, in plain words."""
        n_left = self.n_passed - len(self.suggestions)
        left = f"; {n_left} of these nearly copy others or add least, and are not shown"
        return (
            f"{self.n_judged} rules were found on one half of the {self.n_gold} dev items and "
            f"judged on the other half; {self.n_passed} of them kept what they promised there, "
            f"and beat guessing by a margin that allows for {self.n_judged} looks"
            f"{left if n_left else ''}. The best of many look better than they are: each interval "
            "holds for its rule alone, so expect results nearer to its lower end, and look at "
            "fresh items before you trust a rule."
        )


@dataclass(frozen=True)
class _Judged:
    table: Mapping[str, Any]
    source: str
    hits: NDArray[np.bool_]  # (n,)
    value: int
    judged: Proportion
    n_held_back: int


def suggest(
    material: Material,
    present: Votes,
    *,
    names: Sequence[str] = (),
    kinds: Sequence[str] = tuple(PROPOSERS),
    top: int = 10,
    precision: float = 0.8,
    seed: int = 0,
) -> Advice:
    """Suggest up to ``top`` LFs.

    Parameters
    ----------
    present : (n, m) int16
        Votes of the LFs that exist, on the same items.
    names
        Their names; a suggestion gets another one.
    precision
        Share of right votes that a rule must reach where it is found.

    Raises
    ------
    DataError
        If fewer than 20 items have gold, or a kind is unknown.

    Notes
    -----
    Cross-fitted: dev is halved at random within each class; rules found on either half are judged
    on the other. A rule passes if its 95 % Wilson interval there reaches ``precision``, and if the
    lower bound at a level divided by the number of rules judged (Bonferroni) lies above the share
    of the class among dev items. Then greedily by worth: lower bound above chance, times what the
    vote says (minus the log of the share of the class: "footwear" says less than "boot"), times
    the items it votes on, where an item that already has v votes counts 2^-v.
    """
    unknown = [kind for kind in kinds if kind not in PROPOSERS]
    if unknown:
        raise DataError(
            f"expected kinds among {', '.join(PROPOSERS)}, but came {unknown[0]!r}"
            f"{nearest(unknown[0], PROPOSERS)}"
        )
    is_dev = material.gold >= 0
    if is_dev.sum() < MIN_GOLD_ROWS:
        raise DataError(
            f"suggestions need gold on {MIN_GOLD_ROWS} dev items or more, but there are "
            f"{int(is_dev.sum())}; label some (`weaklight gold plan` says how many), or, where the "
            "source has hand labels, write dev into the split column of some of those rows "
            "(`weaklight import csv` draws them)"
        )
    halves = _halves(material.gold, seed)
    judged: dict[str, _Judged] = {}
    for found_on, held_back in (halves, halves[::-1]):
        for kind in kinds:
            tables = PROPOSERS[kind](
                material, found_on, precision, derive_seed(seed, "suggest", kind)
            )
            for rule in _judge(tables, kind, material, held_back):
                known = judged.get(repr(rule.table))
                if known is None or rule.judged.interval < known.judged.interval:
                    # found on both halves: the worse judgement counts
                    judged[repr(rule.table)] = rule
    passed = [
        rule
        for rule in judged.values()
        if rule.judged.interval[1] >= precision and _beats_chance(rule, material, len(judged))
    ]
    chosen = _diverse(passed, present, material, top)
    taken = set(names)
    suggestions = []
    for rule, new in chosen:
        name = _name(rule.table, taken)
        taken.add(name)
        table = {"name": name, **rule.table, "tags": ["suggested"]}
        coverage = rule.judged.n / rule.n_held_back
        suggestions.append(Suggestion(table, rule.source, rule.judged, coverage, new))
    return Advice(suggestions, len(judged), len(passed), int(is_dev.sum()))


def _halves(gold: NDArray[np.int64], seed: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return two (n,) masks that share the rows of each class evenly between them."""
    shuffled = numpy_generator(seed, "suggest halves").permutation(np.flatnonzero(gold >= 0))
    by_class = shuffled[np.argsort(gold[shuffled], kind="stable")]
    first, second = np.zeros(len(gold), bool), np.zeros(len(gold), bool)
    first[by_class[::2]] = True
    second[by_class[1::2]] = True
    return first, second


def _judge(
    tables: Sequence[Mapping[str, Any]],
    source: str,
    material: Material,
    held_back: NDArray[np.bool_],
) -> list[_Judged]:
    """Let the rules vote together, as they would in a run, and count on the rows held back."""
    votes = apply_lfs(
        [toml.from_dict({"name": f"candidate_{j}", **t}) for j, t in enumerate(tables)],
        material.table,
        classes=material.ballot.classes,
        class_sets=material.ballot.class_sets,
        features=material.features,
        workers=0,
    ).votes
    found = []
    for table, column in zip(tables, votes.T, strict=True):
        hits, value = column != ABSTAIN, material.ballot.read(table["vote"])
        right = int((hits & held_back & material.fits[:, value]).sum())
        judged = Proportion(right, int((hits & held_back).sum()))
        found.append(_Judged(table, source, hits, value, judged, int(held_back.sum())))
    return found


def _beats_chance(rule: _Judged, material: Material, n_judged: int) -> bool:
    low, _ = wilson(rule.judged.successes, rule.judged.n, 1 - FAMILY_ERROR / n_judged)
    return low > _chance(rule, material)


def _chance(rule: _Judged, material: Material) -> float:
    """Return how often a vote for this class would be right if it fell on any dev item."""
    return float(material.fits[material.gold >= 0, rule.value].mean())


def _diverse(
    rules: Sequence[_Judged], present: Votes, material: Material, top: int
) -> list[tuple[_Judged, float]]:
    """Return up to ``top`` rules, each with its share of items that nothing voted on before."""
    same_vote: list[tuple[int, NDArray[np.bool_]]] = [
        (value, column == value)
        for column in present.T
        for value in np.unique(column[column != ABSTAIN]).tolist()
    ]
    rules = [rule for rule in rules if not _is_near_copy(rule, same_vote)]
    n_votes = (present != ABSTAIN).sum(axis=1)
    chosen: list[tuple[_Judged, float]] = []
    while rules and len(chosen) < top:
        weight = 0.5**n_votes
        worth = [_information(rule, material) * weight[rule.hits].sum() for rule in rules]
        best = rules[int(np.argmax(worth))]
        if max(worth) <= 0:
            break
        chosen.append((best, float((best.hits & (n_votes == 0)).mean())))
        n_votes = n_votes + best.hits
        same_vote.append((best.value, best.hits))
        rules = [rule for rule in rules if not _is_near_copy(rule, same_vote[-1:])]
    return chosen


def _information(rule: _Judged, material: Material) -> float:
    """Return what one vote of this rule is worth, by the lower bound of its precision."""
    chance = _chance(rule, material)
    return -(rule.judged.interval[0] - chance) * math.log(max(chance, 1 / len(material.gold)))


def _is_near_copy(rule: _Judged, others: Sequence[tuple[int, NDArray[np.bool_]]]) -> bool:
    for value, hits in others:
        either = (rule.hits | hits).sum()
        if value == rule.value and either and (rule.hits & hits).sum() / either >= NEAR_COPY:
            return True
    return False


def _name(table: Mapping[str, Any], taken: set[str]) -> str:
    """Return a name that says what the rule is about, such as ``trouser_by_aspect_leg_gap``."""
    if "words" in table:
        about = " ".join(table["words"])
    elif "conditions" in table:
        about = " ".join(condition["column"] for condition in table["conditions"])
    else:
        about = table.get("column", "examples")
    stem = re.sub(r"\W+", "_", f"{table['vote']} by {about}".lower()).strip("_")
    numbered = (f"{stem}_{number}" for number in itertools.count(2))
    return next(name for name in itertools.chain([stem], numbered) if name not in taken)
