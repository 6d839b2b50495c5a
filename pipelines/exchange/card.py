"""The data card of an export: what the labels are, how they were made, how to load them back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipelines.exchange.labels import WeakLabels
from pipelines.store import hash_path
from weak_supervision.names import model_name
from weaklight import __version__

__all__ = ["CARD", "KIND", "write_card"]

CARD = "card.json"
KIND = "weaklight weak labels"  # how an importer knows that these labels are no gold
_LICENCE = "unknown: Weaklight does not know the licence of the items; ask whoever gave them to you"


def write_card(labels: WeakLabels, folder: Path, format: str, load: str) -> dict[str, Any]:
    """Write ``card.json`` and ``README.md`` beside the exported files of ``folder``.

    Parameters
    ----------
    load
        Python that loads the export back, run inside its folder.

    Returns
    -------
    What ``card.json`` holds. It names no time and no host: equal runs give equal cards.
    """
    view, table = labels.view, labels.table
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    choice = view.choice()
    card: dict[str, Any] = {
        "kind": KIND,
        "format": format,
        "weaklight": __version__,
        "run_id": view.run_id,
        "n": len(table),
        "classes": list(labels.classes),
        "per_class": _counts(labels, "label", [*labels.classes]),
        "per_source": _counts(labels, "source"),
        "per_split": _counts(labels, "split"),
        "settings": dict(labels.settings),
        "left_out": dict(labels.left_out),
        "abstain_rate": round(labels.abstain_rate, 4),
        "label_model": choice.get("chosen"),
        "why_this_model": choice.get("reason"),
        "labelling_functions": {lf["name"]: lf["digest"] for lf in view.lfs},
        "artifacts": dict(view.record.artifacts),
        "files": {p.relative_to(folder).as_posix(): hash_path(p)[0] for p in files},
        "licence": _LICENCE,
        "load": load,
    }
    text = json.dumps(card, indent=1, ensure_ascii=False) + "\n"
    (folder / CARD).write_text(text, encoding="utf-8")
    (folder / "README.md").write_text(_markdown(card), encoding="utf-8")
    return card


def _counts(labels: WeakLabels, column: str, order: list[str] | None = None) -> dict[str, int]:
    """Count the covered rows by the values of a column; splits count every row."""
    table = labels.table if column == "split" else labels.table[labels.table["covered"]]
    counts = table[column].value_counts()
    names = sorted(counts.index) if order is None else order
    return {name: int(counts.get(name, 0)) for name in names}


def _markdown(card: dict[str, Any]) -> str:
    settings = card["settings"]
    left_out = ", ".join(f"{n} {reason}" for reason, n in card["left_out"].items()) or "nothing"
    return f"""# Weak labels of run {card["run_id"]}

{card["n"]} items. The labels come from labelling functions, features and people; they are not gold
and some are wrong. Gold of dev and test items is not in here.

{_table("class", card["per_class"])}
{_table("source of the label", card["per_source"])}
{_table("split", card["per_split"])}
* Least confidence: {settings["min_confidence"]}. Uncovered items are \
{"in, without a label" if settings["include_uncovered"] else "left out"}.
* Left out: {left_out}.
* No source said anything about {card["abstain_rate"]:.1%} of the items of these splits.
* Label model: {model_name(card["label_model"] or "unknown")}. {card["why_this_model"] or ""}
* Licence: {card["licence"]}.

`card.json` holds the same with the digests of every artifact, labelling function and file.

## Load it back

```python
{card["load"]}
```
"""


def _table(title: str, counts: dict[str, int]) -> str:
    lines = [f"| {title} | items |", "|---|---|"]
    lines += [f"| {name.replace('|', chr(92) + '|')} | {n} |" for name, n in counts.items()]
    return "\n".join(lines) + "\n"
