"""Suggesting LFs from dev items: rules that a person reads, changes and accepts, or not.

Each kind of search has a file; all return ``[[lf]]`` tables of the templates, so what is judged is
what will run. Nothing here looks at gold outside the rows it is given.

Try it: ``weaklight lf suggest``.
"""

from labeling_functions.suggest.choose import PROPOSERS, Advice, Suggestion, suggest
from labeling_functions.suggest.material import Material

__all__ = ["PROPOSERS", "Advice", "Material", "Suggestion", "suggest"]
