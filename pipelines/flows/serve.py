"""Run the flows of a project on its schedule: ``weaklight serve``.

Only a whole Prefect server has a scheduler, so where none is configured a local one is started for
as long as this runs. Each scheduled run is a process of its own.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.flows.server import is_our_own, local_server
from pipelines.flows.settings import use_home
from pipelines.flows.watchdog import guarded
from pipelines.outcome import outcome
from pipelines.preflight import preflight
from pipelines.project import Project, RunRecord
from weaklight.errors import ArtifactError, ConfigError

if TYPE_CHECKING:
    from prefect.deployments.runner import RunnerDeployment

__all__ = ["serve"]

logger = logging.getLogger(__name__)

POLL_S = 5.0  # how often to ask the server for runs that are due
LOOK_S = 1.0  # how often to look for finished runs


def serve(project_root: Path, on_event: Callable[[str], None] = logger.info) -> None:
    """Register the four flows and run them when due, until interrupted.

    Parameters
    ----------
    project_root
        The project's folder; ``[schedule]`` says when ``weaklight-all`` runs.
    on_event
        Called with a sentence when serving starts and with one line for each finished run.

    Raises
    ------
    ConfigError
        If ``[schedule]`` names no time, or something else is already known to be wrong.
    ProjectBusyError
        If another process serves the project: Prefect pauses the schedule where one of two ends.
    WeaklightError
        If the local server does not start.

    Notes
    -----
    Returns on SIGTERM, raises KeyboardInterrupt on SIGINT; the server and a run in progress are
    stopped first, and killed should this process be killed. A run that becomes due while another
    still goes on is cancelled, not queued.
    """
    project = Project.open(project_root)
    schedule = _schedule(project)
    preflight(project)
    home = use_home(project.root)
    with project.serving(), guarded(), local_server(home) as url:
        on_event(
            f"serving {project.root} {_in_words(project)}; "
            f"Prefect at {url.removesuffix('/api')}; Ctrl-C stops"
        )
        asyncio.run(_serve(project, schedule, on_event))


async def _serve(
    project: Project, schedule: dict[str, Any], on_event: Callable[[str], None]
) -> None:
    from prefect.runner import Runner

    runner = Runner(name=f"weaklight-{_name(project)}", query_seconds=POLL_S, limit=None)
    for deployment in await _deployments(project, schedule):
        await runner.aadd_deployment(deployment)
    if is_our_own():
        await _free_slots_of_the_dead(project)
    watching = asyncio.create_task(_tell_of_runs(project, on_event))
    try:
        await runner.start()
    finally:
        watching.cancel()


async def _deployments(project: Project, schedule: dict[str, Any]) -> list[RunnerDeployment]:
    """Return one deployment a flow; the whole line alone is scheduled."""
    from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
    from prefect.types.entrypoint import EntrypointType

    from pipelines.flows.line import FLOWS

    one_at_a_time = ConcurrencyLimitConfig(
        limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW
    )
    return [
        await flow.ato_deployment(
            _name(project),
            parameters={"project": str(project.root)},
            concurrency_limit=one_at_a_time,
            entrypoint_type=EntrypointType.MODULE_PATH,
            **(schedule if name == "all" else {}),
        )
        for name, flow in FLOWS.items()
    ]


async def _free_slots_of_the_dead(project: Project) -> None:
    """Give back what runs of a killed server still hold, or every new run would be cancelled."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate

    from pipelines.flows.line import FLOWS

    async with get_client() as client:
        for flow in FLOWS.values():
            deployment = await client.read_deployment_by_name(f"{flow.name}/{_name(project)}")
            limit = deployment.global_concurrency_limit
            if limit is not None and limit.active_slots:
                await client.update_global_concurrency_limit(
                    limit.name, GlobalConcurrencyLimitUpdate(active_slots=0)
                )


async def _tell_of_runs(project: Project, on_event: Callable[[str], None]) -> None:
    """Say one line of every run that starts from now on and ends."""
    folder = project.state / "runs"
    told = set(folder.glob("*.json"))
    while True:
        for path in sorted(set(folder.glob("*.json")) - told):
            try:
                record = RunRecord.read(path)
            except ArtifactError as error:  # as of a Weaklight that was updated meanwhile
                told.add(path)
                on_event(str(error))
                continue
            if record.status != "running":
                told.add(path)
                on_event(_line_of(project, record))
        await asyncio.sleep(LOOK_S)


def _line_of(project: Project, record: RunRecord) -> str:
    n_cached = sum(stage.cached for stage in record.stages)
    seconds = sum(stage.seconds for stage in record.stages)
    line = (
        f"run {record.run_id} {record.status}: "
        f"{len(record.stages)} stages, {n_cached} cached, {seconds:.1f} s"
    )
    try:
        line = "; ".join((line, *outcome(project, record)))
    except (ArtifactError, OSError) as error:  # removed meanwhile: no reason to stop serving
        line += f"; its results cannot be read: {error}"
    return f"{line}: {record.error.strip().splitlines()[-1]}" if record.error else line


def _schedule(project: Project) -> dict[str, Any]:
    """Return ``[schedule]`` as the arguments of a deployment."""
    section = project.config.schedule
    if section.every_s is not None:
        return {"interval": timedelta(seconds=section.every_s)}
    if section.cron is None:
        raise ConfigError(
            f"[schedule] in {project.root / 'weaklight.toml'} names no time; "
            'add a line such as cron = "0 2 * * *", or run once with `weaklight run`'
        )
    from prefect.schedules import Cron

    return {"schedule": Cron(section.cron, timezone=section.timezone)}


def _in_words(project: Project) -> str:
    section = project.config.schedule
    if section.every_s is not None:
        return f"every {section.every_s:g} s"
    return f"at {section.cron} ({section.timezone})"


def _name(project: Project) -> str:
    """Return a name for the deployments that tells projects on a shared server apart."""
    where = hashlib.sha256(str(project.root).encode()).hexdigest()[:6]
    return f"{project.root.name}-{where}"
