"""Why an item has its label: votes, probabilities, similar items, bag, cleaning and gold."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from app.components.markup import badge, bars, muted, section
from app.services.colors import NO_LABEL
from app.services.words import SOURCES
from pipelines.cards import BagCard, ItemCard, PartsCard, VoteCard
from pipelines.queries import RunView

__all__ = ["item", "label_line", "why"]

TEASER = 90  # characters of a similar text: one or two lines


def item(view: RunView, row: int, item_id: str) -> str:
    """Return the item itself: its picture with its sound, or its whole text."""
    seen = view.exhibit(row, large=True)
    if seen.words:
        return f'<div class="wl-text">{escape(seen.words)}</div>'
    player = f'<audio controls src="{seen.sound}"></audio>' if seen.sound else ""
    name = escape(item_id, True)
    return f'<img class="wl-picture" alt="item {name}" src="{seen.picture}">{player}'


def label_line(
    card: ItemCard, colors: Mapping[str, str], decision: tuple[str, str | None] | None
) -> str:
    """Return the label that counts now, how sure it is and where it comes from."""
    if decision is not None:
        action, label = decision
        if action == "exclude":
            return badge("excluded", NO_LABEL, large=True) + muted("A person took it out.")
        was = f"The run said {card.label or 'nothing'}." if label != card.label else ""
        return badge(label, colors.get(label or "", NO_LABEL), large=True) + muted(
            f"Decided by a person. {was}"
        )
    sure = "" if card.label is None else f"{card.confidence:.0%} sure · "
    return badge(card.label, colors.get(card.label or "", NO_LABEL), large=True) + muted(
        f"{sure}{SOURCES[card.source]} · item {card.item_id} · {card.split}"
    )


def why(
    view: RunView, card: ItemCard, colors: Mapping[str, str], accuracies: Mapping[str, str]
) -> str:
    """Return everything that spoke for or against the label.

    Parameters
    ----------
    accuracies
        LF name -> its accuracy on dev in words; shown beside each vote.
    """
    parts = []
    if card.issue is not None:
        doubt = f"Cleaning doubts {card.issue.label or 'the label'}"
        better = f" and suggests {card.issue.suggested}" if card.issue.suggested else ""
        parts.append(section("Doubt", muted(f"{doubt}{better} (score {card.issue.score:.2f}).")))
    votes = "".join(_vote(vote, colors, accuracies.get(vote.lf, "")) for vote in card.votes)
    parts.append(
        section(
            f"Votes ({len(card.votes)} of {len(view.lfs)} functions)",
            f'<div class="wl-votes">{votes}</div>' if votes else muted("No function votes here."),
        )
    )
    parts.append(section("Label model", bars(view.classes, card.weak, colors)))
    if card.classifier is not None:
        parts.append(section("Classifier", bars(view.classes, card.classifier, colors, top=3)))
    if card.neighbors:
        parts.append(section("Most similar items", _neighbors(view, card, colors)))
    if card.bag is not None:
        parts.append(section("Bag", muted(_bag(card.bag))))
    if card.parts is not None:
        parts.append(section("Its parts", _parts(card.parts)))
    if card.gold is not None:
        gold = badge(card.gold, colors.get(card.gold, NO_LABEL))
        parts.append(section("Gold (dev)", gold))
    if card.noisy_label is not None:
        parts.append(section("Label that came with the data", muted(card.noisy_label)))
    return f'<div class="wl-why">{"".join(parts)}</div>'


def _vote(vote: VoteCard, colors: Mapping[str, str], accuracy: str) -> str:
    sign, side = ("✓", "for") if vote.agrees else ("✕", "against")
    detail = " · ".join(escape(x) for x in (vote.description, accuracy) if x)
    return (
        f'<div class="wl-vote {side}"><span>{sign}</span><code>{escape(vote.lf)}</code>'
        f"{badge(vote.says, colors.get(vote.says, NO_LABEL))}"
        f'<span class="why">{detail}</span></div>'
    )


def _neighbors(view: RunView, card: ItemCard, colors: Mapping[str, str]) -> str:
    lines = ((n, view.exhibit(n.row)) for n in card.neighbors)
    if view.payload.kind == "text":
        return "".join(
            f'<div class="wl-near">{badge(n.label, colors.get(n.label or "", NO_LABEL))}'
            f"<span>{escape(' '.join(seen.words.split())[:TEASER])}</span>"
            f'<span class="wl-muted">{n.similarity:.2f}</span></div>'
            for n, seen in lines
        )
    figures = "".join(
        f'<figure title="{escape(n.item_id, True)}, similarity {n.similarity:.2f}">'
        f'<img alt="" src="{seen.picture}"><figcaption>'
        f'<i style="background:{colors.get(n.label or "", NO_LABEL)}"></i>'
        f"{escape(n.label or 'no label')}</figcaption></figure>"
        for n, seen in lines
    )
    return f'<div class="wl-neighbors">{figures}</div>'


def _bag(bag: BagCard) -> str:
    holds = {None: "has no label", True: "holds the positive class", False: "does not hold it"}
    score = "" if bag.score is None else f"; this item's own score is {bag.score:.2f}"
    says = "" if bag.says is None else f", so the bag votes {bag.says}"
    return f"{bag.bag_id} ({bag.n_items} items) {holds[bag.is_positive]}{score}{says}."


def _parts(parts: PartsCard) -> str:
    """Draw the parts of the highest score, of a text with their words, and what they come to."""
    best = "".join(
        f'<div class="wl-part" style="--score: {score:.2f}"><span>{score:.2f}</span>'
        f"<span>{escape(' '.join(words.split())[:TEASER])}</span></div>"
        for score, words in parts.best
    )
    says = "unclear, so no vote" if parts.says is None else f"votes {parts.says}"
    return best + muted(
        f"Seen through its parts, positive with probability {parts.probability:.2f}: {says}. "
        "Above, the highest scores of a part."
    )
