"""Label Studio: weak labels as predictions, annotations back as gold or as noisy labels.

Reads the export format called JSON (not JSON-MIN) of a project with one ``Choices`` question.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import pandas as pd

from pipelines.exchange.exporter import Exporter
from pipelines.exchange.labels import WeakLabels
from pipelines.exchange.media import image_suffix
from pipelines.exchange.projects import Imported, class_order
from weaklight.errors import DataError
from weaklight.words import counted

__all__ = ["LABEL_STUDIO", "read_label_studio"]

_IMAGE_FOLDER = "images"


def read_label_studio(
    file: Path,
    *,
    text: str = "text",
    image: str = "image",
    is_gold: bool = True,
) -> Imported:
    """Read tasks with their annotations.

    Parameters
    ----------
    file
        The JSON export: a list of tasks with ``data`` and ``annotations``.
    text, image
        Names in each task's ``data``; ``item_id`` there is the id, else the task's own.
    is_gold
        Annotated tasks become dev items and judge the weak labels, which is honest only if they
        were drawn at random. Else they stay unlabelled and keep the answer as a noisy label.

    Raises
    ------
    DataError
        If the file is no such export, or a task has neither text nor image.

    Notes
    -----
    Cancelled annotations do not count. Of several annotators the majority counts; a tie, or an
    annotation with several choices, gives no label and is counted.
    """
    tasks = _tasks(file)
    rows: list[dict[str, Any]] = []
    n_torn = n_many = 0
    for i, task in enumerate(tasks):
        data = task["data"]
        if text not in data and image not in data:
            raise DataError(
                f"{file.name}, task {i}: expected {text!r} or {image!r} in data, but it has "
                f"{sorted(data)}; name yours with --text or --image"
            )
        answers, many = _answers(task)
        n_many += many
        label, is_torn = _majority(answers)
        n_torn += is_torn
        row: dict[str, Any] = {"item_id": str(data.get("item_id", task.get("id", i)))}
        row |= {"text": data[text]} if text in data else {"image": data[image]}
        row["label"] = label
        rows.append(row)
    table = pd.DataFrame(rows)
    answer = table.pop("label")
    table["split"] = "unlabeled"
    table["gold" if is_gold else "noisy_label"] = answer
    of = f"of {len(table):,} tasks"
    notes = [counted(int(answer.notna().sum()), f"{of} has an answer", f"{of} have an answer")]
    if is_gold:
        table.loc[answer.notna(), "split"] = "dev"
        notes.append(
            "they are the dev split; if they were not drawn at random, the numbers of the report "
            "may flatter: import with --noisy instead"
        )
    if n_torn:
        torn = counted(n_torn, "task has", "tasks have")
        notes.append(f"{torn} no majority among the annotators and no label")
    if n_many:
        notes.append(
            counted(
                n_many,
                "annotation holds no choice, or several, and does not count",
                "annotations hold no choice, or several, and do not count",
            )
        )
    return Imported(table, class_order(answer), notes=tuple(notes), base=file.parent)


def _tasks(file: Path) -> list[dict[str, Any]]:
    try:
        tasks = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise DataError(f"{file} cannot be read as JSON ({error}); export it again") from None
    if not isinstance(tasks, list) or not all(
        isinstance(t, dict) and isinstance(t.get("data"), dict) for t in tasks
    ):
        raise DataError(
            f"{file.name} must be a list of tasks with `data` and `annotations`; "
            "export from Label Studio as JSON, not as JSON-MIN or CSV"
        )
    if not tasks:
        raise DataError(f"{file.name} holds no task; export a project that has some")
    return tasks


def _answers(task: dict[str, Any]) -> tuple[list[str], int]:
    """Return the choice of each annotation, and how many annotations hold none or several."""
    answers, odd = [], 0
    for annotation in task.get("annotations") or []:
        if annotation.get("was_cancelled"):
            continue
        choices = [
            choice
            for result in annotation.get("result") or []
            if result.get("type") == "choices"
            for choice in result["value"]["choices"]
        ]
        if len(choices) == 1:
            answers.append(str(choices[0]))
        else:
            odd += 1
    return answers, odd


def _majority(answers: list[str]) -> tuple[str | None, bool]:
    """Return the most frequent answer and whether the top is tied, which gives None."""
    ranked = Counter(answers).most_common(2)
    if not ranked:
        return None, False
    is_torn = len(ranked) == 2 and ranked[0][1] == ranked[1][1]
    return (None, True) if is_torn else (ranked[0][0], False)


def _write(labels: WeakLabels, folder: Path) -> None:
    """Write ``tasks.json`` and ``label_config.xml``; images go to ``images/``."""
    if labels.kind == "image":
        values = _image_links(labels, folder / _IMAGE_FOLDER)
    elif labels.kind == "text":
        values = labels.table["text"].tolist()
    else:
        raise DataError(
            f"tasks for Label Studio hold texts or images, but these items are {labels.kind}; "
            "export them as parquet"
        )
    tasks = []
    for row, value in zip(labels.table.to_dict("records"), values, strict=True):
        data = {labels.kind: value, **{k: row[k] for k in ("item_id", "split", "source")}}
        tasks.append({"data": data, "predictions": _prediction(row, labels.view.run_id)})
    text = json.dumps(tasks, ensure_ascii=False, indent=1) + "\n"
    (folder / "tasks.json").write_text(text, encoding="utf-8")
    choices = "\n".join(f"    <Choice value={quoteattr(name)}/>" for name in labels.classes)
    config = f"""<View>
  <{labels.kind.title()} name="item" value="${labels.kind}"/>
  <Choices name="label" toName="item" choice="single">
{choices}
  </Choices>
</View>
"""
    (folder / "label_config.xml").write_text(config, encoding="utf-8")


def _prediction(row: Mapping[Any, Any], run_id: str) -> list[dict[str, Any]]:
    if not row["covered"]:
        return []
    choice = {
        "from_name": "label",
        "to_name": "item",
        "type": "choices",
        "value": {"choices": [row["label"]]},
    }
    score = float(row["confidence"])
    return [{"model_version": run_id, "score": score, "result": [choice]}]


def _image_links(labels: WeakLabels, folder: Path) -> list[str]:
    folder.mkdir()
    links = []
    for i, data in enumerate(labels.images()):
        name = f"{i:09d}.{image_suffix(data)}"
        (folder / name).write_bytes(data)
        links.append(f"/data/local-files/?d={_IMAGE_FOLDER}/{name}")
    return links


LABEL_STUDIO = Exporter(
    _write,
    """# In Label Studio: make a project, paste label_config.xml into Settings, Labeling Interface,
# then import tasks.json. Images: start Label Studio with
# LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true and LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT set to
# this folder, and add `images` as a local storage.
import json

with open("tasks.json", encoding="utf-8") as file:
    tasks = json.load(file)""",
)
