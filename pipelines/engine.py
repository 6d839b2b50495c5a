"""Runs the line: computes each stage's key, runs what is missing, writes the run record.

A stage's key is its version, those of its settings that are not at their defaults, and the hashes
of its upstream *outputs*, so identical outputs stop the cascade. Nothing here imports Prefect or a
stage that is cached.

Try it: ``weaklight run --no-prefect``.
"""

from __future__ import annotations

import importlib
import logging
import os
import shutil
import socket
import time
import traceback
import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any

from pipelines import fingerprints, pin
from pipelines.causes import why_again
from pipelines.graph import StageSpec, spec_of
from pipelines.looks import looks_at_test
from pipelines.measure import PeakMemory
from pipelines.preflight import check_encoder, check_votes, line_of, preflight
from pipelines.project import Project, RunRecord, StageRecord
from pipelines.sections import PretrainConfig, Section
from pipelines.stages.base import StageResult, Work
from pipelines.store import Manifest, Output, digest_json, explain_disk_errors, hash_path
from weaklight.errors import WeaklightError
from weaklight.words import counted

__all__ = ["Planned", "Run", "StageProgress", "plan", "run_line"]

logger = logging.getLogger(__name__)

# (stage, done, total, message)
StageProgress = Callable[[str, int, int, str], None]

_LIBRARIES = ("numpy", "pandas", "pyarrow", "torch", "torchvision", "scikit-learn", "snorkel",
              "cleanlab", "scikit-image", "weaklight")  # fmt: skip


@dataclass(frozen=True)
class Planned:
    """One line of a plan: what would happen to a stage, and why."""

    name: str
    status: typing.Literal["cached", "runs", "depends"]
    digest: str | None
    why: str


@dataclass(frozen=True)
class _Keyed:
    """A stage's key with everything that went into it."""

    digest: str
    inputs: Mapping[str, str]
    paths: Mapping[str, Path]
    extra: Mapping[str, str]
    config: Mapping[str, Any]


def plan(project: Project, targets: tuple[str, ...] = ("report",)) -> list[Planned]:
    """Say which stages are cached and which would run, without running or writing anything.

    Raises
    ------
    WeaklightError
        If something is already known to be wrong, see :mod:`pipelines.preflight`.
    """
    planned: list[Planned] = []
    line = line_of(project, targets)
    done: dict[str, str] = {}
    for spec in line:
        waiting = [name for name in spec.upstream if name not in done]
        if waiting:
            planned.append(Planned(spec.name, "depends", None, f"after {', '.join(waiting)}"))
            continue
        why = ""
        sources = dict(done)
        if spec.name == "pretrain":
            sources["ingest"], why = pin.choose_snapshot(project, done["ingest"])
        keyed = _key(project, spec, sources)
        if project.store.has(spec.name, keyed.digest):
            done[spec.name] = keyed.digest
            planned.append(Planned(spec.name, "cached", keyed.digest, why))
        else:
            reasons = [_why_again(project, spec, keyed) or "never run", why]
            told = "; ".join(reason for reason in reasons if reason not in ("", pin.CHANGED))
            planned.append(Planned(spec.name, "runs", keyed.digest, told))
    kind = None
    if "ingest" in done:
        kind = project.store.manifest("ingest", done["ingest"]).metrics["kind"]
    check_encoder(project, line, kind)
    check_votes(project, done)
    return planned


