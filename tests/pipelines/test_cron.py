from datetime import UTC, datetime

import pytest

from pipelines.cron import last_due
from weaklight.errors import ConfigError

NOW = datetime(2026, 3, 4, 10, 17, 30, tzinfo=UTC)  # a Wednesday


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("* * * * *", "2026-03-04T10:17"),
        ("0 2 * * *", "2026-03-04T02:00"),
        ("30 10 * * *", "2026-03-03T10:30"),
        ("*/15 9-17 * * 1-5", "2026-03-04T10:15"),
        ("0 0 1 * *", "2026-03-01T00:00"),
        ("0 0 29 2 *", "2024-02-29T00:00"),
        ("0 6 * * 7", "2026-03-01T06:00"),  # 7 is Sunday, as 0 is
        ("0 6 2 * 1", "2026-03-02T06:00"),  # either day field may match
    ],
)
def test_the_last_due_moment(cron: str, expected: str) -> None:
    assert last_due(cron, NOW).isoformat()[:16] == expected


def test_local_time_decides() -> None:
    assert last_due("0 9 * * *", NOW, "Asia/Tokyo").isoformat() == "2026-03-04T09:00:00+09:00"


@pytest.mark.parametrize("cron", ["* * * *", "60 * * * *", "a * * * *", "5-1 * * * *"])
def test_a_bad_line_is_named(cron: str) -> None:
    with pytest.raises(ConfigError, match="cron line"):
        last_due(cron, NOW)
