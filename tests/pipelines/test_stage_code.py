from pathlib import Path

import pytest

from pipelines import stage_code
from pipelines.graph import STAGES, needed_for, spec_of


def test_every_change_to_a_stages_code_was_decided_about() -> None:
    missing = stage_code.decisions_missing()
    assert not missing, (
        f"the code that {missing} reach changed: raise their version in pipelines/graph.py if "
        "their outputs change, then run `python -m pipelines.stage_code --accept`"
    )


def test_a_deep_change_is_noticed_and_a_comment_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for room in stage_code._ROOMS:
        (tmp_path / room).symlink_to(stage_code._ROOT / room)
    (tmp_path / "weak_supervision").unlink()
    _copy(stage_code._ROOT / "weak_supervision", tmp_path / "weak_supervision")
    before = {s.name: stage_code.code_of(s) for s in STAGES}
    monkeypatch.setattr(stage_code, "_ROOT", tmp_path)
    target = tmp_path / "weak_supervision" / "neighbors.py"
    target.write_text("# a comment\n" + target.read_text())
    assert {s.name: stage_code.code_of(s) for s in STAGES} == before
    target.write_text(target.read_text() + "\nEXTRA = 1\n")
    after = {s.name: stage_code.code_of(s) for s in STAGES}
    changed = {name for name in after if after[name] != before[name]}
    assert {"embed", "aggregate"} <= changed
    assert "vote" not in changed


def test_graph_names_only_outputs_of_earlier_stages() -> None:
    for reads_features in (False, True):
        seen: set[str] = set()
        for spec in needed_for(("report",), reads_features=reads_features):
            assert set(spec.upstream) <= seen, spec.name
            seen.add(spec.name)
        assert seen == {s.name for s in STAGES}
    gold_readers = {s.name for s in STAGES if "ingest.gold_test" in s.inputs.values()}
    assert gold_readers == {"evaluate"}
    assert spec_of("vote").name == "vote"


def _copy(source: Path, target: Path) -> None:
    import shutil

    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
