"""The keyboard: one key an action, digits for classes. Streamlit keeps C and R for itself."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["ACTION_KEYS", "HEAT_KEY", "class_keys"]

ACTION_KEYS = {"accept": "A", "skip": "S", "exclude": "X", "flag": "N", "undo": "U"}
HEAT_KEY = "H"


def class_keys(classes: Sequence[str]) -> dict[str, str]:
    """Return the digit of each of the first ten classes: 1 to 9, then 0.

    Examples
    --------
    >>> class_keys(["coat", "bag"])
    {'coat': '1', 'bag': '2'}
    """
    return {name: str((i + 1) % 10) for i, name in enumerate(classes[:10])}
