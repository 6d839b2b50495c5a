"""Forms are read off the templates: every option has a field, and every field its explanation."""

from dataclasses import dataclass
from typing import ClassVar

import pytest

from labeling_functions.templates import KINDS, Condition
from labeling_functions.templates.base import MaskTemplate
from labeling_functions.templates.fields import explanations, fields_of


@pytest.mark.parametrize("declared", [*KINDS.values(), Condition], ids=lambda c: c.__name__)
def test_every_option_has_a_field_and_an_explanation(declared):
    fields = fields_of(declared)
    options = (
        [f for f in Condition.__dataclass_fields__]
        if declared is Condition
        else declared.option_names()
    )
    assert sorted(f.name for f in fields) == sorted(options)
    assert all(field.text for field in fields)


def test_fields_know_what_is_needed_what_holds_by_default_and_what_may_be_chosen():
    fields = {field.name: field for field in fields_of(KINDS["keywords"])}
    assert [name for name, field in fields.items() if field.is_needed] == ["column", "vote"]
    assert fields["column"].reads == "text" and fields["words"].shape == "texts"
    assert fields["whole_words"].default is True and fields["whole_words"].shape == "switch"
    assert fields["need"].shape == "count" and fields["need"].choices == ("any", "all")
    assert list(fields)[-1] == "vote"
    assert fields["words"].text.startswith("Words or phrases; a space in a phrase stands for")
    join = {field.name: field for field in fields_of(KINDS["rule"])}["join"]
    assert (join.shape, join.choices, join.default) == ("choice", ("all", "any"), "all")
    assert explanations(KINDS["threshold"])["below"] == "Limits; several must all hold."


def test_an_option_of_a_new_type_is_refused_until_a_field_stands_for_it():
    @dataclass(frozen=True)
    class Odd(MaskTemplate):
        """Vote oddly."""

        kind: ClassVar[str] = "odd"
        waves: complex

    with pytest.raises(TypeError, match="waves: <class 'complex'>"):
        fields_of(Odd)
