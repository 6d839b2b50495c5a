from pathlib import Path

import pytest

from pipelines.config import load_config, parse_config
from weaklight.errors import ConfigError

GOOD = {"classes": ["a", "b", "c"], "items": {"source": "x.csv"}}


def test_defaults_fill_every_section() -> None:
    config = parse_config(GOOD)
    assert config.pretrain.method == "auto"
    assert config.vote_sets == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"clases": []}, "did you mean 'classes'"),
        (
            {"vote": {"time_limit": 3}},
            r"vote\.time_limit: unknown key; did you mean 'time_limit_s'",
        ),
        ({"items": {"source": "x.csv", "seed": 1}}, r"items\.seed: seed belongs at the top"),
        ({"classes": ["a"]}, "at least two"),
        ({"classes": ["a", "a"]}, "distinct"),
        ({"class_sets": {"s": ["z"]}}, "known classes"),
        ({"class_sets": {"a": ["b"]}}, "name of a class"),
        ({"bags": {"positive": "z"}}, "bags.positive must be"),
        ({"bags": {"instances": "patches"}}, "bags.positive does not say what"),
        ({"pretrain": {"refresh": "daily"}}, "cron line"),
        ({"pretrain": {"refresh": "growth:-1"}}, "positive share"),
        ({"pretrain": {"device": "tpu"}}, "auto.*tpu"),
        ({"train": {"strategy": "Forwards"}}, "'elr'.*came: 'Forwards'.*did you mean 'forward'?"),
        ({"schedule": {"cron": "* * * * *", "every_s": 3}}, "either cron or every_s"),
        ({"schedule": {"cron": "0 2 * *"}}, "schedule: a cron line has five fields"),
        ({"pretrain": {"refresh": "0 25 * * *"}}, "outside 0-23"),
        ({"aggregate": {"model": "crowdlab", "hybrid": "self_training"}}, "one of the two out"),
        ({"train": {"strategy": "elr", "head": "mlp", "mixup": 0.2}}, "mixup mixes rows"),
        ({"train": {"strategy": "co_teaching", "head": "mlp", "mixup": 0.2}}, "mixup mixes rows"),
        ({"items": {}}, r"items\.source: is required"),
    ],
)
def test_a_wrong_key_or_value_is_named_with_what_to_do(change: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_config({**GOOD, **change})


def test_the_complement_of_a_bag_set_is_a_vote_of_its_own() -> None:
    config = parse_config({**GOOD, "class_sets": {"ab": ["a", "b"]}, "bags": {"positive": "c"}})
    assert [(s.name, s.members) for s in config.vote_sets] == [("ab", (0, 1)), ("not c", (0, 1))]
    assert config.vote_value("c") == 2
    assert config.vote_value("not c") == 4
    with pytest.raises(ConfigError, match="no class or class set"):
        config.vote_value("d")


def test_a_missing_file_and_broken_toml_say_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="weaklight init"):
        load_config(tmp_path / "weaklight.toml")
    (tmp_path / "weaklight.toml").write_text("classes = [")
    with pytest.raises(ConfigError, match="not valid TOML"):
        load_config(tmp_path / "weaklight.toml")
