"""Text, audio and series go down the whole line; what is wrong with them is found at ingest."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.io import wavfile

from pipelines.engine import plan, run_line
from pipelines.fingerprints import starting_weights
from pipelines.payload import load_payload
from pipelines.predict import predict_files
from pipelines.project import Project, RunRecord
from pipelines.signal_attributes import AUDIO, SERIES, measure_audio, measure_series
from pipelines.text_attributes import ATTRIBUTES, measure
from weaklight.errors import ConfigError, DataError

RATE = 4000
SETTINGS = """
classes = ["farm", "shop"]
[items]
source = "{source}"
{more}
[embed]
neighbors = 5
[evaluate]
crossover_sizes = [10]
crossover_draws = 2
"""
TEXT_LFS = '''
from labeling_functions import labeling_function


@labeling_function(columns=["text"], vote="farm")
def animals(text):
    """Farm: names an animal."""
    return text.str.contains("cow|goat|hen")


@labeling_function()
def loud(item):
    """Shop: shouts a price."""
    if item.n_exclamations > 0 or item.n_currency > 0:
        return "shop"
'''
SPLITS = ["unlabeled"] * 36 + ["dev"] * 12 + ["test"] * 24
FARM = ("The cow stands in the barn", "A goat eats the grass", "Our hen sleeps in the barn")
SHOP = ("A new saw for $5!", "Steel drills cut! Only $9", "The best hammer, $3")


def texts() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    kinds = rng.integers(0, 2, len(SPLITS))
    sentences = [
        " and ".join(rng.choice((FARM, SHOP)[k], 3)) + f" {i}." for i, k in enumerate(kinds)
    ]
    return _table(kinds, body=sentences, place="here")


def _table(kinds: np.ndarray, **columns: object) -> pd.DataFrame:
    gold = [("farm", "shop")[k] for k in kinds]
    table = pd.DataFrame({"item_id": [f"t{i:02d}" for i in range(len(kinds))], **columns})
    table["split"] = SPLITS
    table["gold"] = [g if s != "unlabeled" else None for g, s in zip(gold, SPLITS, strict=True)]
    return table


def project(root: Path, lfs: str, source: str = "items.parquet", more: str = "") -> Project:
    (root / "lfs").mkdir(parents=True, exist_ok=True)
    (root / "lfs" / "rules.py").write_text(lfs)
    (root / "weaklight.toml").write_text(SETTINGS.format(source=source, more=more))
    return Project.open(root)


def outputs(opened: Project, record: RunRecord, stage: str, name: str) -> Path:
    return opened.store.path(stage, record.artifacts[stage], name)


def headline(opened: Project, record: RunRecord) -> dict[str, dict]:
    evaluation = json.loads(outputs(opened, record, "evaluate", "evaluation").read_text())
    return {entry["key"]: entry for entry in evaluation["headline"]}


def test_texts_go_down_the_whole_line(tmp_path: Path) -> None:
    texts().to_parquet(tmp_path / "items.parquet", index=False)
    opened = project(tmp_path, TEXT_LFS, more='text = "body"')
    record = run_line(opened)
    items = pd.read_parquet(outputs(opened, record, "ingest", "items"))
    assert items["text"].tolist() == texts()["body"].tolist() and "body" not in items
    assert items["place"].eq("here").all()
    encoder = outputs(opened, record, "pretrain", "encoder")
    assert sorted(p.name for p in encoder.iterdir()) == [
        "encoder.json", "encoder.safetensors", "history.json",
    ]  # fmt: skip
    # Two hundred words are too few for word2vec, and the run says so.
    assert any("word2vec wants 20,000" in note for s in record.stages for note in s.notes)
    measured = headline(opened, record)
    assert measured["classifier_accuracy"]["value"] > 0.9
    assert measured["knn_tfidf"]["value"] > 0.9 and "knn_pixels" not in measured
    page = outputs(opened, record, "report", "report").read_text()
    assert "<blockquote>" in page and "<img" not in page and "$5!" in page
    assert [p.status for p in plan(opened)] == ["cached"] * 11

    new = tmp_path / "new"
    new.mkdir()
    (new / "new.txt").write_text("A steel hammer for $4!")
    (new / "empty.txt").write_text(" ")
    for other in ("photo.jpg", ".DS_Store", "README.txt"):
        (new / other).write_bytes(b"")
    labelled, dropped = predict_files(opened, [new])
    assert labelled[["item_id", "label"]].to_numpy().tolist() == [["new.txt", "shop"]]
    assert [(path.name, why) for path, why in dropped] == [
        ("empty.txt", "text is empty"),
        ("photo.jpg", "no text file (.txt)"),
    ]

    more = pd.concat([texts(), texts().tail(1).assign(item_id="new", body="A cow. A hen.")])
    more.to_parquet(tmp_path / "items.parquet", index=False)
    caches = opened.state / "cache"
    before = set(caches.rglob("*.npz"))
    again = run_line(opened)
    ran = [s.name for s in again.stages if not s.cached]
    assert "ingest" in ran and "pretrain" not in ran
    grown = {p for p in set(caches.rglob("*.npz")) - before if "features" in p.parts}
    assert [len(np.load(p)["keys"]) for p in grown] == [1]


def test_a_text_that_cannot_be_used_is_dropped_counted_and_named(tmp_path: Path) -> None:
    table = texts().rename(columns={"body": "text"})
    table["text"] = table["text"].astype(object)
    table.loc[:3, "text"] = ["", "  \n ", None, "zero\0byte"]
    table.loc[[60, 61], "text"] = table["text"][40]  # dev, repeated in test
    table.loc[62, "text"] = "na\N{REPLACEMENT CHARACTER}"
    table.to_parquet(tmp_path / "items.parquet", index=False)
    opened = project(tmp_path, TEXT_LFS)
    record = run_line(opened, ("ingest",))
    report = json.loads(outputs(opened, record, "ingest", "report").read_text())
    assert report["kind"] == "text"
    assert report["dropped"] == {
        "no text": 1,
        "text holds zero bytes: is it a binary file, or UTF-16?": 1,
        "text is empty": 2,
    }
    assert any(
        "2 texts repeat an earlier one; 2 of test are also in dev" in n for n in report["notes"]
    )
    assert any("1 text holds the sign" in n for n in report["notes"])


def test_a_csv_keeps_texts_that_look_like_missing_values(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("item_id,text\na,NA\nb,null\nc,\n")
    opened = project(tmp_path, TEXT_LFS, "items.csv")
    record = run_line(opened, ("ingest",))
    assert pd.read_parquet(outputs(opened, record, "ingest", "items"))["text"].tolist() == [
        "NA",
        "null",
    ]


def test_a_folder_holds_one_kind_of_items(tmp_path: Path) -> None:
    for name, content in (("dev/farm/a.txt", b"A cow."), ("b.txt", b"\xff\xfe"), ("c.txt", b"Hi.")):
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_bytes(content)
    opened = project(tmp_path, TEXT_LFS, "data")
    record = run_line(opened, ("ingest",))
    report = json.loads(outputs(opened, record, "ingest", "report").read_text())
    assert report["dropped"] == {"text is not in UTF-8": 1} and report["splits"]["dev"] == 1
    (tmp_path / "data" / "d.png").write_bytes(b"x")
    with pytest.raises(DataError, match="must hold items of one kind"):
        run_line(opened, ("ingest",))


@pytest.mark.parametrize(
    ("more", "error", "words"),
    [
        ('text = "body"\nimage = "place"', ConfigError, "items are of one kind"),
        ('text = "bdy"', DataError, "needs a column 'bdy'"),
        ('text = "body"\nattributes = "silhouette"', ConfigError, "measured on images"),
        ('text = "body"\n[pretrain]\nmethod = "simclr"', ConfigError, "for text items"),
        ('text = "body"\n[pretrain]\nmethod = "sentence_transformers:"', ConfigError, "for text"),
    ],
)
def test_settings_that_do_not_fit_texts(
    tmp_path: Path, more: str, error: type[Exception], words: str
) -> None:
    texts().to_parquet(tmp_path / "items.parquet", index=False)
    with pytest.raises(error, match=words):
        run_line(project(tmp_path, TEXT_LFS, more=more), ("pretrain",))


def test_a_table_without_ids_says_what_numbers_its_rows(tmp_path: Path) -> None:
    texts().drop(columns="item_id").to_parquet(tmp_path / "items.parquet", index=False)
    with pytest.raises(DataError, match=r"`weaklight import csv` numbers rows without"):
        run_line(project(tmp_path, TEXT_LFS, more='text = "body"'), ("ingest",))


def test_another_model_under_the_same_name_is_another_encoder(tmp_path: Path) -> None:
    weights = tmp_path / "model" / "model.safetensors"
    weights.parent.mkdir()
    more = 'text = "body"\n[pretrain]\nmethod = "sentence_transformers:model"'
    digests = []
    for content in (b"one", b"another"):
        weights.write_bytes(content)
        digests.append(starting_weights(project(tmp_path, TEXT_LFS, more=more), {}))
    assert digests[0].keys() == {"model"} and digests[0] != digests[1]
    weights.unlink()
    assert starting_weights(project(tmp_path, TEXT_LFS, more=more), {}) == {}


def tone(hertz: float, seconds: float, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """A (T,) int16 tone with a little hiss."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    wave = 0.5 * np.sin(2 * np.pi * hertz * time) + rng.normal(0, 0.02, len(time))
    return (32767 * wave).astype(np.int16)


