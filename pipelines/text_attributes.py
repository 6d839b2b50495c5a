"""Measure what a reader sees of a text before reading it: length, links, numbers, shouting.

Try it: ``dict(zip(ATTRIBUTES, measure("WIN $500 now!!! http://win.example")))``.
"""

from __future__ import annotations

import re

__all__ = ["ATTRIBUTES", "measure"]

ATTRIBUTES: dict[str, str] = {
    "n_characters": "Characters of the text.",
    "n_words": "Words, split at white space.",
    "n_lines": "Lines that are not blank.",
    "n_paragraphs": "Paragraphs: parts set apart by a blank line.",
    "n_urls": "Web addresses: http://..., https://... or www....",
    "n_emails": "E-mail addresses.",
    "n_digits": "Digits.",
    "n_numbers": "Numbers: runs of digits.",
    "n_exclamations": "Exclamation marks.",
    "n_questions": "Question marks.",
    "n_currency": "Signs of money: $, euro, pound, yen.",
    "n_shouted": "Words of three letters or more in capitals alone.",
    "digit_share": "Digits, as a share of the characters.",
    "upper_share": "Capital letters, as a share of the letters.",
    "punctuation_share": "Characters that are neither letter, digit nor white space, as a share.",
    "non_ascii_share": "Characters beyond plain ASCII, as a share.",
    "quoted_share": "Lines that start with > or |, as answers quote, as a share of the lines.",
    "distinct_share": "Different words, as a share of the words; low where a text repeats itself.",
    "word_length": "Mean length of a word in characters.",
    "line_length": "Mean length of a line in characters.",
}

_URL = re.compile(r"\b(?:https?://|www\.)\S", re.IGNORECASE)
_EMAIL = re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)*")
_NUMBER = re.compile(r"\d+")
_CURRENCY = re.compile(r"[$\N{EURO SIGN}\N{POUND SIGN}\N{YEN SIGN}]")
_SHOUTED = re.compile(r"\b[^\W\d_a-z]{3,}\b")


def measure(text: str) -> list[float]:
    """Return the values of ``ATTRIBUTES`` in their order; O(characters).

    Examples
    --------
    >>> values = dict(zip(ATTRIBUTES, measure("WIN $500 now!!! http://win.example"), strict=True))
    >>> values["n_urls"], values["n_exclamations"], values["n_shouted"], values["n_digits"]
    (1, 3, 1, 3)
    """
    words = text.split()
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    letters = sum(map(str.isalpha, text))
    digits = sum(map(str.isdigit, text))
    spaces = sum(map(str.isspace, text))
    length = max(len(text), 1)
    return [
        len(text),
        len(words),
        len(lines),
        sum(1 for part in re.split(r"\n\s*\n", text) if part.strip()),
        len(_URL.findall(text)),
        len(_EMAIL.findall(text)),
        digits,
        len(_NUMBER.findall(text)),
        text.count("!"),
        text.count("?"),
        len(_CURRENCY.findall(text)),
        sum(word.isupper() for word in _SHOUTED.findall(text)),
        digits / length,
        sum(map(str.isupper, text)) / max(letters, 1),
        (len(text) - letters - digits - spaces) / length,
        sum(ord(c) > 127 for c in text) / length,
        sum(line[0] in ">|" for line in lines) / max(len(lines), 1),
        len({word.lower() for word in words}) / max(len(words), 1),
        sum(map(len, words)) / max(len(words), 1),
        sum(map(len, lines)) / max(len(lines), 1),
    ]
