"""The Python of the pages that need no project runs, in order, as a reader would paste it."""

import doctest
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
ROOMS = ("weaklight", "labeling_functions", "weak_supervision", "ssl_models", "pipelines")
PAGES = ("bags.md", "classifiers.md", "evaluation.md", "hybrid.md", "label_models.md", "noise.md")


def with_examples() -> list[str]:
    """Return every module of the rooms whose docstrings hold an example."""
    files = [f for room in ROOMS for f in sorted((ROOT / room).rglob("*.py"))]
    modules = [f.relative_to(ROOT).with_suffix("") for f in files if ">>> " in f.read_text()]
    return [".".join(m.parts).removesuffix(".__init__") for m in modules]


@pytest.mark.parametrize("module", with_examples())
def test_examples_of_docstrings_run(module: str) -> None:
    found = doctest.testmod(importlib.import_module(module))
    assert not found.failed


@pytest.mark.parametrize("page", PAGES)
def test_snippets_run(page: str) -> None:
    snippets = re.findall(r"^```python\n(.*?)^```", (DOCS / page).read_text(), re.S | re.M)
    assert snippets
    names: dict[str, object] = {}
    for snippet in snippets:
        exec(compile(snippet, page, "exec"), names)


def test_bag_methods_of_the_page_are_those_of_the_settings() -> None:
    from pipelines.sections import BagsConfig
    from weak_supervision.bags import BAG_CLASSIFIERS

    listed = re.findall(r"^\| `(\w+)` \|", (DOCS / "bags.md").read_text(), re.M)
    allowed = BagsConfig.model_fields["method"].annotation.__args__
    assert sorted(listed) == sorted(BAG_CLASSIFIERS) == sorted(allowed)


def test_strategies_of_the_page_are_all_there_are() -> None:
    from weak_supervision.noise import STRATEGIES

    table = (DOCS / "noise.md").read_text().split("`[train] strategy` is one of:")[1]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert {n for row in rows for n in re.findall(r"`(\w+)`", row)} >= set(STRATEGIES)
