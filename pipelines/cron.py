"""When a cron line was last due; Prefect fires schedules, this only looks back.

Five fields (minute, hour, day of month, month, day of week) of ``*``, numbers, lists, ranges and
steps. As in cron, when both day fields are restricted either may match.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from weaklight.errors import ConfigError

__all__ = ["last_due"]

_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_LOOK_BACK_DAYS = 366 * 5  # 29 February comes within five years


def last_due(cron: str, now: datetime, timezone: str = "UTC") -> datetime:
    """Return the latest moment at or before ``now`` that ``cron`` names.

    Raises
    ------
    ConfigError
        If the line has not five valid fields or names no day within five years.

    Examples
    --------
    >>> from datetime import UTC
    >>> last_due("30 2 * * *", datetime(2026, 1, 2, 1, 0, tzinfo=UTC)).isoformat()
    '2026-01-01T02:30:00+00:00'
    """
    fields = cron.split()
    if len(fields) != 5:
        raise ConfigError(f"a cron line has five fields, but came {cron!r}; such as '0 2 * * *'")
    minutes, hours, days, months, weekdays = (
        _values(text, low, high, cron) for text, (low, high) in zip(fields, _RANGES, strict=True)
    )
    weekdays = {d % 7 for d in weekdays}
    either_day = fields[2] != "*" and fields[4] != "*"
    local = now.astimezone(ZoneInfo(timezone)).replace(second=0, microsecond=0)
    for back in range(_LOOK_BACK_DAYS):
        day = local - timedelta(days=back)
        by_date, by_week = day.day in days, day.isoweekday() % 7 in weekdays
        if day.month not in months or not (
            (by_date or by_week) if either_day else (by_date and by_week)
        ):
            continue
        for hour in sorted(hours, reverse=True):
            for minute in sorted(minutes, reverse=True):
                moment = day.replace(hour=hour, minute=minute)
                if moment <= local:
                    return moment
    raise ConfigError(f"the cron line {cron!r} names no day within five years")


def _values(text: str, low: int, high: int, cron: str) -> set[int]:
    values: set[int] = set()
    try:
        for part in text.split(","):
            span, _, step_text = part.partition("/")
            step = int(step_text) if step_text else 1
            if span == "*":
                first, last = low, high
            elif "-" in span:
                first, last = (int(x) for x in span.split("-"))
            else:
                first = int(span)
                last = high if step_text else first
            if not (low <= first <= last <= high) or step < 1:
                raise ValueError(part)
            values.update(range(first, last + 1, step))
    except ValueError:
        raise ConfigError(
            f"the cron line {cron!r} has a field {text!r} outside {low}-{high} or misspelt"
        ) from None
    return values
