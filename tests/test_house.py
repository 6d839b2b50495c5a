"""What holds for the house as a whole: exports, and what is imported when."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys

import pytest

ROOMS = ("weaklight", "labeling_functions", "ssl_models", "weak_supervision", "pipelines", "app")
HEAVY = ("torch", "prefect", "snorkel", "sklearn", "cleanlab", "skimage")


def packages() -> list[str]:
    found = list(ROOMS)
    for room in ROOMS:
        module = importlib.import_module(room)
        found += [p.name for p in pkgutil.walk_packages(module.__path__, f"{room}.") if p.ispkg]
    return found


@pytest.mark.parametrize("name", packages())
def test_all_names_what_is_there_once(name: str) -> None:
    module = importlib.import_module(name)
    exported = getattr(module, "__all__", [])
    assert [n for n in exported if not hasattr(module, n)] == []
    assert len(set(exported)) == len(exported)


@pytest.mark.parametrize(
    "module",
    [
        "labeling_functions",
        "pipelines.config",
        "pipelines.engine",
        "pipelines.queries",
        "pipelines.reviews",
        "app.launch",
        "app.services",
    ],
)
def test_the_light_half_stays_light(module: str) -> None:
    code = f"import sys, {module}\nprint([h for h in {HEAVY!r} if h in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "command", [(), ("run",), ("lf", "check"), ("review",), ("export", "encoder")]
)
def test_help_imports_nothing_slow(command: tuple[str, ...]) -> None:
    """What makes help quick; how quick it is, ``python -m benchmarks.demo`` measures."""
    slow = {*HEAVY, "numpy", "pandas", "pyarrow", "scipy", "sqlalchemy", "streamlit"}
    code = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        "from weaklight.cli import main\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *command, "--help"], capture_output=True, text=True, check=True
    )
    imported = set(done.stderr.split())
    assert "Usage" in done.stdout and "typer" in imported
    assert imported & slow == set()
