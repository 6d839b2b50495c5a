"""The time limit of an LF in this process: what is stopped, where, and what stays as it was."""

from __future__ import annotations

import signal
import threading

import pytest

from labeling_functions import apply_lfs, load_folder

CLASSES = ("trouser", "shoe")
STUCK = """
    import threading
    import time

    @labeling_function(columns=["gap"], vote="shoe")
    def fine(gap):
        return gap < 0.3

    @labeling_function()
    def loops(item):
        try:
            while item.item_id > "b":
                pass
        except Exception:
            return "shoe"

    @labeling_function()
    def sleeps(item):
        time.sleep(0 if item.item_id < "e" else 999)

    @labeling_function(columns=["gap"])
    def waits_for_a_lock(gap):
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()

    @labeling_function()
    def catches_everything(item):
        try:
            time.sleep(9)
        except:
            return "shoe"
    """


def test_what_computes_or_waits_for_ever_is_stopped_and_its_place_named(lfs_folder, garments):
    lfs = load_folder(lfs_folder(a=STUCK))
    result = apply_lfs(lfs, garments, classes=CLASSES, workers=0, time_limit_s=0.5)
    assert result.votes[:, 0].tolist() == [-1, 1, 1, 1, -1, -1]
    assert (result.votes[:, 1:] == -1).all()
    fine, loops, sleeps, waits, catches = (report.note for report in result.reports)
    assert fine == ""
    said = "ran longer than 0.5 s and was stopped at {}, so it abstains on 6 items; never votes"
    assert loops in [said.format(f"item c (a.py, line {line})") for line in (13, 14)]
    assert sleeps == said.format("item e (a.py, line 20)")
    assert waits == said.format("a.py, line 26")
    assert catches == said.format("item a")


def test_off_the_main_thread_the_limit_holds_between_items(lfs_folder, garments):
    slow = "import time\n@labeling_function()\ndef slow(item): time.sleep(0.1)\n"
    lfs = load_folder(lfs_folder(a=slow))
    notes: list[str] = []

    def apply() -> None:
        result = apply_lfs(lfs, garments, classes=CLASSES, workers=0, time_limit_s=0.15)
        notes.append(result.reports[0].note)

    thread = threading.Thread(target=apply)
    thread.start()
    thread.join()
    assert "stopped at item b" in notes[0]


@pytest.mark.parametrize("body", ["while True: pass", "return None"])
def test_the_alarm_leaves_the_process_as_it_was(lfs_folder, garments, body):
    handler = signal.getsignal(signal.SIGALRM)
    lfs = load_folder(lfs_folder(f=f"@labeling_function()\ndef f(item):\n    {body}\n"))
    apply_lfs(lfs, garments, classes=CLASSES, workers=0, time_limit_s=0.2)
    assert signal.getsignal(signal.SIGALRM) is handler
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
