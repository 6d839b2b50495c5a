"""Applying LFs: isolation, time limits, worker processes and the cache."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest

from labeling_functions import apply_lfs, labeling_function, load_folder, prototype
from weaklight.contracts import ClassSet
from weaklight.errors import DataError, LabelingError, StorageError

CLASSES = ("trouser", "dress", "boot")
SETS = (ClassSet("legwear", (0, 2)),)
HONEST = """
    @labeling_function()
    def two_legs(item):
        '''Two legs.'''
        if item.gap > 0.3 and item.aspect > 1.6:
            return "trouser"

    @labeling_function(columns=["gap"], vote="legwear")
    def some_gap(gap):
        return gap > 0.05

    @labeling_function()
    def jeans(item):
        return "trouser" if item.note.startswith("jeans") else None

    like_c = prototype("dress", ["c"], at_least=0.9)
    """
HONEST_VOTES = [
    [0, 3, 0, -1],
    [-1, 3, -1, -1],
    [-1, -1, -1, 1],  # jeans raises: note is None
    [-1, -1, -1, 1],
    [-1, 3, -1, -1],
    [-1, 3, 0, -1],
]
FEATURES = np.array([[1, 0], [1, 0.2], [0, 1], [0.1, 1], [1, 1], [1, 0]], np.float32)


def apply(folder: Path, table: pd.DataFrame, **options):
    settings = {"classes": CLASSES, "class_sets": SETS, "features": FEATURES, "workers": 1}
    return apply_lfs(load_folder(folder), table, **{**settings, **options})


def test_votes_and_reports_by_hand(lfs_folder, garments):
    seen = []
    result = apply(
        lfs_folder(f=HONEST), garments, workers=0, progress=lambda *args: seen.append(args)
    )
    assert result.votes.dtype == np.int16
    assert result.votes.tolist() == HONEST_VOTES
    assert seen == [(1, 3, "two_legs"), (2, 3, "some_gap"), (3, 3, "jeans")]
    two_legs, some_gap, jeans, like_c = result.reports
    assert (two_legs.description, two_legs.n_votes, two_legs.note) == ("Two legs.", 1, "")
    assert (some_gap.columns, two_legs.columns) == (("gap",), None)
    assert (jeans.n_errors, jeans.note) == (1, "raised on 1 rows")
    assert 'File "lfs/f.py", line 15, in jeans' in jeans.first_traceback
    assert "AttributeError: 'NoneType'" in jeans.first_traceback
    assert like_c.description == "Looks like 1 example of dress."
    assert like_c.as_dict()["n_votes"] == 2


def test_the_same_result_for_any_number_of_workers_and_shard_size(lfs_folder, garments, tmp_path):
    folder = lfs_folder(f=HONEST)
    results = [
        apply(folder, garments, workers=workers, shard_rows=shard_rows, cache_dir=cache)
        for workers, shard_rows, cache in [
            (0, 16_384, None), (0, 2, tmp_path / "a"), (1, 4, None), (3, 2, tmp_path / "b"),
        ]
    ]  # fmt: skip
    for result in results:
        assert result.votes.tolist() == HONEST_VOTES
        assert result.reports == results[0].reports


def test_bad_lfs_are_reported_and_do_not_stop_the_others(lfs_folder, garments):
    folder = lfs_folder(
        bad="""
        @labeling_function()
        def never(item): ...
        @labeling_function()
        def typo(item): return "trousr" if item.gap > 0.3 else None
        @labeling_function(columns=["gap"])
        def short(gap): return [0, 0, 0]
        @labeling_function()
        def wrong_column(item): return "boot" if item.gapp else None
        strangers = prototype("boot", ["zz"])
        @labeling_function(columns=["gap"], vote="boot")
        def fine(gap): return gap > 0.8
        """
    )
    never, typo, short, wrong_column, strangers, fine = apply(folder, garments).reports
    assert never.note == "never votes"
    assert typo.note.startswith("returned unknown class 'trousr' 3 times (did you mean 'trouser'?)")
    assert (typo.n_errors, typo.first_traceback) == (3, None)
    assert short.note.startswith("returned 3 values for 6 rows")
    assert (wrong_column.n_errors, wrong_column.note) == (6, "raised on 6 rows; never votes")
    assert "did you mean 'gap'" in wrong_column.first_traceback
    assert "lack features: zz" in strangers.note
    assert (fine.n_votes, fine.note) == (1, "")


def test_an_lf_out_of_time_abstains_on_that_shard_and_is_not_cached(lfs_folder, garments, tmp_path):
    folder = lfs_folder(
        f="""
        import time
        @labeling_function()
        def loops(item):
            while item.item_id == "c":
                pass
            return "boot"
        @labeling_function()
        def sleeps_in_c(item):
            time.sleep(3600 if item.item_id == "e" else 0)
            return "boot"
        @labeling_function()
        def fine(item): return "dress"
        """
    )
    options = {"shard_rows": 2, "time_limit_s": 0.6, "cache_dir": tmp_path / "cache"}
    for _ in range(2):  # the second time only what was lost is tried again
        start = time.monotonic()
        result = apply(folder, garments, **options)
        assert time.monotonic() - start < 30
        assert result.votes[:, 0].tolist() == [2, 2, -1, -1, 2, 2]
        assert result.votes[:, 1].tolist() == [2, 2, 2, 2, -1, -1]
        assert result.votes[:, 2].tolist() == [1] * 6
        loops, sleeps, fine = result.reports
        assert (loops.timed_out_shards, loops.timed_out_rows, loops.n_errors) == (1, 2, 0)
        assert loops.note in [
            f"ran longer than 0.6 s and was stopped at item c (f.py, line {line}), "
            "so it abstains on 2 items"
            for line in (6, 7)
        ]
        assert "at item e (f.py, line 11)" in sleeps.note
        assert (sleeps.timed_out_rows, fine.timed_out_rows) == (2, 0)
    text = (folder / "f.py").read_text()
    (folder / "f.py").write_text(text.replace("pass", "pass  # a comment does not bring it back"))
    seen = []
    apply(folder, garments, **options, progress=lambda *args: seen.append(args[2]))
    assert sorted(seen) == ["loops", "sleeps_in_c"]


def test_an_lf_that_heeds_no_alarm_is_killed_and_given_up(lfs_folder, garments, monkeypatch):
    monkeypatch.setattr("labeling_functions.workers.REPORT_S", 0.05)
    folder = lfs_folder(f="@labeling_function()\ndef in_c(item): return sum(range(10**15))\n")
    result = apply(folder, garments, shard_rows=1, time_limit_s=0.05)
    assert (result.votes == -1).all()
    assert result.reports[0].timed_out_shards == 6
    assert result.reports[0].note.startswith(
        "ran longer than 0.05 s on 6 shards of items, so it abstains on 6 items"
    )


def test_an_lf_that_kills_its_process_is_reported(lfs_folder, garments, tmp_path):
    folder = lfs_folder(
        f="""
        import os, sys
        @labeling_function()
        def crash(item): os.kill(os.getpid(), 9)
        @labeling_function()
        def leaves(item): os._exit(7)
        @labeling_function()
        def polite(item): sys.exit("bye")
        @labeling_function()
        def prints(item):
            print("hello")
            return "boot"
        """
    )
    result = apply(folder, garments, cache_dir=tmp_path / "cache")
    cached = list((tmp_path / "cache").iterdir())
    crash, leaves, polite, prints = result.reports
    assert crash.first_traceback == "the worker process was ended by signal SIGKILL"
    assert leaves.first_traceback == "the worker process exited with code 7"
    assert polite.first_traceback.endswith("SystemExit: bye") and polite.n_errors == 6
    assert (crash.n_errors, prints.n_votes, len(cached)) == (6, 6, 2)


def test_the_cache_costs_new_and_edited_work_only(lfs_folder, garments, tmp_path):
    folder = lfs_folder(f=HONEST)
    ran: list[str] = []

    def vote(table: pd.DataFrame, **options):
        ran.clear()
        progress = lambda done, total, name: ran.append(name)  # noqa: E731
        settings = {"workers": 0, "cache_dir": tmp_path / "cache", "features": None}
        return apply(folder, table, progress=progress, **{**settings, **options})

    first = vote(garments.iloc[:4])
    assert ran == ["two_legs", "some_gap", "jeans"]
    assert vote(garments.iloc[:4]) .reports == first.reports and ran == []  # fmt: skip
    grown = vote(garments)
    assert ran == ["two_legs", "some_gap", "jeans"]
    fresh = vote(garments, cache_dir=None)
    assert grown.votes.tolist() == fresh.votes.tolist() and grown.reports == fresh.reports

    shuffled = garments.iloc[::-1].reset_index(drop=True)
    assert vote(shuffled).votes.tolist() == fresh.votes[::-1].tolist() and ran == []

    vote(garments.assign(aspect=garments["aspect"] + 1))  # some_gap does not read it
    assert ran == ["two_legs", "jeans"]
    vote(garments, item_keys=[f"sha{i}" for i in range(6)])
    assert ran == ["two_legs", "some_gap", "jeans"]
    vote(garments, classes=CLASSES[::-1])
    assert ran == ["two_legs", "some_gap", "jeans"]

    (folder / "f.py").write_text((folder / "f.py").read_text().replace("0.05", "0.06"))
    assert vote(garments).votes.tolist() == fresh.votes.tolist()
    assert ran == ["some_gap"]


def test_damaged_cache_files_are_voted_on_again(lfs_folder, garments, tmp_path, caplog):
    folder = lfs_folder(f=HONEST)
    before = apply(folder, garments, workers=0, cache_dir=tmp_path / "c")
    files = sorted((tmp_path / "c").rglob("*.votes"))
    files[0].write_bytes(files[0].read_bytes()[:-40])
    files[1].write_bytes(b"")
    after = apply(folder, garments, workers=0, cache_dir=tmp_path / "c")
    assert after.votes.tolist() == before.votes.tolist() and after.reports == before.reports
    assert "damaged" in caplog.text


def test_many_small_additions_are_merged_into_one_file(lfs_folder, tmp_path):
    folder = lfs_folder(
        f="""
        @labeling_function()
        def odd(item):
            return "boot" if item.x % 2 else 1 / (item.x % 10)
        """
    )
    table = pd.DataFrame({"item_id": [str(i) for i in range(80)], "x": range(80)})
    for n in range(2, 81, 2):
        grown = apply(folder, table[:n], features=None, workers=0, cache_dir=tmp_path / "c")
    assert len(list((tmp_path / "c").rglob("*.votes"))) < 40
    fresh = apply(folder, table, features=None, workers=0)
    assert grown.votes.tolist() == fresh.votes.tolist() and grown.reports == fresh.reports


def test_what_a_killed_run_left_half_written_is_cleared_away(lfs_folder, garments, tmp_path):
    folder = lfs_folder(f=HONEST)
    apply(folder, garments, workers=0, cache_dir=tmp_path / "c")
    old, young = (next((tmp_path / "c").iterdir()) / f".{name}.tmp" for name in ("old", "young"))
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    apply(folder, garments, workers=0, cache_dir=tmp_path / "c")
    assert (old.exists(), young.exists()) == (False, True)


def test_a_folder_that_workers_cannot_load_is_named(lfs_folder, garments):
    folder = lfs_folder(f=HONEST)
    lfs = load_folder(folder)
    (folder / "f.py").write_text("def (")
    with pytest.raises(LabelingError, match=r"f\.py, line 1: not valid Python"):
        apply_lfs(lfs, garments, classes=CLASSES, class_sets=SETS, workers=2)
    (folder / "f.py").write_text("import os\nos._exit(9)")
    with pytest.raises(LabelingError, match="it exited with code 9; see the messages"):
        apply_lfs(lfs, garments, classes=CLASSES, class_sets=SETS, workers=1)


def test_a_cache_that_cannot_be_written_is_a_storage_error(lfs_folder, garments, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="free some space"):
        apply(lfs_folder(f=HONEST), garments, workers=1, cache_dir=tmp_path / "file")
    assert not [t for t in threading.enumerate() if t.name.startswith("lf-worker")]


def test_files_edited_while_running_are_noticed(lfs_folder, garments):
    folder = lfs_folder(f=HONEST)
    lfs = load_folder(folder)
    (folder / "f.py").write_text((folder / "f.py").read_text().replace("0.05", "0.06"))
    with pytest.raises(LabelingError, match="changed while its LFs were running"):
        apply_lfs(lfs, garments, classes=CLASSES, class_sets=SETS, workers=1)


@pytest.mark.parametrize("workers", [0, 1])
def test_no_items_one_item_and_no_lfs(lfs_folder, garments, workers):
    folder = lfs_folder(f=HONEST)
    assert apply(folder, garments[:0], features=None, workers=workers).votes.shape == (0, 4)
    one = apply(folder, garments[:1], features=FEATURES[:1], workers=workers)
    assert one.votes.tolist() == [[0, 3, 0, -1]]
    assert apply_lfs([], garments, classes=CLASSES).votes.shape == (6, 0)


def test_wrong_input_says_what_to_do(garments):
    lf = prototype("boot", ["a"], name="p")

    @labeling_function()
    def homeless(item): ...

    def check(error, message, lfs, table=garments, **options):
        with pytest.raises(error, match=message):
            apply_lfs(lfs, table, classes=CLASSES, **options)

    check(LabelingError, "came more than once", [lf, lf])
    check(LabelingError, "has none", [prototype("boot", ["a"])])
    check(LabelingError, "homeless came from none", [homeless])
    check(DataError, "item_id", [lf], garments.drop(columns="item_id"))
    check(DataError, "unique", [lf], pd.concat([garments, garments]))
    check(DataError, r"shape \(6, d\)", [lf], features=FEATURES[:3])
    check(DataError, "item_keys must hold 6", [lf], item_keys=["a"])
    mixed = garments.assign(mixed=[1, "a", None, [2], b"c", 2.5])
    check(DataError, "one kind of value", [homeless], mixed, workers=0)


def test_columns_of_every_type_reach_an_lf(lfs_folder):
    table = pd.DataFrame(
        {
            "item_id": ["a", "b"],
            "when": pd.to_datetime(["2024-01-01", "2025-01-01"]),
            "kind": pd.Categorical(["x", "y"]),
            "count": pd.array([1, None], dtype="Int64"),
            "tags": [["r", "g"], ["b"]],
            "flag": [True, False],
        }
    )
    folder = lfs_folder(
        f="""
        @labeling_function()
        def reads(item):
            assert type(item.flag) is bool and (item.count is None or item.count == 1)
            return "boot" if item.when.year == 2024 and item.kind == "x" and "g" in item.tags else 1
        """
    )
    for _ in range(2):
        result = apply(folder, table, features=None, cache_dir=folder / "cache")
        assert result.votes.tolist() == [[2], [1]], result.reports[0].first_traceback


def test_workers_die_with_a_killed_parent(lfs_folder, tmp_path):
    folder = lfs_folder(
        f="""
        import os, re
        from pathlib import Path
        @labeling_function()
        def runaway(item):
            Path(item.pid_file).write_text(str(os.getpid()))
            re.match(r"(a+)+$", "a" * 64 + "b")  # holds the interpreter's lock for ever
        """
    )
    pid_file = tmp_path / "pid"
    code = f"""
