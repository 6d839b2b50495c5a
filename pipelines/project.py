"""A project on disk: its settings, its state folder, its lock and its run records.

Try it: ``Project.open("demo").latest_run()``.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.config import CONFIG_NAME, Config, load_config
from pipelines.stages.base import reviews_file
from pipelines.store import ArtifactStore, explain_disk_errors, write_atomically
from weaklight.errors import ArtifactError, ConfigError, ProjectBusyError

if TYPE_CHECKING:
    from pipelines.reviews import ReviewStore

__all__ = ["Project", "RunRecord", "StageRecord"]


@dataclass(frozen=True)
class StageRecord:
    """What one stage did in a run.

    Attributes
    ----------
    notes : sentences for people; the first ``n_news`` are about this run, the others about what the
        stage made, in whichever run that was
    why : why it ran again, empty if it was cached or new
    """

    name: str
    digest: str
    cached: bool
    seconds: float
    peak_mib: float
    metrics: Mapping[str, Any]
    notes: tuple[str, ...]
    why: str = ""
    n_news: int = 0


@dataclass
class RunRecord:
    """Which artifacts a run used, when it ran and where; the place for times and host names."""

    run_id: str
    started: str
    seed: int
    host: str
    libraries: dict[str, str]
    status: str = "running"
    finished: str | None = None
    error: str | None = None
    artifacts: dict[str, str] = field(default_factory=dict)
    stages: list[StageRecord] = field(default_factory=list)
    # How many evaluations have read at least half of this test gold so far; None before the run
    # evaluated.
    test_looks: int | None = None

    @classmethod
    def read(cls, path: Path) -> RunRecord:
        """Read ``runs/<run_id>.json``, passing over what a later version of Weaklight added.

        Raises
        ------
        ArtifactError
            If the file cannot be read as a run record.
        """
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            data["stages"] = [
                StageRecord(**{**_known(StageRecord, s), "notes": tuple(s["notes"])})
                for s in data["stages"]
            ]
            return cls(**_known(cls, data))
        except (ValueError, TypeError, KeyError) as error:
            raise ArtifactError(
                f"the run record {path} cannot be read ({error}); delete it and run again"
            ) from None


def _known(kind: type[RunRecord] | type[StageRecord], data: Mapping[str, Any]) -> dict[str, Any]:
    names = {f.name for f in fields(kind)}
    return {key: value for key, value in data.items() if key in names}


class Project:
    """An opened project.

    Attributes
    ----------
    root : the project's folder
    config : its validated settings
    state : ``root/.weaklight``
    store : its artifacts
    """

    def __init__(self, root: Path, config: Config) -> None:
        self.root = root
        self.config = config
        self.state = root / ".weaklight"
        self.store = ArtifactStore(self.state)

    @classmethod
    def open(cls, root: Path | str) -> Project:
        """Open the project in ``root``.

        Raises
        ------
        ConfigError
            If there is no valid ``weaklight.toml``.
        """
        root = Path(root).expanduser().resolve()
        return cls(root, load_config(root / CONFIG_NAME))

    def reviews(self) -> ReviewStore:
        """Return the review store: a file of the project, or what ``[reviews] url`` names.

        Raises
        ------
        ConfigError
            If there are reviews in both places.
        """
        from pipelines.reviews import ReviewStore  # SQLAlchemy takes its time to import

        file, url = reviews_file(self.root), self.config.reviews.url
        if url is not None and file.is_file():
            raise ConfigError(
                f"reviews are to be kept in {url}, but {file} holds some, too; copy them once, as "
                "docs/app.md shows, and rename that file"
            )
        return ReviewStore(url or file)

    @property
    def has_reviews(self) -> bool:
        """Whether there may be reviews; False where looking would be in vain."""
        return self.config.reviews.url is not None or reviews_file(self.root).is_file()

    def runs(self) -> list[RunRecord]:
        """Every readable run record, oldest first."""
        return [RunRecord.read(p) for p in sorted((self.state / "runs").glob("*.json"))]

    def latest_run(
        self, status: str | None = "done", *, having: str | None = None
    ) -> RunRecord | None:
        """Return the newest run, None when there is none.

        Parameters
        ----------
        status
            Take only runs that ended so; None takes any.
        having
            Take only runs that got as far as this stage.
        """
        for path in sorted((self.state / "runs").glob("*.json"), reverse=True):
            record = RunRecord.read(path)
            if status in (None, record.status) and having in (None, *record.artifacts):
                return record
        return None

    def save_run(self, record: RunRecord) -> Path:
        """Write the run record so that a reader never sees a part of it."""
        path = self.state / "runs" / f"{record.run_id}.json"
        write_atomically(path, (json.dumps(asdict(record), indent=1) + "\n").encode())
        return path

    def is_locked(self) -> bool:
        """Return whether the process that took the project's lock last is still alive.

        Only its number is read: to try the lock would turn away a run that starts just then.
        """
        try:
            holder = int((self.state / "lock").read_text(encoding="utf-8"))
            os.kill(holder, 0)
        except PermissionError:  # alive, and another user's
            return True
        except (FileNotFoundError, ValueError, ProcessLookupError):
            return False
        return True

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the project's lock; the kernel frees it when the process ends, however it ends.

        Raises
        ------
        ProjectBusyError
            If another process holds it.
        """
        busy = (
            "another run (process {}) is working on {}; "
            "wait for it to end or stop it, then run again"
        )
        with self._alone("lock", busy):
            yield

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Be the one process that runs the project's schedule.

        Raises
        ------
        ProjectBusyError
            If another process does.
        """
        busy = (
            "`weaklight serve` (process {}) runs the schedule of {} already; "
            "stop that one with Ctrl-C, then serve again"
        )
        with self._alone("serving", busy):
            yield

    @contextmanager
    def _alone(self, name: str, busy: str) -> Iterator[None]:
        """Hold a lock file of the state folder; ``busy`` takes its holder and the project."""
        with explain_disk_errors(self.state):
            self.state.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.state / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
                raise ProjectBusyError(busy.format(holder, self.root)) from None
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
            yield
        finally:
            os.close(descriptor)
