"""The command line as a person meets it: exit codes, plain errors, a project made from nothing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from pipelines.config import load_config, parse_config
from pipelines.encoders import choose_method
from pipelines.readers import find_source
from pipelines.sections import PretrainConfig
from weaklight.cli import app
from weaklight.cli.projects import _TEMPLATE, project_about
from weaklight.cli.show import lost_votes, results, table
from weaklight.errors import ConfigError


def weaklight(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "weaklight.cli", *arguments]
    root = Path(__file__).parents[2]
    env = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=env)


def test_numbers_go_to_the_right_and_words_to_the_left() -> None:
    lines = table(["name", "n"], [["a", "5"], ["bcd", "120"], ["x", "25 patches"]]).splitlines()
    assert lines[2] == "a              5"
    assert lines[4] == "x     25 patches"


def test_init_writes_a_project_and_never_overwrites_one(tmp_path: Path) -> None:
    made = weaklight("init", "mine", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    first = tmp_path / "mine" / "lfs" / "first.py"
    first.write_text(re.sub(r"^# ?(?=[@d ])", "", first.read_text(), flags=re.MULTILINE))
    listed = weaklight("lf", "list", "--project", "mine", cwd=tmp_path)
    assert "tall" in listed.stdout
    again = weaklight("init", "mine", cwd=tmp_path)
    assert again.returncode == 2
    assert "exists already" in again.stderr


def test_a_line_of_the_template_shows_a_default_or_says_that_it_is_an_example() -> None:
    heading, _, settings = _TEMPLATE.partition("\n\n")
    assert "such as" in heading
    shown = [line.removeprefix("# ") for line in settings.splitlines() if "such as" not in line]
    stated = parse_config(tomllib.loads("\n".join(shown)))
    assert stated == parse_config({"classes": stated.classes, "items": {"source": "images"}})
    every = "\n".join(line.removeprefix("# ") for line in settings.splitlines())
    assert parse_config(tomllib.loads(every)) != stated


def test_errors_are_one_plain_message_with_the_right_exit_code(tmp_path: Path) -> None:
    missing = weaklight("run", "--project", "nowhere", cwd=tmp_path)
    assert missing.returncode == 2
    assert missing.stderr.startswith("error: expected a settings file at")
    assert "Traceback" not in missing.stderr
    weaklight("init", "mine", cwd=tmp_path)
    for folder in (tmp_path, tmp_path / "mine" / "lfs"):  # the project lies below, or around
        elsewhere = weaklight("lf", "check", cwd=folder)
        assert elsewhere.returncode == 2
        assert f"pass --project {tmp_path / 'mine'}, which holds one" in elsewhere.stderr
    (tmp_path / "mine" / "images").mkdir()
    empty = weaklight("run", "--no-prefect", "--project", "mine", cwd=tmp_path)
    assert empty.returncode == 1
    assert "it is empty" in empty.stderr
    assert weaklight("run", "--nonsense", cwd=tmp_path).returncode == 2


def test_a_project_given_as_an_argument_is_told_how_to_be_named() -> None:
    for command in (["run"], ["review"], ["lf", "list"], ["export", "labels"], ["gold", "plan"]):
        wrong = CliRunner().invoke(app, [*command, "my_project"])
        assert wrong.exit_code == 2
        assert (
            "extra argument(s) (my_project); a project's folder is named by --project my_pro"
            in (wrong.output)
        )
    wrong = CliRunner().invoke(app, ["methods", "simclr", "my_project"])
    assert wrong.exit_code == 2 and "--project" not in wrong.output


def test_every_command_takes_h_for_help() -> None:
    for command in (["-h"], ["run", "-h"], ["lf", "check", "-h"]):
        shown = weaklight(*command)
        assert shown.returncode == 0 and "Usage:" in shown.stdout, command


def test_a_folder_of_items_gets_one_project_and_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "holiday photos").mkdir()
    (tmp_path / "holiday photos" / "1.png").touch()
    (tmp_path / "others").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    photos = Path("../holiday photos")
    made = project_about(photos)
    assert made == Path("holiday photos-project") and "made the project" in capsys.readouterr().err
    config = load_config(made / "weaklight.toml").items
    assert [f.name for f in find_source(made, config).files] == ["1.png"]
    assert project_about(photos) == project_about(made) == made
    with pytest.raises(ConfigError, match=r"takes its items from .*holiday photos, not from"):
        project_about(Path("../others"), made)
    with pytest.raises(ConfigError, match="expected a folder of items at nowhere"):
        project_about(Path("nowhere"))


def test_what_a_command_starts_takes_no_module_from_the_current_folder(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("raise SystemExit('not ours')")
    starts = (
        "import subprocess, sys; from weaklight import cli\n"
        "cli.app = lambda: sys.exit(subprocess.call([sys.executable, '-m', 'app.launch']))\n"
        "cli.main()"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    assert subprocess.call([sys.executable, "-P", "-c", starts], cwd=tmp_path, env=env) == 0


def test_an_unknown_example_names_the_known_ones(tmp_path: Path) -> None:
    wrong = weaklight("demo", "x", "--example", "nothing", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "fashion" in wrong.stderr


def test_methods_lists_every_method_of_every_kind_of_items() -> None:
    shown = weaklight("methods").stdout
    for kind in ("image", "text", "audio", "series"):
        with pytest.raises(ConfigError) as refused:
            choose_method(PretrainConfig(method="none_such"), kind)
        known = re.findall(r"'([\w:]+)'", str(refused.value).partition(" for ")[0])
        assert known and all(f"  {name} " in shown for name in known), kind


def test_methods_lists_the_options_of_one() -> None:
    shown = CliRunner().invoke(app, ["methods", "dinov2"]).output
    assert re.search(r"koleo_weight +a number +0.02", shown)
    assert re.search(r"teacher_temperature +two numbers +\[0.04, 0.07\]", shown)
    assert "no options of its own" in CliRunner().invoke(app, ["methods", "split_brain"]).output
    assert "is 'word2vec'" in str(CliRunner().invoke(app, ["methods", "word2vec"]).exception)
    wrong = CliRunner().invoke(app, ["methods", "SimCLER"])
    assert str(wrong.exception).endswith("but is 'SimCLER'; did you mean 'simclr'?")


def test_results_list_what_was_measured_and_say_once_why_the_rest_was_not(tmp_path: Path) -> None:
    def entry(title: str, value: float | None = None, **more: Any) -> dict[str, Any]:
        return {"title": title, "value": value, "low": 0.7, "high": 0.9, "n": 60, **more}

    file = tmp_path / "evaluation.json"
    project: Any = SimpleNamespace(store=SimpleNamespace(path=lambda *_: file))
    record: Any = SimpleNamespace(artifacts={"evaluate": "d"})
    headline = [
        entry("Coverage", 0.8, n_by_hand=None),
        entry("Weak labels", reason="no gold on the test split", n_by_hand=None),
        entry("5 nearest of 0 hand labels", reason="no gold on the test split", n_by_hand=0),
        entry("Classifier on 100", reason="only 30 hand labels", n_by_hand=30),
        entry("Classifier on all 19", 0.8, n_by_hand=19),
        entry("Classifier on all 20", 0.8, n_by_hand=20),
    ]
    file.write_text(json.dumps({"headline": headline, "gains": [], "weighted_by": None}))
    assert [line.partition("  ")[0] for line in results(project, record).splitlines()[2:]] == [
        "Coverage",
        "Classifier on all 20",
        "2 more numbers: not measured, no gold on the test split; `weaklight gold plan` says how "
        "many items to label",
        "Classifier on 100: not measured, only 30 hand labels",
    ]


def test_a_run_ends_with_the_functions_whose_answers_did_not_count(tmp_path: Path) -> None:
    file = tmp_path / "lfs.json"
    project: Any = SimpleNamespace(store=SimpleNamespace(path=lambda *_: file))
    record: Any = SimpleNamespace(artifacts={"vote": "d"})

    def told(**wrong: tuple[int, int]) -> str:
        reports = [
            {"name": name, "n_errors": errors, "timed_out_rows": late}
            for name, (errors, late) in {"fine": (0, 0), **wrong}.items()
        ]
        file.write_text(json.dumps(reports))
        return lost_votes(project, record)

    assert told() == ""
    assert told(misspelt=(7, 0)) == (
        "1 labelling function lost votes to errors: misspelt; "
        "`weaklight lf check misspelt` says why"
    )
    assert told(slow=(0, 9), misspelt=(7, 0)).startswith(
        "2 labelling functions lost votes to errors: slow, misspelt; `weaklight lf check slow`"
    )


def test_results_say_what_labels_by_hand_gained_as_the_report_does(tmp_path: Path) -> None:
    gain = {
        "key": "hand", "title": "Labels by hand teach it, too: 20", "verdict": "better",
        "before": "the same classifier without them", "difference": 0.051,
        "difference_low": 0.01, "difference_high": 0.1, "n": 60,
    }  # fmt: skip
    headline = {"title": "Classifier", "value": 0.85, "low": 0.74, "high": 0.92, "n": 60}
    evaluation = {"headline": [headline], "gains": [gain], "weighted_by": None}
    file = tmp_path / "evaluation.json"
    project: Any = SimpleNamespace(store=SimpleNamespace(path=lambda *_: file))
    record: Any = SimpleNamespace(artifacts={"evaluate": "d"})

    def last_lines(**changed: Any) -> list[str]:
        file.write_text(json.dumps({**evaluation, **changed}))
        return results(project, record).splitlines()[-2:]

    number, said = last_lines()
    against = "Labels by hand teach it, too: 20; against the same classifier without them: "
    assert number.split() == ["Classifier", "0.850", "[0.740,", "0.920]", "60"]
    assert said == against + "gained 5.1 points (1.0 to 10.0)"
    number, said = last_lines(headline=[{**headline, "n": 19}], gains=[{**gain, "n": 19}])
    assert number.split() == ["Classifier", "too", "few", "19"]
    assert said == against + "too few test items (19) to say"
    assert "hand" not in last_lines(gains=[{"key": "hand", "reason": "nobody did"}])[-1]
