import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipelines.config import load_config
from pipelines.exchange import Columns, read_items
from pipelines.pixels import load_pixels
from pipelines.readers import find_source, read_rows, read_source
from pipelines.reviews import GOLD_QUEUE, ReviewEvent, ReviewStore
from pipelines.sections import ItemsConfig
from pipelines.stages.base import Work
from pipelines.stages.ingest import IngestInputs, ingest
from pipelines.stages.reviews import ReviewsInputs, reviews
from pipelines.stages.vote import lf_view
from tests.pipelines.conftest import CLASSES, draw, png, shapes
from weaklight.errors import ConfigError, DataError


def run(root: Path, source: str | None = None, **options: object) -> tuple[Path, dict]:
    """Run ingest alone; return its output folder and its report."""
    config = load_config(root / "weaklight.toml")
    section = config.items.model_copy(update={"source": source or config.items.source, **options})
    out = root / ".weaklight" / "artifacts" / "ingest" / "x"
    out.mkdir(parents=True)
    work = Work(
        out=out,
        scratch=root / "scratch",
        cache=root / ".weaklight" / "cache",
        project_root=root,
        seed=0,
        classes=config.classes,
        class_sets=config.vote_sets,
    )
    ingest(IngestInputs(), section, work)
    return out, json.loads((out / "ingest.json").read_text())


def read_again(root: Path, config: ItemsConfig) -> tuple[str, pd.DataFrame]:
    """Read the source of a project without running ingest."""
    return read_source(find_source(root, config), config, 0)


def test_gold_is_kept_apart_by_split(make_project: Callable[..., Path]) -> None:
    table = shapes()
    out, report = run(make_project(table))
    items = pd.read_parquet(out / "items.parquet")
    assert "gold" not in items and "bag_label" not in items
    assert report["splits"] == {"unlabeled": 120, "dev": 30, "calibration": 0, "test": 45}
    for name, split in (("gold_dev", "dev"), ("gold_test", "test")):
        gold = pd.read_parquet(out / f"{name}.parquet")
        expected = table[table["split"] == split]
        assert gold["item_id"].tolist() == expected["item_id"].tolist()
        assert [CLASSES[g] for g in gold["gold"]] == expected["gold"].tolist()
    assert load_pixels(out / "pixels.json").shape == (195, 16, 16, 1)
    assert pd.read_parquet(out / "attributes.parquet")["aspect"].notna().all()


def test_gold_of_labeled_rows_teaches_unless_it_was_reviewed_or_drawn_since(
    make_project: Callable[..., Path],
) -> None:
    table = shapes(12, 10, 5)
    dev = table.index[table["split"] == "dev"]
    taught, other = dev[:6], dev[6]
    table.loc[[*taught, other], "split"] = "labeled"
    table.loc[other, "gold"] = None
    root = make_project(table)
    ids = table.loc[taught, "item_id"].tolist()
    store = ReviewStore(root / ".weaklight" / "reviews.sqlite")
    store.record(ReviewEvent(ids[0], "ada", "relabel", new=CLASSES[1]))
    store.record(ReviewEvent(ids[1], "ada", "exclude"))
    store.record(ReviewEvent(ids[2], "ada", "set_role", new="test", queue=GOLD_QUEUE))
    out, report = run(root)
    assert report["splits"] == {"unlabeled": 18, "dev": 3, "calibration": 0, "test": 6}
    assert any("1 labeled item has no gold" in note for note in report["notes"])
    work = Work(root / "reviewed", root / "scratch", root / "cache", root, 0, CLASSES)
    work.out.mkdir()
    reviews(ReviewsInputs(out / "items.parquet", out / "labeled.parquet"), None, work)
    human = pd.read_parquet(work.out / "human.parquet").set_index("item_id")
    assert sorted(human.index) == sorted([*ids[:2], *ids[3:]])
    assert human.loc[ids[0], "label"] == 1 and human.loc[ids[1], "action"] == "exclude"
    gold = table.set_index("item_id")["gold"]
    assert all(CLASSES[human.loc[i, "label"]] == gold[i] for i in ids[3:])


