"""What can be known to be wrong before hours are spent, so that nobody waits to hear of it.

Try it: ``weaklight run --dry-run``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain

import pandas as pd

from labeling_functions import load_folder
from labeling_functions.templates import FeatureTemplate
from pipelines import pin
from pipelines.graph import StageSpec, needed_for
from pipelines.project import Project
from pipelines.sections import KINDS, Kind
from weaklight.errors import ConfigError, LabelingError
from weaklight.words import nearest

__all__ = ["check_encoder", "check_votes", "line_of", "preflight"]


def preflight(project: Project, targets: tuple[str, ...] = ("report",)) -> tuple[StageSpec, ...]:
    """Return the stages that the targets need, after looking at LFs and encoder.

    Raises
    ------
    LabelingError
        If an LF file cannot be loaded.
    ConfigError
        As :func:`check_encoder` raises it.
    """
    line = line_of(project, targets)
    check_encoder(project, line)
    return line


def line_of(project: Project, targets: tuple[str, ...]) -> tuple[StageSpec, ...]:
    """Return the stages that the targets need, in the order they run: that depends on the LFs.

    Raises
    ------
    LabelingError
        If an LF file cannot be loaded.
    """
    line = needed_for(targets, reads_features=True)
    folder = project.root / project.config.vote.folder
    if all(spec.name != "vote" for spec in line) or not folder.is_dir():
        return needed_for(targets, reads_features=False)
    if any(isinstance(lf, FeatureTemplate) for lf in load_folder(folder)):
        return line
    return needed_for(targets, reads_features=False)


def check_encoder(project: Project, line: Iterable[StageSpec], kind: Kind | None = None) -> None:
    """Look for what ``[pretrain]`` names, where a stage of the line is to train it.

    Parameters
    ----------
    kind
        What the items are, where that is known.

    Raises
    ------
    ConfigError
        If the method is none for such items or does not take its options, a package that it needs
        is not installed, or the weights that it starts from are not there.

    Notes
    -----
    Imports torch only where ``[pretrain]`` names something that has not trained here yet.
    """
    if any(spec.name == "pretrain" for spec in line) and not _has_trained(project):
        _check_pretrain(project, kind or _named_kind(project))


def check_votes(project: Project, done: Mapping[str, str]) -> None:
    """Refuse to train an encoder where no label can come of it.

    Parameters
    ----------
    done
        Digest of each stage that is done, by its name; before vote nothing is known.

    Raises
    ------
    LabelingError
        If there is no training item, or no LF votes on one, no person has decided on one, and no
        bag has a label.
    """
    if not {"vote", "reviews"} <= done.keys():
        return
    said, people = (
        project.store.manifest(name, done[name]).metrics for name in ("vote", "reviews")
    )
    if (
        said["n_training_covered"]
        or people["n_human"]
        or _has_labelled_bags(project, done["ingest"])
    ):
        return
    if not said["n_lfs"]:
        raise LabelingError(
            f"expected labelling functions in {project.root / project.config.vote.folder}, a "
            "column of noisy labels, labels by people, or labels of bags and [bags] positive to "
            "say what they mean, but found none; `weaklight lf new` writes a first function"
        )
    items = project.store.manifest("ingest", done["ingest"]).metrics
    if not items["n_unlabeled"]:
        split = project.config.items.split
        raise LabelingError(
            f"expected items of the split 'unlabeled', from which all learning comes, but all "
            f"{items['n']:,} are kept for judging; leave {split!r} empty where an item is not"
        )
    errors = f" ({said['n_errors']:,} errors)" if said["n_errors"] else ""
    raise LabelingError(
        "expected labelling functions to vote on items of the split 'unlabeled', from whose votes "
        f"all labels come, but none of the {said['n_lfs']} does on any of them{errors}; "
        "`weaklight lf check` shows what each of them does"
    )


def _has_labelled_bags(project: Project, ingest: str) -> bool:
    if project.config.bags.positive is None:
        return False
    known = pd.read_parquet(project.store.path("ingest", ingest, "bag_labels"))["bag_label"]
    return bool(known.notna().any())


def _has_trained(project: Project) -> bool:
    """Return whether the latest encoder was made by the settings of now, whose file is there."""
    run = project.latest_run(None, having="pretrain")
    if run is None or not project.store.has("pretrain", run.artifacts["pretrain"]):
        return False
    made = project.store.manifest("pretrain", run.artifacts["pretrain"]).config
    config = project.config.pretrain
    now = pin.plain(config).model_dump(mode="json")
    start = config.init_file(project.root)
    return (start is None or start.is_file()) and all(
        made.get(key) == now[key] for key in ("method", "backbone", "init", "options")
    )


def _named_kind(project: Project) -> Kind | None:
    return next((k for k in KINDS if getattr(project.config.items, k) is not None), None)


def _check_pretrain(project: Project, kind: Kind | None) -> None:
    config = project.config.pretrain
    if config.method != "auto":
        from pipelines.encoders import METHODS_OF, choose_method

        for possible in KINDS if kind is None else (kind,):
            try:
                choose_method(config, possible)
                break
            except ConfigError:
                if kind is not None:
                    raise
        else:
            near = nearest(config.method.lower(), chain.from_iterable(METHODS_OF.values()))
            raise ConfigError(
                f"[pretrain] method is {config.method!r}, but there is none of that name{near}; "
                "`weaklight methods` lists them"
            )
        if model := config.method.partition(":")[2]:
            from ssl_models.text.sentences import find_model, require_library

            find_model(model, project.root)
            require_library()
    if config.options and kind is not None:
        from pipelines.encoders import checked_options, choose_method

        checked_options(kind, choose_method(config, kind)[0], config.options)
    if config.backbone.startswith("timm:"):
        from ssl_models.timm_backbones import import_timm

        import_timm()
    if config.init is not None and kind in ("image", None):  # others do not read it
        from ssl_models.public_weights import require_weights

        file = config.init_file(project.root)
        require_weights(config.init if file is None else str(file))
