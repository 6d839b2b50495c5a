"""Tables that Excel saved in neither UTF-8 nor UTF-16, but in a code page of Windows or MS-DOS.

No byte says which page was meant. Western European text under the wrong page has signs inside its
words, so one page is told from the other by what would stand there.

Try it: ``code_page(path.read_bytes())``.
"""

from __future__ import annotations

import re

__all__ = ["PAGES", "UnknownEncodingError", "beyond_ascii", "code_page"]

# What Excel calls them, the commoner first: CSV (Comma delimited), and CSV (MS-DOS).
PAGES = {"cp1252": "Windows-1252", "cp850": "MS-DOS (code page 850)"}
_MOST_ODD = 0.01  # of the characters beyond ASCII; a name from elsewhere may be among them
_LETTER = "[^\\W\\d_]"
_FOREIGN = "[^\\W\\d_\x00-\x7f]"
_CAPITAL, _SMALL = "[\xc0-\xde\u0152\u0160\u017d]", "[a-z\xdf-\xff]"
# What no such text has: signs inside a word, an opening one or a fraction after a letter, a raised
# number before one; a capital amid small letters; three letters beyond ASCII in a row, as other
# alphabets have under these pages; letters of Icelandic, for which Turkish ones are read; lines of
# a box.
_ODD = re.compile(
    rf"(?<={_LETTER})[^\w\x00-\x7f\xb7\u2010-\u2015\u2019]+(?={_LETTER})"
    rf"|(?<={_LETTER})[\xa1\xbc-\xbf\u0192\u02c6\u201a\u201e\u2020\u2021\u2030]"
    rf"|(?<!\w)[\xb3\xb9](?={_LETTER})"
    rf"|(?<={_SMALL}){_CAPITAL}|(?<={_LETTER}){_CAPITAL}(?={_SMALL})"
    rf"|{_FOREIGN}{{3,}}|[\xd0\xde\xf0\xfe]|[\x7f-\x9f\u2500-\u259f]"
)
_WORD = re.compile(r"\w*[^\W\x00-\x7f]\w*")


class UnknownEncodingError(ValueError):
    """Raised when bytes fit no code page that tables come in."""


def code_page(raw: bytes) -> str:
    """Return Python's name of the code page that text which is not UTF-8 is in.

    Raises
    ------
    UnknownEncodingError
        If it reads as Western European words under none of ``PAGES``.

    Examples
    --------
    >>> code_page("größer".encode("cp1252")), code_page("größer".encode("cp850"))
    ('cp1252', 'cp850')
    """
    for page in PAGES:
        try:
            text = raw.decode(page)
        except UnicodeDecodeError:  # Windows-1252 leaves five bytes without a meaning
            continue
        n_odd = sum(len(found) for found in _ODD.findall(text))
        if n_odd <= _MOST_ODD * sum(byte > 127 for byte in raw):
            return page
    tried = " nor as ".join(PAGES.values())
    raise UnknownEncodingError(
        f"is in neither UTF-8 nor UTF-16, and reads as words neither as {tried}"
    )


def beyond_ascii(text: str, at_most: int = 3) -> list[str]:
    """Return the first few different words that hold other letters than those of ASCII."""
    return list(dict.fromkeys(found[0] for found in _WORD.finditer(text)))[:at_most]
