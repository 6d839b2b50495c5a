"""Run the line through Prefect from this process: ``weaklight run``.

Try it: ``weaklight run --project demo``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
    from pipelines.flows.line import FLOWS, Listener, listening, stops_stay_stops

    given: dict[str, Any] = {"progress": progress, "on_stage": on_stage}
    listener = Listener(**{name: call for name, call in given.items() if call is not None})
    arguments: dict[str, Any] = {"project": str(project.root), "refresh_encoder": refresh_encoder}
    name = _FLOW_OF_TARGETS.get(targets, "all")
    if name == "all":
        arguments["targets"] = targets
    with stops_stay_stops(), guarded(), embedded_server(home), listening(listener):
        outcome = FLOWS[name](**arguments)
    return RunRecord.read(project.state / "runs" / f"{outcome['run_id']}.json")