def wav(samples: np.ndarray, rate: int = RATE) -> bytes:
    buffer = io.BytesIO()
    wavfile.write(buffer, rate, samples)
    return buffer.getvalue()


AUDIO_LFS = '''
from labeling_functions import labeling_function


@labeling_function()
def low(item):
    """Farm: a low hum."""
    if item.spectral_centroid < 500:
        return "farm"


@labeling_function(columns=["zero_crossings"], vote="shop")
def high(zero_crossings):
    """Shop: a high whine."""
    return zero_crossings > 1500
'''


def clips() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    kinds = rng.integers(0, 2, len(SPLITS))
    waves = [
        tone((rng.uniform(150, 300), rng.uniform(900, 1200))[k], rng.uniform(0.2, 0.3), seed=i)
        for i, k in enumerate(kinds)
    ]
    return _table(kinds, audio=[wav(w) for w in waves])


def test_clips_go_down_the_whole_line(tmp_path: Path) -> None:
    clips().to_parquet(tmp_path / "items.parquet", index=False)
    opened = project(tmp_path, AUDIO_LFS)
    record = run_line(opened)
    measured = headline(opened, record)
    assert measured["classifier_accuracy"]["value"] > 0.9
    assert measured["knn_log_mel"]["value"] > 0.9
    page = outputs(opened, record, "report", "report").read_text()
    (tmp_path / "new.wav").write_bytes(wav(tone(220, 0.3, 8000), 8000))
    assert predict_files(opened, [tmp_path])[0]["label"].tolist() == ["farm"]
    assert "<audio controls" in page and "data:image/svg+xml" in page


