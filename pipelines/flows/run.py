"""Run the line through Prefect from this process: ``weaklight run``.

Try it: ``weaklight run --project demo``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from pipelines.engine import StageProgress
from pipelines.flows.server import embedded_server
from pipelines.flows.settings import use_home
from pipelines.flows.watchdog import guarded
from pipelines.preflight import preflight
from pipelines.project import Project, RunRecord, StageRecord

__all__ = ["run_with_prefect"]

_FLOW_OF_TARGETS: dict[tuple[str, ...], str] = {
    ("pretrain",): "pretrain",
    ("clean",): "label",
    ("train",): "train",
}


def run_with_prefect(
    project: Project,
    targets: tuple[str, ...] = ("report",),
    *,
    progress: StageProgress | None = None,
    on_stage: Callable[[StageRecord], None] | None = None,
    refresh_encoder: bool = False,
) -> RunRecord:
    """Run every stage that ``targets`` need as one Prefect flow, in this process.

    Takes what :func:`pipelines.engine.run_line` takes and does the same, with a record in Prefect:
    on the server that ``PREFECT_API_URL`` names, else on an embedded one that ends with the call.

    Returns
    -------
    The run record.

    Raises
    ------
    WeaklightError
        Of the kind that stopped the run; what was finished before it stays cached.

    Notes
    -----
    Prefect costs about 10 s of start-up with a new database and 6 s after, on one core.
    """
    preflight(project, targets)  # the flow does it too, but Prefect takes its time to start
    home = use_home(project.root)
    from pipelines.flows.line import FLOWS, Listener, listening

    given: dict[str, Any] = {"progress": progress, "on_stage": on_stage}
    listener = Listener(**{name: call for name, call in given.items() if call is not None})
    arguments: dict[str, Any] = {"project": str(project.root), "refresh_encoder": refresh_encoder}
    name = _FLOW_OF_TARGETS.get(targets, "all")
    if name == "all":
        arguments["targets"] = targets
    with _stops_stay_stops(), guarded(), embedded_server(home), listening(listener):
        outcome = FLOWS[name](**arguments)
    return RunRecord.read(project.state / "runs" / f"{outcome['run_id']}.json")


@contextmanager
def _stops_stay_stops() -> Iterator[None]:
    """Raise KeyboardInterrupt where a stopped flow could not tell its server of the stop.

    Prefect does that while it handles Ctrl-C or SIGTERM, so that a server which is gone or too
    slow to answer would make a run that was stopped one that failed.
    """
    from prefect.exceptions import TerminationSignal

    try:
        yield
    except httpx.HTTPError as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, KeyboardInterrupt | TerminationSignal):
                raise KeyboardInterrupt from error
            cause = cause.__context__
        raise