def test_a_review_that_names_no_class_any_more_leaves_the_label_of_the_source(
    make_project: Callable[..., Path],
) -> None:
    table = shapes(6, 4, 4)
    first = table.index[table["split"] == "dev"][0]
    table.loc[first, "split"] = "labeled"
    table["teaches"] = "maths"  # a column of the source, whatever its name, is metadata
    root = make_project(table)
    item = table.loc[first, "item_id"]
    store = ReviewStore(root / ".weaklight" / "reviews.sqlite")
    store.record(ReviewEvent(item, "ada", "relabel", new="a class of last year"))
    out, _ = run(root)
    assert set(pd.read_parquet(out / "items.parquet")["teaches"]) == {"maths"}
    work = Work(root / "reviewed", root / "scratch", root / "cache", root, 0, CLASSES)
    work.out.mkdir()
    result = reviews(ReviewsInputs(out / "items.parquet", out / "labeled.parquet"), None, work)
    (human,) = pd.read_parquet(work.out / "human.parquet").to_dict("records")
    assert human["item_id"] == item and CLASSES[human["label"]] == table.loc[first, "gold"]
    assert result.notes == ("1 review names a class that weaklight.toml no longer has",)


def test_bad_rows_are_dropped_counted_and_named(make_project: Callable[..., Path]) -> None:
    table = shapes(40, 10, 10)
    images = table["image"].tolist()
    images[0] = b""
    images[1] = b"no image at all"
    images[2] = images[2][: len(images[2]) // 2]
    table["image"] = images
    table.loc[3, "item_id"] = table.loc[4, "item_id"]
    table.loc[5, "item_id"] = None
    root = make_project(table)
    out, report = run(root)
    assert report["dropped"] == {
        "duplicate item_id (the first one is kept)": 1,
        "image cannot be decoded": 2,
        "image of zero bytes": 1,
        "no item_id": 1,
    }
    assert report["read"] == 60 and report["kept"] == 55
    assert report["examples"]["image of zero bytes"] == ["i0000"]
    assert "dropped 2 rows: image cannot be decoded: i0001, i0002" in report["notes"]
    items = pd.read_parquet(out / "items.parquet")
    assert len(items) == 55 == load_pixels(out / "pixels.json").shape[0]


def test_bags_without_a_label_or_with_two_are_dissolved(make_project: Callable[..., Path]) -> None:
    table = shapes(40, 10, 10)
    table.loc[table["bag_id"] == "b0", "bag_label"] = pd.NA
    torn = table.index[table["bag_id"] == "b1"]
    table.loc[torn[0], "bag_label"] = 1 - table.loc[torn[1], "bag_label"]
    out, report = run(make_project(table))
    bags = pd.read_parquet(out / "bag_labels.parquet")
    assert not {"b0", "b1"} & set(bags["bag_id"])
    assert not {"b0", "b1"} & set(pd.read_parquet(out / "items.parquet")["bag_id"].dropna())
    assert "1 bag has no label and is not used: b0" in report["notes"]
    assert "1 bag carries two labels and is not used: b1" in report["notes"]


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("gold", "square", "gold must name one of the classes"),
        ("split", "train", "split must be one of"),
        ("bag_label", 3, "bag_label must be 0 or 1"),
    ],
)
def test_unknown_values_stop_with_what_to_do(
    make_project: Callable[..., Path], column: str, value: object, words: str
) -> None:
    table = shapes(40, 10, 10)
    rows = table.index[table["bag_id"] == "b0"] if column == "bag_label" else table.index[-2:]
    table.loc[rows, column] = value
    with pytest.raises(DataError, match=words):
        run(make_project(table))


def test_an_empty_table_and_a_missing_column_stop(make_project: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match="it is empty"):
        run(make_project(shapes(40, 10, 10).iloc[:0], name="empty"))
    with pytest.raises(DataError, match="needs a column 'image'"):
        run(make_project(shapes(4, 4, 4).drop(columns="image"), name="no_image"))


def test_gold_of_unlabeled_rows_is_not_read(make_project: Callable[..., Path]) -> None:
    table = shapes(40, 10, 10)
    table.loc[0, "gold"] = "tall"
    out, report = run(make_project(table))
    assert any("gold of 1 unlabeled row was not read" in n for n in report["notes"])
    stored = pd.concat(pd.read_parquet(out / f"gold_{s}.parquet") for s in ("dev", "test"))
    assert "i0000" not in set(stored["item_id"])


