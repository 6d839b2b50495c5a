"""Which code each stage reaches, so that no change to it goes without a decision.

An artifact is reused as long as its stage's version stands. When code that a stage reaches changes,
a test fails until somebody decides: raise the version in ``pipelines/graph.py`` if outputs change,
leave it if they do not, then accept with::

    python -m pipelines.stage_code --accept
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import sys
from functools import cache
from pathlib import Path

from pipelines.graph import STAGES, StageSpec

__all__ = ["ACCEPTED", "code_of", "current", "decisions_missing"]

ACCEPTED = Path(__file__).with_name("stage_code.json")
_ROOT = Path(__file__).parents[1]
_ROOMS = ("weaklight", "labeling_functions", "ssl_models", "weak_supervision", "pipelines")


def current() -> dict[str, dict[str, str | int]]:
    """Return each stage's version and the digest of the code it reaches now."""
    return {s.name: {"version": s.version, "code": code_of(s)} for s in STAGES}


def decisions_missing() -> list[str]:
    """Return the stages whose code changed since somebody last decided about their version."""
    accepted = json.loads(ACCEPTED.read_text(encoding="utf-8"))
    return [name for name, now in current().items() if accepted.get(name) != now]


def code_of(spec: StageSpec) -> str:
    """Digest the stage's module and every module of ours that it imports, comments left out."""
    start = spec.function.partition(":")[0]
    reached = {start}
    waiting = [start]
    while waiting:
        for name in _named_in_imports(_source(waiting.pop())):
            if name not in reached and _file(name) is not None:
                reached.add(name)
                waiting.append(name)
    digest = hashlib.sha256()
    for name in sorted(reached):
        digest.update(f"{name}\n{_without_docstrings(_source(name))}\n".encode())
    return digest.hexdigest()[:16]


def _file(module: str) -> Path | None:
    path = _ROOT.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _source(module: str) -> str:
    file = _file(module)
    assert file is not None
    return file.read_text(encoding="utf-8")


@cache  # most modules are reached by most stages
def _named_in_imports(source: str) -> frozenset[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(name for name in found if name.split(".")[0] in _ROOMS)


@cache
def _without_docstrings(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and (
            ast.get_docstring(node) is not None
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def main() -> int:
    """Say which stages wait for a decision; with ``--accept`` record that it was made."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.stage_code", description=__doc__)
    parser.add_argument("--accept", action="store_true", help="the versions are right as they are")
    if parser.parse_args().accept:
        ACCEPTED.write_text(json.dumps(current(), indent=1) + "\n", encoding="utf-8")
        return 0
    missing = decisions_missing()
    sys.stdout.write(
        "".join(f"{name}: its code changed, decide about its version\n" for name in missing)
    )
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
