"""Labelling functions without code: declared in TOML, in Python or in the app, all the same object.

Try it: ``looks_spammy = keywords("text", ["free", "winner"], vote="spam")`` in a file of ``lfs/``.
"""

from labeling_functions.templates.base import RowTemplate, Template
from labeling_functions.templates.columns import Annotator, Model
from labeling_functions.templates.conditions import Condition
from labeling_functions.templates.features import EncodeText, FeatureTemplate, Prototype, ZeroShot
from labeling_functions.templates.lookup import Lookup
from labeling_functions.templates.rules import Metadata, Rule, Threshold
from labeling_functions.templates.text import Keywords, Regex, TextTemplate

__all__ = [
    "KINDS",
    "Annotator",
    "Condition",
    "EncodeText",
    "FeatureTemplate",
    "Model",
    "RowTemplate",
    "Template",
    "TextTemplate",
    "ZeroShot",
    "annotator",
    "keywords",
    "lookup",
    "metadata",
    "model",
    "prototype",
    "regex",
    "rule",
    "threshold",
    "zero_shot",
]

# Experts call them like functions; what they get is the LF itself.
annotator = Annotator
keywords = Keywords
lookup = Lookup
metadata = Metadata
model = Model
prototype = Prototype
regex = Regex
rule = Rule
threshold = Threshold
zero_shot = ZeroShot

KINDS: dict[str, type[Template]] = {
    template.kind: template
    for template in (
        Keywords, Regex, Lookup, Threshold, Metadata, Rule, Prototype, Model, Annotator, ZeroShot
    )
}  # fmt: skip
