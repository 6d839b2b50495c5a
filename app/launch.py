"""Start the review app in a browser; ``weaklight review`` calls this.

Nothing leaves the machine: loopback only, no usage statistics, no network asset.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

from weaklight.errors import ConfigError

__all__ = ["PROJECT_VARIABLE", "command", "launch"]

PROJECT_VARIABLE = "WEAKLIGHT_PROJECT"
_HERE = Path(__file__).parent


def command(port: int, open_browser: bool) -> list[str]:
    """Return the command line that serves the app."""
    settings = {
        "server.address": "127.0.0.1",  # reviews have no login: nobody else may reach the port
        "server.port": str(port),
        # Without a browser to open, headless also skips Streamlit's question for an e-mail address.
        "server.headless": "false" if open_browser else "true",
        "server.showEmailPrompt": "false",
        "server.fileWatcherType": "none",
        "logger.hideWelcomeMessage": "true",  # and with it, Streamlit's offers on the page
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "minimal",
        "theme.base": str(_HERE / "theme.toml"),
    }
    flags = [f"--{name}={value}" for name, value in settings.items()]
    return [sys.executable, "-m", "streamlit", "run", str(_HERE / "main.py"), *flags]


def launch(project_root: Path, port: int = 8501, open_browser: bool = True) -> NoReturn:
    """Become the server of the app for a project; a signal to this process stops it.

    Its address is printed once it answers.

    Raises
    ------
    ConfigError
        If the port is taken.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ConfigError(
                f"the review app needs a free port, but {port} is not ({error.strerror}); name "
                "another with --port"
            ) from None
    told = f"review app on http://127.0.0.1:{port}; Ctrl-C ends it"
    subprocess.Popen(
        [sys.executable, str(_HERE / "ready.py"), str(os.getpid()), str(port), told],
        start_new_session=True,  # Ctrl-C is for the server
    )
    environment = {**os.environ, PROJECT_VARIABLE: str(Path(project_root).resolve())}
    os.execve(sys.executable, command(port, open_browser), environment)