@pytest.mark.parametrize("role", ["gold", "split", "bag_id", "noisy_label"])
def test_a_column_that_the_settings_name_must_be_there(
    make_project: Callable[..., Path], role: str
) -> None:
    root = make_project(shapes(4, 4, 4))
    with pytest.raises(DataError, match=f"'{role}z', as {role} under .* did you mean"):
        run(root, **{role: f"{role}z"})


def test_a_role_is_read_from_one_column(make_project: Callable[..., Path]) -> None:
    table = shapes(4, 4, 4)
    root = make_project(table.assign(checked=table["gold"]))
    with pytest.raises(DataError, match="'checked' is to be read as gold, but there is a column"):
        run(root, gold="checked")


def test_dev_items_without_gold_are_counted(make_project: Callable[..., Path]) -> None:
    table = shapes(40, 10, 10)
    table.loc[table.index[table["split"] == "dev"][:3], "gold"] = None
    _, report = run(make_project(table))
    assert [n for n in report["notes"] if "have no gold" in n] == [
        "3 dev items have no gold, so nothing is judged on them"
    ]


def test_a_folder_of_images_with_gold_folders(make_project: Callable[..., Path]) -> None:
    root = make_project()
    rng = np.random.default_rng(1)
    for place in ("unlabeled/x", "dev/tall", "test/wide"):
        folder = root / "images" / place
        folder.mkdir(parents=True)
        for i in range(3):
            Image.fromarray(draw("tall", rng)).save(folder / f"{i}.png")
    (root / "images" / "unlabeled" / "x" / "broken.png").write_bytes(b"")
    out, report = run(root, "images")
    items = pd.read_parquet(out / "items.parquet")
    assert items["split"].value_counts().to_dict() == {"unlabeled": 3, "dev": 3, "test": 3}
    assert "dropped 1 row: image of zero bytes: unlabeled/x/broken.png" in report["notes"]
    # equal names in three folders, and nothing that a labelling function sees tells which
    seen = lf_view(out / "items.parquet", out / "attributes.parquet")
    assert items["item_id"].is_unique and items["path"][0] == "dev/tall/0.png"
    assert not {"path", "split"} & set(seen)
    assert not seen["item_id"].str.contains("dev|test|unlabeled|tall|wide").any()
    ids = dict(zip(items["path"], items["item_id"], strict=True))
    (root / "images" / "dev" / "tall" / "a_new_one.png").write_bytes(png(draw("tall", rng)))
    _, again = read_again(root, ItemsConfig(source="images"))
    known = dict(zip(again["path"], again["item_id"], strict=True))
    assert ids.items() <= known.items()  # reviews refer to them
    assert pd.read_parquet(out / "gold_test.parquet")["gold"].tolist() == [1, 1, 1]


def test_repeated_images_are_counted_and_those_that_test_shares_with_dev(
    make_project: Callable[..., Path],
) -> None:
    table = shapes(40, 10, 10)
    dev, test, unlabeled = (table.index[table["split"] == s] for s in ("dev", "test", "unlabeled"))
    for copy, original in ((test[0], dev[0]), (test[1], dev[1]), (unlabeled[1], unlabeled[0])):
        table.at[copy, "image"] = table.at[original, "image"]
    _, report = run(make_project(table))
    assert [n for n in report["notes"] if "repeat" in n] == [
        "3 images repeat an earlier one; 2 of test are also in dev, which flatters the test numbers"
    ]
    once = shapes(40, 10, 10)
    once.at[test[0], "image"] = once.at[dev[0], "image"]
    _, report = run(make_project(once, name="once"))
    assert [n for n in report["notes"] if "repeat" in n] == [
        "1 image repeats an earlier one; 1 of test is also in dev, which flatters the test numbers"
    ]


def test_a_folder_of_other_files_alone_and_scaled_images_are_told(
    make_project: Callable[..., Path],
) -> None:
    photos = make_project(name="photos") / "images"
    photos.mkdir()
    (photos / "IMG_1.heic").write_bytes(b"")
    with pytest.raises(DataError, match=r"it holds other files alone: IMG_1.heic; check"):
        run(photos.parent, "images")
    root = make_project()
    (root / "images").mkdir()
    for i, side in enumerate((20, 20, 40)):
        Image.new("L", (side, side), 50 * i).save(root / "images" / f"{i}.png")
    _, report = run(root, "images")
    assert report["image"] == [20, 20, 1]
    assert report["notes"] == [
        "1 of 3 images was scaled to 20 x 20 px and cut to that shape; image_size under [items] "
        "sets another size"
    ]


