"""Which Prefect server a run talks to: the configured one, or one of our own that ends with us.

A server of our own is either Prefect's embedded one, enough to run a flow, or a whole local one,
which alone has a scheduler. Both keep their database in ``PREFECT_HOME``.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from weaklight.errors import WeaklightError

__all__ = ["embedded_server", "is_our_own", "local_server"]

START_LIMIT_S = 120
STOP_LIMIT_S = 5
# Tells scheduled runs, which are processes of their own, that the server is ours.
_OWN_SERVER = "WEAKLIGHT_PREFECT_SERVER"


@contextmanager
def embedded_server(home: Path) -> Iterator[str]:
    """Yield the URL of the configured server, or of Prefect's embedded one while it is needed.

    Parameters
    ----------
    home
        Where the server's log goes, ``server.log``.

    Raises
    ------
    WeaklightError
        If the embedded server does not start.

    Notes
    -----
    It is what :class:`prefect.server.api.server.SubprocessASGIServer` starts, which leaves its
    server in our process group, where Ctrl-C stops it before the run could say that it ends.
    """
    app = "prefect.server.api.server:create_app"
    command = ["uvicorn", "--factory", app, "--host=127.0.0.1", "--log-level=error"]
    with _server(command, home, PREFECT__SERVER_EPHEMERAL="1", PREFECT__SERVER_FINAL="1") as url:
        try:
            yield url
        finally:
            if is_our_own():
                _send_what_is_queued()


@contextmanager
def local_server(home: Path) -> Iterator[str]:
    """Yield the URL of the configured server, or of a whole local one, stopped in the end.

    Parameters
    ----------
    home
        Where the server's log goes, ``server.log``.

    Raises
    ------
    WeaklightError
        If the local server does not start.
    """
    command = ["prefect", "server", "start"]
    with _server(command, home, PREFECT_SERVER_API_HOST="127.0.0.1") as url:
        yield url


def is_our_own() -> bool:
    """Say whether the server in use was started by us and serves this ``PREFECT_HOME`` alone."""
    from prefect.settings import PREFECT_API_URL

    return bool(PREFECT_API_URL.value() == os.environ.get(_OWN_SERVER))


@contextmanager
def _server(command: list[str], home: Path, **variables: str) -> Iterator[str]:
    """Yield the URL of the configured server, or of the one that this module's command starts."""
    if url := os.environ.get("PREFECT_API_URL"):
        yield url
        return
    port = _free_port()
    url = f"http://127.0.0.1:{port}/api"
    home.mkdir(parents=True, exist_ok=True)
    with (home / "server.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command, f"--port={port}"],
            env={
                **os.environ,
                **variables,
                "PREFECT_API_URL": url,
                "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C stops us first; we then stop the server
        )
    try:
        _wait_until_healthy(url, process, home / "server.log")
        with _own(url):
            yield url
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask a server to end, and kill it if it does not, or if Ctrl-C is pressed meanwhile."""
    process.terminate()
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_LIMIT_S)
    finally:
        process.kill()  # does nothing to one that has ended
        process.wait()


@contextmanager
def _own(url: str) -> Iterator[None]:
    """Make Prefect, here and in scheduled runs, talk to this server and know that it is ours."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    os.environ[_OWN_SERVER] = url
    try:
        with temporary_settings({PREFECT_API_URL: url}):
            yield
    finally:
        del os.environ[_OWN_SERVER]


def _send_what_is_queued() -> None:
    """Hand over events and logs that Prefect sends in the background, before the server goes."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    APILogWorker.drain_all(timeout=STOP_LIMIT_S)
    EventsWorker.drain_all(timeout=STOP_LIMIT_S)


def _wait_until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    import httpx

    stop_at = time.monotonic() + START_LIMIT_S
    while time.monotonic() < stop_at:
        if process.poll() is not None:
            raise _did_not_start(f"it ended with code {process.returncode}; see {log}")
        try:
            if httpx.get(f"{url}/health", timeout=2).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise _did_not_start(f"it does not answer at {url}; see {log}")


def _did_not_start(why: str) -> WeaklightError:
    return WeaklightError(
        f"the local Prefect server did not start within {START_LIMIT_S} s: {why}. "
        "Run again, name a server in PREFECT_API_URL, or run plainly with --no-prefect"
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
