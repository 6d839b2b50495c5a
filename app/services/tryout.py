"""Asks the process that tries functions: they are a project's own code, and one may never end.

Try it: ``Tryout(Path("my_project")).ask({"do": "columns"})``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from weaklight.errors import LabelingError, WeaklightError

__all__ = ["RefusedError", "Tryout"]

LIMIT_S = 60.0  # the first answer comes after imports, and perhaps after ingesting the items


class RefusedError(WeaklightError):
    """Raised when a table is wrong; ``option`` is the key to correct, None where it is none."""

    def __init__(self, message: str, option: str | None) -> None:
        super().__init__(message)
        self.option = option


class Tryout:
    """One ``pipelines.tryout`` process of a project, started when it is first asked.

    Parameters
    ----------
    root
        The project's folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()  # one question at a time, whoever asks
        self._process: subprocess.Popen[str] | None = None

    def ask(self, request: Mapping[str, Any], limit_s: float = LIMIT_S) -> Any:
        """Return the answer to a request as ``pipelines.tryout.serve`` describes it.

        Raises
        ------
        RefusedError
            If the project or the table is wrong.
        LabelingError
            If no answer came in time; the process is ended and the next question starts another.
        """
        with self._lock:
            process = self._running()
            assert process.stdin is not None and process.stdout is not None
            alarm = threading.Timer(limit_s, process.kill)
            alarm.start()
            try:
                process.stdin.write(json.dumps(request) + "\n")
                process.stdin.flush()
                line = process.stdout.readline()
            except BrokenPipeError:
                line = ""
            finally:
                alarm.cancel()
            if not line:
                self.close()
                raise LabelingError(
                    f"trying it took longer than {limit_s:g} s or ended the process that tries; a "
                    "pattern with repeats inside repeats can do that, make it simpler"
                )
        reply = json.loads(line)
        if "error" in reply:
            raise RefusedError(reply["error"], reply["option"])
        return reply["answer"]

    def close(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pipelines.tryout", str(self._root)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        return self._process
