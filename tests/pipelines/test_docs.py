"""Every snippet of docs/text_audio_series.md runs, in order."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from labeling_functions.functions import LabelingFunction
from pipelines.attributes import ATTRIBUTES as SILHOUETTE
from pipelines.config import parse_config
from pipelines.signal_attributes import AUDIO, SERIES
from pipelines.text_attributes import ATTRIBUTES

PAGE = Path(__file__).parents[2] / "docs" / "text_audio_series.md"


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found
    return found


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    for name, color in (("ripe", (200, 50, 50)), ("unripe", (50, 200, 50))):
        Image.new("RGB", (8, 8), color).save(tmp_path / "images" / f"{name}.png")
    names: dict[str, object] = {}
    for text in blocks("python"):
        exec(compile(text, str(PAGE), "exec"), names)
    assert isinstance(names["hisses"], LabelingFunction)
    assert names["features"].shape == (60, 16)
    items = pd.read_csv("items.csv").itertuples()
    assert [names["is_ripe"](item) for item in items] == ["ripe", None]


def test_its_settings_are_settings_and_its_attributes_are_all() -> None:
    texts, rows = (parse_config(tomllib.loads(text)) for text in blocks("toml"))
    assert texts.items.text == "body"
    assert rows.items.series == ("age", "pulse", "pressure", "glucose")
    for kind, attributes in (("text", ATTRIBUTES), ("audio", AUDIO), ("series", SERIES)):
        listed = re.search(rf"^\* \*\*{kind}\*\*: (.*?)\n(?:\*|\n)", PAGE.read_text(), re.M | re.S)
        assert listed is not None
        assert re.findall(r"`(\w+)`", listed[1]) == list(attributes)
    table = PAGE.read_text().partition("| attributes | good for |")[2].partition("\n\n")[0]
    assert sorted(re.findall(r"`(\w+)`", table)) == sorted(SILHOUETTE)
