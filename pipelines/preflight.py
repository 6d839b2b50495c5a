"""What can be known to be wrong before the first stage runs, so that nobody waits to hear of it.

Try it: ``weaklight run --dry-run``.
"""

from __future__ import annotations

from pipelines.fingerprints import lf_files
from pipelines.graph import needed_for
from pipelines.project import Project
from pipelines.sections import KINDS, Kind
from weaklight.errors import ConfigError

__all__ = ["preflight"]


def preflight(
    project: Project, targets: tuple[str, ...] = ("report",), kind: Kind | None = None
) -> None:
    """Load the LFs and look for the encoder that ``[pretrain]`` names, as far as needed.

    Parameters
    ----------
    targets
        The stages that are wanted.
    kind
        What the items are, where that is known.

    Raises
    ------
    LabelingError
        If an LF file cannot be loaded.
    ConfigError
        If the method is none for such items, or a package that it needs is not installed.

    Notes
    -----
    Imports torch only where ``[pretrain]`` names something that has not trained here yet.
    """
    needed = {spec.name for spec in needed_for(targets)}
    if "vote" in needed:
        lf_files(project, {})
    if "pretrain" in needed and not _has_trained(project):
        _check_encoder(project, kind or _named_kind(project))


def _has_trained(project: Project) -> bool:
    """Return whether the latest encoder was made by the settings of now."""
    run = project.latest_run(None, having="pretrain")
    if run is None or not project.store.has("pretrain", run.artifacts["pretrain"]):
        return False
    made = project.store.manifest("pretrain", run.artifacts["pretrain"]).config
    now = project.config.pretrain.model_dump(mode="json")
    return all(made.get(key) == now[key] for key in ("method", "backbone", "init"))


def _named_kind(project: Project) -> Kind | None:
    return next((k for k in KINDS if getattr(project.config.items, k) is not None), None)


def _check_encoder(project: Project, kind: Kind | None) -> None:
    config = project.config.pretrain
    if config.method != "auto":
        from pipelines.encoders import choose_method

        refusals = []
        for possible in KINDS if kind is None else (kind,):
            try:
                choose_method(config, possible)
                break
            except ConfigError as error:
                refusals.append(str(error))
        else:
            raise ConfigError("\n".join(refusals))
        if model := config.method.partition(":")[2]:
            from ssl_models.text.sentences import find_model, require_library

            find_model(model, project.root)
            require_library()
    if any(str(name).startswith("timm:") for name in (config.backbone, config.init)):
        from ssl_models.timm_backbones import import_timm

        import_timm()
