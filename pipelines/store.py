"""The artifact store: immutable folders, written aside and renamed into place.

``<state>/artifacts/<stage>/<digest>/`` holds a stage's outputs and a ``manifest.json``. A folder
that exists is complete: every file was flushed to disk before the rename. Equal inputs give equal
bytes, so no manifest holds a time, a duration or a host name.

Try it: ``weaklight run --dry-run`` lists which artifacts a project already has.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from weaklight.errors import ArtifactError, StorageError

__all__ = [
    "ArtifactStore",
    "Manifest",
    "Output",
    "digest_json",
    "explain_disk_errors",
    "hash_path",
    "write_atomically",
]

MANIFEST = "manifest.json"
DIGEST_LENGTH = 24  # hex digits: 96 bits, no collisions in a store of any size


@dataclass(frozen=True)
class Output:
    """One output of a stage: its file or folder inside the artifact, its hash and its bytes."""

    file: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Manifest:
    """What an artifact is, where it came from and what it holds."""

    stage: str
    digest: str
    version: int
    inputs: Mapping[str, str]
    config: Mapping[str, Any]
    seed: int
    extra: Mapping[str, str]
    libraries: Mapping[str, str]
    outputs: Mapping[str, Output]
    metrics: Mapping[str, Any]
    notes: tuple[str, ...]

    def as_json(self) -> str:
        """Return the manifest as stable JSON text."""
        return json.dumps(asdict(self), indent=1, sort_keys=True, default=str) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Read a manifest back from its JSON text."""
        data = json.loads(text)
        data["outputs"] = {name: Output(**o) for name, o in data["outputs"].items()}
        data["notes"] = tuple(data["notes"])
        return cls(**data)


class ArtifactStore:
    """Artifacts of one project.

    Parameters
    ----------
    state
        The project's ``.weaklight`` folder; created when first written to.
    """

    def __init__(self, state: Path) -> None:
        self.state = state
        self.root = state / "artifacts"

    def folder(self, stage: str, digest: str) -> Path:
        """Where an artifact lies or would lie."""
        return self.root / stage / digest

    def has(self, stage: str, digest: str) -> bool:
        """Say whether the artifact exists and no output is missing or cut short."""
        try:
            manifest = self.manifest(stage, digest)
        except ArtifactError:
            return False
        folder = self.folder(stage, digest)
        return all(_size(folder / o.file) == o.size for o in manifest.outputs.values())

    def manifest(self, stage: str, digest: str) -> Manifest:
        """Read an artifact's manifest.

        Raises
        ------
        ArtifactError
            If there is none or it cannot be read.
        """
        path = self.folder(stage, digest) / MANIFEST
        try:
            return Manifest.from_json(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ArtifactError(
                f"expected a manifest at {path}, but there is none; run `weaklight run`"
            ) from None
        except (ValueError, TypeError, KeyError) as error:
            raise ArtifactError(
                f"the manifest {path} cannot be read ({error}); "
                "delete that folder and run `weaklight run` again"
            ) from None

    def path(self, stage: str, digest: str, output: str) -> Path:
        """Return the path of one output.

        Raises
        ------
        ArtifactError
            If the artifact is missing or has no such output.
        """
        manifest = self.manifest(stage, digest)
        if output not in manifest.outputs:
            raise ArtifactError(
                f"the artifact {stage}/{digest} has no output {output!r}; "
                f"it has {sorted(manifest.outputs)}"
            )
        return self.folder(stage, digest) / manifest.outputs[output].file

    @contextmanager
    def writing(self, stage: str, digest: str) -> Iterator[Path]:
        """Yield an empty folder to fill; see :meth:`commit`. Whatever goes wrong, it is removed."""
        parent = self.root / stage
        temporary = parent / f".writing-{digest}"
        with explain_disk_errors(parent):
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir(parents=True)
            try:
                yield temporary
            finally:
                shutil.rmtree(temporary, ignore_errors=True)

    def commit(self, temporary: Path, manifest: Manifest) -> Path:
        """Flush every file to disk, then rename the folder into place; the last act of a stage."""
        final = self.folder(manifest.stage, manifest.digest)
        with explain_disk_errors(final):
            (temporary / MANIFEST).write_text(manifest.as_json(), encoding="utf-8")
            for path in sorted(temporary.rglob("*")):
                _fsync(path)
            _fsync(temporary)
            if final.exists():
                # An artifact that `has` found damaged: set it aside before the good one moves in.
                shutil.rmtree(final)
            os.rename(temporary, final)
            _fsync(final.parent)
        return final

    def everything(self) -> Iterator[tuple[str, str]]:
        """Yield stage and digest of every artifact, damaged ones too."""
        for folder in sorted(self.root.glob("*/[!.]*")):
            if folder.is_dir():
                yield folder.parent.name, folder.name

    def size(self, stage: str, digest: str) -> int:
        """Return the bytes of an artifact's files."""
        return max(_size(self.folder(stage, digest)), 0)

    def remove(self, stage: str, digest: str) -> None:
        """Remove an artifact at once for every reader; the caller holds the project's lock."""
        folder = self.folder(stage, digest)
        aside = folder.with_name(f".removing-{digest}")
        with explain_disk_errors(folder):
            os.rename(folder, aside)
            _fsync(folder.parent)
            shutil.rmtree(aside)

    def sweep(self) -> None:
        """Remove what killed processes left half-made or half-removed, under the project's lock."""
        for pattern in ("*/.writing-*", "*/.removing-*"):
            for leftover in self.root.glob(pattern):
                shutil.rmtree(leftover, ignore_errors=True)


def hash_path(path: Path) -> tuple[str, int]:
    """Return (sha256, bytes) of a file, or of a folder's relative names and contents."""
    if path.is_file():
        return _hash_file(path), path.stat().st_size
    digest = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        digest.update(f"{file.relative_to(path).as_posix()}\0{_hash_file(file)}\n".encode())
    return digest.hexdigest(), _size(path)


def digest_json(value: Any) -> str:
    """Return a short digest of a JSON-able value, independent of the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old or the new content, never a part.

    Raises
    ------
    StorageError
        If the disk is full or cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with explain_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        _fsync(path.parent)


@contextmanager
def explain_disk_errors(where: Path) -> Iterator[None]:
    """Turn a full or read-only disk into a :class:`StorageError` that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageError(
                f"the disk is full while writing under {where}; nothing half-written was kept. "
                "Free some space and run the same command again: it goes on where it stopped"
            ) from error
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise StorageError(
                f"cannot write under {where} ({error.strerror}); check the folder's permissions"
            ) from error
        raise


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _size(path: Path) -> int:
    """Bytes of a file or of all files in a folder; -1 when it is missing."""
    if path.is_file():
        return path.stat().st_size
    if path.is_dir():
        return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
    return -1


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