def test_blanks_around_a_class_do_not_make_another(make_project: Callable[..., Path]) -> None:
    table = shapes(40, 10, 10)
    root = make_project(table.assign(gold=table["gold"].map(lambda v: f" {v} ", "ignore")))
    out, _ = run(root)
    expected = table.loc[table["split"] == "dev", "gold"].tolist()
    gold = pd.read_parquet(out / "gold_dev.parquet")["gold"]
    assert [CLASSES[g] for g in gold] == expected


def test_a_stray_file_of_another_kind_is_named_and_clutter_is_not_read(
    make_project: Callable[..., Path],
) -> None:
    root = make_project()
    folder = root / "images"
    (folder / ".thumbs").mkdir(parents=True)
    picture = png(draw("tall", np.random.default_rng(1)))
    for name in ("a.png", "b.png", ".thumbs/a.png", "._a.png"):
        (folder / name).write_bytes(picture)
    (folder / "README.txt").write_text("Fifty photographs.")
    (folder / "trip").mkdir()
    (folder / "trip" / "IMG_1.HEIC").write_bytes(picture)
    _, report = run(root, "images")
    assert report["read"] == 2
    assert report["notes"][1:] == ["left alone 1 file that is no image: trip/IMG_1.HEIC"]
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match=r"beside 2 image files it holds notes.txt; move these"):
        read_again(root, ItemsConfig(source="images"))


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_tables_with_image_paths(make_project: Callable[..., Path], kind: str) -> None:
    root = make_project()
    rng = np.random.default_rng(1)
    for i in range(4):
        (root / f"{i}.png").write_bytes(png(draw("wide", rng)))
    table = pd.DataFrame(
        {"item_id": [f"0{i}" for i in range(5)], "image": [f"{i}.png" for i in range(5)], "shop": 7}
    )
    if kind == "csv":
        table.to_csv(root / "list.csv", index=False)
    else:
        table.to_json(root / "list.jsonl", orient="records", lines=True)
    out, report = run(root, f"list.{kind}")
    items = pd.read_parquet(out / "items.parquet")
    assert items["item_id"].tolist() == ["00", "01", "02", "03"]
    assert items["shop"].tolist() == [7] * 4
    assert report["dropped"] == {"image file missing or unreadable": 1}
    found = find_source(root, ItemsConfig(source=f"list.{kind}"))
    assert len(found.files) == 5  # the table and the four images that exist


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("states_separator", [False, True])
@pytest.mark.parametrize("suffix", [".csv", ".txt"])
def test_a_csv_as_a_spreadsheet_saves_it(
    tmp_path: Path, separator: str, encoding: str, states_separator: bool, suffix: str
) -> None:
    file = tmp_path / f"list{suffix}"
    rows = [["item_id", "body"], ["007", '"one, zwei; größer"']]
    text = "".join(separator.join(row) + "\r\n" for row in rows)
    first_line = f"sep={separator}\r\n" if states_separator else ""
    file.write_bytes((first_line + text).encode(encoding))
    kind, table = read_again(tmp_path, ItemsConfig(source=file.name, text="body"))
    assert (kind, table["item_id"].tolist()) == ("text", ["007"])
    assert (
        table["payload"].tolist()
        == ["one, zwei; größer"]
        == read_items(file, Columns(text="body")).table["text"].tolist()
    )


WORDS = {
    "german": "Größer, schöner für Männer \u2013 \u201eStraße\u201c 5 °C",
    "french": "Été à Paris, voilà le cœur; créée; ça va\u2026",
    "spanish": "Mañana ¿qué pasó mañana? ¡Señor!",
}


