"""From text to words, the same way for every encoder that counts words.

Try it: ``words("Free $$$ in 30 days!!")``.
"""

from __future__ import annotations

import re

__all__ = ["words"]

_LETTERS = r"[^\W\d_]+"
_APOSTROPHE = r"['\N{RIGHT SINGLE QUOTATION MARK}]"
_MARKS = r"[!?$%\N{EURO SIGN}\N{POUND SIGN}]+"
_WORD = re.compile(rf"{_LETTERS}(?:{_APOSTROPHE}{_LETTERS})?|\d+|{_MARKS}")
_LONGEST_MARKS = 3  # "!!!!!!" says what "!!!" says
_LONGEST_DIGITS = 4


def words(text: str) -> list[str]:
    """Return the words of a text, small letters; a number becomes zeros, one for each digit.

    Which number it is seldom matters, that there is one of this length often does.

    Examples
    --------
    >>> words("Free $$$ in 30 days!!")
    ['free', '$$$', 'in', '00', 'days', '!!']
    """
    return [
        "0" * min(len(word), _LONGEST_DIGITS)
        if word.isdigit()
        else word[: _LONGEST_MARKS if not word[0].isalpha() else None]
        for word in _WORD.findall(text.lower())
    ]
