"""The Python of docs/import_export.md runs, and its tables list every format and every kind."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from pipelines.engine import run_line
from pipelines.exchange import EXPORTERS
from pipelines.project import Project
from tests.pipelines.exchange.stored import write_run
from weaklight.cli import app

PAGE = (Path(__file__).parents[3] / "docs" / "import_export.md").read_text()


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mails = {"body": [f"mail {i}" for i in range(9)], "checked": ["ham", "spam", None] * 3}
    pd.DataFrame(mails).to_csv("mails.csv", index=False)
    pd.DataFrame({"body": ["a new mail", "another"], "sender": "ann"}).to_csv("december.csv")
    write_run(tmp_path / "my_project", "text")
    names: dict[str, object] = {}
    snippets = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    for text in snippets:
        exec(text, names)
    assert names["counts"] == {"unlabeled": 5, "dev": 2, "test": 2}
    assert Path("labels-csv", "labels.csv").is_file() and len(snippets) == 3
    (ingested,) = run_line(Project.open("mails"), ("ingest",)).stages
    assert ingested.metrics["n"] == 11 and ingested.metrics["n_unlabeled"] == 7
    assert not any("dropped" in note for note in ingested.notes)


def test_the_page_lists_what_there_is() -> None:
    assert set(re.findall(r"^\| `(\w+)` \| ", PAGE, re.MULTILINE)) == set(EXPORTERS)
    listed = CliRunner().invoke(app, ["import", "--help"]).output
    kinds = re.findall(r"^  (\w+)  ", listed.partition("Commands")[2], re.MULTILINE)
    assert len(kinds) == 9 and all(re.search(rf"`(import )?{k}\b", PAGE) for k in kinds)
