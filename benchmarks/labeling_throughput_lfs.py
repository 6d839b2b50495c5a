"""Labelling functions beside Snorkel's applier, and the whole stage on a million texts.

Try it: ``python -m benchmarks.labeling_throughput_lfs``.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.machine import measure_command
from labeling_functions import apply_lfs, keywords, regex
from labeling_functions.functions import LabelingFunction
from labeling_functions.templates.toml import append
from pipelines.measure import PeakMemory
from pipelines.sections import AggregateConfig, VoteConfig
from pipelines.stages.base import StageResult, Work
from pipelines.store import hash_path
from weaklight.contracts import ABSTAIN, Votes

DATA = Path(os.environ.get("WEAKLIGHT_DATA", "../shared/data"))
CLASSES = ("ham", "spam")
KEYS = {
    "regex": ("regex_vs_snorkel",),
    "keyword": ("keyword_vs_snorkel",),
    "stage": ("stage_1m_s", "stage_1m_peak_mib", "stage_1m_one_lf_edited_s"),
}
ROUNDS = 3
N_KEYWORD_TEXTS = 45_000
N_STAGE_ROWS = 1_000_000
WORDS = (
    "free call text win prize cash urgent claim mobile subscribe channel video check http song "
    "please love thanks money reply"
).split()


def measure(parts: Iterable[str] = KEYS) -> dict[str, object]:
    """Return the keys of some parts."""
    if not (DATA / "wrench_sms").is_dir():
        reason = f"no data at {DATA.resolve()}; set WEAKLIGHT_DATA"
        names = [name for part in parts for name in KEYS[part]]
        return {k: v for name in names for k, v in ((name, None), (f"{name}_reason", reason))}
    run = {"regex": regexes, "keyword": keyword_lfs, "stage": stage}
    return {key: value for part in parts for key, value in run[part]().items()}


def regexes() -> dict[str, object]:
    """Apply the 73 rules of WRENCH's SMS data set to its training texts."""
    rules = sms_rules()
    texts = sms_texts()
    ours = [
        regex("text", pattern, vote=name, name=f"rule_{i}")
        for i, (name, pattern) in enumerate(rules)
    ]

    def rule(pattern: str, vote: int) -> Callable[[Any], int]:
        compiled = re.compile(pattern, re.IGNORECASE)
        return lambda x: vote if compiled.search(x.text) else ABSTAIN

    peers = [rule(pattern, CLASSES.index(name)) for name, pattern in rules]
    return _side_by_side("regex", ours, peers, texts)


def keyword_lfs() -> dict[str, object]:
    """Apply 20 keyword LFs, any word anywhere, to 45,000 SMS and YouTube texts."""
    texts = list(islice(cycle([*sms_texts(), *youtube_texts()]), N_KEYWORD_TEXTS))
    ours = [keywords("text", [w], vote="spam", name=w, whole_words=False) for w in WORDS]

    def holds(word: str) -> Callable[[Any], int]:
        return lambda x: 1 if word in x.text.lower() else ABSTAIN

    return _side_by_side("keyword", ours, [holds(word) for word in WORDS], texts)


def _side_by_side(
    name: str,
    ours: Sequence[LabelingFunction],
    peers: Sequence[Callable[[Any], int]],
    texts: Sequence[str],
) -> dict[str, object]:
    """Alternate ours and Snorkel in this process; the fastest round of each counts.

    Seconds are of CPU, all threads together: one core's work, whatever else the machine does.
    """
    from snorkel.labeling import LabelingFunction as SnorkelFunction
    from snorkel.labeling import PandasLFApplier

    table = pd.DataFrame({"item_id": [str(i) for i in range(len(texts))], "text": texts})
    applier = PandasLFApplier([SnorkelFunction(f"lf_{i}", f) for i, f in enumerate(peers)])
    ours_s, peer_s = [], []
    for _ in range(ROUNDS):
        started = time.process_time()
        votes: Votes = apply_lfs(ours, table, classes=CLASSES, workers=0).votes
        ours_s.append(time.process_time() - started)
        started = time.process_time()
        theirs = applier.apply(table, progress_bar=False)
        peer_s.append(time.process_time() - started)
        assert (votes == theirs).all(), f"{name}: {(votes != theirs).sum()} cells differ"
    return {
        f"{name}_vs_snorkel": round(min(peer_s) / min(ours_s), 1),
        f"{name}_s": round(min(ours_s), 4),
        f"{name}_snorkel_s": round(min(peer_s), 2),
        f"{name}_votes": int((votes != ABSTAIN).sum()),
    }


