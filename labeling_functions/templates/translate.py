r"""Python's regular expressions as RE2 patterns that find at least what Python finds.

RE2 scans for many patterns at once in linear time but differs from ``re``: ``\w``, ``\s`` and
``\b`` know ASCII alone, ``$`` ignores a final newline, and there is no looking around and no going
back to a group. So a pattern is translated twice: for plain texts (ASCII, not empty, no newline
at the end), where the translation is nearly always exact, and for any text, where it is only
necessary: what RE2 finds there must still be confirmed by ``re``.

Sets of characters are asked from ``re`` itself, so its rules of case and class hold by
construction.

Try it: ``translate(re.compile(r"free$")).plain``.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from functools import cache, lru_cache
from re import _compiler, _constants, _parser  # type: ignore[attr-defined]
from typing import Any

__all__ = ["Translation", "translate"]

MAX_REPEAT = 1000  # RE2 refuses larger counts
LAST_CASED = 0x1FFFF  # no script with two cases lies beyond plane 1
_ASCII = "".join(map(chr, range(128)))
_ANYTHING = r"(?s:.*)"


@dataclass(frozen=True)
class Translation:
    """One pattern for RE2.

    Attributes
    ----------
    plain
        Found in a plain text if ``re`` finds the original there; exactly then if ``is_exact``.
    relaxed
        Found in any text in which ``re`` finds the original, and in some others.
    """

    plain: str
    is_exact: bool
    relaxed: str


@lru_cache(maxsize=4096)
def translate(pattern: re.Pattern[str]) -> Translation:
    """Return RE2 patterns for ``pattern.search``; linear in the length of the pattern."""
    tree = _parser.parse(pattern.pattern, pattern.flags)
    plain, relaxed = _Writer(is_plain=True), _Writer(is_plain=False)
    return Translation(
        plain=plain.sequence(tree, tree.state.flags),
        is_exact=plain.is_exact,
        relaxed=relaxed.sequence(tree, tree.state.flags),
    )


class _Writer:
    """Walks the tree that ``re`` parses; one method per kind of node."""

    def __init__(self, is_plain: bool) -> None:
        self.is_plain = is_plain
        self.is_exact = True

    def sequence(self, nodes: Any, flags: int) -> str:
        return "".join(self._node(node, flags) for node in nodes)

    def _node(self, node: tuple[Any, Any], flags: int) -> str:
        kind, value = node
        if kind in (_constants.LITERAL, _constants.NOT_LITERAL, _constants.IN, _constants.ANY):
            hashable = tuple(value) if kind is _constants.IN else value
            return _characters(kind, hashable, flags, self.is_plain)
        if kind is _constants.AT:
            return self._position(value, flags)
        if kind is _constants.BRANCH:
            return "(?:" + "|".join(self.sequence(branch, flags) for branch in value[1]) + ")"
        if kind is _constants.SUBPATTERN:
            _, added, removed, inner = value
            return f"(?:{self.sequence(inner, (flags | added) & ~removed)})"
        if kind in (_constants.MAX_REPEAT, _constants.MIN_REPEAT):
            return self._repeat(value, flags)
        self.is_exact = False
        if kind is _constants.POSSESSIVE_REPEAT:
            return self._repeat(value, flags)
        if kind is _constants.ATOMIC_GROUP:
            return f"(?:{self.sequence(value, flags)})"
        if kind in (_constants.ASSERT, _constants.ASSERT_NOT, _constants.FAILURE):
            return ""
        return _ANYTHING  # what an earlier group matched, or a choice that hangs on one

    def _repeat(self, repeat: tuple[int, int, Any], flags: int) -> str:
        low, high, inner = repeat
        if inner.getwidth()[0] == 0:
            self.is_exact = False  # engines differ about repeating nothing
        if max(low, 0 if high == _constants.MAXREPEAT else high) > MAX_REPEAT:
            self.is_exact = False
            low, high = min(low, MAX_REPEAT), _constants.MAXREPEAT
        most = "" if high == _constants.MAXREPEAT else high
        return f"(?:{self.sequence(inner, flags)}){{{low},{most}}}"

    def _position(self, where: Any, flags: int) -> str:
        is_by_line = bool(flags & re.MULTILINE)
        if where is _constants.AT_BEGINNING and is_by_line:
            return "(?m:^)"
        if where in (_constants.AT_BEGINNING, _constants.AT_BEGINNING_STRING):
            return r"\A"
        if where is _constants.AT_END_STRING:
            return r"\z"
        if where is _constants.AT_END:
            return r"\z" if self.is_plain and not is_by_line else "(?m:$)"
        if not self.is_plain:
            return ""  # RE2 cannot tell whether a letter beyond ASCII belongs to a word
        return r"\b" if where is _constants.AT_BOUNDARY else r"\B"


@lru_cache(maxsize=4096)
def _characters(kind: Any, value: Any, flags: int, is_plain: bool) -> str:
    """Return the set of characters that ``re`` lets one node match."""
    state = _parser.State()
    state.flags = flags
    one = _compiler.compile(_parser.SubPattern(state, [(kind, value)]), flags)
    found = one.findall(_ASCII)
    beyond = ""
    if not is_plain:
        if kind is not _constants.LITERAL:
            beyond = r"\x{80}-\x{10FFFF}"
        elif flags & re.IGNORECASE:
            found += one.findall(_cased())
        elif value > 127:
            found = [chr(value)]
    if not found and not beyond:
        return r"[^\x00-\x{10FFFF}]"
    return "[" + "".join(rf"\x{{{ord(character):x}}}" for character in found) + beyond + "]"


@cache
def _cased() -> str:
    """Every character beyond ASCII that case folding may reach."""
    characters = map(chr, range(128, min(sys.maxunicode, LAST_CASED) + 1))
    return "".join(c for c in characters if c.lower() != c or c.upper() != c)
