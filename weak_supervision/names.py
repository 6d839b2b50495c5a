"""What label models and what features make of them are called, by people and in settings.

Try it: ``model_name("dawid_skene+features")``.
"""

from __future__ import annotations

__all__ = ["model_name", "settings_for"]

_MODELS = {
    "majority_vote": "majority vote",
    "weighted_vote": "weighted vote",
    "snorkel": "Snorkel's label model",
    "dawid_skene": "Dawid-Skene",
    "one_coin": "one-coin Dawid-Skene",
    "triplets": "triplets",
    "mace": "MACE",
    "glad": "GLAD",
    "crowdlab": "CROWDLAB",
    "joint": "the joint model of votes and features",
    "hybrid": "the hybrid of votes and a student, round by round",
}
_FEATURES = {
    "": "",
    "features": ", spread over the features",
    "filled": ", with the features where nothing votes",
}
_WAYS = {"": "off", "features": "spread", "filled": "filled"}


def model_name(key: str, *, start: bool = False) -> str:
    """Return ``dawid_skene+features`` as ``Dawid-Skene, spread over the features``.

    ``start`` writes the first letter large, as at the start of a line.
    """
    base, _, features = key.partition("+")
    name = _MODELS.get(base, base)
    name = name[:1].upper() + name[1:] if start else name
    return name + _FEATURES[features]


def settings_for(key: str) -> dict[str, str]:
    """Return the settings of ``[aggregate]`` that ask for a candidate of the choice.

    Examples
    --------
    >>> settings_for("dawid_skene+features"), settings_for("joint")
    ({'model': 'dawid_skene', 'features': 'spread'}, {'model': 'auto', 'features': 'joint'})
    """
    base, _, features = key.partition("+")
    if base == "joint":
        return {"model": "auto", "features": "joint"}
    return {"model": base, "features": _WAYS[features]}