def stage() -> dict[str, object]:
    """Vote, aggregate and write a million texts; again after editing one LF.

    Seconds are of the whole command on the wall, from the start of Python to its end, and of the
    processor, its child processes included.
    """
    with tempfile.TemporaryDirectory(prefix="weaklight-stage-") as name:
        folder = Path(name)
        _write_project(folder)
        first = _measured_stages(folder)
        file = folder / "lfs" / "spam.toml"
        file.write_text(file.read_text().replace('words = ["prize"]', 'words = ["prize", "award"]'))
        second = _measured_stages(folder)
    return {
        "stage_1m_s": first["seconds"],
        "stage_1m_peak_mib": first["peak_mib"],
        "stage_1m_vote_s": first["vote_s"],
        "stage_1m_aggregate_s": first["aggregate_s"],
        "stage_1m_cpu_s": first["cpu_s"],
        "stage_1m_one_lf_edited_s": second["seconds"],
        "stage_1m_one_lf_edited_vote_s": second["vote_s"],
        "stage_1m_one_lf_edited_cpu_s": second["cpu_s"],
    }


def _measured_stages(folder: Path) -> dict[str, float]:
    measured = measure_command([sys.executable, "-m", __spec__.name, str(folder)])
    numbers: dict[str, float] = json.loads(measured.output.splitlines()[-1])
    return numbers | {"seconds": round(measured.seconds, 1)}


def _write_project(folder: Path) -> None:
    """Write what the stages before ``vote`` would have written, and 20 LFs of seven kinds."""
    n = N_STAGE_ROWS
    texts = list(islice(cycle([*sms_texts(), *youtube_texts()]), n))
    rng = np.random.default_rng(0)
    items = pd.DataFrame(
        {
            "item_id": [f"{i:07d}" for i in range(n)],
            "split": "unlabeled",
            "sha256": [f"{i:064x}" for i in range(n)],
            "noisy_label": None,
            "text": texts,
            "sender": rng.choice(["bank", "friend", "shop"], n),
        }
    )
    items.to_parquet(folder / "items.parquet", row_group_size=1 << 16)
    lengths = pd.DataFrame({"item_id": items["item_id"], "n_letters": items["text"].str.len()})
    lengths.to_parquet(folder / "attributes.parquet")
    np.save(folder / "features.npy", np.zeros((n, 1), np.float32))
    np.save(folder / "present.npy", np.zeros(n, bool))
    np.save(folder / "bag_votes.npy", np.full(n, ABSTAIN, np.int16))
    pd.DataFrame(
        {"item_id": pd.Series([], dtype=str), "label": pd.Series([], dtype="int64")}
    ).to_parquet(folder / "human.parquet")
    (folder / "graph").mkdir()
    np.save(folder / "graph" / "indptr.npy", np.zeros(n + 1, np.int64))
    np.save(folder / "graph" / "indices.npy", np.zeros(0, np.int32))
    np.save(folder / "graph" / "data.npy", np.zeros(0, np.float32))
    text = {"column": "text", "vote": "spam"}
    ham = {"column": "text", "vote": "ham"}
    tables: list[dict[str, Any]] = [
        {"name": f"word_{word}", "kind": "keywords", "words": [word], **text} for word in WORDS[:8]
    ]
    tables += [{"name": "two", "kind": "keywords", "words": WORDS[:8], "need": 2, **text}]
    tables += [
        {"name": f"ham_{i}", "kind": "keywords", "words": words, **ham}
        for i, words in enumerate((["love", "home"], ["thanks"], ["lol", "haha"], ["later"]))
    ]
    tables += [
        {"name": f"pattern_{i}", "kind": "regex", "pattern": pattern, **text}
        for i, pattern in enumerate((r"\b\d{5,}\b", r"https?://\S+", r"won .*(prize|cash)"))
    ]
    tables += [
        {"name": "short", "kind": "threshold", "column": "n_letters", "below": 30, "vote": "ham"},
        {"name": "friend", "kind": "metadata", "column": "sender", "equals": "friend",
         "vote": "ham"},
        {"name": "shop", "kind": "lookup", "column": "sender", "entries": ["Shop"],
         "vote": "spam"},
        {"name": "long_shop", "kind": "rule", "vote": "spam", "conditions": [
            {"column": "sender", "equals": "shop"}, {"column": "n_letters", "above": 120}]},
    ]  # fmt: skip
    for table in tables:
        append(folder / "lfs" / "spam.toml", table)


