import errno
import os
from pathlib import Path

import pytest

from pipelines.store import (
    ArtifactStore,
    Manifest,
    Output,
    explain_disk_errors,
    hash_path,
    write_atomically,
)
from weaklight.errors import ArtifactError, StorageError


def put(store: ArtifactStore, text: str = "hello") -> Path:
    with store.writing("vote", "d1") as out:
        (out / "votes.txt").write_text(text)
        sha256, size = hash_path(out / "votes.txt")
        manifest = Manifest(
            "vote", "d1", 1, {}, {}, 0, {}, {}, {"votes": Output("votes.txt", sha256, size)}, {}, ()
        )
        return store.commit(out, manifest)


def test_an_artifact_appears_whole(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    assert not store.has("vote", "d1")
    put(store)
    assert store.has("vote", "d1")
    assert store.path("vote", "d1", "votes").read_text() == "hello"
    assert [p.name for p in (tmp_path / "artifacts" / "vote").iterdir()] == ["d1"]


def test_an_error_while_writing_leaves_nothing(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    with pytest.raises(RuntimeError), store.writing("vote", "d1") as out:
        (out / "votes.txt").write_text("half")
        raise RuntimeError
    assert list((tmp_path / "artifacts" / "vote").iterdir()) == []


def test_a_cut_output_or_manifest_is_noticed_and_replaced(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    put(store).joinpath("votes.txt").write_text("hel")
    assert not store.has("vote", "d1")
    put(store)
    assert store.has("vote", "d1")
    (store.folder("vote", "d1") / "manifest.json").write_text("{")
    assert not store.has("vote", "d1")
    with pytest.raises(ArtifactError, match="cannot be read"):
        store.manifest("vote", "d1")


def test_sweep_removes_what_a_killed_run_left(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    leftovers = [
        tmp_path / "artifacts" / "vote" / f".{doing}-d2" for doing in ("writing", "removing")
    ]
    for leftover in leftovers:
        leftover.mkdir(parents=True)
        (leftover / "part.npy").write_text("x")
    put(store)
    assert list(store.everything()) == [("vote", "d1")]
    store.sweep()
    assert not any(leftover.exists() for leftover in leftovers)
    assert store.has("vote", "d1")


def test_an_artifact_goes_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ArtifactStore(tmp_path)
    put(store)
    assert store.size("vote", "d1") == sum(p.stat().st_size for p in tmp_path.rglob("*.*"))
    seen = []

    def killed(folder: Path) -> None:
        seen.append((store.has("vote", "d1"), (folder / "votes.txt").is_file()))
        raise KeyboardInterrupt

    monkeypatch.setattr("pipelines.store.shutil.rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        store.remove("vote", "d1")
    assert seen == [(False, True)]  # out of sight before its first file went
    assert list(store.everything()) == []
    monkeypatch.undo()
    store.sweep()
    assert list((tmp_path / "artifacts" / "vote").iterdir()) == []


@pytest.mark.parametrize(
    ("number", "words"), [(errno.ENOSPC, "disk is full"), (errno.EROFS, "cannot write")]
)
def test_disk_errors_say_what_to_do(tmp_path: Path, number: int, words: str) -> None:
    with pytest.raises(StorageError, match=words), explain_disk_errors(tmp_path):
        raise OSError(number, os.strerror(number))


def test_a_really_full_disk_keeps_the_old_file() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full on this system")
    with pytest.raises(StorageError, match="disk is full"), explain_disk_errors(full):
        with full.open("wb", buffering=0) as file:
            file.write(b"x" * 4096)


def test_atomic_writes_replace_and_leave_no_temporary(tmp_path: Path) -> None:
    target = tmp_path / "a" / "pin.json"
    write_atomically(target, b"1")
    write_atomically(target, b"2")
    assert target.read_bytes() == b"2"
    assert [p.name for p in target.parent.iterdir()] == ["pin.json"]


def test_a_folder_hash_depends_on_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "a").write_text("1")
    first = hash_path(tmp_path / "x")
    (tmp_path / "x" / "a").rename(tmp_path / "x" / "b")
    assert hash_path(tmp_path / "x")[0] != first[0]
    assert hash_path(tmp_path / "x")[1] == first[1] == 1