def test_cpc_learns_from_clips_on_request(tmp_path: Path) -> None:
    table = clips().head(36)
    table["audio"] = [wav(tone(200 + 10 * i, 0.5 + i / 100, seed=i)) for i in range(36)]
    table.to_parquet(tmp_path / "items.parquet", index=False)
    more = '[pretrain]\nmethod = "cpc"\nsteps = 2\nbatch_size = 4\nwidth = 64'
    more += "\n[pretrain.options]\nn_anchors = 4"
    opened = project(tmp_path, AUDIO_LFS, more=more)
    record = run_line(opened, ("embed",))
    history = json.loads(
        (outputs(opened, record, "pretrain", "encoder") / "history.json").read_text()
    )
    assert history["steps"] and history["verdict"]
    features = np.load(outputs(opened, record, "embed", "features"))
    assert features.shape == (36, 3 * (64 + 256)) and np.isfinite(features).all()
    said = json.loads((outputs(opened, record, "pretrain", "encoder") / "encoder.json").read_text())
    assert said["backbone"] == "log_mel"  # there is little sound to learn filters from


def ingest_audio(root: Path, files: dict[str, bytes], more: str = "") -> tuple[Project, RunRecord]:
    for name, content in files.items():
        (root / "sounds").mkdir(parents=True, exist_ok=True)
        (root / "sounds" / name).write_bytes(content)
    opened = project(root, AUDIO_LFS, "sounds", more)
    return opened, run_line(opened, ("ingest",))


