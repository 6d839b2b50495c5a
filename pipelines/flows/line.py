"""The flows: one a stage family and one for the whole line; a task runs or finds one stage.

Flows are thin. Which stages a target needs, what is cached and where artifacts lie is decided by
:mod:`pipelines.engine`; tasks take and return names, digests and paths.

Try it: ``weaklight run --project demo``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
from prefect import Flow, flow, task
from prefect.cache_policies import NO_CACHE
from prefect.exceptions import TerminationSignal

from pipelines.engine import Run, StageProgress
from pipelines.flows.artifacts import ProgressArtifacts, publish_lf_table, publish_report
from pipelines.flows.device import occupied
from pipelines.flows.watchdog import guarded
from pipelines.graph import STAGES
from pipelines.preflight import preflight
from pipelines.project import Project, StageRecord
from weaklight.errors import WeaklightError

__all__ = [
    "FLOWS",
    "Listener",
    "label",
    "listening",
    "pretrain",
    "stops_stay_stops",
    "train",
    "whole_line",
]

logger = logging.getLogger(__name__)

# The caller and the run record get the exception; Prefect would also print it twice, at length.
for _noisy in ("prefect.flow_runs", "prefect.task_runs"):
    logging.getLogger(_noisy).propagate = False
# Where a run is stopped it would say how many events it is still sending.
logging.getLogger("EventsWorker").setLevel(logging.ERROR)

# What a task hands to the next: {"stage", "digest", "path", "cached", "seconds"}.
Done = dict[str, Any]


@dataclass(frozen=True)
class Listener:
    """Who, in this process, wants to hear how a flow goes on."""

    progress: StageProgress = lambda stage, done, total, message: None
    on_stage: Callable[[StageRecord], None] = lambda entry: None


_listener: ContextVar[Listener] = ContextVar("listener")
_run: ContextVar[Run] = ContextVar("run")


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Tell ``listener`` of the flows that are called inside."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@contextmanager
def stops_stay_stops() -> Iterator[None]:
    """Raise KeyboardInterrupt where a stopped flow could not tell its server of the stop.

    Prefect does that while it handles Ctrl-C or SIGTERM, so that a server which is gone or too
    slow to answer would make a run that was stopped one that failed.
    """
    try:
        yield
    except httpx.HTTPError as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, KeyboardInterrupt | TerminationSignal):
                raise KeyboardInterrupt from error
            cause = cause.__context__
        raise


@flow(name="weaklight-pretrain")
def pretrain(project: str, refresh_encoder: bool = False) -> Done:
    """Train the SSL encoder over the unlabelled items of the project in a folder."""
    return _run_line(project, ("pretrain",), refresh_encoder)


@flow(name="weaklight-label")
def label(project: str, refresh_encoder: bool = False) -> Done:
    """Vote, take in bags, aggregate and clean: the weak labels."""
    return _run_line(project, ("clean",), refresh_encoder)


@flow(name="weaklight-train")
def train(project: str, refresh_encoder: bool = False) -> Done:
    """Train the classifier on the weak labels."""
    return _run_line(project, ("train",), refresh_encoder)


@flow(name="weaklight-all")
def whole_line(
    project: str, refresh_encoder: bool = False, targets: tuple[str, ...] = ("report",)
) -> Done:
    """Run every stage that ``targets`` need, up to the report."""
    return _run_line(project, targets, refresh_encoder)


FLOWS: dict[str, Flow[..., Done]] = {
    "pretrain": pretrain,
    "label": label,
    "train": train,
    "all": whole_line,
}


def _run_line(folder: str, targets: tuple[str, ...], refresh_encoder: bool) -> Done:
    """Run the stages in order under the project's lock; return the run's id and its stages."""
    listener = _listener.get(Listener())
    done: dict[str, Done] = {}
    with guarded(), ExitStack() as held:
        with _told_without_a_record():
            project = Project.open(folder)
            progress = ProgressArtifacts(project, listener.progress)
            run = held.enter_context(
                Run(
                    project,
                    progress=progress,
                    refresh_encoder=refresh_encoder,
                    around=partial(_around, progress),
                )
            )
        held.enter_context(stops_stay_stops())
        line = preflight(project, targets)
        token = _run.set(run)
        try:
            for spec in line:
                upstream = {name: done[name] for name in spec.upstream}
                done[spec.name] = _TASKS[spec.name](spec.name, upstream)
                progress.finish(spec.name)
                listener.on_stage(run.record.stages[-1])
        finally:
            _run.reset(token)
        if "vote" in done:
            publish_lf_table(project, run.record)
        if "report" in done:
            publish_report(project, run.record)
    return {"run_id": run.record.run_id, "stages": done}


@contextmanager
def _told_without_a_record() -> Iterator[None]:
    """Log why a scheduled run did not begin: it has no record, from which `serve` would tell it."""
    try:
        yield
    except WeaklightError as error:
        if _listener.get(None) is None:
            logger.error("a scheduled run did not begin: %s", error)
        raise


@task(cache_policy=NO_CACHE)
def _run_stage(stage: str, upstream: dict[str, Done]) -> Done:
    """Run one stage of the current run, or find it cached.

    ``upstream`` is what the tasks before returned: Prefect draws its graph from it, while the
    engine knows their digests from the run itself.
    """
    run = _run.get()
    entry = run.stage(stage)
    return {
        "stage": stage,
        "digest": entry.digest,
        "path": str(run.project.store.folder(stage, entry.digest)),
        "cached": entry.cached,
        "seconds": entry.seconds,
    }


_TASKS = {
    spec.name: _run_stage.with_options(name=spec.name, task_run_name=spec.name) for spec in STAGES
}


def _around(progress: StageProgress, stage: str) -> AbstractContextManager[None]:
    """Hold the device while the encoder trains; other stages need no more than a little CPU."""
    if stage != "pretrain":
        return nullcontext()
    return occupied(lambda message: progress(stage, 0, 1, message))
