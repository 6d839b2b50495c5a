import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from pipelines.flows import server

# As Prefect's server is while a client of it will not hang up.
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(60)
"""


@pytest.fixture
def stubborn() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"up\n"
    yield process
    process.kill()
    process.communicate()


def test_a_server_that_does_not_end_when_asked_is_killed(
    stubborn: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "STOP_LIMIT_S", 0.2)
    server._stop(stubborn)
    assert stubborn.poll() == -signal.SIGKILL


def test_a_second_ctrl_c_kills_the_server_rather_than_leaving_it(
    stubborn: subprocess.Popen[bytes],
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(KeyboardInterrupt):
            server._stop(stubborn)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert stubborn.poll() == -signal.SIGKILL