import pandas as pd
import psutil
from pathlib import Path
from labeling_functions import apply_lfs, load_folder
table = pd.DataFrame({{"item_id": ["a"], "pid_file": [{str(pid_file)!r}]}})
apply_lfs(load_folder(Path({str(folder)!r})), table, classes=("x",), time_limit_s=600)
"""
    parent = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 60
    while not (pid_file.exists() and pid_file.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    worker = int(pid_file.read_text())
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    while Path(f"/proc/{worker}").exists() and time.monotonic() < deadline:
        state = Path(f"/proc/{worker}/stat").read_text().split(")")[-1].split()[0]
        if state == "Z":  # dead; whoever adopted it has yet to collect it
            break
        time.sleep(0.05)
    else:
        assert not Path(f"/proc/{worker}").exists()


def test_ctrl_c_while_a_worker_starts_prints_no_traceback_of_the_worker(lfs_folder, garments):
    folder = lfs_folder(f=HONEST)
    garments.to_parquet(folder.parent / "items.parquet")
    code = f"""
import pathlib, labeling_functions
lfs = labeling_functions.load_folder(pathlib.Path({str(folder)!r}))[:1]
items = pathlib.Path({str(folder.parent / "items.parquet")!r})
try:
    labeling_functions.apply_lfs(lfs, items, classes={CLASSES!r}, workers=1)
except KeyboardInterrupt:
    print("stopped")
"""
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A test run in the background ignores Ctrl-C, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while not (workers := psutil.Process(child.pid).children()):
        time.sleep(0.01)
    while workers[0].cpu_times().user < 0.1:  # it is importing
        time.sleep(0.01)
    os.killpg(child.pid, signal.SIGINT)
    assert child.communicate(timeout=60) == ("stopped\n", "")