@pytest.mark.parametrize("language", WORDS)
@pytest.mark.parametrize(("page", "name"), [("cp1252", "Windows-1252"), ("cp850", "MS-DOS")])
@pytest.mark.parametrize("suffix", [".txt", ".TSV", ".csv"])
def test_a_table_in_a_code_page_is_read_and_told(
    make_project: Callable[..., Path],
    caplog: pytest.LogCaptureFixture,
    language: str,
    page: str,
    name: str,
    suffix: str,
) -> None:
    root = make_project()
    text = "".join(c for c in WORDS[language] if c.encode(page, "ignore"))
    file = root / f"list{suffix}"
    file.write_bytes(f"item_id\ttext\r\n1\t{text}\r\n2\tb\r\n".encode(page))
    out, report = run(root, file.name)
    assert pd.read_parquet(out / "items.parquet")["text"].tolist() == [text, "b"]
    imported = read_items(file)
    assert imported.table["text"].tolist() == [text, "b"]
    told = f"{file.name} is not in UTF-8 and was read as {name}"
    assert [n for n in report["notes"] if n.startswith(told)] == [*imported.notes]
    assert len(imported.notes) == 1 and text.split()[0].strip(",¿") in imported.notes[0]
    assert not imported.table.attrs  # which Parquet would carry on
    if suffix != ".txt":  # whose items to come are texts
        assert read_rows(file, ItemsConfig(source=file.name))[2] == [text, "b"]
        assert [record.message for record in caplog.records] == [*imported.notes]


@pytest.mark.parametrize(
    ("text", "page"),
    [
        ("Привет мир", "cp1251"),
        ("Καλημέρα κόσμε", "cp1253"),
        ("był ładny dzień", "cp1250"),
        ("příliš žluťoučký kůň", "cp1250"),
        ("şişe çiçeği", "cp1254"),
        ("こんにちは", "shift_jis"),
        ("Männer, größer", "mac_roman"),
    ],
)
def test_a_csv_in_another_encoding_is_refused_with_what_to_do(
    tmp_path: Path, text: str, page: str
) -> None:
    file = tmp_path / "list.csv"
    file.write_bytes(f"item_id\ttext\r\n1\t{text}\r\n".encode(page))
    for read in (
        lambda: read_again(tmp_path, ItemsConfig(source="list.csv")),
        lambda: read_items(file),
    ):
        with pytest.raises(DataError, match=r"save it as UTF-8 \(in Excel"):
            read()


def test_a_row_longer_than_the_header_never_shifts_the_columns(tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text("item_id,text\n1,a,late\n2,b\n")  # pandas would take 1 for an index
    for read in (
        lambda: read_again(tmp_path, ItemsConfig(source="list.csv")),
        lambda: read_items(file),
    ):
        with pytest.raises(DataError, match=r"more cells than the header.* stand in quotes"):
            read()


def test_a_torchvision_data_set_by_name(make_project: Callable[..., Path]) -> None:
    root = make_project(settings='classes = ["a", "b"]\n[items]\nsource = "items.parquet"\n')
    write_mnist(root / "data" / "MNIST" / "raw")
    settings = (
        "classes = "
        + json.dumps([f"{d} - {n}" for d, n in enumerate(DIGITS)])
        + '\n[items]\nsource = "torchvision:MNIST"\n'
    )
    (root / "weaklight.toml").write_text(settings)
    out, report = run(root)
    assert report["splits"] == {"unlabeled": 36, "dev": 4, "calibration": 0, "test": 10}
    gold = pd.read_parquet(out / "gold_test.parquet")["gold"].tolist()
    assert gold == [i % 10 for i in range(10)]


DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def write_mnist(folder: Path) -> None:
    """Write a miniature MNIST in the format that torchvision reads."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part, n in (("train", 40), ("t10k", 10)):
        images = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        header = np.array([2051, n, 28, 28], dtype=">i4").tobytes()
        (folder / f"{part}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        labels = (np.arange(n) % 10).astype(np.uint8)
        header = np.array([2049, n], dtype=">i4").tobytes()
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(header + labels.tobytes())


def test_a_missing_source_says_what_is_expected(make_project: Callable[..., Path]) -> None:
    root = make_project()
    with pytest.raises(ConfigError, match="expected a folder or a file"):
        find_source(root, ItemsConfig(source="nothing"))
    (root / "list.xlsx").write_bytes(b"")
    with pytest.raises(ConfigError, match="of no known kind"):
        find_source(root, ItemsConfig(source="list.xlsx"))