class Run:
    """One run of a project; a context manager that holds the project's lock.

    Parameters
    ----------
    project
        The opened project.
    progress
        Called as ``progress(stage, done, total, message)`` while stages work.
    refresh_encoder
        Pin the encoder to the current items, whatever ``[pretrain] refresh`` says.
    around
        Entered around each stage that really runs, with its name: where a flow holds the device.

    Raises
    ------
    ProjectBusyError
        On entry, if another run holds the lock.

    Examples
    --------
    >>> with Run(project) as run:  # doctest: +SKIP
    ...     for name in ("ingest", "pretrain", "embed"):
    ...         run.stage(name)
    """

    def __init__(
        self,
        project: Project,
        *,
        progress: StageProgress | None = None,
        refresh_encoder: bool = False,
        around: Callable[[str], AbstractContextManager[None]] = lambda stage: nullcontext(),
    ) -> None:
        self.project = project
        self.progress: StageProgress = progress or (lambda stage, done, total, message: None)
        self.refresh_encoder = refresh_encoder
        self.around = around

    def __enter__(self) -> Run:
        self._lock = self.project.locked()
        self._lock.__enter__()
        self.project.store.sweep()
        self._close_abandoned_records()
        now = datetime.now(UTC)
        self.record = RunRecord(
            run_id=f"{now:%Y%m%dT%H%M%S}{now.microsecond // 1000:03d}Z-{os.getpid():05d}",
            started=now.isoformat(timespec="seconds"),
            seed=self.project.config.seed,
            host=socket.gethostname(),
            libraries=library_versions(),
        )
        self.project.save_run(self.record)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.record.finished = datetime.now(UTC).isoformat(timespec="seconds")
            is_failure = isinstance(error, Exception)  # else stopped, as by Ctrl-C
            self.record.status = (
                "done" if error is None else "failed" if is_failure else "interrupted"
            )
            if is_failure:
                known = isinstance(error, WeaklightError)
                self.record.error = (
                    str(error) if known else "".join(traceback.format_exception(error))[-4000:]
                )
            self.project.save_run(self.record)
        finally:
            self._lock.__exit__(None, None, None)

    def stage(self, name: str) -> StageRecord:
        """Run one stage or find it cached; its upstream stages must have gone before in this run.

        Returns
        -------
        What happened, also appended to the run record.
        """
        spec = spec_of(name)
        started = time.perf_counter()
        sources = dict(self.record.artifacts)
        news: tuple[str, ...] = ()
        notes: tuple[str, ...] = ()
        if name == "pretrain":
            current = sources["ingest"]
            sources["ingest"], why = pin.choose_snapshot(
                self.project, current, force=self.refresh_encoder
            )
            if sources["ingest"] != current:
                news = (f"snapshot: {why}",)
            else:
                notes = (f"snapshot: {why}",)
                if not why.startswith("pinned"):
                    pin.write_pin(self.project, current)
        keyed = _key(self.project, spec, sources)
        cached = self.project.store.has(name, keyed.digest)
        why = "" if cached else _why_again(self.project, spec, keyed)
        peak = 0.0
        if not cached:
            if name == "pretrain":
                check_votes(self.project, self.record.artifacts)
            with self.around(name), PeakMemory() as memory:
                self._execute(spec, keyed)
            peak = memory.peak_mib
        manifest = self.project.store.manifest(name, keyed.digest)
        if name == "ingest":
            news = self._turnover(keyed.digest)
        if name == "evaluate":
            looks = looks_at_test(self.project, keyed.digest, self.record.artifacts["ingest"])
            self.record.test_looks = looks
            if looks > 1:
                others = counted(looks - 1, "other evaluation")
                notes += (
                    f"look number {looks} at this test gold: {others} read at least half of its "
                    "items, and what was changed after an earlier look is not judged blindly",
                )
        entry = StageRecord(
            name=name,
            digest=keyed.digest,
            cached=cached,
            seconds=round(time.perf_counter() - started, 3),
            peak_mib=round(peak, 1),
            metrics=manifest.metrics,
            notes=(*news, *notes, *manifest.notes),
            why=why,
            n_news=len(news),
        )
        self.record.artifacts[name] = keyed.digest
        self.record.stages.append(entry)
        self.project.save_run(self.record)
        return entry

    def _turnover(self, digest: str) -> tuple[str, ...]:
        """Say how the items differ from those of the run before."""
        before = self.project.latest_run(status=None, having="ingest")
        if before is None or before.artifacts["ingest"] == digest:
            return ()
        if not self.project.store.has("ingest", before.artifacts["ingest"]):
            return ()
        from pipelines.turnover import turnover

        return turnover(self.project, before.artifacts["ingest"], digest)

    def _execute(self, spec: StageSpec, keyed: _Keyed) -> None:
        project, store = self.project, self.project.store
        scratch = project.state / "work" / spec.name / keyed.digest
        cache = project.state / "cache"
        with explain_disk_errors(project.state):
            scratch.mkdir(parents=True, exist_ok=True)
            cache.mkdir(parents=True, exist_ok=True)
        function = _load_function(spec)
        with store.writing(spec.name, keyed.digest) as out, explain_disk_errors(out):
            work = Work(
                out=out,
                scratch=scratch,
                cache=cache,
                project_root=project.root,
                seed=project.config.seed,
                classes=project.config.classes,
                class_sets=project.config.vote_sets,
                progress=lambda done, total, message: self.progress(
                    spec.name, done, total, message
                ),
                reviews_url=project.config.reviews.url,
            )
            with _thread_limit(project.config.threads):
                result = _call(function, spec, keyed, project, work)
            outputs = {}
            for name, file in sorted(result.outputs.items()):
                sha256, size = hash_path(out / file)
                outputs[name] = Output(file=file, sha256=sha256, size=size)
            store.commit(
                out,
                Manifest(
                    stage=spec.name,
                    digest=keyed.digest,
                    version=spec.version,
                    inputs=keyed.inputs,
                    config=keyed.config,
                    seed=project.config.seed,
                    extra=keyed.extra,
                    libraries=library_versions(),
                    outputs=outputs,
                    metrics=dict(result.metrics),
                    notes=tuple(result.notes),
                ),
            )
        shutil.rmtree(scratch, ignore_errors=True)

    def _close_abandoned_records(self) -> None:
        """Mark runs that were killed: we hold the lock, so whatever still says running is dead."""
        for record in self.project.runs():
            if record.status == "running":
                record.status = "interrupted"
                self.project.save_run(record)


