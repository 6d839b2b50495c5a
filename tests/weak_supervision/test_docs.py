"""Every Python snippet of docs/aggregation.md runs, in order."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "aggregation.md"
SNIPPET = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_page_runs(capsys):
    snippets = SNIPPET.findall(PAGE.read_text(encoding="utf-8"))
    assert len(snippets) == 3
    names: dict[str, object] = {}
    for text in snippets:
        exec(compile(text, str(PAGE), "exec"), names)
    said = capsys.readouterr().out
    assert (
        "So the features are used" in said and "hand-labelled items the choice is right on" in said
    )
