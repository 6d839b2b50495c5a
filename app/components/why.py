"""Why an item has its label: votes, probabilities, similar items, bag, cleaning and gold."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from app.components.markup import badge, bars, muted, section
from app.services.colors import NO_LABEL
from app.services.words import left_out
from pipelines.cards import BagCard, ItemCard, PartsCard, VoteCard
from pipelines.heat import Heat
from pipelines.queries import RunView
from pipelines.report.words import has_own_labels_alone, source_names
from pipelines.sections import NOISY_LABEL
from weaklight.words import counted

__all__ = ["item", "label_line", "legend", "why"]

TEASER = 90  # characters of a similar text: one or two lines


def item(view: RunView, row: int, item_id: str, heat: Heat | None = None) -> str:
    """Return the item itself, a picture with its sound or a whole text, under heat where given."""
    seen = view.exhibit(row, large=True)
    if seen.words:
        words = escape(seen.words) if heat is None else "".join(_piece(*p) for p in heat.pieces)
        return f'<div class="wl-text">{words}</div>'
    player = f'<audio controls src="{seen.sound}"></audio>' if seen.sound else ""
    name = escape(item_id, True) + ("" if heat is None else " under the scores of its parts")
    picture = seen.picture if heat is None else heat.picture
    return f'<img class="wl-picture" alt="item {name}" src="{picture}">{player}'


def legend(parts: PartsCard, heat: Heat) -> str:
    """Return what the shades over an item mean."""
    shade = "more orange" if parts.kind == "patches" else "stronger the shade"
    return muted(
        f"The {shade}, the higher the score of its {parts.kind}, here from "
        f"{heat.low:.2f} to {heat.high:.2f}. A score is {parts.meaning}."
    )


def label_line(
    view: RunView,
    card: ItemCard,
    colors: Mapping[str, str],
    decision: tuple[str, str | None] | None,
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
    sure = "" if card.label is None else f"{card.confidence:.0%} sure · ".replace("%", " %")
    source = source_names(view.lfs, view.bag_summary)[card.source]
    if card.source == "bag" and card.parts is not None:
        source = f"its {card.parts.kind}" if card.parts.is_positive is None else "its own bag label"
    return badge(card.label, colors.get(card.label or "", NO_LABEL), large=True) + muted(
        f"{sure}{source} · item {card.item_id} · {card.split}"
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
        scale = f"(score {card.issue.score:.2f}; 0 is surely wrong, 1 surely right)"
        parts.append(section("Doubt", muted(f"{doubt}{better} {scale}.")))
    votes = "".join(_vote(vote, colors, accuracies.get(vote.lf, "")) for vote in card.votes)
    if view.lfs:
        title, silent = (
            ("Vote", "It came with no label.")
            if has_own_labels_alone(view.lfs)
            else (
                f"Votes ({len(card.votes)} of {len(view.lfs)} functions)",
                "No function votes here.",
            )
        )
        drawn = f'<div class="wl-votes">{votes}</div>' if votes else muted(silent)
        parts.append(section(title, drawn))
    parts.append(section("Label model", bars(view.classes, card.weak, colors)))
    if card.classifier is not None:
        parts.append(section("Classifier", bars(view.classes, card.classifier, colors, top=3)))
    if card.neighbors or card.n_hidden:
        parts.append(section("Most similar items", _neighbors(view, card, colors)))
    if card.bag is not None:
        parts.append(section("Bag", _bag(view, card.bag, card.row)))
    if card.parts is not None:
        parts.append(section("Its parts", _parts(card.parts, _positive(view))))
    if card.gold is not None:
        gold = badge(card.gold, colors.get(card.gold, NO_LABEL))
        parts.append(section("Gold (dev)", gold))
    if card.noisy_label is not None and all(vote.lf != NOISY_LABEL for vote in card.votes):
        parts.append(section("Label that came with the data", muted(card.noisy_label)))
    return f'<div class="wl-why">{"".join(parts)}</div>'


def _piece(words: str, score: float | None) -> str:
    """Draw a piece of a text, tinted by its score."""
    if score is None:
        return escape(words)
    number = f"<small>{score:.2f}</small>"
    return f'<span class="wl-tint" style="--score: {score:.2f}">{number}{escape(words)}</span>'


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
    told = muted(left_out(card.n_hidden)) if card.n_hidden else ""
    if view.payload.kind == "text":
        similar = "".join(
            f'<div class="wl-near">{badge(n.label, colors.get(n.label or "", NO_LABEL))}'
            f"<span>{escape(' '.join(seen.words.split())[:TEASER])}</span>"
            f'<span class="wl-muted">{n.similarity:.2f}</span></div>'
            for n, seen in lines
        )
        return similar + told
    figures = "".join(
        f'<figure title="{escape(n.item_id, True)}, similarity {n.similarity:.2f}">'
        f'<img alt="" src="{seen.picture}"><figcaption>'
        f'<i style="background:{colors.get(n.label or "", NO_LABEL)}"></i>'
        f"{escape(n.label or 'no label')}</figcaption></figure>"
        for n, seen in lines
    )
    return f'<div class="wl-neighbors">{figures}</div>{told}'


def _bag(view: RunView, bag: BagCard, row: int) -> str:
    """Draw the bag's items of the highest scores, and what the bag comes to."""
    positive = _positive(view)
    labelled = {None: "has no label", True: f"is labelled {positive}"}
    known = labelled.get(bag.is_positive, f"is labelled not {positive}")
    score = "" if bag.score is None else f"; this item's own score is {bag.score:.2f}"
    says = "" if bag.says is None else f", so the bag votes {bag.says}"
    told = f"{bag.bag_id} ({counted(bag.n_items, 'item')}) {known}{score}{says}."
    if not bag.members:
        return muted(told)
    seen = [(m, view.exhibit(m.row)) for m in bag.members]
    if view.payload.kind == "text":
        drawn = "".join(_scored(m.score, s.words) for m, s in seen)
    else:
        figures = "".join(
            f'<figure title="{escape(m.item_id, True)}"{" class=wl-this" if m.row == row else ""}>'
            f'<img alt="" src="{s.picture}"><figcaption class="wl-tint" '
            f'style="--score: {m.score:.2f}">{m.score:.2f}</figcaption></figure>'
            for m, s in seen
        )
        drawn = f'<div class="wl-neighbors">{figures}</div>'
    return drawn + muted(f"{told} A score is {bag.meaning}. {left_out(bag.n_hidden)}")


def _positive(view: RunView) -> str:
    """Return the class or class set that labels of bags speak of."""
    return str(view.bag_summary.get("positive") or "positive")


def _parts(parts: PartsCard, positive: str) -> str:
    """Draw the parts of the highest score, of a text with their words, and what they come to."""
    best = "".join(_scored(score, words) for score, words in parts.best)
    says = "unclear, so no vote" if parts.says is None else f"votes {parts.says}"
    if parts.is_positive is not None:
        known = positive if parts.is_positive else f"not {positive}"
        says = f"not asked, for its bag label says {known}, which is what it votes"
    return best + muted(
        f"Seen through its parts, {positive} with probability {parts.probability:.2f}: {says}. "
        f"Above, the highest scores of its {parts.kind}. A score is {parts.meaning}."
    )


def _scored(score: float, words: str) -> str:
    """Draw a score and the start of the words that got it."""
    return (
        f'<div class="wl-part" style="--score: {score:.2f}"><span>{score:.2f}</span>'
        f"<span>{escape(' '.join(words.split())[:TEASER])}</span></div>"
    )
