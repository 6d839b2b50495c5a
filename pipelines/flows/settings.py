"""Prefect's settings for us: offline, quiet, and at home in the project's folder.

Everything is a default: what the environment already says stays.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["set_defaults", "use_home"]

_DEFAULTS = {
    # Nothing leaves the machine. DO_NOT_TRACK is read when Prefect is imported.
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
    "PREFECT_TELEMETRY_ENABLE_RESOURCE_METRICS": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    # We use no blocks; writing Prefect's own into a fresh database takes four seconds.
    "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false",
    "PREFECT_SERVER_EPHEMERAL_ENABLED": "true",
    "PREFECT_SERVER_DATABASE_TIMEOUT": "60",  # the default of 10 s fails on slow disks
    # Stages are cached by our keys; Prefect would only hash what it is given.
    "PREFECT_TASKS_DEFAULT_NO_CACHE": "true",
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
    "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
    "PREFECT_LOGGING_LEVEL": "WARNING",
    # A server that stops logs the events it had not yet written as errors, with long tracebacks.
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
    # How long a flow waits at most before it asks again for the device.
    "PREFECT_SERVER_CONCURRENCY_MAXIMUM_CONCURRENCY_SLOT_WAIT_SECONDS": "5",
}


def set_defaults() -> None:
    """Set what Prefect reads from the environment, where nothing is set."""
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)


def use_home(project_root: Path) -> Path:
    """Keep Prefect's database and logs in the project, unless ``PREFECT_HOME`` says otherwise.

    Has no effect on a process that imported Prefect before.

    Returns
    -------
    Where Prefect keeps them.
    """
    return Path(os.environ.setdefault("PREFECT_HOME", str(project_root / ".prefect")))
