"""A project of short letters that was never run: one function, one word list, easy to count."""

from pathlib import Path

import pandas as pd

from pipelines.project import Project

SETTINGS = """classes = ["ham", "spam"]
[items]
source = "items.csv"
text = "text"
"""
PRINTS = '''
from labeling_functions import labeling_function


@labeling_function(vote="ham")
def short(item):
    """Ham: a short note."""
    print("a function may print")
    return len(item.text) < 12
'''


def build(root: Path) -> Project:
    """40 dev items and 60 others; "free" stands in 12 of dev, 9 of them spam, and in 15 others."""
    root.mkdir(parents=True, exist_ok=True)
    dev = ["a free ride now"] * 9 + ["so free"] * 3 + ["see you then, my friend"] * 28
    others = ["so free"] * 5 + ["entirely free of charge"] * 10 + ["see you then, my friend"] * 45
    pd.DataFrame(
        {
            "item_id": [f"m{i:03d}" for i in range(100)],
            "text": dev + others,
            "n": range(100),
            "gold": ["spam"] * 9 + ["ham"] * 31 + [None] * 60,
            "split": ["dev"] * 40 + ["unlabeled"] * 60,
        }
    ).to_csv(root / "items.csv", index=False)
    (root / "weaklight.toml").write_text(SETTINGS)
    (root / "lfs").mkdir()
    (root / "lfs" / "first.py").write_text(PRINTS)
    (root / "lfs" / "offers.txt").write_text("free\n")
    return Project.open(root)
