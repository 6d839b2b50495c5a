"""Rules that need a little Python: two signs together, or a count over whole columns."""

import re

from labeling_functions import labeling_function

OFFER = re.compile(
    r"\b(free|offer|price|discount|save|guarantee\w*|bonus|win|winner|prize)\b", re.I
)
FIRST_PERSON = re.compile(r"\b(I|I'm|I've|I'd|I'll|my)\b")
LINK = re.compile(r"https?://(\d{1,3}\.){3}\d{1,3}")


@labeling_function()
def link_without_a_name(item):
    """Spam: a link leads to a bare number instead of a name."""
    if LINK.search(item.text):
        return "spam"


@labeling_function()
def offer_in_the_subject(item):
    """Spam: the subject makes an offer, shouts or names money."""
    subject = item.text.split("\n", 1)[0]
    if subject.startswith(("Re:", "RE:", "Fwd:")):
        return None
    if OFFER.search(subject) or "$" in subject or subject.rstrip().endswith("!"):
        return "spam"


@labeling_function()
def is_an_answer(item):
    """Ham: the subject says that it answers an e-mail."""
    if re.match(r"(re|aw|sv)(\[\d+\])?:", item.text.lower()):
        return "ham"


@labeling_function(columns=["text", "n_words"], vote="ham")
def speaks_of_itself(text, n_words):
    """Ham: the writer says I and my as often as people do."""
    said = text.map(lambda t: len(FIRST_PERSON.findall(t)))
    return (said >= 3) & (said / n_words > 0.02)


@labeling_function(columns=["n_urls", "n_exclamations", "n_words"], vote="spam")
def links_and_cries(n_urls, n_exclamations, n_words):
    """Spam: links and exclamation marks in a short text."""
    return (n_urls >= 1) & (n_exclamations >= 2) & (n_words < 400)


@labeling_function()
def ends_with_a_name(item):
    """Ham: closes as people do, with a greeting or a dash and a name."""
    tail = item.text.strip().split("\n\n")[-1][-160:]
    if (
        re.search(
            r"^(cheers|regards|thanks|best|bye|later|ciao|--? ?[A-Z][a-z]+|- ?[a-z]{2,10}$)",
            tail,
            re.I | re.M,
        )
        and item.n_exclamations < 3
    ):
        return "ham"
