import pytest

from tests.app.shapes import build


@pytest.fixture
def shapes(tmp_path):
    """A small real project with one finished run."""
    return build(tmp_path / "shapes")
