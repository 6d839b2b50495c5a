"""Why a stage runs again: what went into it last time, beside what goes into it now.

Try it: ``weaklight run --dry-run``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.graph import StageSpec
from pipelines.project import Project
from pipelines.store import Manifest

__all__ = ["why_again"]

_READ_BESIDES = {  # by the fingerprint that a stage takes of it
    "source": "the source or its gold",
    "human_labels": "labels by hand",
    "lf_files": "labelling functions",
    "starting_weights": "the starting weights",
}
_TOP_LEVEL = ("classes", "class_sets")  # keys outside every section of weaklight.toml


def why_again(
    project: Project,
    spec: StageSpec,
    *,
    inputs: Mapping[str, str],
    config: Mapping[str, Any],
    extra: Mapping[str, str],
) -> str:
    """Say what changed since a stage last ran in this project; empty if it never ran.

    Parameters
    ----------
    inputs, config, extra
        What goes into it now, as its manifest would record it.

    Examples
    --------
    ``changed: the stage itself (version 3, now 4); what ingest and embed gave; [vote] folder``
    """
    run = project.latest_run(status=None, having=spec.name)
    if run is None:
        return ""
    if not project.store.has(spec.name, run.artifacts[spec.name]):
        return "its last result is gone"
    last = project.store.manifest(spec.name, run.artifacts[spec.name])
    changed = [*_of_stage(spec, last, inputs), *_settings(project, spec, last.config, config)]
    if last.seed != project.config.seed:
        changed.append("seed")
    if last.extra != extra and spec.fingerprint is not None:
        changed.append(_READ_BESIDES[spec.fingerprint])
    return f"changed: {'; '.join(changed)}" if changed else "its last result is gone"


def _of_stage(spec: StageSpec, last: Manifest, inputs: Mapping[str, str]) -> list[str]:
    changed = []
    if last.version != spec.version:
        changed.append(f"the stage itself (version {last.version}, now {spec.version})")
    references = {**spec.inputs, **spec.optional}
    stages = [
        reference.partition(".")[0]
        for field, reference in references.items()
        if last.inputs.get(field) != inputs.get(field)
    ]
    if stages:
        *others, last_one = dict.fromkeys(stages)
        changed.append(f"what {' and '.join(filter(None, [', '.join(others), last_one]))} gave")
    return changed


def _settings(
    project: Project, spec: StageSpec, last: Mapping[str, Any], now: Mapping[str, Any]
) -> list[str]:
    chosen = getattr(project.config, spec.section).chosen() if spec.section else {}
    known = last.keys() | chosen.keys()  # a key that came with an update was at its default
    keys = [key for key in known if now.get(key) != last.get(key)]
    return [key if key in _TOP_LEVEL else f"[{spec.section}] {key}" for key in sorted(keys)]
