"""Digests of what a stage reads besides its inputs: the source, LF files, human labels, weights.

Each returns a small dict that becomes part of the stage's key and of its manifest. They must be
quick: they run on every plan, also when everything is cached.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path

from labeling_functions import load_folder
from pipelines.draws import drawn_gold
from pipelines.project import Project, RunRecord
from pipelines.readers import find_source
from pipelines.store import digest_json, write_atomically
from weaklight.errors import LabelingError

__all__ = ["human_labels", "is_outdated", "lf_files", "source", "starting_weights"]


def source(project: Project, inputs: Mapping[str, Path]) -> dict[str, str]:
    """Digest the source that ``[items]`` names, and which of its items people drew as gold.

    Of files that are left alone the names count, which ingest tells; what is in them does not.
    """
    found = find_source(project.root, project.config.items)
    digests = _file_digests(found.files, project.state / "cache" / "seen_files.json")
    names = found.relative(found.files)
    parts = [[name, sha256] for name, sha256 in zip(names, digests, strict=True)]
    digested = {"source": digest_json([found.kind, found.name, parts])}
    if found.others:
        digested["others"] = digest_json(found.relative(found.others))
    if drawn := _gold(project):
        digested["gold"] = digest_json(drawn)
    return digested


def lf_files(project: Project, inputs: Mapping[str, Path]) -> dict[str, str]:
    """Digest of each LF of the project, by name and in column order."""
    folder = project.root / project.config.vote.folder
    lfs = load_folder(folder) if folder.is_dir() else []  # the stage says what is missing
    return {f"{i:03d} {lf.name}": lf.digest for i, lf in enumerate(lfs)}


def human_labels(project: Project, inputs: Mapping[str, Path]) -> dict[str, str]:
    """Digest of the current human label of every item."""
    return {"human": project.reviews().digest()}


def is_outdated(project: Project, record: RunRecord) -> bool:
    """Return whether LFs or human labels have changed since this run, as far as it came."""
    for stage, digests in (("vote", lf_files), ("reviews", human_labels)):
        if stage not in record.artifacts:
            continue
        then = project.store.manifest(stage, record.artifacts[stage]).extra
        try:
            if digests(project, {}) != then:
                return True
        except LabelingError:  # a file that cannot be loaded by now
            return True
    return False


def starting_weights(project: Project, inputs: Mapping[str, Path]) -> dict[str, str]:
    """Digest the weights that ``[pretrain]`` names: ``init``, or a model of sentences."""
    settings, seen = project.config.pretrain, project.state / "cache" / "seen_weights.json"
    file = settings.init_file(project.root)
    if file is not None and file.is_file():
        return {"init": _file_digests([file], seen)[0]}
    files = _model_files(settings.method, project.root)
    return {"model": digest_json(_file_digests(files, seen))} if files else {}


def _model_files(method: str, root: Path) -> list[Path]:
    """Return the weights of ``sentence_transformers:MODEL``, a folder or an installed package."""
    model = method.partition(":")[2]
    if model and (root / model).is_dir():
        return sorted((root / model).rglob("*.safetensors"))
    try:
        listed = (metadata.files(model) if model else None) or []
    except (metadata.PackageNotFoundError, ValueError):
        return []
    return sorted(Path(str(f.locate())) for f in listed if f.suffix == ".safetensors")


def _gold(project: Project) -> list[list[str | None]]:
    """Return item, role, label and chance of everything that was drawn at random."""
    if not project.has_reviews:
        return []
    gold = drawn_gold(project.reviews())
    told = gold[["item_id", "role", "label"]].assign(chance=gold["chance"].map(str))
    rows: list[list[str | None]] = told.to_numpy().tolist()
    return rows


def _file_digests(files: Iterable[Path], seen_path: Path) -> list[str]:
    """Return the sha256 of each of these distinct files.

    A file whose size and time of change are as ``seen_path`` recorded them is not read again. One
    that may not be read has ``unreadable`` instead.
    """
    try:
        seen: dict[str, list[str | int]] = json.loads(seen_path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        seen = {}
    now: dict[str, list[str | int]] = {}
    for file in files:
        if not os.access(file, os.R_OK):
            now[str(file)] = [-1, -1, "unreadable"]
            continue
        stat = file.stat()
        known = seen.get(str(file))
        if known is not None and known[:2] == [stat.st_size, stat.st_mtime_ns]:
            sha256 = str(known[2])
        else:
            with file.open("rb") as opened:
                sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
        now[str(file)] = [stat.st_size, stat.st_mtime_ns, sha256]
    if now != seen:
        write_atomically(seen_path, json.dumps(now).encode())
    return [str(entry[2]) for entry in now.values()]
