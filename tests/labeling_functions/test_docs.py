"""Every snippet of docs/labeling_functions.md runs, in order, in one project."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "labeling_functions.md"
SNIPPET = re.compile(
    r"^```(?:python|(?:python|toml|text) file=(\S+))\n(.*?)^```$", re.MULTILINE | re.DOTALL
)


def test_the_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    snippets = SNIPPET.findall(PAGE.read_text())
    assert len(snippets) == 13
    for file, text in snippets:
        if file:
            Path(file).parent.mkdir(exist_ok=True, parents=True)
            Path(file).write_text(text)
        else:
            exec(compile(text, str(PAGE), "exec"), names)
