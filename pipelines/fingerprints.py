"""Digests of what a stage reads besides its inputs: the source, LF files, human labels, weights.

Each returns a small dict that becomes part of the stage's key and of its manifest. They must be
quick: they run on every plan, also when everything is cached.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from labeling_functions import load_folder
from pipelines.project import Project
from pipelines.readers import find_source
from pipelines.reviews import ReviewStore
from pipelines.store import digest_json, write_atomically

__all__ = ["human_labels", "lf_files", "source", "starting_weights"]


def source(project: Project, inputs: Mapping[str, Path]) -> dict[str, str]:
    """Digest the source that ``[items]`` names, and which of its items people drew as gold.

    The source is every file's name and content. A file whose size and time of change are as last
    seen is not read again.
    """
    found = find_source(project.root, project.config.items)
    seen_path = project.state / "cache" / "seen_files.json"
    try:
        seen: dict[str, list[str | int]] = json.loads(seen_path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        seen = {}
    now: dict[str, list[str | int]] = {}
    parts = []
    for file in found.files:
        stat = file.stat()
        name = file.relative_to(found.base).as_posix()
        known = seen.get(str(file))
        if known is not None and known[:2] == [stat.st_size, stat.st_mtime_ns]:
            sha256 = str(known[2])
        else:
            with file.open("rb") as opened:
                sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
        now[str(file)] = [stat.st_size, stat.st_mtime_ns, sha256]
        parts.append([name, sha256])
    if now != seen:
        write_atomically(seen_path, json.dumps(now).encode())
    drawn = ReviewStore(project.state / "reviews.sqlite").gold()
    gold = {"gold": digest_json(drawn.to_numpy().tolist())} if len(drawn) else {}
    return {"source": digest_json([found.kind, found.name, parts]), **gold}


def lf_files(project: Project, inputs: Mapping[str, Path]) -> dict[str, str]:
    """Digest of each LF of the project, by name and in column order."""
    lfs = load_folder(project.root / project.config.vote.folder)
    return {f"{i:03d} {lf.name}": lf.digest for i, lf in enumerate(lfs)}


def human_labels(project: Project, inputs: Mapping[str, Path]) -> dict[str, str]:
    """Digest of the current human label of every item."""
    return {"human": ReviewStore(project.state / "reviews.sqlite").digest()}


def starting_weights(project: Project, inputs: Mapping[str, Path]) -> dict[str, str]:
    """Digest the file that ``[pretrain] init`` names; nothing where it names none."""
    file = project.config.pretrain.init_file(project.root)
    if file is None or not file.is_file():
        return {}
    with file.open("rb") as opened:
        return {"init": hashlib.file_digest(opened, "sha256").hexdigest()}
