"""Draw the reader's pile: 300 e-mails of any split, each cut to what somebody in a hurry sees.

``python -m examples.mail.make_pile`` prints the pile, one e-mail a line, without ids, classes or
votes. The answers in ``reader.csv`` are those of an AI assistant that was given these lines and
nothing else of the e-mails. They were written down before any was compared with gold, and never
corrected; empty means that it could not tell.
"""

from __future__ import annotations

import pandas as pd

from examples.mail.make_items import ANSWERS, SEED
from weaklight.seeds import numpy_generator

__all__ = ["draw_pile"]

N_ASKED = 300
FIRST_CHARACTERS = 120


def draw_pile(items: pd.DataFrame, seed: int = SEED) -> pd.DataFrame:
    """Return ``item_id`` and ``seen`` of 300 e-mails, at random and without replacement."""
    rows = numpy_generator(seed, "mail", "reader").choice(len(items), N_ASKED, replace=False)
    drawn = items.iloc[rows]
    parts = drawn["text"].str.partition("\n\n")  # subject, empty line, body
    body = parts[2].str.split().str.join(" ").str[:FIRST_CHARACTERS]
    return pd.DataFrame({"item_id": drawn["item_id"], "seen": parts[0] + " | " + body})


def main() -> None:
    """Print the pile of the e-mails beside this file."""
    items = pd.read_parquet(ANSWERS.with_name("items.parquet"), columns=["item_id", "text"])
    for number, seen in enumerate(draw_pile(items)["seen"]):
        print(f"{number}. {seen}")


if __name__ == "__main__":
    main()
