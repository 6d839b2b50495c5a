"""The encoder's pin: which snapshot of items it is trained on, so new items never retrain it.

``<state>/encoder_pin.json`` is written when training starts, so that a killed run goes on with the
same snapshot, and replaced when ``[pretrain] refresh`` says that a new snapshot is due.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipelines.cron import last_due
from pipelines.fingerprints import starting_weights
from pipelines.project import Project
from pipelines.sections import PretrainConfig
from pipelines.store import digest_json, write_atomically

__all__ = [
    "CHANGED",
    "NOT_LEARNED_FROM",
    "Pin",
    "choose_snapshot",
    "plain",
    "read_pin",
    "write_pin",
]

# Settings of [pretrain] that say where and how often to train, not what is learnt.
NOT_LEARNED_FROM = frozenset({"refresh", "device", "devices", "checkpoint_every"})
CHANGED = "the items of now, as the settings changed"  # the plan says which did


@dataclass(frozen=True)
class Pin:
    """The pinned snapshot: its ingest artifact, size, settings and the time it was pinned."""

    ingest: str
    n_items: int
    settings: str
    pinned_at: str


def plain(config: PretrainConfig) -> PretrainConfig:
    """Return ``[pretrain]`` without options that say what its method has anyway."""
    if not config.options:
        return config
    from pipelines.encoders import beyond_defaults  # imports torch, which few projects need here

    kept = beyond_defaults(config.method, config.options)
    return config.model_copy(update={"options": kept})


def settings_digest(project: Project) -> str:
    """Digest what asks for a new snapshot when it changes: ``[pretrain]``, first weights, seed.

    A default that changes with a version of Weaklight is nobody's wish: it asks for none.
    """
    chosen = plain(project.config.pretrain).chosen(leave_out=NOT_LEARNED_FROM)
    return digest_json([chosen, project.config.seed, starting_weights(project, {})])


def read_pin(project: Project) -> Pin | None:
    """Return the project's pin, None when nothing was pinned or the file cannot be read."""
    try:
        return Pin(**json.loads(_path(project).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def write_pin(project: Project, ingest: str, now: datetime | None = None) -> Pin:
    """Pin the encoder to the items of this ingest artifact."""
    pin = Pin(
        ingest=ingest,
        n_items=_count(project, ingest),
        settings=settings_digest(project),
        pinned_at=(now or datetime.now(UTC)).isoformat(timespec="seconds"),
    )
    write_atomically(_path(project), (json.dumps(asdict(pin), indent=1) + "\n").encode())
    return pin


def choose_snapshot(
    project: Project, ingest: str, *, force: bool = False, now: datetime | None = None
) -> tuple[str, str]:
    """Return (ingest digest to train on, why).

    Parameters
    ----------
    ingest
        The ingest artifact of the current items.
    force
        Take the current items whatever ``refresh`` says.
    """
    pin = read_pin(project)
    if pin is None:
        return ingest, "first training of this encoder"
    if not project.store.has("ingest", pin.ingest):
        return ingest, "the items of now, as those that it was pinned to are gone"
    if force:
        return ingest, "a fresh snapshot was asked for"
    if pin.settings != settings_digest(project):
        return ingest, CHANGED
    refresh = project.config.pretrain.refresh
    if refresh.startswith("growth:"):
        share = float(refresh.removeprefix("growth:"))
        n_now = _count(project, ingest)
        if n_now >= pin.n_items * (1 + share):
            return ingest, f"items grew from {pin.n_items} to {n_now} ({refresh})"
    elif refresh != "manual":
        due = last_due(refresh, now or datetime.now(UTC), project.config.schedule.timezone)
        if due > datetime.fromisoformat(pin.pinned_at):
            return ingest, f"the refresh of {due:%Y-%m-%d %H:%M} is due ({refresh})"
    pinned = f"pinned to {pin.n_items} items of {pin.pinned_at}"
    if (n_now := _count(project, ingest)) > pin.n_items:
        pinned += f"; by now there are {n_now}, which --refresh-encoder would take"
    return pin.ingest, pinned


def _count(project: Project, ingest: str) -> int:
    return int(project.store.manifest("ingest", ingest).metrics["n_unlabeled"])


def _path(project: Project) -> Path:
    return project.state / "encoder_pin.json"
