"""``weaklight review``: when it prints the address, the address answers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from app.launch import launch
from weaklight.errors import ConfigError


def test_the_address_is_printed_when_it_answers_and_a_taken_port_is_told(tmp_path: Path) -> None:
    (tmp_path / "weaklight.toml").write_text('classes = ["a", "b"]\n[items]\nsource = "images"\n')
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        taken.listen()
        with pytest.raises(ConfigError, match=f"{port} is not .*--port"):
            launch(tmp_path, port)
    command = [sys.executable, "-m", "weaklight.cli", "review", "--no-browser", "--port", str(port)]
    root = str(Path(__file__).parents[2])
    served = subprocess.Popen(
        [*command, "--project", str(tmp_path)],
        env={**os.environ, "PYTHONPATH": root},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert served.stdout is not None
        url = f"http://127.0.0.1:{port}"
        assert served.stdout.readline() == f"review app on {url}; Ctrl-C ends it\n"
        assert urlopen(f"{url}/_stcore/health").read() == b"ok"
    finally:
        served.terminate()
        served.communicate(timeout=20)