def run_line(
    project: Project,
    targets: tuple[str, ...] = ("report",),
    *,
    progress: StageProgress | None = None,
    on_stage: Callable[[StageRecord], None] | None = None,
    refresh_encoder: bool = False,
) -> RunRecord:
    """Run every stage that ``targets`` need, plainly, in this process.

    Raises
    ------
    WeaklightError
        Of the kind that stopped the run; what was finished before it stays cached.
    """
    with Run(project, progress=progress, refresh_encoder=refresh_encoder) as run:
        for spec in preflight(project, targets):
            entry = run.stage(spec.name)
            if on_stage is not None:
                on_stage(entry)
    return run.record


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that decide a stage's bytes."""
    return {name: metadata.version(name) for name in _LIBRARIES}


def _key(project: Project, spec: StageSpec, sources: Mapping[str, str]) -> _Keyed:
    store, config = project.store, project.config
    inputs: dict[str, str] = {}
    paths: dict[str, Path] = {}
    for field, reference in {**spec.inputs, **spec.optional}.items():
        stage, output = reference.split(".")
        if field in spec.optional and stage not in sources:
            continue
        manifest = store.manifest(stage, sources[stage])
        if field in spec.optional and output not in manifest.outputs:
            continue
        inputs[field] = manifest.outputs[output].sha256
        paths[field] = store.folder(stage, sources[stage]) / manifest.outputs[output].file
    section: dict[str, Any] = {}  # for the manifest: all settings
    chosen: dict[str, Any] = {}  # for the key: those that are not at their defaults
    if spec.section is not None:
        settings = _section(project, spec.section)
        leave_out = pin.NOT_LEARNED_FROM if spec.name == "pretrain" else frozenset()
        section = settings.model_dump(mode="json", exclude=set(leave_out))
        chosen = settings.chosen(leave_out=leave_out)
    if spec.uses_classes:
        sets = [[s.name, *s.members] for s in config.vote_sets]
        classes = {"classes": list(config.classes), "class_sets": sets}
        section, chosen = section | classes, chosen | classes
    extra: Mapping[str, str] = {}
    if spec.fingerprint is not None:
        extra = getattr(fingerprints, spec.fingerprint)(project, paths)
    digest = digest_json([spec.name, spec.version, inputs, chosen, config.seed, extra])
    return _Keyed(digest, inputs, paths, extra, section)


def _section(project: Project, name: str) -> Section:
    """Return a section as its stage takes it: alike where the same is to be made."""
    section: Section = getattr(project.config, name)
    return pin.plain(section) if isinstance(section, PretrainConfig) else section


def _why_again(project: Project, spec: StageSpec, keyed: _Keyed) -> str:
    return why_again(project, spec, inputs=keyed.inputs, config=keyed.config, extra=keyed.extra)


def _load_function(spec: StageSpec) -> Callable[..., StageResult]:
    module, _, name = spec.function.partition(":")
    function: Callable[..., StageResult] = getattr(importlib.import_module(module), name)
    return function


def _call(
    function: Callable[..., StageResult],
    spec: StageSpec,
    keyed: _Keyed,
    project: Project,
    work: Work,
) -> StageResult:
    """Call the stage with its inputs dataclass filled from the upstream paths."""
    inputs_type = typing.get_type_hints(function)["inputs"]
    section = _section(project, spec.section) if spec.section else None
    return function(inputs_type(**keyed.paths), section, work)


@contextmanager
def _thread_limit(threads: int) -> Iterator[None]:
    """Run a stage with a fixed number of threads, since sums depend on how they are split.

    Where ``OMP_NUM_THREADS`` allows fewer, it is fewer.
    """
    import sys

    from threadpoolctl import threadpool_limits

    allowed = os.environ.get("OMP_NUM_THREADS", "")
    if allowed.isdigit():
        threads = min(threads, max(int(allowed), 1))
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(threads)
    with threadpool_limits(limits=threads):
        yield