def run_stages(folder: Path) -> dict[str, float]:
    """Run ``vote`` and ``aggregate`` as the engine does, outputs hashed, and time them."""
    from pipelines.stages.aggregate import AggregateInputs, aggregate
    from pipelines.stages.vote import VoteInputs, vote

    def run(function: Callable[[Work], StageResult], out: Path) -> float:
        started = time.perf_counter()
        for used in (out, folder / "cache"):
            used.mkdir(exist_ok=True)
        work = Work(
            out=out, scratch=folder, cache=folder / "cache", project_root=folder, seed=0,
            classes=CLASSES,
        )  # fmt: skip
        for file in function(work).outputs.values():
            hash_path(out / file)
        return time.perf_counter() - started

    before = {name: folder / file for name, file in (
        ("items", "items.parquet"), ("features", "features.npy"), ("present", "present.npy"),
    )}  # fmt: skip
    out = Path(tempfile.mkdtemp(dir=folder))
    voting = VoteInputs(**before, attributes=folder / "attributes.parquet", encoder=folder)
    weighing = AggregateInputs(
        **before, votes=out / "vote" / "votes.npy", soft_votes=out / "vote" / "soft_votes",
        bag_votes=folder / "bag_votes.npy",
        graph=folder / "graph", human=folder / "human.parquet",
    )  # fmt: skip
    with PeakMemory() as memory:
        vote_s = run(lambda work: vote(voting, VoteConfig(), work), out / "vote")
        aggregate_s = run(
            lambda work: aggregate(weighing, AggregateConfig(), work), out / "aggregate"
        )
    return {
        "vote_s": round(vote_s, 1),
        "aggregate_s": round(aggregate_s, 1),
        "cpu_s": round(sum(os.times()[:4]), 1),
        "peak_mib": round(memory.peak_mib),
    }


def sms_rules() -> list[tuple[str, str]]:
    """Return class and pattern of the 73 rules, as WRENCH's readme lists them."""
    text = (DATA / "wrench_sms" / "readme.txt").read_text(encoding="utf-8")
    cells = [line.split("\t") for line in text.splitlines()]
    return [(row[0], row[1]) for row in cells if len(row) > 2 and row[0] in CLASSES]


def sms_texts() -> list[str]:
    """Return the training texts of the SMS data set."""
    return _texts("wrench_sms")


def youtube_texts() -> list[str]:
    """Return the training texts of the YouTube data set."""
    return _texts("wrench_youtube")


def _texts(name: str) -> list[str]:
    rows = json.loads((DATA / name / "train.json").read_text(encoding="utf-8"))
    return [row["data"]["text"] for row in rows.values()]


if __name__ == "__main__":
    print(json.dumps(run_stages(Path(sys.argv[1])) if len(sys.argv) > 1 else measure()))