def test_wav_files_of_all_sorts(tmp_path: Path) -> None:
    wave = tone(200, 0.25)
    stereo = np.stack([wave, wave // 2], axis=1)
    opened, record = ingest_audio(
        tmp_path,
        {
            "a.wav": wav(wave),
            "b.wav": wav(stereo),
            "c.wav": wav((wave / 32768).astype(np.float32)),
            "d.wav": wav(((wave >> 8) + 128).astype(np.uint8)),
            "e.wav": wav(wave[:50]),
            "f.wav": b"RIFFnothing",
        },
    )
    report = json.loads(outputs(opened, record, "ingest", "report").read_text())
    assert report["dropped"] == {
        "audio cannot be decoded as WAV": 1, "audio lasts under 0.05 seconds": 1,
    }  # fmt: skip
    assert report["sample_rate"] == RATE and report["seconds"]["shortest"] == 0.25
    signals = load_payload(
        outputs(opened, record, "ingest", "items"),
        None,
        outputs(opened, record, "ingest", "signals"),
    )
    loudness = [
        np.abs(signals[i].astype(float)).mean() / np.abs(wave.astype(float)).mean()
        for i in range(4)
    ]
    assert np.allclose(loudness, [1, 0.75, 1, 1], atol=0.02)


def test_several_rates_stop_or_are_resampled(tmp_path: Path) -> None:
    files = {"a.wav": wav(tone(200, 0.5)), "b.wav": wav(tone(200, 0.5, 8000), 8000)}
    with pytest.raises(DataError, match=r"sample_rate = 4000 under \[items\]"):
        ingest_audio(tmp_path, files)
    opened, record = ingest_audio(tmp_path, files, "sample_rate = 4000")
    report = json.loads(outputs(opened, record, "ingest", "report").read_text())
    assert "1 clip was resampled to 4000 hertz" in report["notes"]
    table = pd.read_parquet(outputs(opened, record, "ingest", "attributes"))
    assert np.allclose(table["duration"], 0.5) and np.allclose(
        table["zero_crossings"], 400, rtol=0.03
    )


SERIES_LFS = '''
from labeling_functions import labeling_function


@labeling_function(columns=["trend"], vote="farm")
def grows(trend):
    """Farm: goes up."""
    return trend > 1


@labeling_function(columns=["trend"], vote="shop")
def shrinks(trend):
    """Shop: goes down."""
    return trend < -1
'''


def walks() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    kinds = rng.integers(0, 2, len(SPLITS))
    series = [
        ((1, -1)[k] * np.linspace(0, 3, n) + rng.normal(0, 0.3, n)).tolist()
        for k, n in zip(kinds, rng.integers(30, 60, len(kinds)), strict=True)
    ]
    return _table(kinds, series=series)


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_series_go_down_the_whole_line(tmp_path: Path, kind: str) -> None:
    table = walks()
    if kind == "csv":
        table.assign(series=table["series"].map(json.dumps)).to_csv(
            tmp_path / "items.csv", index=False
        )
    else:
        table.to_parquet(tmp_path / "items.parquet", index=False)
    opened = project(tmp_path, SERIES_LFS, f"items.{kind}")
    record = run_line(opened, ("report",) if kind == "parquet" else ("embed",))
    features = np.load(outputs(opened, record, "embed", "features"))
    assert features.shape == (72, 37) and np.isfinite(features).all()
    if kind == "parquet":
        assert headline(opened, record)["classifier_accuracy"]["value"] > 0.9
        assert "data:image/svg+xml" in outputs(opened, record, "report", "report").read_text()


def test_series_that_cannot_be_used(tmp_path: Path) -> None:
    good = [[1.0, 2.0, 3.0, 5.0], [1.0, 0.0, 1.0, 0.0, 2.0]]
    bad = [[1.0, 2.0], [1.0, float("nan"), 2.0, 3.0], [1.0, 2.0, 3.0, 1e300]]
    table = pd.DataFrame({"item_id": list("abcde"), "series": [*good, *bad]})
    table.to_parquet(tmp_path / "items.parquet", index=False)
    opened = project(tmp_path, SERIES_LFS)
    record = run_line(opened, ("ingest",))
    report = json.loads(outputs(opened, record, "ingest", "report").read_text())
    assert report["dropped"] == {
        "series has fewer than 4 steps": 1,
        "series holds values that are missing or not finite": 2,
    }
    two = pd.DataFrame(
        {"item_id": ["a", "b"], "series": [json.dumps([good[0], good[0]]), json.dumps(good[0])]}
    )
    two.to_csv(tmp_path / "items.csv", index=False)
    with pytest.raises(DataError, match="as many channels"):
        run_line(project(tmp_path, SERIES_LFS, "items.csv"), ("ingest",))


def test_attributes_by_hand() -> None:
    text = "WIN $500 now!!!\n\n> see http://a.b or mail x@y.org\nReally?"
    seen = dict(zip(ATTRIBUTES, measure(text), strict=True))
    wanted = {
        "n_characters": len(text), "n_words": 10, "n_lines": 3, "n_paragraphs": 2, "n_urls": 1,
        "n_emails": 1, "n_digits": 3, "n_numbers": 1, "n_exclamations": 3, "n_questions": 1,
        "n_currency": 1, "n_shouted": 1, "quoted_share": 1 / 3, "non_ascii_share": 0,
    }  # fmt: skip
    assert {name: seen[name] for name in wanted} == pytest.approx(wanted)

    square = np.tile(np.repeat(np.array([16384, -16384], np.int16), 10), 50)  # 250 hertz at 5000
    heard = dict(zip(AUDIO, measure_audio(square, 5000), strict=True))
    assert heard["duration"] == 0.2 and heard["rms"] == heard["peak"] == 0.5 and heard["crest"] == 1
    assert heard["zero_crossings"] == 99 * 5 and heard["silence_share"] == 0

    saw = np.array([[0.0], [1.0]] * 8, np.float32)
    drawn = dict(zip(SERIES, measure_series(saw), strict=True))
    assert drawn["n_steps"] == 16 and drawn["mean"] == 0.5 and drawn["period"] == 2
    assert drawn["crossings"] == 1 and drawn["autocorrelation"] == pytest.approx(-1)
    assert drawn["first"] == 0 and drawn["last"] == 1 and drawn["roughness"] == pytest.approx(2)
